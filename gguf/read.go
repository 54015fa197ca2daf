package gguf

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// File is what a GGUF file says before its weights.
type File struct {
	Version    uint32
	Alignment  int64
	Metadata   Metadata
	Tensors    []TensorInfo // in file order; names are unique, the data of each lies within the file
	DataOffset int64        // of the data section; where the header ends if there are no tensors
	Size       int64        // of the file
}

// ErrNotGGUF is returned when a file doesn't start with GGUF's magic.
var ErrNotGGUF = errors.New("not a GGUF file")

// ErrTruncated is returned when a file ends before what its header says.
var ErrTruncated = errors.New("the file is cut off")

// Read parses the header of a GGUF file of size bytes, version 2 or 3, little-endian. It reads no weights.
//
// It refuses what ggml's gguf_init_from_file and llama.cpp's loader refuse: a foreign byte order, lengths
// beyond the file's end, empty or repeated keys, an alignment that is no power of two, names that are
// empty, repeated or longer than MaxNameLen, more than MaxDims dimensions, unknown types, rows that are
// no multiple of the block, tensors that don't follow each other without gaps, and data beyond the end.
// Unlike ggml it reads arrays of arrays. A tensor without dimensions reads as one of shape [1].
func Read(r io.ReaderAt, size int64) (*File, error) {
	d := newDecoder(r, size)
	f := &File{Size: size}
	nTensors, nKVs, err := f.readCounts(d)
	if err != nil {
		return nil, err
	}
	if err := f.readMetadata(d, nKVs); err != nil {
		return nil, err
	}
	if f.Alignment, err = alignmentOf(&f.Metadata); err != nil {
		return nil, err
	}
	f.Tensors = make([]TensorInfo, 0, min(nTensors, firstAlloc))
	names := make(map[string]int, min(nTensors, firstAlloc))
	for i := range nTensors {
		t, err := readTensor(d, i)
		if err != nil {
			return nil, err
		}
		if j, ok := names[t.Name]; ok {
			return nil, fmt.Errorf("tensor %q: tensors %d and %d have that name", t.Name, j, i)
		}
		names[t.Name] = i
		f.Tensors = append(f.Tensors, t)
	}
	f.DataOffset = d.pos
	if nTensors > 0 {
		f.DataOffset = pad(d.pos, f.Alignment)
	}
	return f, f.checkPlaces()
}

// Minimal sizes of a key with a value and of a tensor's description, to hold the counts against the file's size.
const (
	minKVSize     = 8 + 1 + 4 + 1
	minTensorSize = 8 + 1 + 4 + 4 + 8
)

func (f *File) readCounts(d *decoder) (tensors, kvs int, err error) {
	if d.size < int64(len(magic)) {
		return 0, 0, fmt.Errorf("%w: %d bytes", ErrNotGGUF, d.size)
	}
	if got := string(d.peek(len(magic), "magic")); d.err == nil && got != magic {
		return 0, 0, fmt.Errorf("%w: starts with %q, want %q", ErrNotGGUF, got, magic)
	}
	f.Version = d.u32("version")
	switch {
	case d.err != nil:
		return 0, 0, d.err
	case f.Version != 0 && f.Version&0xffff == 0:
		return 0, 0, fmt.Errorf("version %#x: the file is big-endian, only little-endian files can be read", f.Version)
	case f.Version < 2 || f.Version > Version:
		return 0, 0, fmt.Errorf("version %d, want 2 or %d", f.Version, Version)
	}
	tensors = d.count("number of tensors", minTensorSize)
	kvs = d.count("number of keys", minKVSize)
	return tensors, kvs, d.err
}

func (f *File) readMetadata(d *decoder, n int) error {
	f.Metadata.kvs = make([]KV, 0, min(n, firstAlloc))
	seen := make(map[string]bool, min(n, firstAlloc))
	for i := range n {
		key := d.string("key")
		switch {
		case d.err != nil:
			return fmt.Errorf("key %d of %d: %w", i, n, d.err)
		case key == "":
			return fmt.Errorf("key %d of %d: name is empty", i, n)
		case seen[key]:
			return fmt.Errorf("key %q: there are two of that name", key)
		}
		seen[key] = true
		value := d.value(ValueType(d.u32("value type")), 0)
		if d.err != nil {
			return fmt.Errorf("key %q: %w", key, d.err)
		}
		f.Metadata.kvs = append(f.Metadata.kvs, KV{key, value})
	}
	return nil
}

// readTensor reads the description of tensor i and checks all that can be checked on its own.
func readTensor(d *decoder, i int) (t TensorInfo, err error) {
	if t.Name = d.string("name"); d.err != nil {
		return t, fmt.Errorf("tensor %d: %w", i, d.err)
	}
	if err := checkName(t.Name); err != nil {
		return t, fmt.Errorf("tensor %d: %w", i, err)
	}
	dims := d.u32("number of dimensions")
	if d.err == nil && dims > MaxDims {
		d.fail("%d dimensions, at most %d are allowed", dims, MaxDims)
	}
	t.Shape = []int64{1}
	if d.err == nil && dims > 0 {
		t.Shape = make([]int64, dims)
		for j := range t.Shape {
			n := d.u64("dimension")
			if n > math.MaxInt64 {
				d.fail("dimension %d is %d, at most %d is allowed", j, n, int64(math.MaxInt64))
			}
			t.Shape[j] = int64(n)
		}
	}
	t.Type = Type(d.u32("type"))
	offset := d.u64("offset")
	if d.err != nil {
		return t, fmt.Errorf("tensor %q: %w", t.Name, d.err)
	}
	if t.Size, err = TensorSize(t.Type, t.Shape); err != nil {
		return t, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if offset > math.MaxInt64 {
		return t, fmt.Errorf("tensor %q: offset %d, at most %d is allowed", t.Name, offset, int64(math.MaxInt64))
	}
	t.Offset = int64(offset)
	return t, nil
}

// checkPlaces holds every tensor to the one place that it can have, right behind the one before, and to
// the end of the file. The padding of the last tensor may be missing.
func (f *File) checkPlaces() error {
	if f.DataOffset > f.Size {
		return fmt.Errorf("data section starts at byte %d, the file has %d: %w", f.DataOffset, f.Size, ErrTruncated)
	}
	var next int64
	for _, t := range f.Tensors {
		switch {
		case t.Offset == next:
		case t.Offset%f.Alignment != 0:
			return fmt.Errorf("tensor %q: offset %d is no multiple of the alignment, %d", t.Name, t.Offset, f.Alignment)
		case t.Offset < next:
			return fmt.Errorf("tensor %q: offset %d overlaps the tensor before it, want %d", t.Name, t.Offset, next)
		default:
			return fmt.Errorf("tensor %q: offset %d leaves a gap, want %d", t.Name, t.Offset, next)
		}
		if left := f.Size - f.DataOffset - next; t.Size > left {
			return fmt.Errorf("tensor %q: needs %d bytes from byte %d on, the file has %d there: %w", t.Name, t.Size, f.DataOffset+next, max(left, 0), ErrTruncated)
		}
		next += pad(t.Size, f.Alignment)
	}
	return nil
}
