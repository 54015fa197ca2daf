package main

import (
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
)

// The kernels of the types that need no search. They work on whole blocks and stop before one that is out of the
// ordinary: with NaN or Inf, zeros, or a scale so small that its inverse is no number. The reference then does it.

// least is the smallest magnitude that counts as ordinary, 2^-118, by its bits: its 127th part has a finite inverse.
const (
	least = 0x04800000
	inf   = 0x7f800000
)

// stopping writes a function that works off the blocks, or values, that n counts, step at a time: body is to go to stop
// to leave the next ones to the reference. The function gives how many it did.
func (a *gen) stopping(name, count string, step int, setup func(), body func(dst, src R, stop string)) {
	a.Func(name, "dst *byte, src *float32, "+count+" int", 8, func() {
		dst, src, n := a.Param("dst"), a.Param("src"), a.Param(count)
		setup()
		stop := a.Label("stop")
		a.while(n, step, func() { body(dst, src, stop) })
		a.Place(stop)
		done := a.Param(count)
		a.Op("SUB %v, %v, %v", n, done, done)
		a.Result(done, 8)
	})
}

// fold joins vectors pairwise into the first.
func (a *gen) joined(v []V, op func(d, n, m V)) V {
	for step := 1; step < len(v); step *= 2 {
		for i := 0; i+step < len(v); i += 2 * step {
			op(v[i], v[i], v[i+step])
		}
	}
	return v[0]
}

// load8 loads 32 floats.
func (a *gen) load8(m Mem) []V {
	v := a.Vs(8)
	for i := 0; i < 8; i += 2 {
		a.LoadPair(v[i], v[i+1], m.At(16*i))
	}
	return v
}

// greatestMagnitude gives that of 32 values, in the lowest lane and as bits. It leaves the block where that is NaN, too
// small to be ordinary, or has the bits end or more.
func (a *gen) greatestMagnitude(v []V, end uint32, stop string) (V, R) {
	top, bits := a.V(), a.R()
	a.Scope(func() {
		m := a.Vs(8)
		for i := range v {
			a.FAbs(m[i], v[i])
		}
		a.FMaxV(top, a.joined(m, a.FMax)) // NaN if there is one
		past, limit := a.R(), a.R()
		a.FMovToW(bits, top)
		a.Op("MOVD $0x%x, %v", least, limit)
		a.Op("SUBW %v, %v, %v", limit, bits, past)
		a.Op("MOVD $0x%x, %v", end-least, limit)
		a.Op("CMPW %v, %v", limit, past)
		a.Op("BHS %s", stop)
	})
	return top, bits
}

func (a *gen) q8_0() {
	var one, f127 V
	a.stopping("q8_0Blocks", "blocks", 1, func() { one, f127 = a.Number(1), a.Number(127) }, func(dst, src R, stop string) {
		v, inverse := a.load8(Mem{Base: src}), a.V()
		d, _ := a.greatestMagnitude(v, inf, stop)
		a.FDiv(d, d, f127)
		a.FDiv(inverse, one, d)
		for _, x := range v {
			a.FMulLane(x, x, inverse, 0)
			a.FCvtAS(x, x)
		}
		a.FCvtNHalf(d, d)
		a.StoreHalf(d, Mem{Base: dst})
		a.StoreUnaligned(a.bytesOf(v[:4]), Mem{Base: dst, Offset: 2})
		a.StoreUnaligned(a.bytesOf(v[4:]), Mem{Base: dst, Offset: 18})
		a.next(128, src)
		a.next(34, dst)
	})
}

// mxfp4 leaves blocks to the reference whose greatest magnitude is so near below a power of two that its logarithm may be
// rounded up. A number is found by counting the midpoints between numbers that are below the value.
func (a *gen) mxfp4() {
	var midpoints []V
	var signs V
	a.stopping("mxfp4Blocks", "blocks", 1, func() {
		midpoints = nil
		for _, m := range []float32{0.5, 1.5, 2.5, 3.5, 5, 7, 10} {
			midpoints = append(midpoints, a.Number(m/8))
		}
		signs = a.Bits(8)
	}, func(dst, src R, stop string) {
		v := a.load8(Mem{Base: src})
		m, bits := a.greatestMagnitude(v, 0x7f000000, stop) // below 2^127: none of the products below is infinite
		a.WithR(func(r R) {
			a.Op("AND $0x7fffff, %v, %v", bits, r)
			a.Op("ADD $0x40, %v, %v", r, r)
			a.Op("TBNZ $23, %v, %s", r, stop)
			a.Op("LSR $23, %v, %v", bits, r)
			a.Op("SUB $2, %v, %v", r, r)
			a.Op("MOVB %v, (%v)", r, dst)
			a.Op("AND $0x%x, %v, %v", inf, bits, bits)
		})
		a.Dup(m, bits)
		levels := a.Vs(8)
		for i, x := range v {
			a.UShr(levels[i], x, 28)
			a.And(levels[i], levels[i], signs)
			a.FAbs(x, x)
		}
		t, above := a.V(), a.V()
		for k, midpoint := range midpoints {
			a.FMul(t, midpoint, m)
			for i, x := range v {
				a.FCmGT(above, x, t)
				if k == 0 { // zero has no sign
					a.And(levels[i], levels[i], above)
				}
				a.Sub(levels[i], levels[i], above)
			}
		}
		low, high := a.bytesOf(levels[:4]), a.bytesOf(levels[4:])
		a.ShlBytes(high, high, 4)
		a.Orr(low, low, high)
		a.StoreUnaligned(low, Mem{Base: dst, Offset: 1})
		a.next(128, src)
		a.next(17, dst)
	})
}

// narrow stores 16 values at a time in 16 bits each. It stops before 16 with a NaN among them.
func (a *gen) narrow(name string, setup func(), body func(v []V) (low, high V)) {
	a.stopping(name, "n", 16, setup, func(dst, src R, stop string) {
		v, t := a.Vs(4), a.Vs(2)
		a.LoadPair(v[0], v[1], Mem{Base: src})
		a.LoadPair(v[2], v[3], Mem{Base: src, Offset: 32})
		a.FMax(t[0], v[0], v[1])
		a.FMax(t[1], v[2], v[3])
		a.FMax(t[0], t[0], t[1])
		a.FCmEQ(t[0], t[0], t[0])
		a.Not(t[0], t[0])
		a.any(t[0], stop)
		a.Free(t...)
		low, high := body(v)
		a.StorePair(low, high, Mem{Base: dst})
		a.next(64, src)
		a.next(32, dst)
	})
}

func (a *gen) conversions() {
	widen := func(name string, low, high func(d, n V)) {
		a.Func(name, "dst *float32, src *byte, n int", 0, func() {
			dst, src, n := a.Param("dst"), a.Param("src"), a.Param("n")
			a.while(n, 8, func() {
				h, v := a.V(), a.Vs(2)
				a.LoadNext(h, src)
				low(v[0], h)
				high(v[1], h)
				a.StorePair(v[0], v[1], Mem{Base: dst})
				a.next(32, dst)
			})
		})
	}
	widen("widenF16", a.FCvtLHalf, a.FCvtL2Half)
	widen("widenBF16", a.ShLLH, a.ShLL2H)
	a.narrow("narrowF16", func() {}, func(v []V) (low, high V) {
		for i := 0; i < 4; i += 2 {
			a.FCvtNHalf(v[i], v[i])
			a.FCvtN2Half(v[i], v[i+1])
		}
		return v[0], v[2]
	})
	var one, almost V
	a.narrow("narrowBF16", func() { one, almost = a.Bits(1), a.Bits(0x7fff) }, func(v []V) (low, high V) {
		t := a.V()
		for _, x := range v {
			a.UShr(t, x, 16)
			a.And(t, t, one)
			a.Add(x, x, t)
			a.Add(x, x, almost)
		}
		a.Uzp2Halfs(v[0], v[0], v[1])
		a.Uzp2Halfs(v[2], v[2], v[3])
		return v[0], v[2]
	})
	a.Func("finiteBlocks", "src *float32, n int", 8, func() {
		src, n := a.Param("src"), a.Param("n")
		belowInf := a.Bits(inf - 1)
		stop := a.Label("stop")
		a.while(n, 32, func() {
			v := a.load8(Mem{Base: src})
			for _, x := range v {
				a.FAbs(x, x)
			}
			m := a.joined(v, a.UMax)
			a.CmGT(m, m, belowInf)
			a.any(m, stop)
			a.next(128, src)
		})
		a.Place(stop)
		done := a.Param("n")
		a.Op("SUB %v, %v, %v", n, done, done)
		a.Result(done, 8)
	})
}
