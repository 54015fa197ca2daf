package kernels

import "encoding/binary"

// Q5_0, 22 bytes for 32 values x = d*(q-16), q in 0..31:
//
//	0        2                          6                                                     22
//	| d f16  | bit 4 of q0..q31, uint32 | q0 low, q16 high nibble | q1, q17 |  ...  | q15, q31 |

const q5_0Size = 2 + 4 + 16

// quantizeQ5_0 follows quantize_row_q5_0_ref.
func quantizeQ5_0(dst []byte, src []float32) {
	var levels [32]uint8
	for ; len(src) >= 32; src, dst = src[32:], dst[q5_0Size:] {
		x, y := src[:32:32], dst[:q5_0Size:q5_0Size]
		d := largest(x) / -16
		storeF16(y, d)
		id := inverse(d)
		for i, v := range x {
			levels[i] = clampInt8(float32(v*id)+16.5, 31)
		}
		packFifthBits(y[2:], &levels)
		packNibbles(y[6:], &levels)
	}
}

// quantizeQ5_0Weighted follows quantize_row_q5_0_impl.
func quantizeQ5_0Weighted(dst []byte, src, weights []float32) {
	cols := len(weights)
	for size := cols / 32 * q5_0Size; len(src) > 0; src, dst = src[cols:], dst[size:] {
		packQ5_0Weighted(dst, src[:cols], weights, sumSquares(src[:cols])/float32(cols))
	}
}

// packQ5_0Weighted packs a row, or a part of one whose mean square is sigma2.
func packQ5_0Weighted(dst []byte, src, weights []float32, sigma2 float32) {
	var w [32]float32
	var levels [32]uint8
	for ; len(src) >= 32; src, weights, dst = src[32:], weights[32:], dst[q5_0Size:] {
		x, y := src[:32:32], dst[:q5_0Size:q5_0Size]
		importance(w[:], weights, x, sigma2)
		storeF16(y, symmetricScale(16, x, w[:], levels[:]))
		packFifthBits(y[2:], &levels)
		packNibbles(y[6:], &levels)
	}
}

func dequantizeQ5_0(dst []float32, src []byte) {
	for ; len(src) >= q5_0Size; src, dst = src[q5_0Size:], dst[32:] {
		x, y := src[:q5_0Size:q5_0Size], dst[:32:32]
		d, word := loadF16(x), binary.LittleEndian.Uint32(x[2:])
		for i := range 16 {
			q0, q1 := fiveBits(word, x[6+i], i)
			y[i] = float32(q0-16) * d
			y[i+16] = float32(q1-16) * d
		}
	}
}
