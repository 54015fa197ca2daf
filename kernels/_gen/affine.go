package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// affine is grid.fit for two sets of 8 groups of n values. nums holds the numerators of the inverse scales to try.
// It gives scale, -min, and the inverse scale and min that led to the winning levels; the result has a bit for each lane
// that left the range in which rounding is exact, or holds NaN or Inf: those the reference must do.
func affine(name string, n int, absolute bool) {
	TEXT(name, NOSPLIT, "func(lanes *byte, nums *float32, steps int, nmax float32) uint32")
	p, nums, steps := ptr("lanes"), ptr("nums"), ptr("steps")
	row := GP64()
	at := func(field, set, i int) Mem { return Mem{Base: p, Index: row, Scale: 1, Disp: field + 32*set + 64*i} }
	state := func(field, set int) Mem { return Mem{Base: p, Disp: field + 32*set} }
	rows := func(from, to int, body func(i int)) { loop(row, from, to, body) }
	square := func(d VecVirtual) {
		if absolute {
			VANDPS(absMask(), d, d)
		} else {
			VMULPS(d, d, d)
		}
	}
	// outside marks lanes where |f| is beyond the exact range or no number.
	outside := func(f VecVirtual) {
		VANDPS(absMask(), f, f)
		VCMPPS(Imm(cmpNLT), exactLimit(), f, f)
	}
	nm, z := broadcast("nmax"), zero()

	Comment("Range, sums of weights, and the error of the first scale.")
	for s := range 2 {
		lo, hi, sumW, sumX, nan := YMM(), YMM(), YMM(), YMM(), zero()
		x, w := YMM(), YMM()
		XORQ(row, row)
		VMOVUPS(at(AffineX, s, 0), x)
		VMOVAPS(x, lo)
		VMOVAPS(x, hi)
		VMOVUPS(at(AffineW, s, 0), sumW)
		VMULPS(sumW, x, sumX)
		VSUBPS(x, x, x)
		VADDPS(x, nan, nan)
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
		VMOVUPS(lo, state(AffineLow, s))
		VMOVUPS(lo, state(AffineFirst, s))
		VMOVUPS(lo, state(AffineBestLo, s))
		VMOVUPS(hi, state(AffineHi, s))
		VMOVUPS(sumW, state(AffineSumW, s))
		VMOVUPS(sumX, state(AffineSumX, s))
		width, is, scale, t := YMM(), YMM(), YMM(), YMM()
		VSUBPS(lo, hi, width)
		VDIVPS(width, nm, is)
		VMOVUPS(is, state(AffineBestIS, s))
		VMOVUPS(oneF(), scale)
		VDIVPS(is, scale, scale)
		VMOVUPS(scale, state(AffineScale, s))
		VMULPS(width, is, t)
		outside(t)
		VCMPPS(Imm(cmpUnord), nan, nan, nan)
		VORPS(t, nan, nan)
		VMOVUPS(nan, state(AffineBad, s))
		loss := zero()
		rows(0, n, func(i int) {
			x, d := YMM(), YMM()
			VMOVUPS(at(AffineX, s, i), x)
			VSUBPS(lo, x, d)
			VMULPS(d, is, d)
			VROUNDPS(Imm(nearest), d, d)
			VMINPS(nm, d, d)
			VMAXPS(z, d, d)
			VMULPS(d, scale, d)
			VADDPS(lo, d, d)
			VSUBPS(x, d, d)
			square(d)
			VMULPS(at(AffineW, s, i), d, d)
			VADDPS(d, loss, loss)
		})
		VMOVUPS(loss, state(AffineBest, s))
	}

	Label("step")
	Comment("Levels at the next inverse scale, and their sums. The ends of the range tell whether any level needs a limit.")
	var is, lo, sumL, sumL2, sumXL [2]VecVirtual
	under, over := zero(), zero()
	for s := range 2 {
		is[s], lo[s] = YMM(), YMM()
		width, t, u, v := YMM(), YMM(), YMM(), YMM()
		VMOVUPS(state(AffineLow, s), lo[s])
		VMOVUPS(state(AffineHi, s), width)
		VSUBPS(lo[s], width, width)
		VBROADCASTSS(Mem{Base: nums}, is[s])
		VDIVPS(width, is[s], is[s])
		VMOVUPS(is[s], state(AffineIS, s))
		VMULPS(width, is[s], t)
		VMOVUPS(state(AffineFirst, s), u)
		VSUBPS(lo[s], u, u)
		VMULPS(u, is[s], u)
		for _, end := range []VecVirtual{t, u} {
			VCMPPS(Imm(cmpLT), number("minusHalf", -0.5), end, v)
			VORPS(v, under, under)
			VSUBPS(nm, end, v)
			VCMPPS(Imm(cmpGT), number("nearHalf", 0.45), v, v)
			VORPS(v, over, over)
			outside(end)
		}
		VORPS(t, u, u)
		VORPS(state(AffineBad, s), u, u)
		VMOVUPS(u, state(AffineBad, s))
		sumL[s], sumL2[s], sumXL[s] = zero(), zero(), zero()
	}
	pass := func(low, high bool) {
		rows(0, n, func(i int) {
			for s := range 2 {
				x, l, wl := YMM(), YMM(), YMM()
				VMOVUPS(at(AffineX, s, i), x)
				VSUBPS(lo[s], x, l)
				VMULPS(l, is[s], l)
				VROUNDPS(Imm(nearest), l, l)
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
	below, above := GP32(), GP32()
	VMOVMSKPS(under, below)
	VMOVMSKPS(over, above)
	TESTL(below, below)
	JNZ(LabelRef("low"))
	TESTL(above, above)
	JNZ(LabelRef("high"))
	pass(false, false)
	JMP(LabelRef("summed"))
	Label("high")
	pass(false, true)
	JMP(LabelRef("summed"))
	Label("low")
	TESTL(above, above)
	JNZ(LabelRef("both"))
	pass(true, false)
	JMP(LabelRef("summed"))
	Label("both")
	pass(true, true)
	Label("summed")
	Comment("Best scale and min for those levels.")
	var scale, low, ok, loss [2]VecVirtual
	for s := range 2 {
		scale[s], low[s], ok[s] = YMM(), YMM(), YMM()
		det, t, positive := YMM(), YMM(), GP32()
		VMULPS(state(AffineSumW, s), sumL2[s], det)
		VMULPS(sumL[s], sumL[s], t)
		VSUBPS(t, det, det)
		VCMPPS(Imm(cmpGT), z, det, ok[s])
		VMULPS(state(AffineSumW, s), sumXL[s], scale[s])
		VMULPS(state(AffineSumX, s), sumL[s], t)
		VSUBPS(t, scale[s], scale[s])
		VDIVPS(det, scale[s], scale[s])
		VMULPS(state(AffineSumX, s), sumL2[s], low[s])
		VMULPS(sumL[s], sumXL[s], t)
		VSUBPS(t, low[s], low[s])
		VDIVPS(det, low[s], low[s])
		VCMPPS(Imm(cmpGT), z, low[s], t)
		VMOVMSKPS(t, positive)
		TESTL(positive, positive)
		label := "negative" + string(rune('a'+s))
		JZ(LabelRef(label))
		VBLENDVPS(t, z, low[s], low[s])
		VDIVPS(sumL2[s], sumXL[s], det)
		VBLENDVPS(t, det, scale[s], scale[s])
		Label(label)
		loss[s] = zero()
	}
	Comment("Their error.")
	lossOf := func(i int) {
		for s := range 2 {
			d := YMM()
			VMULPS(at(AffineLevel, s, i), scale[s], d)
			VADDPS(low[s], d, d)
			VSUBPS(at(AffineX, s, i), d, d)
			square(d)
			VMULPS(at(AffineW, s, i), d, d)
			VADDPS(d, loss[s], loss[s])
		}
	}
	rows(0, n, lossOf)
	var won [2]VecVirtual
	any, g := YMM(), GP32()
	for s := range 2 {
		won[s] = YMM()
		VCMPPS(Imm(cmpLT), state(AffineBest, s), loss[s], won[s])
		VANDPS(ok[s], won[s], won[s])
	}
	VORPS(won[0], won[1], any)
	VMOVMSKPS(any, g)
	TESTL(g, g)
	JZ(LabelRef("next"))
	for s := range 2 {
		keep := func(field int, v Op) {
			t := YMM()
			VMOVUPS(state(field, s), t)
			VBLENDVPS(won[s], v, t, t)
			VMOVUPS(t, state(field, s))
		}
		keep(AffineBest, loss[s])
		keep(AffineScale, scale[s])
		keep(AffineBestIS, state(AffineIS, s))
		keep(AffineBestLo, state(AffineLow, s))
		keep(AffineLow, low[s])
	}
	Label("next")
	ADDQ(Imm(4), nums)
	DECQ(steps)
	JNZ(LabelRef("step"))

	Comment("A group of equal values has scale 0 and its first min.")
	bits := GP32()
	XORL(bits, bits)
	for s := range 2 {
		flat, t, bad, g := YMM(), YMM(), YMM(), GP32()
		VMOVUPS(state(AffineFirst, s), t)
		VCMPPS(Imm(cmpEQ), state(AffineHi, s), t, flat)
		VMOVUPS(state(AffineBad, s), bad)
		VANDNPS(bad, flat, bad)
		VMOVMSKPS(bad, g)
		if s == 1 {
			SHLL(Imm(8), g)
		}
		ORL(g, bits)
		low, scale := YMM(), YMM()
		VMOVUPS(state(AffineLow, s), low)
		VBLENDVPS(flat, t, low, low)
		VXORPS(signMask(), low, low)
		VMOVUPS(low, state(AffineLow, s))
		VMOVUPS(state(AffineScale, s), scale)
		VANDNPS(scale, flat, scale)
		VMOVUPS(scale, state(AffineScale, s))
	}
	Store(bits, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
