package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The buckets of the database.
var (
	bucketMeta    = []byte("meta")    // "schema" -> version, 8 bytes big endian
	bucketJobs    = []byte("jobs")    // job ID -> job record
	bucketIndex   = []byte("index")   // job number -> what lists and queues need to know, see indexEntry
	bucketChanges = []byte("changes") // version of the registry -> ID of the job that changed last at it
	bucketDeleted = []byte("deleted") // version of the registry -> ID of the job deleted at it
	bucketModels  = []byte("models")  // absolute path -> model record without its tensors
	bucketTensors = []byte("tensors") // absolute path -> errors of the model's tensors
	bucketRatings = []byte("ratings") // model ID, NUL, variant -> rating

	keySchema = []byte("schema")
)

// migrations brings a database from schema i to schema i+1. A database without a schema is of schema 0: a new one.
var migrations = []func(*bolt.Tx) error{
	func(btx *bolt.Tx) error {
		for _, name := range [][]byte{
			bucketJobs, bucketIndex, bucketChanges, bucketDeleted, bucketModels, bucketTensors, bucketRatings,
		} {
			if _, err := btx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	},
}

// tx is one transaction with its buckets.
type tx struct {
	*bolt.Tx
	jobs, index, changes, deleted, models, tensors, ratings *bolt.Bucket
}

// errOldSchema tells that a read found a database that a write has to bring up to date first.
var errOldSchema = errors.New("old schema")

// view runs fn in a transaction that can't write.
func (s *Store) view(fn func(*tx) error) error {
	err := s.transact(false, fn)
	if errors.Is(err, errOldSchema) {
		if err = s.transact(true, func(*tx) error { return nil }); err == nil {
			err = s.transact(false, fn)
		}
	}
	return err
}

// update runs fn in a transaction that is on the disk when update returns nil, and that left no trace when it
// returns an error.
func (s *Store) update(fn func(*tx) error) error { return s.transact(true, fn) }

// breakage remembers a damaged database, so that it isn't mapped again and again while it stays as it is.
type breakage struct {
	err  error
	info fs.FileInfo
}

// transact opens the database, runs fn and closes it.
//
// bbolt believes its pages: on damaged ones it panics, or reads past the end of a truncated file, which the system
// answers with a fault. Both become errors here. The file, which carries the lock, is then unlocked and closed by hand,
// since bbolt may not be able to; its mapping stays until the process ends.
func (s *Store) transact(write bool, fn func(*tx) error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.broken; b != nil {
		if info, err := os.Stat(s.path); err == nil && os.SameFile(info, b.info) && info.ModTime().Equal(b.info.ModTime()) {
			return b.err
		}
		s.broken = nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))

	var file *os.File
	closed := false
	defer func() {
		p := recover()
		if p != nil {
			err = s.corrupt(fmt.Errorf("%v", p))
		}
		if closed || file == nil {
			return
		}
		if info, statErr := file.Stat(); statErr == nil && p != nil {
			s.broken = &breakage{err, info}
		}
		unlockFile(file) // closing alone doesn't: the mapping keeps the file open
		file.Close()
	}()

	db, err := bolt.Open(s.path, 0o600, &bolt.Options{
		Timeout:      s.wait,
		NoStatistics: true,
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
			if errors.Is(err, fs.ErrNotExist) {
				if err = s.create(); err == nil {
					f, err = os.OpenFile(path, flag&^os.O_CREATE, mode)
				}
			}
			if err != nil {
				return nil, err
			}
			// bbolt asks for the lock twenty times a second; a waiter that sleeps in the kernel gets it at once.
			if err := lockFile(f, s.wait); err != nil {
				return nil, err
			}
			file = f
			return f, nil
		},
	})
	if err != nil {
		closed = true
		return s.openError(err)
	}
	if write {
		err = db.Update(func(btx *bolt.Tx) error {
			if err := s.migrate(btx); err != nil {
				return err
			}
			return fn(newTx(btx))
		})
	} else {
		err = db.View(func(btx *bolt.Tx) error {
			switch schema, err := s.schema(btx); {
			case err != nil:
				return err
			case schema < len(migrations):
				return errOldSchema
			}
			return fn(newTx(btx))
		})
	}
	if write && err == nil {
		s.reserve(file)
	}
	closeErr := db.Close()
	closed = true
	if err == nil && closeErr != nil {
		err = fmt.Errorf("registry %s: %w", s.path, closeErr)
	}
	return err
}

// create makes an empty database. It gets its name when it is whole and on the disk, so that no crash and no full disk
// leaves half a one; of two processes that create it the second one finds that of the first.
func (s *Store) create() (err error) {
	f, err := os.CreateTemp(s.dir, "registry-*.new")
	if err != nil {
		return err
	}
	f.Close()
	defer func() {
		if rmErr := os.Remove(f.Name()); err == nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = rmErr
		}
	}()
	db, err := bolt.Open(f.Name(), 0o600, &bolt.Options{Timeout: s.wait, NoStatistics: true})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(s.migrate), db.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), s.path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(f.Name(), s.path); err != nil { // a file system without links
			return err
		}
	}
	return syncFolder(s.dir)
}

func newTx(btx *bolt.Tx) *tx {
	t := &tx{Tx: btx}
	for _, b := range []struct {
		to   **bolt.Bucket
		name []byte
	}{
		{&t.jobs, bucketJobs}, {&t.index, bucketIndex}, {&t.changes, bucketChanges}, {&t.deleted, bucketDeleted},
		{&t.models, bucketModels}, {&t.tensors, bucketTensors}, {&t.ratings, bucketRatings},
	} {
		if *b.to = btx.Bucket(b.name); *b.to == nil {
			panic(fmt.Sprintf("bucket %q is missing", b.name)) // transact turns it into ErrCorrupt
		}
	}
	return t
}

// schema reads the version of the database, 0 for an empty one.
func (s *Store) schema(btx *bolt.Tx) (int, error) {
	meta := btx.Bucket(bucketMeta)
	if meta == nil {
		return 0, nil
	}
	v := meta.Get(keySchema)
	if len(v) != 8 {
		return 0, s.corrupt(fmt.Errorf("schema of %d bytes, want 8", len(v)))
	}
	schema := binary.BigEndian.Uint64(v)
	if schema > uint64(len(migrations)) {
		return 0, &Error{
			Kind:    ErrNewer,
			Message: fmt.Sprintf("registry %s: schema %d, this version of the program reads up to %d", s.path, schema, len(migrations)),
			hint:    "update nexus-quant, or set NEXUS_QUANT_HOME to another folder",
		}
	}
	return int(schema), nil
}

// migrate brings the database up to date.
func (s *Store) migrate(btx *bolt.Tx) error {
	schema, err := s.schema(btx)
	if err != nil || schema == len(migrations) {
		return err
	}
	for _, step := range migrations[schema:] {
		if err := step(btx); err != nil {
			return fmt.Errorf("registry %s: schema %d: %w", s.path, schema, err)
		}
		schema++
	}
	meta, err := btx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keySchema, binary.BigEndian.AppendUint64(nil, uint64(schema)))
}

// reserved is what the disk keeps for the database beyond its size. A job that stops because the disk is full has to
// write that down, on the same disk as often as not.
const reserved = 1 << 20

func (s *Store) reserve(f *os.File) {
	if info, err := f.Stat(); err == nil && info.Size() != s.kept {
		s.kept = info.Size()
		reserve(f, 0, s.kept+reserved)
	}
}

// openError says in the store's words why bbolt couldn't open the file.
func (s *Store) openError(err error) error {
	var system syscall.Errno
	switch {
	case errors.Is(err, errLocked), errors.Is(err, berrors.ErrTimeout):
		return &Error{
			Kind:    ErrBusy,
			Message: fmt.Sprintf("registry %s: locked by another process for %s", s.path, s.wait),
			hint:    "a stopped or hanging nexus-quant process may hold it; end that one",
		}
	case errors.As(err, &system): // no permission, no space, no such folder: nothing is wrong with the database
		return fmt.Errorf("registry: %w", err)
	}
	return s.corrupt(err)
}

func (s *Store) corrupt(cause error) error {
	return &Error{
		Kind:    ErrCorrupt,
		Message: fmt.Sprintf("registry %s: can't be read", s.path),
		Cause:   cause,
		hint:    fmt.Sprintf("move %s aside and start again with an empty list, or put a backup in its place; model files and unfinished work stay on the disk", s.path),
	}
}

// number is a key that sorts as the numbers do.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
