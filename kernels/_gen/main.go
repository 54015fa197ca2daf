// Command _gen writes simd_amd64.s: the kernels of package kernels for CPUs with AVX2 and F16C, and with AVX-512.
//
// A vector lane holds a group of values of its own, never a part of a sum: so every sum keeps the order that the pure Go
// reference has, and with it every bit. No instruction fuses a product with a sum.
//
//	go run . >../simd_amd64.s.new && mv ../simd_amd64.s.new ../simd_amd64.s
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	transpose("transpose32", 32, 64)
	transpose("transpose16", 16, 64)
	transpose("transpose16Dense", 16, 32)
	transpose("transpose8Dense", 8, 32)
	sumSquares()
	magnitudes()
	importance()
	affine("affine32", 32, false)
	affine("affine16", 16, false)
	affine("affine16abs", 16, true)
	symmetric("symmetric32", 32)
	symmetric("symmetric16", 16)
	eachLane("squaresLanes", func(v VecVirtual) { VMULPS(v, v, v) })
	eachLane("absoluteLanes", func(v VecVirtual) { VANDPS(absMask(), v, v) })
	requantize("requantize32", 32)
	requantize("requantize16", 16)
	levels()
	refine()
	superScale("superScale8", 8)
	superScale("superScale16", 16)
	q8_0()
	mxfp4()
	batches("", false)
	conversions()
	expanders()
	compare("compareBlocks", YMM, 4)
	affineWide("affine32Wide", 32, false)
	affineWide("affine16Wide", 16, false)
	affineWide("affine16absWide", 16, true)
	symmetricWide("symmetric32Wide", 32)
	symmetricWide("symmetric16Wide", 16)
	refineWide()
	batches("Wide", true)
	compare("compareBlocksWide", ZMM, 8)
	Generate()
}

// Immediates of VCMPPS: ordered unless said otherwise.
const (
	cmpUnord = 3
	cmpNLT   = 5 // not less, or unordered
	cmpLT    = 17
	cmpGT    = 30
	cmpNEQ   = 4 // or unordered
	cmpEQ    = 0
)

// nearest is the rounding of VROUNDPS that equals adding and taking away 1.5*2^23 up to 2^22.
const nearest = 0

var constants = map[string]Mem{}

// constant is a vector of eight times the same 32 bits.
func constant(name string, bits uint32) Mem {
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(bits))
		}
		constants[name] = m
	}
	return m
}

// number is a vector of eight times f.
func number(name string, f float32) Mem { return constant(name, math.Float32bits(f)) }

func absMask() Mem    { return constant("absMask", 0x7fffffff) }
func signMask() Mem   { return constant("signMask", 0x80000000) }
func oneF() Mem       { return number("oneF", 1) }
func magicF() Mem     { return number("magicF", 3<<22) }
func mantissa() Mem   { return constant("mantissa", 0x7fffff) }
func quietBit() Mem   { return constant("quietBit", 0x400000) }
func exactLimit() Mem { return number("exactLimit", 1<<22-1) }

func vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

func zero() VecVirtual {
	z := YMM()
	VXORPS(z, z, z)
	return z
}

func broadcast(param string) VecVirtual {
	p, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSS(p.Addr, v)
	return v
}

func ptr(param string) Register { return Load(Param(param), GP64()) }

// nearestInt turns floats into the integers that the reference's nearestInt gives, beyond 2^22 too.
func nearestInt(v VecVirtual) {
	VADDPS(magicF(), v, v)
	VPAND(mantissa(), v, v)
	VPSUBD(quietBit(), v, v)
}

// loop runs body for the rows from..to-1 of lanes, 64 bytes each, 4 rows per turn. What body does with row i is to
// address memory at row + 64*i.
func loop(row Register, from, to int, body func(i int)) {
	loops++
	label := fmt.Sprintf("rows%d", loops)
	if from == 0 {
		XORQ(row, row)
	} else {
		MOVQ(I32(int32(64*from)), row)
	}
	Label(label)
	for i := range 4 {
		body(i)
	}
	ADDQ(I32(64*4), row)
	CMPQ(row, I32(int32(64*to)))
	JNE(LabelRef(label))
}

var loops int

// tile transposes 8 rows of 8 floats.
func tile(r []VecVirtual) []VecVirtual {
	t, s, o := vectors(8), vectors(8), vectors(8)
	for j := 0; j < 8; j += 2 {
		VUNPCKLPS(r[j+1], r[j], t[j])
		VUNPCKHPS(r[j+1], r[j], t[j+1])
	}
	for j := 0; j < 8; j += 4 {
		for k := range 2 {
			VSHUFPS(Imm(0x44), t[j+2+k], t[j+k], s[j+2*k])
			VSHUFPS(Imm(0xee), t[j+2+k], t[j+k], s[j+2*k+1])
		}
	}
	for j := range 4 {
		VPERM2F128(Imm(0x20), s[j+4], s[j], o[j])
		VPERM2F128(Imm(0x31), s[j+4], s[j], o[j+4])
	}
	return o
}

// transpose lays 8 groups of n values, one after the other, side by side in the lanes of n vectors that lie stride bytes
// apart.
func transpose(name string, n, stride int) {
	TEXT(name, NOSPLIT, "func(dst, src *float32)")
	dst, src := ptr("dst"), ptr("src")
	for b := 0; b < n; b += 8 {
		r := vectors(8)
		for j := range r {
			VMOVUPS(Mem{Base: src, Disp: 4 * (n*j + b)}, r[j])
		}
		for j, v := range tile(r) {
			VMOVUPS(v, Mem{Base: dst, Disp: stride * (b + j)})
		}
	}
	VZEROUPPER()
	RET()
}

// sumSquares adds the squares of 8 rows of n values that lie stride bytes apart, each row from left to right.
func sumSquares() {
	TEXT("sumSquares8", NOSPLIT, "func(sums, src *float32, stride, n int)")
	sums, src := ptr("sums"), ptr("src")
	stride, n := ptr("stride"), ptr("n")
	high := GP64()
	LEAQ(Mem{Base: src, Index: stride, Scale: 4}, high)
	three := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	acc := zero()
	Label("loop")
	r := vectors(8)
	for j, base := range []Register{src, high} {
		VMOVUPS(Mem{Base: base}, r[4*j])
		VMOVUPS(Mem{Base: base, Index: stride, Scale: 1}, r[4*j+1])
		VMOVUPS(Mem{Base: base, Index: stride, Scale: 2}, r[4*j+2])
		VMOVUPS(Mem{Base: base, Index: three, Scale: 1}, r[4*j+3])
	}
	for _, v := range r {
		VMULPS(v, v, v)
	}
	for _, v := range tile(r) {
		VADDPS(v, acc, acc)
	}
	ADDQ(I32(32), src)
	ADDQ(I32(32), high)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VMOVUPS(acc, Mem{Base: sums})
	VZEROUPPER()
	RET()
}

// magnitudes fills the weights of one set of 8 groups of 32: root mean square of the group plus magnitude of the value.
func magnitudes() {
	TEXT("magnitudes32", NOSPLIT, "func(w, x *float32)")
	w, x := ptr("w"), ptr("x")
	base, t := zero(), YMM()
	for i := range 32 {
		VMOVUPS(Mem{Base: x, Disp: 64 * i}, t)
		VMULPS(t, t, t)
		VADDPS(t, base, base)
	}
	VMULPS(number("thirtySecond", 1.0/32), base, base) // exact, as the division
	VSQRTPS(base, base)
	for i := range 32 {
		VMOVUPS(Mem{Base: x, Disp: 64 * i}, t)
		VANDPS(absMask(), t, t)
		VADDPS(t, base, t)
		VMOVUPS(t, Mem{Base: w, Disp: 64 * i})
	}
	VZEROUPPER()
	RET()
}

// importance turns n vectors of importance weights into those of the search and adds them up per lane.
func importance() {
	TEXT("importanceLanes", NOSPLIT, "func(w, x, sums *float32, n int, sigma2 float32)")
	w, x, sums, n := ptr("w"), ptr("x"), ptr("sums"), ptr("n")
	sigma2, sum, t := broadcast("sigma2"), zero(), YMM()
	Label("loop")
	for i := range 4 {
		VMOVUPS(Mem{Base: x, Disp: 64 * i}, t)
		VMULPS(t, t, t)
		VADDPS(t, sigma2, t)
		VSQRTPS(t, t)
		VMULPS(Mem{Base: w, Disp: 64 * i}, t, t)
		VMOVUPS(t, Mem{Base: w, Disp: 64 * i})
		VADDPS(t, sum, sum)
	}
	ADDQ(I32(256), x)
	ADDQ(I32(256), w)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("loop"))
	VMOVUPS(sum, Mem{Base: sums})
	VZEROUPPER()
	RET()
}

// requantize rounds (x+m)/d of groups of n values to integers, clamps them to lo..hi, and stores them less lo as bytes.
func requantize(name string, n int) {
	TEXT(name, NOSPLIT, "func(levels *byte, x, d, m *float32, groups int, lo, hi int32)")
	out, x, d, m, groups := ptr("levels"), ptr("x"), ptr("d"), ptr("m"), ptr("groups")
	lo, hi := broadcast("lo"), broadcast("hi")
	Label("loop")
	vd, vm := YMM(), YMM()
	VBROADCASTSS(Mem{Base: d}, vd)
	VBROADCASTSS(Mem{Base: m}, vm)
	v := vectors(n / 8)
	for i := range v {
		VADDPS(Mem{Base: x, Disp: 32 * i}, vm, v[i])
		VDIVPS(vd, v[i], v[i])
		nearestInt(v[i])
	}
	storeBytes(v, lo, hi, out)
	ADDQ(Imm(4), d)
	ADDQ(Imm(4), m)
	ADDQ(I32(int32(4*n)), x)
	ADDQ(I32(int32(n)), out)
	DECQ(groups)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// levels rounds (x-low)*scale of groups of 32 values, and stores them as requantize does.
func levels() {
	TEXT("levels32", NOSPLIT, "func(levels *byte, x, scale, low *float32, groups int, lo, hi int32)")
	out, x, scale, low, groups := ptr("levels"), ptr("x"), ptr("scale"), ptr("low"), ptr("groups")
	lo, hi := broadcast("lo"), broadcast("hi")
	Label("loop")
	vs, vl := YMM(), YMM()
	VBROADCASTSS(Mem{Base: scale}, vs)
	VBROADCASTSS(Mem{Base: low}, vl)
	v := vectors(4)
	for i := range v {
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, v[i])
		VSUBPS(vl, v[i], v[i])
		VMULPS(vs, v[i], v[i])
		nearestInt(v[i])
	}
	storeBytes(v, lo, hi, out)
	ADDQ(Imm(4), scale)
	ADDQ(Imm(4), low)
	ADDQ(I32(128), x)
	ADDQ(I32(32), out)
	DECQ(groups)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// storeBytes clamps 16 or 32 integers and stores them less lo, in their order.
func storeBytes(v []VecVirtual, lo, hi VecVirtual, out Register) {
	for _, l := range v {
		VPMINSD(hi, l, l)
		VPMAXSD(lo, l, l)
		VPSUBD(lo, l, l)
	}
	for i := 0; i < len(v); i += 2 {
		VPACKSSDW(v[i+1], v[i], v[i])
	}
	// Packing works in halves of a register: put them in order.
	if len(v) == 2 {
		low, high := v[0].AsX(), XMM()
		VPERMQ(Imm(0xd8), v[0], v[0])
		VEXTRACTI128(Imm(1), v[0], high)
		VPACKUSWB(high, low, low)
		VMOVDQU(low, Mem{Base: out})
		return
	}
	VPACKUSWB(v[2], v[0], v[0])
	order := YMM()
	VMOVDQU(byteOrder(), order)
	VPERMD(v[0], order, v[0])
	VMOVDQU(v[0], Mem{Base: out})
}

func byteOrder() Mem {
	m, ok := constants["byteOrder"]
	if !ok {
		m = GLOBL("byteOrder", RODATA|NOPTR)
		for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
			DATA(4*i, U32(v))
		}
		constants["byteOrder"] = m
	}
	return m
}
