package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// Families that are alone with their way of doing things.
var (
	// glm4 is GLM 4 of 2025: norms around both halves of a layer, gates and ups in one matrix (Glm4Model in conversion/glm.py).
	glm4 = &family{
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
	// stablelm has LayerNorms, and in its larger models one for each head's queries and keys (conversion/stablelm.py).
	stablelm = &family{
		name:    "stablelm",
		classes: []string{"StableLmForCausalLM", "StableLMEpochForCausalLM"},
		rules: rulesOf(layerNormed(outer(), needed), biased(needed, norms(nil)[:1]), allOf(optional, biased(optional, norms(nil)[1:])),
			attention("{i}", nil, nil), attentionBiases("{i}", optional, nil, nil), mlp("{i}"), []rule{
				{"model.layers.{i}.self_attn.q_layernorm.norms.{h}.weight", "blk.{i}.attn_q_norm.weight", vector(headDim), optional, nil},
				{"model.layers.{i}.self_attn.k_layernorm.norms.{k}.weight", "blk.{i}.attn_k_norm.weight", vector(headDim), optional, nil},
			}),
		defaults:  map[string]any{"partial_rotary_factor": 0.25, "use_parallel_residual": false, "layer_norm_eps": 1e-5},
		needsFF:   true,
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("context_length", uint32(c.count("max_position_embeddings")))
			set("embedding_length", uint32(d.hidden))
			set("block_count", uint32(d.layers))
			set("feed_forward_length", uint32(d.ff))
			set("rope.dimension_count", uint32(m.rope.shareOr(1)*float64(d.hidden/d.heads)))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(d.kvHeads))
			set("use_parallel_residual", c.flag("use_parallel_residual"))
			set("attention.layer_norm_epsilon", c.float(c.firstOf([]string{"layer_norm_eps", "norm_eps"})))
			return nil
		},
	}
	// starcoder2 has LayerNorms and biases everywhere (StarCoder2Model in conversion/starcoder.py).
	starcoder2 = &family{
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
	// commandr is Cohere's Command R (CommandR2Model in conversion/command_r.py): one norm for both halves of a layer, and
	// the embedding is the head.
	commandr = &family{
		name:    "command-r",
		classes: []string{"CohereForCausalLM"},
		rules: rulesOf(outer()[:2], norms(nil)[:1], attention("{i}", nil, nil), mlp("{i}"), []rule{
			{"model.layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", matrix(heads, headDim), optional, nil},
			{"model.layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", matrix(kvHeads, headDim), optional, nil},
		}),
		defaults: map[string]any{"logit_scale": 0.0625, "layer_norm_eps": 1e-5},
		prepare: func(c *config) { // the context that the model was trained on is longer than what it says
			if c.has("model_max_length") {
				c.doc["max_position_embeddings"] = c.doc["model_max_length"]
			}
		},
		needsFF:   true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			set("logit_scale", m.config.float("logit_scale"))
			set("rope.scaling.type", "none")
			return nil
		},
	}
	// cohere2 is Command R7B and Command A: windows in three of four layers (Cohere2Model in conversion/command_r.py).
	cohere2 = &family{
		name:      "cohere2",
		classes:   []string{"Cohere2ForCausalLM"},
		rules:     rulesOf(outer()[:2], norms(nil)[:1], attention("{i}", nil, nil), mlp("{i}")),
		defaults:  map[string]any{"logit_scale": 0.0625, "layer_norm_eps": 1e-5, "sliding_window": 4096.0},
		needsFF:   true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("logit_scale", c.float("logit_scale"))
			set("attention.sliding_window", uint32(c.integer("sliding_window")))
			set("vocab_size", uint32(d.vocab))
			set("rope.dimension_count", uint32(m.rotaryShare()*float64(d.hidden/d.heads)))
			set("rope.scaling.type", "none")
			return nil
		},
	}
)

// layerNormed gives the last norm of outer a bias.
func layerNormed(list []rule, p presence) []rule {
	return append(list, rule{"model.norm.bias", "output_norm.bias", vector(hidden), p, nil})
}

// rotaryShare is rotary_pct, which must be there.
func (m *mapping) rotaryShare() float64 {
	m.config.require("rotary_pct")
	return m.config.number("rotary_pct")
}
