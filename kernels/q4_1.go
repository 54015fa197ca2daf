package kernels

// Q4_1, 20 bytes for 32 values x = d*q + m, q in 0..15:
//
//	0        2        4                                                     20
//	| d f16  | m f16  | q0 low, q16 high nibble | q1, q17 |  ...  | q15, q31 |

const q4_1Size = 2 + 2 + 16

// quantizeQ4_1 follows quantize_row_q4_1_ref.
func quantizeQ4_1(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[q4_1Size:] {
		x, y := src[:32:32], dst[:q4_1Size:q4_1Size]
		lo, hi := span(x)
		d := (hi - lo) / 15
		storeF16(y, d)
		storeF16(y[2:], lo)
		id := inverse(d)
		for i := range 16 {
			q0 := clampInt8(float32((x[i]-lo)*id)+0.5, 15)
			q1 := clampInt8(float32((x[i+16]-lo)*id)+0.5, 15)
			y[4+i] = q0 | q1<<4
		}
	}
}

// quantizeQ4_1Weighted follows quantize_row_q4_1_impl.
func quantizeQ4_1Weighted(dst []byte, src, weights []float32) {
	cols := len(weights)
	for size := cols / 32 * q4_1Size; len(src) > 0; src, dst = src[cols:], dst[size:] {
		packQ4_1Weighted(dst, src[:cols], weights, sumSquares(src[:cols])/float32(cols))
	}
}

// packQ4_1Weighted packs a row, or a part of one whose mean square is sigma2.
func packQ4_1Weighted(dst []byte, src, weights []float32, sigma2 float32) {
	var w [32]float32
	var levels, trial [32]uint8
	for ; len(src) >= 32; src, weights, dst = src[32:], weights[32:], dst[q4_1Size:] {
		x, y := src[:32:32], dst[:q4_1Size:q4_1Size]
		importance(w[:], weights, x, sigma2)
		d, m := weightedGrid.fit(15, x, w[:], levels[:], trial[:])
		storeF16(y, d)
		storeF16(y[2:], -m)
		packNibbles(y[4:], &levels)
	}
}

func dequantizeQ4_1(dst []float32, src []byte) {
	for ; len(src) >= q4_1Size; src, dst = src[q4_1Size:], dst[32:] {
		x, y := src[:q4_1Size:q4_1Size], dst[:32:32]
		d, m := loadF16(x), loadF16(x[2:])
		for i := range 16 {
			q := x[4+i]
			y[i] = float32(float32(q&15)*d) + m
			y[i+16] = float32(float32(q>>4)*d) + m
		}
	}
}
