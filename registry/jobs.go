package registry

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Create adds a job and returns its record. An empty ID is filled in, see [NewID]. The job is queued, or, where
// job.Owner is set, born in the hands of that owner: no other worker can take it before its creator does.
func (s *Store) Create(job Job) (Job, error) {
	if job.ID == "" {
		job.ID = NewID()
	}
	now := s.utc()
	owner := job.Owner
	job.State, job.Owner, job.Attempts, job.CancelRequested = Queued, nil, 0, false
	job.Created, job.Started, job.Ended, job.Progress = now, nil, nil, 0
	job.Outputs = slices.Clone(job.Outputs)
	for i := range job.Outputs {
		job.Outputs[i].fresh(now)
	}
	job.settle(now)
	if owner != nil {
		job.claim(*owner, now)
	}
	if err := job.check(); err != nil {
		return Job{}, err
	}
	err := s.update(func(t *tx) error {
		if t.jobs.Get([]byte(job.ID)) != nil {
			return errorf(ErrExists, "job %s: exists already", job.ID)
		}
		var err error
		if job.Number, err = t.index.NextSequence(); err != nil {
			return err
		}
		return t.putJob(nil, &job, now, true)
	})
	if err != nil {
		return Job{}, err
	}
	return job, nil
}

// Job returns the job with that ID, or the only one whose ID begins so.
//
// Errors: ErrNotFound, ErrAmbiguous with the candidates.
func (s *Store) Job(idOrPrefix string) (job Job, err error) {
	err = s.view(func(t *tx) error {
		job, err = s.find(t, idOrPrefix)
		return err
	})
	return job, err
}

// maxCandidates is how many an ambiguous reference lists.
const maxCandidates = 20

func (s *Store) find(t *tx, ref string) (Job, error) {
	prefix := []byte(strings.ToLower(ref))
	if len(prefix) == 0 {
		return Job{}, errorf(ErrNotFound, "job: no ID given")
	}
	var found []byte
	var candidates []string
	c := t.jobs.Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		found = v
		if candidates = append(candidates, string(k)); len(candidates) == maxCandidates {
			break
		}
	}
	switch len(candidates) {
	case 0:
		return Job{}, errorf(ErrNotFound, "job %q: not found", ref)
	case 1:
		return s.decodeJob(candidates[0], found)
	}
	return Job{}, &Error{
		Kind:       ErrAmbiguous,
		Message:    fmt.Sprintf("job %q: ambiguous: %s", ref, strings.Join(candidates, ", ")),
		Candidates: candidates,
		hint:       "give more of the ID",
	}
}

func (s *Store) decodeJob(id string, data []byte) (Job, error) {
	job, err := decodeJob(data)
	if err == nil && job.ID != id {
		err = fmt.Errorf("record of job %s", job.ID)
	}
	if err != nil {
		e := s.corrupt(err).(*Error)
		e.Message = fmt.Sprintf("registry %s: job %s can't be read", s.path, id)
		return Job{}, e
	}
	return job, nil
}

// Filter picks jobs. Its zero value picks all.
type Filter struct {
	States []State // empty: all
	Search string  // in name, source, architecture and types, any case
	Limit  int     // 0: all
	Offset int
}

// Jobs lists the jobs that fit, newest first, and says how many there are without limit and offset.
func (s *Store) Jobs(f Filter) (jobs []Job, total int, err error) {
	want := [1 << 8]bool{}
	for _, state := range f.States {
		code := slices.Index(states, state)
		if code < 0 {
			return nil, 0, errorf(ErrInvalid, "jobs: no such state: %q", state)
		}
		want[code] = true
	}
	search := []byte(strings.ToLower(f.Search))
	err = s.view(func(t *tx) error {
		c := t.index.Cursor()
		for k, v := c.Last(); k != nil; k, v = c.Prev() {
			e, err := s.entry(v)
			if err != nil {
				return err
			}
			if len(f.States) > 0 && !want[e.code] || !bytes.Contains(e.text, search) {
				continue
			}
			total++
			if total <= f.Offset || f.Limit > 0 && len(jobs) >= f.Limit {
				continue
			}
			job, err := s.jobAt(t, e)
			if err != nil {
				return err
			}
			jobs = append(jobs, job)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return jobs, total, nil
}

// Changes are the jobs that changed since some version of the registry.
type Changes struct {
	Version uint64   // ask with this one the next time
	Jobs    []Job    // as they are now, in the order of their last change; heartbeats don't count
	Deleted []string // IDs
}

// maxTombstones is how many deletions are remembered for Changes.
const maxTombstones = 1000

// Version returns the number of the latest change. List the jobs after it, then go on with Changes.
func (s *Store) Version() (v uint64, err error) {
	err = s.view(func(t *tx) error {
		v = t.changes.Sequence()
		return nil
	})
	return v, err
}

// Changes returns what happened after that version, by any process. It costs what changed, not what there is.
func (s *Store) Changes(after uint64) (changes Changes, err error) {
	err = s.view(func(t *tx) error {
		changes = Changes{Version: t.changes.Sequence()}
		c := t.changes.Cursor()
		for k, id := c.Seek(number(after + 1)); k != nil; k, id = c.Next() {
			job, err := s.decodeJob(string(id), t.jobs.Get(id))
			if err != nil {
				return err
			}
			changes.Jobs = append(changes.Jobs, job)
		}
		c = t.deleted.Cursor()
		for k, id := c.Seek(number(after + 1)); k != nil; k, id = c.Next() {
			changes.Deleted = append(changes.Deleted, string(id))
		}
		return nil
	})
	return changes, err
}

// Delete removes a job and its log, not its files, and returns what it was.
//
// Errors: ErrNotFound, ErrAmbiguous, ErrActive while a living process works on it.
func (s *Store) Delete(idOrPrefix string) (job Job, err error) {
	self, err := Self()
	if err != nil {
		return Job{}, err
	}
	err = s.update(func(t *tx) error {
		if job, err = s.find(t, idOrPrefix); err != nil {
			return err
		}
		if job.Owner != nil && job.Owner.aliveFor(self, s.now()) {
			return &Error{
				Kind:    ErrActive,
				Message: fmt.Sprintf("job %s: %s, %s works on it", job.ID, job.State, job.Owner),
				Owner:   job.Owner,
				hint:    "cancel it first",
			}
		}
		return t.deleteJob(&job)
	})
	if err != nil {
		return Job{}, err
	}
	log, err := s.Log(job.ID)
	if err != nil {
		return job, err
	}
	return job, log.remove()
}

// putJob writes a job and what points at it; old is the record that it replaces, nil for a new one. A change that
// nobody needs to hear of, a heartbeat, keeps the version.
func (t *tx) putJob(old, job *Job, now time.Time, tell bool) error {
	if tell {
		job.Updated = now
		if old != nil {
			if err := t.changes.Delete(number(old.Version)); err != nil {
				return err
			}
		}
		var err error
		if job.Version, err = t.changes.NextSequence(); err != nil {
			return err
		}
		if err := t.changes.Put(number(job.Version), []byte(job.ID)); err != nil {
			return err
		}
	}
	data, err := encodeJob(job)
	if err != nil {
		return err
	}
	if err := t.jobs.Put([]byte(job.ID), data); err != nil {
		return err
	}
	key, entry := number(job.Number), indexEntry(job)
	if bytes.Equal(t.index.Get(key), entry) {
		return nil
	}
	return t.index.Put(key, entry)
}

func (t *tx) deleteJob(job *Job) error {
	if err := t.jobs.Delete([]byte(job.ID)); err != nil {
		return err
	}
	if err := t.index.Delete(number(job.Number)); err != nil {
		return err
	}
	if err := t.changes.Delete(number(job.Version)); err != nil {
		return err
	}
	version, err := t.changes.NextSequence()
	if err != nil {
		return err
	}
	if err := t.deleted.Put(number(version), []byte(job.ID)); err != nil {
		return err
	}
	count := 0
	c := t.deleted.Cursor()
	for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
		if count++; count > maxTombstones {
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry is a line of the index: what lists and the queue need of a job without reading its record.
type entry struct {
	code     byte // place in states
	priority int32
	id       []byte
	text     []byte
}

// indexEntry lays a line out as code (1 byte), priority (4, big endian), ID (36), search text.
func indexEntry(j *Job) []byte {
	b := []byte{byte(slices.Index(states, j.State))}
	b = binary.BigEndian.AppendUint32(b, uint32(int32(j.Priority)))
	b = append(b, j.ID...)
	return append(b, j.searchText()...)
}

func (s *Store) entry(v []byte) (entry, error) {
	if len(v) < 41 || int(v[0]) >= len(states) {
		return entry{}, s.corrupt(fmt.Errorf("index entry of %d bytes", len(v)))
	}
	return entry{v[0], int32(binary.BigEndian.Uint32(v[1:])), v[5:41], v[41:]}, nil
}

func (e entry) state() State { return states[e.code] }

func (s *Store) jobAt(t *tx, e entry) (Job, error) {
	return s.decodeJob(string(e.id), t.jobs.Get(e.id))
}
