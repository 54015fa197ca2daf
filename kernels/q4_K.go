package kernels

// Q4_K, 144 bytes for 256 values in 8 groups of 32: x = d*sc*q - dmin*m, q in 0..15, sc and m in 0..63:
//
//	0        2           4                        16                                                        144
//	| d f16  | dmin f16  | 8 sc, 8 m, 6 bits each | q0 low, q32 high nibble | q1, q33 | ... | q223, q255 |
//
// Each 32 bytes of levels hold two groups, one in the low and one in the high nibbles. See packScales for the 12 bytes.

const q4KSize = 2 + 2 + 12 + 128

// q4KGrid is the search of quantize_row_q4_K_ref.
var q4KGrid = grid{-1, 0.1, 20, false}

// quantizeQ4K follows quantize_row_q4_K_ref.
func quantizeQ4K(dst []byte, src []float32) {
	var s affineBlock
	for ; len(src) >= 256; src, dst = src[256:], dst[q4KSize:] {
		s.fitPlain(&q4KGrid, 15, src[:256])
		s.storeScalesPlain(dst)
		s.requantize(15, src[:256], dst)
		packHalves(dst[16:q4KSize], &s.levels)
	}
}

// quantizeQ4KWeighted follows quantize_row_q4_K_impl.
func quantizeQ4KWeighted(dst []byte, src, weights []float32) {
	var s affineBlock
	for at := 0; len(src) >= 256; src, dst = src[256:], dst[q4KSize:] {
		w := weights[at:][:256]
		at = (at + 256) % len(weights)
		s.fitWeighted(15, src[:256], w)
		s.storeScalesWeighted(dst, 255)
		s.requantize(15, src[:256], dst)
		packHalves(dst[16:q4KSize], &s.levels)
	}
}

func dequantizeQ4K(dst []float32, src []byte) {
	for ; len(src) >= q4KSize; src, dst = src[q4KSize:], dst[256:] {
		d, m := groupScales(src)
		q := src[16:q4KSize]
		for j := range 4 {
			d0, m0, d1, m1 := d[2*j], m[2*j], d[2*j+1], m[2*j+1]
			lo, hi := dst[64*j:64*j+32], dst[64*j+32:64*j+64]
			for i, b := range q[32*j : 32*j+32] {
				lo[i] = float32(d0*float32(b&15)) - m0
				hi[i] = float32(d1*float32(b>>4)) - m1
			}
		}
	}
}
