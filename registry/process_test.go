package registry

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The tests of this file start the test binary again, as other processes that share the store.
const (
	envRole = "REGISTRY_TEST_ROLE"
	envDir  = "REGISTRY_TEST_DIR"
	envArg  = "REGISTRY_TEST_ARG"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "hammer":
		err = hammer(os.Getenv(envDir), os.Getenv(envArg))
	case "work":
		err = workForEver(os.Getenv(envDir))
	case "append":
		err = appendForEver(os.Getenv(envDir), os.Getenv(envArg))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(t *testing.T, role, dir, arg string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"="+role, envDir+"="+dir, envArg+"="+arg)
	cmd.Stderr = os.Stderr
	return cmd
}

// tally is what one process of the hammering did, and the longest that one call took it.
type tally struct {
	Updates map[string]int64
	Created int
	Lines   int
	Calls   int
	Longest time.Duration
	Slowest string
}

func hammer(dir, logID string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	log, err := s.Log(logID)
	if err != nil {
		return err
	}
	me, err := Self()
	if err != nil {
		return err
	}
	sum := tally{Updates: map[string]int64{}}
	call := func(name string, fn func() error) error {
		begin := time.Now()
		err := fn()
		if d := time.Since(begin); d > sum.Longest {
			sum.Longest, sum.Slowest = d, name
		}
		sum.Calls++
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	for end := time.Now().Add(hammerTime()); time.Now().Before(end); {
		var job Job
		err := call("ClaimNext", func() error { job, err = s.ClaimNext(me, 0); return err })
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return err
		}
		// While this process owns the job nobody else may pass here.
		gate := filepath.Join(dir, "gate-"+job.ID)
		f, err := os.OpenFile(gate, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("two own job %s: %w", job.ID, err)
		}
		f.Close()
		for range 1 + rand.IntN(5) {
			if err := call("Update", func() error {
				_, err := s.Update(job.ID, *job.Owner, func(j *Job) error { j.BytesDone++; return nil })
				return err
			}); err != nil {
				return err
			}
			sum.Updates[job.ID]++
		}
		if err := call("Heartbeat", func() error { _, err := s.Heartbeat(job.ID, *job.Owner); return err }); err != nil {
			return err
		}
		if err := call("Append", func() error { return log.Print(slog.LevelInfo, "worked", "pid", me.PID) }); err != nil {
			return err
		}
		sum.Lines++
		if rand.IntN(8) == 0 {
			if err := call("Compress", log.Compress); err != nil {
				return err
			}
		}
		if err := call("Sweep", func() error {
			swept, err := s.Sweep()
			if len(swept) > 0 {
				return fmt.Errorf("took %d jobs from living processes", len(swept))
			}
			return err
		}); err != nil {
			return err
		}
		var own Job
		if err := call("Create", func() error { own, err = s.Create(Job{SourceModel: "org/model", Owner: &me}); return err }); err != nil {
			return err
		}
		if err := call("Update", func() error {
			_, err := s.Update(own.ID, *own.Owner, func(j *Job) error { j.State = Completed; return nil })
			return err
		}); err != nil {
			return err
		}
		sum.Created++
		if err := os.Remove(gate); err != nil {
			return err
		}
		if err := call("Release", func() error { _, err := s.Release(job.ID, *job.Owner); return err }); err != nil {
			return err
		}
		if err := call("Resume", func() error { _, err := s.Resume(job.ID); return err }); err != nil {
			return err
		}
		if err := call("Jobs", func() error { _, _, err := s.Jobs(Filter{Limit: 20}); return err }); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(sum)
}

func hammerTime() time.Duration {
	if os.Getenv("REGISTRY_TEST_SHORT") != "" {
		return 500 * time.Millisecond
	}
	return 2 * time.Second
}

func TestTenProcessesShareOneStore(t *testing.T) {
	if testing.Short() {
		t.Setenv("REGISTRY_TEST_SHORT", "1")
	}
	s := open(t)
	log := newLog(t, s)
	logID := filepath.Base(log.plain)[:36]
	const processes, jobs = 10, 4
	for range jobs {
		if _, err := s.Create(Job{SourceModel: "org/model"}); err != nil {
			t.Fatal(err)
		}
	}
	var all []*exec.Cmd
	var outs []*bufio.Reader
	for range processes {
		cmd := start(t, "hammer", s.Dir(), logID)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all, outs = append(all, cmd), append(outs, bufio.NewReader(out))
	}
	total := tally{Updates: map[string]int64{}}
	for i, cmd := range all {
		var sum tally
		if err := json.NewDecoder(outs[i]).Decode(&sum); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		for id, n := range sum.Updates {
			total.Updates[id] += n
		}
		total.Created += sum.Created
		total.Lines += sum.Lines
		total.Calls += sum.Calls
		if sum.Longest > total.Longest {
			total.Longest, total.Slowest = sum.Longest, sum.Slowest
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("%d calls, the longest %s (%s)", total.Calls, total.Longest, total.Slowest)
	if total.Longest > time.Second {
		t.Errorf("a call of %s took %s, want less than a second", total.Slowest, total.Longest)
	}
	list, n, err := s.Jobs(Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if n != jobs+total.Created {
		t.Errorf("%d jobs, want %d: a Create was lost", n, jobs+total.Created)
	}
	for _, j := range list {
		if j.BytesDone != total.Updates[j.ID] {
			t.Errorf("job %s: %d updates, want %d: some were lost", j.ID, j.BytesDone, total.Updates[j.ID])
		}
	}
	var seq uint64
	for e, err := range log.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		if seq++; e.Seq != seq {
			t.Fatalf("event %d follows %d", e.Seq, seq-1)
		}
	}
	if int(seq) != total.Lines {
		t.Errorf("%d events, want %d", seq, total.Lines)
	}
}

// workForEver claims the queued job, updates it without end, and says after each update how far it is.
func workForEver(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	me, err := Self()
	if err != nil {
		return err
	}
	job, err := s.ClaimNext(me, 0)
	if err != nil {
		return err
	}
	for {
		job, err = s.Update(job.ID, *job.Owner, func(j *Job) error {
			j.State, j.Step = Quantizing, strings.Repeat("x", rand.IntN(20_000))
			j.Outputs[0].State = OutputRunning
			j.BytesDone++
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Println(job.BytesDone)
	}
}

// appendForEver writes long lines into the log of a job and compresses it now and then; it says which are written.
func appendForEver(dir, id string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	log, err := s.Log(id)
	if err != nil {
		return err
	}
	for {
		e, err := log.Append(Event{Type: "log", Message: strings.Repeat("x", rand.IntN(100_000))})
		if err != nil {
			return err
		}
		fmt.Println(e.Seq)
		if rand.IntN(20) == 0 {
			if err := log.Compress(); err != nil {
				return err
			}
		}
	}
}

// killed starts a process in a role, kills it at a random moment after its first word, and returns the last number
// that it said. It doesn't wait for the process, which stays a zombie until the test ends: so does one in a container
// whose first process never waits.
func killed(t *testing.T, role, dir, arg string) (said int64) {
	t.Helper()
	cmd := start(t, role, dir, arg)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		first := said == 0
		if _, err := fmt.Sscan(lines.Text(), &said); err != nil {
			t.Fatal(err)
		}
		if first {
			time.AfterFunc(time.Duration(rand.IntN(int(60*time.Millisecond))), func() { cmd.Process.Kill() })
		}
	}
	if said == 0 {
		t.Fatalf("the process said nothing: %v", cmd.Wait())
	}
	return said
}

func TestKilledInTheMiddleOfUpdatesTheStoreIsGood(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	s := open(t)
	job, err := s.Create(Job{SourceModel: "org/model", Outputs: []Output{{ID: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		said := killed(t, "work", s.Dir(), "")
		// Its pipe is closed, so it is dead or dying; it takes a moment until the system says so.
		var swept []Job
		for end := time.Now().Add(5 * time.Second); len(swept) == 0 && time.Now().Before(end); {
			if swept, err = s.Sweep(); err != nil {
				t.Fatal(err)
			}
		}
		if len(swept) != 1 || swept[0].ID != job.ID || swept[0].State != Interrupted || swept[0].Outputs[0].State != OutputPending {
			t.Fatalf("round %d: swept %+v", round, swept)
		}
		// What it said was on the disk; one more update may be, that it had no time to speak of.
		if got := swept[0].BytesDone; got < said || got > said+1 {
			t.Fatalf("round %d: %d updates are there, it said %d", round, got, said)
		}
		if got := swept[0].Attempts; got != round+1 {
			t.Errorf("round %d: %d attempts", round, got)
		}
		if _, err := s.Resume(job.ID); err != nil {
			t.Fatal(err)
		}
		checkPages(t, s)
	}
}

// checkPages runs bbolt's own check of every page.
func checkPages(t *testing.T, s *Store) {
	t.Helper()
	if err := s.view(func(tx *tx) error {
		var errs []error
		for err := range tx.Check() {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
}

func TestKilledInTheMiddleOfAppendsTheLogIsGood(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	s := open(t)
	log := newLog(t, s)
	for round := range rounds {
		said := killed(t, "append", s.Dir(), filepath.Base(log.plain)[:36])
		say(t, log, "survivor")
		var last Event
		for e, err := range log.Events(0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Seq != last.Seq+1 {
				t.Fatalf("round %d: event %d follows %d", round, e.Seq, last.Seq)
			}
			last = e
		}
		if last.Message != "survivor" || int64(last.Seq) < said+1 || int64(last.Seq) > said+2 {
			t.Fatalf("round %d: the last event is %d %q, the dead one said %d", round, last.Seq, last.Message, said)
		}
	}
}
