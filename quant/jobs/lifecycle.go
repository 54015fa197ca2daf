package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/nexus-quant/nexus-quant/registry"
)

// ConflictError is returned when a job is not in a state for what is asked of it.
type ConflictError struct{ Err error }

func (e *ConflictError) Error() string { return e.Err.Error() }

// Unwrap returns the registry's error.
func (e *ConflictError) Unwrap() error { return e.Err }

// Submit checks a request and queues it as a job for a worker. What can't end well is refused here.
func (s *Service) Submit(ctx context.Context, spec Spec) (Job, error) {
	r, err := s.request(spec, true)
	if err != nil {
		return Job{}, err
	}
	return s.Enqueue(ctx, r)
}

// Enqueue plans a request and queues it as a job for a worker.
func (s *Service) Enqueue(ctx context.Context, r *Request) (Job, error) {
	if r.Base == "" {
		r.Base, _ = os.Getwd()
	}
	job, err := s.plan(ctx, r)
	if err != nil {
		return Job{}, err
	}
	defer job.close()
	e, err := s.estimate(ctx, job, true)
	if err != nil {
		return Job{}, err
	}
	if err := job.check(e); err != nil {
		return Job{}, err
	}
	record, err := s.record(r)
	if err != nil {
		return Job{}, err
	}
	if record.Estimate, err = json.Marshal(e); err != nil {
		return Job{}, err
	}
	record.Commit, record.Architecture, record.BytesTotal = e.Commit, e.Architecture, e.DownloadBytes+e.SourceBytes+e.OutputBytes
	for i := range record.Outputs {
		o := &record.Outputs[i]
		o.Path, o.Bytes, o.BytesTotal, o.BitsPerWeight = e.Outputs[i].Path, e.Outputs[i].Bytes, e.Outputs[i].Bytes, e.Outputs[i].BitsPerWeight
	}
	store, err := s.registry()
	if err != nil {
		return Job{}, err
	}
	if record, err = store.Create(record); err != nil {
		return Job{}, err
	}
	s.poke()
	return jobOf(record), nil
}

// poke wakes this process's worker; other processes' workers look by themselves.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Job returns a job by its ID or the beginning of it.
func (s *Service) Job(id string) (Job, error) { return s.one((*registry.Store).Job, id) }

func (s *Service) one(do func(*registry.Store, string) (registry.Job, error), id string) (Job, error) {
	store, err := s.registry()
	if err != nil {
		return Job{}, err
	}
	job, err := do(store, id)
	return jobOf(job), conflict(err)
}

func conflict(err error) error {
	for _, kind := range []error{registry.ErrActive, registry.ErrOwned, registry.ErrEnded, registry.ErrState} {
		if errors.Is(err, kind) {
			return &ConflictError{err}
		}
	}
	return err
}

// Jobs lists jobs, newest first. Jobs whose process died are shown as interrupted.
func (s *Service) Jobs(f JobFilter) (JobList, error) {
	list := JobList{Jobs: []Job{}, Limit: f.Limit, Offset: f.Offset}
	store, err := s.registry()
	if err != nil {
		return list, err
	}
	if _, err := store.Sweep(); err != nil {
		return list, err
	}
	filter := registry.Filter{Search: f.Search, Limit: f.Limit, Offset: f.Offset}
	for _, name := range f.Status {
		if !registry.State(name).Valid() {
			return list, usage("status %q: want one of %v", name, registry.States())
		}
		filter.States = append(filter.States, registry.State(name))
	}
	records, total, err := store.Jobs(filter)
	if err != nil {
		return list, err
	}
	for _, r := range records {
		list.Jobs = append(list.Jobs, jobOf(r))
	}
	list.Total = total
	return list, nil
}

// States lists the states that a job can be in.
func States() []string {
	var names []string
	for _, s := range registry.States() {
		names = append(names, string(s))
	}
	return names
}

// Cancel ends a job for good: at once if nobody works on it, else within a second. Its partial files are removed.
func (s *Service) Cancel(_ context.Context, id string) (Job, error) {
	store, err := s.registry()
	if err != nil {
		return Job{}, err
	}
	job, err := store.RequestCancel(id)
	if err != nil {
		return Job{}, conflict(err)
	}
	if job.State == registry.Cancelled {
		s.discard(job)
		if log, err := store.Log(job.ID); err == nil {
			_, _ = log.Append(registry.Event{Type: registry.EventState, Data: json.RawMessage(`{"status":"cancelled"}`)})
		}
	}
	return jobOf(job), nil
}

// Resume queues an interrupted job, or one whose failure may have passed, to go on where it stopped.
func (s *Service) Resume(_ context.Context, id string) (Job, error) {
	defer s.poke()
	return s.one((*registry.Store).Resume, id)
}

// Retry queues a job to start from the beginning. Finished outputs whose files are there stay, and where all are there
// is nothing to do: a *FinishedError. With force all outputs are made anew, and each replaces its file when it is whole.
func (s *Service) Retry(_ context.Context, id string, force bool) (Job, error) {
	store, err := s.registry()
	if err != nil {
		return Job{}, err
	}
	job, err := store.Job(id)
	if err != nil {
		return Job{}, err
	}
	kept := func(o registry.Output) bool {
		_, err := os.Lstat(o.Path)
		return !force && err == nil
	}
	if job.State == registry.Completed && !slices.ContainsFunc(job.Outputs, func(o registry.Output) bool { return !kept(o) }) {
		return Job{}, &FinishedError{ID: job.ID, Files: len(job.Outputs)}
	}
	var request json.RawMessage
	if force {
		var r Request
		if err := json.Unmarshal(job.Request, &r); err != nil {
			return Job{}, fmt.Errorf("job %s: its request can't be read: %w", job.ID, err)
		}
		r.Force = true
		if request, err = json.Marshal(&r); err != nil {
			return Job{}, err
		}
	}
	if !job.State.Active() {
		s.discard(job)
	}
	defer s.poke()
	return s.one(func(store *registry.Store, id string) (registry.Job, error) { return store.Retry(id, kept, request) }, job.ID)
}

// FinishedError is returned for a retry of a job whose files are all there.
type FinishedError struct {
	ID    string
	Files int
}

func (e *FinishedError) Error() string {
	return fmt.Sprintf("job %.8s: finished, its %s there", e.ID, map[bool]string{true: "file is", false: "files are"}[e.Files == 1])
}

// Hint says how to make them anew all the same.
func (e *FinishedError) Hint() string {
	return fmt.Sprintf("nexus-quant jobs retry %.8s --force makes them anew; each takes its file's place when it is whole", e.ID)
}

// ResumeHere goes on with an interrupted or failed job in this process, in the foreground.
func (s *Service) ResumeHere(ctx context.Context, id string, watch Observer) (*Result, error) {
	store, err := s.registry()
	if err != nil {
		return nil, err
	}
	self, err := registry.Self()
	if err != nil {
		return nil, err
	}
	job, err := store.Claim(id, self)
	if err != nil {
		return nil, conflict(err)
	}
	watch.Started(job.ID)
	return s.attend(ctx, job, watch)
}

// Delete removes a job's record and its log, and with files its outputs too. It says how many bytes that freed.
// A source is never touched.
func (s *Service) Delete(_ context.Context, id string, files bool) (freed int64, err error) {
	store, err := s.registry()
	if err != nil {
		return 0, err
	}
	job, err := store.Delete(id)
	if err != nil {
		return 0, conflict(err)
	}
	freed = s.discard(job)
	if !files {
		return freed, nil
	}
	for _, o := range job.Outputs {
		if o.State != registry.OutputCompleted || o.Path == "" {
			continue
		}
		n, err := remove(o.Path, provenancePath(o.Path))
		if err != nil {
			return freed, err
		}
		freed += n
		if _, err := store.DeleteModel(o.Path); err != nil && !errors.Is(err, registry.ErrNotFound) {
			return freed, err
		}
	}
	return freed, nil
}

// Output returns a finished output of a job whose file is there.
func (s *Service) Output(id, output string) (Output, error) {
	store, err := s.registry()
	if err != nil {
		return Output{}, err
	}
	job, err := store.Job(id)
	if err != nil {
		return Output{}, err
	}
	for _, o := range job.Outputs {
		if o.ID != output && o.Type != output {
			continue
		}
		if o.State != registry.OutputCompleted {
			return outputOf(o), &ConflictError{fmt.Errorf("output %s is %s", o.ID, o.State)}
		}
		if _, err := os.Stat(o.Path); err != nil {
			return outputOf(o), fmt.Errorf("%s: the file was moved or deleted: %w", o.Path, fs.ErrNotExist)
		}
		return outputOf(o), nil
	}
	return Output{}, fmt.Errorf("job %s has no output %q: %w", job.ID, output, fs.ErrNotExist)
}

// Provenance returns the statement of origin of a finished output, if its job wrote one.
func (s *Service) Provenance(id, output string) (json.RawMessage, error) {
	o, err := s.Output(id, output)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(provenancePath(*o.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("output %s: no statement of origin was written: %w", o.ID, err)
	}
	if err == nil && !json.Valid(b) {
		err = fmt.Errorf("%s: is no JSON", provenancePath(*o.Path))
	}
	return b, err
}

// Work runs queued jobs until ctx ends, as many at once as the settings say, and takes up the ones that were
// interrupted. Jobs that are running then are kept for later.
func (s *Service) Work(ctx context.Context) error {
	store, err := s.registry()
	if err != nil {
		return err
	}
	w := &worker{service: s, store: store}
	return w.run(ctx)
}
