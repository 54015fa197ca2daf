package quant

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// RunOptions say where and how a plan is carried out. None of them changes a byte of the outputs.
type RunOptions struct {
	Dir       string // where the outputs go; made if it is not there
	Threads   int    // 0: as many as there are cores
	MaxMemory int64  // bytes; 0: 1 GiB
	Force     bool   // replace files of the outputs' names
	NonFinite FinitePolicy
	NoVerify  bool           // don't read the outputs back
	Progress  func(Progress) // called after every slab, from one goroutine at a time; may be nil
}

// DefaultMaxMemory is the memory that a run may take when nothing else is said.
const DefaultMaxMemory = 1 << 30

// Phase names what a run is doing.
type Phase string

// The phases of a run, in order.
const (
	Quantizing Phase = "quantizing"
	Verifying  Phase = "verifying"
)

// Progress tells how far a run is. Bytes never go back within a phase.
type Progress struct {
	Phase       Phase
	Tensor      string // that was worked on last
	TensorsDone int
	Tensors     int
	BytesDone   int64 // Quantizing: of the source; Verifying: of the outputs
	BytesTotal  int64
}

// Result is a finished output.
type Result struct {
	Type          string  `json:"type"`
	Path          string  `json:"path"`
	Bytes         int64   `json:"bytes"`
	BitsPerWeight float64 `json:"bits_per_weight"`
	SHA256        string  `json:"sha256,omitempty"` // of the file; empty if it was not read back
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

// path is where output i of the plan goes.
func (o RunOptions) path(p *Plan, i int) string {
	return filepath.Join(o.Dir, p.Outputs[i].FileName(p.Model.Name))
}

// Check finds what would make Run fail before it does any work: names that are taken, a folder that can't be
// written, too little memory.
func Check(p *Plan, o RunOptions) error {
	seen := map[string]bool{}
	for i := range p.Outputs {
		path := o.path(p, i)
		if seen[path] {
			return fmt.Errorf("%s: asked for twice", path)
		}
		seen[path] = true
		if err := checkFree(path, o.Force); err != nil {
			return err
		}
	}
	_, err := p.size(o.threads(), o.maxMemory())
	return err
}

// Run carries out a plan: every source tensor is read once and written to every output. On error, and when ctx
// is cancelled, no file is left behind under a final name, nor a partial one.
func Run(ctx context.Context, p *Plan, o RunOptions) ([]Result, error) {
	if err := Check(p, o); err != nil {
		return nil, err
	}
	size, err := p.size(o.threads(), o.maxMemory())
	if err != nil {
		return nil, err
	}
	if o.Dir == "" {
		o.Dir = "."
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	files := make([]*outfile, len(p.Outputs))
	defer func() {
		for _, f := range files {
			if f != nil {
				f.abandon()
			}
		}
	}()
	for i := range p.Outputs {
		out := &p.Outputs[i]
		if files[i], err = createOutput(o.path(p, i), out.Bytes(), o.Force); err != nil {
			return nil, err
		}
		if _, err := files[i].f.WriteAt(out.Layout.Header(), 0); err != nil {
			return nil, diskError(files[i].f.Name(), err)
		}
	}
	sums, err := quantize(ctx, p, size, files, o)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := f.f.Sync(); err != nil {
			return nil, diskError(f.f.Name(), err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	results := make([]Result, len(p.Outputs))
	for i := range p.Outputs {
		out := &p.Outputs[i]
		results[i] = Result{Type: out.Recipe.Preset.Name, Path: files[i].final, Bytes: out.Bytes(), BitsPerWeight: p.BitsPerWeight(out)}
	}
	if !o.NoVerify {
		if err := verify(ctx, p, size, files, sums, results, o); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if err := f.publish(); err != nil {
			return nil, err
		}
	}
	return results, nil
}
