package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nexus-quant/nexus-quant/registry"
)

// lookEvery is how often a worker looks for jobs that other processes queued.
const lookEvery = 500 * time.Millisecond

// worker runs queued jobs in this process.
type worker struct {
	service *Service
	store   *registry.Store
	running sync.WaitGroup
}

func (w *worker) run(ctx context.Context) error {
	defer w.running.Wait()
	if err := w.takeUp(); err != nil {
		return err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := w.start(ctx); err != nil && !errors.Is(err, registry.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.service.wake:
		case <-tick.C:
			// an owner that died since leaves its job to this worker
			if err := w.takeUp(); err != nil && !errors.Is(err, registry.ErrBusy) {
				return err
			}
		}
	}
}

// takeUp queues the jobs whose owners died, whichever process noticed. Jobs that their users interrupted stay as they
// are: who stopped a job wants it stopped.
func (w *worker) takeUp() error {
	swept, err := w.store.Sweep()
	if err != nil {
		return err
	}
	for _, job := range swept {
		if job.State == registry.Cancelled {
			w.service.discard(job)
		}
	}
	left, _, err := w.store.Jobs(registry.Filter{States: []registry.State{registry.Interrupted}})
	if err != nil {
		return err
	}
	for _, job := range left {
		if !job.Abandoned {
			continue
		}
		if _, err := w.store.Resume(job.ID); err != nil && !errors.Is(err, registry.ErrNotFound) && !errors.Is(err, registry.ErrActive) {
			return err
		}
	}
	return nil
}

// start takes as many jobs as may run.
func (w *worker) start(ctx context.Context) error {
	for ctx.Err() == nil {
		self, err := registry.Self()
		if err != nil {
			return err
		}
		job, err := w.store.ClaimNext(self, w.service.settings.Concurrency)
		if errors.Is(err, registry.ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		w.running.Go(func() {
			// what stops the server keeps the job's work
			work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
			defer cancel(nil)
			defer context.AfterFunc(ctx, func() { cancel(ErrInterrupted) })()
			_, _ = w.service.attend(work, job, Silent{}) // the job's record and log say how it ended
			if ctx.Err() != nil {
				// the server was stopped, not the job: the next one goes on with it
				_, _ = w.store.Resume(job.ID)
			}
			w.service.poke()
		})
	}
	return nil
}
