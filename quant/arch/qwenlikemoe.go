package arch

// Families with experts in Qwen's or Cohere's layers.
var (
	// mellum is JetBrains' Mellum 2: Qwen 3's experts with windows (MellumModel in conversion/mellum.py).
	mellum = &family{
		name:      "mellum",
		classes:   []string{"MellumForCausalLM"},
		rules:     qwen3moe.rules,
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			m.setCount("expert_feed_forward_length", "moe_intermediate_size")
			if c.has("sliding_window") && (c.flag("use_sliding_window") || !c.has("use_sliding_window")) {
				set("attention.sliding_window", uint32(c.integer("sliding_window")))
				set("attention.sliding_window_pattern", m.slidingLayers(1))
			}
			return nil
		},
	}
	// cohere2moe has Command R7B's layers with experts in all but the first (Cohere2MoeModel in conversion/command_r.py).
	cohere2moe = &family{
		name:    "cohere2moe",
		classes: []string{"Cohere2MoeForCausalLM"},
		rules: rulesOf(outer()[:2], norms(nil)[:1], attention("{i}", nil, nil), mlp("{dense}"), []rule{router("{moe}", "mlp.gate")},
			usualExperts("{moe}", value("intermediate_size")),
			allOf(optional, gated("model.layers.{moe}.mlp.shared_experts.", "blk.{moe}.ffn_*_shexp", product(value("num_shared_experts"), value("intermediate_size"))))),
		layers: map[string]func(*mapping, int) bool{
			"dense": func(m *mapping, layer int) bool { return int64(layer) < m.cohereDense() },
			"moe":   func(m *mapping, layer int) bool { return int64(layer) >= m.cohereDense() },
		},
		adjust: func(m *mapping) {
			if n := m.config.integer("num_nextn_predict_layers"); n > 0 {
				m.config.fail("num_nextn_predict_layers: %d, layers that predict further tokens are not supported here", n)
			}
		},
		needsFF:   true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("logit_scale", c.float("logit_scale"))
			set("attention.sliding_window", uint32(c.integer("sliding_window")))
			set("attention.sliding_window_pattern", m.slidingLayers(4))
			set("vocab_size", uint32(d.vocab))
			set("expert_feed_forward_length", uint32(c.count("intermediate_size")))
			set("leading_dense_block_count", uint32(m.cohereDense()))
			set("expert_weights_norm", c.flag("norm_topk_prob"))
			if n := c.integer("num_shared_experts"); n > 0 {
				if how := c.text("shared_expert_combination_strategy"); how != "" && how != "average" {
					c.fail("shared_expert_combination_strategy: %q, llama.cpp knows average", how)
				}
				set("expert_shared_count", uint32(n))
				set("expert_shared_feed_forward_length", uint32(c.count("intermediate_size")*n))
			}
			set("rope.dimension_count", uint32(d.headDim))
			set("rope.scaling.type", "none")
			return nil
		},
	}
)

// cohereDense is how many of the first layers have no experts.
func (m *mapping) cohereDense() int64 {
	for i, kind := range m.config.strings("mlp_layer_types") {
		if kind != "dense" {
			return int64(i)
		}
	}
	if n := len(m.config.strings("mlp_layer_types")); n > 0 {
		return int64(n)
	}
	return m.config.integer("first_k_dense_replace")
}
