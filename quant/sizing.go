package quant

import (
	"fmt"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Memory of a run is decided before it starts: a fixed set of buffers, each one slab long, used over and over.
const (
	slabElements    = 256 << 10 // 1 MiB of float32: stays in the second-level cache of one core
	minSlabElements = 16 << 10
	maxPanel        = 64 << 20 // of transposed rows: stretches of some 10 KB in the source, for matrices of any size
	minPanel        = 1 << 20
	baseMemory      = 48 << 20 // the program itself, tokenizer and configuration while planning
)

// sizing is the set of buffers of a run.
type sizing struct {
	slab    int64 // values in a slab, at most; a row that is longer is a slab of its own
	workers int   // goroutines that decode and quantize
	readers int
	writers int
	panel   int64 // bytes of transposed rows that a reader gathers at once, at most; 0 for a slab at a time
	panels  int64 // bytes of a reader's panel
	lines   int64 // bytes that a reader borrows to gather
	raw     int   // buffers of stored rows
	out     int   // buffers of finished blocks
	rereads int   // buffers of the same size to read the outputs back
	rawSize int64 // bytes of one raw buffer
	values  int64 // float32 values of one of a worker's buffers
	floats  int   // buffers of values that a worker has
	outSize int64 // bytes of one out buffer
	fixed   int64 // what is needed whatever the buffers: headers, importance weights, scales
}

// memory is what the run takes at most, in bytes.
func (s sizing) memory() int64 {
	return s.fixed + int64(s.readers)*(s.panels+s.lines) + int64(s.raw)*s.rawSize + int64(s.workers*s.floats)*4*s.values + int64(s.out+s.rereads)*s.outSize
}

// MemoryError is returned when a plan can't be carried out within the memory allowed.
type MemoryError struct{ Need, Allowed int64 }

func (e *MemoryError) Error() string {
	return fmt.Sprintf("memory: %d MiB allowed, this model needs %d MiB at least", e.Allowed>>20, (e.Need+1<<20-1)>>20)
}

// Hint says what to pass.
func (e *MemoryError) Hint() string {
	return fmt.Sprintf("pass --max-memory %dMiB or more", (e.Need+1<<20-1)>>20)
}

// size fits the buffers of a run into max bytes: smaller panels first, then smaller slabs, then fewer threads. The bytes
// of the outputs depend on none of them.
func (p *Plan) size(o RunOptions) (sizing, error) {
	threads, slab, panel, max := o.threads(), int64(slabElements), int64(maxPanel), o.maxMemory()
	for {
		s := p.sizeFor(threads, slab, panel, o.Measure)
		switch {
		case s.memory() <= max:
			return s, nil
		case panel > minPanel:
			panel /= 2
		case panel > 0:
			panel = 0
		case slab > minSlabElements:
			slab /= 2
		case threads > 1:
			threads--
		default:
			return s, &MemoryError{Need: s.memory(), Allowed: max}
		}
	}
}

func (p *Plan) sizeFor(threads int, slab, panel int64, measure bool) sizing {
	s := sizing{slab: slab, panel: panel, workers: threads, readers: 2, writers: min(4, max(2, threads/4))}
	s.raw = s.workers + s.readers
	s.out, s.rereads = 2*s.workers+s.writers, len(p.Outputs)
	s.floats = 1
	if measure {
		s.floats = 2
	}
	s.fixed = baseMemory + p.Model.memory
	for i := range p.Outputs {
		s.fixed += 2 * int64(len(p.Outputs[i].Layout.Header()))
	}
	for i := range p.Tensors {
		t := &p.Tensors[i]
		rows := slabRows(t, slab)
		s.rawSize = max(s.rawSize, rows*t.source.stride)
		panels, lines := t.source.gathering(rows, panel)
		s.panels, s.lines = max(s.panels, panels), max(s.lines, lines)
		s.values = max(s.values, rows*t.source.cols)
		s.fixed += 4 * int64(len(t.weights))
		s.fixed += 4 * t.source.scales()
		for j := range p.Outputs {
			if typ, ok := p.Outputs[j].Type(i); ok {
				n, _ := gguf.TensorSize(typ, []int64{t.source.cols, rows})
				s.outSize = max(s.outSize, n)
			}
		}
	}
	return s
}

// PeakMemory is the most that Run will use with these options, in bytes.
func (p *Plan) PeakMemory(o RunOptions) (int64, error) {
	s, err := p.size(o)
	return s.memory(), err
}
