package archtest

// Checkpoints that keep a state instead of attending to all that was.

func (c *Checkpoint) lfm2() {
	c.class("Lfm2ForCausalLM")
	c.set("rms_norm_eps", nil, "norm_eps", 1e-5, "intermediate_size", nil, "block_ff_dim", 144, "block_auto_adjust_ff_dim", true, "block_ffn_dim_multiplier", 1.0,
		"block_multiple_of", 32, "conv_L_cache", 3, "full_attn_idxs", []int{1}, "rope_theta", 1e6)
	c.add("model.embed_tokens.weight", Vocab, width)
	c.add("model.embedding_norm.weight", width)
	c.each(0, "model.layers.{i}.operator_norm.weight", width)
	c.each(0, "model.layers.{i}.ffn_norm.weight", width)
	c.each(0, "model.layers.{i}.feed_forward.w1.weight", deep, width) // 144 * 2/3
	c.each(0, "model.layers.{i}.feed_forward.w2.weight", width, deep)
	c.each(0, "model.layers.{i}.feed_forward.w3.weight", deep, width)
	c.layer(0, 0, "model.layers.{i}.conv.conv.weight", width, 1, 3)
	c.layer(0, 0, "model.layers.{i}.conv.in_proj.weight", 3*width, width)
	c.layer(0, 0, "model.layers.{i}.conv.out_proj.weight", width, width)
	p := "model.layers.{i}.self_attn."
	c.layer(1, 0, p+"q_proj.weight", width, width)
	c.layer(1, 0, p+"k_proj.weight", width*KV/Heads, width)
	c.layer(1, 0, p+"v_proj.weight", width*KV/Heads, width)
	c.layer(1, 0, p+"out_proj.weight", width, width)
	c.layer(1, 0, p+"q_layernorm.weight", width/Heads)
	c.layer(1, 0, p+"k_layernorm.weight", width/Heads)
	c.llama3BPE()
}

// mambaTrunk makes what both kinds of Mamba have.
func (c *Checkpoint) mambaTrunk(class string) {
	c.class(class)
	for _, key := range []string{"num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings"} {
		delete(c.Config, key)
	}
	c.set("intermediate_size", 2*width, "conv_kernel", 4, "layer_norm_epsilon", 1e-5)
	c.add("backbone.embeddings.weight", Vocab, width)
	c.add("backbone.norm_f.weight", width)
	c.each(0, "backbone.layers.{i}.norm.weight", width)
	c.each(0, "backbone.layers.{i}.mixer.out_proj.weight", width, 2*width)
	c.qwenBPE()
}

func (c *Checkpoint) mamba() {
	const states, rank = 16, 4
	c.mambaTrunk("MambaForCausalLM")
	c.set("state_size", states, "time_step_rank", rank)
	p := "backbone.layers.{i}.mixer."
	c.each(0, p+"in_proj.weight", 4*width, width)
	c.each(0, p+"conv1d.weight", 2*width, 1, 4)
	c.each(0, p+"conv1d.bias", 2*width)
	c.each(0, p+"x_proj.weight", rank+2*states, 2*width)
	c.each(0, p+"dt_proj.weight", 2*width, rank)
	c.each(0, p+"dt_proj.bias", 2*width)
	c.each(0, p+"A_log", 2*width, states)
	c.each(0, p+"D", 2*width)
}

func (c *Checkpoint) mamba2() {
	const states, groups, heads = 16, 2, 4
	c.mambaTrunk("Mamba2ForCausalLM")
	c.set("state_size", states, "n_groups", groups, "head_dim", 2*width/heads, "expand", 2, "num_heads", heads)
	p := "backbone.layers.{i}.mixer."
	c.each(0, p+"in_proj.weight", 4*width+2*groups*states+heads, width)
	c.each(0, p+"conv1d.weight", 2*width+2*groups*states, 1, 4)
	c.each(0, p+"conv1d.bias", 2*width+2*groups*states)
	c.each(0, p+"dt_bias", heads)
	c.each(0, p+"A_log", heads)
	c.each(0, p+"D", heads)
	c.each(0, p+"norm.weight", 2*width)
}
