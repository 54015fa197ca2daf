// Package safetensors reads the headers of safetensors files, checked against the format's rules,
// and gives each tensor's bytes on demand.
package safetensors

import "io"

// Tensor is one tensor of a safetensors file. Its bytes are read on demand.
type Tensor struct {
	Name  string
	DType DType
	Shape []int64 // as in the header: rows first, columns last
	Size  int64   // bytes
	File  string  // the file's name within the model, for messages

	src    io.ReaderAt
	offset int64 // of the first byte, from the start of the file
}

// NewTensor returns a tensor whose bytes are the size bytes of src from offset on.
func NewTensor(name string, dtype DType, shape []int64, file string, src io.ReaderAt, offset, size int64) *Tensor {
	return &Tensor{Name: name, DType: dtype, Shape: shape, Size: size, File: file, src: src, offset: offset}
}
