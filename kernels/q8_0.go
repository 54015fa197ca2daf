package kernels

// Q8_0, 34 bytes for 32 values x = d*q:
//
//	0        2                                34
//	| d f16  | q0 int8 | q1 | ...       | q31 |
//
// Importance weights are ignored.

const q8_0Size = 2 + 32

// quantizeQ8_0 follows quantize_row_q8_0_ref.
func quantizeQ8_0(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[q8_0Size:] {
		x, y := src[:32:32], dst[:q8_0Size:q8_0Size]
		var amax float32
		for _, v := range x {
			// ggml's MAX: a NaN is taken, and dropped again by the next value.
			if a := abs(v); !(amax > a) {
				amax = a
			}
		}
		d := amax / 127
		storeF16(y, d)
		id := inverse(d)
		for i, v := range x {
			y[2+i] = uint8(roundAway(v * id))
		}
	}
}

func dequantizeQ8_0(dst []float32, src []byte) {
	for ; len(src) >= q8_0Size; src, dst = src[q8_0Size:], dst[32:] {
		x, y := src[:q8_0Size:q8_0Size], dst[:32:32]
		d := loadF16(x)
		for i := range y {
			y[i] = float32(int8(x[2+i])) * d
		}
	}
}
