// Package torchfile reads the tensors of files that torch.save wrote, without ever running code. Such a file holds a
// pickle, which is a program: the interpreter here knows the few instructions and the few functions that tensors need,
// and refuses all others by name.
package torchfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// maxPickle is the longest pickle that is read. A tensor takes some 150 bytes of it.
const maxPickle = 8 << 20

// ReadHeader reads the file r of size bytes and returns its tensors, sorted by name. Of the data nothing is read; the
// tensors read from r on demand. file names the file in messages.
//
// Both formats of torch.save are known: the zip archive of PyTorch 1.6 and later, and the stream of pickles before it.
// All lengths are checked: each storage has exactly the bytes that its type and number of values ask for, and each
// tensor lies within its storage.
func ReadHeader(r io.ReaderAt, size int64, file string) ([]*safetensors.Tensor, error) {
	tensors, err := readHeader(r, size, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	slices.SortFunc(tensors, func(a, b *safetensors.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return tensors, nil
}

func readHeader(r io.ReaderAt, size int64, file string) ([]*safetensors.Tensor, error) {
	magic := make([]byte, min(size, int64(len(legacyMagic))))
	if err := readFull(r, magic, 0); err != nil {
		return nil, fmt.Errorf("read the first bytes: %w", err)
	}
	var top any
	var err error
	switch {
	case len(magic) >= 4 && string(magic[:4]) == "PK\x03\x04":
		top, err = readArchive(r, size)
	case string(magic) == legacyMagic:
		top, err = readLegacy(r, size)
	default:
		return nil, errors.New("begins neither as a zip archive nor as a pickle of torch.save: not a PyTorch file")
	}
	if err != nil {
		return nil, err
	}
	return tensorsOf(top, file)
}

// tensorsOf takes the result of a pickle for what a checkpoint is: tensors by their names.
func tensorsOf(top any, file string) ([]*safetensors.Tensor, error) {
	d, ok := top.(*dict)
	if !ok {
		return nil, fmt.Errorf("holds %s, want a dictionary of tensors", kindOf(top))
	}
	var list []*safetensors.Tensor
	seen := map[string]bool{}
	for _, e := range d.entries {
		name, ok := e.key.(string)
		if !ok {
			return nil, fmt.Errorf("a key is %s, want the name of a tensor", kindOf(e.key))
		}
		t, ok := e.value.(*tensor)
		if !ok {
			return nil, fmt.Errorf("%q is %s, want a tensor", name, kindOf(e.value))
		}
		if seen[name] {
			return nil, fmt.Errorf("tensor %q: there twice", name)
		}
		seen[name] = true
		list = append(list, t.named(name, file))
	}
	return list, nil
}

// readFull reads len(p) bytes at off; a file that ends before is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
