// Package kerneltest makes the inputs that kernels are tested on: rows of values and of importance weights, ordinary and
// adversarial, the same on every machine and in every run. The golden vectors in kernels/testdata stand for these very
// numbers: changing a generator means making them anew.
//
// Only integer arithmetic, single products and math.Ldexp are used, so that no CPU rounds differently.
package kerneltest

import "math"

// Rand is a small generator (splitmix64). Equal seeds give equal streams.
type Rand uint64

// Uint64 returns 64 random bits.
func (r *Rand) Uint64() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// N returns a number in 0..n-1.
func (r *Rand) N(n int) int { return int(r.Uint64() >> 33 % uint64(n)) }

// Uniform returns a multiple of 2^-23 in [-1, 1).
func (r *Rand) Uniform() float32 { return scale(int64(r.Uint64()>>40)-1<<23, -23) }

// Normal returns a number of mean 0 and deviation 1, near enough to a normal distribution, of magnitude below 6.
func (r *Rand) Normal() float32 {
	var sum int64
	for range 3 {
		for bits := r.Uint64(); bits != 0; bits >>= 16 {
			sum += int64(bits & 0xffff)
		}
	}
	return scale(sum-6<<16, -16)
}

// scale is n * 2^exp, rounded once.
func scale(n int64, exp int) float32 { return float32(math.Ldexp(float64(n), exp)) }

// times is f * 2^exp.
func times(f float32, exp int) float32 { return float32(math.Ldexp(float64(f), exp)) }

// Kind is a way to fill a row.
type Kind struct {
	Name string
	Fill func(r *Rand, row []float32)
}

// Values are the kinds of rows to quantize. All are finite.
var Values = []Kind{
	{"gaussian", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = times(r.Normal(), -5)
		}
	}},
	{"outliers", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = times(r.Normal(), -6)
			if r.N(100) == 0 {
				x[i] = times(x[i], 3+r.N(3))
			}
		}
	}},
	{"uniform", each((*Rand).Uniform)},
	{"bf16", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = keepBits(times(r.Normal(), -5), 16)
		}
	}},
	{"half", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = keepBits(r.Uniform(), 13)
		}
	}},
	{"zeros", func(_ *Rand, x []float32) { clear(x) }},
	{"negative zeros", constant(math.Float32frombits(1 << 31))},
	{"zeros of both signs", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = math.Float32frombits(uint32(r.N(2)) << 31)
		}
	}},
	{"constant", constant(0.4)},
	{"negative constant", constant(-3.7)},
	{"constant per block", func(r *Rand, x []float32) {
		for i := range x {
			if x[i] = r.Uniform(); i%32 != 0 {
				x[i] = x[i-1]
			}
		}
	}},
	{"subnormal", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = math.Float32frombits(uint32(r.Uint64()) & 0x807fffff)
		}
	}},
	{"smallest subnormals", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = math.Float32frombits(uint32(r.N(2))<<31 | uint32(r.N(300)))
		}
	}},
	{"huge", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = times(r.Uniform(), 127)
		}
	}},
	{"largest", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = math.Float32frombits(uint32(r.N(2))<<31 | 0x7f7fffff)
		}
	}},
	{"squares overflow", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = times(r.Normal(), 58+r.N(8))
		}
	}},
	{"scale overflows half", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = times(r.Normal(), 17+r.N(8))
		}
	}},
	{"ties", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = scale(int64(r.N(33)-16), -1)
		}
	}},
	{"ties of a small step", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = scale(int64(r.N(127)-63), -9)
		}
	}},
	{"two values", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = [2]float32{-0.25, 0.75}[r.N(2)]
		}
	}},
	{"one spike", func(r *Rand, x []float32) {
		clear(x)
		for i := 0; i < len(x); i += 64 {
			x[i+r.N(min(64, len(x)-i))] = r.Uniform()
		}
	}},
	{"spike over noise", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = times(r.Normal(), -30)
			if i%40 == 7 {
				x[i] = r.Uniform()
			}
		}
	}},
	{"negative only", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = -float32(math.Abs(float64(r.Normal())))
		}
	}},
	{"positive only", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = float32(math.Abs(float64(r.Uniform()))) + 1
		}
	}},
	{"tiny", func(r *Rand, x []float32) {
		exp := -40 - r.N(110)
		for i := range x {
			x[i] = times(r.Normal(), exp)
		}
	}},
	{"around the zero threshold", func(r *Rand, x []float32) { // 1e-15 is near 2^-50
		for i := range x {
			x[i] = times(r.Uniform(), -50+i/16%3)
		}
	}},
	{"groups of all magnitudes", func(r *Rand, x []float32) {
		exp := 0
		for i := range x {
			if i%16 == 0 {
				exp = r.N(250) - 125
			}
			x[i] = times(r.Uniform(), exp)
		}
	}},
	{"groups of near magnitudes", func(r *Rand, x []float32) {
		exp := 0
		for i := range x {
			if i%16 == 0 {
				exp = r.N(12) - 12
			}
			x[i] = times(r.Normal(), exp)
		}
	}},
	{"random bits", func(r *Rand, x []float32) {
		for i := range x {
			b := uint32(r.Uint64())
			if b&0x7f800000 == 0x7f800000 {
				b &^= 0x40000000
			}
			x[i] = math.Float32frombits(b)
		}
	}},
	{"sparse", func(r *Rand, x []float32) {
		for i := range x {
			if x[i] = 0; r.N(8) == 0 {
				x[i] = r.Normal()
			}
		}
	}},
	{"dead groups", func(r *Rand, x []float32) {
		for i := range x {
			if x[i] = 0; i/16%3 != 0 {
				x[i] = r.Normal()
			}
		}
	}},
	{"ramp", func(_ *Rand, x []float32) {
		for i := range x {
			x[i] = scale(int64(i-len(x)/2), -8)
		}
	}},
	{"alternating", func(_ *Rand, x []float32) {
		for i := range x {
			x[i] = 1 - 2*float32(i&1)
		}
	}},
	{"just below powers of two", func(r *Rand, x []float32) { // where a rounded logarithm is that of the power
		top := uint32(0)
		for i := range x {
			if i%32 == 0 {
				top = uint32(1+r.N(255))<<23 - uint32(1+r.N(120)) // the power's bits less some
			}
			if x[i] = math.Float32frombits(top | uint32(r.N(2))<<31); i%32 != 9 {
				x[i] = times(keepBits(x[i], 18), -r.N(5))
			}
		}
	}},
}

// NotFinite are the kinds of rows that hold NaN or Inf.
var NotFinite = []Kind{
	{"one NaN", func(r *Rand, x []float32) {
		Values[0].Fill(r, x)
		x[r.N(len(x))] = float32(math.NaN())
	}},
	{"one Inf", func(r *Rand, x []float32) {
		Values[0].Fill(r, x)
		x[r.N(len(x))] = float32(math.Inf(1 - 2*r.N(2)))
	}},
	{"any bits", func(r *Rand, x []float32) {
		for i := range x {
			x[i] = math.Float32frombits(uint32(r.Uint64()))
		}
	}},
}

// Weights are the kinds of importance weights. The first, for no weights at all, has no Fill.
var Weights = []Kind{
	{"none", nil},
	{"heavy tailed", func(r *Rand, w []float32) {
		for i := range w {
			f := r.Normal()
			w[i] = times(f*f, r.N(4)*r.N(4)) + 0x1p-14
		}
	}},
	{"ones", constant(1)},
	{"some zero", func(r *Rand, w []float32) {
		for i := range w {
			if w[i] = 0; r.N(3) != 0 {
				w[i] = float32(math.Abs(float64(r.Uniform())))
			}
		}
	}},
	{"zero blocks", func(r *Rand, w []float32) {
		for i := range w {
			if w[i] = 0; i/16%3 != 0 {
				w[i] = float32(math.Abs(float64(r.Uniform())))
			}
		}
	}},
	{"all zero", constant(0)},
	{"huge", func(r *Rand, w []float32) {
		for i := range w {
			w[i] = times(float32(math.Abs(float64(r.Uniform()))), 100)
		}
	}},
	{"tiny", func(r *Rand, w []float32) {
		for i := range w {
			w[i] = times(float32(math.Abs(float64(r.Uniform()))), -100)
		}
	}},
	{"all magnitudes", func(r *Rand, w []float32) {
		for i := range w {
			w[i] = times(1, r.N(200)-100)
		}
	}},
	{"both signs", each((*Rand).Uniform)},
}

// Case is one input of a quantizer.
type Case struct {
	Values, Weights string // names of the kinds
	Src             []float32
	Cols            int
	Importance      []float32 // nil for none
}

// New makes a case of rows of cols values, from the kinds' names and the shape alone.
func New(values, weights Kind, rows, cols int) Case {
	seed := Rand(uint64(rows)<<32 | uint64(cols))
	for _, c := range []byte(values.Name + "/" + weights.Name) {
		seed = Rand(seed.Uint64() ^ uint64(c))
	}
	c := Case{values.Name, weights.Name, make([]float32, rows*cols), cols, nil}
	for i := range rows {
		values.Fill(&seed, c.Src[i*cols:][:cols])
	}
	if weights.Fill != nil {
		c.Importance = make([]float32, cols)
		weights.Fill(&seed, c.Importance)
	}
	return c
}

func each(next func(*Rand) float32) func(*Rand, []float32) {
	return func(r *Rand, x []float32) {
		for i := range x {
			x[i] = next(r)
		}
	}
}

func constant(v float32) func(*Rand, []float32) {
	return func(_ *Rand, x []float32) {
		for i := range x {
			x[i] = v
		}
	}
}

// keepBits clears the lowest bits of f's mantissa.
func keepBits(f float32, cleared int) float32 {
	return math.Float32frombits(math.Float32bits(f) >> cleared << cleared)
}
