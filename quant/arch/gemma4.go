package arch

import (
	"slices"
	"strconv"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// gemma4 is the text part of Gemma 4: heads of one size where attention has a window and of another where it sees all,
// values that may be the keys, layers that share the keys of earlier ones, and in some models experts beside the
// feed-forward network (Gemma4Model in conversion/gemma.py).
var gemma4 = &family{
	name:    "gemma4",
	classes: []string{"Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"},
	note:    textPart,
	rules: rulesOf(outer()[:2], allOf(optional, perLayerInputs()), sandwich(nil),
		gemma4Attention("{window}", keys, queries, headDim), gemma4Attention("{full}", globalKeys, product(heads, globalHead), globalHead),
		mlp("{narrow}"), gated("model.layers.{wide}.mlp.", "blk.{wide}.ffn_*", times(2, ff)),
		[]rule{{"model.layers.{i}.layer_scalar", "blk.{i}.layer_output_scale.weight", vector(one), optional, nil}},
		allOf(optional, []rule{
			router("{i}", "router.proj"),
			{"model.layers.{i}.router.scale", "blk.{i}.ffn_gate_inp.scale", vector(hidden), needed, nil},
			{"model.layers.{i}.router.per_expert_scale", "blk.{i}.ffn_down_exps.scale", vector(experts), needed, nil},
			{"model.layers.{i}.experts.gate_up_proj", "blk.{i}.ffn_gate_up_exps.weight", shape(experts, times(2, expertWidth), hidden), needed, nil},
			{"model.layers.{i}.experts.down_proj", "blk.{i}.ffn_down_exps.weight", shape(experts, hidden, expertWidth), needed, nil},
			{"model.layers.{i}.pre_feedforward_layernorm_2.weight", "blk.{i}.pre_ffw_norm_2.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.post_feedforward_layernorm_1.weight", "blk.{i}.post_ffw_norm_1.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.post_feedforward_layernorm_2.weight", "blk.{i}.post_ffw_norm_2.weight", vector(hidden), needed, nil},
		})),
	layers: map[string]func(*mapping, int) bool{
		"window": func(m *mapping, layer int) bool { return m.layerKind(layer) == "sliding_attention" },
		"full":   func(m *mapping, layer int) bool { return m.layerKind(layer) != "sliding_attention" },
		"narrow": func(m *mapping, layer int) bool { return !m.doubleWide(layer) },
		"wide":   func(m *mapping, layer int) bool { return m.doubleWide(layer) },
	},
	prepare: gemma4Config,
	adjust: func(m *mapping) {
		if n := len(m.config.strings("layer_types")); int64(n) != m.dims.layers {
			m.config.fail("layer_types: %d entries, want one for each of %d layers", n, m.dims.layers)
		}
	},
	needsFF:   true,
	made:      proportionalRope,
	tokenizer: tokenizer.Options{Kind: tokenizer.Gemma4},
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		if err := gemma3.params(m, set); err != nil {
			return err
		}
		set("attention.shared_kv_layers", uint32(c.integer("num_kv_shared_layers")))
		set("embedding_length_per_layer_input", uint32(c.integer("hidden_size_per_layer_input")))
		window := m.slidingLayers(0)
		set("attention.sliding_window_pattern", window)
		set("attention.key_length", uint32(globalHead(d)))
		set("attention.value_length", uint32(globalHead(d)))
		set("attention.key_length_swa", uint32(d.headDim))
		set("attention.value_length_swa", uint32(d.headDim))
		m.setCount("expert_feed_forward_length", "expert_intermediate_size", "moe_intermediate_size")
		if c.flag("use_double_wide_mlp") {
			widths := make([]int32, d.layers)
			for i := range widths {
				if widths[i] = int32(d.ff); m.doubleWide(i) {
					widths[i] *= 2
				}
			}
			set("feed_forward_length", widths)
		}
		if c.has("num_global_key_value_heads") {
			shared := make([]int32, len(window))
			for i, near := range window {
				if shared[i] = int32(globalKV(d)); near {
					shared[i] = int32(d.kvHeads)
				}
			}
			set("attention.head_count_kv", shared)
		}
		set("rope.dimension_count", uint32(globalHead(d)))
		set("rope.dimension_count_swa", uint32(d.headDim))
		return nil
	},
}

var (
	globalHead  = value("global_head_dim")
	expertWidth = value("expert_intermediate_size", "moe_intermediate_size")
)

func globalKV(d dims) int64   { return d.config.countOr("num_global_key_value_heads", d.kvHeads) }
func globalKeys(d dims) int64 { return globalKV(d) * globalHead(d) }

// gemma4Attention is the attention of a set of layers. Those that share the keys and values of others may have none.
func gemma4Attention(set string, keys, queries, head size) []rule {
	from, to := "model.layers."+set+".self_attn.", "blk."+set+".attn_"
	return []rule{
		{from + "q_proj.weight", to + "q.weight", matrix(queries, hidden), needed, nil},
		{from + "k_proj.weight", to + "k.weight", matrix(keys, hidden), perLayer, nil},
		{from + "v_proj.weight", to + "v.weight", matrix(keys, hidden), perLayer, nil},
		{from + "o_proj.weight", to + "output.weight", matrix(hidden, queries), needed, nil},
		{from + "q_norm.weight", to + "q_norm.weight", vector(head), needed, nil},
		{from + "k_norm.weight", to + "k_norm.weight", vector(head), perLayer, nil},
	}
}

// gemma4Config finds the sizes of layers that see all where the config lists them layer by layer.
func gemma4Config(c *config) {
	for key, v := range map[string]any{"rms_norm_eps": 1e-6, "num_kv_shared_layers": 0.0, "sliding_window": 512.0, "vocab_size_per_layer_input": c.doc["vocab_size"],
		"rope_parameters": map[string]any{
			"full_attention":    map[string]any{"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
			"sliding_attention": map[string]any{"rope_type": "default", "rope_theta": 10000.0},
		}} {
		c.or(key, v)
	}
	all := c.object("per_layer_config")
	var layers []int
	for name := range all.doc {
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 {
			c.fail("per_layer_config: %q, want the number of a layer", name)
			return
		}
		layers = append(layers, n)
	}
	slices.Sort(layers)
	kinds := c.strings("layer_types")
	for _, k := range [][2]string{{"global_head_dim", "head_dim"}, {"num_global_key_value_heads", "num_key_value_heads"}} {
		for _, n := range layers {
			if one := all.object(strconv.Itoa(n)); !c.has(k[0]) && n < len(kinds) && kinds[n] == "full_attention" && one.has(k[1]) {
				c.doc[k[0]] = one.doc[k[1]]
			}
		}
	}
}

// doubleWide tells whether a layer's feed-forward network has twice the width: where it shares keys and values.
func (m *mapping) doubleWide(layer int) bool {
	return m.config.flag("use_double_wide_mlp") && int64(layer) >= m.dims.layers-m.config.integer("num_kv_shared_layers")
}

// proportionalRope makes the factors of layers that see all: only the first pairs of a head are turned, the others so
// slowly that they stand still.
func proportionalRope(m *mapping) []Tensor {
	p := m.rope.params
	if m.rope.kind != "proportional" {
		p.fail("%srope_type: %q, want proportional", p.path, m.rope.kind)
		return nil
	}
	p.require("partial_rotary_factor")
	head := globalHead(m.dims)
	turned := int64(float64(head) * m.rope.share / 2)
	if head > 1<<16 || turned > head/2 {
		p.fail("global_head_dim %d with partial_rotary_factor %v", head, m.rope.share)
		return nil
	}
	t := Tensor{Name: "rope_freqs.weight", Shape: []int64{head / 2}, Type: gguf.F32, Const: make([]float32, head/2)}
	for i := range t.Const {
		if t.Const[i] = 1; int64(i) >= turned {
			t.Const[i] = 1e30
		}
	}
	return []Tensor{t}
}
