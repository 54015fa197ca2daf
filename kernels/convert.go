package kernels

import (
	"encoding/binary"
	"math"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// The conversions below fill dst from the first len(dst) little-endian numbers in src. They panic if src is shorter.

// F32FromBytes reads IEEE single precision numbers.
func F32FromBytes(dst []float32, src []byte) { convert(gguf.F32, dst, src[:4*len(dst)]) }

// F16ToF32 widens IEEE half precision numbers. It is exact.
func F16ToF32(dst []float32, src []byte) { convert(gguf.F16, dst, src[:2*len(dst)]) }

// BF16ToF32 widens bfloat16 numbers. It is exact.
func BF16ToF32(dst []float32, src []byte) { convert(gguf.BF16, dst, src[:2*len(dst)]) }

// F64ToF32 rounds IEEE double precision numbers to nearest even.
func F64ToF32(dst []float32, src []byte) {
	src = src[:8*len(dst)]
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

// F8E4M3ToF32 widens 8-bit floats of the "fn" kind (torch.float8_e4m3fn): bias 7, no Inf, NaN is 0x7f and 0xff. Exact.
func F8E4M3ToF32(dst []float32, src []byte) {
	src = src[:len(dst)]
	for i, b := range src {
		dst[i] = e4m3[b]
	}
}

// F8E5M2ToF32 widens 8-bit floats that are the upper half of an IEEE half (torch.float8_e5m2). It is exact.
func F8E5M2ToF32(dst []float32, src []byte) {
	src = src[:len(dst)]
	for i, b := range src {
		dst[i] = e5m2[b]
	}
}

// e4m3 holds the value of every 8-bit float of the e4m3fn kind.
var e4m3 = func() (table [256]float32) {
	for i := range table {
		// Moved to where a float keeps exponent and mantissa, the bias is off by 127 - 7.
		f := math.Float32frombits(uint32(i&0x7f)<<20) * 0x1p120
		if i&0x7f == 0x7f {
			f = float32(math.NaN())
		}
		table[i] = math.Float32frombits(math.Float32bits(f) | uint32(i>>7)<<31)
	}
	return table
}()

// e5m2 holds the value of every 8-bit float that is half of a half.
var e5m2 = func() (table [256]float32) {
	for i := range table {
		table[i] = fromF16(uint16(i) << 8)
	}
	return table
}()

// Finite returns the index of the first NaN or Inf in src, or -1 if there is none.
func Finite(src []float32) int {
	if active == nil {
		return generic.Finite(src)
	}
	return active.Finite(src)
}
