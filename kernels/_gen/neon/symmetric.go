package main

import (
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// symmetric is symmetricScale for two sets of 8 groups of n values, one set after the other. nums holds the numerators of
// the inverse scales: the first, and then as many pairs as asked for. The result has a bit for each lane with NaN or Inf,
// which the reference must do, and 16 places up one for each lane of zeros.
func (a *gen) symmetric(name string, n int) {
	a.Func(name, "lanes *byte, nums *float32, pairs int, lo, hi float32", 4, func() {
		p := a.Param("lanes")
		lo, hi := a.ParamAll("lo"), a.ParamAll("hi")
		bits := a.R()
		a.Op("MOVD $0, %v", bits)
		for set := range 2 {
			a.Scope(func() { a.symmetricSet(p, bits, set, n, lo, hi) })
		}
		a.Result(bits, 4)
	})
}

func (a *gen) symmetricSet(p, bits R, set, n int, lo, hi V) {
	nums, pairs := a.Param("nums"), a.Param("pairs")
	// rows runs body with the values of all rows, four rows per turn.
	rows := func(body func(x, w, wx []V, products Mem)) {
		a.Scope(func() {
			ptrs := []R{a.pointer(p, SymX+32*set), a.pointer(p, SymW+32*set), a.pointer(p, SymWX+32*set)}
			a.times(n/4, 256, ptrs, func() {
				for i := range 4 {
					a.Scope(func() {
						x, w, wx := a.Vs(2), a.Vs(2), a.Vs(2)
						a.LoadPair(x[0], x[1], Mem{Base: ptrs[0], Offset: 64 * i})
						a.LoadPair(w[0], w[1], Mem{Base: ptrs[1], Offset: 64 * i})
						body(x, w, wx, Mem{Base: ptrs[2], Offset: 64 * i})
					})
				}
			})
		})
	}

	a.Comment("The value of greatest magnitude.")
	top := a.zeroed(2)
	a.Scope(func() {
		mag, nan := a.zeroed(2), a.zeroed(2)
		rows(func(x, w, wx []V, products Mem) {
			more := a.V()
			for k := range 2 {
				a.FMul(wx[k], w[k], x[k])
				a.FACmGT(more, x[k], mag[k])
				a.FAbs(w[k], x[k])
				a.Bit(mag[k], w[k], more)
				a.Bit(top[k], x[k], more)
				a.FSub(x[k], x[k], x[k])
				a.FAdd(nan[k], nan[k], x[k])
			}
			a.StorePair(wx[0], wx[1], products)
		})
		epsilon := a.Number(1e-15)
		for k := range 2 {
			a.FCmEQ(nan[k], nan[k], nan[k])
			a.Not(nan[k], nan[k])
			a.FCmGT(mag[k], epsilon, mag[k])
		}
		g := a.R()
		for at, v := range [][]V{nan, mag} {
			a.mask(g, v...)
			a.Op("ORR %v<<%d, %v, %v", g, 16*at+8*set, bits, bits)
		}
		a.Store(mag[0], Mem{Base: p, Offset: SymScale + 32*set}) // the lanes of zeros, for the end
		a.Store(mag[1], Mem{Base: p, Offset: SymScale + 32*set + 16})
	})

	// sums gives the inverse scales of some numerators and the sums of level*x and level^2 under the weights, candidate c
	// of vector k at 2*c+k.
	sums := func(count int) (is, lx, l2 []V) {
		is, lx, l2 = a.Vs(2*count), a.zeroed(2*count), a.zeroed(2*count)
		for c := range count {
			a.LoadAllNext(is[2*c+1], nums)
			a.FDiv(is[2*c], is[2*c+1], top[0])
			a.FDiv(is[2*c+1], is[2*c+1], top[1])
		}
		rows(func(x, w, wx []V, products Mem) {
			a.LoadPair(wx[0], wx[1], products)
			l, t := a.V(), a.V()
			for i := range is {
				k := i % 2
				a.FMul(l, x[k], is[i])
				a.FRintN(l, l)
				a.FMin(l, l, hi)
				a.FMax(l, l, lo)
				a.FMul(t, l, wx[k])
				a.FAdd(lx[i], lx[i], t)
				a.FMul(t, w[k], l)
				a.FMul(l, t, l)
				a.FAdd(l2[i], l2[i], l)
			}
		})
		return is, lx, l2
	}
	a.Comment("The scale that maps it to the lowest level.")
	scale, best, won := a.Vs(2), a.Vs(2), a.Vs(2)
	a.Scope(func() {
		is, lx, l2 := sums(1)
		t := a.V()
		for k := range 2 {
			a.FCmEQ0(t, l2[k])
			a.FDiv(scale[k], lx[k], l2[k])
			a.Bic(scale[k], scale[k], t)
			a.FMul(best[k], scale[k], lx[k])
			a.Mov(won[k], is[k])
		}
	})
	a.Comment("The others, two at a time.")
	a.while(pairs, 1, func() {
		is, lx, l2 := sums(2)
		t, u, better := a.V(), a.V(), a.V()
		for i := range is {
			k := i % 2
			a.FMul(t, lx[i], lx[i])
			a.FMul(u, best[k], l2[i])
			a.FCmGT(better, t, u)
			a.FCmGT0(u, l2[i])
			a.And(better, better, u)
			a.FDiv(t, lx[i], l2[i])
			a.Bit(scale[k], t, better)
			a.FMul(t, t, lx[i])
			a.Bit(best[k], t, better)
			a.Bit(won[k], is[i], better)
		}
	})
	for k := range 2 {
		at := Mem{Base: p, Offset: 32*set + 16*k}
		a.Load(best[k], at.At(SymScale))
		a.Bic(scale[k], scale[k], best[k])
		a.Store(scale[k], at.At(SymScale))
		a.Store(won[k], at.At(SymWon))
	}
}
