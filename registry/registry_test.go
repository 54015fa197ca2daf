package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func open(tb testing.TB) *Store {
	tb.Helper()
	s, err := Open(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// clock makes the store's time stand still until it is told to go on.
func clock(s *Store) *time.Time {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	s.now = func() time.Time { return now }
	return &now
}

func newLog(tb testing.TB, s *Store) *Log {
	tb.Helper()
	log, err := s.Log(NewID())
	if err != nil {
		tb.Fatal(err)
	}
	return log
}

func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got error %v, want %q", err, kind)
	}
}

func TestOnlyItsUserMayReadTheStore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "home")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := newLog(t, s).Print(0, "private"); err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreOfNewerVersionIsRefusedAndLeftAlone(t *testing.T) {
	s := open(t)
	err := s.update(func(tx *tx) error {
		return tx.Bucket(bucketMeta).Put(keySchema, number(uint64(len(migrations)+1)))
	})
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(s.Dir())
	wantKind(t, err, ErrNewer)
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Error(), s.path) || e.Hint() == "" {
		t.Errorf("error %v, hint %q: want the file and a way out", err, e.Hint())
	}
	// A process that was running when a newer version took over is refused as well.
	_, err = s.Create(Job{SourceModel: "org/model"})
	wantKind(t, err, ErrNewer)
	if after, err := os.ReadFile(s.path); err != nil || string(before) != string(after) {
		t.Errorf("the refused store was changed: %v", err)
	}
}

func TestOlderSchemaIsBroughtUpToDate(t *testing.T) {
	s := open(t)
	old := migrations
	defer func() { migrations = old }()
	migrations = append(migrations[:len(migrations):len(migrations)], func(btx *bolt.Tx) error {
		_, err := btx.CreateBucket([]byte("new"))
		return err
	})
	for range 2 { // once to migrate, once more to see that it isn't done twice
		s, err := Open(s.Dir())
		if err != nil {
			t.Fatal(err)
		}
		err = s.view(func(tx *tx) error {
			if tx.Bucket([]byte("new")) == nil {
				return errors.New("the new bucket is missing")
			}
			if got := binary.BigEndian.Uint64(tx.Bucket(bucketMeta).Get(keySchema)); got != uint64(len(migrations)) {
				return fmt.Errorf("schema %d, want %d", got, len(migrations))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoreComesBackAfterItsFileWasMovedAside(t *testing.T) {
	s := open(t)
	if _, err := s.Create(Job{SourceModel: "org/model"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path, s.path+".aside"); err != nil {
		t.Fatal(err)
	}
	if _, n, err := s.Jobs(Filter{}); err != nil || n != 0 {
		t.Errorf("%d jobs, error %v; want an empty store", n, err)
	}
	if err := os.Rename(s.path+".aside", s.path); err != nil {
		t.Fatal(err)
	}
	if _, n, err := s.Jobs(Filter{}); err != nil || n != 1 {
		t.Errorf("%d jobs, error %v; want the job back", n, err)
	}
}

func TestProcessesThatCreateTheStoreAtOnceShareIt(t *testing.T) {
	dir := t.TempDir()
	const n = 8
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			s, err := Open(dir)
			if err == nil {
				_, err = s.Create(Job{SourceModel: "org/model"})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, total, err := s.Jobs(Filter{}); err != nil || total != n {
		t.Errorf("%d jobs, %v; want %d", total, err, n)
	}
	if list, err := filepath.Glob(filepath.Join(dir, "*.new")); err != nil || len(list) > 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func TestFolderThatCannotBeUsedIsNoDamage(t *testing.T) {
	s := open(t)
	if err := os.RemoveAll(s.Dir()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Create(Job{SourceModel: "org/model"})
	if !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("opened a file as the folder: %v", err)
	}
}

func TestLockedStoreIsBusyAndThenFree(t *testing.T) {
	s := open(t)
	s.wait = 50 * time.Millisecond
	db, err := bolt.Open(s.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Jobs(Filter{})
	wantKind(t, err, ErrBusy)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// Whoever gave up waiting must not keep the lock that it is given later.
	s.wait = 10 * time.Second
	if _, _, err := s.Jobs(Filter{}); err != nil {
		t.Error(err)
	}
}

// everything calls all kinds of methods and returns the first error.
func everything(s *Store) error {
	me, err := Self()
	if err != nil {
		return err
	}
	created, createErr := s.Create(Job{SourceModel: "org/model", Owner: &me})
	var updateErr error
	if createErr == nil {
		_, updateErr = s.Update(created.ID, *created.Owner, func(j *Job) error { j.BytesDone++; return nil })
	}
	_, _, listErr := s.Jobs(Filter{})
	_, changesErr := s.Changes(0)
	_, sweepErr := s.Sweep()
	_, _, modelsErr := s.Models(ModelFilter{})
	_, modelErr := s.Model("/models/7.gguf")
	_, ratingsErr := s.Ratings("org/model")
	_, deleteErr := s.DeleteModel("/models/8.gguf")
	return errors.Join(createErr, updateErr, listErr, changesErr, sweepErr, modelsErr, modelErr, ratingsErr, deleteErr)
}

// TestDamagedStoreIsAnErrorNeverACrash damages every kind of page in many ways. What bbolt can't notice may pass; what
// it trips over must come out as an error that names the file.
func TestDamagedStoreIsAnErrorNeverACrash(t *testing.T) {
	s := open(t)
	fill(t, s, 60)
	for i := range 20 {
		m := Model{ID: "org/model", Path: fmt.Sprintf("/models/%d.gguf", i), Tensors: make([]TensorError, 5)}
		if err := s.PutModel(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.PutRating(Rating{ID: "org/model", Rating: 5}); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	if n := os.Getenv("REGISTRY_DAMAGE_ROUNDS"); n != "" {
		fmt.Sscan(n, &rounds)
	}
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	try := func(name string, bad []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "registry.db"), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir)
		if err == nil {
			err = everything(s)
		}
		if err == nil {
			return
		}
		found++
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNewer) {
			return // a damaged name or number
		}
		var e *Error
		if !errors.Is(err, ErrCorrupt) || !errors.As(err, &e) || !strings.Contains(e.Error(), filepath.Join(dir, "registry.db")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	try("not a database", []byte(strings.Repeat("not a database\n", 1000)))
	try("one byte", []byte{1})
	for _, size := range []int{page / 2, page, 2 * page, 3 * page, 5 * page, len(good) / 2} {
		try(fmt.Sprintf("cut to %d bytes", size), good[:size])
	}
	if found < 8 {
		t.Errorf("only %d of 8 useless files were noticed", found)
	}
	for i := range rounds {
		bad := append([]byte(nil), good...)
		at := random.IntN(len(bad)/page) * page
		var name string
		switch i % 5 {
		case 0:
			name = fmt.Sprintf("page at %d zeroed", at)
			clear(bad[at : at+page])
		case 1:
			name = fmt.Sprintf("header of the page at %d random", at)
			for j := range 16 {
				bad[at+j] = byte(random.Uint32())
			}
		case 2:
			name = fmt.Sprintf("page at %d random", at)
			for j := range page {
				bad[at+j] = byte(random.Uint32())
			}
		case 3:
			other := random.IntN(len(bad)/page) * page
			name = fmt.Sprintf("page at %d is that at %d", at, other)
			copy(bad[at:at+page], good[other:])
		case 4:
			name = fmt.Sprintf("bytes behind the header of the page at %d random", at)
			for range 4 {
				bad[at+16+random.IntN(64)] = byte(random.Uint32())
			}
		}
		try(name, bad)
	}
	t.Logf("%d of %d noticed", found, rounds+8)
}

func TestDamagedStoreIsNotLockedForOthers(t *testing.T) {
	s := open(t)
	good, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.path, int64(2*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _, err := s.Jobs(Filter{})
		wantKind(t, err, ErrCorrupt)
	}
	if err := os.WriteFile(s.path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Jobs(Filter{}); err != nil {
		t.Errorf("after a backup was put in its place: %v", err)
	}
}

func TestAGoroutineThatEndsInUpdateLeavesNoLock(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	done := make(chan bool)
	go func() {
		defer close(done)
		s.Update(job.ID, *job.Owner, func(*Job) error { runtime.Goexit(); return nil })
	}()
	<-done
	other, err := Open(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, other} {
		if _, err := s.Job(job.ID); err != nil {
			t.Error(err)
		}
	}
}
