package kernels

import "encoding/binary"

// Q5_1, 24 bytes for 32 values x = d*q + m, q in 0..31:
//
//	0        2        4                          8                                                     24
//	| d f16  | m f16  | bit 4 of q0..q31, uint32 | q0 low, q16 high nibble | q1, q17 |  ...  | q15, q31 |

const q5_1Size = 2 + 2 + 4 + 16

// quantizeQ5_1 follows quantize_row_q5_1_ref.
func quantizeQ5_1(dst []byte, src []float32) {
	var levels [32]uint8
	for ; len(src) >= 32; src, dst = src[32:], dst[q5_1Size:] {
		x, y := src[:32:32], dst[:q5_1Size:q5_1Size]
		lo, hi := span(x)
		d := (hi - lo) / 31
		storeF16(y, d)
		storeF16(y[2:], lo)
		id := inverse(d)
		for i, v := range x {
			levels[i] = uint8(truncate(float32((v-lo)*id) + 0.5))
		}
		packFifthBits(y[4:], &levels)
		packNibbles(y[8:], &levels)
	}
}

// quantizeQ5_1Weighted follows quantize_row_q5_1_impl.
func quantizeQ5_1Weighted(dst []byte, src, weights []float32) {
	cols := len(weights)
	for size := cols / 32 * q5_1Size; len(src) > 0; src, dst = src[cols:], dst[size:] {
		packQ5_1Weighted(dst, src[:cols], weights, sumSquares(src[:cols])/float32(cols))
	}
}

// packQ5_1Weighted packs a row, or a part of one whose mean square is sigma2.
func packQ5_1Weighted(dst []byte, src, weights []float32, sigma2 float32) {
	var w [32]float32
	var levels, trial [32]uint8
	for ; len(src) >= 32; src, weights, dst = src[32:], weights[32:], dst[q5_1Size:] {
		x, y := src[:32:32], dst[:q5_1Size:q5_1Size]
		importance(w[:], weights, x, sigma2)
		d, m := weightedGrid.fit(31, x, w[:], levels[:], trial[:])
		storeF16(y, d)
		storeF16(y[2:], -m)
		packFifthBits(y[4:], &levels)
		packNibbles(y[8:], &levels)
	}
}

func dequantizeQ5_1(dst []float32, src []byte) {
	for ; len(src) >= q5_1Size; src, dst = src[q5_1Size:], dst[32:] {
		x, y := src[:q5_1Size:q5_1Size], dst[:32:32]
		d, m, word := loadF16(x), loadF16(x[2:]), binary.LittleEndian.Uint32(x[4:])
		for i := range 16 {
			q0, q1 := fiveBits(word, x[8+i], i)
			y[i] = float32(float32(q0)*d) + m
			y[i+16] = float32(float32(q1)*d) + m
		}
	}
}
