package kernels

// What the types with blocks of 32 values (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0) have in common.

// largest is the value with the greatest magnitude, the first of equals, with its sign; NaN is passed over.
func largest(x []float32) float32 {
	var amax, top float32
	for _, v := range x {
		if a := abs(v); amax < a {
			amax, top = a, v
		}
	}
	return top
}

// span is the least and the greatest value, NaN passed over.
func span(x []float32) (lo, hi float32) {
	lo, hi = maxF32, -maxF32
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	return lo, hi
}

const maxF32 = 0x1p127 * (1 + (1 - 0x1p-23))

// inverse is 1/d, and 0 for 0. A subnormal d gives Inf: the levels then come out as ggml's do.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// clampInt8 is C's MIN(top, (int8_t) f) stored in a byte: what falls outside an int8 wraps first.
func clampInt8(f float32, top int8) uint8 { return uint8(min(top, int8(truncate(f)))) }

// packNibbles stores the low 4 bits of 32 levels in 16 bytes, level i beside level i+16, eight at a time.
func packNibbles(dst []byte, levels *[32]uint8) {
	dst = dst[:16]
	for i := 0; i < 16; i += 8 {
		lo, hi := eight(levels[i:]), eight(levels[i+16:])
		putEight(dst[i:], lo&(15*each)|hi&(15*each)<<4)
	}
}

// packFifthBits stores bit 4 of 32 levels in a little-endian word, level i at bit i.
func packFifthBits(dst []byte, levels *[32]uint8) {
	dst = dst[:4]
	for i := range dst {
		// The product moves bit 0 of byte k to bit k of the top byte.
		dst[i] = uint8(eight(levels[8*i:]) >> 4 & each * 0x0102040810204080 >> 56)
	}
}

// fiveBits reads levels i and i+16 of a block whose fifth bits stand in word and whose nibbles are those of q.
func fiveBits(word uint32, q byte, i int) (lo, hi int) {
	return int(q&15) | int(word>>i&1)<<4, int(q>>4) | int(word>>(i+16)&1)<<4
}
