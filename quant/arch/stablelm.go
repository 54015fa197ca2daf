package arch

// stablelm has LayerNorms, and in its larger models one for each head's queries and keys (conversion/stablelm.py). The
// converter of 0.5.0 stops at those larger models: its method returns what it should yield. libllama loads them.
var stablelm = &family{
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
