package dequant

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// Compressed is what vLLM's compressor writes for whole numbers ("compressed-tensors"):
//
//	W[r][c] = (q[r][c] - zero) * scale, one scale and zero for each block of Rows x Cols
//
// In the format pack-quantized X.weight_packed has words with the bits of q, and X.weight_zero_point, if it is there,
// words with those of the zeros, packed down the columns; zero is half of the range otherwise. In int-quantized X.weight
// is of int8, and zero is 0 unless X.weight_zero_point says more.
type Compressed struct {
	Bits       int64
	Packed     bool
	Rows, Cols int64 // of the block that shares a scale; 0 for all
}

// Unpack implements Format.
func (f Compressed) Unpack(all []*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	if !f.Packed {
		return f.bytes(all)
	}
	packs, out := gather(all, ".weight_packed", ".weight_scale", ".weight_shape", ".weight_zero_point", ".weight_g_idx")
	for _, p := range packs {
		w := &words{bits: f.Bits, per: 32 / f.Bits, q: p.main, zeros: p.parts[".weight_zero_point"], index: p.parts[".weight_g_idx"]}
		rows, n, err := matrix(p.main)
		if err != nil {
			return nil, err
		}
		if err := isOf(p.main, int32s); err != nil {
			return nil, err
		}
		if w.scales, err = p.need(".weight_scale", floating); err != nil {
			return nil, err
		}
		if w.shape, err = p.need(".weight_shape", []safetensors.DType{safetensors.I64, safetensors.I32}, []int64{2}); err != nil {
			return nil, err
		}
		groups, err := groupsOf(w.scales, rows)
		if err != nil {
			return nil, err
		}
		w.rows, w.cols, w.group = rows, n*w.per, f.Cols
		if f.Cols > 0 {
			w.cols = groups * f.Cols
		} else {
			w.group = w.cols
		}
		if w.groups = groups; (w.cols+w.per-1)/w.per != n || f.Cols == 0 && groups != 1 {
			return nil, fmt.Errorf("tensor %q (%s): %d words in a row, %d groups of %d columns need %d", p.main.Name, p.main.File, n, groups, w.group, (w.cols+w.per-1)/w.per)
		}
		if w.zeros != nil {
			if err := isOf(w.zeros, int32s, []int64{(rows + w.per - 1) / w.per, groups}); err != nil {
				return nil, err
			}
		}
		if w.index != nil {
			if err := isOf(w.index, int32s, []int64{w.cols}); err != nil {
				return nil, err
			}
		}
		t, err := unpacked(p.name+".weight", []int64{rows, w.cols}, p.main.File, w)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// groupsOf is the number of scales in each of so many rows.
func groupsOf(scales *safetensors.Tensor, rows int64) (int64, error) {
	if s := scales.Shape; len(s) == 2 && s[0] == rows && s[1] > 0 {
		return s[1], nil
	}
	return 0, fmt.Errorf("tensor %q (%s): shape %v, want some scales for each of %d rows", scales.Name, scales.File, scales.Shape, rows)
}

// words is a weight in words that hold per numbers of bits bits; what is over of a word is empty.
type words struct {
	bits, per     int64
	rows, cols    int64
	group, groups int64

	q, scales, zeros, shape, index *safetensors.Tensor

	once sync.Once
	err  error
	of   []uint32 // group of each column; nil: they follow one another
}

// check holds what is written about the weight against what its shapes say; that is read with the first row.
func (w *words) check() error {
	b, err := readBytes(w.shape, 0, w.shape.Size)
	if err != nil {
		return err
	}
	for i, want := range []int64{w.rows, w.cols} {
		got := int64(0)
		if w.shape.DType == safetensors.I64 {
			got = int64(binary.LittleEndian.Uint64(b[8*i:]))
		} else {
			got = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		}
		if got != want {
			return fmt.Errorf("tensor %q (%s): dimension %d is %d, %q makes it %d", w.shape.Name, w.shape.File, i, got, w.q.Name, want)
		}
	}
	if w.index == nil {
		return nil
	}
	if w.of, err = readWords(w.index, 0, w.cols); err != nil {
		return err
	}
	for i, g := range w.of {
		if int64(g) >= w.groups {
			return fmt.Errorf("tensor %q (%s): column %d is in group %d of %d", w.index.Name, w.index.File, i, int32(g), w.groups)
		}
	}
	return nil
}

func (w *words) values(dst []float32, row, col int64) error {
	if w.once.Do(func() { w.err = w.check() }); w.err != nil {
		return w.err
	}
	n := w.q.Shape[1]
	first, last := col/w.per, (col+int64(len(dst))-1)/w.per
	line, err := readWords(w.q, row*n+first, last-first+1)
	if err != nil {
		return err
	}
	scales, err := readFloats(w.scales, row*w.groups, w.groups)
	if err != nil {
		return err
	}
	mask := uint32(1)<<w.bits - 1
	zeros := make([]int32, w.groups)
	for g := range zeros {
		zeros[g] = 1 << (w.bits - 1)
	}
	if w.zeros != nil {
		packed, err := readWords(w.zeros, row/w.per*w.groups, w.groups)
		if err != nil {
			return err
		}
		for g, z := range packed {
			zeros[g] = int32(z >> (row % w.per * w.bits) & mask)
		}
	}
	for i := range dst {
		c := col + int64(i)
		g := c / w.group
		if w.of != nil {
			g = int64(w.of[c])
		}
		q := int32(line[c/w.per-first] >> (c % w.per * w.bits) & mask)
		dst[i] = float32(q-zeros[g]) * scales[g]
	}
	return nil
}

// bytes unpacks weights of int8.
func (f Compressed) bytes(all []*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	packs, out := gather(all, ".weight_scale", ".weight_zero_point", ".weight")
	for _, p := range packs {
		w, err := p.need(".weight", int8s)
		if err != nil {
			return nil, err
		}
		rows, cols, err := matrix(w)
		if err != nil {
			return nil, err
		}
		d := &int8Blocks{q: w, scales: p.main, zeros: p.parts[".weight_zero_point"], block: [2]int64{f.Rows, f.Cols}, cols: cols}
		for i, n := range w.Shape {
			if d.block[i] == 0 {
				d.block[i] = n
			}
		}
		d.across = (cols + d.block[1] - 1) / d.block[1]
		want := []int64{(rows + d.block[0] - 1) / d.block[0], d.across}
		shapes := [][]int64{want}
		if want[1] == 1 {
			shapes = append(shapes, want[:1])
		}
		if want[0] == 1 && want[1] == 1 {
			shapes = append(shapes, []int64{})
		}
		if err := isOf(d.scales, floating, shapes...); err != nil {
			return nil, err
		}
		if d.zeros != nil {
			if err := isOf(d.zeros, int8s, shapes...); err != nil {
				return nil, err
			}
		}
		t, err := unpacked(p.name+".weight", w.Shape, w.File, d)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// int8Blocks is a weight of int8 with a scale for each block of so many rows and columns.
type int8Blocks struct {
	q, scales, zeros *safetensors.Tensor
	block            [2]int64
	cols, across     int64
}

func (d *int8Blocks) values(dst []float32, row, col int64) error {
	q, err := readBytes(d.q, row*d.cols+col, int64(len(dst)))
	if err != nil {
		return err
	}
	first := row / d.block[0] * d.across
	scales, err := readFloats(d.scales, first, d.across)
	if err != nil {
		return err
	}
	zeros := make([]byte, d.across)
	if d.zeros != nil {
		if zeros, err = readBytes(d.zeros, first, d.across); err != nil {
			return err
		}
	}
	for i := range dst {
		b := (col + int64(i)) / d.block[1]
		dst[i] = float32(int32(int8(q[i]))-int32(int8(zeros[b]))) * scales[b]
	}
	return nil
}

// BitNet is the packing of models whose weights are -1, 0 or 1: row r of X.weight holds, in pairs of bits, rows r, r+n,
// r+2n and r+3n of the matrix, each less one; they are divided by X.weight_scale.
type BitNet struct{}

// Unpack implements Format.
func (BitNet) Unpack(all []*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	packs, out := gather(all, ".weight_scale", ".weight")
	for _, p := range packs {
		w, err := p.need(".weight", uint8s)
		if err != nil {
			return nil, err
		}
		rows, cols, err := matrix(w)
		if err != nil {
			return nil, err
		}
		if err := isOf(p.main, floating, []int64{1}, []int64{}); err != nil {
			return nil, err
		}
		t, err := unpacked(p.name+".weight", []int64{4 * rows, cols}, w.File, &ternary{q: w, scale: p.main, rows: rows, cols: cols})
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// ternary is a weight of BitNet.
type ternary struct {
	q, scale   *safetensors.Tensor
	rows, cols int64 // of q
}

func (t *ternary) values(dst []float32, row, col int64) error {
	q, err := readBytes(t.q, row%t.rows*t.cols+col, int64(len(dst)))
	if err != nil {
		return err
	}
	scale, err := readFloats(t.scale, 0, 1)
	if err != nil {
		return err
	}
	for i, b := range q {
		dst[i] = (float32(b>>(2*(row/t.rows))&3) - 1) / scale[0]
	}
	return nil
}
