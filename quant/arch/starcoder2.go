package arch

// starcoder2 has LayerNorms and biases everywhere (StarCoder2Model in conversion/starcoder.py).
var starcoder2 = &family{
	name:    "starcoder2",
	classes: []string{"Starcoder2ForCausalLM"},
	rules: rulesOf(layerNormed(outer(), needed), biased(needed, norms(nil)), biased(optional, attention("{i}", nil, nil)), biased(optional, []rule{
		{"model.layers.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
	})),
	defaults:  map[string]any{"norm_epsilon": 1e-5},
	needsFF:   true,
	tokenizer: bpeOnly,
}

// layerNormed gives the last norm of outer a bias.
func layerNormed(list []rule, p presence) []rule {
	return append(list, rule{"model.norm.bias", "output_norm.bias", vector(hidden), p, nil})
}
