// Package kernels turns rows of float32 values into ggml's block types and back.
//
// Every function gives, byte for byte, what libggml-base of llama.cpp 0.5.0 gives on x86-64, on every CPU and at every
// GOAMD64 level: products that meet a sum are rounded on their own (float32(x*y) + z, which forbids the compiler a fused
// multiply-add; x/256 is such a product too), sums run in the reference's order, and float to integer conversions follow
// the x86 rules.
//
// # Implementations
//
// The reference is readable Go and says what the bytes are. Beside it there is assembly, which _gen writes, for x86-64
// with AVX2 and with AVX-512 and for arm64 with NEON: each lane of a vector searches a group of values of its own. [Impls]
// lists what this CPU can run, [Env] chooses, and the build tag purego leaves all but the reference out.
//
// # Values that are not finite
//
// NaN and Inf, among values or weights, go through the same arithmetic as in ggml. Every block is valid or not as ggml's
// is ([Validate], ggml_validate_row_data), and a valid one has ggml's bytes. In a block whose scale is NaN or Inf, which
// neither program accepts, the sign and payload of a NaN are the CPU's own and may show. Callers that want to name the
// offending value use [Finite] first.
//
// The package knows blocks and rows only. Files, tensors, threads and the choice of types belong to its callers.
// No function keeps its arguments or allocates.
package kernels

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// codec is a row of the table: what the package can do for one type. All functions work on whole blocks.
type codec struct {
	typ gguf.Type
	// quantize packs any number of blocks. nil: the type can't be made.
	quantize func(dst []byte, src []float32)
	// quantizeWeighted packs rows of len(weights) values under the weights. nil: weights don't matter to the type.
	quantizeWeighted func(dst []byte, src, weights []float32)
	dequantize       func(dst []float32, src []byte)
	// scales are the offsets of the numbers of a block that must be finite: an E8M0 scale in MXFP4, halves in all others.
	scales []int
}

// reference is the one place where a type is given its kernels: the readable ones, in pure Go, that say what every other
// implementation must give.
var reference = [...]codec{
	{gguf.F32, quantizeF32, nil, dequantizeF32, nil},
	{gguf.F16, quantizeF16, nil, dequantizeF16, []int{0}},
	{gguf.BF16, quantizeBF16, nil, dequantizeBF16, nil},
	{gguf.Q4_0, quantizeQ4_0, quantizeQ4_0Weighted, dequantizeQ4_0, []int{0}},
	{gguf.Q4_1, quantizeQ4_1, quantizeQ4_1Weighted, dequantizeQ4_1, []int{0, 2}},
	{gguf.Q5_0, quantizeQ5_0, quantizeQ5_0Weighted, dequantizeQ5_0, []int{0}},
	{gguf.Q5_1, quantizeQ5_1, quantizeQ5_1Weighted, dequantizeQ5_1, []int{0, 2}},
	{gguf.Q8_0, quantizeQ8_0, nil, dequantizeQ8_0, []int{0}},
	{gguf.Q2K, quantizeQ2K, quantizeQ2KWeighted, dequantizeQ2K, []int{80, 82}},
	{gguf.Q3K, quantizeQ3K, quantizeQ3KWeighted, dequantizeQ3K, []int{108}},
	{gguf.Q4K, quantizeQ4K, quantizeQ4KWeighted, dequantizeQ4K, []int{0, 2}},
	{gguf.Q5K, quantizeQ5K, quantizeQ5KWeighted, dequantizeQ5K, []int{0, 2}},
	{gguf.Q6K, quantizeQ6K, quantizeQ6KWeighted, dequantizeQ6K, []int{208}},
	{gguf.MXFP4, quantizeMXFP4, nil, dequantizeMXFP4, []int{0}},
}

// CanQuantize tells whether Quantize knows t.
func CanQuantize(t gguf.Type) bool { c := generic.find(t); return c != nil && c.quantize != nil }

// CanDequantize tells whether Dequantize knows t.
func CanDequantize(t gguf.Type) bool { c := generic.find(t); return c != nil && c.dequantize != nil }

// UsesWeights tells whether importance weights change what Quantize makes of t.
func UsesWeights(t gguf.Type) bool {
	c := generic.find(t)
	return c != nil && c.quantizeWeighted != nil
}

// Quantize packs whole rows of float32 values into blocks of type t. src holds len(src)/cols rows of cols values; weights
// is nil or cols importance weights that every row of src shares. dst must have exactly the rows' size,
// len(src)/cols times t.RowSize(cols). The bytes are those of ggml_quantize_chunk.
//
// Types that have no use for weights ignore them, as ggml does. An error means that t can't be made or that the
// lengths don't fit together; dst is then untouched.
func Quantize(t gguf.Type, dst []byte, src []float32, cols int, weights []float32) error {
	im, err := Active()
	if err != nil {
		return err
	}
	return im.Quantize(t, dst, src, cols, weights)
}

// Dequantize unpacks blocks of type t, as ggml's to_float does. src must be whole blocks and dst must have room for
// exactly their values.
func Dequantize(t gguf.Type, dst []float32, src []byte) error {
	im, err := Active()
	if err != nil {
		return err
	}
	return im.Dequantize(t, dst, src)
}

// NotFiniteError is returned by Validate for the first block that holds a NaN or Inf.
type NotFiniteError struct {
	Type  gguf.Type
	Block int     // counted from 0; for F32, F16 and BF16 the index of the value
	Value float32 // what was found
}

func (e *NotFiniteError) Error() string {
	what := "value"
	if e.Type.Quantized() {
		what = "scale of block"
	}
	return fmt.Sprintf("%s %s %d is %v", e.Type, what, e.Block, e.Value)
}

// Validate reports the first block whose scale, or for F32, F16 and BF16 the first value, is not finite:
// a *NotFiniteError. It accepts and refuses what ggml_validate_row_data does.
func Validate(t gguf.Type, data []byte) error {
	c := generic.find(t)
	if c == nil {
		return fmt.Errorf("type %s: no validation", t)
	}
	size := int(t.BlockSize())
	if len(data)%size != 0 {
		return fmt.Errorf("%d bytes are no whole blocks of %s, %d bytes each", len(data), t, size)
	}
	switch t {
	case gguf.F32:
		for i := 0; i+4 <= len(data); i += 4 {
			if b := binary.LittleEndian.Uint32(data[i:]); b&expF32 == expF32 {
				return &NotFiniteError{t, i / 4, loadF32(data[i:])}
			}
		}
		return nil
	case gguf.BF16:
		for i := 0; i+2 <= len(data); i += 2 {
			if b := binary.LittleEndian.Uint16(data[i:]); b&expBF16 == expBF16 {
				return &NotFiniteError{t, i / 2, fromBF16(b)}
			}
		}
		return nil
	case gguf.MXFP4:
		for i := 0; i < len(data); i += size {
			if data[i] == 0xff {
				return &NotFiniteError{t, i / size, float32(math.NaN())}
			}
		}
		return nil
	}
	for i := 0; i < len(data); i += size {
		for _, at := range c.scales {
			if h := binary.LittleEndian.Uint16(data[i+at:]); h&expF16 == expF16 {
				return &NotFiniteError{t, i / size, fromF16(h)}
			}
		}
	}
	return nil
}
