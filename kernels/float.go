package kernels

import (
	"encoding/binary"
	"math"
)

// Exponent bits that are all set in NaN and Inf.
const (
	expF32  = 0x7f800000
	expF16  = 0x7c00
	expBF16 = 0x7f80
)

// magic is 1.5 * 2^23: adding it to a float leaves the nearest integer, half to even, in the low mantissa bits.
const magic = 12582912

// nearestInt is ggml's nearest_int: exact up to 2^22, and beyond that (tiny scales, Inf, NaN) the mantissa's low bits,
// whatever they are. Those bits reach the blocks, so they count.
// The conversion of f keeps a product in the argument from being fused with the addition once this is inlined.
func nearestInt(f float32) int32 {
	return int32(math.Float32bits(float32(f)+magic)&0x7fffff) - 0x400000
}

// truncate converts as x86's CVTTSS2SI does: toward zero, and to the smallest integer for NaN and whatever does not fit.
// Go leaves those cases to the CPU.
func truncate(f float32) int32 {
	if f >= math.MinInt32 && f < 1<<31 {
		return int32(f)
	}
	return math.MinInt32
}

// roundAway is C's roundf followed by a conversion to int: half away from zero, exact below 2^23.
func roundAway(f float32) int32 {
	// The largest float below one half: with 0.5 itself the sum could round up to the next integer.
	const half = 0x3effffff
	return truncate(float32(f) + math.Float32frombits(math.Float32bits(f)&signF32|half))
}

const signF32 = 1 << 31

func abs(f float32) float32 { return math.Float32frombits(math.Float32bits(f) &^ signF32) }

// sqrt rounds once: the double has more than twice the bits of the float, so narrowing its root is exact.
func sqrt(f float32) float32 { return float32(math.Sqrt(float64(f))) }

// toF16 rounds to half precision, nearest even; what is too large becomes Inf, NaN becomes the quiet NaN 0x7e00 with its
// sign, as ggml_compute_fp32_to_fp16 has it.
func toF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign, a := uint16(b>>16)&0x8000, b&^signF32
	switch {
	case a > expF32:
		return sign | 0x7e00
	case a >= (127+16)<<23:
		return sign | expF16
	case a < (127-14)<<23:
		// Subnormal half: in the binade of 0.5 the last bit of a float is worth 2^-24, as much as that of such a half.
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5)-0x3f000000)
	}
	a += 0xfff + a>>13&1
	return sign | uint16(a>>13-112<<10)
}

// fromF16 is exact; NaN keeps its payload and becomes quiet (ggml_compute_fp16_to_fp32).
func fromF16(h uint16) float32 {
	sign, a := uint32(h&0x8000)<<16, uint32(h&0x7fff)<<13
	switch {
	case a > expF16<<13:
		a |= expF32 | 0x400000
	case a == expF16<<13:
		a = expF32
	default:
		// The exponent's bias is 15 there, 127 here. The product is exact, for subnormal halves too.
		a = math.Float32bits(math.Float32frombits(a) * 0x1p112)
	}
	return math.Float32frombits(sign | a)
}

// toBF16 rounds to nearest even and makes NaN quiet (ggml_compute_fp32_to_bf16).
func toBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&^signF32 > expF32 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

func loadF32(b []byte) float32     { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
func storeF32(b []byte, f float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(f)) }
func loadF16(b []byte) float32     { return fromF16(binary.LittleEndian.Uint16(b)) }

func storeF16(b []byte, f float32) { binary.LittleEndian.PutUint16(b, toF16(f)) }
