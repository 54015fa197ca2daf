package registry

import (
	"encoding/json"
	"fmt"
	"time"
)

// claim puts the job into the hands of owner.
func (j *Job) claim(owner Owner, now time.Time) {
	owner.Token, owner.Heartbeat = newToken(), now
	j.Owner = &owner
	j.State, j.Step, j.CancelRequested = Preparing, "", false
	j.Error, j.Hint, j.Resumable, j.Missing = "", "", false, 0
	j.Abandoned = false
	j.reopen()
	j.Attempts++
	j.Ended = nil
	if j.Started == nil {
		j.Started = &now
	}
}

// Claim takes a job for owner, see [Self]: a queued one, an interrupted one, a failed one that is resumable, or one
// whose owner is dead. The job is then in state preparing, and job.Owner is what Update, Heartbeat and Release ask for.
//
// Errors: ErrNotFound, ErrAmbiguous, ErrOwned when a living process has it (this one included), ErrEnded.
func (s *Store) Claim(idOrPrefix string, owner Owner) (job Job, err error) {
	now := s.utc()
	err = s.update(func(t *tx) error {
		if job, err = s.find(t, idOrPrefix); err != nil {
			return err
		}
		if job.Owner != nil && job.Owner.aliveFor(owner, now) {
			return &Error{
				Kind:    ErrOwned,
				Message: fmt.Sprintf("job %s: %s works on it", job.ID, job.Owner),
				Owner:   job.Owner,
			}
		}
		old := job
		if job.State.Active() {
			job.orphan(now)
		}
		if !job.claimable() {
			return &Error{
				Kind:    ErrEnded,
				Message: fmt.Sprintf("job %s: is %s", job.ID, job.State),
				hint:    "retry it to start from the beginning",
			}
		}
		job.claim(owner, now)
		return t.putJob(&old, &job, now, true)
	})
	if err != nil {
		return Job{}, err
	}
	return job, nil
}

// ClaimNext takes the queued job with the highest priority, the oldest of these, unless already concurrent jobs are
// being worked on by living processes (0: no limit).
//
// Errors: ErrNone when there is nothing to take.
func (s *Store) ClaimNext(owner Owner, concurrent int) (job Job, err error) {
	now := s.utc()
	err = s.update(func(t *tx) error {
		var best entry
		running := 0
		c := t.index.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			e, err := s.entry(v)
			if err != nil {
				return err
			}
			switch state := e.state(); {
			case state.Active():
				other, err := s.jobAt(t, e)
				if err != nil {
					return err
				}
				if other.Owner.aliveFor(owner, now) {
					running++
				}
			case state == Queued && (best.id == nil || e.priority > best.priority):
				best = e
			}
		}
		if concurrent > 0 && running >= concurrent {
			return errorf(ErrNone, "%d jobs are running, the limit is %d", running, concurrent)
		}
		if best.id == nil {
			return errorf(ErrNone, "no job is queued")
		}
		if job, err = s.jobAt(t, best); err != nil {
			return err
		}
		old := job
		job.claim(owner, now)
		return t.putJob(&old, &job, now, true)
	})
	if err != nil {
		return Job{}, err
	}
	return job, nil
}

// Update changes a job in one transaction. owner is the *job.Owner that Claim returned. change gets the latest record;
// it must be quick and must not call the store. What breaks a rule is refused and leaves the record as it was. Bytes
// and progress never fall.
//
// The owner leads the job to any state but queued, to completed only when all outputs have ended. Leaving the active
// states gives the job up: outputs that were running are then pending again (interrupted, failed but resumable),
// cancelled or failed as the job is. A job whose cancellation was requested becomes cancelled where it would be
// interrupted or failed, so look at the state that comes back; one that was completed first is completed.
//
// Errors: ErrLost when owner no longer has the job, ErrState, ErrInvalid, and what change returns.
func (s *Store) Update(id string, owner Owner, change func(*Job) error) (job Job, err error) {
	now := s.utc()
	var thrown any
	err = s.update(func(t *tx) error {
		old, err := s.held(t, id, owner)
		if err != nil {
			return err
		}
		if job, err = s.held(t, id, owner); err != nil { // a second copy for change to work on
			return err
		}
		if thrown, err = call(change, &job); err != nil {
			return err
		}
		if err := job.advance(&old, now); err != nil {
			return err
		}
		if job.Owner != nil {
			job.Owner.Heartbeat = now
		}
		return t.putJob(&old, &job, now, true)
	})
	if thrown != nil {
		panic(thrown) // the caller's own, which must not pass for a damaged database
	}
	if err != nil {
		return Job{}, err
	}
	return job, nil
}

func call(change func(*Job) error, job *Job) (thrown any, err error) {
	defer func() {
		if thrown = recover(); thrown != nil {
			err = fmt.Errorf("job %s: change panicked: %v", job.ID, thrown)
		}
	}()
	return nil, change(job)
}

// held returns the job with exactly that ID if owner has it.
func (s *Store) held(t *tx, id string, owner Owner) (Job, error) {
	data := t.jobs.Get([]byte(id))
	if data == nil {
		return Job{}, errorf(ErrNotFound, "job %q: not found", id)
	}
	job, err := s.decodeJob(id, data)
	if err != nil {
		return Job{}, err
	}
	if job.Owner == nil {
		return Job{}, errorf(ErrLost, "job %s: is %s, %s no longer has it", id, job.State, owner)
	}
	if !job.Owner.is(owner) {
		return Job{}, &Error{
			Kind:    ErrLost,
			Message: fmt.Sprintf("job %s: %s has it, not %s", id, job.Owner, owner),
			Owner:   job.Owner,
		}
	}
	return job, nil
}

// Heartbeat says that the owner lives, and returns whether somebody wants the job cancelled. Call it a few times a
// second: it writes once a second at most.
//
// Errors: ErrLost when owner no longer has the job; it must then stop.
func (s *Store) Heartbeat(id string, owner Owner) (cancelRequested bool, err error) {
	now := s.utc()
	fresh := false
	err = s.view(func(t *tx) error {
		job, err := s.held(t, id, owner)
		if err == nil {
			age := now.Sub(job.Owner.Heartbeat)
			cancelRequested, fresh = job.CancelRequested, age >= 0 && age < beatEvery
		}
		return err
	})
	if err != nil || fresh {
		return cancelRequested, err
	}
	err = s.update(func(t *tx) error {
		job, err := s.held(t, id, owner)
		if err != nil {
			return err
		}
		cancelRequested = job.CancelRequested
		old := job
		beating := *job.Owner
		beating.Heartbeat = now
		job.Owner = &beating
		return t.putJob(&old, &job, now, false)
	})
	return cancelRequested, err
}

// Release gives a job up so that it can be resumed: it becomes interrupted.
func (s *Store) Release(id string, owner Owner) (Job, error) {
	return s.Update(id, owner, func(j *Job) error {
		j.State, j.Step = Interrupted, ""
		return nil
	})
}

// RequestCancel cancels a job. One that nobody works on is cancelled when RequestCancel returns; where somebody does,
// the job is still active, and its owner hears of it at the next heartbeat. The caller of a job that comes back
// cancelled frees what it left on the disk.
//
// Errors: ErrNotFound, ErrAmbiguous, ErrEnded (a failed job that is resumable can still be cancelled).
func (s *Store) RequestCancel(idOrPrefix string) (job Job, err error) {
	self, err := Self()
	if err != nil {
		return Job{}, err
	}
	now := s.utc()
	err = s.update(func(t *tx) error {
		if job, err = s.find(t, idOrPrefix); err != nil {
			return err
		}
		old := job
		switch {
		case job.State.Active() && job.Owner.aliveFor(self, now):
			job.CancelRequested = true
		case job.State.Active(), job.claimable():
			job.State, job.Step, job.Ended = Cancelled, "", nil
			job.settle(now)
		default:
			return errorf(ErrEnded, "job %s: is %s already", job.ID, job.State)
		}
		return t.putJob(&old, &job, now, true)
	})
	if err != nil {
		return Job{}, err
	}
	return job, nil
}

// orphan takes an active job from its dead owner.
func (j *Job) orphan(now time.Time) {
	j.State, j.Step, j.Abandoned = Interrupted, "", true
	if j.CancelRequested {
		j.State = Cancelled
	}
	j.settle(now)
}

// Sweep takes the jobs of dead owners from them and returns these jobs: interrupted, or cancelled where that was
// requested. See [Owner] for who is dead. An interrupted one is marked as abandoned until it is claimed or queued again,
// so that whoever takes up such jobs finds them also after another process has swept.
func (s *Store) Sweep() (swept []Job, err error) {
	self, err := Self()
	if err != nil {
		return nil, err
	}
	now := s.utc()
	dead := func(t *tx) (list []Job, err error) {
		c := t.index.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			e, err := s.entry(v)
			if err != nil {
				return nil, err
			}
			if !e.state().Active() {
				continue
			}
			job, err := s.jobAt(t, e)
			if err != nil {
				return nil, err
			}
			if !job.Owner.aliveFor(self, now) {
				list = append(list, job)
			}
		}
		return list, nil
	}
	none := false
	err = s.view(func(t *tx) error { // most sweeps find nothing, and then need not write
		list, err := dead(t)
		none = len(list) == 0
		return err
	})
	if err != nil || none {
		return nil, err
	}
	err = s.update(func(t *tx) error {
		if swept, err = dead(t); err != nil {
			return err
		}
		for i := range swept {
			old := swept[i]
			swept[i].orphan(now)
			if err := t.putJob(&old, &swept[i], now, true); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return swept, nil
}

// Resume queues an interrupted job, or a failed one that is resumable, to go on where it was. Outputs that failed are
// pending again, as they are after a Claim.
//
// Errors: ErrNotFound, ErrAmbiguous, ErrActive, ErrEnded when only Retry can help. A queued job is returned as it is.
func (s *Store) Resume(idOrPrefix string) (Job, error) {
	return s.requeue(idOrPrefix, func(j *Job, now time.Time) error {
		switch {
		case j.State == Queued:
			return nil
		case !j.claimable():
			return &Error{
				Kind:    ErrEnded,
				Message: fmt.Sprintf("job %s: is %s", j.ID, j.State),
				hint:    "retry it to start from the beginning",
			}
		}
		j.State = Queued
		j.reopen()
		return nil
	})
}

// Retry queues a job that nobody works on to start from the beginning. Outputs that are completed stay so where kept
// says it; a request takes the place of the old one if it isn't nil.
//
// Errors: ErrNotFound, ErrAmbiguous, ErrActive.
func (s *Store) Retry(idOrPrefix string, kept func(Output) bool, request json.RawMessage) (Job, error) {
	return s.requeue(idOrPrefix, func(j *Job, now time.Time) error {
		if request != nil {
			j.Request = request
		}
		j.BytesDone, j.Progress, j.Started = 0, 0, nil
		for i := range j.Outputs {
			o := &j.Outputs[i]
			if o.State == OutputCompleted && kept(*o) {
				j.BytesDone += o.BytesDone
				continue
			}
			*o = Output{ID: o.ID, Format: o.Format, Type: o.Type, Path: o.Path, BytesTotal: o.BytesTotal,
				State: OutputPending, Created: o.Created}
		}
		j.State = Queued
		return nil
	})
}

func (s *Store) requeue(idOrPrefix string, change func(*Job, time.Time) error) (job Job, err error) {
	self, err := Self()
	if err != nil {
		return Job{}, err
	}
	now := s.utc()
	err = s.update(func(t *tx) error {
		if job, err = s.find(t, idOrPrefix); err != nil {
			return err
		}
		if job.Owner != nil && job.Owner.aliveFor(self, now) {
			return &Error{
				Kind:    ErrActive,
				Message: fmt.Sprintf("job %s: %s, %s works on it", job.ID, job.State, job.Owner),
				Owner:   job.Owner,
			}
		}
		old := job
		if job.State.Active() {
			job.orphan(now)
		}
		if err := change(&job, now); err != nil {
			return err
		}
		job.Step, job.Error, job.Hint, job.Missing = "", "", "", 0
		job.settle(now)
		return t.putJob(&old, &job, now, true)
	})
	if err != nil {
		return Job{}, err
	}
	return job, nil
}
