package arch

// The OLMo models of AI2 (conversion/olmo.py).
var (
	// olmo has norms without weights.
	olmo = &family{
		name:      "olmo",
		classes:   []string{"OlmoForCausalLM", "OLMoForCausalLM"},
		rules:     rulesOf(withoutNorm(outer()), attention("{i}", permuteQ, permuteK), mlp("{i}")),
		needsFF:   true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			set("attention.layer_norm_epsilon", float32(1e-5))
			m.setFloat("attention.clamp_kqv", "clip_qkv")
			return nil
		},
	}
	// olmo2 has its norms after attention and feed-forward network, and norms over all queries and all keys.
	olmo2 = &family{
		name:    "olmo2",
		classes: []string{"Olmo2ForCausalLM", "Olmo3ForCausalLM"},
		rules: rulesOf(outer(), attention("{i}", nil, nil), mlp("{i}"), wideNorms(), []rule{
			{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight", vector(hidden), needed, nil},
		}),
		needsFF:   true,
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			if _, ok := m.config.doc["sliding_window"]; !ok {
				return nil
			}
			set("attention.sliding_window", uint32(m.config.integer("sliding_window")))
			set("attention.sliding_window_pattern", m.slidingLayers(4))
			return nil
		},
	}
	// olmoe has experts.
	olmoe = &family{
		name:      "olmoe",
		classes:   []string{"OlmoeForCausalLM"},
		rules:     rulesOf(outer(), norms(nil), attention("{i}", nil, nil), wideNorms(), []rule{router("{i}", "mlp.gate")}, usualExperts("{i}", ff), fusedExperts("{i}", ff)),
		defaults:  map[string]any{"num_experts": 64.0, "num_experts_per_tok": 8.0},
		needsFF:   true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			set("attention.layer_norm_rms_epsilon", float32(1e-5))
			return nil
		},
	}
)

// withoutNorm leaves the last norm out.
func withoutNorm(list []rule) []rule {
	var out []rule
	for _, r := range list {
		if r.to != "output_norm.weight" {
			out = append(out, r)
		}
	}
	return out
}

// wideNorms are norms over the queries of all heads and over all keys.
func wideNorms() []rule {
	return []rule{
		{"model.layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", vector(queries), needed, nil},
		{"model.layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", vector(keys), needed, nil},
	}
}

// slidingLayers tells for each layer whether its attention has a window: by layer_types, else all but every nth.
func (m *mapping) slidingLayers(n int) []bool {
	kinds := m.config.strings("layer_types")
	out := make([]bool, m.dims.layers)
	if kinds == nil {
		for i := range out {
			out[i] = (i+1)%n != 0
		}
		return out
	}
	out = make([]bool, len(kinds))
	for i, k := range kinds {
		out[i] = k == "sliding_attention"
	}
	return out
}
