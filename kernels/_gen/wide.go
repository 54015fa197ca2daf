package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// The searches with AVX-512: both sets of 8 lanes in one register, and all that a search keeps in registers too.

func wideZero() VecVirtual {
	z := ZMM()
	VPXORD(z, z, z)
	return z
}

func wideParam(param string) VecVirtual {
	p, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := ZMM()
	VBROADCASTSS(p.Addr, v)
	return v
}

func wideConstant(m Mem) VecVirtual {
	v := ZMM()
	VBROADCASTSS(m, v)
	return v
}

// affineWide is affine for two sets of 16 groups, so that one can go on while the other waits for an addition.
func affineWide(name string, n int, absolute bool) {
	TEXT(name, NOSPLIT, "func(lanes *byte, nums *float32, steps int, nmax float32) uint32")
	p, nums, steps := ptr("lanes"), ptr("nums"), ptr("steps")
	row := GP64()
	at := func(field, set, i int) Mem {
		return Mem{Base: p, Index: row, Scale: 1, Disp: AffineSize*set + field + 64*i}
	}
	state := func(field, set int) Mem { return Mem{Base: p, Disp: AffineSize*set + field} }
	rows := func(from, to int, body func(i int)) { loop(row, from, to, body) }
	nm, z := wideParam("nmax"), wideZero()
	abs, limit := wideConstant(absMask()), wideConstant(exactLimit())
	minusHalf, nearHalf := wideConstant(number("minusHalf", -0.5)), wideConstant(number("nearHalf", 0.45))
	square := func(d VecVirtual) {
		if absolute {
			VPANDD(abs, d, d)
		} else {
			VMULPS(d, d, d)
		}
	}
	bad := [2]OpmaskVirtual{K(), K()}
	// outside adds the lanes to bad where |f| is beyond the exact range or no number.
	outside := func(set int, f VecVirtual) {
		k := K()
		VPANDD(abs, f, f)
		VCMPPS(Imm(cmpNLT), limit, f, k)
		KORW(k, bad[set], bad[set])
	}
	keep := func(v VecVirtual, field, set int) { VMOVUPS(v, state(field, set)) }

	for s := range 2 {
		Comment("Range, sums of weights, and the error of the first scale.")
		lo, hi, sumW, sumX, x, w, nan := ZMM(), ZMM(), ZMM(), ZMM(), ZMM(), ZMM(), ZMM()
		XORQ(row, row)
		VMOVUPS(at(AffineX, s, 0), x)
		VMOVAPS(x, lo)
		VMOVAPS(x, hi)
		VMOVUPS(at(AffineW, s, 0), sumW)
		VMULPS(sumW, x, sumX)
		VSUBPS(x, x, nan)
		one := func(i int) {
			VMOVUPS(at(AffineX, s, i), x)
			VMOVUPS(at(AffineW, s, i), w)
			VMINPS(lo, x, lo)
			VMAXPS(hi, x, hi)
			VADDPS(w, sumW, sumW)
			VMULPS(w, x, w)
			VADDPS(w, sumX, sumX)
			VSUBPS(x, x, x)
			VADDPS(x, nan, nan)
		}
		for i := 1; i < 8; i++ {
			one(i)
		}
		rows(8, n, one)
		VMINPS(lo, z, lo)
		VCMPPS(Imm(cmpUnord), nan, nan, bad[s])
		keep(lo, AffineFirst, s)
		keep(lo, AffineBestLo, s)
		keep(lo, AffineLow, s)
		keep(hi, AffineHi, s)
		keep(sumW, AffineSumW, s)
		keep(sumX, AffineSumX, s)
		width, is, scale, best := ZMM(), ZMM(), ZMM(), wideZero()
		VSUBPS(lo, hi, width)
		VDIVPS(width, nm, is)
		keep(is, AffineBestIS, s)
		VBROADCASTSS(oneF(), scale)
		VDIVPS(is, scale, scale)
		keep(scale, AffineScale, s)
		VMULPS(width, is, width)
		outside(s, width)
		rows(0, n, func(i int) {
			x, d := ZMM(), ZMM()
			VMOVUPS(at(AffineX, s, i), x)
			VSUBPS(lo, x, d)
			VMULPS(d, is, d)
			VRNDSCALEPS(Imm(nearest), d, d)
			VMINPS(nm, d, d)
			VMAXPS(z, d, d)
			VMULPS(d, scale, d)
			VADDPS(lo, d, d)
			VSUBPS(x, d, d)
			square(d)
			VMULPS(at(AffineW, s, i), d, d)
			VADDPS(d, best, best)
		})
		keep(best, AffineBest, s)
	}

	Label("step")
	Comment("Levels at the next inverse scale, and their sums. The ends of the range tell whether any level needs a limit.")
	under, over := K(), K()
	KXORW(under, under, under)
	KXORW(over, over, over)
	var is, lo, sumL, sumL2, sumXL [2]VecVirtual
	for s := range 2 {
		is[s], lo[s] = ZMM(), ZMM()
		t, u, v, k := ZMM(), ZMM(), ZMM(), K()
		VMOVUPS(state(AffineLow, s), lo[s])
		VMOVUPS(state(AffineHi, s), t)
		VSUBPS(lo[s], t, t)
		VBROADCASTSS(Mem{Base: nums}, is[s])
		VDIVPS(t, is[s], is[s])
		VMULPS(t, is[s], t)
		VMOVUPS(state(AffineFirst, s), u)
		VSUBPS(lo[s], u, u)
		VMULPS(u, is[s], u)
		for _, end := range []VecVirtual{t, u} {
			VCMPPS(Imm(cmpLT), minusHalf, end, k)
			KORW(k, under, under)
			VSUBPS(nm, end, v)
			VCMPPS(Imm(cmpGT), nearHalf, v, k)
			KORW(k, over, over)
			outside(s, end)
		}
		sumL[s], sumL2[s], sumXL[s] = wideZero(), wideZero(), wideZero()
	}
	pass := func(low, high bool) {
		rows(0, n, func(i int) {
			for s := range 2 {
				x, l, wl := ZMM(), ZMM(), ZMM()
				VMOVUPS(at(AffineX, s, i), x)
				VSUBPS(lo[s], x, l)
				VMULPS(l, is[s], l)
				VRNDSCALEPS(Imm(nearest), l, l)
				if high {
					VMINPS(nm, l, l)
				}
				if low {
					VMAXPS(z, l, l)
				}
				VMOVUPS(l, at(AffineLevel, s, i))
				VMULPS(at(AffineW, s, i), l, wl)
				VADDPS(wl, sumL[s], sumL[s])
				VMULPS(wl, l, l)
				VADDPS(l, sumL2[s], sumL2[s])
				VMULPS(wl, x, x)
				VADDPS(x, sumXL[s], sumXL[s])
			}
		})
	}
	KORTESTW(under, under)
	JNE(LabelRef("low"))
	KORTESTW(over, over)
	JNE(LabelRef("high"))
	pass(false, false)
	JMP(LabelRef("summed"))
	Label("high")
	pass(false, true)
	JMP(LabelRef("summed"))
	Label("low")
	KORTESTW(over, over)
	JNE(LabelRef("both"))
	pass(true, false)
	JMP(LabelRef("summed"))
	Label("both")
	pass(true, true)
	Label("summed")

	Comment("Best scale and min for those levels.")
	var scale, low, loss [2]VecVirtual
	var ok [2]OpmaskVirtual
	for s := range 2 {
		sumW, sumX, det, t, positive := ZMM(), ZMM(), ZMM(), ZMM(), K()
		scale[s], low[s], ok[s] = ZMM(), ZMM(), K()
		VMOVUPS(state(AffineSumW, s), sumW)
		VMOVUPS(state(AffineSumX, s), sumX)
		VMULPS(sumW, sumL2[s], det)
		VMULPS(sumL[s], sumL[s], t)
		VSUBPS(t, det, det)
		VCMPPS(Imm(cmpGT), z, det, ok[s])
		VMULPS(sumW, sumXL[s], scale[s])
		VMULPS(sumX, sumL[s], t)
		VSUBPS(t, scale[s], scale[s])
		VDIVPS(det, scale[s], scale[s])
		VMULPS(sumX, sumL2[s], low[s])
		VMULPS(sumL[s], sumXL[s], t)
		VSUBPS(t, low[s], low[s])
		VDIVPS(det, low[s], low[s])
		VCMPPS(Imm(cmpGT), z, low[s], positive)
		KORTESTW(positive, positive)
		label := "negative" + string(rune('a'+s))
		JEQ(LabelRef(label))
		VMOVAPS(z, positive, low[s])
		VDIVPS(sumL2[s], sumXL[s], t)
		VMOVAPS(t, positive, scale[s])
		Label(label)
		loss[s] = wideZero()
	}
	Comment("Their error.")
	rows(0, n, func(i int) {
		for s := range 2 {
			d := ZMM()
			VMULPS(at(AffineLevel, s, i), scale[s], d)
			VADDPS(low[s], d, d)
			VSUBPS(at(AffineX, s, i), d, d)
			square(d)
			VMULPS(at(AffineW, s, i), d, d)
			VADDPS(d, loss[s], loss[s])
		}
	})
	for s := range 2 {
		won := K()
		VCMPPS(Imm(cmpLT), state(AffineBest, s), loss[s], ok[s], won)
		VMOVUPS(loss[s], won, state(AffineBest, s))
		VMOVUPS(scale[s], won, state(AffineScale, s))
		VMOVUPS(is[s], won, state(AffineBestIS, s))
		VMOVUPS(lo[s], won, state(AffineBestLo, s))
		VMOVUPS(low[s], won, state(AffineLow, s))
	}
	ADDQ(Imm(4), nums)
	DECQ(steps)
	JNZ(LabelRef("step"))

	Comment("A group of equal values has scale 0 and its first min.")
	bits, g := GP32(), GP32()
	XORL(bits, bits)
	for s := range 2 {
		first, low, flat := ZMM(), ZMM(), K()
		VMOVUPS(state(AffineFirst, s), first)
		VCMPPS(Imm(cmpEQ), state(AffineHi, s), first, flat)
		VMOVUPS(z, flat, state(AffineScale, s))
		VMOVUPS(state(AffineLow, s), low)
		VMOVAPS(first, flat, low)
		VPXORD(wideConstant(signMask()), low, low)
		keep(low, AffineLow, s)
		KANDNW(bad[s], flat, bad[s])
		KMOVW(bad[s], g)
		SHLL(Imm(uint64(16*s)), g)
		ORL(g, bits)
	}
	Store(bits, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// symmetricWide is symmetric for one set of 16 groups; it tries three scales at a time.
func symmetricWide(name string, n int) {
	TEXT(name, NOSPLIT, "func(lanes *byte, nums *float32, triples int, lo, hi float32) uint32")
	p, nums, triples := ptr("lanes"), ptr("nums"), ptr("triples")
	lo, hi, z, abs := wideParam("lo"), wideParam("hi"), wideZero(), wideConstant(absMask())
	row := GP64()
	at := func(field, i int) Mem { return Mem{Base: p, Index: row, Scale: 1, Disp: field + 64*i} }
	bits, g := GP32(), GP32()

	Comment("The value of greatest magnitude.")
	top, mag, nan := wideZero(), wideZero(), wideZero()
	k, dead := K(), K()
	loop(row, 0, n, func(i int) {
		x, a := ZMM(), ZMM()
		VMOVUPS(at(SymX, i), x)
		VPANDD(abs, x, a)
		VCMPPS(Imm(cmpGT), mag, a, k)
		VMOVAPS(a, k, mag)
		VMOVAPS(x, k, top)
		VMULPS(at(SymW, i), x, a)
		VMOVUPS(a, at(SymWX, i))
		VSUBPS(x, x, x)
		VADDPS(x, nan, nan)
	})
	VCMPPS(Imm(cmpLT), wideConstant(number("epsilon", 1e-15)), mag, dead)
	KMOVW(dead, bits)
	SHLL(Imm(16), bits)
	VCMPPS(Imm(cmpUnord), nan, nan, k)
	KMOVW(k, g)
	ORL(g, bits)

	scale, best, won := ZMM(), ZMM(), ZMM()
	sums := func(count int) (is, lx, l2 []VecVirtual) {
		for k := range count {
			is, lx, l2 = append(is, ZMM()), append(lx, wideZero()), append(l2, wideZero())
			VBROADCASTSS(Mem{Base: nums, Disp: 4 * k}, is[k])
			VDIVPS(top, is[k], is[k])
		}
		loop(row, 0, n, func(i int) {
			x, w, wx := ZMM(), ZMM(), ZMM()
			VMOVUPS(at(SymX, i), x)
			VMOVUPS(at(SymW, i), w)
			VMOVUPS(at(SymWX, i), wx)
			for k := range count {
				l, t := ZMM(), ZMM()
				VMULPS(x, is[k], l)
				VRNDSCALEPS(Imm(nearest), l, l)
				VMINPS(hi, l, l)
				VMAXPS(lo, l, l)
				VMULPS(wx, l, t)
				VADDPS(t, lx[k], lx[k])
				VMULPS(w, l, t)
				VMULPS(t, l, l)
				VADDPS(l, l2[k], l2[k])
			}
		})
		return is, lx, l2
	}
	Comment("The scale that maps it to the lowest level.")
	is, lx, l2 := sums(1)
	VDIVPS(l2[0], lx[0], scale)
	VCMPPS(Imm(cmpEQ), z, l2[0], k)
	VMOVAPS(z, k, scale)
	VMULPS(lx[0], scale, best)
	VMOVAPS(is[0], won)
	ADDQ(Imm(4), nums)

	Comment("The others.")
	Label("triple")
	is, lx, l2 = sums(3)
	for i := range 3 {
		t, u := ZMM(), ZMM()
		VMULPS(lx[i], lx[i], t)
		VMULPS(l2[i], best, u)
		VCMPPS(Imm(cmpGT), u, t, k)
		VCMPPS(Imm(cmpGT), z, l2[i], k, k)
		VDIVPS(l2[i], lx[i], t)
		VMOVAPS(t, k, scale)
		VMULPS(lx[i], t, t)
		VMOVAPS(t, k, best)
		VMOVAPS(is[i], k, won)
	}
	ADDQ(Imm(12), nums)
	DECQ(triples)
	JNZ(LabelRef("triple"))
	VMOVAPS(z, dead, scale)
	VMOVUPS(scale, Mem{Base: p, Disp: SymScale})
	VMOVUPS(won, Mem{Base: p, Disp: SymWon})
	Store(bits, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// refineWide is refine for two sets of 16 groups, so that one can go on while the other waits for a quotient.
func refineWide() {
	TEXT("refine16Wide", NOSPLIT, "func(lanes *byte) uint32")
	p := ptr("lanes")
	const lanesSize = RefScale + 64
	at := func(field, s, i int) Mem { return Mem{Base: p, Disp: lanesSize*s + field + 64*i} }
	z, abs := wideZero(), wideConstant(absMask())
	lowest, highest := wideConstant(number("minus4", -4)), wideConstant(number("three", 3))
	magic, low23, quiet := wideConstant(magicF()), wideConstant(mantissa()), wideConstant(quietBit())
	bits, g := GP32(), GP32()
	XORL(bits, bits)

	Comment("The levels at the scale that maps the value of greatest magnitude to the lowest.")
	var lx, l2 [2]VecVirtual
	var alive [2]Op
	for s := range 2 {
		top, mag, nan, k := wideZero(), wideZero(), wideZero(), K()
		for i := range 16 {
			x, w, a := ZMM(), ZMM(), ZMM()
			VMOVUPS(at(RefX, s, i), x)
			VPANDD(abs, x, a)
			VCMPPS(Imm(cmpGT), mag, a, k)
			VMOVAPS(a, k, mag)
			VMOVAPS(x, k, top)
			VMULPS(x, x, w)
			VMOVUPS(w, at(RefW, s, i))
			VMULPS(x, w, w)
			VMOVUPS(w, at(RefWX, s, i))
			VSUBPS(x, x, x)
			VADDPS(x, nan, nan)
		}
		VCMPPS(Imm(cmpUnord), nan, nan, k)
		KMOVW(k, g)
		SHLL(Imm(uint64(16*s)), g)
		ORL(g, bits)
		alive[s] = K()
		VCMPPS(Imm(cmpNLT), wideConstant(number("epsilon", 1e-15)), mag, alive[s])
		is := ZMM()
		lx[s], l2[s] = wideZero(), wideZero()
		VDIVPS(top, lowest, is)
		for i := range 16 {
			l, t := ZMM(), ZMM()
			VMULPS(at(RefX, s, i), is, l)
			VRNDSCALEPS(Imm(nearest), l, l)
			VMINPS(highest, l, l)
			VMAXPS(lowest, l, l)
			VMOVUPS(l, at(RefLevel, s, i))
			VMULPS(at(RefWX, s, i), l, t)
			VADDPS(t, lx[s], lx[s])
			VMULPS(at(RefW, s, i), l, t)
			VMULPS(t, l, l)
			VADDPS(l, l2[s], l2[s])
		}
	}

	Comment("One level at a time, while that helps.")
	rounds, changed := GP32(), K()
	MOVL(U32(5), rounds)
	Label("round")
	KXORW(changed, changed, changed)
	for i := range 16 {
		for s := range 2 {
			l, a, c, n, t, u, may := ZMM(), ZMM(), ZMM(), ZMM(), ZMM(), ZMM(), K()
			VMOVUPS(at(RefLevel, s, i), l)
			VMULPS(at(RefWX, s, i), l, a)
			VSUBPS(a, lx[s], a)
			VMULPS(at(RefW, s, i), l, c)
			VMULPS(l, c, c)
			VSUBPS(c, l2[s], c)
			VMULPS(at(RefX, s, i), c, n)
			VDIVPS(a, n, n)
			// nearestInt, and then limits that leave nothing to be rounded.
			VADDPS(magic, n, n)
			VPANDD(low23, n, n)
			VPSUBD(quiet, n, n)
			VCVTDQ2PS(n, n)
			VMINPS(highest, n, n)
			VMAXPS(lowest, n, n)
			VCMPPS(Imm(cmpGT), z, a, alive[s], may)
			VCMPPS(Imm(cmpNEQ), l, n, may, may)
			KORTESTW(may, may)
			skip := "keep" + string(rune('a'+i)) + string(rune('a'+s))
			JEQ(LabelRef(skip))
			VMULPS(at(RefWX, s, i), n, t)
			VADDPS(t, a, a)
			VMULPS(at(RefW, s, i), n, t)
			VMULPS(n, t, t)
			VADDPS(t, c, c)
			VCMPPS(Imm(cmpGT), z, c, may, may)
			VMULPS(a, a, t)
			VMULPS(l2[s], t, t)
			VMULPS(lx[s], lx[s], u)
			VMULPS(c, u, u)
			VCMPPS(Imm(cmpGT), u, t, may, may)
			VMOVAPS(n, may, l)
			VMOVUPS(l, at(RefLevel, s, i))
			VMOVAPS(a, may, lx[s])
			VMOVAPS(c, may, l2[s])
			KORW(may, changed, changed)
			Label(skip)
		}
	}
	KORTESTW(changed, changed)
	JEQ(LabelRef("settled"))
	DECL(rounds)
	JNZ(LabelRef("round"))
	Label("settled")
	for s := range 2 {
		scale, t, k := wideZero(), ZMM(), K()
		VDIVPS(l2[s], lx[s], t)
		VCMPPS(Imm(cmpGT), z, l2[s], alive[s], k)
		VMOVAPS(t, k, scale)
		VMOVUPS(scale, at(RefScale, s, 0))
	}
	Store(bits, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
