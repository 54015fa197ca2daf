package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
)

// ErrInterrupted is the cause to cancel a job's context with when its work should be kept.
var ErrInterrupted = quant.ErrInterrupted

// PartialError is returned when work was stopped that can be gone on with.
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

func (r *Request) runOptions() quant.RunOptions {
	o := quant.RunOptions{Dir: r.path(r.Dir), Threads: r.Threads, MaxMemory: r.MemoryLimit(), Force: r.Force, NoVerify: r.NoVerify, Measure: true}
	if r.Dir == "" {
		o.Dir = r.path(".")
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if r.KeepNonFinite {
		o.NonFinite = quant.KeepNonFinite
	}
	return o
}

// executed is what a run of a request came to.
type executed struct {
	*planned
	estimate *Estimate
	outputs  []quant.Result
}

// execute does a request's work. What can't end well is refused before anything is downloaded or written. The result
// may hold outputs, made or failed, even with an error; it is nil if it did not come to a plan.
func (s *Service) execute(ctx context.Context, r *Request, resume quant.Resume, watch Observer) (*executed, error) {
	job, err := s.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	x := &executed{planned: job}
	defer func() { x.close() }()
	job.options.Resume = resume
	if resume == quant.ResumeOnly && !r.Force { // else they may be the files that are to be replaced
		if err := x.adopt(); err != nil {
			return x, err
		}
	}
	if x.estimate, err = s.estimate(ctx, job, false); err != nil {
		return x, err
	}
	if err := job.check(x.estimate); err != nil {
		return x, err
	}
	watch.Planned(x.estimate)
	if job.kind == HuggingFace || job.lora.onHub() {
		if x.planned, err = s.download(ctx, r, job, watch); err != nil {
			return x, err
		}
	}
	x.options.Progress = func(p quant.Progress) {
		watch.Progress(Progress{Stage: Stage(p.Phase), Item: p.Tensor, ItemsDone: p.TensorsDone, Items: p.Tensors, BytesDone: p.BytesDone, BytesTotal: p.BytesTotal})
	}
	if len(x.plan.Outputs) > 0 {
		var made []quant.Result
		made, err = quant.Run(ctx, x.plan, x.options)
		x.outputs = append(x.outputs, made...)
	}
	return x, x.verdict(err)
}

// adopt takes files that an earlier attempt finished, but died before it could say so, for made.
func (x *executed) adopt() error {
	made := map[int]bool{}
	for i := range x.plan.Outputs {
		path := x.options.Path(x.plan, i)
		if !x.plan.Made(i, path) {
			continue
		}
		sum, err := hashFile(path)
		if err != nil {
			return err
		}
		made[i] = true
		out := x.plan.Result(i, x.options)
		out.SHA256, out.Resumed = sum, len(out.Tensors)
		x.outputs = append(x.outputs, out)
	}
	if len(made) > 0 {
		x.plan = x.plan.Without(func(i int) bool { return made[i] })
	}
	return nil
}

// verdict joins what became of the outputs into one error.
func (x *executed) verdict(err error) error {
	failed := FailedOutputsError{}
	kept := false
	for _, o := range x.outputs {
		switch {
		case o.Err == nil:
			failed.Made++
		default:
			if failed.Failed++; failed.Err == nil {
				failed.Err = o.Err
			}
		}
		kept = kept || o.Kept
	}
	if err == nil && failed.Failed > 0 {
		err = &failed
	}
	if err != nil && kept {
		err = &PartialError{err}
	}
	return err
}

// result is what the caller is told.
func (x *executed) result(r *Request, id string) *Result {
	if x == nil {
		return nil
	}
	result := &Result{Job: id, Model: r.Model, Commit: x.Commit}
	if x.estimate != nil {
		result.Warnings = x.estimate.Warnings
	}
	for _, o := range x.outputs {
		out := OutputResult{
			Type: o.Type, Path: o.Path, Bytes: o.Bytes, BitsPerWeight: o.BitsPerWeight, SHA256: o.SHA256, Resumed: o.Resumed,
			RMSE: o.Overall().RMSE,
		}
		if o.Err != nil {
			out.Error, out.RMSE = o.Err.Error(), 0
		}
		result.Outputs = append(result.Outputs, out)
	}
	return result
}

// download fetches the weights of a Hub model at the commit that was planned, and those of an adapter, and plans again
// from the files.
func (s *Service) download(ctx context.Context, r *Request, job *planned, watch Observer) (*planned, error) {
	report := func(p hf.Progress) {
		watch.Progress(Progress{Stage: Downloading, Item: p.File, ItemsDone: p.FilesDone, Items: p.Files, BytesDone: p.BytesDone, BytesTotal: p.BytesTotal})
	}
	dir := job.ref.Path
	if job.kind == HuggingFace {
		ref := job.ref
		ref.Revision = job.Commit
		var err error
		if dir, _, err = s.hub.Download(ctx, ref, report); err != nil {
			return job, err
		}
	}
	src, err := s.fetched(ctx, r, job, dir, report)
	if err != nil {
		return job, err
	}
	p, err := quant.NewPlan(src.Model, job.asked)
	if err != nil {
		src.close()
		return job, err
	}
	job.close()
	return &planned{source: src, asked: job.asked, plan: p, options: job.options}, nil
}

// fetched opens what was downloaded, and fetches an adapter that is merged into it.
func (s *Service) fetched(ctx context.Context, r *Request, job *planned, dir string, report func(hf.Progress)) (*source, error) {
	lora, err := s.fetchLora(ctx, job.lora, report)
	if err != nil {
		return nil, err
	}
	open := hf.OpenDir
	if job.ref.Adapter {
		open = hf.OpenAdapterDir
	}
	c, err := open(dir)
	if err != nil {
		return nil, errors.Join(err, lora.close())
	}
	if job.kind == HuggingFace {
		c.Name = job.ref.Repo[strings.LastIndexByte(job.ref.Repo, '/')+1:]
		c.Repo, c.Revision, c.Commit = job.Repo, job.Revision, job.Commit
	}
	if job.ref.Adapter {
		return s.fromAdapter(ctx, c, job.ref, r)
	}
	return fromCheckpoint(c, job.ref, r, lora)
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
		path := p.options.Path(p.plan, i)
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

// missing is how many bytes of disk an error says are lacking, 0 if it is about something else. Of a disk that filled
// up under way, the part of the outputs that was not written yet is what is missing, less what is free.
func (x *executed) missing(err error) int64 {
	var before *DiskError
	if errors.As(err, &before) {
		return before.Need - before.Free
	}
	var full *quant.DiskError
	if x == nil || !errors.As(err, &full) {
		return 0
	}
	free, _, ferr := freeBytes(x.options.Dir)
	if ferr != nil {
		free = 0
	}
	need := int64(0)
	for _, o := range x.outputs {
		if o.Err != nil {
			need += o.Bytes - allocated(o.Path+".partial")
		}
	}
	return max(1, min(math.MaxInt64, need-free))
}
