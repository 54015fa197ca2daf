package arch

import (
	"encoding/json"
	"math"
)

// deci is Llama Nemotron as a search for cheaper layers left it: each layer has its own number of key heads, perhaps a
// matrix in place of attention or nothing at all, and its own width (DeciModel in conversion/deci.py). DeciLM 7B, whose
// config is of another kind, is not supported.
var deci = &family{
	name:    "deci",
	classes: []string{"DeciLMForCausalLM"},
	rules: rulesOf(outer(), []rule{
		{"model.layers.{heads}.input_layernorm.weight", "blk.{heads}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{linear}.self_attn.linear_attn.weight", "blk.{linear}.attn_output.weight", matrix(hidden, hidden), needed, nil},
		{"model.layers.{attn}.self_attn.q_proj.weight", "blk.{attn}.attn_q.weight", matrix(queries, hidden), needed, permuteQ},
		{"model.layers.{attn}.self_attn.k_proj.weight", "blk.{attn}.attn_k.weight", matrix(deciKeys, hidden), needed, permute(deciKV)},
		{"model.layers.{attn}.self_attn.v_proj.weight", "blk.{attn}.attn_v.weight", matrix(deciKeys, hidden), needed, nil},
		{"model.layers.{attn}.self_attn.o_proj.weight", "blk.{attn}.attn_output.weight", matrix(hidden, queries), needed, nil},
		{"model.layers.{ff}.post_attention_layernorm.weight", "blk.{ff}.ffn_norm.weight", vector(hidden), needed, nil},
	}, gated("model.layers.{ff}.mlp.", "blk.{ff}.ffn_*", deciFF)),
	layers: map[string]func(*mapping, int) bool{
		"heads":  func(m *mapping, layer int) bool { b := deciBlock(m.config, layer); return b.kv > 0 || b.linear },
		"linear": func(m *mapping, layer int) bool { return deciBlock(m.config, layer).linear },
		"attn":   func(m *mapping, layer int) bool { return deciBlock(m.config, layer).kv > 0 },
		"ff":     func(m *mapping, layer int) bool { return deciBlock(m.config, layer).ff > 0 },
	},
	prepare: func(c *config) { // a number of its own for each layer
		delete(c.doc, "head_dim")
		delete(c.doc, "num_key_value_heads")
		delete(c.doc, "intermediate_size")
	},
	adjust: func(m *mapping) {
		list, _ := m.config.doc["block_configs"].([]any)
		if int64(len(list)) != m.dims.layers {
			m.config.fail("block_configs: %d entries, want one for each of %d layers", len(list), m.dims.layers)
		}
	},
	noTheta:     true,
	ropeFactors: true,
	tokenizer:   bpeOnly,
	ownParams:   true,
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		heads, shared, widths := make([]int32, d.layers), make([]int32, d.layers), make([]int32, d.layers)
		for i := range heads {
			b := deciBlock(c, i)
			if shared[i], widths[i] = int32(b.kv), int32(b.ff); b.kv > 0 || b.linear {
				heads[i] = int32(d.heads)
			}
		}
		if m.rope.stated {
			set("rope.freq_base", float32(m.rope.theta))
		}
		set("attention.head_count_kv", shared)
		set("attention.head_count", heads)
		set("feed_forward_length", widths)
		set("block_count", uint32(d.layers))
		set("context_length", uint32(c.count("max_position_embeddings")))
		set("embedding_length", uint32(d.hidden))
		set("attention.layer_norm_rms_epsilon", c.float("rms_norm_eps"))
		set("attention.key_length", uint32(d.hidden/d.heads))
		set("attention.value_length", uint32(d.hidden/d.heads))
		set("vocab_size", uint32(d.vocab))
		set("rope.dimension_count", uint32(d.headDim))
		return nil
	},
}

func deciKV(d dims) int64   { return deciBlock(d.config, int(d.layer)).kv }
func deciKeys(d dims) int64 { return deciKV(d) * d.headDim }
func deciFF(d dims) int64   { return deciBlock(d.config, int(d.layer)).ff }

// block is what one layer has.
type block struct {
	kv     int64 // heads of keys, 0 for no attention
	linear bool  // a matrix in its place
	ff     int64 // width of the feed-forward network, 0 for none
}

// deciBlock reads a layer's entry of block_configs.
func deciBlock(c *config, layer int) block {
	list, _ := c.doc["block_configs"].([]any)
	if layer >= len(list) {
		return block{}
	}
	entry := &config{path: "block_configs ", doc: map[string]any{}, err: c.err}
	if doc, ok := list[layer].(map[string]any); ok {
		entry.doc = doc
	} else {
		c.fail("block_configs: want objects")
	}
	attention, ffn := entry.object("attention"), entry.object("ffn")
	var b block
	if attention.has("n_heads_in_group") {
		b.kv = c.count("num_attention_heads") / max(1, attention.count("n_heads_in_group"))
	} else {
		b.linear = attention.flag("replace_with_linear")
	}
	if _, ok := ffn.doc["ffn_mult"].(json.Number); ok { // two thirds of it, up to a multiple of 256
		n := math.Trunc(2 * ffn.number("ffn_mult") * c.number("hidden_size") / 3)
		if n < 0 || n > math.MaxInt32-256 {
			c.fail("block_configs: ffn_mult %v makes a width of %v", ffn.doc["ffn_mult"], n)
			return b
		}
		b.ff = (int64(n) + 255) / 256 * 256
	}
	return b
}
