package main

import (
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// refine is refinedScale with nmax 4 for 16 groups of 16 values, four vectors. The result has a bit for each lane with NaN
// or Inf, which the reference must do. Lanes of zeros have scale 0.
func (a *gen) refine() {
	a.Func("refine16", "lanes *byte", 4, func() {
		p, bits := a.Param("lanes"), a.R()
		at := func(field, k, i int) Mem { return Mem{Base: p, Offset: field + 16*k + 64*i} }
		lowest, highest, z := a.Number(-4), a.Number(3), a.Zeroed()
		lx, l2, alive := a.zeroed(4), a.zeroed(4), a.Vs(4)
		a.Comment("The levels at the scale that maps the value of greatest magnitude to the lowest.")
		a.Scope(func() {
			nan := a.zeroed(4)
			for k := range 4 {
				a.Scope(func() {
					top, mag := a.Zeroed(), a.Zeroed()
					for i := range 16 {
						a.Scope(func() {
							x, w, more := a.V(), a.V(), a.V()
							a.Load(x, at(RefX, k, i))
							a.FACmGT(more, x, mag)
							a.FAbs(w, x)
							a.Bit(mag, w, more)
							a.Bit(top, x, more)
							a.FMul(w, x, x)
							a.Store(w, at(RefW, k, i))
							a.FMul(w, w, x)
							a.Store(w, at(RefWX, k, i))
							a.FSub(x, x, x)
							a.FAdd(nan[k], nan[k], x)
						})
					}
					is := a.Number(1e-15)
					a.FCmGT(alive[k], is, mag)
					a.Not(alive[k], alive[k])
					a.FDiv(is, lowest, top)
					for i := range 16 {
						a.Scope(func() {
							l, w, wx := a.V(), a.V(), a.V()
							a.Load(l, at(RefX, k, i))
							a.Load(w, at(RefW, k, i))
							a.Load(wx, at(RefWX, k, i))
							a.FMul(l, l, is)
							a.FRintN(l, l)
							a.FMin(l, l, highest)
							a.FMax(l, l, lowest)
							a.Store(l, at(RefLevel, k, i))
							a.FMul(wx, l, wx)
							a.FAdd(lx[k], lx[k], wx)
							a.FMul(w, l, w)
							a.FMul(l, w, l)
							a.FAdd(l2[k], l2[k], l)
						})
					}
				})
			}
			for _, v := range nan {
				a.FCmEQ(v, v, v)
				a.Not(v, v)
			}
			a.mask(bits, nan...)
		})

		a.Comment("One level at a time, while that helps.")
		rounds := a.R()
		a.Op("MOVD $5, %v", rounds)
		round, settled := a.Label("round"), a.Label("settled")
		a.Place(round)
		changed := a.Zeroed()
		nearest := a.rounding()
		for i := range 16 {
			for q := 0; q < 4; q += 2 {
				a.Scope(func() {
					skip := a.Label("keep")
					l, s, c, n, may := a.Vs(2), a.Vs(2), a.Vs(2), a.Vs(2), a.V()
					for k := range 2 {
						a.Load(l[k], at(RefLevel, q+k, i))
						a.Load(s[k], at(RefWX, q+k, i))
						a.Load(c[k], at(RefW, q+k, i))
						a.Load(n[k], at(RefX, q+k, i))
						a.FMul(s[k], l[k], s[k])
						a.FSub(s[k], lx[q+k], s[k])
						a.FMul(c[k], l[k], c[k])
						a.FMul(c[k], c[k], l[k])
						a.FSub(c[k], l2[q+k], c[k])
						a.FMul(n[k], n[k], c[k])
						a.FDiv(n[k], n[k], s[k])
						nearest(n[k])
						a.SCvtF(n[k], n[k])
						a.FMin(n[k], n[k], highest)
						a.FMax(n[k], n[k], lowest)
					}
					// mayMove sets may to the lanes of vector k whose level may change.
					mayMove := func(k int) {
						t := a.V()
						a.FCmGT0(may, s[k])
						a.And(may, may, alive[q+k])
						a.FCmEQ(t, n[k], l[k])
						a.Bic(may, may, t)
						a.Free(t)
					}
					mayMove(0)
					first := a.V()
					a.Mov(first, may)
					mayMove(1)
					a.Orr(first, first, may)
					a.none(first, skip)
					a.Free(first)
					for k := range 2 {
						mayMove(k)
						t := a.V()
						a.Load(t, at(RefWX, q+k, i))
						a.FMul(t, n[k], t)
						a.FAdd(s[k], s[k], t)
						a.Load(t, at(RefW, q+k, i))
						a.FMul(t, n[k], t)
						a.FMul(t, t, n[k])
						a.FAdd(c[k], c[k], t)
						a.FCmGT0(t, c[k])
						a.And(may, may, t)
						a.FMul(t, s[k], s[k])
						a.FMul(t, t, l2[q+k])
						u := a.V()
						a.FMul(u, lx[q+k], lx[q+k])
						a.FMul(u, u, c[k])
						a.FCmGT(t, t, u)
						a.And(may, may, t)
						a.Free(t, u)
						a.Bit(l[k], n[k], may)
						a.Store(l[k], at(RefLevel, q+k, i))
						a.Bit(lx[q+k], s[k], may)
						a.Bit(l2[q+k], c[k], may)
						a.Orr(changed, changed, may)
					}
					a.Place(skip)
				})
			}
		}
		a.none(changed, settled)
		a.Op("SUBS $1, %v, %v", rounds, rounds)
		a.Op("BNE %s", round)
		a.Place(settled)
		for k := range 4 {
			a.Scope(func() {
				t := a.V()
				a.FDiv(t, lx[k], l2[k])
				a.FCmGT(l2[k], l2[k], z)
				a.And(t, t, l2[k])
				a.And(t, t, alive[k])
				a.Store(t, at(RefScale, k, 0))
			})
		}
		a.Result(bits, 4)
	})
}
