package dequant

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// BitsAndBytes is the packing of bitsandbytes, in either of its forms.
//
// Of 4 bits (dequantize_4bit in bitsandbytes/functional.py): X.weight has two numbers in a byte, the first in the upper
// half; each is a place in X.weight.quant_map, whose value is multiplied with the scale of its block in
// X.weight.absmax. Where that is of bytes it is quantized in turn, with X.weight.nested_quant_map and
// X.weight.nested_absmax, and an offset is added. X.weight.quant_state.bitsandbytes__nf4 (or fp4) is a JSON text with the
// shape, the sizes of the blocks and the offset.
//
// Of 8 bits (int8_vectorwise_dequant there): X.weight is of int8 and X.SCB has the largest value of each row,
// W = q * SCB / 127, where the division is a multiplication.
type BitsAndBytes struct{}

// The endings of what belongs to a weight of 4 bits, beside that of its state.
const (
	absmaxPart    = ".absmax"
	mapPart       = ".quant_map"
	nestedPart    = ".nested_absmax"
	nestedMapPart = ".nested_quant_map"
)

// statesAtOnce is how many states are read side by side, each of which is a request where a model is on the Hub.
const statesAtOnce = 8

// Unpack implements Format. It reads the states of weights of 4 bits, some 200 bytes each.
func (BitsAndBytes) Unpack(all []*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	var g errgroup.Group
	g.SetLimit(statesAtOnce)
	out := all
	var states []*fourBits
	for _, ending := range []string{".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"} {
		var packs []*pack
		packs, out = gather(out, ending, "", absmaxPart, mapPart, nestedPart, nestedMapPart)
		for _, p := range packs {
			f := &fourBits{pack: p}
			states = append(states, f)
			g.Go(f.read)
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, f := range states {
		t, err := f.tensor()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	packs, out := gather(out, ".SCB", ".weight", ".weight_format")
	for _, p := range packs {
		t, err := eightBits(p)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// fourBits is a weight of 4 bits.
type fourBits struct {
	pack  *pack
	state struct {
		Type        string  `json:"quant_type"`
		Block       int64   `json:"blocksize"`
		Shape       []int64 `json:"shape"`
		NestedBlock int64   `json:"nested_blocksize"`
		NestedType  string  `json:"nested_dtype"`
		Offset      float64 `json:"nested_offset"`
	}
	n, cols int64

	q, absmax, levels    *safetensors.Tensor
	nested, nestedLevels *safetensors.Tensor

	once          sync.Once
	table, scales []float32 // levels and nestedLevels
	err           error
}

// maxState is the longest state that is read.
const maxState = 4096

// read reads the state and checks it.
func (f *fourBits) read() error {
	t := f.pack.main
	fail := func(format string, args ...any) error {
		return fmt.Errorf("tensor %q (%s): %w", t.Name, t.File, fmt.Errorf(format, args...))
	}
	if t.DType != safetensors.U8 || t.Size > maxState {
		return fail("%d values of %s, want a JSON text of %d bytes at most", t.Size, t.DType, maxState)
	}
	text, err := readBytes(t, 0, t.Size)
	if err != nil {
		return err
	}
	s := &f.state
	if err := json.Unmarshal(text, s); err != nil {
		return fail("%w", err)
	}
	if !strings.HasSuffix(t.Name, "__"+s.Type) {
		return fail("quant_type %q", s.Type)
	}
	if s.Block < 1 || s.Block&(s.Block-1) != 0 || s.Block > 1<<16 {
		return fail("blocksize %d, want a power of two", s.Block)
	}
	if len(s.Shape) == 0 || len(s.Shape) > 4 {
		return fail("shape %v", s.Shape)
	}
	f.n, f.cols = 1, s.Shape[len(s.Shape)-1]
	for _, d := range s.Shape {
		if d < 1 || f.n > 1<<48/d {
			return fail("shape %v", s.Shape)
		}
		f.n *= d
	}
	return nil
}

// tensor checks the parts.
func (f *fourBits) tensor() (*safetensors.Tensor, error) {
	p := f.pack
	if f.q = p.parts[""]; f.q == nil {
		return nil, fmt.Errorf("tensor %q (%s): %q is missing beside it", p.main.Name, p.main.File, p.name)
	}
	if f.q.Size != (f.n+1)/2 {
		return nil, fmt.Errorf("tensor %q (%s): %d bytes, shape %v in 4 bits needs %d", f.q.Name, f.q.File, f.q.Size, f.state.Shape, (f.n+1)/2)
	}
	blocks := (f.n + f.state.Block - 1) / f.state.Block
	var err error
	if f.levels, err = p.need(mapPart, floating[:1], []int64{16}); err != nil {
		return nil, err
	}
	if f.absmax, err = p.need(absmaxPart, append([]safetensors.DType{safetensors.U8}, floating...), []int64{blocks}, []int64{blocks, 1}); err != nil {
		return nil, err
	}
	if f.absmax.DType == safetensors.U8 {
		s := f.state.NestedBlock
		if s < 1 || s > 1<<16 || f.state.NestedType != "" && f.state.NestedType != "float32" {
			return nil, fmt.Errorf("tensor %q (%s): nested_blocksize %d of %q", p.main.Name, p.main.File, s, f.state.NestedType)
		}
		if f.nested, err = p.need(nestedPart, floating[:1], []int64{(blocks + s - 1) / s}); err != nil {
			return nil, err
		}
		if f.nestedLevels, err = p.need(nestedMapPart, floating[:1], []int64{256}); err != nil {
			return nil, err
		}
	}
	return unpacked(p.name, f.state.Shape, f.q.File, f)
}

// load reads the levels.
func (f *fourBits) load() {
	if f.table, f.err = readFloats(f.levels, 0, 16); f.err == nil && f.nestedLevels != nil {
		f.scales, f.err = readFloats(f.nestedLevels, 0, 256)
	}
}

func (f *fourBits) values(dst []float32, row, col int64) error {
	if f.once.Do(f.load); f.err != nil {
		return f.err
	}
	at := row*f.cols + col
	last := at + int64(len(dst)) - 1
	q, err := readBytes(f.q, at/2, last/2-at/2+1)
	if err != nil {
		return err
	}
	first := at / f.state.Block
	scales, err := f.blockScales(first, last/f.state.Block-first+1)
	if err != nil {
		return err
	}
	for i := range dst {
		k := at + int64(i)
		level := q[k/2-at/2] >> 4
		if k%2 == 1 {
			level = q[k/2-at/2] & 15
		}
		dst[i] = f.table[level] * scales[k/f.state.Block-first]
	}
	return nil
}

// blockScales gives the scales of n blocks from first on.
func (f *fourBits) blockScales(first, n int64) ([]float32, error) {
	if f.nested == nil {
		return readFloats(f.absmax, first, n)
	}
	q, err := readBytes(f.absmax, first, n)
	if err != nil {
		return nil, err
	}
	s := f.state.NestedBlock
	outer := first / s
	nested, err := readFloats(f.nested, outer, (first+n-1)/s-outer+1)
	if err != nil {
		return nil, err
	}
	out := make([]float32, n)
	for i, b := range q {
		out[i] = float32(f.scales[b]*nested[(first+int64(i))/s-outer]) + float32(f.state.Offset)
	}
	return out, nil
}

// eightBits is the tensor of a weight of 8 bits.
func eightBits(p *pack) (*safetensors.Tensor, error) {
	w, err := p.need(".weight", int8s)
	if err != nil {
		return nil, err
	}
	rows, cols, err := matrix(w)
	if err != nil {
		return nil, err
	}
	if err := isOf(p.main, floating[:1], []int64{rows}); err != nil {
		return nil, err
	}
	return unpacked(p.name+".weight", w.Shape, w.File, &rowMaxima{q: w, maxima: p.main, layout: p.parts[".weight_format"], cols: cols})
}

// rowMaxima is a weight of int8 with the largest value of each row.
type rowMaxima struct {
	q, maxima, layout *safetensors.Tensor
	cols              int64

	once sync.Once
	err  error
}

// check refuses the layouts for certain GPUs, in which older versions saved weights.
func (d *rowMaxima) check() {
	if d.layout == nil {
		return
	}
	b, err := readBytes(d.layout, 0, d.layout.Size)
	if d.err = err; err == nil && (len(b) != 1 || b[0] != 0) {
		d.err = fmt.Errorf("tensor %q (%s): layout %v, want 0, which is row after row", d.layout.Name, d.layout.File, b)
	}
}

func (d *rowMaxima) values(dst []float32, row, col int64) error {
	if d.once.Do(d.check); d.err != nil {
		return d.err
	}
	q, err := readBytes(d.q, row*d.cols+col, int64(len(dst)))
	if err != nil {
		return err
	}
	most, err := readFloats(d.maxima, row, 1)
	if err != nil {
		return err
	}
	for i, b := range q {
		dst[i] = float32(float32(int8(b))*most[0]) * float32(7.874015718698502e-3)
	}
	return nil
}
