package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/registry"
)

// How often a running job shows that it lives, and how far it is.
const (
	beatEvery = 300 * time.Millisecond
	tellEvery = 500 * time.Millisecond
)

// attendant keeps a job's record and its log true while it runs.
type attendant struct {
	service *Service
	store   *registry.Store
	log     *registry.Log
	owner   registry.Owner
	watch   Observer

	mu     sync.Mutex
	job    registry.Job
	stage  Stage
	rate   Rate
	told   time.Time
	base   int64 // bytes of the stages that are over
	stages map[Stage]int64
}

// beat shows that the job's owner lives until stop is called, and cancels the work when somebody asks for that.
func (a *attendant) beat(cancel context.CancelCauseFunc) (stop func()) {
	id, done, ended := a.job.ID, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				wanted, err := a.store.Heartbeat(id, a.owner)
				switch {
				case wanted:
					cancel(errCancelled)
				case errors.Is(err, registry.ErrLost), errors.Is(err, registry.ErrNotFound):
					cancel(err)
				}
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-ended })
}

// update changes the record; what can't be written now is written with the next change.
func (a *attendant) update(change func(*registry.Job) error) {
	job, err := a.store.Update(a.job.ID, a.owner, change)
	if err != nil {
		_ = a.log.Print(slog.LevelWarn, "the job's record could not be changed", "error", err.Error())
		return
	}
	a.job = job
}

// event appends to the job's log. A log that can't be written does not stop a job.
func (a *attendant) event(kind string, data any) {
	raw, err := json.Marshal(data)
	if err == nil {
		_, _ = a.log.Append(registry.Event{Type: kind, Data: raw})
	}
}

func (a *attendant) state(s registry.State) {
	a.event(registry.EventState, map[string]any{"status": s})
}

// Planned records what the plan says.
func (a *attendant) Planned(e *Estimate) {
	raw, _ := json.Marshal(e)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stages = map[Stage]int64{Downloading: e.DownloadBytes, Quantizing: e.SourceBytes, Verifying: e.OutputBytes}
	a.update(func(j *registry.Job) error {
		j.Commit, j.Architecture, j.Estimate = e.Commit, e.Architecture, raw
		j.BytesTotal = max(j.BytesTotal, e.DownloadBytes+e.SourceBytes+e.OutputBytes)
		for _, o := range e.Outputs { // the model decides whether there is an mmproj file
			if !slices.ContainsFunc(j.Outputs, func(old registry.Output) bool { return old.Type == o.Type }) {
				j.Outputs = append(j.Outputs, pendingOutput(j.ID, o.Type))
			}
		}
		for i := range j.Outputs {
			for _, o := range e.Outputs {
				if j.Outputs[i].Type == o.Type {
					j.Outputs[i].Path, j.Outputs[i].Bytes, j.Outputs[i].BytesTotal, j.Outputs[i].BitsPerWeight = o.Path, o.Bytes, o.Bytes, o.BitsPerWeight
				}
			}
		}
		return nil
	})
	for _, w := range e.Warnings {
		_ = a.log.Print(slog.LevelWarn, w)
	}
	a.watch.Planned(e)
}

// states are the registry's names of the stages.
var states = map[Stage]registry.State{Downloading: registry.Downloading, Quantizing: registry.Quantizing, Verifying: registry.Quantizing}

// Progress records how far the job is, now and then.
func (a *attendant) Progress(p Progress) {
	a.watch.Progress(p)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	fresh := p.Stage != a.stage
	if fresh {
		if a.stage != "" {
			a.base += a.stages[a.stage]
		}
		a.stage, a.rate = p.Stage, Rate{}
	}
	rate, left := a.rate.Add(now, p.BytesDone, p.BytesTotal)
	if !fresh && now.Sub(a.told) < tellEvery && p.BytesDone < p.BytesTotal {
		return
	}
	a.told = now
	share := 0.0
	if p.BytesTotal > 0 {
		share = float64(p.BytesDone) / float64(p.BytesTotal)
	}
	before := a.job.State
	a.update(func(j *registry.Job) error {
		if !j.CancelRequested {
			j.State = states[p.Stage]
		}
		j.Step = fmt.Sprintf("%s %d of %d", p.Stage, p.ItemsDone, p.Items)
		j.BytesDone = min(j.BytesTotal, max(j.BytesDone, a.base+int64(share*float64(a.stages[p.Stage]))))
		j.BytesPerSecond, j.ETASeconds = rate, left.Seconds()
		if p.Stage == Downloading {
			return nil
		}
		for i := range j.Outputs {
			if o := &j.Outputs[i]; !o.State.Ended() {
				o.State = registry.OutputRunning
				if p.Stage == Quantizing {
					o.BytesDone = max(o.BytesDone, int64(share*float64(o.BytesTotal)))
				}
			}
		}
		return nil
	})
	if a.job.State != before {
		a.state(a.job.State)
	}
	a.event("progress", struct {
		Progress
		Percent float64 `json:"progress"`
		Rate    float64 `json:"bytes_per_second"`
		ETA     float64 `json:"eta_seconds"`
	}{p, a.job.Progress, rate, left.Seconds()})
}

// Started tells nobody: the caller knows.
func (a *attendant) Started(string) {}

// Note goes to the log and to who watches.
func (a *attendant) Note(text string) {
	_ = a.log.Print(slog.LevelInfo, text)
	a.watch.Note(text)
}

// end writes down how the job came out.
func (a *attendant) end(x *executed, err, cause error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now().UTC()
	state := registry.Completed
	var part *PartialError
	resumable := errors.As(err, &part)
	switch {
	case err == nil:
	case errors.Is(err, errCancelled), errors.Is(cause, context.Canceled):
		state = registry.Cancelled
	case errors.Is(cause, ErrInterrupted):
		state = registry.Interrupted
	default:
		state = registry.Failed
		resumable = resumable || x.missing(err) > 0 || passing(err)
	}
	var finished []registry.Output
	ended, uerr := a.settle(func(j *registry.Job) error {
		finished = nil
		j.State, j.Step = state, ""
		j.BytesPerSecond, j.ETASeconds = 0, 0
		if err == nil {
			j.BytesDone = j.BytesTotal
		}
		if state == registry.Failed {
			j.Error, j.Hint, j.Resumable, j.Missing = err.Error(), HintOf(err), resumable, x.missing(err)
		}
		for i := range j.Outputs {
			o := &j.Outputs[i]
			for _, made := range x.made() {
				if made.Type != o.Type {
					continue
				}
				if made.Err == nil {
					o.State, o.Path, o.Bytes, o.SHA256, o.Ended = registry.OutputCompleted, made.Path, made.Bytes, made.SHA256, &now
					o.BytesDone, o.BytesTotal = made.Bytes, made.Bytes
					o.BitsPerWeight, o.RMSE = made.BitsPerWeight, made.Overall().RMSE
				} else if state == registry.Failed {
					o.State, o.Error, o.Ended = registry.OutputFailed, made.Err.Error(), &now
				}
				finished = append(finished, *o)
			}
		}
		return nil
	})
	for _, o := range finished {
		a.event("output", outputOf(o))
	}
	if uerr == nil {
		state = ended.State // a cancellation that was asked for meanwhile wins
	}
	if err != nil && state == registry.Failed {
		_ = a.log.Print(slog.LevelError, err.Error(), "hint", HintOf(err))
	}
	a.state(state)
	if state == registry.Cancelled {
		a.service.discard(a.job)
	}
	if state.Ended() {
		_ = a.log.Compress()
	}
	return uerr
}

// settle writes a job's last change. A store that is busy is asked again: a job whose end is not written looks alive for
// as long as its process lives.
func (a *attendant) settle(change func(*registry.Job) error) (job registry.Job, err error) {
	for range 5 {
		if job, err = a.store.Update(a.job.ID, a.owner, change); !errors.Is(err, registry.ErrBusy) {
			break
		}
	}
	return job, err
}

// made lists the outputs that it came to.
func (x *executed) made() []quant.Result {
	if x == nil {
		return nil
	}
	return x.outputs
}

// passing tells whether an error may be gone when the job is tried again: the network, a server that is down.
func passing(err error) bool {
	for _, kind := range []error{hf.ErrGated, hf.ErrUnauthorized, hf.ErrNotFound, hf.ErrRevision, hf.ErrNoWeights, hf.ErrIncomplete} {
		if errors.Is(err, kind) {
			return false
		}
	}
	var network net.Error
	var hub *hf.Error
	return errors.As(err, &network) || errors.As(err, &hub)
}
