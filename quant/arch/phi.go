package arch

import (
	"math"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// phi3 are Phi 3, 3.5 and 4: queries, keys and values in one matrix, gates and ups in another, and positions beyond the
// trained context by factors that the config lists (Phi3MiniModel in conversion/phi.py).
var phi3 = &family{
	name:    "phi3",
	classes: []string{"Phi3ForCausalLM"},
	rules: rulesOf(outer(), norms(nil), []rule{
		{"model.layers.{i}.self_attn.qkv_proj.weight", "blk.{i}.attn_qkv.weight", matrix(sum(queries, times(2, keys)), hidden), needed, nil},
		{"model.layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
		{"model.layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), needed, nil},
		{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
	}),
	defaults:  map[string]any{"original_max_position_embeddings": 4096.0},
	needsFF:   true,
	made:      longRope,
	tokenizer: tokenizer.Options{Phi: true},
	ownParams: true,
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		set("context_length", uint32(c.count("max_position_embeddings")))
		set("rope.scaling.original_context_length", uint32(m.rope.params.count("original_max_position_embeddings")))
		set("embedding_length", uint32(d.hidden))
		set("feed_forward_length", uint32(d.ff))
		set("block_count", uint32(d.layers))
		set("attention.head_count", uint32(d.heads))
		set("attention.head_count_kv", uint32(d.kvHeads))
		set("attention.layer_norm_rms_epsilon", c.float("rms_norm_eps"))
		set("rope.dimension_count", uint32(m.partialHead()))
		set("rope.freq_base", float32(m.rope.theta))
		set("attention.sliding_window", uint32(c.integer("sliding_window")))
		return nil
	},
}

// partialHead is how many values of a head are turned, counted as the Phi models do: by the hidden size.
func (m *mapping) partialHead() int64 {
	return int64(float64(m.dims.hidden)*m.rope.shareOr(1)) / m.dims.heads
}

// longRope makes the factors for short and long contexts, and writes how much stronger attention becomes.
func longRope(m *mapping) []Tensor {
	p := m.rope.params
	if len(p.numbers("long_factor")) == 0 {
		return nil
	}
	trained := float64(p.count("original_max_position_embeddings"))
	scale := float64(m.config.count("max_position_embeddings")) / trained
	factor := 1.0
	switch kind := strings.ToLower(m.rope.kind); {
	case kind == "su" || kind == "longrope":
		if scale > 1 {
			factor = math.Sqrt(1 + math.Log(scale)/math.Log(trained))
		}
	case kind == "yarn":
		if scale > 1 {
			factor = 0.1*math.Log(scale) + 1
		}
	default:
		p.fail("%srope_type: %q, want su, longrope or yarn", p.path, m.rope.kind)
	}
	m.set("rope.scaling.attn_factor", float32(factor))
	return m.longFactors(m.partialHead() / 2)
}

// longFactors makes the factors alone, n of each kind; nil where the config has none.
func (m *mapping) longFactors(n int64) []Tensor {
	p := m.rope.params
	long, short := p.numbers("long_factor"), p.numbers("short_factor")
	if len(long) == 0 && len(short) == 0 {
		return nil
	}
	if int64(len(long)) != n || int64(len(short)) != n {
		p.fail("%slong_factor has %d values and short_factor %d, want %d", p.path, len(long), len(short), n)
	}
	constant := func(name string, x []float64) Tensor {
		t := Tensor{Name: name, Shape: []int64{int64(len(x))}, Type: gguf.F32, Const: make([]float32, len(x))}
		for i := range x {
			t.Const[i] = float32(x[i])
		}
		return t
	}
	return []Tensor{constant("rope_factors_long.weight", long), constant("rope_factors_short.weight", short)}
}

// phi2 is Phi 2, and Phi 1 and 1.5 in its form: attention and feed-forward network side by side, biases everywhere.
var phi2 = &family{
	name:    "phi2",
	classes: []string{"PhiForCausalLM"},
	rules: append([]rule{{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil}}, biased(needed, rulesOf(
		[]rule{{"model.final_layernorm.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), needed, nil},
			{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.mlp.fc1.weight", "blk.{i}.ffn_up.weight", matrix(phiFF, hidden), needed, nil},
			{"model.layers.{i}.mlp.fc2.weight", "blk.{i}.ffn_down.weight", matrix(hidden, phiFF), needed, nil}},
		named(attention("{i}", nil, nil), "o_proj", "dense"),
	))...),
	tokenizer: bpeOnly,
	ownParams: true,
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		set("context_length", uint32(c.count(c.firstOf([]string{"n_positions", "max_position_embeddings"}))))
		set("embedding_length", uint32(d.hidden))
		set("feed_forward_length", uint32(phiFF(d)))
		set("block_count", uint32(d.layers))
		set("attention.head_count", uint32(d.heads))
		set("attention.head_count_kv", uint32(d.heads))
		set("attention.layer_norm_epsilon", c.float(c.firstOf([]string{"layer_norm_epsilon", "layer_norm_eps"})))
		set("rope.dimension_count", uint32(m.partialHead()))
		m.model.Metadata.Set("tokenizer.ggml.add_bos_token", false)
		return nil
	},
}

// phiFF is four times the hidden size, whatever the config says.
func phiFF(d dims) int64 { return 4 * d.hidden }
