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
}

// Tensor is one tensor of the output and the way to its values.
type Tensor struct {
	Name  string
	Shape []int64   // GGUF order: Shape[0] is the number of columns
	Type  gguf.Type // what the converter stores at --outtype auto: F32 for vectors and norms, else F32, F16 or BF16 by the source (F64 and F8 give F32)
	Parts []*safetensors.Tensor
	Scale *Scale // of FP8 weights, else nil
	Op    Op
	Const []float32 // the values themselves, where the tensor is made and not read; Parts is empty then
}

// Scale is what FP8 weights are multiplied with: one number per block of Block[0] rows and Block[1]
// columns, one per row (Block = {1, columns}) or one for the whole tensor (Block = {rows, columns}).
type Scale struct {
	Tensor *safetensors.Tensor // F32, BF16 or F16; shape [ceil(rows/Block[0]), ceil(columns/Block[1])] or any shape with as many values
	Block  [2]int64
	Invert bool // divide by the scale instead of multiplying
}

// Op is what happens to the rows of the source on their way to the output. The set is closed.
type Op struct {
	Kind  OpKind
	Heads int64 // Permute: number of heads that the rows belong to
}

// OpKind names an Op.
type OpKind int

const (
	// Copy leaves rows in their order.
	Copy OpKind = iota
	// Permute interleaves the two halves of each head's rows: Hugging Face stores rotary pairs as
	// (i, i+d/2), llama.cpp wants (2i, 2i+1). Within a head of d rows, output row 2i+j is source row j*d/2+i.
	Permute
)
