package arch

// llama4 has experts in some layers, whose matrices are stored columns first and whose gates and ups lie in one
// (Llama4Model in conversion/llama.py).
var llama4 = &family{
	name:    "llama4",
	classes: []string{"Llama4ForConditionalGeneration", "Llama4ForCausalLM"},
	note:    textPart,
	rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), []rule{
		router("{moe}", "feed_forward.router"),
		{"model.layers.{moe}.feed_forward.experts.gate_up_proj", "blk.{moe}.ffn_gate_exps.weight", shape(experts, hidden, times(2, expertFF)), needed, turnedHalf(0)},
		{"model.layers.{moe}.feed_forward.experts.gate_up_proj", "blk.{moe}.ffn_up_exps.weight", shape(experts, hidden, times(2, expertFF)), needed, turnedHalf(1)},
		{"model.layers.{moe}.feed_forward.experts.down_proj", "blk.{moe}.ffn_down_exps.weight", shape(experts, expertFF, hidden), needed, transposed},
	}, gated("model.layers.{moe}.feed_forward.shared_expert.", "blk.{moe}.ffn_*_shexp", expertFF), gated("model.layers.{dense}.feed_forward.", "blk.{dense}.ffn_*", ff)),
	layers: map[string]func(*mapping, int) bool{
		"moe":   func(m *mapping, layer int) bool { return m.interleaved(layer) },
		"dense": func(m *mapping, layer int) bool { return !m.interleaved(layer) },
	},
	defaults: map[string]any{"head_dim": 128.0, "rope_theta": 500000.0, "num_local_experts": 16.0, "num_experts_per_tok": 1.0, "interleave_moe_layer_step": 1.0},
	prepare: func(c *config) { // intermediate_size is the experts'
		c.doc["intermediate_size_moe"] = c.doc["intermediate_size"]
		c.doc["intermediate_size"] = c.doc["intermediate_size_mlp"]
	},
	needsFF:      true,
	needsRMS:     true,
	knowsHeadDim: true,
	ropeFactors:  true,
	tokenizer:    bpeOnly,
	params: func(m *mapping, set func(string, any)) error {
		if err := llamaParams(m, set); err != nil {
			return err
		}
		set("interleave_moe_layer_step", uint32(m.config.count("interleave_moe_layer_step")))
		set("expert_feed_forward_length", uint32(m.config.count("intermediate_size_moe")))
		kinds := m.config.strings("layer_types")
		for _, k := range kinds {
			if k != "full_attention" {
				return nil
			}
		}
		if kinds != nil {
			set("attention.sliding_window", uint32(0))
		}
		return nil
	},
}

var expertFF = value("intermediate_size_moe")

// interleaved tells whether a layer has experts.
func (m *mapping) interleaved(layer int) bool {
	step := int(m.config.count("interleave_moe_layer_step"))
	return step > 0 && (layer+1)%step == 0
}

// turnedHalf is one half of the columns of each expert's matrix, as rows.
func turnedHalf(half int64) change {
	return func(_ dims, shape []int64) reading {
		e, in, n := shape[0], shape[1], shape[2]/2
		return reading{shape: []int64{e, n, in}, views: []View{{First: half * n, Rows: []Dim{{e, 2 * n * in}, {n, 1}}, Cols: []Dim{{in, 2 * n}}}}}
	}
}
