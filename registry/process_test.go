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

func workForEver(string) error           { return nil }
func appendForEver(string, string) error { return nil }
