package forward

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// weights reads tensors and remembers which were read.
type weights struct {
	from *hf.Checkpoint
	read map[string]bool
}

func newWeights(c *hf.Checkpoint) *weights { return &weights{c, map[string]bool{}} }

func (w *weights) has(name string) bool { _, ok := w.find(name); return ok }

// find knows a weight under the name that the first BERT has for it, and under the one that torch gives it when something is
// computed beside it.
func (w *weights) find(name string) (*safetensors.Tensor, bool) {
	t, ok := w.from.Tensor(name)
	for _, other := range [][2]string{{".weight", ".gamma"}, {".bias", ".beta"}, {".weight", ".parametrizations.weight.original"}} {
		if stem, fits := strings.CutSuffix(name, other[0]); !ok && fits {
			t, ok = w.from.Tensor(stem + other[1])
		}
	}
	return t, ok
}

// raw is a tensor's shape, format and bytes.
func (w *weights) raw(name string) ([]int64, safetensors.DType, []byte) {
	t, ok := w.find(name)
	if !ok {
		fail("tensor %q is missing", name)
	}
	w.read[t.Name] = true
	data := make([]byte, t.Size)
	if _, err := t.ReadAt(data, 0); err != nil {
		fail("%w", err)
	}
	return t.Shape, t.DType, data
}

// tensor is a tensor's shape and values, row after row.
func (w *weights) tensor(name string) ([]int64, vec) {
	shape, dtype, data := w.raw(name)
	x := make(vec, len(data)/int(dtype.Size()))
	for i := range x {
		switch dtype {
		case safetensors.F64:
			x[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		case safetensors.F32:
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		case safetensors.BF16:
			x[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16))
		case safetensors.F16:
			x[i] = small(uint32(binary.LittleEndian.Uint16(data[2*i:])), 5, 10)
		case safetensors.F8E4M3:
			x[i] = small(uint32(data[i]), 4, 3)
		default:
			fail("tensor %q: %s is no format of weights", name, dtype)
		}
	}
	if w.has(name + "_scale_inv") {
		w.scaleBlocks(name, shape, x)
	}
	return shape, x
}

// small is the value of a float of a sign, an exponent and a mantissa of those many bits.
func small(bits uint32, exponent, mantissa int) float64 {
	sign := 1 - 2*float64(bits>>(exponent+mantissa)&1)
	e := int(bits >> mantissa & (1<<exponent - 1))
	m := float64(bits&(1<<mantissa-1)) / float64(int(1)<<mantissa)
	bias := 1<<(exponent-1) - 1
	if e == 0 {
		return sign * math.Ldexp(m, 1-bias)
	}
	return sign * math.Ldexp(1+m, e-bias)
}

// scaleBlocks multiplies the blocks of 128 x 128 of a matrix in FP8 by their scales.
func (w *weights) scaleBlocks(name string, shape []int64, x vec) {
	const block = 128
	s := w.matrix(name + "_scale_inv")
	columns := int(shape[1])
	for i := range x {
		x[i] *= s.row(i / columns / block)[i%columns/block]
	}
}

func (w *weights) vector(name string) vec { _, x := w.tensor(name); return x }

func (w *weights) matrix(name string) *matrix {
	shape, x := w.tensor(name)
	if len(shape) < 2 {
		fail("tensor %q has the shape %v where a matrix belongs", name, shape)
	}
	return &matrix{len(x) / int(shape[len(shape)-1]), int(shape[len(shape)-1]), x}
}

// stack is a tensor of several matrices. Where a checkpoint has it in MXFP4, as blocks and their exponents, the values of a
// row run along the stack's last dimension, and transposed says that the family has it the other way around.
func (w *weights) stack(name string, transposed bool) []*matrix {
	var shape []int64
	var x vec
	if w.has(name + "_blocks") {
		shape, x = w.mxfp4(name)
		transposed = false
	} else {
		shape, x = w.tensor(name)
	}
	if len(shape) != 3 {
		fail("tensor %q has the shape %v where a stack of matrices belongs", name, shape)
	}
	rows, columns := int(shape[1]), int(shape[2])
	out := make([]*matrix, shape[0])
	for e := range out {
		out[e] = &matrix{rows, columns, x[e*rows*columns : (e+1)*rows*columns]}
		if transposed {
			out[e] = out[e].transposed()
		}
	}
	return out
}

// mxfp4 is a stack in OCP's format: 32 numbers of four bits, the even ones in the low halves of the bytes, and the power of
// two that they share.
func (w *weights) mxfp4(name string) ([]int64, vec) {
	shape, _, blocks := w.raw(name + "_blocks")
	_, _, scales := w.raw(name + "_scales")
	values := [8]float64{0, 0.5, 1, 1.5, 2, 3, 4, 6}
	x := make(vec, 2*len(blocks))
	for i := range x {
		code := blocks[i/2] >> (4 * (i % 2)) & 15
		x[i] = math.Ldexp(values[code&7], int(scales[i/32])-127)
		if code&8 != 0 {
			x[i] = -x[i]
		}
	}
	return []int64{shape[0], shape[1], 32 * shape[2]}, x
}

// layered replaces {i} and {e} in a name.
func layered(name string, layer, e int) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "{i}", fmt.Sprint(layer)), "{e}", fmt.Sprint(e))
}
