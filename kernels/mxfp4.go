package kernels

import "math"

// MXFP4, 17 bytes for 32 values x = 2^(e-127) * m, m one of 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign: the microscaling format
// of the Open Compute Project, with E2M1 numbers under an E8M0 scale. e = 255 stands for NaN there and is not valid here.
//
//	0     1                                                     17
//	| e8  | q0 low, q16 high nibble | q1, q17 |  ...  | q15, q31 |
//
// A nibble is the number's bits, the sign on top. ggml never makes the negative zero, but reads it, as zero.

const mxfp4Size = 1 + 16

// e2m1 holds twice the magnitudes of the numbers, as ggml counts them.
var e2m1 = [8]float32{0, 1, 2, 3, 4, 6, 8, 12}

// halfE8M0 is half of the scale that e stands for, so that it fits the doubled numbers (ggml_e8m0_to_fp32_half).
func halfE8M0(e uint8) float32 {
	if e < 2 {
		return math.Float32frombits(0x00200000 << e) // subnormal
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// e8m0For is the scale of a block whose greatest magnitude is amax: that of 4, or of 6 where amax is above 5/4 of a power.
// The logarithm counts as a float32: next below a power of two it is that power's. Where it is below -125 or infinite the
// conversion wraps, as it does in ggml.
func e8m0For(amax float32) uint8 {
	if !(amax > 0) {
		return 0
	}
	log := float32(math.Log2(float64(amax)))
	return uint8(truncate(float32(math.Floor(float64(log))) - 2 + 127))
}

// nearestE2M1 is the number nearest to x in steps of d, the smaller of two that are equally near, and 0 for NaN.
func nearestE2M1(x, d float32) uint8 {
	a := abs(x)
	best, least := uint8(0), a
	for i, m := range e2m1[1:] {
		if err := abs(float32(m*d) - a); err < least {
			best, least = uint8(i+1), err
		}
	}
	if best != 0 && x < 0 {
		best |= 8
	}
	return best
}

// quantizeMXFP4 follows quantize_row_mxfp4_ref, which tries all sixteen numbers. Those of the other sign are never nearer
// than 0.
func quantizeMXFP4(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[mxfp4Size:] {
		x, y := src[:32:32], dst[:mxfp4Size:mxfp4Size]
		y[0] = e8m0For(abs(largest(x)))
		d := halfE8M0(y[0])
		for i := range 16 {
			y[1+i] = nearestE2M1(x[i], d) | nearestE2M1(x[i+16], d)<<4
		}
	}
}

func dequantizeMXFP4(dst []float32, src []byte) {
	for ; len(src) >= mxfp4Size; src, dst = src[mxfp4Size:], dst[32:] {
		x, y := src[:mxfp4Size:mxfp4Size], dst[:32:32]
		d := halfE8M0(x[0])
		levels := [16]float32{8: 0}
		for i, m := range e2m1[1:] {
			levels[1+i] = m * d
			levels[9+i] = -m * d
		}
		for i := range 16 {
			q := x[1+i]
			y[i], y[i+16] = levels[q&15], levels[q>>4]
		}
	}
}
