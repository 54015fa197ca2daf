package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// glm4moe is GLM 4.5 and 4.6: DeepSeek's experts, Llama's attention with norms on heads, and a layer more that predicts
// the token after the next (Glm4MoeModel in conversion/glm.py).
var glm4moe = &family{
	name:    "glm4moe",
	classes: []string{"Glm4MoeForCausalLM"},
	note:    keptPredictors,
	rules: rulesOf(outer(), attention("{i}", nil, nil), attentionBiases("{i}", optional, nil, nil), allOf(optional, headNorms("{i}", nil)), []rule{
		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, nil},
		router("{moe}", "mlp.gate"),
		{"model.layers.{moe}.mlp.gate.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
	}, mlp("{dense}"), usualExperts("{moe}", value("moe_intermediate_size")), sharedExperts("{moe}"), predictors(nil)),
	layers: map[string]func(*mapping, int) bool{
		"dense": func(m *mapping, layer int) bool { return layer < m.denseLayers() },
		"moe":   func(m *mapping, layer int) bool { return layer >= m.denseLayers() },
		"mtp":   func(m *mapping, layer int) bool { return int64(layer) >= m.dims.trunk },
	},
	defaults:     map[string]any{"head_dim": 128.0},
	adjust:       func(m *mapping) { m.dims.layers += m.config.integer("num_nextn_predict_layers") },
	needsFF:      true,
	needsRMS:     true,
	knowsHeadDim: true,
	tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, Special: []tokenizer.Role{
		{Kind: "bos", Text: "[gMASK]"}, {Kind: "eot", Text: "<|user|>"}, {Kind: "unk", Text: "<|endoftext|>"}, {Kind: "eom", Text: "<|observation|>"}}},
	params: func(m *mapping, set func(string, any)) error {
		set("rope.dimension_count", m.turned(0.5))
		m.setCount("expert_count", "n_routed_experts")
		m.setCount("expert_feed_forward_length", "moe_intermediate_size")
		m.setCount("expert_shared_count", "n_shared_experts")
		m.setCount("leading_dense_block_count", "first_k_dense_replace")
		set("expert_gating_func", gatingFuncs["sigmoid"])
		m.setFloat("expert_weights_scale", "routed_scaling_factor")
		m.setFlag("expert_weights_norm", "norm_topk_prob")
		m.setCount("nextn_predict_layers", "num_nextn_predict_layers")
		return nil
	},
}

// solar is Upstage's Solar Open, with GLM 4.5's layers and a vocabulary of its own (SolarOpenModel in conversion/glm.py).
var solar = &family{
	name:         "glm4moe",
	classes:      []string{"SolarOpenForCausalLM"},
	rules:        glm4moe.rules,
	layers:       glm4moe.layers,
	defaults:     glm4moe.defaults,
	adjust:       glm4moe.adjust,
	needsFF:      true,
	needsRMS:     true,
	knowsHeadDim: true,
	tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, Special: []tokenizer.Role{
		{Kind: "eos", Text: "<|endoftext|>"}, {Kind: "eot", Text: "<|endoftext|>"}, {Kind: "unk", Text: "<unk>"}, {Kind: "bos", Text: "<|startoftext|>"}}},
	params: glm4moe.params,
}

// predictors are what a layer has besides that predicts the token after the next.
func predictors(c change) []rule {
	return []rule{
		{"model.layers.{mtp}.eh_proj.weight", "blk.{mtp}.nextn.eh_proj.weight", matrix(hidden, times(2, hidden)), needed, nil},
		{"model.layers.{mtp}.enorm.weight", "blk.{mtp}.nextn.enorm.weight", vector(hidden), needed, c},
		{"model.layers.{mtp}.hnorm.weight", "blk.{mtp}.nextn.hnorm.weight", vector(hidden), needed, c},
		{"model.layers.{mtp}.embed_tokens.weight", "blk.{mtp}.nextn.embed_tokens.weight", matrix(vocab, hidden), optional, nil},
		{"model.layers.{mtp}.shared_head.norm.weight", "blk.{mtp}.nextn.shared_head_norm.weight", vector(hidden), optional, c},
		{"model.layers.{mtp}.shared_head.head.weight", "blk.{mtp}.nextn.shared_head_head.weight", matrix(vocab, hidden), optional, nil},
	}
}
