package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// mixtral are Llama's layers with experts for the feed-forward network (LlamaModel in conversion/llama.py).
var mixtral = &family{
	name:    "llama",
	classes: []string{"MixtralForCausalLM"},
	rules: rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK),
		[]rule{router("{i}", "block_sparse_moe.gate")},
		mixtralExperts()),
	defaults:    map[string]any{"rope_theta": 1e6, "num_local_experts": 8.0, "num_experts_per_tok": 2.0},
	needsFF:     true,
	needsRMS:    true,
	ropeFactors: true,
	tokenizer:   tokenizer.Options{Llama: true},
	params:      llamaParams,
}

// mixtralExperts are stacked in the order of their numbers.
func mixtralExperts() []rule {
	return []rule{
		{"model.layers.{i}.block_sparse_moe.experts.{e}.w1.weight", "blk.{i}.ffn_gate_exps.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.block_sparse_moe.experts.{e}.w2.weight", "blk.{i}.ffn_down_exps.weight", matrix(hidden, ff), needed, nil},
		{"model.layers.{i}.block_sparse_moe.experts.{e}.w3.weight", "blk.{i}.ffn_up_exps.weight", matrix(ff, hidden), needed, nil},
	}
}
