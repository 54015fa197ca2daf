package dequant

import (
	"fmt"
	"sync"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// GPTQ is the packing of AutoGPTQ, GPTQModel and GPTQ-for-LLaMa. Beside X.qweight lie X.qzeros, X.scales and X.g_idx:
//
//	W[out][in] = scales[g][out] * (q[in][out] - zero[g][out]),  g = g_idx[in]
//
// The bits of q follow one another down the columns of qweight, those of zero along the rows of qzeros. The converter
// takes 2, 4 and 8 bits; those of 3 follow one another in the same way, across the words (unpack in
// gptqmodel/nn_modules/qlinear/__init__.py of GPTQModel).
type GPTQ struct {
	Bits  int64
	Group int64 // inputs that share a scale, 0 for all: counts where there is no g_idx
	V2    bool  // zeros are stored as they are, not less one
}

// Unpack implements Format.
func (f GPTQ) Unpack(all []*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	packs, out := gather(all, ".qweight", ".qzeros", ".scales", ".g_idx")
	blocks := &blockCache{}
	for _, p := range packs {
		c := &columns{cache: blocks, bits: f.Bits, packedDown: true, weights: p.main}
		if !f.V2 {
			c.plus = 1
		}
		rows, outputs, err := matrix(p.main)
		if err != nil {
			return nil, err
		}
		if rows*32%f.Bits != 0 {
			return nil, fmt.Errorf("tensor %q (%s): %d rows of 32 bits hold no whole number of %d bits", p.main.Name, p.main.File, rows, f.Bits)
		}
		c.inputs, c.outputs = rows*32/f.Bits, outputs
		if c.index = p.parts[".g_idx"]; c.index != nil {
			if err := isOf(c.index, int32s, []int64{c.inputs}); err != nil {
				return nil, err
			}
		}
		t, err := c.tensor(p, f.Group)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// AWQ is the packing of AutoAWQ's GEMM kernel. Beside X.qweight lie X.qzeros and X.scales:
//
//	W[out][in] = scales[g][out] * (q[in][out] - zero[g][out]),  g = in / Group
//
// Eight outputs share a word of either, their four bits in an order of its own (dequantize_gemm in
// awq/utils/packing_utils.py; the product is not rounded to F16 here).
type AWQ struct{ Group int64 }

// awqOrder is where in a word the bits of each of eight outputs stand: AWQ_REVERSE_ORDER.
var awqOrder = [8]int64{0, 4, 1, 5, 2, 6, 3, 7}

// Unpack implements Format.
func (f AWQ) Unpack(all []*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	packs, out := gather(all, ".qweight", ".qzeros", ".scales")
	blocks := &blockCache{}
	for _, p := range packs {
		inputs, words, err := matrix(p.main)
		if err != nil {
			return nil, err
		}
		c := &columns{cache: blocks, bits: 4, weights: p.main, inputs: inputs, outputs: 8 * words, order: awqOrder[:]}
		t, err := c.tensor(p, f.Group)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// columns is a weight whose rows are packed as the columns of a matrix, which is read in blocks of several.
type columns struct {
	cache           *blockCache
	bits            int64
	packedDown      bool    // the bits of weights follow one another down the columns, else along the rows
	order           []int64 // of the values within a word, where they are packed along the rows; nil for their own
	plus            int32   // is added to zeros
	inputs, outputs int64
	group, groups   int64
	wide            int64 // outputs of a block

	weights, zeros, scales *safetensors.Tensor
	index                  *safetensors.Tensor // group of each input; nil: they follow one another
}

// blockBytes is about how large a block is, at a byte for each weight.
const blockBytes = 1 << 20

// tensor checks the parts that both formats have.
func (c *columns) tensor(p *pack, group int64) (*safetensors.Tensor, error) {
	if err := isOf(c.weights, int32s); err != nil {
		return nil, err
	}
	var err error
	if c.scales, err = p.need(".scales", floating); err != nil {
		return nil, err
	}
	if len(c.scales.Shape) != 2 || c.scales.Shape[1] != c.outputs || c.scales.Shape[0] < 1 || c.scales.Shape[0] > c.inputs {
		return nil, fmt.Errorf("tensor %q (%s): shape %v, %q needs some groups of %d", c.scales.Name, c.scales.File, c.scales.Shape, c.weights.Name, c.outputs)
	}
	c.groups = c.scales.Shape[0]
	if c.group = group; group == 0 {
		c.group = c.inputs
	}
	if c.index == nil && (c.inputs+c.group-1)/c.group != c.groups {
		return nil, fmt.Errorf("tensor %q (%s): %d groups, %d inputs in groups of %d make %d", c.scales.Name, c.scales.File, c.groups, c.inputs, c.group, (c.inputs+c.group-1)/c.group)
	}
	if c.outputs*c.bits%32 != 0 {
		return nil, fmt.Errorf("tensor %q (%s): %d outputs of %d bits are no whole number of words", c.weights.Name, c.weights.File, c.outputs, c.bits)
	}
	if c.zeros, err = p.need(".qzeros", int32s, []int64{c.groups, c.outputs * c.bits / 32}); err != nil {
		return nil, err
	}
	c.wide = min(c.outputs, max(32, blockBytes/c.inputs/32*32)) // 32 values are whole words, whatever the bits
	return unpacked(p.name+".weight", []int64{c.outputs, c.inputs}, c.weights.File, c)
}

func (c *columns) values(dst []float32, row, col int64) error {
	b, err := c.cache.get(c, row/c.wide)
	if err != nil {
		return err
	}
	r := row % c.wide
	q := b.q[r*c.inputs+col:]
	scales, zeros := b.scales[r*c.groups:][:c.groups], b.zeros[r*c.groups:][:c.groups]
	for i := range dst {
		g := (col + int64(i)) / c.group
		if b.index != nil {
			g = int64(b.index[col+int64(i)])
		}
		dst[i] = scales[g] * float32(int32(q[i])-zeros[g])
	}
	return nil
}

// block is some outputs of a weight: each has the numbers of its inputs side by side.
type block struct {
	q      []uint8
	scales []float32
	zeros  []int32
	index  []uint32
}

// load reads block number n.
func (c *columns) load(n int64) (*block, error) {
	first := n * c.wide
	wide := min(c.wide, c.outputs-first)
	b := &block{q: make([]uint8, wide*c.inputs), scales: make([]float32, wide*c.groups), zeros: make([]int32, wide*c.groups)}
	if c.packedDown {
		if err := c.down(b.q, first, wide); err != nil {
			return nil, err
		}
	} else if err := c.along(c.weights, c.inputs, first, wide, func(r, in int64, v uint8) { b.q[r*c.inputs+in] = v }); err != nil {
		return nil, err
	}
	err := c.along(c.zeros, c.groups, first, wide, func(r, g int64, v uint8) { b.zeros[r*c.groups+g] = int32(v) + c.plus })
	if err != nil {
		return nil, err
	}
	for g := range c.groups {
		line, err := readFloats(c.scales, g*c.outputs+first, wide)
		if err != nil {
			return nil, err
		}
		for r, x := range line {
			b.scales[int64(r)*c.groups+g] = x
		}
	}
	if c.index != nil {
		if b.index, err = readWords(c.index, 0, c.inputs); err != nil {
			return nil, err
		}
		for i, g := range b.index {
			if int64(g) >= c.groups {
				return nil, fmt.Errorf("tensor %q (%s): input %d is in group %d of %d", c.index.Name, c.index.File, i, int32(g), c.groups)
			}
		}
	}
	return b, nil
}

// down reads numbers whose bits follow one another down the columns: value k of a column has the bits from k*bits on.
func (c *columns) down(q []uint8, first, wide int64) error {
	mask := uint64(1)<<c.bits - 1
	var above []uint32
	left := int64(0) // bits of the words above that are not taken yet
	in := int64(0)
	for word := range c.weights.Shape[0] {
		line, err := readWords(c.weights, word*c.outputs+first, wide)
		if err != nil {
			return err
		}
		n := (left + 32) / c.bits
		for r, w := range line {
			bits := uint64(w) << left
			if left > 0 {
				bits |= uint64(above[r] >> (32 - left))
			}
			to := q[int64(r)*c.inputs+in:]
			for k := range n {
				to[k] = uint8(bits >> (k * c.bits) & mask)
			}
		}
		in += n
		left = (left + 32) % c.bits
		above = line
	}
	return nil
}

// along reads numbers that are packed along the rows of a matrix of n rows: output first+r has the bits from
// (first+r)*bits on, or stands in another place of its word.
func (c *columns) along(t *safetensors.Tensor, n, first, wide int64, put func(r, row int64, v uint8)) error {
	words := t.Shape[1]
	mask := uint64(1)<<c.bits - 1
	from, to := first*c.bits/32, (first+wide)*c.bits/32
	for row := range n {
		line, err := readWords(t, row*words+from, to-from)
		if err != nil {
			return err
		}
		for r := range wide {
			at := r * c.bits
			if c.order != nil {
				at = (r/8*8 + c.order[r%8]) * c.bits
			}
			v := uint64(line[at/32]) >> (at % 32)
			if at%32+c.bits > 32 {
				v |= uint64(line[at/32+1]) << (32 - at%32)
			}
			put(r, row, uint8(v&mask))
		}
	}
	return nil
}

// blockCache keeps the blocks that were used last: whoever reads rows one by one, as permuting does, jumps between two
// places of a head.
type blockCache struct {
	mu   sync.Mutex
	list []cached // the one used last comes last
}

type cached struct {
	of    *columns
	n     int64
	block *block
}

// maxBlocks is how many blocks are kept.
const maxBlocks = 4

func (k *blockCache) get(c *columns, n int64) (*block, error) {
	if b := k.find(c, n); b != nil {
		return b, nil
	}
	b, err := c.load(n)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.list) == maxBlocks {
		k.list = append(k.list[:0], k.list[1:]...)
	}
	k.list = append(k.list, cached{c, n, b})
	return b, nil
}

func (k *blockCache) find(c *columns, n int64) *block {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, x := range k.list {
		if x.of == c && x.n == n {
			copy(k.list[i:], k.list[i+1:])
			k.list[len(k.list)-1] = x
			return x.block
		}
	}
	return nil
}
