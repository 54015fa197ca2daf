package quant

import (
	"fmt"
	"math"
)

// FinitePolicy says what happens when a weight is NaN or infinite.
type FinitePolicy int

const (
	// RefuseNonFinite stops the run and names the weight, as llama-quantize does.
	RefuseNonFinite FinitePolicy = iota
	// KeepNonFinite goes on: the block that holds the weight is what llama.cpp's quantizer would make of it.
	// A block whose scale is not finite is refused all the same, because no program could use the file.
	KeepNonFinite
)

// NonFiniteError is returned for a weight that is NaN or infinite.
type NonFiniteError struct {
	Tensor   string
	Row, Col int64
	Value    float32
}

func (e *NonFiniteError) Error() string {
	what := "NaN"
	if math.IsInf(float64(e.Value), 0) {
		what = fmt.Sprint(e.Value)
	}
	return fmt.Sprintf("tensor %q: weight at row %d, column %d is %s", e.Tensor, e.Row, e.Col, what)
}

// Hint says what to do.
func (e *NonFiniteError) Hint() string {
	return "the checkpoint is damaged or was trained into overflow; pass --non-finite keep to go on"
}

// BlockError is returned when a quantized block's scale is not finite.
type BlockError struct {
	Tensor string
	Type   string
	Row    int64 // first row of the slab that holds the block
	Err    error
}

func (e *BlockError) Error() string {
	return fmt.Sprintf("tensor %q: as %s, from row %d on: %v", e.Tensor, e.Type, e.Row, e.Err)
}

// Unwrap returns the kernel's own error.
func (e *BlockError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *BlockError) Hint() string {
	return fmt.Sprintf("its weights are too large for %s; give this tensor another type with --tensor-type NAME=f32", e.Type)
}
