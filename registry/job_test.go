package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// claimed creates a job with outputs a and b in the hands of this process.
func claimed(tb testing.TB, s *Store) Job {
	tb.Helper()
	job, err := s.Create(Job{Name: "n", SourceModel: "org/model", Owner: self(tb), Outputs: []Output{{ID: "a"}, {ID: "b"}}})
	if err != nil {
		tb.Fatal(err)
	}
	return job
}

// edit updates a job that must be in the caller's hands.
func edit(tb testing.TB, s *Store, job Job, change func(*Job)) Job {
	tb.Helper()
	job, err := s.Update(job.ID, *job.Owner, func(j *Job) error { change(j); return nil })
	if err != nil {
		tb.Fatal(err)
	}
	return job
}

// into brings a new job into a state.
func into(tb testing.TB, s *Store, state State) Job {
	tb.Helper()
	if state == Queued {
		job, err := s.Create(Job{SourceModel: "org/model", Outputs: []Output{{ID: "a"}, {ID: "b"}}})
		if err != nil {
			tb.Fatal(err)
		}
		return job
	}
	job := claimed(tb, s)
	if state == Preparing {
		return job
	}
	return edit(tb, s, job, func(j *Job) {
		j.State = state
		if state == Completed {
			j.Outputs[0].State, j.Outputs[1].State = OutputCompleted, OutputFailed
		}
	})
}

// TestOnlyTheWaysBetweenStatesAreOpen tries every pair of states.
func TestOnlyTheWaysBetweenStatesAreOpen(t *testing.T) {
	active := []State{Downloading, Preparing, Quantizing}
	s := open(t)
	for _, from := range active {
		for _, to := range append(States(), "unheard of") {
			job := into(t, s, from)
			got, err := s.Update(job.ID, *job.Owner, func(j *Job) error {
				j.State = to
				for i := range j.Outputs {
					j.Outputs[i].State = OutputCompleted
				}
				return nil
			})
			if want := to != Queued && to.Valid(); want != (err == nil) {
				t.Errorf("%s to %q: error %v", from, to, err)
				continue
			} else if !want {
				wantKind(t, err, ErrState)
				if now, _ := s.Job(job.ID); now.State != from || now.Outputs[0].State != OutputPending {
					t.Errorf("%s to %q: refused, but the job is %s, its output %s", from, to, now.State, now.Outputs[0].State)
				}
				continue
			}
			if (got.Owner != nil) != to.Active() || (got.Ended != nil) != to.Ended() {
				t.Errorf("%s to %s: owner %v, ended %v", from, to, got.Owner, got.Ended)
			}
			if to.Active() {
				continue
			}
			_, err = s.Update(job.ID, *job.Owner, func(j *Job) error { return nil })
			wantKind(t, err, ErrLost)
			_, err = s.Heartbeat(job.ID, *job.Owner)
			wantKind(t, err, ErrLost)
		}
	}
}

// TestWhatMayBeDoneToAJobInEachState is the table of all that others than the owner do.
func TestWhatMayBeDoneToAJobInEachState(t *testing.T) {
	const resumable State = "failed, resumable"
	all := append(States(), resumable)
	s := open(t)
	for _, test := range []struct {
		name   string
		do     func(id string) (Job, error)
		opens  map[State]State // from these to those
		refuse map[State]error // the rest
	}{
		{"Claim", func(id string) (Job, error) { return s.Claim(id, *self(t)) },
			map[State]State{Queued: Preparing, Interrupted: Preparing, resumable: Preparing},
			map[State]error{Downloading: ErrOwned, Preparing: ErrOwned, Quantizing: ErrOwned, Completed: ErrEnded, Failed: ErrEnded, Cancelled: ErrEnded}},
		{"RequestCancel", s.RequestCancel,
			map[State]State{Queued: Cancelled, Interrupted: Cancelled, resumable: Cancelled,
				Downloading: Downloading, Preparing: Preparing, Quantizing: Quantizing},
			map[State]error{Completed: ErrEnded, Failed: ErrEnded, Cancelled: ErrEnded}},
		{"Resume", s.Resume,
			map[State]State{Queued: Queued, Interrupted: Queued, resumable: Queued},
			map[State]error{Downloading: ErrActive, Preparing: ErrActive, Quantizing: ErrActive, Completed: ErrEnded, Failed: ErrEnded, Cancelled: ErrEnded}},
		{"Retry", func(id string) (Job, error) { return s.Retry(id, anyOutput, nil) },
			map[State]State{Queued: Queued, Interrupted: Queued, resumable: Queued, Completed: Queued, Failed: Queued, Cancelled: Queued},
			map[State]error{Downloading: ErrActive, Preparing: ErrActive, Quantizing: ErrActive}},
		{"Delete", s.Delete,
			map[State]State{Queued: Queued, Interrupted: Interrupted, resumable: Failed, Completed: Completed, Failed: Failed, Cancelled: Cancelled},
			map[State]error{Downloading: ErrActive, Preparing: ErrActive, Quantizing: ErrActive}},
	} {
		for _, from := range all {
			t.Run(fmt.Sprintf("%s/%s", test.name, from), func(t *testing.T) {
				var job Job
				if from == resumable {
					job = edit(t, s, claimed(t, s), func(j *Job) {
						j.State, j.Resumable, j.Missing, j.Error = Failed, true, 7, "disk full"
					})
				} else {
					job = into(t, s, from)
				}
				got, err := test.do(job.ID)
				if kind, refused := test.refuse[from]; refused {
					wantKind(t, err, kind)
					if now, _ := s.Job(job.ID); now.Version != job.Version {
						t.Errorf("refused, but the job changed: %+v", now)
					}
					return
				}
				want, ok := test.opens[from]
				if !ok {
					t.Fatal("the table lacks this state")
				}
				if err != nil || got.State != want {
					t.Fatalf("got %q, %v; want %s", got.State, err, want)
				}
				if test.name == "Delete" {
					_, err := s.Job(job.ID)
					wantKind(t, err, ErrNotFound)
					return
				}
				if now, err := s.Job(job.ID); err != nil || now.State != want {
					t.Errorf("the store has %q, %v", now.State, err)
				}
				if got.Missing != 0 && want != Cancelled {
					t.Errorf("%d bytes are still missing", got.Missing)
				}
			})
		}
	}
}

func TestProgressNeverFalls(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	for i, step := range []struct {
		done, total, wantDone int64
		want                  float64
	}{
		{0, 0, 0, 0},
		{10, 0, 10, 0},    // the total isn't known yet
		{50, 100, 50, 50}, // now it is
		{40, 100, 50, 50}, // an older figure
		{50, 200, 50, 50}, // the download turned out to be longer
		{120, 200, 120, 60},
		{0, 0, 120, 60}, // a new step that counts nothing yet
		{300, 200, 300, 100},
	} {
		job = edit(t, s, job, func(j *Job) {
			j.State = Quantizing
			j.BytesDone, j.BytesTotal, j.Progress = step.done, step.total, -1
			j.Outputs[0].BytesDone, j.Outputs[0].BytesTotal, j.Outputs[0].Progress = step.done, step.total, 99
		})
		o := job.Outputs[0]
		if job.BytesDone != step.wantDone || job.Progress != step.want || o.BytesDone != step.wantDone || o.Progress != step.want {
			t.Errorf("step %d: job %d bytes, %v %%, output %d bytes, %v %%; want %d, %v",
				i, job.BytesDone, job.Progress, o.BytesDone, o.Progress, step.wantDone, step.want)
		}
	}
	// Neither in the next attempt that goes on with the work, but when it starts from the beginning.
	if _, err := s.Release(job.ID, *job.Owner); err != nil {
		t.Fatal(err)
	}
	job, err := s.Claim(job.ID, *self(t))
	if err != nil {
		t.Fatal(err)
	}
	if job = edit(t, s, job, func(j *Job) { j.BytesDone = 1 }); job.BytesDone != 300 || job.Progress != 100 || job.Attempts != 2 {
		t.Errorf("resumed: %d bytes, %v %%, attempt %d", job.BytesDone, job.Progress, job.Attempts)
	}
	edit(t, s, job, func(j *Job) { j.State = Failed })
	if job, err = s.Retry(job.ID, anyOutput, nil); err != nil || job.BytesDone != 0 || job.Progress != 0 || job.Outputs[0].BytesDone != 0 {
		t.Errorf("retried: %d bytes, %v %%, error %v", job.BytesDone, job.Progress, err)
	}
}

func TestOutputsFollowTheirJob(t *testing.T) {
	for _, test := range []struct {
		name      string
		end       State
		resumable bool
		want      [4]OutputState // of outputs that were pending, running, completed, failed
	}{
		{"interrupted", Interrupted, false, [4]OutputState{OutputPending, OutputPending, OutputCompleted, OutputFailed}},
		{"failed, resumable", Failed, true, [4]OutputState{OutputPending, OutputPending, OutputCompleted, OutputFailed}},
		{"failed", Failed, false, [4]OutputState{OutputCancelled, OutputFailed, OutputCompleted, OutputFailed}},
		{"cancelled", Cancelled, false, [4]OutputState{OutputCancelled, OutputCancelled, OutputCompleted, OutputFailed}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			job, err := s.Create(Job{SourceModel: "m", Owner: self(t), Outputs: []Output{{ID: "p"}, {ID: "r"}, {ID: "c"}, {ID: "f"}}})
			if err != nil {
				t.Fatal(err)
			}
			job = edit(t, s, job, func(j *Job) {
				j.State = Quantizing
				j.Outputs[1].State, j.Outputs[2].State, j.Outputs[3].State = OutputRunning, OutputCompleted, OutputFailed
				j.Outputs[3].Error = "its own"
			})
			job = edit(t, s, job, func(j *Job) { j.State, j.Resumable, j.Error = test.end, test.resumable, "the reason" })
			for i, o := range job.Outputs {
				if o.State != test.want[i] || (o.Ended != nil) != o.State.Ended() {
					t.Errorf("output %s is %s, ended %v; want %s", o.ID, o.State, o.Ended, test.want[i])
				}
			}
			if o := job.Outputs[1]; o.State == OutputFailed && o.Error != "the reason" {
				t.Errorf("the running output failed with %q", o.Error)
			}
			if job.Outputs[3].Error != "its own" {
				t.Errorf("the failed output lost its error: %q", job.Outputs[3].Error)
			}
		})
	}
}

func anyOutput(Output) bool { return true }
func noOutput(Output) bool  { return false }

func TestRetryKeepsCompletedOutputsThatAreThere(t *testing.T) {
	s := open(t)
	finish := func(end State, b OutputState, kept func(Output) bool) Job {
		job := edit(t, s, claimed(t, s), func(j *Job) {
			j.State = end
			j.Outputs[0].State, j.Outputs[0].SHA256, j.Outputs[0].BytesDone = OutputCompleted, "aa", 5
			j.Outputs[1].State, j.Outputs[1].Error, j.Outputs[1].BytesDone = b, "broken", 3
		})
		job, err := s.Retry(job.ID, kept, []byte(`{"new":true}`))
		if err != nil {
			t.Fatal(err)
		}
		if string(job.Request) != `{"new":true}` {
			t.Errorf("request %s", job.Request)
		}
		if job.State != Queued || job.Ended != nil || job.Error != "" {
			t.Errorf("retried %s: %s, ended %v, error %q", end, job.State, job.Ended, job.Error)
		}
		if o := job.Outputs[1]; o.State != OutputPending || o.Error != "" || o.BytesDone != 0 || o.Ended != nil {
			t.Errorf("retried %s: output %+v", end, o)
		}
		return job
	}
	if job := finish(Failed, OutputFailed, anyOutput); job.Outputs[0].State != OutputCompleted || job.Outputs[0].SHA256 != "aa" || job.BytesDone != 5 {
		t.Errorf("of a failed job: output %+v, %d bytes", job.Outputs[0], job.BytesDone)
	}
	if job := finish(Completed, OutputFailed, noOutput); job.Outputs[0].State != OutputPending || job.Outputs[0].SHA256 != "" {
		t.Errorf("of a file that is gone: output %+v", job.Outputs[0])
	}
}

func TestUpdateRefusesWhatBreaksARule(t *testing.T) {
	s := open(t)
	job := edit(t, s, claimed(t, s), func(j *Job) { j.Outputs[0].State = OutputCompleted; j.Outputs[1].State = OutputRunning })
	boom := errors.New("boom")
	for _, test := range []struct {
		name string
		kind error
		do   func(*Job) error
	}{
		{"an error of its own", boom, func(j *Job) error { j.Name = "changed"; return boom }},
		{"completed with a running output", ErrState, func(j *Job) error { j.State = Completed; return nil }},
		{"a completed output runs again", ErrState, func(j *Job) error { j.Outputs[0].State = OutputRunning; return nil }},
		{"a completed output disappears", ErrState, func(j *Job) error { j.Outputs = j.Outputs[1:]; return nil }},
		{"a running output disappears", ErrState, func(j *Job) error { j.Outputs = j.Outputs[:1]; return nil }},
		{"an output stands there twice", ErrInvalid, func(j *Job) error { j.Outputs = append(j.Outputs, j.Outputs[0]); return nil }},
		{"an output without ID", ErrInvalid, func(j *Job) error { j.Outputs = append(j.Outputs, Output{}); return nil }},
		{"an output in no state", ErrInvalid, func(j *Job) error { j.Outputs = append(j.Outputs, Output{ID: "c", State: "x"}); return nil }},
		{"too many outputs", ErrInvalid, func(j *Job) error {
			for i := range maxOutputs {
				j.Outputs = append(j.Outputs, Output{ID: fmt.Sprint(i)})
			}
			return nil
		}},
		{"negative bytes", ErrInvalid, func(j *Job) error { j.BytesTotal = -1; return nil }},
		{"negative bytes of an output", ErrInvalid, func(j *Job) error { j.Outputs[1].Bytes = -1; return nil }},
		{"no source", ErrInvalid, func(j *Job) error { j.SourceModel = ""; return nil }},
		{"long name", ErrInvalid, func(j *Job) error { j.Name = strings.Repeat("x", maxName+1); return nil }},
		{"name that is no text", ErrInvalid, func(j *Job) error { j.Name = "\xff"; return nil }},
		{"path that is no text", ErrInvalid, func(j *Job) error { j.Outputs[1].Path = "/\xff"; return nil }},
		{"request that is no JSON", ErrInvalid, func(j *Job) error { j.Request = json.RawMessage("{"); return nil }},
		{"estimate that is no JSON", ErrInvalid, func(j *Job) error { j.Estimate = json.RawMessage("x"); return nil }},
		{"record as long as a book", ErrInvalid, func(j *Job) error { j.Error = strings.Repeat("x", maxRecord); return nil }},
		{"priority out of range", ErrInvalid, func(j *Job) error { j.Priority = math.MaxInt; return nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Update(job.ID, *job.Owner, test.do)
			wantKind(t, err, test.kind)
			if now, err := s.Job(job.ID); err != nil || now.Version != job.Version || now.Name != "n" {
				t.Errorf("refused, but the record changed: %+v, %v", now, err)
			}
		})
	}
}

func TestUpdateKeepsWhatIsTheRegistrysOwn(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	id, owner := job.ID, *job.Owner
	got, err := s.Update(id, owner, func(j *Job) error {
		j.ID, j.Number, j.Attempts, j.Owner, j.CancelRequested = NewID(), 99, 99, nil, true
		j.Created, j.Started, j.Ended = time.Time{}, nil, &time.Time{}
		j.BytesPerSecond, j.ETASeconds = math.NaN(), math.Inf(1)
		j.Outputs[0].Created, j.Outputs[0].RMSE = time.Time{}, math.NaN()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Number != job.Number || got.Attempts != 1 || !got.Owner.is(owner) || got.CancelRequested ||
		!got.Created.Equal(job.Created) || got.Started == nil || got.Ended != nil || !got.Outputs[0].Created.Equal(job.Created) {
		t.Errorf("got %+v", got)
	}
	if got.BytesPerSecond != 0 || got.ETASeconds != 0 || got.Outputs[0].RMSE != 0 {
		t.Errorf("figures that JSON can't hold: %v %v %v", got.BytesPerSecond, got.ETASeconds, got.Outputs[0].RMSE)
	}
}

func TestPanicInUpdateIsTheCallersOwn(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("recovered %v", p)
			}
		}()
		s.Update(job.ID, *job.Owner, func(j *Job) error { j.Name = "changed"; panic("mine") })
	}()
	if now, err := s.Job(job.ID); err != nil || now.Name != "n" {
		t.Errorf("after it: name %q, %v", now.Name, err)
	}
}

func TestIDsAreRandomUUIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := NewID()
		if !ValidID(id) || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || seen[id] {
			t.Fatalf("ID %q", id)
		}
		seen[id] = true
	}
	for _, bad := range []string{
		"", "x", "1F0C0000-0000-4000-8000-000000000000", "1f0c0000-0000-4000-8000-0000000000000",
		"../../../../../../../../etc/passwd00", "1f0c0000/0000-4000-8000-000000000000", "1f0c0000-0000-4000-8000-00000000000\x00",
	} {
		if ValidID(bad) {
			t.Errorf("%q passes for an ID", bad)
		}
		_, err := open(t).Log(bad)
		wantKind(t, err, ErrInvalid)
	}
}

func TestStatesAreSorted(t *testing.T) {
	for _, s := range States() {
		if s.Active() && s.Ended() || !s.Valid() {
			t.Errorf("state %s: active %v, ended %v, valid %v", s, s.Active(), s.Ended(), s.Valid())
		}
	}
	if State("").Valid() || slices.Contains(States(), "") {
		t.Error("the empty state is valid")
	}
}

func FuzzJobRecord(f *testing.F) {
	good, err := encodeJob(&Job{ID: NewID(), SourceModel: "org/model", State: Queued, Outputs: []Output{{ID: "a", State: OutputPending}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`{"v":1,"state":"quantizing","owner":null}`))
	f.Add([]byte(`{"v":1,"outputs":[{"id":"a"},{"id":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		job, err := decodeJob(data)
		if err != nil {
			return
		}
		again, err := encodeJob(&job)
		if err != nil {
			t.Fatalf("read, but can't be written: %v", err)
		}
		twice, err := decodeJob(again)
		if err != nil || twice.ID != job.ID || twice.State != job.State || len(twice.Outputs) != len(job.Outputs) {
			t.Fatalf("written again it reads %+v, %v", twice, err)
		}
		_ = indexEntry(&job)
	})
}
