// Package arm64 writes assembly for Go's assembler on arm64, with the vector instructions that it doesn't know as words.
//
// What it offers beyond that is small: registers by number with a free list for vectors, so that none is used twice, and
// the frame of a function. Branches and whole numbers are written in Go's own assembly, by [Asm.Op].
package arm64

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
)

// V is a vector register.
type V uint8

// R is a general register, one of the first 16.
type R uint8

func (r R) String() string { return fmt.Sprintf("R%d", uint8(r)) }

// Mem is memory at a register plus an offset in bytes.
type Mem struct {
	Base   R
	Offset int
}

// At is m that many bytes on.
func (m Mem) At(offset int) Mem { return Mem{m.Base, m.Offset + offset} }

// Asm collects functions.
type Asm struct {
	out, body bytes.Buffer
	name      string
	params    string
	labels    int
	used      uint32 // a bit for each vector register
	usedR     uint32
}

// Func writes a function with Go's parameters of the given signature, such as "x *float32, n int, f float32", and the size
// of its result in bytes, which is 0, 4 or 8.
func (a *Asm) Func(name, signature string, result int, body func()) {
	a.name, a.params = name, signature
	a.used, a.usedR = 0, 0
	a.body.Reset()
	body()
	a.Op("RET")
	size := 0
	for _, p := range a.fields() {
		size = p.offset + p.size
	}
	if result > 0 {
		size = (size+7)&^7 + result
	}
	fmt.Fprintf(&a.out, "\n// func %s(%s)\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", name, signature, name, size)
	a.out.Write(a.body.Bytes())
}

type field struct {
	name, typ    string
	offset, size int
}

func (a *Asm) fields() (list []field) {
	at := 0
	parts := strings.Split(a.params, ", ")
	for i, p := range parts {
		name, typ, _ := strings.Cut(p, " ")
		for j := i; typ == ""; j++ {
			_, typ, _ = strings.Cut(parts[j], " ")
		}
		size := 8
		if typ == "float32" || typ == "int32" {
			size = 4
		}
		at = (at + size - 1) &^ (size - 1)
		list = append(list, field{name, typ, at, size})
		at += size
	}
	return list
}

func (a *Asm) param(name string) field {
	for _, p := range a.fields() {
		if p.name == name {
			return p
		}
	}
	panic(a.name + ": no parameter " + name)
}

// Param loads a pointer or a number of 8 bytes into a general register of its own.
func (a *Asm) Param(name string) R {
	p, r := a.param(name), a.R()
	a.Op("MOVD %s+%d(FP), %v", name, p.offset, r)
	return r
}

// ParamAll loads a number of 4 bytes into all lanes.
func (a *Asm) ParamAll(name string) V {
	p, v := a.param(name), a.V()
	a.WithR(func(r R) {
		a.Op("MOVWU %s+%d(FP), %v", name, p.offset, r)
		a.Dup(v, r)
	})
	return v
}

// Result stores a general register as the function's result.
func (a *Asm) Result(r R, size int) {
	at := 0
	for _, p := range a.fields() {
		at = p.offset + p.size
	}
	op := map[int]string{4: "MOVW", 8: "MOVD"}[size]
	a.Op("%s %v, ret+%d(FP)", op, r, (at+7)&^7)
}

// Op writes a line of Go's assembly.
func (a *Asm) Op(format string, args ...any) {
	fmt.Fprintf(&a.body, "\t"+format+"\n", args...)
}

// Comment writes one.
func (a *Asm) Comment(text string) { fmt.Fprintf(&a.body, "\n\t// %s\n", text) }

// Label makes a name for a place in the function, which Place then sets.
func (a *Asm) Label(name string) string { a.labels++; return fmt.Sprintf("%s%d", name, a.labels) }

// Place sets a label.
func (a *Asm) Place(label string) { fmt.Fprintf(&a.body, "%s:\n", label) }

// V gives a free vector register, until the end of the innermost Scope.
func (a *Asm) V() V {
	for i := range 32 {
		if a.used>>i&1 == 0 {
			a.used |= 1 << i
			return V(i)
		}
	}
	panic(a.name + ": out of vector registers")
}

// Vs gives n free vector registers.
func (a *Asm) Vs(n int) []V {
	v := make([]V, n)
	for i := range v {
		v[i] = a.V()
	}
	return v
}

// Free gives registers back before their scope ends.
func (a *Asm) Free(vs ...V) {
	for _, v := range vs {
		a.used &^= 1 << v
	}
}

// R gives a free general register, until the end of the innermost Scope.
func (a *Asm) R() R {
	for i := range 16 {
		if a.usedR>>i&1 == 0 {
			a.usedR |= 1 << i
			return R(i)
		}
	}
	panic(a.name + ": out of general registers")
}

// WithR lends a general register.
func (a *Asm) WithR(f func(r R)) { a.Scope(func() { f(a.R()) }) }

// Scope frees at its end the registers that were taken in it.
func (a *Asm) Scope(f func()) {
	used, usedR := a.used, a.usedR
	f()
	a.used, a.usedR = a.used&used, a.usedR&usedR
}

// Bits gives a register with the same 32 bits in all lanes.
func (a *Asm) Bits(bits uint32) V {
	v := a.V()
	a.WithR(func(r R) {
		a.Op("MOVD $0x%x, %v", bits, r)
		a.Dup(v, r)
	})
	return v
}

// Number gives a register with f in all lanes.
func (a *Asm) Number(f float32) V { return a.Bits(math.Float32bits(f)) }

// Bytes gives a register with 16 bytes.
func (a *Asm) Bytes(f func(i int) uint8) V {
	v := a.V()
	a.WithR(func(r R) {
		for half := range 2 {
			var word uint64
			for i := range 8 {
				word |= uint64(f(8*half+i)) << (8 * i)
			}
			a.Op("MOVD $0x%x, %v", word, r)
			if half == 0 {
				a.FMovFromX(v, r)
			} else {
				a.InsHigh(v, r)
			}
		}
	})
	return v
}

// Zeroed gives a cleared register.
func (a *Asm) Zeroed() V {
	v := a.V()
	a.Zero(v)
	return v
}

// Write writes all functions as a file of Go assembly.
func (a *Asm) Write(w io.Writer, header string) error {
	_, err := fmt.Fprintf(w, "%s\n#include \"textflag.h\"\n%s", header, a.out.Bytes())
	return err
}
