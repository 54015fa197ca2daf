package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// superScale is the reference's superScale for 8 super-blocks of n groups each. nums holds the numerators of the nine
// inverse scales, that of the first guess in front. The result has a bit for each super-block with a negative scale, NaN,
// Inf, or a level below 0: those the reference must do.
func superScale(name string, n int) {
	TEXT(name, NOSPLIT, "func(lanes *byte, nums *float32, nmax float32) uint32")
	p, nums := ptr("lanes"), ptr("nums")
	at := func(field, i int) Mem { return Mem{Base: p, Disp: field + 32*i} }
	nm, z := broadcast("nmax"), zero()
	top, bad, nan := zero(), zero(), zero()
	for i := range n {
		x, t := YMM(), YMM()
		VMOVUPS(at(SupX, i), x)
		VMAXPS(x, top, top)
		VCMPPS(Imm(cmpLT), z, x, t)
		VORPS(t, bad, bad)
		VSUBPS(x, x, x)
		VADDPS(x, nan, nan)
	}
	VCMPPS(Imm(cmpUnord), nan, nan, nan)
	VORPS(nan, bad, bad)
	alive := YMM()
	VCMPPS(Imm(cmpNLT), number("epsilon", 1e-15), top, alive)

	Comment("The inverse scale with the least error.")
	best, won := YMM(), YMM()
	round := func(i int, is VecVirtual) (x, l VecVirtual) {
		x, l = YMM(), YMM()
		VMOVUPS(at(SupX, i), x)
		VMULPS(x, is, l)
		VROUNDPS(Imm(nearest), l, l)
		VMINPS(nm, l, l)
		return x, l
	}
	loss := func() (is, sum VecVirtual) {
		is, sum = YMM(), zero()
		scale := YMM()
		VBROADCASTSS(Mem{Base: nums}, is)
		VDIVPS(top, is, is)
		VMOVUPS(oneF(), scale)
		VDIVPS(is, scale, scale)
		for i := range n {
			x, l := round(i, is)
			VMULPS(scale, l, l)
			VSUBPS(l, x, l)
			VMULPS(at(SupW, i), l, x)
			VMULPS(l, x, x)
			VADDPS(x, sum, sum)
		}
		return is, sum
	}
	is, sum := loss()
	VMOVAPS(is, won)
	VMOVAPS(sum, best)
	steps := GP32()
	MOVL(U32(8), steps)
	Label("step")
	ADDQ(Imm(4), nums)
	is, sum = loss()
	better := YMM()
	VCMPPS(Imm(cmpLT), best, sum, better)
	VBLENDVPS(better, sum, best, best)
	VBLENDVPS(better, is, won, won)
	DECL(steps)
	JNZ(LabelRef("step"))

	Comment("Its levels and their sums.")
	lx, l2 := zero(), zero()
	for i := range n {
		x, l := round(i, won)
		VMOVUPS(l, at(SupLevel, i))
		VMULPS(at(SupW, i), x, x)
		VMULPS(l, x, x)
		VADDPS(x, lx, lx)
		VMULPS(at(SupW, i), l, x)
		VMULPS(l, x, x)
		VADDPS(x, l2, l2)
	}

	Comment("One level at a time, while that helps.")
	MOVL(U32(5), steps)
	Label("round")
	changed, g := zero(), GP32()
	for i := range n {
		l, a, c, v, t, may := YMM(), YMM(), YMM(), YMM(), YMM(), YMM()
		VMOVUPS(at(SupLevel, i), l)
		VMOVUPS(at(SupX, i), a)
		VMULPS(at(SupW, i), a, a)
		VMULPS(l, a, a)
		VSUBPS(a, lx, a)
		VMULPS(at(SupW, i), l, c)
		VMULPS(l, c, c)
		VSUBPS(c, l2, c)
		VMULPS(at(SupX, i), c, v)
		VDIVPS(a, v, v)
		nearestInt(v)
		VCVTDQ2PS(v, v)
		VMINPS(nm, v, v)
		VCMPPS(Imm(cmpGT), z, a, may)
		VCMPPS(Imm(cmpGT), z, c, t)
		VANDPS(t, may, may)
		VCMPPS(Imm(cmpNEQ), l, v, t)
		VANDPS(t, may, may)
		VANDPS(alive, may, may)
		VMOVMSKPS(may, g)
		TESTL(g, g)
		skip := "keep" + string(rune('a'+i))
		JZ(LabelRef(skip))
		VMOVUPS(at(SupX, i), t)
		VMULPS(at(SupW, i), t, t)
		VMULPS(v, t, t)
		VADDPS(t, a, a)
		VMULPS(at(SupW, i), v, t)
		VMULPS(v, t, t)
		VADDPS(t, c, c)
		u := YMM()
		VMULPS(a, a, t)
		VMULPS(l2, t, t)
		VMULPS(lx, lx, u)
		VMULPS(c, u, u)
		VCMPPS(Imm(cmpGT), u, t, t)
		VANDPS(t, may, may)
		VBLENDVPS(may, v, l, l)
		VMOVUPS(l, at(SupLevel, i))
		VCMPPS(Imm(cmpLT), z, l, t)
		VORPS(t, bad, bad)
		VBLENDVPS(may, a, lx, lx)
		VBLENDVPS(may, c, l2, l2)
		VORPS(may, changed, changed)
		Label(skip)
	}
	VMOVMSKPS(changed, g)
	TESTL(g, g)
	JZ(LabelRef("settled"))
	DECL(steps)
	JNZ(LabelRef("round"))
	Label("settled")
	t, u := YMM(), YMM()
	VDIVPS(l2, lx, t)
	VCMPPS(Imm(cmpGT), z, l2, u)
	VANDPS(u, t, t)
	VANDPS(alive, t, t)
	VMOVUPS(t, Mem{Base: p, Disp: SupScale})
	for i := range n {
		VANDPS(at(SupLevel, i), alive, t)
		VMOVUPS(t, at(SupLevel, i))
	}
	VMOVMSKPS(bad, g)
	Store(g, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
