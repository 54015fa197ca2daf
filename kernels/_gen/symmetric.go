package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// symmetric is symmetricScale for two sets of 8 groups of n values. nums holds the numerators of the inverse scales:
// the first, and then as many pairs as asked for. The result has a bit for each lane with NaN or Inf, which the reference
// must do, and 16 places up one for each lane of zeros.
func symmetric(name string, n int) {
	TEXT(name, NOSPLIT, "func(lanes *byte, nums *float32, pairs int, lo, hi float32) uint32")
	p := ptr("lanes")
	lo, hi := broadcast("lo"), broadcast("hi")
	bits := GP32()
	XORL(bits, bits)
	nums, pairs, row := GP64(), GP64(), GP64()
	for s := range 2 {
		at := func(field, i int) Mem { return Mem{Base: p, Index: row, Scale: 1, Disp: field + 32*s + 64*i} }
		state := func(field int) Mem { return Mem{Base: p, Disp: field + 32*s} }

		Comment("The value of greatest magnitude.")
		top, mag, nan := zero(), zero(), zero()
		loop(row, 0, n, func(i int) {
			x, w, a, g := YMM(), YMM(), YMM(), YMM()
			VMOVUPS(at(SymX, i), x)
			VANDPS(absMask(), x, a)
			VCMPPS(Imm(cmpGT), mag, a, g)
			VBLENDVPS(g, a, mag, mag)
			VBLENDVPS(g, x, top, top)
			VMULPS(at(SymW, i), x, w)
			VMOVUPS(w, at(SymWX, i))
			VSUBPS(x, x, x)
			VADDPS(x, nan, nan)
		})
		dead := YMM()
		VCMPPS(Imm(cmpLT), number("epsilon", 1e-15), mag, dead)
		g := GP32()
		VCMPPS(Imm(cmpUnord), nan, nan, nan)
		VMOVMSKPS(nan, g)
		SHLL(Imm(uint64(8*s)), g)
		ORL(g, bits)
		VMOVMSKPS(dead, g)
		SHLL(Imm(uint64(16+8*s)), g)
		ORL(g, bits)

		scale, best, won := YMM(), YMM(), YMM()
		// sums gives the inverse scales of some numerators and the sums of level*x and level^2 under the weights.
		sums := func(count int) (is, lx, l2 []VecVirtual) {
			is, lx, l2 = vectors(count), vectors(count), vectors(count)
			for k := range count {
				VBROADCASTSS(Mem{Base: nums, Disp: 4 * k}, is[k])
				VDIVPS(top, is[k], is[k])
				VXORPS(lx[k], lx[k], lx[k])
				VXORPS(l2[k], l2[k], l2[k])
			}
			loop(row, 0, n, func(i int) {
				for k := range count {
					l, t := YMM(), YMM()
					VMULPS(at(SymX, i), is[k], l)
					VROUNDPS(Imm(nearest), l, l)
					VMINPS(hi, l, l)
					VMAXPS(lo, l, l)
					VMULPS(at(SymWX, i), l, t)
					VADDPS(t, lx[k], lx[k])
					VMULPS(at(SymW, i), l, t)
					VMULPS(t, l, l)
					VADDPS(l, l2[k], l2[k])
				}
			})
			return is, lx, l2
		}
		Comment("The scale that maps it to the lowest level.")
		Load(Param("nums"), nums)
		is, lx, l2 := sums(1)
		t, mask, z := YMM(), YMM(), zero()
		VDIVPS(l2[0], lx[0], t)
		VCMPPS(Imm(cmpNEQ), z, l2[0], mask)
		VANDPS(mask, t, scale)
		VMULPS(lx[0], scale, best)
		VMOVAPS(is[0], won)
		ADDQ(Imm(4), nums)

		Comment("The others, two at a time.")
		Load(Param("pairs"), pairs)
		label := "pair" + string(rune('a'+s))
		Label(label)
		is, lx, l2 = sums(2)
		for k := range 2 {
			t, u, better := YMM(), YMM(), YMM()
			VMULPS(lx[k], lx[k], t)
			VMULPS(l2[k], best, u)
			VCMPPS(Imm(cmpGT), u, t, better)
			VXORPS(u, u, u)
			VCMPPS(Imm(cmpGT), u, l2[k], u)
			VANDPS(u, better, better)
			VDIVPS(l2[k], lx[k], t)
			VBLENDVPS(better, t, scale, scale)
			VMULPS(lx[k], t, t)
			VBLENDVPS(better, t, best, best)
			VBLENDVPS(better, is[k], won, won)
		}
		ADDQ(Imm(8), nums)
		DECQ(pairs)
		JNZ(LabelRef(label))
		VANDNPS(scale, dead, scale)
		VMOVUPS(scale, state(SymScale))
		VMOVUPS(won, state(SymWon))
	}
	Store(bits, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// eachLane fills n vectors of weights with a function of x.
func eachLane(name string, f func(v VecVirtual)) {
	TEXT(name, NOSPLIT, "func(w, x *float32, n int)")
	w, x, n := ptr("w"), ptr("x"), ptr("n")
	t := YMM()
	Label("loop")
	for i := range 4 {
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, t)
		f(t)
		VMOVUPS(t, Mem{Base: w, Disp: 32 * i})
	}
	ADDQ(I32(128), x)
	ADDQ(I32(128), w)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
