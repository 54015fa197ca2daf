package main

import (
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
)

// Q4_0, Q4_1, Q5_0 and Q5_1 without weights need no search, only the least and the greatest value of each block. A batch
// is 8 blocks: their ranges are folded together, and scales and inverses are computed four at a time.
type batch struct {
	*gen
	name  string
	fifth bool   // the levels have five bits
	top   uint32 // the highest level
	// symmetric is Q4_0 and Q5_0, where the value of greatest magnitude becomes level 0. With the others the least value
	// does, and the greatest becomes the highest level.
	symmetric bool

	src  R
	stop string
}

const batchBlocks = 8

// ranges gives the least and the greatest value of each block, NaN if there is one.
func (b *batch) ranges() (least, greatest []V) {
	least, greatest = b.Vs(2), b.Vs(2)
	for half := range 2 {
		b.Scope(func() {
			var los, his []V
			for j := range 4 {
				lo, hi := b.V(), b.V()
				los, his = append(los, lo), append(his, hi)
				b.Scope(func() {
					x := b.load8(Mem{Base: b.src, Offset: 128 * (4*half + j)})
					t := b.Vs(4)
					for i := range t {
						b.FMin(t[i], x[2*i], x[2*i+1])
						b.FMax(x[i], x[2*i], x[2*i+1]) // its own inputs are used up
					}
					b.Mov(lo, b.joined(t, b.FMin))
					b.Mov(hi, b.joined(x[:4], b.FMax))
				})
			}
			fold := func(v []V, op func(d, n, m V), to V) {
				op(v[0], v[0], v[1])
				op(v[2], v[2], v[3])
				op(to, v[0], v[2])
			}
			fold(los, b.FMinP, least[half])
			fold(his, b.FMaxP, greatest[half])
		})
	}
	return least, greatest
}

// ordinary leaves the batch if one of m, which are no less than 0, is NaN or Inf or so small that the inverse of a scale
// would be no number, but for 0. It gives the lanes that are 0.
func (b *batch) ordinary(m []V) (zero []V) {
	zero = b.Vs(2)
	b.Scope(func() {
		odd, t, smallest, inf := b.Zeroed(), b.V(), b.Bits(least), b.Bits(inf)
		for k := range m {
			b.FCmEQ0(zero[k], m[k])
			b.FCmGT(t, smallest, m[k])
			b.Bic(t, t, zero[k])
			b.Orr(odd, odd, t)
			b.FCmGT(t, inf, m[k])
			b.Orn(odd, odd, t)
		}
		b.any(odd, b.stop)
	})
	return zero
}

// first replaces those of lows that m names by the first value of their block that has the same magnitude: of two
// zeros, or a value and its negative, the first counts.
func (b *batch) first(m, lows []V) {
	b.Scope(func() {
		found := b.Label("found")
		t := b.V()
		b.Orr(t, m[0], m[1])
		b.none(t, found)
		bits, p, want, v, magnitude := b.R(), b.R(), b.R(), b.R(), b.R()
		b.mask(bits, m...)
		for i := range batchBlocks {
			next, look := b.Label("next"), b.Label("look")
			b.Op("TBZ $%d, %v, %s", i, bits, next)
			b.MovLane(want, lows[i/4], i%4)
			b.Op("ANDW $0x7fffffff, %v, %v", want, want)
			b.Op("ADD $%d, %v, %v", 128*i, b.src, p)
			b.Place(look)
			b.Op("MOVWU.P 4(%v), %v", p, v)
			b.Op("ANDW $0x7fffffff, %v, %v", v, magnitude)
			b.Op("CMPW %v, %v", want, magnitude)
			b.Op("BNE %s", look)
			b.InsLane(lows[i/4], i%4, v)
			b.Place(next)
		}
		b.Place(found)
	})
}

// scales gives, for the blocks of a batch, the values that become level 0, with the others also as halves, the scales as
// halves, and their inverses, 0 for a scale of 0.
func (b *batch) scales(divisor float32) (lows []V, lowHalfs, halves V, inverses []V) {
	lows, d := b.ranges()
	halves = b.V()
	by := b.Number(divisor)
	var zero []V
	if b.symmetric {
		negated, m := b.Vs(2), b.Vs(2)
		for k := range lows {
			b.FNeg(negated[k], lows[k])
			b.FMax(m[k], negated[k], d[k])
		}
		zero = b.ordinary(m)
		for k := range lows {
			b.FCmGT(m[k], d[k], negated[k])
			b.Bit(lows[k], d[k], m[k])
			b.Bic(lows[k], lows[k], zero[k])
			b.FCmEQ(m[k], negated[k], d[k])
			b.Bic(m[k], m[k], zero[k])
		}
		b.first(m, lows)
		for k := range lows {
			b.FDiv(d[k], lows[k], by)
		}
		b.Free(negated...)
		b.Free(m...)
	} else {
		for k := range lows {
			b.FSub(d[k], d[k], lows[k])
		}
		zero = b.ordinary(d)
		m := b.Vs(2)
		for k := range lows {
			b.FCmEQ0(m[k], lows[k])
		}
		b.first(m, lows)
		b.Free(m...)
		lowHalfs = b.V()
		b.FCvtNHalf(lowHalfs, lows[0])
		b.FCvtN2Half(lowHalfs, lows[1])
		for k := range lows {
			b.FDiv(d[k], d[k], by)
		}
	}
	b.FCvtNHalf(halves, d[0])
	b.FCvtN2Half(halves, d[1])
	one := b.Number(1)
	for k := range d {
		b.FDiv(d[k], one, d[k])
		b.Bic(d[k], d[k], zero[k])
	}
	b.Free(zero...)
	b.Free(by, one)
	return lows, lowHalfs, halves, d
}

func (b *batch) write() {
	size, shift, divisor := 2+16, float32(b.top+2)/2, -float32(b.top+1)/2
	if !b.symmetric {
		size, shift, divisor = 4+16, 0.5, float32(b.top)
	}
	at := size - 16
	if b.fifth {
		size += 4
	}
	b.Func(b.name, "dst *byte, src *float32, blocks int", 8, func() {
		dst, src, blocks := b.Param("dst"), b.Param("src"), b.Param("blocks")
		b.src, b.stop = src, b.Label("stop")
		b.Op("CMP $%d, %v", batchBlocks, blocks)
		b.Op("BLT %s", b.stop)
		again := b.Label("batch")
		b.Place(again)
		b.Scope(func() {
			lows, lowHalfs, halves, inverses := b.scales(divisor)
			b.Comment("Levels.")
			shifts, limit := b.Number(shift), b.Bits(b.top)
			var sixteens, fifteens, places V
			if b.fifth {
				sixteens, fifteens = b.Bits(0x10101010), b.Bits(0x0f0f0f0f)
				places = b.Bytes(func(i int) uint8 { return 1 << (i % 8) })
			}
			for j := range batchBlocks {
				b.Scope(func() {
					block := j * size
					r := b.R()
					b.MovHalf(r, halves, j)
					b.Op("MOVH %v, %d(%v)", r, block, dst)
					x := b.load8(Mem{Base: src, Offset: 128 * j})
					if !b.symmetric {
						b.MovHalf(r, lowHalfs, j)
						b.Op("MOVH %v, %d(%v)", r, block+2, dst)
						low := b.V()
						b.DupLane(low, lows[j/4], j%4)
						for _, x := range x {
							b.FSub(x, x, low)
						}
						b.Free(low)
					}
					for _, x := range x {
						b.FMulLane(x, x, inverses[j/4], j%4)
						b.FAdd(x, x, shifts)
						b.FCvtZS(x, x)
						b.SMin(x, x, limit)
					}
					low, high := b.bytesOf(x[:4]), b.bytesOf(x[4:])
					levels := block + at
					if b.fifth {
						t, u := x[1], x[5]
						b.CmTstBytes(t, low, sixteens)
						b.CmTstBytes(u, high, sixteens)
						b.And(t, t, places)
						b.And(u, u, places)
						b.AddPBytes(t, t, u)
						b.AddPBytes(t, t, t)
						b.AddPBytes(t, t, t)
						b.FMovToW(r, t)
						b.Op("MOVW %v, %d(%v)", r, levels, dst)
						levels += 4
						b.And(low, low, fifteens)
					}
					b.ShlBytes(high, high, 4)
					b.Orr(low, low, high)
					b.StoreUnaligned(low, Mem{Base: dst, Offset: levels})
				})
			}
		})
		b.next(128*batchBlocks, src)
		b.next(size*batchBlocks, dst)
		b.Op("SUB $%d, %v, %v", batchBlocks, blocks, blocks)
		b.Op("CMP $%d, %v", batchBlocks, blocks)
		b.Op("BGE %s", again)
		b.Place(b.stop)
		done := b.Param("blocks")
		b.Op("SUB %v, %v, %v", blocks, done, done)
		b.Result(done, 8)
	})
}

func (a *gen) batches() {
	for _, b := range []batch{
		{name: "q4_0Blocks", symmetric: true, top: 15},
		{name: "q5_0Blocks", symmetric: true, fifth: true, top: 31},
		{name: "q4_1Blocks", top: 15},
		{name: "q5_1Blocks", fifth: true, top: 31},
	} {
		b.gen = a
		b.write()
	}
}
