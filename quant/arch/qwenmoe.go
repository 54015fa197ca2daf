package arch

// qwen2moe are Qwen 1.5 and 2 with experts and one that is always asked (Qwen2MoeModel in conversion/qwen.py).
var qwen2moe = &family{
	name:    "qwen2moe",
	classes: []string{"Qwen2MoeForCausalLM"},
	rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), attentionBiases("{i}", needed, nil, nil),
		[]rule{
			router("{i}", "mlp.gate"),
			{"model.layers.{i}.mlp.shared_expert_gate.weight", "blk.{i}.ffn_gate_inp_shexp.weight", matrix(one, hidden), needed, nil},
		},
		gated("model.layers.{i}.mlp.shared_expert.", "blk.{i}.ffn_*_shexp", value("shared_expert_intermediate_size")),
		usualExperts("{i}", value("moe_intermediate_size")), fusedExperts("{i}", value("moe_intermediate_size"))),
	needsRMS:  true,
	tokenizer: bpeOnly,
	params:    qwenExperts,
}

// qwen3moe are Qwen 3 with experts: no biases, a norm on each head (Qwen3MoeModel in conversion/qwen.py).
var qwen3moe = &family{
	name:    "qwen3moe",
	classes: []string{"Qwen3MoeForCausalLM"},
	rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), headNorms("{i}", nil),
		[]rule{router("{i}", "mlp.gate")},
		usualExperts("{i}", value("moe_intermediate_size")), fusedExperts("{i}", value("moe_intermediate_size"))),
	needsRMS:  true,
	tokenizer: bpeOnly,
	params:    qwenExperts,
}

// qwenExperts writes how wide the experts are.
func qwenExperts(m *mapping, _ func(string, any)) error {
	m.setCount("expert_feed_forward_length", "moe_intermediate_size")
	m.setCount("expert_shared_feed_forward_length", "shared_expert_intermediate_size")
	return nil
}
