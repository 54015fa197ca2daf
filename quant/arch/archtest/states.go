package archtest

// Checkpoints that keep a state instead of attending to all that was.

func (c *Checkpoint) lfm2() {
	c.class("Lfm2ForCausalLM")
	c.set("rms_norm_eps", nil, "norm_eps", 1e-5, "intermediate_size", nil, "block_ff_dim", 144, "block_auto_adjust_ff_dim", true, "block_ffn_dim_multiplier", 1.0,
		"block_multiple_of", 32, "conv_L_cache", 3, "full_attn_idxs", []int{1}, "rope_theta", 1e6)
	c.lfmTrunk()
	c.each(0, "model.layers.{i}.feed_forward.w1.weight", deep, width) // 144 * 2/3
	c.each(0, "model.layers.{i}.feed_forward.w2.weight", width, deep)
	c.each(0, "model.layers.{i}.feed_forward.w3.weight", deep, width)
	c.llama3BPE()
}

// lfmTrunk makes a convolution in the first layer and attention in the second.
func (c *Checkpoint) lfmTrunk() {
	c.add("model.embed_tokens.weight", Vocab, width)
	c.add("model.embedding_norm.weight", width)
	c.each(0, "model.layers.{i}.operator_norm.weight", width)
	c.each(0, "model.layers.{i}.ffn_norm.weight", width)
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
}

func (c *Checkpoint) lfm2moe() {
	c.class("Lfm2MoeForCausalLM")
	c.set("rms_norm_eps", nil, "norm_eps", 1e-5, "conv_L_cache", 3, "layer_types", []string{"conv", "full_attention"}, "rope_theta", 1e6,
		"num_dense_layers", 1, "num_experts", 4, "num_experts_per_tok", 2, "moe_intermediate_size", expert, "norm_topk_prob", true, "use_expert_bias", true)
	c.lfmTrunk()
	c.layer(0, 0, "model.layers.{i}.feed_forward.w1.weight", deep, width)
	c.layer(0, 0, "model.layers.{i}.feed_forward.w2.weight", width, deep)
	c.layer(0, 0, "model.layers.{i}.feed_forward.w3.weight", deep, width)
	p := "model.layers.{i}.feed_forward."
	c.layer(1, 0, p+"gate.weight", 4, width)
	c.layer(1, 0, p+"expert_bias", 4)
	c.layer(1, 4, p+"experts.{e}.w1.weight", expert, width)
	c.layer(1, 4, p+"experts.{e}.w2.weight", width, expert)
	c.layer(1, 4, p+"experts.{e}.w3.weight", expert, width)
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

// Sizes of linear attention.
const (
	keyHeads   = 2
	valueHeads = 4
	linear     = 16 // of each head
	linearQKV  = (2*keyHeads + valueHeads) * linear
)

// hybrid makes what Qwen's hybrid models share: linear attention in the first layer, attention in the second and in a
// third that predicts the token after the next. layer names a layer's tensors.
func (c *Checkpoint) hybrid(class string, layer func(i int, name string, shape ...int64)) {
	c.class(class)
	c.set("head_dim", 32, "partial_rotary_factor", 0.25, "full_attention_interval", 2, "linear_conv_kernel_dim", 4, "linear_key_head_dim", linear,
		"linear_value_head_dim", linear, "linear_num_key_heads", keyHeads, "linear_num_value_heads", valueHeads)
	c.outer(false)
	for i := range Layers + 1 {
		layer(i, "input_layernorm.weight", width)
		layer(i, "post_attention_layernorm.weight", width)
		if i > 0 {
			layer(i, "self_attn.q_proj.weight", 2*Heads*32, width)
			layer(i, "self_attn.k_proj.weight", KV*32, width)
			layer(i, "self_attn.v_proj.weight", KV*32, width)
			layer(i, "self_attn.o_proj.weight", width, Heads*32)
			layer(i, "self_attn.q_norm.weight", 32)
			layer(i, "self_attn.k_norm.weight", 32)
		}
	}
	layer(0, "linear_attn.conv1d.weight", linearQKV, 1, 4)
	layer(0, "linear_attn.A_log", valueHeads)
	layer(0, "linear_attn.dt_bias", valueHeads)
	layer(0, "linear_attn.norm.weight", linear)
	layer(0, "linear_attn.out_proj.weight", width, valueHeads*linear)
	c.add("mtp.fc.weight", width, 2*width)
	for _, name := range []string{"pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"} {
		c.add("mtp."+name+".weight", width)
	}
	c.qwenBPE()
}

// nextLayer names the tensors of a layer as Qwen's hybrid models do.
func (c *Checkpoint) nextLayer(i int, name string, shape ...int64) {
	if i == Layers {
		c.add("mtp.layers.0."+name, shape...)
		return
	}
	c.layer(i, 4, "model.layers.{i}."+name, shape...)
}

// nextExperts makes the experts of a layer but for the routed ones.
func (c *Checkpoint) nextExperts(i int) {
	c.nextLayer(i, "mlp.gate.weight", 4, width)
	c.nextLayer(i, "mlp.shared_expert_gate.weight", 1, width)
	c.nextLayer(i, "mlp.shared_expert.gate_proj.weight", expert, width)
	c.nextLayer(i, "mlp.shared_expert.up_proj.weight", expert, width)
	c.nextLayer(i, "mlp.shared_expert.down_proj.weight", width, expert)
}

func (c *Checkpoint) qwen3next() {
	c.hybrid("Qwen3NextForCausalLM", c.nextLayer)
	c.set("num_experts", 4, "num_experts_per_tok", 2, "moe_intermediate_size", expert, "shared_expert_intermediate_size", expert)
	c.nextLayer(0, "linear_attn.in_proj_qkvz.weight", linearQKV+valueHeads*linear, width)
	c.nextLayer(0, "linear_attn.in_proj_ba.weight", 2*valueHeads, width)
	for i := range Layers + 1 {
		c.nextExperts(i)
		for e := range 4 {
			p := "mlp.experts." + string(rune('0'+e)) + "."
			c.nextLayer(i, p+"gate_proj.weight", expert, width)
			c.nextLayer(i, p+"up_proj.weight", expert, width)
			c.nextLayer(i, p+"down_proj.weight", width, expert)
		}
	}
}

// linearApart makes what goes into linear attention, each a matrix of its own.
func (c *Checkpoint) linearApart() {
	c.nextLayer(0, "linear_attn.in_proj_qkv.weight", linearQKV, width)
	c.nextLayer(0, "linear_attn.in_proj_z.weight", valueHeads*linear, width)
	c.nextLayer(0, "linear_attn.in_proj_a.weight", valueHeads, width)
	c.nextLayer(0, "linear_attn.in_proj_b.weight", valueHeads, width)
}

// nestNext moves config and names as the models do that see as well.
func (c *Checkpoint) nestNext(class string) {
	c.set("layer_types", []string{"linear_attention", "full_attention"}, "mtp_num_hidden_layers", 1, "rope_theta", nil, "partial_rotary_factor", nil,
		"rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25, "mrope_interleaved": true, "mrope_section": []int{2, 1, 1}})
	c.nest(class)
	for i, t := range c.Tensors {
		if len(t.Name) > 6 && t.Name[:6] == "model." {
			c.Tensors[i].Name = "model.language_model." + t.Name[6:]
		}
	}
}

func (c *Checkpoint) qwen35() {
	c.hybrid("Qwen3_5ForConditionalGeneration", c.nextLayer)
	c.linearApart()
	for i := range Layers + 1 {
		c.nextLayer(i, "mlp.gate_proj.weight", deep, width)
		c.nextLayer(i, "mlp.up_proj.weight", deep, width)
		c.nextLayer(i, "mlp.down_proj.weight", width, deep)
	}
	c.nestNext("Qwen3_5ForConditionalGeneration")
	c.set("model_type", "qwen3_5")
	c.qwen3Vision(false)
}

func (c *Checkpoint) qwen35moe() {
	c.hybrid("Qwen3_5MoeForConditionalGeneration", c.nextLayer)
	c.set("num_experts", 4, "num_experts_per_tok", 2, "moe_intermediate_size", expert, "shared_expert_intermediate_size", expert, "intermediate_size", nil)
	c.linearApart()
	for i := range Layers + 1 {
		c.nextExperts(i)
		c.nextLayer(i, "mlp.experts.gate_up_proj", 4, 2*expert, width)
		c.nextLayer(i, "mlp.experts.down_proj", 4, width, expert)
	}
	c.nestNext("Qwen3_5MoeForConditionalGeneration")
	c.add("model.visual.blocks.0.attn.qkv.weight", 12, 4) // of a tower without a config
}
