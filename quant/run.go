package quant

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// RunOptions say where and how a plan is carried out. None of them changes a byte of the outputs.
type RunOptions struct {
	Dir       string // where the outputs go; made if it is not there
	Threads   int    // 0: as many as there are cores
	MaxMemory int64  // bytes; 0: 1 GiB
	Force     bool   // replace files of the outputs' names
	NonFinite FinitePolicy
	NoVerify  bool           // don't read the outputs back
	Measure   bool           // compare every tensor of the outputs with its source
	Resume    Resume         // what becomes of an earlier run's work
	Progress  func(Progress) // called after every slab, from one goroutine at a time; may be nil
}

// DefaultMaxMemory is the memory that a run may take when nothing else is said.
const DefaultMaxMemory = 1 << 30

// ErrInterrupted is the cause to cancel a run's context with when its work should be kept: what is done stays beside the
// outputs-to-be, and the same run later goes on from there. A run that is cancelled otherwise leaves nothing.
var ErrInterrupted = errors.New("interrupted")

// Result is an output and what became of it.
type Result struct {
	Type          string
	Path          string
	Bytes         int64
	BitsPerWeight float64
	SHA256        string      // of the file; empty if it was not read back
	Tensors       []Tensor    // that the file holds
	Types         []gguf.Type // of Tensors
	Fidelity      []*Fidelity // of Tensors, with RunOptions.Measure
	Resumed       int         // tensors that an earlier run had done
	Err           error       // why there is no file; nil if all is well
	Kept          bool        // a partial file is kept, for the same run to go on with
}

// Result is what output i of the plan will be.
func (p *Plan) Result(i int, o RunOptions) Result {
	out := &p.Outputs[i]
	return Result{Type: out.Recipe.Name(), Path: o.Path(p, i), Bytes: out.Bytes(), BitsPerWeight: p.BitsPerWeight(out), Tensors: p.tensors(i), Types: out.Types}
}

// Overall joins the comparisons of the file's tensors with their sources, weight by weight, over those that were
// quantized.
func (r *Result) Overall() Fidelity {
	whole, weights, cosine := Fidelity{Cosine: 1}, 0.0, 0.0
	square := 0.0
	for i, f := range r.Fidelity {
		if f == nil || f.RMSE == 0 {
			continue
		}
		n := float64(r.Tensors[i].Elements)
		weights += n
		square += f.RMSE * f.RMSE * n
		cosine += f.Cosine * n
		whole.Max = max(whole.Max, f.Max)
	}
	if weights > 0 {
		whole.RMSE, whole.Cosine = math.Sqrt(square/weights), cosine/weights
	}
	return whole
}

func (o RunOptions) threads() int {
	if o.Threads > 0 {
		return o.Threads
	}
	return runtime.GOMAXPROCS(0)
}

func (o RunOptions) maxMemory() int64 {
	if o.MaxMemory > 0 {
		return o.MaxMemory
	}
	return DefaultMaxMemory
}

// Path is where output i of the plan goes.
func (o RunOptions) Path(p *Plan, i int) string {
	return filepath.Join(o.Dir, p.Outputs[i].FileName(p.Model.Name))
}

// Check finds what would make Run fail before it does any work: names that are taken, too little memory.
func Check(p *Plan, o RunOptions) error {
	seen := map[string]bool{}
	for i := range p.Outputs {
		path := o.Path(p, i)
		if seen[path] {
			return fmt.Errorf("%s: asked for twice", path)
		}
		seen[path] = true
		if err := checkFree(path, o.Force); err != nil {
			return err
		}
	}
	_, err := p.size(o)
	return err
}

// Run carries out a plan: every source tensor is read once and written to every output. What ends one output does not
// stop the others: its Result says so. The error is not nil if there is no output at all.
//
// No file ever stands under a final name that is not whole. After a failure that may pass (a full disk, an interruption)
// partial files are kept with their journals, and the same run later goes on at the last finished tensor, with the same
// bytes in the end; otherwise nothing is left behind.
func Run(ctx context.Context, p *Plan, o RunOptions) ([]Result, error) {
	if o.Dir == "" {
		o.Dir = "."
	}
	if err := Check(p, o); err != nil {
		return nil, err
	}
	size, err := p.size(o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	var files []*outfile
	defer func() {
		for _, f := range files {
			f.abandon() // those that were neither published nor kept
		}
	}()
	results := make([]Result, len(p.Outputs))
	for i := range p.Outputs {
		results[i] = p.Result(i, o)
		f, err := createOutput(p, i, o)
		if err != nil {
			for _, f := range files {
				if f.worthKeeping() {
					f.keep() // an earlier run's work
				}
			}
			return nil, err
		}
		files = append(files, f)
		results[i].Resumed = f.resumed
	}
	var v *verifier
	if !o.NoVerify {
		v = startVerifier(ctx, p, files, o)
	}
	if err := quantize(ctx, p, size, files, o); err != nil {
		for _, f := range files {
			f.fail(err)
		}
	}
	finish(ctx, files, results, v, o)
	for i, f := range files {
		err := f.failed()
		if err == nil {
			continue
		}
		results[i].Err = err
		if lasting(ctx, err) && f.worthKeeping() {
			f.keep()
			results[i].Kept = true
		}
	}
	for _, r := range results {
		if r.Err == nil {
			return results, nil
		}
	}
	return results, results[0].Err
}

// finish makes the outputs that nothing has ended safe, waits until they are read back and gives them their names.
func finish(ctx context.Context, files []*outfile, results []Result, v *verifier, o RunOptions) {
	for _, f := range files {
		if f.failed() == nil {
			if err := f.f.Sync(); err != nil {
				f.fail(diskError(f.f.Name(), err))
			}
		}
	}
	if v != nil {
		v.finish(results, o.Progress)
	}
	for i, f := range files {
		if f.failed() == nil && ctx.Err() != nil {
			f.fail(ctx.Err())
		}
		if f.failed() != nil {
			continue
		}
		for _, r := range f.records {
			if o.Measure {
				results[i].Fidelity = append(results[i].Fidelity, r.Fidelity)
			}
		}
		if err := f.publish(); err != nil {
			f.fail(err)
		}
	}
}

// lasting tells whether what was done before err is worth going on with.
func lasting(ctx context.Context, err error) bool {
	var (
		finite *NonFiniteError
		block  *BlockError
		verify *VerifyError
	)
	switch {
	case errors.As(err, &finite), errors.As(err, &block), errors.As(err, &verify):
		return false // it would end the same way again
	case errors.Is(err, context.Canceled):
		return errors.Is(context.Cause(ctx), ErrInterrupted)
	}
	return true
}
