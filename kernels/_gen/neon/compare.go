package main

import (
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// compare is differenceLanes.add for n values, a multiple of 16, which all lanes take at a time.
func (a *gen) compare() {
	a.Func("compareBlocks", "lanes *byte, x, y *float32, n int", 0, func() {
		p, x, y, n := a.Param("lanes"), a.Param("x"), a.Param("y"), a.Param("n")
		dd, xd, xx := a.zeroed(8), a.zeroed(8), a.zeroed(8)
		most := a.Zeroed() // of all lanes: the order doesn't matter
		a.while(n, 16, func() {
			for i := range 4 {
				a.Scope(func() {
					v, d, t := a.Vs(2), a.Vs(2), a.V()
					a.LoadNext(v[1], x)
					a.LoadNext(d[1], y)
					a.FCvtL(v[0], v[1])
					a.FCvtL(d[0], d[1])
					a.FCvtL2(v[1], v[1])
					a.FCvtL2(d[1], d[1])
					for k := range 2 {
						at := 2*i + k
						a.FSubD(d[k], v[k], d[k])
						a.FMulD(t, v[k], v[k])
						a.FAddD(xx[at], xx[at], t)
						a.FMulD(t, v[k], d[k])
						a.FAddD(xd[at], xd[at], t)
						a.FMulD(t, d[k], d[k])
						a.FAddD(dd[at], dd[at], t)
						a.FAbsD(d[k], d[k])
						a.FMaxNmD(most, most, d[k]) // passes over a NaN that comes of arithmetic
					}
				})
			}
		})
		for i := range 8 {
			at := Mem{Base: p, Offset: 16 * i}
			a.Store(dd[i], at.At(DiffDD))
			a.Store(xd[i], at.At(DiffXD))
			a.Store(xx[i], at.At(DiffXX))
		}
		a.Store(most, Mem{Base: p, Offset: DiffMax})
	})
}
