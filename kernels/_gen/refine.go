package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// refine is refinedScale with nmax 4 for two sets of 8 groups of 16 values. The result has a bit for each lane with NaN
// or Inf, which the reference must do. Lanes of zeros have scale 0.
func refine() {
	TEXT("refine16", NOSPLIT, "func(lanes *byte) uint32")
	p := ptr("lanes")
	at := func(field, s, i int) Mem { return Mem{Base: p, Disp: field + 32*s + 64*i} }
	state := func(s int) Mem { return Mem{Base: p, Disp: RefScale + 32*s} }
	lowest, highest := number("minus4", -4), number("three", 3)
	bits, g := GP32(), GP32()
	XORL(bits, bits)
	var lx, l2, alive [2]VecVirtual
	for s := range 2 {
		top, mag, nan := zero(), zero(), zero()
		for i := range 16 {
			x, w, a, more := YMM(), YMM(), YMM(), YMM()
			VMOVUPS(at(RefX, s, i), x)
			VANDPS(absMask(), x, a)
			VCMPPS(Imm(cmpGT), mag, a, more)
			VBLENDVPS(more, a, mag, mag)
			VBLENDVPS(more, x, top, top)
			VMULPS(x, x, w)
			VMOVUPS(w, at(RefW, s, i))
			VMULPS(x, w, w)
			VMOVUPS(w, at(RefWX, s, i))
			VSUBPS(x, x, x)
			VADDPS(x, nan, nan)
		}
		VCMPPS(Imm(cmpUnord), nan, nan, nan)
		VMOVMSKPS(nan, g)
		SHLL(Imm(uint64(8*s)), g)
		ORL(g, bits)
		alive[s] = YMM()
		VCMPPS(Imm(cmpNLT), number("epsilon", 1e-15), mag, alive[s])
		is := YMM()
		VMOVUPS(lowest, is)
		VDIVPS(top, is, is)
		lx[s], l2[s] = zero(), zero()
		for i := range 16 {
			l, t := YMM(), YMM()
			VMULPS(at(RefX, s, i), is, l)
			VROUNDPS(Imm(nearest), l, l)
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
	rounds := GP32()
	MOVL(U32(5), rounds)
	Label("round")
	changed := zero()
	for i := range 16 {
		for s := range 2 {
			l, a, c, n, t, z := YMM(), YMM(), YMM(), YMM(), YMM(), zero()
			VMOVUPS(at(RefLevel, s, i), l)
			VMULPS(at(RefWX, s, i), l, a)
			VSUBPS(a, lx[s], a)
			VMULPS(at(RefW, s, i), l, c)
			VMULPS(l, c, c)
			VSUBPS(c, l2[s], c)
			VMULPS(at(RefX, s, i), c, n)
			VDIVPS(a, n, n)
			nearestInt(n)
			VPMINSD(constant("i3", 3), n, n)
			VPMAXSD(constant("iMinus4", 0xfffffffc), n, n)
			VCVTDQ2PS(n, n)
			may := YMM()
			VCMPPS(Imm(cmpGT), z, a, may)
			VCMPPS(Imm(cmpNEQ), l, n, t)
			VANDPS(t, may, may)
			VANDPS(alive[s], may, may)
			VMOVMSKPS(may, g)
			TESTL(g, g)
			skip := "keep" + string(rune('a'+i)) + string(rune('a'+s))
			JZ(LabelRef(skip))
			VMULPS(at(RefWX, s, i), n, t)
			VADDPS(t, a, a)
			VMULPS(at(RefW, s, i), n, t)
			VMULPS(n, t, t)
			VADDPS(t, c, c)
			VCMPPS(Imm(cmpGT), z, c, t)
			VANDPS(t, may, may)
			u := YMM()
			VMULPS(a, a, t)
			VMULPS(l2[s], t, t)
			VMULPS(lx[s], lx[s], u)
			VMULPS(c, u, u)
			VCMPPS(Imm(cmpGT), u, t, t)
			VANDPS(t, may, may)
			VBLENDVPS(may, n, l, l)
			VMOVUPS(l, at(RefLevel, s, i))
			VBLENDVPS(may, a, lx[s], lx[s])
			VBLENDVPS(may, c, l2[s], l2[s])
			VORPS(may, changed, changed)
			Label(skip)
		}
	}
	VMOVMSKPS(changed, g)
	TESTL(g, g)
	JZ(LabelRef("settled"))
	DECL(rounds)
	JNZ(LabelRef("round"))
	Label("settled")
	for s := range 2 {
		t, u := YMM(), zero()
		VDIVPS(l2[s], lx[s], t)
		VCMPPS(Imm(cmpGT), u, l2[s], u)
		VANDPS(u, t, t)
		VANDPS(alive[s], t, t)
		VMOVUPS(t, state(s))
	}
	Store(bits, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
