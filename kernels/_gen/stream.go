package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The kernels of the types that need no search. They work on whole blocks and stop before one that is out of the
// ordinary: with NaN or Inf, zeros, or a scale so small that its inverse is no number. The reference then does it.

func infBits() Mem { return constant("infBits", 0x7f800000) }

// least is the smallest magnitude that counts as ordinary, 2^-118, by its bits: its 127th part has a finite inverse.
const least = 0x04800000

// horizontal folds the 8 lanes of v into the lowest.
func horizontal(v VecVirtual, op func(a, b, to VecVirtual)) {
	t := YMM()
	VEXTRACTI128(Imm(1), v, t.AsX())
	op(t, v, v)
	VPSHUFD(Imm(0x4e), v, t)
	op(t, v, v)
	VPSHUFD(Imm(0xb1), v, t)
	op(t, v, v)
}

// blockLoop runs body for each block of 32 values; stop is where body jumps to leave a block to the reference.
func blockLoop(name string, size int, setup func(), body func(dst, src Register, v []VecVirtual, stop LabelRef)) {
	TEXT(name, NOSPLIT, "func(dst *byte, src *float32, blocks int) int")
	dst, src, blocks := ptr("dst"), ptr("src"), ptr("blocks")
	setup()
	Label("loop")
	v := vectors(4)
	for i := range v {
		VMOVUPS(Mem{Base: src, Disp: 32 * i}, v[i])
	}
	body(dst, src, v, LabelRef("stop"))
	ADDQ(I32(128), src)
	ADDQ(I32(int32(size)), dst)
	DECQ(blocks)
	JNZ(LabelRef("loop"))
	Label("stop")
	done := ptr("blocks")
	SUBQ(blocks, done)
	Store(done, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// magnitude gives the greatest magnitude in v, in all lanes, and leaves the block if that is out of the ordinary.
func magnitude(v []VecVirtual, stop LabelRef) VecVirtual {
	m, g := greatest(v)
	SUBL(U32(least), g)
	CMPL(g, U32(0x7f800000-least))
	JAE(stop)
	VBROADCASTSS(m.AsX(), m)
	return m
}

// greatest gives the greatest magnitude in v, in the lowest lane, and its bits. That of a NaN is above all others.
func greatest(v []VecVirtual) (VecVirtual, Register) {
	m := YMM()
	VANDPS(absMask(), v[0], m)
	for _, x := range v[1:] {
		t := YMM()
		VANDPS(absMask(), x, t)
		VPMAXSD(t, m, m)
	}
	horizontal(m, func(a, b, to VecVirtual) { VPMAXSD(a, b, to) })
	g := GP32()
	VMOVD(m.AsX(), g)
	return m, g
}

// storeHalf rounds the lowest lane of v to half precision.
func storeHalf(v VecVirtual, to Mem) {
	h := XMM()
	VCVTPS2PH(Imm(0), v.AsX(), h)
	VPEXTRW(Imm(0), h, to)
}

// bytesOf packs 4 vectors of small integers into 32 bytes, in their order.
func bytesOf(v []VecVirtual) VecVirtual {
	VPACKSSDW(v[1], v[0], v[0])
	VPACKSSDW(v[3], v[2], v[2])
	VPACKSSWB(v[2], v[0], v[0])
	order := YMM()
	VMOVDQU(byteOrder(), order)
	VPERMD(v[0], order, v[0])
	return v[0]
}

// storeLevels stores 32 levels of 4 or 5 bits, where wanted the fifth bits first.
func storeLevels(levels VecVirtual, fifth bool, dst Register, at int) {
	if fifth {
		t, g := YMM(), GP32()
		VPSLLW(Imm(3), levels, t)
		VPMOVMSKB(t, g)
		MOVL(g, Mem{Base: dst, Disp: at})
		VPAND(constant("nibbles", 0x0f0f0f0f), levels, levels)
		at += 4
	}
	high := XMM()
	VEXTRACTI128(Imm(1), levels, high)
	VPSLLW(Imm(4), high, high)
	VPOR(high, levels.AsX(), high)
	VMOVDQU(high, Mem{Base: dst, Disp: at})
}

func q8_0() {
	var one VecVirtual
	blockLoop("q8_0Blocks", 2+32, func() {
		one = YMM()
		VMOVUPS(oneF(), one)
	}, func(dst, _ Register, v []VecVirtual, stop LabelRef) {
		m := magnitude(v, stop)
		VDIVPS(number("f127", 127), m, m)
		storeHalf(m, Mem{Base: dst})
		VDIVPS(m, one, m)
		for _, x := range v {
			t := YMM()
			VMULPS(m, x, x)
			// Half away from zero: what is just below a half is added, with the sign.
			VANDPS(signMask(), x, t)
			VORPS(constant("belowHalf", 0x3effffff), t, t)
			VADDPS(t, x, x)
			VCVTTPS2DQ(x, x)
		}
		VMOVDQU(bytesOf(v), Mem{Base: dst, Disp: 2})
	})
}

// mxfp4 leaves blocks to the reference whose greatest magnitude is so near below a power of two that its logarithm may be
// rounded up. A number is found by counting the midpoints between numbers that are below the value.
func mxfp4() {
	blockLoop("mxfp4Blocks", 1+16, func() {}, func(dst, _ Register, v []VecVirtual, stop LabelRef) {
		m, g := greatest(v)
		scale, rest := GP32(), GP32()
		MOVL(g, scale)
		MOVL(g, rest)
		SUBL(U32(least), g)
		CMPL(g, U32(0x7f000000-least)) // below 2^127: none of the products below is infinite
		JAE(stop)
		ANDL(U32(0x7fffff), rest)
		CMPL(rest, U32(0x7fffc0))
		JAE(stop)
		SHRL(Imm(23), scale)
		SUBL(Imm(2), scale)
		MOVB(scale.(GPVirtual).As8(), Mem{Base: dst})
		VPAND(constant("infBits", 0x7f800000), m, m)
		VBROADCASTSS(m.AsX(), m)
		levels := vectors(4)
		for i, x := range v {
			VPSRLD(Imm(31), x, levels[i])
			VPSLLD(Imm(3), levels[i], levels[i])
			VANDPS(absMask(), x, x)
		}
		for k, midpoint := range []float32{0.5, 1.5, 2.5, 3.5, 5, 7, 10} {
			t := YMM()
			VMULPS(number(fmt.Sprintf("e2m1Mid%d", k), midpoint/8), m, t)
			for i, x := range v {
				above := YMM()
				VCMPPS(Imm(cmpGT), t, x, above)
				if k == 0 { // zero has no sign
					VPAND(above, levels[i], levels[i])
				}
				VPSUBD(above, levels[i], levels[i])
			}
		}
		storeLevels(bytesOf(levels), false, dst, 1)
	})
}

// vectorLoop runs body on 8 values at a time.
func vectorLoop(name, signature, dstName, srcName string, dstStep, srcStep int, body func(dst, src Mem)) {
	TEXT(name, NOSPLIT, signature)
	dst, src, n := ptr(dstName), ptr(srcName), ptr("n")
	Label("loop")
	body(Mem{Base: dst}, Mem{Base: src})
	ADDQ(I32(int32(srcStep)), src)
	ADDQ(I32(int32(dstStep)), dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// narrow stores 16 values at a time in 16 bits each. It stops before 16 with a NaN among them.
func narrow(name string, body func(v []VecVirtual, to Mem)) {
	TEXT(name, NOSPLIT, "func(dst *byte, src *float32, n int) int")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	Label("loop")
	v := vectors(2)
	for i := range v {
		VMOVUPS(Mem{Base: src, Disp: 32 * i}, v[i])
	}
	nan, g := YMM(), GP32()
	VCMPPS(Imm(cmpUnord), v[1], v[0], nan)
	VMOVMSKPS(nan, g)
	TESTL(g, g)
	JNZ(LabelRef("stop"))
	body(v, Mem{Base: dst})
	ADDQ(I32(64), src)
	ADDQ(I32(32), dst)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	Label("stop")
	done := ptr("n")
	SUBQ(n, done)
	Store(done, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func conversions() {
	vectorLoop("widenF16", "func(dst *float32, src *byte, n int)", "dst", "src", 32, 16, func(dst, src Mem) {
		v := YMM()
		VCVTPH2PS(src, v)
		VMOVUPS(v, dst)
	})
	vectorLoop("widenBF16", "func(dst *float32, src *byte, n int)", "dst", "src", 32, 16, func(dst, src Mem) {
		v := YMM()
		VPMOVZXWD(src, v)
		VPSLLD(Imm(16), v, v)
		VMOVDQU(v, dst)
	})
	narrow("narrowBF16", func(v []VecVirtual, to Mem) {
		for _, x := range v {
			t := YMM()
			VPSRLD(Imm(16), x, t)
			VPAND(constant("oneI", 1), t, t)
			VPADDD(t, x, x)
			VPADDD(constant("i7fff", 0x7fff), x, x)
			VPSRLD(Imm(16), x, x)
		}
		VPACKUSDW(v[1], v[0], v[0])
		VPERMQ(Imm(0xd8), v[0], v[0])
		VMOVDQU(v[0], to)
	})
	narrow("narrowF16", func(v []VecVirtual, to Mem) {
		for i, x := range v {
			h := XMM() // straight to memory is slower
			VCVTPS2PH(Imm(0), x, h)
			VMOVDQU(h, to.Offset(16*i))
		}
	})
	TEXT("finiteBlocks", NOSPLIT, "func(src *float32, n int) int")
	src, n := ptr("src"), ptr("n")
	inf := YMM()
	VMOVDQU(constant("belowInf", 0x7f7fffff), inf)
	Label("loop")
	any := YMM()
	for i := range 4 {
		t := any
		if i > 0 {
			t = YMM()
		}
		VMOVDQU(Mem{Base: src, Disp: 32 * i}, t)
		VPAND(absMask(), t, t)
		if i > 0 {
			VPMAXSD(t, any, any)
		}
	}
	VPCMPGTD(inf, any, any)
	g := GP32()
	VMOVMSKPS(any, g)
	TESTL(g, g)
	JNZ(LabelRef("stop"))
	ADDQ(I32(128), src)
	SUBQ(Imm(32), n)
	JNZ(LabelRef("loop"))
	Label("stop")
	done := ptr("n")
	SUBQ(n, done)
	Store(done, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
