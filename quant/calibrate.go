package quant

import (
	"crypto/sha256"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// Duration estimates how long Run will take on this machine. It measures every kernel that the plan needs for a
// moment, on one core, on numbers that look like weights; reading from a slow disk or network is not in it.
func (p *Plan) Duration(threads int) time.Duration {
	c := &machine
	var compute float64 // seconds on one core
	for i := range p.Tensors {
		t := &p.Tensors[i]
		decoded := false
		for _, typ := range p.typesOf(i) {
			if t.copied(typ) {
				continue
			}
			if !decoded {
				compute += float64(t.Elements) / c.decode()
				decoded = true
			}
			compute += float64(t.Elements) / c.speed(kernelKey{typ, t.weights != nil})
		}
	}
	bytes := float64(p.OutputBytes())
	hash := bytes / c.hash()
	cores := min(threads, runtime.NumCPU())
	seconds := compute/float64(cores) + hash/float64(min(cores, max(1, len(p.Outputs)))) + bytes/writeSpeed
	return time.Duration(seconds * float64(time.Second))
}

// writeSpeed is what handing bytes to the system costs while its cache takes them, bytes a second. Disks that
// can't keep up with it are slower than the estimate says.
const writeSpeed = 2e9

const (
	sampleRows    = 16
	sampleColumns = 1024
	sampleTime    = 15 * time.Millisecond
)

type kernelKey struct {
	typ      gguf.Type
	weighted bool
}

// calibration keeps what was measured for a while: who chooses among types asks for one estimate after the other.
type calibration struct {
	mu     sync.Mutex
	x      []float32
	speeds map[any]measured
}

type measured struct {
	perSecond float64
	at        time.Time
}

// keepFor is how long a speed is believed; the machine may have been busy when it was measured.
const keepFor = time.Minute

// machine is what was measured on this machine.
var machine calibration

// of returns a speed that was measured lately, or measures it.
func (c *calibration) of(what any, measure func(x []float32) float64) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, ok := c.speeds[what]; ok && time.Since(m.at) < keepFor {
		return m.perSecond
	}
	if c.x == nil {
		c.x, c.speeds = sampleWeights(), map[any]measured{}
	}
	v := measure(c.x)
	c.speeds[what] = measured{v, time.Now()}
	return v
}

// sampleWeights are values spread roughly as trained weights are: a sum of uniform numbers, some ten times larger.
func sampleWeights() []float32 {
	x := make([]float32, sampleRows*sampleColumns)
	state := uint64(0x9E3779B97F4A7C15)
	next := func() float32 {
		state = state*6364136223846793005 + 1442695040888963407
		return float32(state>>40)/(1<<24) - 0.5
	}
	for i := range x {
		x[i] = 0.02 * (next() + next() + next() + next())
		if state>>54 == 0 {
			x[i] *= 10
		}
	}
	return x
}

func (c *calibration) speed(k kernelKey) float64 {
	return c.of(k, func(x []float32) float64 {
		var weights []float32
		if k.weighted {
			weights = make([]float32, sampleColumns)
			for i := range weights {
				weights[i] = 1 + float32(i%7)
			}
		}
		size, err := k.typ.RowSize(int64(len(x)))
		if err != nil {
			return 1e9
		}
		dst := make([]byte, size)
		v := rate(float64(len(x)), func() { err = kernels.Quantize(k.typ, dst, x, sampleColumns, weights) })
		if err != nil {
			return 1e9
		}
		return v
	})
}

// decode is the speed of turning BF16 into float32: that of the other formats is much the same.
func (c *calibration) decode() float64 {
	return c.of("decode", func(x []float32) float64 {
		src, dst := make([]byte, 2*len(x)), make([]float32, len(x))
		return rate(float64(len(dst)), func() { kernels.BF16ToF32(dst, src) })
	})
}

func (c *calibration) hash() float64 {
	return c.of("hash", func([]float32) float64 {
		b := make([]byte, 1<<18)
		return rate(float64(len(b)), func() { sha256.Sum256(b) })
	})
}

// rate runs f for a moment and returns units per second.
func rate(units float64, f func()) float64 {
	f() // first touch of the memory
	start := time.Now()
	n := 0
	for time.Since(start) < sampleTime {
		f()
		n++
	}
	return units * float64(n) / time.Since(start).Seconds()
}

// typesOf lists the different types that tensor i has in the outputs.
func (p *Plan) typesOf(i int) []gguf.Type {
	var list []gguf.Type
	for j := range p.Outputs {
		if t, ok := p.Outputs[j].Type(i); ok && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}
