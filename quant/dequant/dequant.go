// Package dequant presents weights that a checkpoint holds in a few bits each as tensors of float32. Their values are
// computed where they are read, row by row, so that nothing else has to know that they are made of several tensors,
// and nothing of them is kept.
//
// Where llama.cpp's converter takes a format too, the values are its values (ModelBase.dequant_model in
// conversion/base.py); for the others each file here names the code that its formula is from.
package dequant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// Format is a way of packing weights.
type Format interface {
	// Unpack puts tensors of float32 in the place of packed weights and what belongs to them. Other tensors stay.
	Unpack(all []*safetensors.Tensor) ([]*safetensors.Tensor, error)
}

// pack is a packed weight and the tensors that belong to it, by the endings of their names.
type pack struct {
	name  string // of the weight, without an ending
	main  *safetensors.Tensor
	parts map[string]*safetensors.Tensor
}

// gather finds the tensors whose names end in main, and those of the same names with other endings. What is left is
// returned as it is.
func gather(all []*safetensors.Tensor, main string, endings ...string) (packs []*pack, rest []*safetensors.Tensor) {
	byName := map[string]*pack{}
	for _, t := range all {
		if name, ok := strings.CutSuffix(t.Name, main); ok {
			p := &pack{name: name, main: t, parts: map[string]*safetensors.Tensor{}}
			packs = append(packs, p)
			byName[name] = p
		}
	}
	for _, t := range all {
		if !part(byName, t, main, endings) {
			rest = append(rest, t)
		}
	}
	return packs, rest
}

func part(byName map[string]*pack, t *safetensors.Tensor, main string, endings []string) bool {
	if name, ok := strings.CutSuffix(t.Name, main); ok && byName[name] != nil {
		return true
	}
	for _, e := range endings {
		if name, ok := strings.CutSuffix(t.Name, e); ok && byName[name] != nil {
			byName[name].parts[e] = t
			return true
		}
	}
	return false
}

// need returns a part in one of the number formats and with one of the shapes.
func (p *pack) need(ending string, dtypes []safetensors.DType, shapes ...[]int64) (*safetensors.Tensor, error) {
	t := p.parts[ending]
	if t == nil {
		return nil, fmt.Errorf("tensor %q (%s): %q is missing beside it", p.main.Name, p.main.File, p.name+ending)
	}
	return t, isOf(t, dtypes, shapes...)
}

// The number formats of parts.
var (
	floating = []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16}
	int32s   = []safetensors.DType{safetensors.I32}
	int8s    = []safetensors.DType{safetensors.I8}
	uint8s   = []safetensors.DType{safetensors.U8}
)

// isOf checks a tensor's number format and shape.
func isOf(t *safetensors.Tensor, dtypes []safetensors.DType, shapes ...[]int64) error {
	ok := false
	for _, d := range dtypes {
		ok = ok || t.DType == d
	}
	if !ok {
		return fmt.Errorf("tensor %q (%s): dtype %s, want one of %v", t.Name, t.File, t.DType, dtypes)
	}
	for _, s := range shapes {
		if fmt.Sprint(t.Shape) == fmt.Sprint(s) {
			return nil
		}
	}
	if len(shapes) == 0 {
		return nil
	}
	return fmt.Errorf("tensor %q (%s): shape %v, want %v", t.Name, t.File, t.Shape, shapes[0])
}

// matrix checks that a tensor has two dimensions, neither of which is 0.
func matrix(t *safetensors.Tensor) (rows, cols int64, err error) {
	if len(t.Shape) != 2 || t.Shape[0] < 1 || t.Shape[1] < 1 {
		return 0, 0, fmt.Errorf("tensor %q (%s): shape %v, want rows and columns", t.Name, t.File, t.Shape)
	}
	return t.Shape[0], t.Shape[1], nil
}

// decoder computes the values of one row from column col on.
type decoder interface {
	values(dst []float32, row, col int64) error
}

// unpacked is the tensor that a decoder gives.
func unpacked(name string, shape []int64, file string, d decoder) (*safetensors.Tensor, error) {
	n, cols := int64(1), shape[len(shape)-1]
	for _, s := range shape {
		if s < 1 || n > math.MaxInt64/4/s {
			return nil, fmt.Errorf("tensor %q (%s): shape %v is none that a packed weight can have", name, file, shape)
		}
		n *= s
	}
	return safetensors.NewTensor(name, safetensors.F32, shape, file, reader{d, n, cols}, 0, 4*n), nil
}

// reader gives the values of a decoder as the bytes of float32.
type reader struct {
	decoder
	n, cols int64
}

var lines = sync.Pool{New: func() any { return new([]float32) }}

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	pooled := lines.Get().(*[]float32)
	defer lines.Put(pooled)
	done := 0
	for done < len(p) {
		at := (off + int64(done)) / 4
		if off < 0 || at >= r.n {
			return done, io.EOF
		}
		row, col := at/r.cols, at%r.cols
		skip := int(off+int64(done)) - int(4*at) // bytes of the first value that aren't asked for
		n := min(r.cols-col, int64(len(p)-done+skip+3)/4)
		if int64(cap(*pooled)) < n {
			*pooled = make([]float32, n)
		}
		line := (*pooled)[:n]
		if err := r.values(line, row, col); err != nil {
			return done, err
		}
		if skip > 0 || len(p)-done < 4*len(line) {
			b := make([]byte, 4*len(line))
			putFloats(b, line)
			done += copy(p[done:], b[skip:])
			continue
		}
		putFloats(p[done:], line)
		done += 4 * len(line)
	}
	return done, nil
}

func putFloats(dst []byte, x []float32) {
	for i, f := range x {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(f))
	}
}

// readBytes reads n values of t of one byte each, or n bytes, from first on.
func readBytes(t *safetensors.Tensor, first, n int64) ([]byte, error) {
	b := make([]byte, n)
	return b, readFull(t, b, first)
}

// readFull fills b with the bytes of t from first on.
func readFull(t *safetensors.Tensor, b []byte, first int64) error {
	k, err := t.ReadAt(b, first)
	if k == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// readFloats reads n floating-point numbers of t from first on.
func readFloats(t *safetensors.Tensor, first, n int64) ([]float32, error) {
	size := t.DType.Size()
	b, err := readBytes(t, first*size, n*size)
	if err != nil {
		return nil, err
	}
	out := make([]float32, n)
	decode(out, b, t.DType)
	return out, nil
}

// decode turns stored numbers into float32.
func decode(dst []float32, b []byte, dtype safetensors.DType) {
	switch dtype {
	case safetensors.F16:
		kernels.F16ToF32(dst, b)
	case safetensors.BF16:
		kernels.BF16ToF32(dst, b)
	default:
		kernels.F32FromBytes(dst, b)
	}
}

// readWords reads n numbers of 32 bits of t from first on.
func readWords(t *safetensors.Tensor, first, n int64) ([]uint32, error) {
	b, err := readBytes(t, 4*first, 4*n)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out, nil
}
