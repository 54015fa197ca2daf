// Package arch turns a Hugging Face checkpoint into the tensors and the metadata of a GGUF file,
// without reading a weight. Each model family is one file here and one line in the table.
package arch

import (
	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// Model is a checkpoint in GGUF's terms: what llama.cpp's converter would write, tensor by tensor.
type Model struct {
	Arch     string        // general.architecture: "llama", "qwen2"
	Metadata gguf.Metadata // all of it but general.file_type and general.quantization_version
	Tensors  []Tensor      // in the order of the converter's writing; names are unique
	Dropped  []string      // source tensors that the format has no place for, by rule (rotary inv_freq, ...)
	Warnings []string      // what was left out and may matter to the user
	Tower    *Model        // what sees or hears, for a file of its own; nil for none
	TowerErr error         // why there is none although some tensors see or hear
	Memory   int64         // bytes that reading the tensors takes at most, beside what is read
}

// Tensor is one tensor of the output and the way to its values.
type Tensor struct {
	Name   string
	Shape  []int64   // GGUF order: Shape[0] is the number of columns
	Type   gguf.Type // what the converter stores at --outtype auto: F32 for vectors and norms, else F32, F16 or BF16 by the source (F64 and F8 give F32)
	Follow Follow    // of a tower's tensor: which type it has in a file of a given one
	Parts  []Part    // their rows follow one another; all have one number format
	Op     Op
	Zeros  int64     // rows of zeros behind those of Parts
	Const  []float32 // the values themselves, where the tensor is made and not read; Parts is empty then
}

// Part is what one tensor of the checkpoint gives to an output.
type Part struct {
	Source *safetensors.Tensor
	View   View
	Scale  *Scale // of FP8 weights, else nil
	// Exponents makes Source the nibbles of MXFP4 weights and View one of their blocks: they are packed anew, number by
	// number. Source has 16 bytes for each of its bytes, in the same order. Nil for all others.
	Exponents *safetensors.Tensor

	// Factors multiply every value, one after the other, each product rounded: of F16 values to F16, as PyTorch 2 does.
	Factors []float32
}

// Scale is what FP8 weights are multiplied with: one number per block of Block[0] rows and Block[1]
// columns, one per row (Block = {1, columns}) or one for the whole tensor (Block = {rows, columns}). Rows and columns
// are those of the source, wherever a view puts them.
type Scale struct {
	Tensor *safetensors.Tensor // F32, BF16 or F16; shape [ceil(rows/Block[0]), ceil(columns/Block[1])] or any shape with as many values
	Block  [2]int64
	Invert bool // divide by the scale instead of multiplying
}

// Op is what happens to each value on its way to the output, after scaling and in float32. The set is closed.
type Op int

const (
	// Keep leaves values as they are.
	Keep Op = iota
	// AddOne adds 1: Gemma's norms are stored less one. A sum of F16 values is rounded to F16, as PyTorch does.
	AddOne
	// NegExp is -Exp(x): the state matrices of Mamba and its like are stored as logarithms.
	NegExp
)
