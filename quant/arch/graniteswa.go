package arch

// Granite with windows in most layers, a sink for attention in each head, and positions in some layers only
// (GraniteSWAModel and GraniteMoeSWAModel in conversion/granite.py). Experts keep gates and ups in one.
var (
	graniteswa = &family{
		name:        "granite_swa",
		classes:     []string{"GraniteSWAForCausalLM"},
		rules:       rulesOf(graniteWindow(), mlp("{i}")),
		prepare:     withoutHeadDim,
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   granite.tokenizer,
		params:      graniteWindowParams,
	}
	granitemoeswa = &family{
		name:    "granite_swa",
		classes: []string{"GraniteMoeSWAForCausalLM"},
		rules: rulesOf(graniteWindow(), []rule{
			router("{i}", "block_sparse_moe.router.layer"),
			{"model.layers.{i}.block_sparse_moe.input_linear.weight", "blk.{i}.ffn_gate_up_exps.weight", shape(experts, times(2, ff), hidden), needed, nil},
			{"model.layers.{i}.block_sparse_moe.output_linear.weight", "blk.{i}.ffn_down_exps.weight", shape(experts, hidden, ff), needed, nil},
			{"model.layers.{i}.block_sparse_moe.experts.gate_up_proj", "blk.{i}.ffn_gate_up_exps.weight", shape(experts, times(2, ff), hidden), perLayer, nil},
			{"model.layers.{i}.block_sparse_moe.experts.down_proj", "blk.{i}.ffn_down_exps.weight", shape(experts, hidden, ff), perLayer, nil},
			{"model.layers.{i}.shared_mlp.input_linear.weight", "blk.{i}.ffn_up_shexp.weight", matrix(times(2, shared), hidden), optional, nil},
			{"model.layers.{i}.shared_mlp.output_linear.weight", "blk.{i}.ffn_down_shexp.weight", matrix(hidden, shared), optional, nil},
		}),
		prepare:     withoutHeadDim,
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   granite.tokenizer,
		params: func(m *mapping, set func(string, any)) error {
			if err := graniteWindowParams(m, set); err != nil {
				return err
			}
			if m.config.number("shared_intermediate_size") != 0 {
				m.setCount("expert_shared_feed_forward_length", "shared_intermediate_size")
			}
			return nil
		},
	}
)

// graniteWindow are attention and norms.
func graniteWindow() []rule {
	return rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), []rule{
		{"model.layers.{i}.self_attn.sinks", "blk.{i}.attn_sinks.weight", vector(heads), needed, nil},
	})
}

func graniteWindowParams(m *mapping, set func(string, any)) error {
	if err := graniteParams(m, set); err != nil {
		return err
	}
	c, d := m.config, m.dims
	set("attention.sliding_window", uint32(c.countOr("sliding_window", 128)))
	window := make([]bool, d.layers)
	for i := range window {
		window[i] = i%4 != 0
	}
	if c.has("layer_types") {
		window = m.slidingLayers(0)
	}
	set("attention.sliding_window_pattern", window)
	if list := c.numbers("no_rope_layers"); len(list) > 0 { // 1 where there are positions
		turned := make([]bool, len(list))
		for i, x := range list {
			turned[i] = x != 0
		}
		set("attention.rope_pattern", turned)
	}
	return nil
}
