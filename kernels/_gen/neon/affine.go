package main

import (
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// affine is grid.fit for 16 groups of n values, four vectors. nums holds the numerators of the inverse scales to try.
// It gives scale, -min, and the inverse scale and min that led to the winning levels; the result has a bit for each lane
// that left the range in which rounding is exact, or holds NaN or Inf: those the reference must do.
func (a *gen) affine(name string, n int, absolute bool) {
	a.Func(name, "lanes *byte, nums *float32, steps int, nmax float32", 4, func() {
		p, nums, steps := a.Param("lanes"), a.Param("nums"), a.Param("steps")
		nm, z := a.ParamAll("nmax"), a.Zeroed()
		s := search{a, p, n, absolute, nm, z}
		s.begin()
		step := a.Label("step")
		a.Place(step)
		a.Scope(func() { s.step(nums) })
		a.Op("SUBS $1, %v, %v", steps, steps)
		a.Op("BNE %s", step)
		a.Result(s.end(), 4)
	})
}

type search struct {
	*gen
	p        R
	n        int
	absolute bool
	nm, z    V // the highest level and 0
}

// state is where a field that has one number for each lane keeps those of vector k.
func (s *search) state(field, k int) Mem { return Mem{Base: s.p, Offset: field + 16*k} }

// rows runs body for all rows, four at a time, whose offset from the pointers to fields it is given.
func (s *search) rows(fields []int, body func(ptrs []R, offset int)) {
	s.Scope(func() {
		var ptrs []R
		for _, f := range fields {
			ptrs = append(ptrs, s.pointer(s.p, f))
		}
		s.times(s.n/4, 256, ptrs, func() {
			for i := range 4 {
				s.Scope(func() { body(ptrs, 64*i) })
			}
		})
	})
}

// begin finds range, sums of weights, and the error of the first scale.
func (s *search) begin() {
	s.Comment("Range and sums of weights.")
	s.Scope(func() {
		lo, hi, sumW, sumX, nan := s.Vs(4), s.Vs(4), s.Vs(4), s.Vs(4), s.Vs(4)
		x, w := s.pointer(s.p, AffineX), s.pointer(s.p, AffineW)
		for q := 0; q < 4; q += 2 {
			s.LoadPair(lo[q], lo[q+1], Mem{Base: x, Offset: 16 * q})
			s.LoadPair(sumW[q], sumW[q+1], Mem{Base: w, Offset: 16 * q})
		}
		for k := range 4 {
			s.Mov(hi[k], lo[k])
			s.FMul(sumX[k], sumW[k], lo[k])
			s.FSub(nan[k], lo[k], lo[k])
		}
		s.next(64, x, w)
		s.times(s.n-1, 64, []R{x, w}, func() {
			for q := 0; q < 4; q += 2 {
				s.Scope(func() {
					vx, vw := s.Vs(2), s.Vs(2)
					s.LoadPair(vx[0], vx[1], Mem{Base: x, Offset: 16 * q})
					s.LoadPair(vw[0], vw[1], Mem{Base: w, Offset: 16 * q})
					for k := range 2 {
						s.least(lo[q+k], vx[k])
						s.greatest(hi[q+k], vx[k])
						s.FAdd(sumW[q+k], sumW[q+k], vw[k])
						s.FMul(vw[k], vw[k], vx[k])
						s.FAdd(sumX[q+k], sumX[q+k], vw[k])
						s.FSub(vx[k], vx[k], vx[k])
						s.FAdd(nan[q+k], nan[q+k], vx[k])
					}
				})
			}
		})
		for k := range 4 {
			s.least(lo[k], s.z)
			s.Store(lo[k], s.state(AffineLow, k))
			s.Store(lo[k], s.state(AffineFirst, k))
			s.Store(lo[k], s.state(AffineBestLo, k))
			s.Store(hi[k], s.state(AffineHi, k))
			s.Store(sumW[k], s.state(AffineSumW, k))
			s.Store(sumX[k], s.state(AffineSumX, k))
			s.FCmEQ(nan[k], nan[k], nan[k])
			s.Store(nan[k], s.state(AffineBad, k)) // ones where all is well
		}
	})
	s.Comment("The error of the first scale.")
	s.Scope(func() {
		lo, is, scale, loss := s.Vs(4), s.Vs(4), s.Vs(4), s.zeroed(4)
		s.Scope(func() {
			limit, one := s.Number(exactLimit), s.Number(1)
			for k := range 4 {
				s.Scope(func() {
					width, good := s.V(), s.V()
					s.Load(lo[k], s.state(AffineLow, k))
					s.Load(width, s.state(AffineHi, k))
					s.FSub(width, width, lo[k])
					s.FDiv(is[k], s.nm, width)
					s.Store(is[k], s.state(AffineBestIS, k))
					s.FDiv(scale[k], one, is[k])
					s.Store(scale[k], s.state(AffineScale, k))
					s.FMul(width, width, is[k])
					s.Load(good, s.state(AffineBad, k))
					s.FACmGT(width, limit, width)
					s.And(good, good, width)
					s.Store(good, s.state(AffineBad, k))
				})
			}
		})
		s.rows([]int{AffineX, AffineW}, func(ptrs []R, offset int) {
			for q := 0; q < 4; q += 2 {
				s.Scope(func() {
					x, w, d := s.Vs(2), s.Vs(2), s.Vs(2)
					s.LoadPair(x[0], x[1], Mem{Base: ptrs[0], Offset: offset + 16*q})
					s.LoadPair(w[0], w[1], Mem{Base: ptrs[1], Offset: offset + 16*q})
					for k := range 2 {
						s.FSub(d[k], x[k], lo[q+k])
						s.FMul(d[k], d[k], is[q+k])
						s.FRintN(d[k], d[k])
						s.FMin(d[k], d[k], s.nm)
						s.FMax(d[k], d[k], s.z)
						s.lossOf(loss[q+k], d[k], x[k], w[k], scale[q+k], lo[q+k])
					}
				})
			}
		})
		for k := range 4 {
			s.Store(loss[k], s.state(AffineBest, k))
		}
	})
}

// lossOf adds the weighted error of a level to loss. It uses up the level.
func (s *search) lossOf(loss, level, x, w, scale, low V) {
	s.FMul(level, level, scale)
	s.FAdd(level, level, low)
	if s.absolute {
		s.FAbd(level, level, x)
	} else {
		s.FSub(level, level, x)
		s.FMul(level, level, level)
	}
	s.FMul(level, level, w)
	s.FAdd(loss, loss, level)
}

// step tries the next inverse scale.
func (s *search) step(nums R) {
	s.Comment("Levels at the next inverse scale, and their sums. The ends of the range tell whether any level needs a limit.")
	sumL, sumL2, sumXL := s.Vs(4), s.Vs(4), s.Vs(4)
	s.Scope(func() {
		is, lo := s.Vs(4), s.Vs(4)
		below, above := s.R(), s.R()
		s.Scope(func() {
			limit, minusHalf, nearHalf := s.Number(exactLimit), s.Number(-0.5), s.Number(0.45)
			num, under, over := s.V(), s.Zeroed(), s.Zeroed()
			s.LoadAllNext(num, nums)
			for k := range 4 {
				s.Scope(func() {
					width, t, u, good := s.V(), s.V(), s.V(), s.V()
					s.Load(lo[k], s.state(AffineLow, k))
					s.Load(width, s.state(AffineHi, k))
					s.Load(u, s.state(AffineFirst, k))
					s.Load(good, s.state(AffineBad, k))
					s.FSub(width, width, lo[k])
					s.FDiv(is[k], num, width)
					s.Store(is[k], s.state(AffineIS, k))
					s.FMul(t, width, is[k])
					s.FSub(u, u, lo[k])
					s.FMul(u, u, is[k])
					m := width
					for _, end := range []V{t, u} {
						s.FCmGT(m, minusHalf, end)
						s.Orr(under, under, m)
						s.FSub(m, end, s.nm)
						s.FCmGT(m, m, nearHalf)
						s.Orr(over, over, m)
						s.FACmGT(m, limit, end)
						s.And(good, good, m)
					}
					s.Store(good, s.state(AffineBad, k))
				})
			}
			s.UMaxV(under, under)
			s.UMaxV(over, over)
			s.FMovToW(below, under)
			s.FMovToW(above, over)
		})
		for k := range 4 {
			s.Zero(sumL[k])
			s.Zero(sumL2[k])
			s.Zero(sumXL[k])
		}
		pass := func(low, high bool) {
			s.rows([]int{AffineX, AffineW, AffineLevel}, func(ptrs []R, offset int) {
				for q := 0; q < 4; q += 2 {
					s.Scope(func() {
						x, w, l := s.Vs(2), s.Vs(2), s.Vs(2)
						s.LoadPair(x[0], x[1], Mem{Base: ptrs[0], Offset: offset + 16*q})
						s.LoadPair(w[0], w[1], Mem{Base: ptrs[1], Offset: offset + 16*q})
						for k := range 2 {
							s.FSub(l[k], x[k], lo[q+k])
							s.FMul(l[k], l[k], is[q+k])
							s.FRintN(l[k], l[k])
							if high {
								s.FMin(l[k], l[k], s.nm)
							}
							if low {
								s.FMax(l[k], l[k], s.z)
							}
							s.FMul(w[k], w[k], l[k])
							s.FAdd(sumL[q+k], sumL[q+k], w[k])
							s.FMul(x[k], w[k], x[k])
							s.FAdd(sumXL[q+k], sumXL[q+k], x[k])
							s.FMul(w[k], w[k], l[k])
							s.FAdd(sumL2[q+k], sumL2[q+k], w[k])
						}
						s.StorePair(l[0], l[1], Mem{Base: ptrs[2], Offset: offset + 16*q})
					})
				}
			})
		}
		low, high, both, summed := s.Label("low"), s.Label("high"), s.Label("both"), s.Label("summed")
		s.Op("CBNZW %v, %s", below, low)
		s.Op("CBNZW %v, %s", above, high)
		pass(false, false)
		s.Op("JMP %s", summed)
		s.Place(high)
		pass(false, true)
		s.Op("JMP %s", summed)
		s.Place(low)
		s.Op("CBNZW %v, %s", above, both)
		pass(true, false)
		s.Op("JMP %s", summed)
		s.Place(both)
		pass(true, true)
		s.Place(summed)
	})

	s.Comment("Best scale and min for those levels.")
	ok, scale, low := s.Vs(4), s.Vs(4), s.Vs(4)
	s.Scope(func() {
		positive := s.Zeroed()
		for k := range 4 {
			s.Scope(func() {
				sumW, sumX, det, t := s.V(), s.V(), ok[k], s.V()
				s.Load(sumW, s.state(AffineSumW, k))
				s.Load(sumX, s.state(AffineSumX, k))
				s.FMul(det, sumW, sumL2[k])
				s.FMul(t, sumL[k], sumL[k])
				s.FSub(det, det, t)
				s.FMul(scale[k], sumW, sumXL[k])
				s.FMul(t, sumX, sumL[k])
				s.FSub(scale[k], scale[k], t)
				s.FDiv(scale[k], scale[k], det)
				s.FMul(low[k], sumX, sumL2[k])
				s.FMul(t, sumL[k], sumXL[k])
				s.FSub(low[k], low[k], t)
				s.FDiv(low[k], low[k], det)
				s.FCmGT0(det, det)
				s.FCmGT0(t, low[k])
				s.Orr(positive, positive, t)
			})
		}
		negative := s.Label("negative")
		s.none(positive, negative)
		for k := range 4 {
			s.FCmGT0(positive, low[k])
			s.Bic(low[k], low[k], positive)
			s.FDiv(sumL2[k], sumXL[k], sumL2[k])
			s.Bit(scale[k], sumL2[k], positive)
		}
		s.Place(negative)
	})
	s.Free(sumL...)
	s.Free(sumL2...)
	s.Free(sumXL...)

	s.Comment("Their error.")
	loss := s.zeroed(4)
	s.rows([]int{AffineX, AffineW, AffineLevel}, func(ptrs []R, offset int) {
		for q := 0; q < 4; q += 2 {
			s.Scope(func() {
				x, w, l := s.Vs(2), s.Vs(2), s.Vs(2)
				s.LoadPair(l[0], l[1], Mem{Base: ptrs[2], Offset: offset + 16*q})
				s.LoadPair(x[0], x[1], Mem{Base: ptrs[0], Offset: offset + 16*q})
				s.LoadPair(w[0], w[1], Mem{Base: ptrs[1], Offset: offset + 16*q})
				for k := range 2 {
					s.lossOf(loss[q+k], l[k], x[k], w[k], scale[q+k], low[q+k])
				}
			})
		}
	})
	for k := range 4 {
		s.Scope(func() {
			won, best, is, was := ok[k], s.V(), s.V(), s.V()
			keep := func(field int, old, v V) {
				s.Bit(old, v, won)
				s.Store(old, s.state(field, k))
			}
			s.Load(best, s.state(AffineBest, k))
			s.FCmGT(is, best, loss[k])
			s.And(won, won, is)
			keep(AffineBest, best, loss[k])
			s.Load(best, s.state(AffineScale, k))
			keep(AffineScale, best, scale[k])
			s.Load(is, s.state(AffineIS, k))
			s.Load(best, s.state(AffineBestIS, k))
			keep(AffineBestIS, best, is)
			s.Load(was, s.state(AffineLow, k))
			s.Load(best, s.state(AffineBestLo, k))
			keep(AffineBestLo, best, was)
			keep(AffineLow, was, low[k])
		})
	}
}

// end gives a group of equal values scale 0 and its first min, and collects the lanes that went wrong.
func (s *search) end() R {
	s.Comment("A group of equal values has scale 0 and its first min.")
	bits := s.R()
	s.Scope(func() {
		bad := s.Vs(4)
		for k := range 4 {
			s.Scope(func() {
				first, flat, low, scale := s.V(), s.V(), s.V(), s.V()
				s.Load(first, s.state(AffineFirst, k))
				s.Load(flat, s.state(AffineHi, k))
				s.FCmEQ(flat, flat, first)
				s.Load(low, s.state(AffineLow, k))
				s.Bit(low, first, flat)
				s.FNeg(low, low)
				s.Store(low, s.state(AffineLow, k))
				s.Load(scale, s.state(AffineScale, k))
				s.Bic(scale, scale, flat)
				s.Store(scale, s.state(AffineScale, k))
				s.Load(bad[k], s.state(AffineBad, k))
				s.Orr(bad[k], bad[k], flat)
				s.Not(bad[k], bad[k])
			})
		}
		s.mask(bits, bad...)
	})
	return bits
}
