package kernels

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/nexus-quant/nexus-quant/kernels/kerneltest"
)

// halfValue is what IEEE 754 says a half stands for.
func halfValue(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

func TestHalfIsExactBothWays(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := fromF16(h)
		want := halfValue(h)
		if math.IsNaN(want) {
			if f == f || math.Float32bits(f)>>22 != uint32(h>>15)<<9|0x1ff || toF16(f) != h&0x8000|0x7e00 {
				t.Fatalf("%#x: NaN became %#x and %#x", h, math.Float32bits(f), toF16(f))
			}
			continue
		}
		if float64(f) != want || toF16(f) != h {
			t.Fatalf("%#x is %v, want %v; back it is %#x", h, f, want, toF16(f))
		}
	}
}

// TestHalfRoundsToNearestEven tries what lies between each pair of neighbouring halves.
func TestHalfRoundsToNearestEven(t *testing.T) {
	for h := uint16(0); h < 0x7c00; h++ {
		low, high := halfValue(h), halfValue(h+1)
		if h == 0x7bff {
			high = 65536 // where Inf would be if it were a number
		}
		mid := float32((low + high) / 2)
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{{mid, even}, {math.Nextafter32(mid, 0), h}, {math.Nextafter32(mid, 1e9), h + 1}} {
			if got := toF16(c.f); got != c.want {
				t.Fatalf("%v becomes %#x, want %#x", c.f, got, c.want)
			}
			if got := toF16(-c.f); got != c.want|0x8000 {
				t.Fatalf("%v becomes %#x, want %#x", -c.f, got, c.want|0x8000)
			}
		}
	}
	for f, want := range map[float32]uint16{65519.996: 0x7bff, 65520: 0x7c00, 1e30: 0x7c00, math.MaxFloat32: 0x7c00,
		1e-30: 0, float32(math.Inf(-1)): 0xfc00} {
		if got := toF16(f); got != want {
			t.Errorf("%v becomes %#x, want %#x", f, got, want)
		}
	}
}

func TestBF16RoundsToNearestEven(t *testing.T) {
	for bits, want := range map[uint32]uint16{
		0x3f800000: 0x3f80, 0x3f807fff: 0x3f80, 0x3f808000: 0x3f80, 0x3f808001: 0x3f81, 0x3f818000: 0x3f82,
		0x7f7fffff: 0x7f80, 0x7f800000: 0x7f80, 0xff800000: 0xff80, 0x00000001: 0, 0x80008001: 0x8001,
		0x7f800001: 0x7fc0, 0xff812345: 0xffc1,
	} {
		if got := toBF16(math.Float32frombits(bits)); got != want {
			t.Errorf("%#x becomes %#x, want %#x", bits, got, want)
		}
	}
	for i := range 1 << 16 {
		h := uint16(i)
		if f := fromBF16(h); f == f && toBF16(f) != h {
			t.Fatalf("%#x comes back as %#x", h, toBF16(f))
		}
	}
}

func TestTruncateIsThatOfX86(t *testing.T) {
	for f, want := range map[float32]int32{
		0: 0, -0.99: 0, 1.99: 1, -1.99: -1, 2147483520: 2147483520, 2147483648: math.MinInt32, -2147483648: math.MinInt32,
		-2147483904: math.MinInt32, 1e30: math.MinInt32, float32(math.Inf(1)): math.MinInt32, float32(math.NaN()): math.MinInt32,
	} {
		if got := truncate(f); got != want {
			t.Errorf("%v becomes %d, want %d", f, got, want)
		}
	}
}

func TestRoundAwayIsRoundf(t *testing.T) {
	r := kerneltest.Rand(1)
	for range 200000 {
		f := math.Float32frombits(uint32(r.Uint64()))
		if !(abs(f) < 1<<22) {
			continue
		}
		if got, want := roundAway(f), int32(math.Round(float64(f))); got != want {
			t.Fatalf("%v becomes %d, want %d", f, got, want)
		}
	}
	for _, f := range []float32{0.5, 0.49999997, 1.5, 2.5, 126.5, 127.49999, 4194303.5} {
		if got, want := roundAway(f), int32(math.Round(float64(f))); got != want || roundAway(-f) != -want {
			t.Errorf("%v becomes %d and %d, want %d", f, got, roundAway(-f), want)
		}
	}
}

// TestNearestIntBeyondItsRange pins what the low bits of f + 1.5*2^23 are where that is no integer near f.
func TestNearestIntBeyondItsRange(t *testing.T) {
	const zero = -1 << 22
	for _, c := range []struct {
		f    float32
		want int32
	}{
		{0.5, 0}, {1.5, 2}, {2.5, 2}, {-0.5, 0}, {-1.5, -2}, {4194303, 4194303}, {-4194304, -4194304}, {4194304, zero},
		{1e30, zero + 0x49f2ca}, {float32(math.Inf(1)), zero},
	} {
		if got := nearestInt(c.f); got != c.want {
			t.Errorf("%v becomes %d, want %d", c.f, got, c.want)
		}
	}
}

func TestConversions(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f64 := func(f ...float64) (b []byte) {
		for _, v := range f {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		return b
	}
	for _, c := range []struct {
		name    string
		convert func([]float32, []byte)
		src     []byte
		want    []float32
	}{
		{"F32", F32FromBytes, []byte{0, 0, 0x80, 0x3f, 1, 0, 0, 0x80}, []float32{1, math.Float32frombits(0x80000001)}},
		{"F16", F16ToF32, []byte{0, 0x3c, 1, 0x80, 0, 0x7c}, []float32{1, -0x1p-24, inf}},
		{"BF16", BF16ToF32, []byte{0x80, 0x3f, 0x80, 0xff}, []float32{1, -inf}},
		{"F64", F64ToF32, f64(1, 1+0x1p-24, 1+0x3p-24, 1e300, -1e-300), []float32{1, 1, 1 + 0x1p-22, inf, float32(math.Copysign(0, -1))}},
		{"E4M3", F8E4M3ToF32, []byte{0, 0x80, 1, 7, 8, 0x38, 0x7e, 0xfe, 0x7f, 0xff},
			[]float32{0, float32(math.Copysign(0, -1)), 0x1p-9, 0x7p-9, 0x1p-6, 1, 448, -448, nan, nan}},
		{"E5M2", F8E5M2ToF32, []byte{0, 1, 4, 0x3c, 0x7b, 0x7c, 0xfc, 0x7d}, []float32{0, 0x1p-16, 0x1p-14, 1, 57344, inf, -inf, nan}},
	} {
		got := make([]float32, len(c.want))
		c.convert(got, c.src)
		for i := range got {
			if math.Float32bits(got[i]) != math.Float32bits(c.want[i]) && (got[i] == got[i] || c.want[i] == c.want[i]) {
				t.Errorf("%s: value %d is %v, want %v", c.name, i, got[i], c.want[i])
			}
		}
	}
}

func TestFiniteFindsTheFirst(t *testing.T) {
	for _, im := range Impls() {
		x := make([]float32, 200)
		if got := im.Finite(x); got != -1 {
			t.Errorf("%s: zeros: %d", im.Name(), got)
		}
		for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
			for i := range x {
				for j := range x {
					x[j] = -math.MaxFloat32
				}
				x[i], x[len(x)-1] = bad, bad
				if got := im.Finite(x); got != i {
					t.Errorf("%s: %v at %d: %d", im.Name(), bad, i, got)
				}
			}
		}
		if got := im.Finite(nil); got != -1 {
			t.Errorf("%s: nothing: %d", im.Name(), got)
		}
	}
}

func BenchmarkConvert(b *testing.B) {
	dst, src := make([]float32, 1<<14), make([]byte, 1<<17)
	r := kerneltest.Rand(1)
	for i := range src {
		src[i] = byte(r.Uint64()) &^ 0x40
	}
	for name, convert := range map[string]func([]float32, []byte){"F32": F32FromBytes, "F16": F16ToF32, "BF16": BF16ToF32,
		"F64": F64ToF32, "E4M3": F8E4M3ToF32, "E5M2": F8E5M2ToF32} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				convert(dst, src)
			}
		})
	}
	b.Run("Finite", func(b *testing.B) {
		b.SetBytes(int64(4 * len(dst)))
		for b.Loop() {
			Finite(dst)
		}
	})
}
