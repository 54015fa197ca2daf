package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
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
	recipes, err := r.recipes(quant.Recipe{})
	if err != nil {
		return registry.Job{}, err
	}
	job := registry.Job{
		ID: registry.NewID(), Name: r.Name, Description: r.Description, Priority: r.Priority, SourceModel: r.Model, SourceType: string(kindOf(ref)),
		Revision: ref.Revision, Formats: []string{formatGGUF}, Request: raw,
	}
	for _, recipe := range recipes {
		name := recipe.Preset.Name
		job.Types = append(job.Types, name)
		job.Outputs = append(job.Outputs, registry.Output{ID: fmt.Sprintf("%s-%s-%s", job.ID, formatGGUF, name), Format: formatGGUF, Type: name, State: registry.OutputPending})
	}
	if job.Name == "" {
		job.Name = fmt.Sprintf("%s to %s", filepath.Base(r.Model), strings.Join(job.Types, ", "))
	}
	return job, nil
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
	left := r
	left.Types = nil
	for _, o := range job.Outputs {
		if o.State != registry.OutputCompleted {
			left.Types = append(left.Types, o.Type)
		}
	}
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
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				wanted, err := a.store.Heartbeat(a.job.ID, a.owner)
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
	case errors.Is(err, errCancelled):
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
					o.BitsPerWeight, o.RMSE = made.BitsPerWeight, x.plan.Overall(made.Fidelity).RMSE
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
