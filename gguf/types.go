package gguf

import (
	"fmt"
	"math"
	"strings"
)

// Type is the number that a GGUF file stores for the type of a tensor's values (ggml_type).
type Type uint32

// The types of ggml, by its own numbers (enum ggml_type in ggml.h of llama.cpp 0.5.0).
// Missing numbers were withdrawn by ggml and mean nothing today.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q8_1   Type = 9
	Q2K    Type = 10
	Q3K    Type = 11
	Q4K    Type = 12
	Q5K    Type = 13
	Q6K    Type = 14
	Q8K    Type = 15
	IQ2XXS Type = 16
	IQ2XS  Type = 17
	IQ3XXS Type = 18
	IQ1S   Type = 19
	IQ4NL  Type = 20
	IQ3S   Type = 21
	IQ2S   Type = 22
	IQ4XS  Type = 23
	I8     Type = 24
	I16    Type = 25
	I32    Type = 26
	I64    Type = 27
	F64    Type = 28
	IQ1M   Type = 29
	BF16   Type = 30
	TQ1_0  Type = 34
	TQ2_0  Type = 35
	MXFP4  Type = 39
	NVFP4  Type = 40
	Q1_0   Type = 41
	Q2_0   Type = 42
)

// TypeInfo is a row of the type table: how a type's values are packed.
type TypeInfo struct {
	Type      Type
	Name      string // as ggml spells it: "q4_K"
	BlockLen  int64  // values in one block
	BlockSize int64  // bytes of one block
	Quantized bool   // blocks of several values that share a scale
}

// types is the one place where a tensor type is declared.
var types = []TypeInfo{
	{F32, "f32", 1, 4, false},
	{F16, "f16", 1, 2, false},
	{BF16, "bf16", 1, 2, false},
	{F64, "f64", 1, 8, false},
	{I8, "i8", 1, 1, false},
	{I16, "i16", 1, 2, false},
	{I32, "i32", 1, 4, false},
	{I64, "i64", 1, 8, false},
	{Q4_0, "q4_0", 32, 2 + 16, true},
	{Q4_1, "q4_1", 32, 2 + 2 + 16, true},
	{Q5_0, "q5_0", 32, 2 + 4 + 16, true},
	{Q5_1, "q5_1", 32, 2 + 2 + 4 + 16, true},
	{Q8_0, "q8_0", 32, 2 + 32, true},
	{Q8_1, "q8_1", 32, 2 + 2 + 32, true},
	{Q2K, "q2_K", 256, 16 + 64 + 2 + 2, true},
	{Q3K, "q3_K", 256, 32 + 64 + 12 + 2, true},
	{Q4K, "q4_K", 256, 2 + 2 + 12 + 128, true},
	{Q5K, "q5_K", 256, 2 + 2 + 12 + 32 + 128, true},
	{Q6K, "q6_K", 256, 128 + 64 + 16 + 2, true},
	{Q8K, "q8_K", 256, 4 + 256 + 32, true},
	{IQ1S, "iq1_s", 256, 2 + 32 + 16, true},
	{IQ1M, "iq1_m", 256, 32 + 16 + 8, true},
	{IQ2XXS, "iq2_xxs", 256, 2 + 64, true},
	{IQ2XS, "iq2_xs", 256, 2 + 64 + 8, true},
	{IQ2S, "iq2_s", 256, 2 + 64 + 8 + 8, true},
	{IQ3XXS, "iq3_xxs", 256, 2 + 96, true},
	{IQ3S, "iq3_s", 256, 2 + 64 + 8 + 32 + 4, true},
	{IQ4NL, "iq4_nl", 32, 2 + 16, true},
	{IQ4XS, "iq4_xs", 256, 2 + 2 + 4 + 128, true},
	{TQ1_0, "tq1_0", 256, 48 + 4 + 2, true},
	{TQ2_0, "tq2_0", 256, 64 + 2, true},
	{MXFP4, "mxfp4", 32, 1 + 16, true},
	{NVFP4, "nvfp4", 64, 4 + 32, true},
	{Q1_0, "q1_0", 128, 2 + 16, true},
	{Q2_0, "q2_0", 64, 2 + 16, true},
}

// Types returns the table of all tensor types that a GGUF file may hold.
func Types() []TypeInfo { return append([]TypeInfo(nil), types...) }

// Info returns the table's row for t, and false where no such type exists.
func (t Type) Info() (TypeInfo, bool) {
	for i := range types {
		if types[i].Type == t {
			return types[i], true
		}
	}
	return TypeInfo{}, false
}

// String gives ggml's own spelling ("q4_K"), or "type(99)" for a number that has no meaning.
func (t Type) String() string {
	if info, ok := t.Info(); ok {
		return info.Name
	}
	return fmt.Sprintf("type(%d)", uint32(t))
}

// Quantized tells whether t packs several values into blocks that share a scale.
func (t Type) Quantized() bool { info, _ := t.Info(); return info.Quantized }

// BlockLen is the number of values in one block of t: rows must be a multiple of it. 0 for an unknown type.
func (t Type) BlockLen() int64 { info, _ := t.Info(); return info.BlockLen }

// BlockSize is the number of bytes of one block of t. 0 for an unknown type.
func (t Type) BlockSize() int64 { info, _ := t.Info(); return info.BlockSize }

// BitsPerWeight is the storage that one value takes, in bits.
func (t Type) BitsPerWeight() float64 {
	info, ok := t.Info()
	if !ok {
		return math.NaN()
	}
	return float64(8*info.BlockSize) / float64(info.BlockLen)
}

// RowSize is the number of bytes that n consecutive values take. It is an error if n is negative,
// no multiple of the block, or the size does not fit an int64.
func (t Type) RowSize(n int64) (int64, error) {
	info, ok := t.Info()
	if !ok {
		return 0, fmt.Errorf("unknown tensor type %d", uint32(t))
	}
	if n < 0 || n%info.BlockLen != 0 {
		return 0, fmt.Errorf("%d columns, %s needs a multiple of %d", n, info.Name, info.BlockLen)
	}
	blocks := n / info.BlockLen
	if blocks > math.MaxInt64/info.BlockSize {
		return 0, fmt.Errorf("%d columns of %s: size overflows", n, info.Name)
	}
	return blocks * info.BlockSize, nil
}

// TensorSize is the number of bytes of a tensor of the given shape (columns first), with checked arithmetic.
func TensorSize(t Type, shape []int64) (int64, error) {
	n, err := Elements(shape)
	if err != nil {
		return 0, err
	}
	cols := int64(1)
	if len(shape) > 0 {
		cols = shape[0]
	}
	row, err := t.RowSize(cols)
	if err != nil || cols == 0 {
		return 0, err
	}
	rows := n / cols
	if row != 0 && rows > math.MaxInt64/row {
		return 0, fmt.Errorf("shape %v of %s: size overflows", shape, t)
	}
	return rows * row, nil
}

// Elements is the number of values of a tensor of the given shape. Negative dimensions and overflow are errors.
func Elements(shape []int64) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v: negative dimension", shape)
		}
		if d != 0 && n > math.MaxInt64/d {
			return 0, fmt.Errorf("shape %v: element count overflows", shape)
		}
		n *= d
	}
	return n, nil
}

// ParseType finds a type by its name, in any case. The error is an [*UnknownNameError].
func ParseType(name string) (Type, error) {
	names := make([]string, len(types))
	for i := range types {
		if strings.EqualFold(types[i].Name, name) {
			return types[i].Type, nil
		}
		names[i] = types[i].Name
	}
	return 0, &UnknownNameError{Kind: "tensor type", Name: name, Suggestion: Nearest(name, names)}
}
