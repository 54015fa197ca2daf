package quant

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// The pipeline has three stages, each on goroutines of its own, so that reading, computing and writing overlap:
//
//	read rows -> decode, check, quantize once per type -> write to every output of that type
//
// They hand each other buffers out of fixed pools; a full stage makes the one before it wait. Beside them, finished
// tensors are synced and recorded in the journals once a second.

// task is one tensor on its way through the pipeline.
type task struct {
	tensor  int
	types   []gguf.Type   // that outputs want of it, each once
	outputs [][]int       // for each type, the outputs that take it
	rows    int64         // of a slab
	sums    [][]uint32    // for each type, the CRC-32C of each slab
	devs    [][]deviation // likewise
	slabs   []int32       // for each type, slabs that are not written yet
	blocks  []int32       // for each slab, types that are not written yet
}

// slab is some whole rows of a tensor.
type slab struct {
	*task
	index int
	first int64
	rows  int64
	raw   []byte
}

// reading is some slabs in a row that are read at once; the first has the rows of all.
type reading struct {
	slab
	slabs int
}

// block is a slab's finished bytes for the outputs that share a type.
type block struct {
	slab
	kind  int // index of the type
	bytes []byte
}

// castagnoli is the polynomial of CRC-32C, which CPUs compute in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// commitEvery is how much work a crash can undo, in time.
const commitEvery = time.Second

type pipeline struct {
	plan    *Plan
	size    sizing
	files   []*outfile
	options RunOptions
	meter   *meter

	todo   chan reading
	loaded chan slab
	done   chan block
	rawBuf chan []byte
	outBuf chan []byte
}

// quantize fills the files' data sections. What ends one output is noted in its file; the error returned is one that
// ended all.
func quantize(ctx context.Context, p *Plan, size sizing, files []*outfile, o RunOptions) error {
	pl := &pipeline{
		plan: p, size: size, files: files, options: o, meter: newMeter(p, o.Progress),
		todo: make(chan reading), loaded: make(chan slab, size.raw), done: make(chan block, size.out),
		rawBuf: make(chan []byte, size.raw), outBuf: make(chan []byte, size.out),
	}
	for range size.raw {
		pl.rawBuf <- make([]byte, size.rawSize)
	}
	for range size.out {
		pl.outBuf <- make([]byte, size.outSize)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { defer close(pl.todo); return pl.dispatch(ctx) })
	stage(g, size.readers, func() error { return pl.read(ctx) }, func() { close(pl.loaded) })
	stage(g, size.workers, func() error { return pl.work(ctx) }, func() { close(pl.done) })
	stage(g, size.writers, func() error { return pl.write(ctx) }, func() {})

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(commitEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				pl.commit()
			case <-stop:
				return
			}
		}
	}()
	err := g.Wait()
	close(stop)
	<-stopped
	pl.commit()
	return err
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

// commit makes the finished tensors of all outputs last.
func (pl *pipeline) commit() {
	for _, f := range pl.files {
		if f.failed() == nil {
			if err := f.commit(); err != nil {
				f.fail(diskError(f.f.Name(), err))
			}
		}
	}
}

// fail ends the outputs that take a task's type. The error is not nil when that was the last of them.
func (pl *pipeline) fail(outputs []int, err error) error {
	for _, i := range outputs {
		pl.files[i].fail(err)
	}
	for _, f := range pl.files {
		if f.failed() == nil {
			return nil
		}
	}
	return err
}

// slabRows is the number of rows of t in one slab.
func slabRows(t *Tensor, slab int64) int64 {
	return min(t.source.rows, max(1, slab/max(1, t.source.cols)))
}

// slabCount is the number of slabs of so many rows that t has.
func slabCount(t *Tensor, rows int64) int { return int((t.source.rows + rows - 1) / rows) }

// newTask finds out which outputs still want tensor i, and as what.
func (pl *pipeline) newTask(i int) *task {
	t := &pl.plan.Tensors[i]
	k := &task{tensor: i, rows: slabRows(t, pl.size.slab)}
	n := slabCount(t, k.rows)
	for j, f := range pl.files {
		typ, ok := pl.plan.Outputs[j].Type(i)
		if !ok || f.done(i) || f.failed() != nil {
			continue
		}
		at := slices.Index(k.types, typ)
		if at < 0 {
			at = len(k.types)
			k.types = append(k.types, typ)
			k.outputs = append(k.outputs, nil)
			k.sums = append(k.sums, make([]uint32, n))
			k.devs = append(k.devs, make([]deviation, n))
			k.slabs = append(k.slabs, int32(n))
		}
		k.outputs[at] = append(k.outputs[at], j)
	}
	k.blocks = make([]int32, n)
	for s := range k.blocks {
		k.blocks[s] = int32(len(k.types))
	}
	return k
}

// dispatch hands out the slabs of all tensors in file order.
func (pl *pipeline) dispatch(ctx context.Context) error {
	for i := range pl.plan.Tensors {
		t := &pl.plan.Tensors[i]
		k := pl.newTask(i)
		if len(k.types) == 0 {
			pl.meter.bytesDone(t.Name, t.SourceBytes, true)
			continue
		}
		if err := t.source.prepare(); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		n := int(t.source.panelSlabs(k.rows, pl.size.panel))
		for s := 0; s < len(k.blocks); s += n {
			first := int64(s) * k.rows
			all := slab{task: k, index: s, first: first, rows: min(int64(n)*k.rows, t.source.rows-first)}
			select {
			case pl.todo <- reading{all, min(n, len(k.blocks)-s)}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (pl *pipeline) read(ctx context.Context) error {
	var panel []byte
	for r := range pl.todo {
		t := &pl.plan.Tensors[r.tensor]
		read := func(dst []byte, s slab) error {
			if err := t.source.read(dst, s.first, s.rows); err != nil {
				return fmt.Errorf("tensor %q: reading rows %d to %d: %w", t.Name, s.first, s.first+s.rows-1, err)
			}
			return nil
		}
		if r.slabs > 1 {
			if panel == nil {
				panel = make([]byte, pl.size.panels)
			}
			if err := read(panel, r.slab); err != nil {
				return err
			}
		}
		for i := range r.slabs {
			s := r.slab
			s.index, s.first = r.index+i, r.first+int64(i)*r.task.rows
			s.rows = min(r.task.rows, r.first+r.rows-s.first)
			select {
			case s.raw = <-pl.rawBuf:
			case <-ctx.Done():
				return ctx.Err()
			}
			if r.slabs > 1 {
				copy(s.raw, panel[(s.first-r.first)*t.source.stride:][:s.rows*t.source.stride])
			} else if err := read(s.raw, s); err != nil {
				return err
			}
			pl.loaded <- s // has room for every raw buffer
		}
	}
	return ctx.Err()
}

func (pl *pipeline) work(ctx context.Context) error {
	c := newCoder(pl.size, pl.options)
	for s := range pl.loaded {
		t := &pl.plan.Tensors[s.tensor]
		if err := c.take(t, s.raw[:s.rows*t.source.stride], s.first, s.rows); err != nil {
			return err
		}
		for kind, typ := range s.types {
			var buf []byte
			select {
			case buf = <-pl.outBuf:
			case <-ctx.Done():
				return ctx.Err()
			}
			out, err := c.make(typ, buf, &s.devs[kind][s.index])
			if err != nil {
				if err := pl.fail(s.outputs[kind], err); err != nil {
					return err
				}
				pl.outBuf <- buf
				pl.blockDone(s, kind)
				continue
			}
			pl.done <- block{slab: s, kind: kind, bytes: out} // has room for every out buffer
		}
		pl.rawBuf <- s.raw
	}
	return ctx.Err()
}

func (pl *pipeline) write(ctx context.Context) error {
	for b := range pl.done {
		if err := ctx.Err(); err != nil {
			return err
		}
		stride := int64(len(b.bytes)) / b.slab.rows
		b.sums[b.kind][b.index] = crc32.Checksum(b.bytes, castagnoli)
		for _, i := range b.outputs[b.kind] {
			f := pl.files[i]
			if f.failed() != nil {
				continue
			}
			at := pl.plan.Outputs[i].Layout.Offset(b.tensor-f.first) + b.first*stride
			if _, err := f.f.WriteAt(b.bytes, at); err != nil {
				if err := pl.fail([]int{i}, diskError(f.f.Name(), err)); err != nil {
					return err
				}
			}
		}
		pl.outBuf <- b.bytes[:cap(b.bytes)]
		pl.blockDone(b.slab, b.kind)
	}
	return ctx.Err()
}

// blockDone counts a block that is written or given up. The last one of a type finishes the tensor for its outputs.
func (pl *pipeline) blockDone(s slab, kind int) {
	if atomic.AddInt32(&s.slabs[kind], -1) == 0 {
		r := tensorRecord{Tensor: s.tensor, Rows: s.task.rows, Sums: s.sums[kind]}
		if pl.options.Measure {
			var whole deviation
			for _, d := range s.devs[kind] {
				whole.add(d)
			}
			r.Fidelity = whole.fidelity()
		}
		for _, i := range s.outputs[kind] {
			if f := pl.files[i]; f.failed() == nil {
				f.finished(r)
			}
		}
	}
	if atomic.AddInt32(&s.blocks[s.index], -1) == 0 {
		t := &pl.plan.Tensors[s.tensor]
		pl.meter.slabDone(s.tensor, t.Name, s.rows*t.source.stride, len(s.blocks))
	}
}
