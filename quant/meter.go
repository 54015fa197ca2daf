package quant

import "sync"

// Phase names what a run is doing.
type Phase string

// The phases of a run, in order.
const (
	Quantizing Phase = "quantizing"
	Verifying  Phase = "verifying"
)

// Progress tells how far a run is. Bytes never go back within a phase; a run that goes on where another one stopped
// begins at what that one had done.
type Progress struct {
	Phase       Phase
	Tensor      string // that was worked on last
	TensorsDone int
	Tensors     int
	BytesDone   int64 // Quantizing: of the source; Verifying: of the outputs
	BytesTotal  int64
}

// meter counts what is done and tells it, one call at a time.
type meter struct {
	mu     sync.Mutex
	report func(Progress)
	slabs  []int32 // of each tensor that are done
	Progress
}

func newMeter(p *Plan, report func(Progress)) *meter {
	m := &meter{report: report, slabs: make([]int32, len(p.Tensors))}
	m.Phase, m.Tensors, m.BytesTotal = Quantizing, len(p.Tensors), p.SourceBytes()
	return m
}

// tell begins to report, with how far it is now.
func (m *meter) tell(report func(Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report = report; report != nil {
		report(m.Progress)
	}
}

// slabDone counts a slab of bytes bytes of a tensor that has so many slabs.
func (m *meter) slabDone(tensor int, name string, bytes int64, of int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slabs[tensor]++
	m.add(name, bytes, int(m.slabs[tensor]) == of)
}

// bytesDone counts bytes of a tensor, which they may finish.
func (m *meter) bytesDone(name string, bytes int64, finished bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(name, bytes, finished)
}

func (m *meter) add(name string, bytes int64, tensor bool) {
	m.BytesDone += bytes
	m.Tensor = name
	if tensor {
		m.TensorsDone++
	}
	if m.report != nil {
		m.report(m.Progress)
	}
}
