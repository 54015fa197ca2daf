package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// glm4 is GLM 4 of 2025: norms around both halves of a layer, gates and ups in one matrix (Glm4Model in conversion/glm.py).
var glm4 = &family{
	name:    "glm4",
	classes: []string{"Glm4ForCausalLM"},
	rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), attentionBiases("{i}", optional, nil, nil), []rule{
		{"model.layers.{i}.post_self_attn_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.post_mlp_layernorm.weight", "blk.{i}.post_ffw_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), needed, nil},
		{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
	}),
	defaults:     map[string]any{"head_dim": 128.0},
	needsFF:      true,
	needsRMS:     true,
	knowsHeadDim: true,
	tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, Special: []tokenizer.Role{
		{Kind: "eos", Text: "<|endoftext|>"}, {Kind: "eot", Text: "<|user|>"}, {Kind: "unk", Text: "<|endoftext|>"}, {Kind: "bos", Text: "<|endoftext|>"}}},
	params: func(m *mapping, set func(string, any)) error {
		set("rope.dimension_count", m.turned(0.5))
		return nil
	},
}
