package kernels

// Q6_K, 210 bytes for 256 values in 16 groups of 16: x = d*sc*(q-32), q in 0..63, sc in -128..127:
//
//	0                          128                         192           208     210
//	| low nibbles of 2 levels  | upper 2 bits of 4 levels  | 16 sc, int8 | d f16  |
//
// The levels come in two halves of 128. In each half byte i < 64 of the nibbles holds values i and i+64, byte i < 32 of
// the upper bits values i, i+32, i+64 and i+96.

const q6KSize = 128 + 64 + 16 + 2

// quantizeQ6K follows quantize_row_q6_K_ref.
func quantizeQ6K(dst []byte, src []float32) {
	var levels [256]uint8
	var scales [16]float32
	for ; len(src) >= 256; src, dst = src[256:], dst[q6KSize:] {
		for j := range scales {
			scales[j] = symmetricScale(32, src[16*j:16*j+16], nil, levels[16*j:16*j+16])
		}
		finishQ6K(dst[:q6KSize], src[:256], &scales, &levels)
	}
}

// quantizeQ6KWeighted follows quantize_row_q6_K_impl: here the importance weights alone weigh the errors.
func quantizeQ6KWeighted(dst []byte, src, weights []float32) {
	var levels [256]uint8
	var scales [16]float32
	for at := 0; len(src) >= 256; src, dst = src[256:], dst[q6KSize:] {
		w := weights[at:][:256]
		at = (at + 256) % len(weights)
		for j := range scales {
			scales[j] = symmetricScale(32, src[16*j:16*j+16], w[16*j:16*j+16], levels[16*j:16*j+16])
		}
		finishQ6K(dst[:q6KSize], src[:256], &scales, &levels)
	}
}

// finishQ6K stores the scales, rounds x anew to what they have become, and packs the levels. A group whose scale came out
// as 0 keeps the levels of its search.
func finishQ6K(block []byte, x []float32, scales *[16]float32, levels *[256]uint8) {
	var d [16]float32
	if !storeScalesQ6K(block, scales, &d) {
		return
	}
	for j, d := range d {
		if d == 0 {
			continue
		}
		group := levels[16*j : 16*j+16]
		for i, v := range x[16*j : 16*j+16] {
			group[i] = uint8(max(-32, min(31, nearestInt(v/d))) + 32)
		}
	}
	packQ6K(block, levels)
}

// storeScalesQ6K stores the scales and gives what they have become. If all are next to nothing, the block is zeros and
// complete: the result is then false.
func storeScalesQ6K(block []byte, scales, d *[16]float32) bool {
	top := largest(scales[:])
	if abs(top) < epsilon {
		clear(block)
		return false
	}
	iscale := -128 / top
	storeF16(block[208:], 1/iscale)
	for j, v := range scales {
		block[192+j] = uint8(min(127, nearestInt(iscale*v)))
	}
	*d = q6KScales(block)
	return true
}

// q6KScales reads the scales.
func q6KScales(block []byte) (d [16]float32) {
	scale := loadF16(block[208:])
	for j, b := range block[192:208] {
		d[j] = scale * float32(int8(b))
	}
	return d
}

func packQ6K(block []byte, levels *[256]uint8) {
	const low4, low2 = 15 * each, 3 * each
	for half := range 2 {
		nibbles, high := block[64*half:][:64], block[128+32*half:][:32]
		for i := 0; i < 32; i += 8 {
			l := levels[128*half+i:][:104]
			a, b, c, d := eight(l), eight(l[32:]), eight(l[64:]), eight(l[96:])
			putEight(nibbles[i:], a&low4|c&low4<<4)
			putEight(nibbles[i+32:], b&low4|d&low4<<4)
			putEight(high[i:], a>>4&low2|b>>4&low2<<2|c>>4&low2<<4|d>>4&low2<<6)
		}
	}
}

func dequantizeQ6K(dst []float32, src []byte) {
	for ; len(src) >= q6KSize; src, dst = src[q6KSize:], dst[256:] {
		for j, d := range q6KScales(src) {
			half, part, at := j>>3, j>>1&3, j&1<<4
			low := src[64*half+part&1<<5+at:][:16]
			high := src[128+32*half+at:][:16]
			y := dst[16*j : 16*j+16]
			for i := range y {
				level := low[i]>>(part>>1<<2)&15 | high[i]>>(2*part)&3<<4
				y[i] = d * float32(int32(level)-32)
			}
		}
	}
}
