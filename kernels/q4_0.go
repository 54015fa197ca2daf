package kernels

// Q4_0, 18 bytes for 32 values x = d*(q-8), q in 0..15:
//
//	0        2                                                     18
//	| d f16  | q0 low, q16 high nibble | q1, q17 |  ...  | q15, q31 |

const q4_0Size = 2 + 16

// quantizeQ4_0 follows quantize_row_q4_0_ref.
func quantizeQ4_0(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[q4_0Size:] {
		x, y := src[:32:32], dst[:q4_0Size:q4_0Size]
		d := largest(x) / -8
		storeF16(y, d)
		id := inverse(d)
		for i := range 16 {
			lo, hi := clampInt8(float32(x[i]*id)+8.5, 15), clampInt8(float32(x[i+16]*id)+8.5, 15)
			y[2+i] = lo | hi<<4
		}
	}
}

// quantizeQ4_0Weighted follows quantize_row_q4_0_impl.
func quantizeQ4_0Weighted(dst []byte, src, weights []float32) {
	cols := len(weights)
	for size := cols / 32 * q4_0Size; len(src) > 0; src, dst = src[cols:], dst[size:] {
		packQ4_0Weighted(dst, src[:cols], weights, sumSquares(src[:cols])/float32(cols))
	}
}

// packQ4_0Weighted packs a row, or a part of one whose mean square is sigma2.
func packQ4_0Weighted(dst []byte, src, weights []float32, sigma2 float32) {
	var w [32]float32
	var levels [32]uint8
	for ; len(src) >= 32; src, weights, dst = src[32:], weights[32:], dst[q4_0Size:] {
		x, y := src[:32:32], dst[:q4_0Size:q4_0Size]
		importance(w[:], weights, x, sigma2)
		storeF16(y, symmetricScale(8, x, w[:], levels[:]))
		packNibbles(y[2:], &levels)
	}
}

func dequantizeQ4_0(dst []float32, src []byte) {
	for ; len(src) >= q4_0Size; src, dst = src[q4_0Size:], dst[32:] {
		x, y := src[:q4_0Size:q4_0Size], dst[:32:32]
		d := loadF16(x)
		for i := range 16 {
			q := x[2+i]
			y[i] = float32(int(q&15)-8) * d
			y[i+16] = float32(int(q>>4)-8) * d
		}
	}
}
