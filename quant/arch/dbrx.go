package arch

// dbrx is Databricks' DBRX, whose experts lie in matrices of all of them, those on the way down with rows and columns swapped
// (DbrxModel in conversion/dbrx.py). Its routers keep their type.
var dbrx = &family{
	name:    "dbrx",
	classes: []string{"DbrxForCausalLM"},
	rules: []rule{
		{"transformer.wte.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"transformer.norm_f.weight", "output_norm.weight", vector(hidden), needed, nil},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), needed, nil},
		{"transformer.blocks.{i}.norm_attn_norm.norm_1.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"transformer.blocks.{i}.norm_attn_norm.norm_2.weight", "blk.{i}.attn_output_norm.weight", vector(hidden), needed, nil},
		{"transformer.blocks.{i}.norm_attn_norm.attn.Wqkv.weight", "blk.{i}.attn_qkv.weight", matrix(sum(queries, times(2, keys)), hidden), needed, nil},
		{"transformer.blocks.{i}.norm_attn_norm.attn.out_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
		{"transformer.blocks.{i}.ffn.router.layer.weight", "blk.{i}.ffn_gate_inp.weight", matrix(experts, hidden), needed, nil},
		{"transformer.blocks.{i}.ffn.experts.mlp.w1", "blk.{i}.ffn_gate_exps.weight", matrix(product(experts, ff), hidden), needed, reshaped(experts, ff, hidden)},
		{"transformer.blocks.{i}.ffn.experts.mlp.v1", "blk.{i}.ffn_up_exps.weight", matrix(product(experts, ff), hidden), needed, reshaped(experts, ff, hidden)},
		{"transformer.blocks.{i}.ffn.experts.mlp.w2", "blk.{i}.ffn_down_exps.weight", matrix(product(experts, ff), hidden), needed, func(d dims, _ []int64) reading {
			return transposed(d, []int64{experts(d), d.ff, d.hidden})
		}},
	},
	prepare: func(c *config) {
		attn, ffn := c.object("attn_config"), c.object("ffn_config")
		for key, v := range map[string]any{"hidden_size": c.doc["d_model"], "num_key_value_heads": attn.doc["kv_n_heads"], "intermediate_size": ffn.doc["ffn_hidden_size"],
			"num_experts": ffn.doc["moe_num_experts"], "num_experts_per_tok": ffn.doc["moe_top_k"], "rope_theta": attn.doc["rope_theta"]} {
			c.doc[key] = v
		}
	},
	needsFF:    true,
	keepsTypes: true,
	tokenizer:  bpeOnly,
	ownParams:  true,
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		set("block_count", uint32(d.layers))
		set("context_length", uint32(c.count("max_seq_len")))
		set("embedding_length", uint32(d.hidden))
		set("feed_forward_length", uint32(d.ff))
		set("attention.head_count", uint32(d.heads))
		set("attention.head_count_kv", uint32(d.kvHeads))
		set("rope.freq_base", c.float("rope_theta"))
		set("attention.clamp_kqv", c.object("attn_config").float("clip_qkv"))
		set("expert_count", uint32(experts(d)))
		set("expert_used_count", uint32(c.count("num_experts_per_tok")))
		set("attention.layer_norm_epsilon", float32(1e-5))
		return nil
	},
}
