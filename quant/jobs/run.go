package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/registry"
)

// errCancelled is the cause of a context that somebody's cancel request ended.
var errCancelled = errors.New("cancelled")

// Quantize runs a request as a job in the foreground. The same request given again after an interruption goes on with
// the job that it began. Cancelling ctx with ErrInterrupted as its cause keeps what is done; cancelling it otherwise
// leaves nothing.
//
// With an error the result is nil, but when some outputs failed and others did not.
func (s *Service) Quantize(ctx context.Context, r *Request, watch Observer) (*Result, error) {
	if _, err := r.planOptions(); err != nil {
		return nil, err // nothing that is wrong in itself becomes a job
	}
	if r.Base == "" {
		r.Base, _ = os.Getwd()
	}
	job, err := s.begin(r)
	if err != nil {
		watch.Note("no job is recorded: " + err.Error())
		x, err := s.execute(ctx, r, quant.ResumeIfSame, watch)
		return x.result(r, ""), err
	}
	watch.Started(job.ID)
	return s.attend(ctx, job, watch)
}

// begin makes a job of a request that this process works on, or takes up the one that was interrupted.
func (s *Service) begin(r *Request) (registry.Job, error) {
	store, err := s.registry()
	if err != nil {
		return registry.Job{}, err
	}
	self, err := registry.Self()
	if err != nil {
		return registry.Job{}, err
	}
	record, err := s.record(r)
	if err != nil {
		return registry.Job{}, err
	}
	open, _, err := store.Jobs(registry.Filter{States: []registry.State{registry.Interrupted, registry.Failed}})
	if err != nil {
		return registry.Job{}, err
	}
	for _, old := range open {
		if string(old.Request) == string(record.Request) && (old.State == registry.Interrupted || old.Resumable) {
			if job, err := store.Claim(old.ID, self); err == nil {
				return job, nil
			}
		}
	}
	record.Owner = &self
	return store.Create(record)
}

// record is a new job's record.
func (s *Service) record(r *Request) (registry.Job, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return registry.Job{}, err
	}
	ref, err := s.resolve(r)
	if err != nil {
		return registry.Job{}, err
	}
	names, err := r.outputNames()
	if err != nil {
		return registry.Job{}, err
	}
	job := registry.Job{
		ID: registry.NewID(), Name: r.Name, Description: r.Description, Priority: r.Priority, SourceModel: r.Model, SourceType: string(kindOf(ref)),
		Revision: ref.Revision, Formats: []string{formatGGUF}, Request: raw,
	}
	for _, name := range names {
		if _, tower := quant.CutTower(name); !tower {
			typ, _ := quant.CutAdapter(name)
			job.Types = append(job.Types, typ)
		}
		job.Outputs = append(job.Outputs, pendingOutput(job.ID, name))
	}
	if job.Name == "" {
		job.Name = fmt.Sprintf("%s to %s", filepath.Base(r.Model), strings.Join(names, ", "))
	}
	return job, nil
}

// pendingOutput is the record of an output that is yet to be made.
func pendingOutput(job, name string) registry.Output {
	return registry.Output{ID: fmt.Sprintf("%s-%s-%s", job, formatGGUF, name), Format: formatGGUF, Type: name, State: registry.OutputPending}
}

// attend works on a job that this process owns until it ends.
func (s *Service) attend(ctx context.Context, job registry.Job, watch Observer) (*Result, error) {
	store, err := s.registry()
	if err != nil {
		return nil, err
	}
	log, err := store.Log(job.ID)
	if err != nil {
		return nil, err
	}
	var r Request
	if err := json.Unmarshal(job.Request, &r); err != nil {
		return nil, fmt.Errorf("job %s: its request can't be read: %w", job.ID, err)
	}
	a := &attendant{service: s, store: store, log: log, job: job, owner: *job.Owner, watch: watch}
	a.state(job.State)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := a.beat(cancel)

	// what earlier attempts finished is not made again
	left := r.without(job.Outputs)
	resume := quant.ResumeIfSame
	if job.Attempts > 1 {
		resume = quant.ResumeOnly
	}
	if job.Commit != "" {
		left.Revision = job.Commit // the commit that the job began with, whatever its branch is now
	}
	x, err := s.execute(ctx, &left, resume, a)
	if errors.Is(context.Cause(ctx), errCancelled) {
		err = errCancelled
	}
	stop()
	if x != nil {
		s.publish(x, &left, job.ID, log)
	}
	if end := a.end(x, err, context.Cause(ctx)); end != nil {
		err = errors.Join(err, end)
	}
	var part *PartialError
	switch {
	case errors.Is(err, errCancelled):
		err = context.Canceled
	case err != nil && errors.Is(context.Cause(ctx), ErrInterrupted) && !errors.As(err, &part):
		err = &PartialError{err} // of a download too
	}
	return x.result(&r, job.ID), err
}

// discard frees what an unfinished job left on the disk, in the output folder and in the Hub's cache.
func (s *Service) discard(job registry.Job) int64 {
	var freed int64
	for _, o := range job.Outputs {
		if o.State != registry.OutputCompleted && o.Path != "" {
			n, _ := remove(partials(o.Path)...)
			freed += n
		}
	}
	var r Request
	if job.SourceType == string(HuggingFace) && json.Unmarshal(job.Request, &r) == nil {
		if ref, err := s.resolve(&r); err == nil && ref.Kind == hf.Hub {
			n, _ := s.hub.Discard(ref.Repo)
			freed += n
		}
	}
	return freed
}
