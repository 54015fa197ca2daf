package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/nexus-quant/nexus-quant/kernels/kerneltest"
)

// compared makes x of a kind and y beside it, as rounding would.
func compared(kind kerneltest.Kind, n int) (x, y []float32) {
	r := kerneltest.Rand(n)
	x, y = make([]float32, n), make([]float32, n)
	if n > 0 {
		kind.Fill(&r, x)
	}
	for i := range y {
		if y[i] = x[i] + x[i]*r.Uniform()/64; r.N(50) == 0 {
			y[i] = -2 * x[i]
		}
	}
	return x, y
}

// TestCompareAgrees holds every implementation to the bits of the reference, on lengths that leave rests. A NaN may
// look different.
func TestCompareAgrees(t *testing.T) {
	kinds := append(kerneltest.Values[:len(kerneltest.Values):len(kerneltest.Values)], kerneltest.NotFinite...)
	for _, kind := range kinds {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 255, 256, 1000, 4099} {
			if n == 0 && kind.Name == "one NaN" {
				continue
			}
			x, y := compared(kind, n)
			want := generic.Compare(x, y)
			for _, im := range Impls()[1:] {
				got := im.Compare(x, y)
				for i, pair := range [][2]float64{{got.DD, want.DD}, {got.XD, want.XD}, {got.XX, want.XX}, {got.Max, want.Max}} {
					if g, w := pair[0], pair[1]; math.Float64bits(g) != math.Float64bits(w) && (g == g || w == w) {
						t.Errorf("%s: %s, %d values: field %d is %v, want %v", im.Name(), kind.Name, n, i, g, w)
					}
				}
			}
		}
	}
}

// TestCompareSums checks the reference itself, against sums that are exact: products of small integers.
func TestCompareSums(t *testing.T) {
	for _, im := range Impls() {
		for _, n := range []int{1, 6, 16, 100, 999} {
			r := kerneltest.Rand(n)
			var want Difference
			x, y := make([]float32, n), make([]float32, n)
			for i := range x {
				v, d := r.N(2001)-1000, r.N(401)-200
				x[i], y[i] = float32(v), float32(v-d)
				want.DD += float64(d * d)
				want.XD += float64(v * d)
				want.XX += float64(v * v)
				want.Max = max(want.Max, math.Abs(float64(d)))
			}
			if got := im.Compare(x, y); got != want {
				t.Errorf("%s: %d values: got %+v, want %+v", im.Name(), n, got, want)
			}
		}
	}
}

// TestComparePassesOverNaN: the greatest difference is that of the values that have one.
func TestComparePassesOverNaN(t *testing.T) {
	for _, im := range Impls() {
		for i := range 40 {
			x, y := make([]float32, 40), make([]float32, 40)
			x[20], x[i] = 3, float32(math.NaN())
			y[20] = -1
			want := 4.0
			if i == 20 {
				want = 0
			}
			if got := im.Compare(x, y); got.Max != want || got.DD == got.DD || got.XD == got.XD || got.XX == got.XX {
				t.Errorf("%s: NaN at %d: %+v", im.Name(), i, got)
			}
		}
	}
}

func TestCompareWantsAsManyValues(t *testing.T) {
	for _, im := range Impls() {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: went beyond the end of y", im.Name())
				}
			}()
			im.Compare(make([]float32, 32), make([]float32, 31))
		}()
	}
}

// TestCompareBits pins the sums of one input, so that CPUs can be held against each other.
func TestCompareBits(t *testing.T) {
	x, y := compared(kerneltest.Values[0], 1003)
	for _, im := range Impls() {
		d := im.Compare(x, y)
		got := fmt.Sprintf("%x %x %x %x", math.Float64bits(d.DD), math.Float64bits(d.XD), math.Float64bits(d.XX), math.Float64bits(d.Max))
		if want := "3fc7c4be508d4336 3faf9baf3720c3a3 3fec65cacbf04800 3fc7e1dc00000000"; got != want {
			t.Errorf("%s: %s, want %s", im.Name(), got, want)
		}
	}
}

// BenchmarkCompare has its values in the first-level cache, in the second, and beyond.
func BenchmarkCompare(b *testing.B) {
	for _, im := range Impls() {
		for _, n := range []int{1 << 11, 1 << 15, 1 << 18, 1 << 23} {
			b.Run(fmt.Sprintf("%d/%s", n, im.Name()), func(b *testing.B) {
				x, y := compared(kerneltest.Values[0], n)
				b.SetBytes(int64(8 * n))
				for b.Loop() {
					im.Compare(x, y)
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(n), "ns/value")
			})
		}
	}
}
