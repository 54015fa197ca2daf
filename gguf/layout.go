package gguf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Layout is a file before its weights: the bytes of its header and the place of every tensor.
type Layout struct {
	header    []byte
	tensors   []TensorInfo
	size      int64
	alignment int64
}

// NewLayout lays out a version 3 file with the given metadata and tensors, in the given order. Name, Shape
// and Type of each tensor are used; Offset and Size are computed. Tensors are padded to
// general.alignment where meta has it, else to 32 bytes.
//
// The bytes are those of ggml's gguf_write_to_file. (llama-quantize pads to 32 even where
// general.alignment says otherwise, and so writes files that it can't read: that is not repeated here.)
//
// It is an error if a key or a name is empty, a name is repeated or longer than MaxNameLen, a tensor has
// no dimensions or more than MaxDims, its rows are no multiple of its type's block, a size overflows, or
// general.alignment is no uint32 power of two.
func NewLayout(meta *Metadata, tensors []TensorInfo) (*Layout, error) {
	align, err := alignmentOf(meta)
	if err != nil {
		return nil, err
	}
	l := &Layout{tensors: slices.Clone(tensors), alignment: align}
	if err := l.place(); err != nil {
		return nil, err
	}
	if l.header, err = encodeHeader(meta, l.tensors); err != nil {
		return nil, err
	}
	padded := pad(int64(len(l.header)), align)
	if l.size > math.MaxInt64-padded {
		return nil, errors.New("size of the file overflows")
	}
	l.header = append(l.header, make([]byte, padded-int64(len(l.header)))...)
	l.size += padded
	return l, nil
}

// place checks the tensors and computes their sizes and offsets; l.size becomes that of the data section.
func (l *Layout) place() error {
	seen := make(map[string]bool, len(l.tensors))
	for i := range l.tensors {
		t := &l.tensors[i]
		if err := checkName(t.Name); err != nil {
			return fmt.Errorf("tensor %d: %w", i, err)
		}
		if seen[t.Name] {
			return fmt.Errorf("tensor %q: there are two of that name", t.Name)
		}
		seen[t.Name] = true
		t.Shape = slices.Clone(t.Shape)
		if n := len(t.Shape); n == 0 || n > MaxDims {
			return fmt.Errorf("tensor %q: %d dimensions, want 1 to %d", t.Name, n, MaxDims)
		}
		size, err := TensorSize(t.Type, t.Shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		t.Size, t.Offset = size, l.size
		if size > math.MaxInt64-l.alignment || l.size > math.MaxInt64-pad(size, l.alignment) {
			return fmt.Errorf("tensor %q: size of the file overflows", t.Name)
		}
		l.size += pad(size, l.alignment)
	}
	return nil
}

// Header is the start of the file, up to the data section and padded to it. It is the layout's own: do not change it.
func (l *Layout) Header() []byte { return l.header }

// DataOffset is where the data section starts: the length of the header.
func (l *Layout) DataOffset() int64 { return int64(len(l.header)) }

// Tensors returns the tensors with their offsets and sizes. The slice is the layout's own: do not change it.
func (l *Layout) Tensors() []TensorInfo { return l.tensors }

// Offset is where tensor i starts, from the start of the file.
func (l *Layout) Offset(i int) int64 { return l.DataOffset() + l.tensors[i].Offset }

// Size is the size of the whole file. The last tensor is padded too.
func (l *Layout) Size() int64 { return l.size }

// Alignment is what the data section and the tensors in it are padded to.
func (l *Layout) Alignment() int64 { return l.alignment }

// checkName holds a tensor's name to what ggml can keep: its names are NUL-terminated.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("name is empty")
	case len(name) > MaxNameLen:
		return fmt.Errorf("name %q has %d bytes, at most %d fit", name, len(name), MaxNameLen)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("name %q holds a NUL byte", name)
	}
	return nil
}

// alignmentOf returns the alignment that meta asks for, checked as gguf_init_from_file does.
func alignmentOf(meta *Metadata) (int64, error) {
	v, ok := meta.Get(keyAlignment)
	if !ok {
		return DefaultAlignment, nil
	}
	n, ok := v.(uint32)
	if !ok {
		return 0, fmt.Errorf("key %q: a %T, want a uint32", keyAlignment, v)
	}
	if n == 0 || n&(n-1) != 0 || n > maxAlignment {
		return 0, fmt.Errorf("key %q: %d, want a power of two up to %d", keyAlignment, n, maxAlignment)
	}
	return int64(n), nil
}
