package dequant

import (
	"fmt"
	"sync"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// Scaled is an FP8 weight times its scales, one for each block of so many rows and columns, as a tensor of float32. Scale is
// nil for a weight that has none. Other weights of FP8 need none of this: they are scaled behind the reader.
func Scaled(weight, scale *safetensors.Tensor, block [2]int64) (*safetensors.Tensor, error) {
	if err := isOf(weight, []safetensors.DType{safetensors.F8E4M3, safetensors.F8E5M2}); err != nil {
		return nil, err
	}
	rows, cols, err := matrix(weight)
	if err != nil {
		return nil, err
	}
	d := &scaled{weight: weight, scale: scale, block: block, cols: cols, across: 1}
	if scale != nil {
		if block[0] < 1 || block[1] < 1 {
			return nil, fmt.Errorf("tensor %q (%s): scales in blocks of %v", scale.Name, scale.File, block)
		}
		d.across = (cols + block[1] - 1) / block[1]
		if d.n = (rows + block[0] - 1) / block[0] * d.across; scale.Size != d.n*scale.DType.Size() {
			return nil, fmt.Errorf("tensor %q (%s): %d bytes, %d scales of %s need %d", scale.Name, scale.File, scale.Size, d.n, scale.DType, d.n*scale.DType.Size())
		}
		if err := isOf(scale, floating); err != nil {
			return nil, err
		}
	}
	return unpacked(weight.Name, weight.Shape, weight.File, d)
}

// scaled is an FP8 weight with its scales, which are kept whole once they are read: one for 16384 weights as a rule.
type scaled struct {
	weight, scale *safetensors.Tensor
	block         [2]int64
	cols, across  int64
	n             int64 // scales

	once   sync.Once
	scales []float32
	err    error
}

func (d *scaled) values(dst []float32, row, col int64) error {
	b, err := readBytes(d.weight, row*d.cols+col, int64(len(dst)))
	if err != nil {
		return err
	}
	if d.weight.DType == safetensors.F8E4M3 {
		kernels.F8E4M3ToF32(dst, b)
	} else {
		kernels.F8E5M2ToF32(dst, b)
	}
	if d.scale == nil {
		return nil
	}
	if d.once.Do(func() { d.scales, d.err = readFloats(d.scale, 0, d.n) }); d.err != nil {
		return d.err
	}
	line := d.scales[row/d.block[0]*d.across:][:d.across]
	for i := range dst {
		dst[i] *= line[(col+int64(i))/d.block[1]]
	}
	return nil
}
