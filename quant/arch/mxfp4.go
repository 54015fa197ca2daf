package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// Weights that are published in MXFP4 lie in two tensors of bytes: X_blocks has 16 for every 32 weights of a row, as
// its last dimension, the even weights in the low nibbles; X_scales has the exponent of each block. They become GGUF's
// blocks without a number changing (GptOssModel.repack_mxfp4).

// mxfp4Block is the number of weights that share a scale.
const mxfp4Block = 32

// blocksPer is the number of blocks in a row of n weights.
func blocksPer(n size) size { return func(d dims) int64 { return n(d) / mxfp4Block } }

// nibbles is the shape of X_blocks for rows of n weights, whose other dimensions come first.
func nibbles(n size, before ...size) []size {
	return append(before, blocksPer(n), func(dims) int64 { return mxfp4Block / 2 })
}

// blocks reads X_blocks as it is, every every-th row from first on. Its view counts blocks.
func blocks(first, every int64) change {
	return func(_ dims, shape []int64) reading {
		e, rows, n := shape[0], shape[1]/every, shape[2]
		r := reading{shape: []int64{e, rows, n * mxfp4Block}}
		if every != 1 {
			r.views = []View{{First: first * n, Rows: []Dim{{e, rows * every * n}, {rows, every * n}}, Cols: []Dim{{n, 1}}}}
		}
		return r
	}
}

// knowsPacked tells whether any of the family's tensors may be in MXFP4.
func (f *family) knowsPacked() bool {
	return slices.ContainsFunc(f.rules, func(r rule) bool { return strings.HasSuffix(r.from, "_blocks") })
}

// packedName is the name of the blocks that a tensor has the exponents of.
func packedName(name string) (string, bool) {
	weight, ok := strings.CutSuffix(name, "_scales")
	return weight + "_blocks", ok
}

// exponentsOf checks the exponents of blocks; nil for a tensor that is not packed.
func (m *mapping) exponentsOf(t, scales *safetensors.Tensor) (*safetensors.Tensor, error) {
	if !m.quant.packed || !strings.HasSuffix(t.Name, "_blocks") {
		return nil, nil
	}
	if t.DType != safetensors.U8 {
		return nil, fmt.Errorf("tensor %q (%s): dtype %s, packed weights are U8", t.Name, t.File, t.DType)
	}
	if scales == nil {
		return nil, fmt.Errorf("tensor %q (%s): its scales are missing", t.Name, t.File)
	}
	if want := t.Shape[:len(t.Shape)-1]; scales.DType != safetensors.U8 || !slices.Equal(scales.Shape, want) {
		return nil, fmt.Errorf("tensor %q (%s): shape %v of %s, %q needs %v of U8", scales.Name, scales.File, scales.Shape, scales.DType, t.Name, want)
	}
	return scales, nil
}
