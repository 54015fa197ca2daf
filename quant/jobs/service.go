package jobs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
)

// Service answers requests. It may be used by several goroutines at once.
type Service struct {
	hub *hf.Client
}

// New returns a service that reaches the Hub as the environment says (HF_TOKEN, HF_ENDPOINT, HF_HOME, ...).
// version goes into the name under which it calls.
func New(getenv func(string) string, version string) *Service {
	return &Service{hub: hf.NewClient(getenv, version)}
}

// ErrInterrupted is the cause to cancel a job's context with when its work should be kept.
var ErrInterrupted = quant.ErrInterrupted

// Stage names what a job is doing.
type Stage string

// The stages of a job, in order. A local model has no download.
const (
	Downloading Stage = "downloading"
	Quantizing  Stage = "quantizing"
	Verifying   Stage = "verifying"
)

// Event tells how far a job is. Bytes never go back within a stage.
type Event struct {
	Stage      Stage  `json:"stage"`
	Item       string `json:"item"` // file or tensor that was worked on last
	ItemsDone  int    `json:"items_done"`
	Items      int    `json:"items"`
	BytesDone  int64  `json:"bytes_done"`
	BytesTotal int64  `json:"bytes_total"`
}

// Result is what a finished job made.
type Result struct {
	Model    string         `json:"model"`
	Commit   string         `json:"commit,omitempty"`
	Outputs  []OutputResult `json:"outputs"`
	Warnings []string       `json:"warnings,omitempty"`
}

// OutputResult is a file that was made, or why it was not.
type OutputResult struct {
	Type          string  `json:"type"`
	Path          string  `json:"path"`
	Bytes         int64   `json:"bytes"`
	BitsPerWeight float64 `json:"bits_per_weight"`
	SHA256        string  `json:"sha256,omitempty"`
	Resumed       int     `json:"resumed_tensors,omitempty"` // that an earlier run had done
	Error         string  `json:"error,omitempty"`
}

// PartialError is returned when work was stopped that the same command, given again, goes on with.
type PartialError struct{ Err error }

func (e *PartialError) Error() string { return e.Err.Error() }

// Unwrap returns what stopped it.
func (e *PartialError) Unwrap() error { return e.Err }

// Hint says how to go on.
func (e *PartialError) Hint() string {
	hint := "what is done is kept: the same command goes on from there"
	if first := HintOf(e.Err); first != "" {
		hint = first + "; " + hint
	}
	return hint
}

// FailedOutputsError is returned when some outputs were made and others not.
type FailedOutputsError struct {
	Made, Failed int
	Err          error // of the first one that failed
}

func (e *FailedOutputsError) Error() string {
	return fmt.Sprintf("%d of %d outputs failed: %v", e.Failed, e.Made+e.Failed, e.Err)
}

// Unwrap returns the first failure.
func (e *FailedOutputsError) Unwrap() error { return e.Err }

// planned is a request with all that is known before a weight is read.
type planned struct {
	*source
	plan    *quant.Plan
	options quant.RunOptions
}

// plan opens the model and plans every output.
func (s *Service) plan(ctx context.Context, r *Request) (*planned, error) {
	o, err := r.planOptions()
	if err != nil {
		return nil, err
	}
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := quant.NewPlan(src.Model, o)
	if err != nil {
		src.close()
		return nil, err
	}
	return &planned{source: src, plan: p, options: r.runOptions()}, nil
}

func (r *Request) runOptions() quant.RunOptions {
	o := quant.RunOptions{Dir: r.Dir, Threads: r.Threads, MaxMemory: r.MemoryLimit(), Force: r.Force, NoVerify: r.NoVerify}
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if r.KeepNonFinite {
		o.NonFinite = quant.KeepNonFinite
	}
	return o
}

// Quantize makes the files that a request asks for. observe is called as the work goes on, from one goroutine at a
// time; it may be nil. What can't end well is refused before anything is downloaded or written. Cancelling ctx with
// ErrInterrupted as its cause keeps what is done; cancelling it otherwise leaves nothing.
//
// With an error the result is nil, but when some outputs failed and others did not.
func (s *Service) Quantize(ctx context.Context, r *Request, observe func(Event)) (*Result, error) {
	job, err := s.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { job.close() }()
	e, err := s.estimate(ctx, job)
	if err != nil {
		return nil, err
	}
	if err := job.check(e); err != nil {
		return nil, err
	}
	if observe == nil {
		observe = func(Event) {}
	}
	if job.kind == HuggingFace {
		if job, err = s.download(ctx, r, job, observe); err != nil {
			return nil, err
		}
	}
	job.options.Progress = func(p quant.Progress) {
		observe(Event{Stage: Stage(p.Phase), Item: p.Tensor, ItemsDone: p.TensorsDone, Items: p.Tensors, BytesDone: p.BytesDone, BytesTotal: p.BytesTotal})
	}
	outputs, err := quant.Run(ctx, job.plan, job.options)
	result := &Result{Model: r.Model, Commit: job.Commit, Warnings: e.Warnings}
	failed := FailedOutputsError{}
	kept := false
	for _, o := range outputs {
		out := OutputResult{Type: o.Type, Path: o.Path, Bytes: o.Bytes, BitsPerWeight: o.BitsPerWeight, SHA256: o.SHA256, Resumed: o.Resumed}
		if o.Err != nil {
			out.Error = o.Err.Error()
			if failed.Failed++; failed.Err == nil {
				failed.Err = o.Err
			}
		} else {
			failed.Made++
		}
		kept = kept || o.Kept
		result.Outputs = append(result.Outputs, out)
	}
	if err == nil && failed.Failed > 0 {
		err = &failed
	}
	if err != nil && kept {
		err = &PartialError{err}
	}
	return result, err
}

// download fetches the weights of a Hub model at the commit that was planned, and plans again from the files.
func (s *Service) download(ctx context.Context, r *Request, job *planned, observe func(Event)) (*planned, error) {
	ref := job.ref
	ref.Revision = job.Commit
	dir, _, err := s.hub.Download(ctx, ref, func(p hf.Progress) {
		observe(Event{Stage: Downloading, Item: p.File, ItemsDone: p.FilesDone, Items: p.Files, BytesDone: p.BytesDone, BytesTotal: p.BytesTotal})
	})
	if err != nil {
		return job, err
	}
	c, err := hf.OpenDir(dir)
	if err != nil {
		return job, err
	}
	c.Name, c.Repo, c.Revision, c.Commit = job.Name, job.Repo, job.Revision, job.Commit
	src, err := fromCheckpoint(c, job.ref, HuggingFace, r)
	if err != nil {
		return job, err
	}
	o, err := r.planOptions()
	if err == nil {
		var p *quant.Plan
		if p, err = quant.NewPlan(src.Model, o); err == nil {
			job.close()
			return &planned{source: src, plan: p, options: job.options}, nil
		}
	}
	src.close()
	return job, err
}

// check refuses a job that can't end well.
func (p *planned) check(e *Estimate) error {
	if err := quant.Check(p.plan, p.options); err != nil {
		return err
	}
	if err := p.writable(); err != nil {
		return err
	}
	for i := range p.plan.Outputs {
		path := filepath.Join(p.options.Dir, p.plan.Outputs[i].FileName(p.Name))
		for _, in := range p.paths {
			if sameFile(in, path) {
				return usage("%s: is the file to quantize, and can't be the output too", path)
			}
		}
	}
	for _, d := range e.disks {
		if d.need > d.free {
			return &DiskError{Dir: d.dir, Need: d.need, Free: d.free}
		}
	}
	return nil
}

// writable tells whether files can be made in the output folder, by making one: permissions alone don't tell.
func (p *planned) writable() error {
	dir := existing(p.options.Dir)
	f, err := os.CreateTemp(dir, ".nexus-quant-*")
	if err != nil {
		return &FolderError{Dir: p.options.Dir, Err: err}
	}
	f.Close()
	return os.Remove(f.Name())
}

// FolderError is returned when the outputs can't be written where they should go.
type FolderError struct {
	Dir string
	Err error
}

func (e *FolderError) Error() string {
	return fmt.Sprintf("%s: can't write there: %v", e.Dir, e.Err)
}

// Unwrap returns the system's error.
func (e *FolderError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *FolderError) Hint() string { return "choose another folder with -o DIR" }

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// Types lists the file types that can be made, biggest first.
func Types() []quant.Preset { return quant.Presets() }

// Recommend names the types to offer first for a model of so many weights, best first.
func Recommend(weights int64) []string { return quant.Recommend(weights) }
