package arch

// gptoss is OpenAI's gpt-oss: experts whose gates and ups alternate, biases everywhere, and a sink for each head's
// attention (GptOssModel in conversion/gpt_oss.py). Experts are in MXFP4, as published, or in BF16 or F16, and then columns
// first.
var gptoss = &family{
	name:    "gpt-oss",
	classes: []string{"GptOssForCausalLM"},
	rules: rulesOf(outer(), biased(needed, attention("{i}", nil, nil)), []rule{
		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.self_attn.sinks", "blk.{i}.attn_sinks.weight", vector(heads), needed, nil},
		{"model.layers.{i}.mlp.experts.gate_up_proj", "blk.{i}.ffn_gate_exps.weight", shape(experts, hidden, times(2, ff)), needed, alternating(0)},
		{"model.layers.{i}.mlp.experts.gate_up_proj", "blk.{i}.ffn_up_exps.weight", shape(experts, hidden, times(2, ff)), needed, alternating(1)},
		{"model.layers.{i}.mlp.experts.gate_up_proj_blocks", "blk.{i}.ffn_gate_exps.weight", nibbles(hidden, experts, times(2, ff)), needed, blocks(0, 2)},
		{"model.layers.{i}.mlp.experts.gate_up_proj_blocks", "blk.{i}.ffn_up_exps.weight", nibbles(hidden, experts, times(2, ff)), needed, blocks(1, 2)},
		{"model.layers.{i}.mlp.experts.gate_up_proj_bias", "blk.{i}.ffn_gate_exps.bias", matrix(experts, times(2, ff)), needed, alternatingBias(0)},
		{"model.layers.{i}.mlp.experts.gate_up_proj_bias", "blk.{i}.ffn_up_exps.bias", matrix(experts, times(2, ff)), needed, alternatingBias(1)},
		{"model.layers.{i}.mlp.experts.down_proj", "blk.{i}.ffn_down_exps.weight", shape(experts, ff, hidden), needed, transposed},
		{"model.layers.{i}.mlp.experts.down_proj_blocks", "blk.{i}.ffn_down_exps.weight", nibbles(ff, experts, hidden), needed, blocks(0, 1)},
		{"model.layers.{i}.mlp.experts.down_proj_bias", "blk.{i}.ffn_down_exps.bias", matrix(experts, hidden), needed, nil},
		router("{i}", "mlp.router"),
		{"model.layers.{i}.mlp.router.bias", "blk.{i}.ffn_gate_inp.bias", vector(experts), needed, nil},
	}),
	defaults:     map[string]any{"head_dim": 64.0, "rope_theta": 150000.0},
	needsFF:      true,
	needsRMS:     true,
	knowsHeadDim: true,
	tokenizer:    bpeOnly,
	params: func(m *mapping, set func(string, any)) error {
		set("attention.sliding_window", uint32(m.config.integer("sliding_window")))
		set("expert_feed_forward_length", uint32(m.dims.ff))
		return nil
	},
}

// alternating is every other column of each expert's matrix, from first on, as rows.
func alternating(first int64) change {
	return func(_ dims, shape []int64) reading {
		e, in, n := shape[0], shape[1], shape[2]/2
		return reading{shape: []int64{e, n, in}, views: []View{{First: first, Rows: []Dim{{e, 2 * n * in}, {n, 2}}, Cols: []Dim{{in, 2 * n}}}}}
	}
}

func alternatingBias(first int64) change {
	return func(_ dims, shape []int64) reading {
		e, n := shape[0], shape[1]/2
		return reading{shape: []int64{e, n}, views: []View{{First: first, Rows: []Dim{{e, 2 * n}}, Cols: []Dim{{n, 2}}}}}
	}
}
