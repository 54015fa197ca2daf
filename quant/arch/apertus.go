package arch

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// apertus is the Swiss AI Initiative's: Llama without gates, with norms on heads, and an activation whose four numbers each
// layer has learnt (ApertusModel in conversion/llama.py). llama.cpp keeps them in the metadata, so they are read when the
// checkpoint is mapped: the only values that are.
var apertus = &family{
	name:    "apertus",
	classes: []string{"ApertusForCausalLM"},
	rules: rulesOf(outer(), attention("{i}", nil, nil), headNorms("{i}", nil), []rule{
		{"model.layers.{i}.attention_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
	}),
	filter: func(_ *mapping, name string) string {
		if strings.Contains(name, ".mlp.act_fn.") {
			return "a number of the activation, kept in the metadata"
		}
		return ""
	},
	needsFF:     true,
	needsRMS:    true,
	ropeFactors: true,
	made:        activations,
	tokenizer:   tokenizer.Options{Llama: true},
	params:      llamaParams,
}

// activations writes the numbers of all layers' activations, in the order in which the converter has all of a kind.
func activations(m *mapping) []Tensor {
	byName := map[string]*safetensors.Tensor{}
	for _, t := range m.sources {
		byName[t.Name] = t
	}
	for _, name := range []string{"alpha_n", "alpha_p", "beta", "eps"} {
		values, err := m.numbers(byName, "mlp.act_fn."+name)
		if err != nil {
			if *m.config.err == nil {
				*m.config.err = err
			}
			return nil
		}
		m.model.Metadata.Set("xielu."+name, values)
	}
	return nil
}

// numbers reads a tensor of one value in each layer, a few at a time: each may be a request of its own.
func (m *mapping) numbers(byName map[string]*safetensors.Tensor, name string) ([]float32, error) {
	list := make([]*safetensors.Tensor, m.dims.layers)
	for i := range list {
		source := fmt.Sprintf("model.layers.%d.%s", i, name)
		if list[i] = byName[source]; list[i] == nil {
			return nil, fmt.Errorf("tensor %q: missing from the checkpoint", source)
		}
	}
	values, errs := make([]float32, len(list)), make([]error, len(list))
	var wait sync.WaitGroup
	turn := make(chan struct{}, 16)
	for i, t := range list {
		wait.Add(1)
		turn <- struct{}{}
		go func() {
			defer func() { <-turn; wait.Done() }()
			values[i], errs[i] = readNumber(t)
		}()
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

func readNumber(t *safetensors.Tensor) (float32, error) {
	size := t.DType.Size()
	if t.DType != safetensors.F32 && t.DType != safetensors.BF16 || t.Size != size {
		return 0, fmt.Errorf("tensor %q (%s): shape %v of %s, want one number in F32 or BF16", t.Name, t.File, t.Shape, t.DType)
	}
	raw := make([]byte, size)
	if n, err := t.ReadAt(raw, 0); n < len(raw) {
		return 0, fmt.Errorf("tensor %q (%s): %w", t.Name, t.File, err)
	}
	if t.DType == safetensors.BF16 {
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw)) << 16), nil
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(raw)), nil
}
