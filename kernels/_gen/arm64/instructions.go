package arm64

import "fmt"

// Instructions of which Go's assembler has too few: all that work on vectors of floats, and with them, for the sake of
// one way to name registers, the others on vectors. There is no multiplication with addition among them, and there must
// not be one: it rounds once where the reference rounds twice.
//
// Each method emits its instruction with the GNU assembler's text for it as a comment. The test gives all texts to that
// assembler and compares.

// Arrangements of a register's lanes, as they stand behind its name.
const (
	B16 = "16b"
	B8  = "8b"
	H8  = "8h"
	H4  = "4h"
	S4  = "4s"
	D2  = "2d"
)

func (a *Asm) word(w uint32, format string, args ...any) {
	fmt.Fprintf(&a.body, "\tWORD $0x%08x // %s\n", w, fmt.Sprintf(format, args...))
}

func (a *Asm) three(base uint32, name, lanes string, d, n, m V) {
	a.word(base|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, v%d.%s", name, d, lanes, n, lanes, m, lanes)
}

func (a *Asm) two(base uint32, name, to, from string, d, n V) {
	a.word(base|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s", name, d, to, n, from)
}

// Four floats.

func (a *Asm) FAdd(d, n, m V)  { a.three(0x4e20d400, "fadd", S4, d, n, m) }
func (a *Asm) FSub(d, n, m V)  { a.three(0x4ea0d400, "fsub", S4, d, n, m) }
func (a *Asm) FMul(d, n, m V)  { a.three(0x6e20dc00, "fmul", S4, d, n, m) }
func (a *Asm) FDiv(d, n, m V)  { a.three(0x6e20fc00, "fdiv", S4, d, n, m) }
func (a *Asm) FMin(d, n, m V)  { a.three(0x4ea0f400, "fmin", S4, d, n, m) }
func (a *Asm) FMax(d, n, m V)  { a.three(0x4e20f400, "fmax", S4, d, n, m) }
func (a *Asm) FMinP(d, n, m V) { a.three(0x6ea0f400, "fminp", S4, d, n, m) }
func (a *Asm) FMaxP(d, n, m V) { a.three(0x6e20f400, "fmaxp", S4, d, n, m) }

// FAbd is |n-m|.
func (a *Asm) FAbd(d, n, m V) { a.three(0x6ea0d400, "fabd", S4, d, n, m) }

// Comparisons give all bits of a lane, or none. They are false where there is a NaN. FACmGT compares magnitudes.

func (a *Asm) FCmEQ(d, n, m V)  { a.three(0x4e20e400, "fcmeq", S4, d, n, m) }
func (a *Asm) FCmGT(d, n, m V)  { a.three(0x6ea0e400, "fcmgt", S4, d, n, m) }
func (a *Asm) FACmGT(d, n, m V) { a.three(0x6ea0ec00, "facgt", S4, d, n, m) }

func (a *Asm) compareZero(base uint32, name string, d, n V) {
	a.word(base|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.4s, #0.0", name, d, n)
}

func (a *Asm) FCmGT0(d, n V) { a.compareZero(0x4ea0c800, "fcmgt", d, n) }
func (a *Asm) FCmLT0(d, n V) { a.compareZero(0x4ea0e800, "fcmlt", d, n) }
func (a *Asm) FCmEQ0(d, n V) { a.compareZero(0x4ea0d800, "fcmeq", d, n) }

func (a *Asm) FAbs(d, n V)  { a.two(0x4ea0f800, "fabs", S4, S4, d, n) }
func (a *Asm) FNeg(d, n V)  { a.two(0x6ea0f800, "fneg", S4, S4, d, n) }
func (a *Asm) FSqrt(d, n V) { a.two(0x6ea1f800, "fsqrt", S4, S4, d, n) }

// FRintN rounds to an integer, half to even.
func (a *Asm) FRintN(d, n V) { a.two(0x4e218800, "frintn", S4, S4, d, n) }

// FCvtZS and FCvtAS convert to integers, toward zero and half away from zero.
func (a *Asm) FCvtZS(d, n V) { a.two(0x4ea1b800, "fcvtzs", S4, S4, d, n) }
func (a *Asm) FCvtAS(d, n V) { a.two(0x4e21c800, "fcvtas", S4, S4, d, n) }
func (a *Asm) SCvtF(d, n V)  { a.two(0x4e21d800, "scvtf", S4, S4, d, n) }

// FMulLane multiplies all lanes by lane i of m.
func (a *Asm) FMulLane(d, n, m V, i int) {
	a.word(0x4f809000|uint32(i&1)<<21|uint32(i>>1)<<11|uint32(m)<<16|uint32(n)<<5|uint32(d),
		"fmul v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, i)
}

// Two doubles.

func (a *Asm) FAddD(d, n, m V)   { a.three(0x4e60d400, "fadd", D2, d, n, m) }
func (a *Asm) FSubD(d, n, m V)   { a.three(0x4ee0d400, "fsub", D2, d, n, m) }
func (a *Asm) FMulD(d, n, m V)   { a.three(0x6e60dc00, "fmul", D2, d, n, m) }
func (a *Asm) FMaxNmD(d, n, m V) { a.three(0x4e60c400, "fmaxnm", D2, d, n, m) }
func (a *Asm) FAbsD(d, n V)      { a.two(0x4ee0f800, "fabs", D2, D2, d, n) }

// Widening and narrowing. Those with a 2 read or write the upper half of the long vector's partner.

func (a *Asm) FCvtLHalf(d, n V)  { a.two(0x0e217800, "fcvtl", S4, H4, d, n) }
func (a *Asm) FCvtL2Half(d, n V) { a.two(0x4e217800, "fcvtl2", S4, H8, d, n) }
func (a *Asm) FCvtNHalf(d, n V)  { a.two(0x0e216800, "fcvtn", H4, S4, d, n) }
func (a *Asm) FCvtN2Half(d, n V) { a.two(0x4e216800, "fcvtn2", H8, S4, d, n) }
func (a *Asm) FCvtL(d, n V)      { a.two(0x0e617800, "fcvtl", D2, "2s", d, n) }
func (a *Asm) FCvtL2(d, n V)     { a.two(0x4e617800, "fcvtl2", D2, S4, d, n) }

func (a *Asm) widen(base uint32, name, to, from string, d, n V) {
	a.word(base|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, #0", name, d, to, n, from)
}

func (a *Asm) UShLLB(d, n V)  { a.widen(0x2f08a400, "ushll", H8, B8, d, n) }
func (a *Asm) UShLL2B(d, n V) { a.widen(0x6f08a400, "ushll2", H8, B16, d, n) }
func (a *Asm) UShLLH(d, n V)  { a.widen(0x2f10a400, "ushll", S4, H4, d, n) }
func (a *Asm) UShLL2H(d, n V) { a.widen(0x6f10a400, "ushll2", S4, H8, d, n) }
func (a *Asm) SShLLB(d, n V)  { a.widen(0x0f08a400, "sshll", H8, B8, d, n) }
func (a *Asm) SShLL2B(d, n V) { a.widen(0x4f08a400, "sshll2", H8, B16, d, n) }
func (a *Asm) SShLLH(d, n V)  { a.widen(0x0f10a400, "sshll", S4, H4, d, n) }
func (a *Asm) SShLL2H(d, n V) { a.widen(0x4f10a400, "sshll2", S4, H8, d, n) }

// ShLLH and ShLL2H shift to the left by 16 as well.

func (a *Asm) ShLLH(d, n V) {
	a.word(0x2e613800|uint32(n)<<5|uint32(d), "shll v%d.4s, v%d.4h, #16", d, n)
}
func (a *Asm) ShLL2H(d, n V) {
	a.word(0x6e613800|uint32(n)<<5|uint32(d), "shll2 v%d.4s, v%d.8h, #16", d, n)
}

// Bits of a whole register. Bit takes those of n where m has ones.

func (a *Asm) And(d, n, m V) { a.three(0x4e201c00, "and", B16, d, n, m) }
func (a *Asm) Bic(d, n, m V) { a.three(0x4e601c00, "bic", B16, d, n, m) }
func (a *Asm) Orr(d, n, m V) { a.three(0x4ea01c00, "orr", B16, d, n, m) }
func (a *Asm) Orn(d, n, m V) { a.three(0x4ee01c00, "orn", B16, d, n, m) }
func (a *Asm) Bit(d, n, m V) { a.three(0x6ea01c00, "bit", B16, d, n, m) }
func (a *Asm) Not(d, n V)    { a.two(0x6e205800, "mvn", B16, B16, d, n) }
func (a *Asm) Mov(d, n V) {
	a.word(0x4ea01c00|uint32(n)<<16|uint32(n)<<5|uint32(d), "mov v%d.16b, v%d.16b", d, n)
}

// Integers.

func (a *Asm) Add(d, n, m V)        { a.three(0x4ea08400, "add", S4, d, n, m) }
func (a *Asm) Sub(d, n, m V)        { a.three(0x6ea08400, "sub", S4, d, n, m) }
func (a *Asm) SubBytes(d, n, m V)   { a.three(0x6e208400, "sub", B16, d, n, m) }
func (a *Asm) SMin(d, n, m V)       { a.three(0x4ea06c00, "smin", S4, d, n, m) }
func (a *Asm) SMax(d, n, m V)       { a.three(0x4ea06400, "smax", S4, d, n, m) }
func (a *Asm) UMax(d, n, m V)       { a.three(0x6ea06400, "umax", S4, d, n, m) }
func (a *Asm) CmGT(d, n, m V)       { a.three(0x4ea03400, "cmgt", S4, d, n, m) }
func (a *Asm) CmTstBytes(d, n, m V) { a.three(0x4e208c00, "cmtst", B16, d, n, m) }

func (a *Asm) rightShift(base uint32, width int, lanes string, d, n V, shift int) {
	a.word(base|uint32(2*width-shift)<<16|uint32(n)<<5|uint32(d), "ushr v%d.%s, v%d.%s, #%d", d, lanes, n, lanes, shift)
}

func (a *Asm) leftShift(base uint32, width int, lanes string, d, n V, shift int) {
	a.word(base|uint32(width+shift)<<16|uint32(n)<<5|uint32(d), "shl v%d.%s, v%d.%s, #%d", d, lanes, n, lanes, shift)
}

func (a *Asm) UShr(d, n V, shift int)      { a.rightShift(0x6f000400, 32, S4, d, n, shift) }
func (a *Asm) UShrBytes(d, n V, shift int) { a.rightShift(0x6f000400, 8, B16, d, n, shift) }
func (a *Asm) Shl(d, n V, shift int)       { a.leftShift(0x4f005400, 32, S4, d, n, shift) }
func (a *Asm) ShlBytes(d, n V, shift int)  { a.leftShift(0x4f005400, 8, B16, d, n, shift) }

// Order of lanes.

func (a *Asm) Trn1(d, n, m V)      { a.three(0x4e802800, "trn1", S4, d, n, m) }
func (a *Asm) Trn2(d, n, m V)      { a.three(0x4e806800, "trn2", S4, d, n, m) }
func (a *Asm) Trn1Pairs(d, n, m V) { a.three(0x4ec02800, "trn1", D2, d, n, m) }
func (a *Asm) Trn2Pairs(d, n, m V) { a.three(0x4ec06800, "trn2", D2, d, n, m) }
func (a *Asm) Uzp1Bytes(d, n, m V) { a.three(0x4e001800, "uzp1", B16, d, n, m) }
func (a *Asm) Uzp1Halfs(d, n, m V) { a.three(0x4e401800, "uzp1", H8, d, n, m) }
func (a *Asm) Uzp2Halfs(d, n, m V) { a.three(0x4e405800, "uzp2", H8, d, n, m) }

// Tbl takes the bytes of n that m names.
func (a *Asm) Tbl(d, n, m V) {
	a.word(0x4e000000|uint32(m)<<16|uint32(n)<<5|uint32(d), "tbl v%d.16b, {v%d.16b}, v%d.16b", d, n, m)
}

// Dup copies a general register to all lanes, DupLane lane i of a vector.

func (a *Asm) Dup(d V, n R) { a.word(0x4e040c00|uint32(n)<<5|uint32(d), "dup v%d.4s, w%d", d, n) }
func (a *Asm) DupLane(d, n V, i int) {
	a.word(0x4e040400|uint32(i)<<19|uint32(n)<<5|uint32(d), "dup v%d.4s, v%d.s[%d]", d, n, i)
}

// Zero clears a register.
func (a *Asm) Zero(d V) { a.word(0x6f00e400|uint32(d), "movi v%d.2d, #0", d) }

// UMaxV, FMaxV and AddV fold the lanes into the lowest.

func (a *Asm) UMaxV(d, n V) { a.word(0x6eb0a800|uint32(n)<<5|uint32(d), "umaxv s%d, v%d.4s", d, n) }
func (a *Asm) AddV(d, n V)  { a.word(0x4eb1b800|uint32(n)<<5|uint32(d), "addv s%d, v%d.4s", d, n) }
func (a *Asm) FMaxV(d, n V) { a.word(0x6e30f800|uint32(n)<<5|uint32(d), "fmaxv s%d, v%d.4s", d, n) }

// AddPBytes adds neighbouring bytes of n, and then of m.
func (a *Asm) AddPBytes(d, n, m V) { a.three(0x4e20bc00, "addp", B16, d, n, m) }

// Between vectors and general registers: the lowest lane, and the upper half of a register.

func (a *Asm) FMovToW(d R, n V)   { a.word(0x1e260000|uint32(n)<<5|uint32(d), "fmov w%d, s%d", d, n) }
func (a *Asm) FMovFromW(d V, n R) { a.word(0x1e270000|uint32(n)<<5|uint32(d), "fmov s%d, w%d", d, n) }
func (a *Asm) FMovFromX(d V, n R) { a.word(0x9e670000|uint32(n)<<5|uint32(d), "fmov d%d, x%d", d, n) }
func (a *Asm) InsHigh(d V, n R)   { a.word(0x4e181c00|uint32(n)<<5|uint32(d), "mov v%d.d[1], x%d", d, n) }

// MovLane and InsLane move lane i, MovHalf the i-th 16 bits.

func (a *Asm) MovLane(d R, n V, i int) {
	a.word(0x0e043c00|uint32(i)<<19|uint32(n)<<5|uint32(d), "mov w%d, v%d.s[%d]", d, n, i)
}
func (a *Asm) InsLane(d V, i int, n R) {
	a.word(0x4e041c00|uint32(i)<<19|uint32(n)<<5|uint32(d), "mov v%d.s[%d], w%d", d, i, n)
}
func (a *Asm) MovHalf(d R, n V, i int) {
	a.word(0x0e023c00|uint32(i)<<18|uint32(n)<<5|uint32(d), "umov w%d, v%d.h[%d]", d, n, i)
}

// Memory at a register plus an offset.

func (a *Asm) memory(base uint32, name, size string, scale int, v V, m Mem) {
	if m.Offset < 0 || m.Offset%scale != 0 || m.Offset/scale > 4095 {
		panic(fmt.Sprintf("%s %s%d: offset %d", name, size, v, m.Offset))
	}
	text := fmt.Sprintf("[x%d, #%d]", m.Base, m.Offset)
	if m.Offset == 0 {
		text = fmt.Sprintf("[x%d]", m.Base)
	}
	a.word(base|uint32(m.Offset/scale)<<10|uint32(m.Base)<<5|uint32(v), "%s %s%d, %s", name, size, v, text)
}

func (a *Asm) Load(v V, m Mem)      { a.memory(0x3dc00000, "ldr", "q", 16, v, m) }
func (a *Asm) Store(v V, m Mem)     { a.memory(0x3d800000, "str", "q", 16, v, m) }
func (a *Asm) LoadHalf(v V, m Mem)  { a.memory(0x7d400000, "ldr", "h", 2, v, m) }
func (a *Asm) StoreHalf(v V, m Mem) { a.memory(0x7d000000, "str", "h", 2, v, m) }

// LoadUnaligned and StoreUnaligned take offsets of -256 to 255 that are no multiple of 16.

func (a *Asm) unscaled(base uint32, name, size string, v V, m Mem) {
	if m.Offset < -256 || m.Offset > 255 {
		panic(fmt.Sprintf("%s %s%d: offset %d", name, size, v, m.Offset))
	}
	a.word(base|uint32(m.Offset&511)<<12|uint32(m.Base)<<5|uint32(v), "%s %s%d, [x%d, #%d]", name, size, v, m.Base, m.Offset)
}

func (a *Asm) LoadUnaligned(v V, m Mem)  { a.unscaled(0x3cc00000, "ldur", "q", v, m) }
func (a *Asm) StoreUnaligned(v V, m Mem) { a.unscaled(0x3c800000, "stur", "q", v, m) }

// LoadNext loads and moves base on by as many bytes as it loaded, LoadAllNext the same float to all lanes.

func (a *Asm) LoadNext(v V, base R) {
	a.word(0x3cc10400|uint32(base)<<5|uint32(v), "ldr q%d, [x%d], #16", v, base)
}

func (a *Asm) LoadAllNext(v V, base R) {
	a.word(0x4ddfc800|uint32(base)<<5|uint32(v), "ld1r {v%d.4s}, [x%d], #4", v, base)
}

// LoadPair and StorePair take 32 bytes.

func (a *Asm) pair(base uint32, name string, v, w V, m Mem) {
	if m.Offset < -1024 || m.Offset > 1008 || m.Offset%16 != 0 {
		panic(fmt.Sprintf("%s q%d, q%d: offset %d", name, v, w, m.Offset))
	}
	text := fmt.Sprintf("[x%d, #%d]", m.Base, m.Offset)
	if m.Offset == 0 {
		text = fmt.Sprintf("[x%d]", m.Base)
	}
	a.word(base|uint32(m.Offset/16&127)<<15|uint32(w)<<10|uint32(m.Base)<<5|uint32(v), "%s q%d, q%d, %s", name, v, w, text)
}

func (a *Asm) LoadPair(v, w V, m Mem)  { a.pair(0xad400000, "ldp", v, w, m) }
func (a *Asm) StorePair(v, w V, m Mem) { a.pair(0xad000000, "stp", v, w, m) }
