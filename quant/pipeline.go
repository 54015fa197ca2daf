package quant

import (
	"context"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// The pipeline has three stages, each on goroutines of its own, so that reading, computing and writing overlap:
//
//	read rows -> decode, check, quantize once per type -> write to every output of that type
//
// They hand each other buffers out of fixed pools; a full stage makes the one before it wait.

// slab is some whole rows of a tensor on their way through the pipeline.
type slab struct {
	tensor int
	index  int // of the slab within its tensor
	first  int64
	rows   int64
	raw    []byte
}

// block is a slab's finished bytes for the outputs that share its type.
type block struct {
	slab
	typ   gguf.Type
	bytes []byte
	final bool // the last block of its slab: the slab is done once it is written
}

// checksums are the CRC-32C of every slab of every output, [output][tensor][slab], for reading back.
type checksums [][][]uint32

// castagnoli is the polynomial that CPUs compute in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type pipeline struct {
	plan    *Plan
	size    sizing
	files   []*outfile
	options RunOptions
	sums    checksums
	types   [][]gguf.Type // the different types of each tensor over all outputs

	todo   chan slab
	loaded chan slab
	done   chan block
	rawBuf chan []byte
	outBuf chan []byte
}

// quantize fills the files' data sections and returns the checksums of what it wrote.
func quantize(ctx context.Context, p *Plan, size sizing, files []*outfile, o RunOptions) (checksums, error) {
	pl := &pipeline{
		plan: p, size: size, files: files, options: o,
		todo: make(chan slab), loaded: make(chan slab, size.raw), done: make(chan block, size.out),
		rawBuf: make(chan []byte, size.raw), outBuf: make(chan []byte, size.out),
	}
	for range size.raw {
		pl.rawBuf <- make([]byte, size.rawSize)
	}
	for range size.out {
		pl.outBuf <- make([]byte, size.outSize)
	}
	for i := range p.Tensors {
		pl.types = append(pl.types, p.typesOf(i))
	}
	for range p.Outputs {
		out := make([][]uint32, len(p.Tensors))
		for i := range p.Tensors {
			out[i] = make([]uint32, slabs(&p.Tensors[i], size.slab))
		}
		pl.sums = append(pl.sums, out)
	}

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { defer close(pl.todo); return pl.dispatch(ctx) })
	stage(g, size.readers, func() error { return pl.read(ctx) }, func() { close(pl.loaded) })
	stage(g, size.workers, func() error { return pl.work(ctx) }, func() { close(pl.done) })
	meter := &meter{options: o, left: make([]int32, len(p.Tensors))}
	meter.Tensors, meter.Phase = len(p.Tensors), Quantizing
	for i := range p.Tensors {
		meter.left[i] = int32(slabs(&p.Tensors[i], size.slab))
		meter.BytesTotal += p.Tensors[i].SourceBytes
	}
	stage(g, size.writers, func() error { return pl.write(ctx, meter) }, func() {})
	return pl.sums, g.Wait()
}

// stage runs n goroutines and calls after when the last one has ended.
func stage(g *errgroup.Group, n int, run func() error, after func()) {
	var left atomic.Int32
	left.Store(int32(n))
	for range n {
		g.Go(func() error {
			defer func() {
				if left.Add(-1) == 0 {
					after()
				}
			}()
			return run()
		})
	}
}

// typesOf lists the different types that tensor i has in the outputs.
func (p *Plan) typesOf(i int) []gguf.Type {
	var list []gguf.Type
next:
	for j := range p.Outputs {
		for _, t := range list {
			if t == p.Outputs[j].Types[i] {
				continue next
			}
		}
		list = append(list, p.Outputs[j].Types[i])
	}
	return list
}

// slabs is the number of slabs that t is worked in.
func slabs(t *Tensor, size int64) int {
	n := slabRows(t, size)
	return int((t.source.rows + n - 1) / n)
}

// dispatch hands out the slabs of all tensors in file order.
func (pl *pipeline) dispatch(ctx context.Context) error {
	for i := range pl.plan.Tensors {
		t := &pl.plan.Tensors[i]
		if err := t.source.prepare(); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		n := slabRows(t, pl.size.slab)
		for k, first := 0, int64(0); first < t.source.rows; k, first = k+1, first+n {
			s := slab{tensor: i, index: k, first: first, rows: min(n, t.source.rows-first)}
			select {
			case pl.todo <- s:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (pl *pipeline) read(ctx context.Context) error {
	for s := range pl.todo {
		select {
		case s.raw = <-pl.rawBuf:
		case <-ctx.Done():
			return ctx.Err()
		}
		t := &pl.plan.Tensors[s.tensor]
		if err := t.source.read(s.raw, s.first, s.rows); err != nil {
			return fmt.Errorf("tensor %q: reading rows %d to %d: %w", t.Name, s.first, s.first+s.rows-1, err)
		}
		pl.loaded <- s // has room for every raw buffer
	}
	return ctx.Err()
}

func (pl *pipeline) work(ctx context.Context) error {
	values := make([]float32, pl.size.values)
	for s := range pl.loaded {
		t := &pl.plan.Tensors[s.tensor]
		raw := s.raw[:s.rows*t.source.stride]
		x := values[:s.rows*t.source.cols]
		decoded := false
		for i, typ := range pl.types[s.tensor] {
			var buf []byte
			select {
			case buf = <-pl.outBuf:
			case <-ctx.Done():
				return ctx.Err()
			}
			var out []byte
			if t.copied(typ) {
				out = buf[:len(raw)]
				copy(out, raw)
				if err := t.checkStored(typ, out, s.first, pl.options.NonFinite); err != nil {
					return err
				}
			} else {
				if !decoded {
					if err := t.decode(x, raw, s.first, pl.options.NonFinite); err != nil {
						return err
					}
					decoded = true
				}
				var err error
				if out, err = t.encode(typ, buf, x, s.first, s.rows); err != nil {
					return err
				}
			}
			pl.done <- block{slab: s, typ: typ, bytes: out, final: i == len(pl.types[s.tensor])-1}
		}
		pl.rawBuf <- s.raw
	}
	return ctx.Err()
}

// decode turns stored rows into float32 and looks for weights that are none.
func (t *Tensor) decode(x []float32, raw []byte, first int64, policy FinitePolicy) error {
	if err := t.source.toFloat(x, raw, first); err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if policy == RefuseNonFinite {
		return t.checkFinite(x, first)
	}
	return nil
}

func (t *Tensor) checkFinite(x []float32, first int64) error {
	if i := kernels.Finite(x); i >= 0 {
		return &NonFiniteError{Tensor: t.Name, Row: first + int64(i)/t.source.cols, Col: int64(i) % t.source.cols, Value: x[i]}
	}
	return nil
}

// checkStored checks bytes that go to the output as they are.
func (t *Tensor) checkStored(typ gguf.Type, stored []byte, first int64, policy FinitePolicy) error {
	if !kernels.CanDequantize(typ) {
		return nil // integers, and types that only other programs read
	}
	err := kernels.Validate(typ, stored)
	if err == nil || policy == KeepNonFinite && !typ.Quantized() {
		return nil
	}
	if !typ.Quantized() {
		x := make([]float32, int64(len(stored))/t.source.stride*t.source.cols)
		if t.source.toFloat(x, stored, first) == nil {
			if err := t.checkFinite(x, first); err != nil {
				return err
			}
		}
	}
	return &BlockError{Tensor: t.Name, Type: typ.String(), Row: first, Err: err}
}

// encode packs rows into buf. The matrices of a stack have importance weights of their own, so a slab is cut
// where one ends.
func (t *Tensor) encode(typ gguf.Type, buf []byte, x []float32, first, rows int64) ([]byte, error) {
	cols := t.source.cols
	stride, err := typ.RowSize(cols)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	out := buf[:rows*stride]
	matrix := t.source.rows
	if len(t.Shape) > 1 {
		matrix = t.Shape[1]
	}
	for done := int64(0); done < rows; {
		row := first + done
		n := min(rows-done, matrix-row%matrix)
		var weights []float32
		if t.weights != nil {
			at := row / matrix * cols
			weights = t.weights[at : at+cols]
		}
		if err := kernels.Quantize(typ, out[done*stride:(done+n)*stride], x[done*cols:(done+n)*cols], int(cols), weights); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		done += n
	}
	if typ.Quantized() {
		if err := kernels.Validate(typ, out); err != nil {
			return nil, &BlockError{Tensor: t.Name, Type: typ.String(), Row: first, Err: err}
		}
	}
	return out, nil
}

func (pl *pipeline) write(ctx context.Context, meter *meter) error {
	for b := range pl.done {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := &pl.plan.Tensors[b.tensor]
		stride := int64(len(b.bytes)) / b.rows
		sum := crc32.Checksum(b.bytes, castagnoli)
		for i := range pl.plan.Outputs {
			out := &pl.plan.Outputs[i]
			if out.Types[b.tensor] != b.typ {
				continue
			}
			pl.sums[i][b.tensor][b.index] = sum
			if _, err := pl.files[i].f.WriteAt(b.bytes, out.Layout.Offset(b.tensor)+b.first*stride); err != nil {
				return diskError(pl.files[i].f.Name(), err)
			}
		}
		pl.outBuf <- b.bytes[:cap(b.bytes)]
		if b.final {
			meter.add(b.tensor, t.Name, b.rows*t.source.stride)
		}
	}
	return ctx.Err()
}

// meter counts what is done.
type meter struct {
	options RunOptions
	mu      sync.Mutex
	left    []int32 // slabs of each tensor
	Progress
}

func (m *meter) add(tensor int, name string, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.BytesDone += bytes
	m.Tensor = name
	if m.left[tensor]--; m.left[tensor] == 0 {
		m.TensorsDone++
	}
	if m.options.Progress != nil {
		m.options.Progress(m.Progress)
	}
}
