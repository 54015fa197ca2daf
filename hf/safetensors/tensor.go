package safetensors

import (
	"errors"
	"fmt"
	"io"
)

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

// ReadAt reads len(p) bytes of the tensor from its byte off on. It is an io.ReaderAt of Size bytes: at the
// tensor's end it gives what is left and io.EOF, never a byte of the next tensor. A file that ends early
// is an error that names tensor and file, and errors.Is(err, io.ErrUnexpectedEOF). Safe for concurrent use
// where the source is, as an *os.File is.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("tensor %q in %s: read at offset %d", t.Name, t.File, off)
	}
	if off >= t.Size {
		if len(p) == 0 && off == t.Size {
			return 0, nil
		}
		return 0, io.EOF
	}
	var end error
	if left := t.Size - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	n, err := t.src.ReadAt(p, t.offset+off)
	if n == len(p) {
		return n, end // a ReaderAt may say io.EOF along with the last bytes of the file
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("tensor %q in %s: read %d of %d bytes at offset %d: %w", t.Name, t.File, n, len(p), off, err)
}
