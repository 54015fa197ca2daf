package tui

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// runner runs a job in this process and remembers how far it is, for whoever draws it. It is the job's observer.
type runner struct {
	stop  context.CancelCauseFunc
	ended chan struct{}

	interrupted bool // what is done was kept; known once the run has ended

	mu       sync.Mutex
	live     Live
	rate     jobs.Rate
	finished []string // tensors since the last look
	items    int
	total    int64 // bytes of the outputs to be
}

// work is a job that a service runs.
type work func(context.Context, jobs.Observer) (*jobs.Result, error)

func newRunner(ctx context.Context) (*runner, context.Context) {
	ctx, stop := context.WithCancelCause(ctx)
	return &runner{stop: stop, ended: make(chan struct{})}, ctx
}

// run does the work.
func (r *runner) run(ctx context.Context, limit int64, do work) (*jobs.Result, error) {
	defer close(r.ended)
	defer r.stop(nil)
	// makes the collector keep to the budget too: the buffers are accounted for, garbage is not
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	result, err := do(ctx, r)
	r.interrupted = err != nil && jobs.ClassOf(err) == jobs.Cancelled && errors.Is(context.Cause(ctx), jobs.ErrInterrupted)
	return result, err
}

// Started notes the job's number.
func (r *runner) Started(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live.Job = id
}

// Planned notes how much there is to write.
func (r *runner) Planned(e *jobs.Estimate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total = e.OutputBytes
}

// Progress notes how far the job is. It is called after each tensor, so the item of a call that counts one more is the
// one that was finished.
func (r *runner) Progress(p jobs.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Stage != r.live.Progress.Stage {
		r.rate, r.items = jobs.Rate{}, 0
	}
	if p.Stage == jobs.Quantizing && p.ItemsDone > r.items {
		r.finished = append(r.finished, p.Item)
	}
	r.items = p.ItemsDone
	r.live.Progress = p
	r.live.Rate, r.live.Left = r.rate.Add(time.Now(), p.BytesDone, p.BytesTotal)
}

// Note is in the job's log already.
func (r *runner) Note(string) {}

// look returns how far the job is and which tensors were finished since the last look.
func (r *runner) look() (Live, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	finished := r.finished
	r.finished = nil
	return r.live, finished
}

// job is the number of the job, "" while it has none.
func (r *runner) job() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live.Job
}
