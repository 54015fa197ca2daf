package main

import (
	"fmt"

	. "github.com/nexus-quant/nexus-quant/kernels/_gen/arm64"
)

// The dequantizers. All unpack 16 levels into the bytes of a register, widen 4 at a time, and scale them.

// lane is a number for all values: one lane of a register.
type lane struct {
	v V
	i int
}

// emit stores 16 values: levels times scale, to which add does the rest, where there is any.
func (a *gen) emit(levels V, signed bool, dst Mem, scale lane, add func(v V)) {
	a.Scope(func() {
		h, v := a.Vs(2), a.Vs(4)
		if signed {
			a.SShLLB(h[0], levels)
			a.SShLL2B(h[1], levels)
		} else {
			a.UShLLB(h[0], levels)
			a.UShLL2B(h[1], levels)
		}
		for i, h := range h {
			if signed {
				a.SShLLH(v[2*i], h)
				a.SShLL2H(v[2*i+1], h)
			} else {
				a.UShLLH(v[2*i], h)
				a.UShLL2H(v[2*i+1], h)
			}
		}
		for _, v := range v {
			a.SCvtF(v, v)
			a.FMulLane(v, v, scale.v, scale.i)
			if add != nil {
				add(v)
			}
		}
		a.StorePair(v[0], v[1], dst)
		a.StorePair(v[2], v[3], dst.At(32))
	})
}

// half widens the half at an address into the lowest lane.
func (a *gen) half(m Mem) V {
	v := a.V()
	a.LoadHalf(v, m)
	a.FCvtLHalf(v, v)
	return v
}

// halfE8M0 is half of the scale whose exponent stands at an address, in the lowest lane: 2^(e-128), which is subnormal
// below 2.
func (a *gen) halfE8M0(m Mem) V {
	v := a.V()
	a.Scope(func() {
		e, small := a.R(), a.R()
		a.Op("MOVBU %d(%v), %v", m.Offset, m.Base, e)
		a.Op("ADD $1, %v, %v", e, small)
		a.Op("LSL $21, %v, %v", small, small)
		a.Op("CMP $2, %v", e)
		a.Op("SUB $1, %v, %v", e, e)
		a.Op("LSL $23, %v, %v", e, e)
		a.Op("CSEL LO, %v, %v, %v", small, e, e)
		a.FMovFromW(v, e)
	})
	return v
}

// expandBlocks is the dequantizer of a type with blocks of 32 values, for n blocks. body gives the levels.
func (a *gen) expandBlocks(name string, size int, scale func(Mem) V, setup func(), body func(src R) (levels [2]V, signed bool, add func(v V))) {
	a.Func(name, "dst *float32, src *byte, n int", 0, func() {
		dst, src, n := a.Param("dst"), a.Param("src"), a.Param("n")
		setup()
		a.while(n, 1, func() {
			d := scale(Mem{Base: src})
			levels, signed, add := body(src)
			for i, l := range levels {
				a.emit(l, signed, Mem{Base: dst, Offset: 64 * i}, lane{d, 0}, add)
			}
			a.next(size, src)
			a.next(128, dst)
		})
	})
}

// expandLegacy is Q4_0, Q4_1, Q5_0 and Q5_1: nibbles, behind fifth bits where there are any, less an offset or plus a min.
func (a *gen) expandLegacy(name string, fifth bool, offset uint32) {
	at := 2
	if offset == 0 {
		at += 2
	}
	size := at + 16
	if fifth {
		size += 4
	}
	var nibbles, offsets, sixteens, places V
	var spread [2]V
	a.expandBlocks(name, size, a.half, func() {
		nibbles, offsets = a.Bits(0x0f0f0f0f), a.Bits(offset*0x01010101)
		if fifth {
			sixteens = a.Bits(0x10101010)
			places = a.Bytes(func(i int) uint8 { return 1 << (i % 8) })
			for h := range spread {
				spread[h] = a.Bytes(func(i int) uint8 { return uint8(2*h + i/8) })
			}
		}
	}, func(src R) (levels [2]V, signed bool, add func(v V)) {
		at := at
		var bits [2]V
		if fifth {
			// Each byte gets the byte of the word that holds its bit, then that bit alone.
			word := a.V()
			a.WithR(func(r R) {
				a.Op("MOVWU %d(%v), %v", at, src, r)
				a.FMovFromW(word, r)
			})
			for h := range bits {
				bits[h] = a.V()
				a.Tbl(bits[h], word, spread[h])
				a.CmTstBytes(bits[h], bits[h], places)
				a.And(bits[h], bits[h], sixteens)
			}
			at += 4
		}
		low, high := a.V(), a.V()
		a.LoadUnaligned(low, Mem{Base: src, Offset: at})
		a.UShrBytes(high, low, 4)
		a.And(low, low, nibbles)
		levels = [2]V{low, high}
		for h, l := range levels {
			if fifth {
				a.Orr(l, l, bits[h])
			}
			if offset != 0 {
				a.SubBytes(l, l, offsets)
			}
		}
		if offset != 0 {
			return levels, true, nil
		}
		m := a.half(Mem{Base: src, Offset: 2})
		a.DupLane(m, m, 0)
		return levels, false, func(v V) { a.FAdd(v, v, m) }
	})
}

// planes gives bits of a byte that packs several levels: (byte at an offset >> shift) & mask.
type planes struct {
	*gen
	block R
	masks map[uint32]V
}

// mask registers are made once, before any loop.
func (p *planes) mask(m uint32) { p.masks[m] = p.Bits(m * 0x01010101) }

func (p *planes) at(offset, shift int, mask uint32) V {
	v := p.V()
	if offset < 256 && offset%16 != 0 {
		p.LoadUnaligned(v, Mem{Base: p.block, Offset: offset})
	} else {
		p.Load(v, Mem{Base: p.block, Offset: offset})
	}
	if shift > 0 {
		p.UShrBytes(v, v, shift)
	}
	p.And(v, v, p.masks[mask])
	return v
}

// above adds other bits of the same levels, the lowest of them at place, and takes away less.
func (p *planes) above(v, bits V, place int) {
	p.ShlBytes(bits, bits, place)
	p.Orr(v, v, bits)
}

// expandSuper is the dequantizer of one super-block whose groups of 16 values have scales d and, if any, mins m. group
// gives the 16 levels of each group.
func (a *gen) expandSuper(name string, masks []uint32, offset uint32, withMin bool, group func(p *planes, j int) V) {
	a.Func(name, "dst *float32, block *byte, d, m *float32", 0, func() {
		dst, p := a.Param("dst"), &planes{a, a.Param("block"), map[uint32]V{}}
		load := func(param string) []V {
			r, v := a.Param(param), a.Vs(4)
			a.LoadPair(v[0], v[1], Mem{Base: r})
			a.LoadPair(v[2], v[3], Mem{Base: r, Offset: 32})
			return v
		}
		d := load("d")
		var m []V
		if withMin {
			m = load("m")
		}
		for _, mask := range masks {
			p.mask(mask)
		}
		offsets := a.Bits(offset * 0x01010101)
		for j := range 16 {
			a.Scope(func() {
				a.Comment(fmt.Sprintf("Group %d.", j))
				v := group(p, j)
				var add func(v V)
				if withMin {
					low := a.V()
					a.DupLane(low, m[j/4], j%4)
					add = func(v V) { a.FSub(v, v, low) }
				} else {
					a.SubBytes(v, v, offsets)
				}
				a.emit(v, !withMin, Mem{Base: dst, Offset: 64 * j}, lane{d[j/4], j % 4}, add)
			})
		}
	})
}

// expandAffine is the dequantizer of n super-blocks of Q4_K or Q5_K. The scales and mins of 6 bits are taken apart four
// at a time: see packScales.
func (a *gen) expandAffine(name string, size int, masks []uint32, half func(p *planes, j int) V) {
	a.Func(name, "dst *float32, src *byte, n int", 0, func() {
		dst, src, n := a.Param("dst"), a.Param("src"), a.Param("n")
		p := &planes{a, src, map[uint32]V{}}
		for _, mask := range masks {
			p.mask(mask)
		}
		a.while(n, 1, func() {
			var scales [2][]V // d and m
			for i := range scales {
				scales[i] = a.Vs(2)
				a.Scope(func() {
					nibbles, low, top, bytes, d := a.R(), a.R(), a.R(), a.V(), a.half(Mem{Base: src, Offset: 2 * i})
					a.Op("MOVWU 12(%v), %v", src, nibbles)
					a.Op("MOVWU %d(%v), %v", 4+4*i, src, low)
					a.Op("LSR $2, %v, %v", low, top)
					a.Op("AND $0x30303030, %v, %v", top, top)
					a.Op("AND $0x3f3f3f3f, %v, %v", low, low)
					if i == 1 {
						a.Op("LSR $4, %v, %v", nibbles, nibbles)
					}
					a.Op("AND $0x0f0f0f0f, %v, %v", nibbles, nibbles)
					a.Op("ORR %v, %v, %v", nibbles, top, top)
					a.Op("ORR %v<<32, %v, %v", top, low, low)
					a.FMovFromX(bytes, low)
					a.UShLLB(bytes, bytes)
					a.UShLLH(scales[i][0], bytes)
					a.UShLL2H(scales[i][1], bytes)
					for _, v := range scales[i] {
						a.SCvtF(v, v)
						a.FMulLane(v, v, d, 0)
					}
				})
			}
			for j := range 16 {
				a.Scope(func() {
					g := j / 2
					low := a.V()
					a.DupLane(low, scales[1][g/4], g%4)
					a.emit(half(p, j), false, Mem{Base: dst, Offset: 64 * j}, lane{scales[0][g/4], g % 4}, func(v V) { a.FSub(v, v, low) })
				})
			}
			a.next(size, src)
			a.next(1024, dst)
		})
	})
}

func (a *gen) expanders() {
	a.expandBlocks("q8_0Expand", 34, a.half, func() {}, func(src R) (levels [2]V, signed bool, add func(v V)) {
		levels = [2]V{a.V(), a.V()}
		a.LoadUnaligned(levels[0], Mem{Base: src, Offset: 2})
		a.LoadUnaligned(levels[1], Mem{Base: src, Offset: 18})
		return levels, true, nil
	})
	var nibbles, numbers V
	a.expandBlocks("mxfp4Expand", 17, a.halfE8M0, func() {
		nibbles = a.Bits(0x0f0f0f0f)
		numbers = a.Bytes(func(i int) uint8 {
			m := [8]int8{0, 1, 2, 3, 4, 6, 8, 12}[i%8]
			if i >= 8 {
				m = -m
			}
			return uint8(m)
		})
	}, func(src R) (levels [2]V, signed bool, add func(v V)) {
		low, high := a.V(), a.V()
		a.LoadUnaligned(low, Mem{Base: src, Offset: 1})
		a.UShrBytes(high, low, 4)
		a.And(low, low, nibbles)
		a.Tbl(low, numbers, low)
		a.Tbl(high, numbers, high)
		return [2]V{low, high}, true, nil
	})
	a.expandLegacy("q4_0Expand", false, 8)
	a.expandLegacy("q4_1Expand", false, 0)
	a.expandLegacy("q5_0Expand", true, 16)
	a.expandLegacy("q5_1Expand", true, 0)
	// Group j is the half j%2 of 32 values of which part j/2 of a super-block consists.
	a.expandSuper("q2KExpand", []uint32{3}, 0, true, func(p *planes, j int) V {
		part := j / 2
		return p.at(16+32*(part/4)+16*(j%2), 2*(part%4), 3)
	})
	a.expandSuper("q3KExpand", []uint32{1, 3}, 4, false, func(p *planes, j int) V {
		part := j / 2
		v := p.at(32+32*(part/4)+16*(j%2), 2*(part%4), 3)
		p.above(v, p.at(16*(j%2), part, 1), 2)
		return v
	})
	a.expandSuper("q6KExpand", []uint32{3, 15}, 32, false, func(p *planes, j int) V {
		part, quarter := j/8, j/2%4
		v := p.at(64*part+32*(quarter%2)+16*(j%2), quarter/2*4, 15)
		p.above(v, p.at(128+32*part+16*(j%2), 2*quarter, 3), 4)
		return v
	})
	a.expandAffine("q4KExpand", 144, []uint32{15}, func(p *planes, j int) V {
		part := j / 2
		return p.at(16+32*(part/2)+16*(j%2), 4*(part%2), 15)
	})
	a.expandAffine("q5KExpand", 176, []uint32{1, 15}, func(p *planes, j int) V {
		part := j / 2
		v := p.at(48+32*(part/2)+16*(j%2), 4*(part%2), 15)
		p.above(v, p.at(16+16*(j%2), part, 1), 4)
		return v
	})
}
