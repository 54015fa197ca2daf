package main

import (
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// superScale is the reference's superScale for 8 super-blocks of n groups each, two vectors. nums holds the numerators of
// the nine inverse scales, that of the first guess in front. The result has a bit for each super-block with a negative
// scale, NaN, Inf, or a level below 0: those the reference must do.
func (a *gen) superScale(name string, n int) {
	a.Func(name, "lanes *byte, nums *float32, nmax float32", 4, func() {
		p, nums := a.Param("lanes"), a.Param("nums")
		a.next(SupLevel, p) // whence pairs of registers reach all fields
		at := func(field, i int) Mem { return Mem{Base: p, Offset: field - SupLevel + 32*i} }
		nm := a.ParamAll("nmax")
		top, bad, alive := a.zeroed(2), a.zeroed(2), a.Vs(2)
		a.Scope(func() {
			nan := a.zeroed(2)
			for i := range n {
				a.Scope(func() {
					x, t := a.Vs(2), a.V()
					a.LoadPair(x[0], x[1], at(SupX, i))
					for k := range 2 {
						a.FMax(top[k], top[k], x[k])
						a.FCmLT0(t, x[k])
						a.Orr(bad[k], bad[k], t)
						a.FSub(x[k], x[k], x[k])
						a.FAdd(nan[k], nan[k], x[k])
					}
				})
			}
			epsilon := a.Number(1e-15)
			for k := range 2 {
				a.FCmEQ(nan[k], nan[k], nan[k])
				a.Orn(bad[k], bad[k], nan[k])
				a.FCmGT(alive[k], epsilon, top[k])
				a.Not(alive[k], alive[k])
			}
		})

		a.Comment("The inverse scale with the least error.")
		best, won := a.Vs(2), a.Vs(2)
		round := func(i int, is []V) (x, w, l []V) {
			x, w, l = a.Vs(2), a.Vs(2), a.Vs(2)
			a.LoadPair(x[0], x[1], at(SupX, i))
			a.LoadPair(w[0], w[1], at(SupW, i))
			for k := range 2 {
				a.FMul(l[k], is[k], x[k])
				a.FRintN(l[k], l[k])
				a.FMin(l[k], l[k], nm)
			}
			return x, w, l
		}
		loss := func() (is, sum []V) {
			is, sum = a.Vs(2), a.zeroed(2)
			scale := []V{a.Number(1), a.V()}
			a.LoadAllNext(is[1], nums)
			a.FDiv(is[0], is[1], top[0])
			a.FDiv(is[1], is[1], top[1])
			a.FDiv(scale[1], scale[0], is[1])
			a.FDiv(scale[0], scale[0], is[0])
			for i := range n {
				a.Scope(func() {
					x, w, l := round(i, is)
					for k := range 2 {
						a.FMul(l[k], l[k], scale[k])
						a.FSub(l[k], x[k], l[k])
						a.FMul(x[k], l[k], w[k])
						a.FMul(x[k], x[k], l[k])
						a.FAdd(sum[k], sum[k], x[k])
					}
				})
			}
			return is, sum
		}
		a.Scope(func() {
			is, sum := loss()
			for k := range 2 {
				a.Mov(won[k], is[k])
				a.Mov(best[k], sum[k])
			}
		})
		a.times(8, 0, nil, func() {
			is, sum := loss()
			better := a.V()
			for k := range 2 {
				a.FCmGT(better, best[k], sum[k])
				a.Bit(best[k], sum[k], better)
				a.Bit(won[k], is[k], better)
			}
		})
		a.Free(best...)

		a.Comment("Its levels and their sums.")
		lx, l2 := a.zeroed(2), a.zeroed(2)
		for i := range n {
			a.Scope(func() {
				x, w, l := round(i, won)
				a.StorePair(l[0], l[1], at(SupLevel, i))
				for k := range 2 {
					a.FMul(x[k], x[k], w[k])
					a.FMul(x[k], x[k], l[k])
					a.FAdd(lx[k], lx[k], x[k])
					a.FMul(x[k], l[k], w[k])
					a.FMul(x[k], x[k], l[k])
					a.FAdd(l2[k], l2[k], x[k])
				}
			})
		}
		a.Free(won...)

		a.Comment("One level at a time, while that helps.")
		rounds := a.R()
		a.Op("MOVD $5, %v", rounds)
		again, settled := a.Label("round"), a.Label("settled")
		nearest := a.rounding()
		changed := a.V()
		a.Place(again)
		a.Zero(changed)
		for i := range n {
			a.Scope(func() {
				skip := a.Label("keep")
				l, s, c, v := a.Vs(2), a.Vs(2), a.Vs(2), a.Vs(2)
				x, w, may := a.Vs(2), a.Vs(2), a.Vs(2)
				a.LoadPair(l[0], l[1], at(SupLevel, i))
				a.LoadPair(x[0], x[1], at(SupX, i))
				a.LoadPair(w[0], w[1], at(SupW, i))
				for k := range 2 {
					a.FMul(s[k], x[k], w[k])
					a.FMul(s[k], s[k], l[k])
					a.FSub(s[k], lx[k], s[k])
					a.FMul(c[k], l[k], w[k])
					a.FMul(c[k], c[k], l[k])
					a.FSub(c[k], l2[k], c[k])
					a.FMul(v[k], c[k], x[k])
					a.FDiv(v[k], v[k], s[k])
					nearest(v[k])
					a.SCvtF(v[k], v[k])
					a.FMin(v[k], v[k], nm)
					t := a.V()
					a.FCmGT0(may[k], s[k])
					a.FCmGT0(t, c[k])
					a.And(may[k], may[k], t)
					a.FCmEQ(t, v[k], l[k])
					a.Bic(may[k], may[k], t)
					a.And(may[k], may[k], alive[k])
					a.Free(t)
				}
				t, u := a.V(), a.V()
				a.Orr(t, may[0], may[1])
				a.none(t, skip)
				for k := range 2 {
					a.FMul(t, x[k], w[k])
					a.FMul(t, t, v[k])
					a.FAdd(s[k], s[k], t)
					a.FMul(t, v[k], w[k])
					a.FMul(t, t, v[k])
					a.FAdd(c[k], c[k], t)
					a.FMul(t, s[k], s[k])
					a.FMul(t, t, l2[k])
					a.FMul(u, lx[k], lx[k])
					a.FMul(u, u, c[k])
					a.FCmGT(t, t, u)
					a.And(may[k], may[k], t)
					a.Bit(l[k], v[k], may[k])
					a.FCmLT0(t, l[k])
					a.Orr(bad[k], bad[k], t)
					a.Bit(lx[k], s[k], may[k])
					a.Bit(l2[k], c[k], may[k])
					a.Orr(changed, changed, may[k])
				}
				a.StorePair(l[0], l[1], at(SupLevel, i))
				a.Place(skip)
			})
		}
		a.none(changed, settled)
		a.Op("SUBS $1, %v, %v", rounds, rounds)
		a.Op("BNE %s", again)
		a.Place(settled)
		a.Scope(func() {
			t := a.V()
			for k := range 2 {
				a.FDiv(lx[k], lx[k], l2[k])
				a.FCmGT0(t, l2[k])
				a.And(lx[k], lx[k], t)
				a.And(lx[k], lx[k], alive[k])
			}
			a.StorePair(lx[0], lx[1], at(SupScale, 0))
		})
		for i := range n {
			a.Scope(func() {
				l := a.Vs(2)
				a.LoadPair(l[0], l[1], at(SupLevel, i))
				for k := range 2 {
					a.And(l[k], l[k], alive[k])
				}
				a.StorePair(l[0], l[1], at(SupLevel, i))
			})
		}
		a.Scope(func() {
			bits := a.R()
			a.mask(bits, bad...)
			a.Result(bits, 4)
		})
	})
}
