package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The dequantizers. All unpack 32 levels into the bytes of a register, widen 8 at a time, and scale them.

// emit stores 32 values: of 8 levels each, times scale(i), less the min, where one is given, of the i-th 8.
func emit(levels VecVirtual, signed bool, dst func(i int) Mem, scale func(i int) VecVirtual, low func(i int) VecVirtual) {
	high := YMM()
	VEXTRACTI128(Imm(1), levels, high.AsX())
	for i, half := range []VecVirtual{levels, levels, high, high} {
		v := YMM()
		bytes := half.AsX()
		if i%2 == 1 {
			bytes = XMM()
			VPSRLDQ(Imm(8), half.AsX(), bytes)
		}
		if signed {
			VPMOVSXBD(bytes, v)
		} else {
			VPMOVZXBD(bytes, v)
		}
		VCVTDQ2PS(v, v)
		VMULPS(scale(i), v, v)
		if low != nil {
			VSUBPS(low(i), v, v)
		}
		VMOVUPS(v, dst(i))
	}
}

// halfAt widens the half at an address to all lanes.
func halfAt(m Mem) VecVirtual {
	g, v := GP32(), YMM()
	MOVWLZX(m, g)
	VMOVD(g, v.AsX())
	VCVTPH2PS(v.AsX(), v.AsX())
	VBROADCASTSS(v.AsX(), v)
	return v
}

// e8m0At is half of the scale whose exponent stands at an address, in all lanes: 2^(e-128), which is subnormal below 2.
func e8m0At(m Mem) VecVirtual {
	g, small, v := GP32(), GP32(), YMM()
	MOVBLZX(m, g)
	LEAL(Mem{Base: g, Disp: 1}, small)
	SHLL(Imm(21), small)
	large := GP32()
	LEAL(Mem{Base: g, Disp: -1}, large)
	SHLL(Imm(23), large)
	CMPL(g, Imm(2))
	CMOVLCS(small, large)
	VMOVD(large, v.AsX())
	VBROADCASTSS(v.AsX(), v)
	return v
}

func nibbleMask() Mem { return constant("nibbles", 0x0f0f0f0f) }

// expandBlocks is the dequantizer of a type with blocks of 32 values, for n blocks.
func expandBlocks(name string, size int, scale func(Mem) VecVirtual, body func(src Register) (levels VecVirtual, signed bool, low VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst *float32, src *byte, n int)")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	Label("loop")
	d := scale(Mem{Base: src})
	levels, signed, low := body(src)
	var lows func(int) VecVirtual
	if low != nil {
		lows = func(int) VecVirtual { return low }
	}
	emit(levels, signed, func(i int) Mem { return Mem{Base: dst, Disp: 32 * i} }, func(int) VecVirtual { return d }, lows)
	ADDQ(I32(int32(size)), src)
	ADDQ(I32(128), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// expandLegacy is Q4_0, Q4_1, Q5_0 and Q5_1: nibbles, behind fifth bits where there are any, less an offset or plus a min.
func expandLegacy(name string, fifth bool, offset uint32) {
	at := 2
	if offset == 0 {
		at += 2
	}
	size := at + 16
	if fifth {
		size += 4
	}
	expandBlocks(name, size, halfAt, func(src Register) (VecVirtual, bool, VecVirtual) {
		at := at
		var bits VecVirtual
		if fifth {
			// Each byte gets the byte of the word that holds its bit, then that bit alone.
			bits = YMM()
			VPBROADCASTD(Mem{Base: src, Disp: at}, bits)
			VPSHUFB(spread(), bits, bits)
			VPAND(bitOfByte(), bits, bits)
			VPCMPEQB(bitOfByte(), bits, bits)
			VPAND(constant("sixteens", 0x10101010), bits, bits)
			at += 4
		}
		levels, high := YMM(), XMM()
		VMOVDQU(Mem{Base: src, Disp: at}, levels.AsX())
		VPSRLW(Imm(4), levels.AsX(), high)
		VINSERTI128(Imm(1), high, levels, levels)
		VPAND(nibbleMask(), levels, levels)
		if fifth {
			VPOR(bits, levels, levels)
		}
		if offset != 0 {
			VPSUBB(constant(name+"Offset", offset*0x01010101), levels, levels)
			return levels, true, nil
		}
		low := halfAt(Mem{Base: src, Disp: 2})
		VXORPS(signMask(), low, low) // taking away -m adds m
		return levels, false, low
	})
}

func spread() Mem {
	return rows32("spread", func(i int) uint8 { return uint8(i / 8) })
}

func bitOfByte() Mem {
	return rows32("bitOfByte", func(i int) uint8 { return 1 << (i % 8) })
}

// rows32 is a constant of 32 bytes.
func rows32(name string, f func(i int) uint8) Mem {
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, RODATA|NOPTR)
		for i := range 32 {
			DATA(i, U8(f(i)))
		}
		constants[name] = m
	}
	return m
}

// expandSuper is the dequantizer of one super-block whose groups have scales d and mins m. part gives the levels of 32
// values at a time, 8 parts in all.
func expandSuper(name string, group int, signed bool, part func(block Register, i int) VecVirtual) {
	TEXT(name, NOSPLIT, "func(dst *float32, block *byte, d, m *float32)")
	dst, block, d := ptr("dst"), ptr("block"), Mem{Base: ptr("d")}
	var m *Mem
	if !signed {
		m = &Mem{Base: ptr("m")}
	}
	expandParts(dst, block, group, d, m, part)
	VZEROUPPER()
	RET()
}

// expandParts unpacks a super-block; with mins the levels are unsigned.
func expandParts(dst, block Register, group int, d Mem, m *Mem, part func(block Register, i int) VecVirtual) {
	for p := range 8 {
		load := func(from Mem) func(int) VecVirtual {
			var last VecVirtual
			return func(i int) VecVirtual {
				if at := 32*p + 8*i; at%group == 0 {
					last = YMM()
					VBROADCASTSS(from.Offset(4*(at/group)), last)
				}
				return last
			}
		}
		var low func(int) VecVirtual
		if m != nil {
			low = load(*m)
		}
		emit(part(block, p), m == nil, func(i int) Mem { return Mem{Base: dst, Disp: 128*p + 32*i} }, load(d), low)
	}
}

// expandAffine is the dequantizer of n super-blocks of Q4_K or Q5_K. The scales and mins of 6 bits are taken apart four
// at a time: see packScales.
func expandAffine(name string, size int, part func(block Register, i int) VecVirtual) {
	TEXT(name, NOSPLIT, "func(dst *float32, src *byte, n int)")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	d, m := AllocLocal(32), AllocLocal(32)
	Label("loop")
	nibbles := GP32()
	MOVL(Mem{Base: src, Disp: 12}, nibbles)
	for i, to := range []Mem{d, m} {
		low, high, top := GP32(), GP32(), GP32()
		MOVL(Mem{Base: src, Disp: 4 + 4*i}, low)
		MOVL(low, top)
		SHRL(Imm(2), top)
		ANDL(U32(0x30303030), top)
		ANDL(U32(0x3f3f3f3f), low)
		MOVL(nibbles, high)
		if i == 1 {
			SHRL(Imm(4), high)
		}
		ANDL(U32(0x0f0f0f0f), high)
		ORL(top, high)
		v := YMM()
		VMOVD(low, v.AsX())
		VPINSRD(Imm(1), high, v.AsX(), v.AsX())
		VPMOVZXBD(v.AsX(), v)
		VCVTDQ2PS(v, v)
		VMULPS(halfAt(Mem{Base: src, Disp: 2 * i}), v, v)
		VMOVUPS(v, to)
	}
	expandParts(dst, src, 32, d, &m, part)
	ADDQ(U32(uint32(size)), src)
	ADDQ(U32(1024), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// shifted gives (v >> n) & mask, bytewise; n counts within a byte.
func shifted(v VecVirtual, n int, mask Mem) VecVirtual {
	t := YMM()
	if n == 0 {
		VPAND(mask, v, t)
		return t
	}
	VPSRLW(Imm(uint64(n)), v, t)
	VPAND(mask, t, t)
	return t
}

func load32(block Register, at int) VecVirtual {
	v := YMM()
	VMOVDQU(Mem{Base: block, Disp: at}, v)
	return v
}

func expanders() {
	expandBlocks("q8_0Expand", 34, halfAt, func(src Register) (VecVirtual, bool, VecVirtual) { return load32(src, 2), true, nil })
	expandLegacy("q4_0Expand", false, 8)
	expandLegacy("q4_1Expand", false, 0)
	expandLegacy("q5_0Expand", true, 16)
	expandLegacy("q5_1Expand", true, 0)
	expandBlocks("mxfp4Expand", 17, e8m0At, func(src Register) (VecVirtual, bool, VecVirtual) {
		levels, high, numbers := YMM(), XMM(), YMM()
		VMOVDQU(Mem{Base: src, Disp: 1}, levels.AsX())
		VPSRLW(Imm(4), levels.AsX(), high)
		VINSERTI128(Imm(1), high, levels, levels)
		VPAND(nibbleMask(), levels, levels)
		VMOVDQU(rows32("e2m1", func(i int) uint8 {
			m := [8]int8{0, 1, 2, 3, 4, 6, 8, 12}[i%8]
			if i%16 >= 8 {
				m = -m
			}
			return uint8(m)
		}), numbers)
		VPSHUFB(levels, numbers, levels)
		return levels, true, nil
	})
	ones, threes := constant("ones8", 0x01010101), constant("threes8", 0x03030303)
	expandSuper("q2KExpand", 16, false, func(block Register, p int) VecVirtual {
		return shifted(load32(block, 16+32*(p/4)), 2*(p%4), threes)
	})
	expandSuper("q3KExpand", 16, true, func(block Register, p int) VecVirtual {
		v := shifted(load32(block, 32+32*(p/4)), 2*(p%4), threes)
		high := shifted(load32(block, 0), p, ones)
		VPSLLW(Imm(2), high, high)
		VPOR(high, v, v)
		VPSUBB(constant("fours8", 0x04040404), v, v)
		return v
	})
	expandAffine("q4KExpand", 144, func(block Register, p int) VecVirtual {
		return shifted(load32(block, 16+32*(p/2)), 4*(p%2), nibbleMask())
	})
	expandAffine("q5KExpand", 176, func(block Register, p int) VecVirtual {
		v := shifted(load32(block, 48+32*(p/2)), 4*(p%2), nibbleMask())
		high := shifted(load32(block, 16), p, ones)
		VPSLLW(Imm(4), high, high)
		VPOR(high, v, v)
		return v
	})
	expandSuper("q6KExpand", 16, true, func(block Register, p int) VecVirtual {
		half, q := p/4, p%4
		v := shifted(load32(block, 64*half+32*(q%2)), q/2*4, nibbleMask())
		high := shifted(load32(block, 128+32*half), 2*q, threes)
		VPSLLW(Imm(4), high, high)
		VPOR(high, v, v)
		VPSUBB(constant("thirtyTwos8", 0x20202020), v, v)
		return v
	})
}
