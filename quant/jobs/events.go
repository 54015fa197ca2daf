package jobs

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/nexus-quant/nexus-quant/registry"
)

// Event is something that happened to a job. Seq grows, so that a reader who was cut off can go on after the last one
// that it saw.
type Event struct {
	Seq   uint64          `json:"seq"`
	JobID string          `json:"job_id"`
	Type  string          `json:"type"` // snapshot, progress, output, state, log
	Data  json.RawMessage `json:"data"`
}

// Events returns what happens to a job from now on, beginning with a snapshot of it, or everything after an event that
// was seen. Without a job it follows all of them: each change as a snapshot of the job. It ends when ctx does.
func (s *Service) Events(ctx context.Context, id string, after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		store, err := s.registry()
		if err != nil {
			yield(Event{}, err)
			return
		}
		if id == "" {
			s.changes(ctx, store, after, yield)
			return
		}
		job, err := store.Job(id)
		if err != nil {
			yield(Event{}, err)
			return
		}
		log, err := store.Log(job.ID)
		if err != nil {
			yield(Event{}, err)
			return
		}
		if after == 0 {
			for e, err := range log.Events(0) {
				if err != nil {
					yield(Event{}, err)
					return
				}
				after = e.Seq
			}
			if job, err = store.Job(job.ID); err != nil {
				yield(Event{}, err)
				return
			}
			if !yield(snapshot(job, after), nil) {
				return
			}
		}
		for e, err := range log.Tail(ctx, after) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !yield(eventOf(job.ID, e), nil) {
				return
			}
		}
	}
}

// followEvery is how often the registry is asked for changes.
const followEvery = 250 * time.Millisecond

func (s *Service) changes(ctx context.Context, store *registry.Store, after uint64, yield func(Event, error) bool) {
	if after == 0 {
		v, err := store.Version()
		if err != nil {
			yield(Event{}, err)
			return
		}
		after = v
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		changes, err := store.Changes(after)
		if err != nil {
			yield(Event{}, err)
			return
		}
		// deletions have no version of their own: a reader who is cut off among them is told of all of them again
		for i, id := range changes.Deleted {
			seq := after
			if i == len(changes.Deleted)-1 && len(changes.Jobs) == 0 {
				seq = changes.Version
			}
			if !yield(Event{Seq: seq, JobID: id, Type: "state", Data: json.RawMessage(`{"status":"deleted"}`)}, nil) {
				return
			}
		}
		for _, job := range changes.Jobs {
			if !yield(snapshot(job, job.Version), nil) {
				return
			}
		}
		after = changes.Version
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func snapshot(job registry.Job, seq uint64) Event {
	data, _ := json.Marshal(jobOf(job))
	return Event{Seq: seq, JobID: job.ID, Type: "snapshot", Data: data}
}

// eventOf turns a line of a job's log into an event. Messages become an object of their own.
func eventOf(id string, e registry.Event) Event {
	out := Event{Seq: e.Seq, JobID: id, Type: e.Type, Data: e.Data}
	if e.Message != "" {
		out.Data, _ = json.Marshal(struct {
			Time    time.Time       `json:"time"`
			Level   string          `json:"level"`
			Message string          `json:"msg"`
			Data    json.RawMessage `json:"data,omitempty"`
		}{e.Time, e.Level, e.Message, e.Data})
	}
	return out
}

// Log returns the last lines of a job's log, all of them if tail is 0.
func (s *Service) Log(id string, tail int) ([]json.RawMessage, error) {
	store, err := s.registry()
	if err != nil {
		return nil, err
	}
	job, err := store.Job(id)
	if err != nil {
		return nil, err
	}
	log, err := store.Log(job.ID)
	if err != nil {
		return nil, err
	}
	lines := []json.RawMessage{}
	for e, err := range log.Events(0) {
		if err != nil {
			return lines, err
		}
		line, err := json.Marshal(e)
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
		if tail > 0 && len(lines) > 2*tail {
			lines = append(lines[:0], lines[len(lines)-tail:]...)
		}
	}
	if tail > 0 && len(lines) > tail {
		lines = lines[len(lines)-tail:]
	}
	return lines, nil
}
