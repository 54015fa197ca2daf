package arch

// grovemoe has Qwen 3's experts, and small ones beside them that two of those share (GroveMoeModel in
// conversion/grovemoe.py).
var grovemoe = &family{
	name:    "grovemoe",
	classes: []string{"GroveMoeForCausalLM", "modeling_grove_moe.GroveMoeForCausalLM"},
	rules: rulesOf(qwen3moe.rules, []rule{
		{"model.layers.{i}.mlp.chunk_experts.{c}.down_proj.weight", "blk.{i}.ffn_down_chexps.weight", matrix(hidden, chunkWidth), needed, nil},
		{"model.layers.{i}.mlp.chunk_experts.{c}.gate_proj.weight", "blk.{i}.ffn_gate_chexps.weight", matrix(chunkWidth, hidden), needed, nil},
		{"model.layers.{i}.mlp.chunk_experts.{c}.up_proj.weight", "blk.{i}.ffn_up_chexps.weight", matrix(chunkWidth, hidden), needed, nil},
	}),
	filter: func(_ *mapping, name string) string {
		if hasAnySuffix(name, []string{".expert_bias"}) {
			return "not used by the model"
		}
		return ""
	},
	needsRMS:  true,
	tokenizer: bpeOnly,
	params: func(m *mapping, set func(string, any)) error {
		m.setCount("expert_feed_forward_length", "moe_intermediate_size")
		set("expert_chunk_feed_forward_length", uint32(chunkWidth(m.dims)))
		set("experts_per_group", uint32(2))
		set("expert_group_scale", float32(0.05))
		return nil
	},
}

// Sizes that the model's code has and its config doesn't.
func chunkWidth(d dims) int64 { return d.config.countOr("head_dim", 128) }
func chunks(d dims) int64     { return experts(d) / 2 }
