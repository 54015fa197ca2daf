package kernels

// Q5_K, 176 bytes for 256 values in 8 groups of 32: x = d*sc*q - dmin*m, q in 0..31, sc and m in 0..63:
//
//	0        2           4                        16                   48                                             176
//	| d f16  | dmin f16  | 8 sc, 8 m, 6 bits each | bit 4 of the levels | q0 low, q32 high nibble | ... | q223, q255 |
//
// Bit g of byte i at 16 is bit 4 of value i of group g. The rest is as in Q4_K.

const q5KSize = 2 + 2 + 12 + 32 + 128

// q5KGrid is the search of quantize_row_q5_K_ref.
var q5KGrid = grid{-0.5, 0.1, 15, false}

// quantizeQ5K follows quantize_row_q5_K_ref.
func quantizeQ5K(dst []byte, src []float32) {
	var s affineBlock
	for ; len(src) >= 256; src, dst = src[256:], dst[q5KSize:] {
		s.fitPlain(&q5KGrid, 31, src[:256])
		s.storeScalesPlain(dst)
		s.requantize(31, src[:256], dst)
		packHigh(dst[16:48], &s.levels, 4)
		packHalves(dst[48:q5KSize], &s.levels)
	}
}

// quantizeQ5KWeighted follows quantize_row_q5_K_impl.
func quantizeQ5KWeighted(dst []byte, src, weights []float32) {
	var s affineBlock
	for at := 0; len(src) >= 256; src, dst = src[256:], dst[q5KSize:] {
		w := weights[at:][:256]
		at = (at + 256) % len(weights)
		s.fitWeighted(31, src[:256], w)
		s.storeScalesWeighted(dst, 63)
		s.requantize(31, src[:256], dst)
		packHigh(dst[16:48], &s.levels, 4)
		packHalves(dst[48:q5KSize], &s.levels)
	}
}

func dequantizeQ5K(dst []float32, src []byte) {
	for ; len(src) >= q5KSize; src, dst = src[q5KSize:], dst[256:] {
		d, m := groupScales(src)
		high, q := src[16:48], src[48:q5KSize]
		for j := range 4 {
			d0, m0, d1, m1 := d[2*j], m[2*j], d[2*j+1], m[2*j+1]
			lo, hi := dst[64*j:64*j+32], dst[64*j+32:64*j+64]
			for i, b := range q[32*j : 32*j+32] {
				lo[i] = float32(d0*float32(b&15|high[i]>>(2*j)&1<<4)) - m0
				hi[i] = float32(d1*float32(b>>4|high[i]>>(2*j+1)&1<<4)) - m1
			}
		}
	}
}
