package registry

import (
	"cmp"
	"slices"
)

// maxPriority bounds the priorities that Move gives.
const maxPriority = 1_000_000

// ahead orders queued jobs as ClaimNext takes them.
func ahead(a, b Job) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Number, b.Number))
}

// Queue lists the queued jobs in the order in which they will be taken.
func (s *Store) Queue() (queue []Job, err error) {
	err = s.view(func(t *tx) error {
		queue, err = s.queued(t)
		return err
	})
	return queue, err
}

func (s *Store) queued(t *tx) (queue []Job, err error) {
	c := t.index.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		e, err := s.entry(v)
		if err != nil {
			return nil, err
		}
		if e.state() != Queued {
			continue
		}
		job, err := s.jobAt(t, e)
		if err != nil {
			return nil, err
		}
		queue = append(queue, job)
	}
	slices.SortFunc(queue, ahead)
	return queue, nil
}

// Move gives a queued job another place in the queue: to is told its place, 0 being next, and the last one, and says
// where it shall be. The priorities of as few jobs as possible change.
//
// Errors: ErrNotFound, ErrAmbiguous, ErrState when the job is not queued.
func (s *Store) Move(idOrPrefix string, to func(at, last int) int) (job Job, err error) {
	now := s.utc()
	err = s.update(func(t *tx) error {
		if job, err = s.find(t, idOrPrefix); err != nil {
			return err
		}
		if job.State != Queued {
			return errorf(ErrState, "job %s: is %s, not queued", job.ID, job.State)
		}
		old, err := s.queued(t)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(old, func(j Job) bool { return j.ID == job.ID })
		place := min(max(to(at, len(old)-1), 0), len(old)-1)
		queue := slices.Clone(old)
		queue = slices.Insert(slices.Delete(queue, at, at+1), place, job)
		rank(queue, place, place > at)
		for i := range queue {
			was := old[slices.IndexFunc(old, func(j Job) bool { return j.ID == queue[i].ID })]
			if was.Priority == queue[i].Priority {
				continue
			}
			if err := t.putJob(&was, &queue[i], now, true); err != nil {
				return err
			}
		}
		job = queue[place]
		return nil
	})
	if err != nil {
		return Job{}, err
	}
	return job, nil
}

// rank gives the jobs of a queue priorities that say its order. The one at place was moved there, down the queue or up.
func rank(queue []Job, place int, down bool) {
	if moved := &queue[place]; down { // it gives way; else those behind it would all have to rise
		before := &queue[place-1]
		moved.Priority = min(moved.Priority, before.Priority)
		if ahead(*before, *moved) > 0 {
			moved.Priority--
		}
	}
	for i := len(queue) - 2; i >= 0; i-- {
		a, b := &queue[i], &queue[i+1]
		if ahead(*a, *b) < 0 {
			continue
		}
		if a.Priority = b.Priority; ahead(*a, *b) > 0 {
			a.Priority++
		}
	}
	if queue[0].Priority > maxPriority || queue[len(queue)-1].Priority < -maxPriority {
		for i := range queue {
			queue[i].Priority = len(queue) - 1 - i
		}
	}
}
