package registry

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// stranger is a process that can't be looked up, last heard of at that time.
func stranger(heard time.Time) Owner {
	return Owner{Host: "elsewhere", PID: 1, BootID: "b", ProcessStart: "1", Token: newToken(), Heartbeat: heard}
}

// give puts an active job into the hands of owner, whoever that is.
func give(tb testing.TB, s *Store, job Job, owner Owner) {
	tb.Helper()
	if err := s.update(func(t *tx) error {
		old := job
		job.Owner = &owner
		return t.putJob(&old, &job, s.utc(), true)
	}); err != nil {
		tb.Fatal(err)
	}
}

func TestWhoIsDeadAndWhoIsOnlySlow(t *testing.T) {
	me := *self(t)
	now := time.Now()
	if me.ProcessStart == "" || me.Host == "" {
		t.Fatalf("this process doesn't know itself: %+v", me)
	}
	const long = 24 * time.Hour
	for _, test := range []struct {
		name   string
		change func(*Owner)
		silent time.Duration
		alive  bool
	}{
		{"this process", func(o *Owner) {}, 0, true},
		{"this process, silent for a day", func(o *Owner) {}, long, true},
		{"its parent's number with its start: reused", func(o *Owner) { o.PID = 1 }, 0, false},
		{"its number with another start: reused", func(o *Owner) { o.ProcessStart += "0" }, 0, false},
		{"no such process", func(o *Owner) { o.PID = 1<<31 - 2 }, 0, false},
		{"before the reboot", func(o *Owner) { o.BootID = "other" }, silentReboot, false},
		{"other boot, just heard: another machine of that name", func(o *Owner) { o.BootID = "other" }, silentReboot - 1, true},
		{"other host, heard", func(o *Owner) { o.Host = "other" }, silentHost - 1, true},
		{"other host, silent", func(o *Owner) { o.Host = "other" }, silentHost, false},
		{"other host, its clock ahead", func(o *Owner) { o.Host = "other" }, -long, true},
		{"other container on this host, heard", func(o *Owner) { o.Namespace = "pid:[1]"; o.PID = 1 }, silentHost - 1, true},
		{"other container on this host, silent", func(o *Owner) { o.Namespace = "pid:[1]" }, silentHost, false},
	} {
		o := me
		o.Heartbeat = now.Add(-test.silent)
		test.change(&o)
		if got := o.aliveFor(me, now); got != test.alive {
			t.Errorf("%s: alive %v, want %v", test.name, got, test.alive)
		}
	}
}

func TestClaimIsRefusedWhileTheOwnerLives(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	for _, owner := range []Owner{*self(t), stranger(time.Now())} { // another worker of this process, another process
		_, err := s.Claim(job.ID, owner)
		wantKind(t, err, ErrOwned)
		var e *Error
		if !errors.As(err, &e) || e.Owner == nil || e.Owner.PID != job.Owner.PID || !strings.Contains(err.Error(), job.Owner.String()) {
			t.Errorf("error %v doesn't name the owner", err)
		}
	}
}

func TestClaimTakesOverFromTheDeadAndLocksThemOut(t *testing.T) {
	s := open(t)
	job := edit(t, s, claimed(t, s), func(j *Job) { j.Outputs[0].State = OutputRunning })
	dead := stranger(time.Now().Add(-silentHost))
	give(t, s, job, dead)
	got, err := s.Claim(job.ID, *self(t))
	if err != nil || got.State != Preparing || got.Attempts != 2 || got.Outputs[0].State != OutputPending {
		t.Fatalf("got %s, attempt %d, output %s, %v", got.State, got.Attempts, got.Outputs[0].State, err)
	}
	// The dead one was only slow after all.
	_, err = s.Update(job.ID, dead, func(*Job) error { return nil })
	wantKind(t, err, ErrLost)
	_, err = s.Heartbeat(job.ID, dead)
	wantKind(t, err, ErrLost)
	_, err = s.Release(job.ID, dead)
	wantKind(t, err, ErrLost)
}

func TestOneClaimOfAProcessIsNotAnother(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	first := *job.Owner
	if _, err := s.Release(job.ID, first); err != nil {
		t.Fatal(err)
	}
	job, err := s.Claim(job.ID, *self(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range []Owner{first, *self(t), {}} {
		_, err = s.Update(job.ID, owner, func(*Job) error { return nil })
		wantKind(t, err, ErrLost)
	}
	if _, err = s.Update(job.ID, *job.Owner, func(*Job) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestNextIsByPriorityThenAge(t *testing.T) {
	s := open(t)
	now := clock(s)
	var ids []string
	for _, p := range []int{0, 5, -1, 5, 0} {
		*now = now.Add(-time.Hour) // a clock that runs backwards doesn't change the order
		job, err := s.Create(Job{SourceModel: "m", Priority: p})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.ID)
	}
	for _, want := range []int{1, 3, 0, 4, 2} {
		job, err := s.ClaimNext(*self(t), 0)
		if err != nil || job.ID != ids[want] {
			t.Fatalf("got job %s, %v; want number %d", job.ID, err, want)
		}
	}
	_, err := s.ClaimNext(*self(t), 0)
	wantKind(t, err, ErrNone)
}

func TestConcurrencyCountsTheLiving(t *testing.T) {
	s := open(t)
	mine, dead := claimed(t, s), claimed(t, s)
	give(t, s, dead, stranger(time.Now().Add(-silentHost)))
	into(t, s, Queued)
	_, err := s.ClaimNext(*self(t), 1)
	wantKind(t, err, ErrNone)
	if _, err := s.ClaimNext(*self(t), 2); err != nil {
		t.Errorf("one of two lives, %s: %v", mine.ID, err)
	}
}

func TestManyWorkersOfOneProcessTakeEachJobOnce(t *testing.T) {
	s := open(t)
	const jobs = 20
	for range jobs {
		into(t, s, Queued)
	}
	var mu sync.Mutex
	taken := make(map[string]int)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				job, err := s.ClaimNext(*self(t), 0)
				if errors.Is(err, ErrNone) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				taken[job.ID]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for id, n := range taken {
		if n != 1 {
			t.Errorf("job %s was taken %d times", id, n)
		}
	}
	if len(taken) != jobs {
		t.Errorf("%d jobs were taken, want %d", len(taken), jobs)
	}
}

func TestHeartbeatBringsTheWishToCancel(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	if wanted, err := s.Heartbeat(job.ID, *job.Owner); err != nil || wanted {
		t.Fatalf("got %v, %v", wanted, err)
	}
	if got, err := s.RequestCancel(job.ID); err != nil || !got.CancelRequested || got.State != Preparing {
		t.Fatalf("got %+v, %v", got, err)
	}
	if wanted, err := s.Heartbeat(job.ID, *job.Owner); err != nil || !wanted {
		t.Errorf("got %v, %v", wanted, err)
	}
	if got := edit(t, s, job, func(j *Job) { j.Step = "x" }); !got.CancelRequested {
		t.Error("an update lost the wish")
	}
}

func TestHeartbeatIsWrittenOnceASecond(t *testing.T) {
	s := open(t)
	now := clock(s)
	job := claimed(t, s)
	before := job.Version
	beat := func() time.Time {
		t.Helper()
		if _, err := s.Heartbeat(job.ID, *job.Owner); err != nil {
			t.Fatal(err)
		}
		got, err := s.Job(job.ID)
		if err != nil || got.Version != before {
			t.Fatalf("version %d, %v: a heartbeat is no change", got.Version, err)
		}
		return got.Owner.Heartbeat
	}
	first := beat()
	*now = now.Add(beatEvery - 1)
	if got := beat(); !got.Equal(first) {
		t.Errorf("written at %s already", got)
	}
	*now = now.Add(1)
	if got := beat(); !got.Equal(*now) {
		t.Errorf("heartbeat %s, want %s", got, *now)
	}
	*now = now.Add(-time.Hour) // the clock was set back: what the store holds lies in the future
	if got := beat(); !got.Equal(*now) {
		t.Errorf("heartbeat %s, want %s", got, *now)
	}
}

func TestAWishToCancelIsFinal(t *testing.T) {
	for _, test := range []struct {
		name string
		end  State
		want State
	}{
		{"stopped", Interrupted, Cancelled},
		{"failed", Failed, Cancelled},
		{"cancelled", Cancelled, Cancelled},
		{"was faster: its files are there", Completed, Completed},
	} {
		s := open(t)
		job := claimed(t, s)
		if _, err := s.RequestCancel(job.ID); err != nil {
			t.Fatal(err)
		}
		got := edit(t, s, job, func(j *Job) {
			j.State, j.Resumable = test.end, true
			for i := range j.Outputs {
				if test.end == Completed {
					j.Outputs[i].State = OutputCompleted
				}
			}
		})
		if got.State != test.want || got.Resumable || got.CancelRequested {
			t.Errorf("%s: %s, resumable %v, still wanted %v", test.name, got.State, got.Resumable, got.CancelRequested)
		}
		_, err := s.Claim(job.ID, *self(t))
		wantKind(t, err, ErrEnded)
	}
}

func TestCancelOfADeadOwnersJobIsAtOnce(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	give(t, s, job, stranger(time.Now().Add(-silentHost)))
	got, err := s.RequestCancel(job.ID[:9])
	if err != nil || got.State != Cancelled || got.Owner != nil || got.Outputs[0].State != OutputCancelled {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSweepTakesFromTheDeadOnly(t *testing.T) {
	s := open(t)
	alive, slow, dead, unwanted := claimed(t, s), claimed(t, s), claimed(t, s), claimed(t, s)
	into(t, s, Queued)
	into(t, s, Completed)
	give(t, s, slow, stranger(time.Now().Add(-silentHost+time.Minute)))
	give(t, s, dead, stranger(time.Now().Add(-silentHost)))
	if _, err := s.RequestCancel(unwanted.ID); err != nil {
		t.Fatal(err)
	}
	unwanted, _ = s.Job(unwanted.ID)
	give(t, s, unwanted, stranger(time.Now().Add(-silentHost)))

	swept, err := s.Sweep()
	if err != nil || len(swept) != 2 || swept[0].ID != dead.ID || swept[1].ID != unwanted.ID {
		t.Fatalf("swept %+v, %v", swept, err)
	}
	if !swept[0].Abandoned || swept[1].Abandoned {
		t.Errorf("abandoned: %v and %v, want the interrupted one", swept[0].Abandoned, swept[1].Abandoned)
	}
	for id, want := range map[string]State{alive.ID: Preparing, slow.ID: Preparing, dead.ID: Interrupted, unwanted.ID: Cancelled} {
		if got, err := s.Job(id); err != nil || got.State != want {
			t.Errorf("job %s is %s, %v; want %s", id, got.State, err, want)
		}
	}
	if swept, err := s.Sweep(); err != nil || len(swept) != 0 {
		t.Errorf("swept again: %v, %v", swept, err)
	}
}

func TestAbandonedIsWhatNobodyStopped(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	if job, err := s.Release(job.ID, *job.Owner); err != nil || job.Abandoned {
		t.Errorf("stopped: abandoned %v, %v", job.Abandoned, err)
	}
	for _, again := range []func(string) (Job, error){
		s.Resume, func(id string) (Job, error) { return s.Retry(id, anyOutput, nil) }, func(id string) (Job, error) { return s.Claim(id, *self(t)) },
	} {
		job := claimed(t, s)
		give(t, s, job, stranger(time.Now().Add(-silentHost)))
		if _, err := s.Sweep(); err != nil {
			t.Fatal(err)
		}
		if job, err := s.Job(job.ID); err != nil || !job.Abandoned {
			t.Errorf("swept: abandoned %v, %v", job.Abandoned, err)
		}
		if job, err := again(job.ID); err != nil || job.Abandoned {
			t.Errorf("taken up: abandoned %v, %v", job.Abandoned, err)
		}
	}
}

func TestAnAttemptTriesAllThatIsNotCompleted(t *testing.T) {
	s := open(t)
	for _, again := range []func(string) (Job, error){
		s.Resume, func(id string) (Job, error) { return s.Claim(id, *self(t)) },
	} {
		job := edit(t, s, claimed(t, s), func(j *Job) {
			j.State, j.Resumable, j.Error = Failed, true, "disk full"
			j.Outputs[0].State = OutputCompleted
			j.Outputs[1].State, j.Outputs[1].Error, j.Outputs[1].BytesDone = OutputFailed, "disk full", 7
		})
		job, err := again(job.ID)
		if err != nil {
			t.Fatal(err)
		}
		if o := job.Outputs[1]; job.Outputs[0].State != OutputCompleted || o.State != OutputPending || o.Error != "" || o.Ended != nil || o.BytesDone != 7 {
			t.Errorf("outputs %+v", job.Outputs)
		}
	}
}
