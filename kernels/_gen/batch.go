package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Q4_0, Q4_1, Q5_0 and Q5_1 without weights need no search, only the least and the greatest value of each block. A batch
// is as many blocks as a vector has lanes: their ranges are folded together, and scales and inverses, two divisions, are
// computed once for all of them. The second pass over the blocks finds their values in the first-level cache.
type batch struct {
	name  string
	wide  bool   // AVX-512
	fifth bool   // the levels have five bits
	top   uint32 // the highest level
	// symmetric is Q4_0 and Q5_0, where the value of greatest magnitude becomes level 0. With the others the least value
	// does, and the greatest becomes the highest level.
	symmetric bool

	dst, src Register
	stop     LabelRef
	scales   Mem // of the batch's blocks, as halves
	lowHalfs Mem // the values that become level 0, as halves and as they are
	lows     Mem
	inverses Mem // of the scales
}

func (b *batch) lanes() int {
	if b.wide {
		return 16
	}
	return 8
}

func (b *batch) vector() VecVirtual {
	if b.wide {
		return ZMM()
	}
	return YMM()
}

func (b *batch) load(m Mem) VecVirtual {
	v := b.vector()
	VMOVUPS(m, v)
	return v
}

// repeated has m, one of the constants, in all lanes: in a register where there are many.
func (b *batch) repeated(m Mem) Op {
	if b.wide {
		return wideConstant(m)
	}
	return m
}

// A mask has a bit for each lane in a mask register, or all bits of a lane in a vector.

func (b *batch) compare(predicate uint64, y Op, x VecVirtual) Register {
	if b.wide {
		k := K()
		VCMPPS(Imm(predicate), y, x, k)
		return k
	}
	m := YMM()
	VCMPPS(Imm(predicate), y, x, m)
	return m
}

func (b *batch) or(m, to Register) {
	if b.wide {
		KORW(m, to, to)
	} else {
		VORPS(m, to, to)
	}
}

func (b *batch) both(m, to Register) {
	if b.wide {
		KANDW(m, to, to)
	} else {
		VANDPS(m, to, to)
	}
}

func (b *batch) bits(m Register) Register {
	g := GP32()
	if b.wide {
		KMOVW(m, g)
	} else {
		VMOVMSKPS(m, g)
	}
	return g
}

// keep makes zero of the lanes of v that m has not.
func (b *batch) keep(m Register, v VecVirtual) {
	if b.wide {
		VMOVAPS_Z(v, m, v)
	} else {
		VANDPS(m, v, v)
	}
}

// choose takes those of x where m has a bit.
func (b *batch) choose(m Register, x, to VecVirtual) {
	if b.wide {
		VMOVAPS(x, m, to)
	} else {
		VBLENDVPS(m, x, to, to)
	}
}

// leave stops before the batch if m has a bit.
func (b *batch) leave(m Register) {
	g := b.bits(m)
	TESTL(g, g)
	JNZ(b.stop)
}

// fold joins the halves of vectors until lane i of one vector holds what belongs to block i.
func (b *batch) fold(next func() (least, greatest VecVirtual), n int) (least, greatest VecVirtual) {
	if n == 1 {
		return next()
	}
	lo, hi := b.fold(next, n/2)
	lo2, hi2 := b.fold(next, n/2)
	join := func(x, y VecVirtual, op func(...Op)) {
		t := b.vector()
		switch {
		case n == 2:
			VUNPCKHPS(y, x, t)
			VUNPCKLPS(y, x, x)
		case n == 4:
			VUNPCKHPD(y, x, t)
			VUNPCKLPD(y, x, x)
		case !b.wide:
			VPERM2F128(Imm(0x31), y, x, t)
			VPERM2F128(Imm(0x20), y, x, x)
		case n == 8:
			VSHUFF32X4(Imm(0xee), y, x, t)
			VSHUFF32X4(Imm(0x44), y, x, x)
		default:
			VSHUFF32X4(Imm(0xdd), y, x, t)
			VSHUFF32X4(Imm(0x88), y, x, x)
		}
		op(t, x, x)
	}
	join(lo, lo2, VMINPS)
	join(hi, hi2, VMAXPS)
	return lo, hi
}

// ranges gives the least and the greatest value of each block.
func (b *batch) ranges() (least, greatest VecVirtual) {
	at := 0
	var nan Register
	least, greatest = b.fold(func() (lo, hi VecVirtual) {
		for i := 0; i < 32/b.lanes(); i += 2 {
			x := b.load(Mem{Base: b.src, Disp: at})
			y := b.load(Mem{Base: b.src, Disp: at + 4*b.lanes()})
			at += 8 * b.lanes()
			m := b.compare(cmpUnord, y, x)
			if nan == nil {
				nan = m
			} else {
				b.or(m, nan)
			}
			t := b.vector()
			VMINPS(y, x, t)
			VMAXPS(y, x, x)
			if i == 0 {
				lo, hi = t, x
			} else {
				VMINPS(t, lo, lo)
				VMAXPS(x, hi, hi)
			}
		}
		return lo, hi
	}, b.lanes())
	b.leave(nan)
	return least, greatest
}

// ordinary leaves the batch if one of m, which are no less than 0, is Inf or so small that the inverse of a scale would
// be no number, but for 0. It gives the lanes that are not 0.
func (b *batch) ordinary(m VecVirtual) (nonzero Register) {
	nonzero = b.compare(cmpNEQ, b.repeated(constant("zeroF", 0)), m)
	odd := b.compare(cmpLT, b.repeated(constant("leastF", least)), m)
	b.both(nonzero, odd)
	b.or(b.compare(cmpNLT, b.repeated(infBits()), m), odd)
	b.leave(odd)
	return nonzero
}

// first replaces those of lows that m names by the first value of their block that has the same magnitude: of two
// zeros, or a value and its negative, the first counts.
func (b *batch) first(m Register) {
	left, label := b.bits(m), "first"
	TESTL(left, left)
	JZ(LabelRef("found"))
	Label(label)
	i, block, at := GP32(), GP64(), GP32()
	BSFL(left, i)
	MOVL(i, block.As32())
	SHLQ(Imm(7), block)
	ADDQ(b.src, block)
	low := b.lows.Idx(i.As64(), 4)
	v := b.vector()
	VBROADCASTSS(low, v)
	abs := b.repeated(absMask())
	and := func(v VecVirtual) {
		if b.wide {
			VPANDD(abs, v, v)
		} else {
			VANDPS(abs, v, v)
		}
	}
	and(v)
	for k := range 32 / b.lanes() {
		x := b.load(Mem{Base: block, Disp: 4 * b.lanes() * k})
		and(x)
		g := b.bits(b.compare(cmpEQ, v, x))
		if k == 0 {
			MOVL(g, at)
		} else {
			SHLL(Imm(uint64(b.lanes()*k)), g)
			ORL(g, at)
		}
	}
	BSFL(at, at)
	MOVL(Mem{Base: block, Index: at.As64(), Scale: 4}, at)
	MOVL(at, low)
	LEAL(Mem{Base: left, Disp: -1}, at)
	ANDL(at, left)
	JNZ(LabelRef(label))
	Label("found")
}

// halves stores v in half precision.
func (b *batch) halves(v VecVirtual, to Mem) { VCVTPS2PH(Imm(0), v, to) }

// inverse stores 1/d, and 0 where d is 0.
func (b *batch) inverse(d VecVirtual, nonzero Register) {
	inv := b.vector()
	if b.wide {
		VBROADCASTSS(oneF(), inv)
	} else {
		VMOVUPS(oneF(), inv)
	}
	VDIVPS(d, inv, inv)
	b.keep(nonzero, inv)
	VMOVUPS(inv, b.inverses)
}

func (b *batch) divisor(f float32) VecVirtual {
	v := b.vector()
	if b.wide {
		VBROADCASTSS(number(b.name+"Divisor", f), v)
	} else {
		VMOVUPS(number(b.name+"Divisor", f), v)
	}
	return v
}

// scaleSymmetric fills scales, lows and inverses.
func (b *batch) scaleSymmetric() {
	lo, hi := b.ranges()
	negated, m := b.vector(), b.vector()
	VMOVUPS(lo, negated)
	if b.wide {
		VPXORD(b.repeated(signMask()), negated, negated)
	} else {
		VXORPS(signMask(), negated, negated)
	}
	VMAXPS(negated, hi, m)
	nonzero := b.ordinary(m)
	b.choose(b.compare(cmpGT, negated, hi), hi, lo)
	b.keep(nonzero, lo)
	VMOVUPS(lo, b.lows)
	tie := b.compare(cmpEQ, negated, hi)
	b.both(nonzero, tie)
	b.first(tie)
	d := b.load(b.lows)
	VDIVPS(b.divisor(-float32(b.top+1)/2), d, d)
	b.halves(d, b.scales)
	b.inverse(d, nonzero)
}

// scaleAffine fills scales, lows, lowHalfs and inverses.
func (b *batch) scaleAffine() {
	lo, d := b.ranges()
	VSUBPS(lo, d, d)
	nonzero := b.ordinary(d)
	b.keep(nonzero, d) // no -0
	VMOVUPS(lo, b.lows)
	b.first(b.compare(cmpEQ, b.repeated(constant("zeroF", 0)), lo))
	b.halves(b.load(b.lows), b.lowHalfs)
	VDIVPS(b.divisor(float32(b.top)), d, d)
	b.halves(d, b.scales)
	b.inverse(d, nonzero)
}

// store packs 32 levels behind the scales of a block.
func (b *batch) store(v []VecVirtual, at int) {
	if !b.wide {
		storeLevels(bytesOf(v), b.fifth, b.dst, at)
		return
	}
	if b.fifth {
		for i, l := range v {
			k := K()
			VPTESTMD(b.repeated(constant("sixteensI", 16)), l, k)
			g := b.bits(k)
			MOVW(g.(GPVirtual).As16(), Mem{Base: b.dst, Disp: at + 2*i})
		}
		at += 4
		VPANDD(b.repeated(constant("fifteensI", 15)), v[0], v[0])
	}
	VPSLLD(Imm(4), v[1], v[1])
	VPORD(v[1], v[0], v[0])
	VPMOVDB(v[0], Mem{Base: b.dst, Disp: at}) // drops what is above 8 bits
}

func (b *batch) write() {
	TEXT(b.name, NOSPLIT, "func(dst *byte, src *float32, blocks int) int")
	b.dst, b.src, b.stop = ptr("dst"), ptr("src"), LabelRef("stop")
	blocks := ptr("blocks")
	n := b.lanes()
	b.scales, b.lowHalfs, b.lows, b.inverses = AllocLocal(2*n), AllocLocal(2*n), AllocLocal(4*n), AllocLocal(4*n)
	size, shift := 2+16, float32(b.top+2)/2
	if !b.symmetric {
		size, shift = 4+16, 0.5
	}
	at := size - 16
	if b.fifth {
		size += 4
	}
	CMPQ(blocks, Imm(uint64(n)))
	JL(b.stop)
	Label("batch")
	if b.symmetric {
		b.scaleSymmetric()
	} else {
		b.scaleAffine()
	}
	Comment("Levels.")
	shifts, limit := b.repeated(number(b.name+"Shift", shift)), b.repeated(constant(b.name+"Top", b.top))
	i := GP64()
	XORQ(i, i)
	Label("block")
	d, inv, lo := GP32(), b.vector(), b.vector()
	MOVWLZX(b.scales.Idx(i, 2), d)
	MOVW(d.As16(), Mem{Base: b.dst})
	VBROADCASTSS(b.inverses.Idx(i, 4), inv)
	if !b.symmetric {
		MOVWLZX(b.lowHalfs.Idx(i, 2), d)
		MOVW(d.As16(), Mem{Base: b.dst, Disp: 2})
		VBROADCASTSS(b.lows.Idx(i, 4), lo)
	}
	var v []VecVirtual
	for k := range 32 / n {
		x := b.load(Mem{Base: b.src, Disp: 4 * n * k})
		if !b.symmetric {
			VSUBPS(lo, x, x)
		}
		VMULPS(inv, x, x)
		VADDPS(shifts, x, x)
		VCVTTPS2DQ(x, x)
		VPMINSD(limit, x, x)
		v = append(v, x)
	}
	b.store(v, at)
	ADDQ(I32(128), b.src)
	ADDQ(Imm(uint64(size)), b.dst)
	INCQ(i)
	CMPQ(i, Imm(uint64(n)))
	JNE(LabelRef("block"))
	SUBQ(Imm(uint64(n)), blocks)
	CMPQ(blocks, Imm(uint64(n)))
	JGE(LabelRef("batch"))
	Label("stop")
	done := ptr("blocks")
	SUBQ(blocks, done)
	Store(done, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func batches(suffix string, wide bool) {
	for _, b := range []batch{
		{name: "q4_0Blocks", symmetric: true, top: 15},
		{name: "q5_0Blocks", symmetric: true, fifth: true, top: 31},
		{name: "q4_1Blocks", top: 15},
		{name: "q5_1Blocks", fifth: true, top: 31},
	} {
		b.name += suffix
		b.wide = wide
		b.write()
	}
}
