package archtest

// Checkpoints with Mamba 2 in some layers and something else in others.

const (
	mixerStates = 16
	mixerGroups = 2
	mixerHeads  = 4
)

// mixer makes Mamba 2 in a layer.
func (c *Checkpoint) mixer(layer int, prefix string, normed bool) {
	const convolved = 2*width + 2*mixerGroups*mixerStates
	c.layer(layer, 0, prefix+"in_proj.weight", 2*width+convolved+mixerHeads, width)
	c.layer(layer, 0, prefix+"conv1d.weight", convolved, 1, 4)
	c.layer(layer, 0, prefix+"conv1d.bias", convolved)
	c.layer(layer, 0, prefix+"dt_bias", mixerHeads)
	c.layer(layer, 0, prefix+"A_log", mixerHeads)
	c.layer(layer, 0, prefix+"D", mixerHeads)
	if normed {
		c.layer(layer, 0, prefix+"norm.weight", 2*width)
	}
	c.layer(layer, 0, prefix+"out_proj.weight", width, 2*width)
}

// attends makes the four projections of one layer.
func (c *Checkpoint) attends(layer int, prefix string, head int64) {
	c.layer(layer, 0, prefix+"q_proj.weight", Heads*head, width)
	c.layer(layer, 0, prefix+"k_proj.weight", KV*head, width)
	c.layer(layer, 0, prefix+"v_proj.weight", KV*head, width)
	c.layer(layer, 0, prefix+"o_proj.weight", width, Heads*head)
}

func (c *Checkpoint) granite4Sizes(class string) {
	c.class(class)
	c.set("mamba_expand", 2, "mamba_n_heads", mixerHeads, "mamba_d_head", 2*width/mixerHeads, "mamba_n_groups", mixerGroups, "mamba_d_state", mixerStates,
		"mamba_d_conv", 4, "hidden_act", "silu")
}

// granite4 has experts and a network that is always asked.
func (c *Checkpoint) granite4() {
	c.granite4Sizes("GraniteMoeHybridForCausalLM")
	c.set("layer_types", []string{"mamba", "attention"}, "num_local_experts", 4, "num_experts_per_tok", 2, "intermediate_size", expert,
		"shared_intermediate_size", 2*expert, "attention_multiplier", 0.25, "embedding_multiplier", 12.0, "residual_multiplier", 0.22, "logits_scaling", 6.0,
		"position_embedding_type", "nope")
	c.outer(true)
	c.norms()
	c.mixer(0, "model.layers.{i}.mamba.", true)
	c.attends(1, "model.layers.{i}.self_attn.", width/Heads)
	c.each(0, "model.layers.{i}.block_sparse_moe.router.layer.weight", 4, width)
	c.each(0, "model.layers.{i}.block_sparse_moe.input_linear.weight", 4, 2*expert, width)
	c.each(0, "model.layers.{i}.block_sparse_moe.output_linear.weight", 4, width, expert)
	c.each(0, "model.layers.{i}.shared_mlp.input_linear.weight", 4*expert, width)
	c.each(0, "model.layers.{i}.shared_mlp.output_linear.weight", width, 2*expert)
	c.llama3BPE()
}

// granite4Attention has neither Mamba nor experts: it becomes Granite 3.
func (c *Checkpoint) granite4Attention() {
	c.granite4Sizes("GraniteMoeHybridForCausalLM")
	c.set("layer_types", []string{"attention", "attention"}, "num_local_experts", 0, "num_experts_per_tok", 0, "intermediate_size", deep,
		"shared_intermediate_size", deep, "attention_multiplier", 0.25, "embedding_multiplier", 12.0, "residual_multiplier", 0.22, "logits_scaling", 6.0)
	c.outer(true)
	c.norms()
	c.attention(width / Heads)
	c.each(0, "model.layers.{i}.shared_mlp.input_linear.weight", 2*deep, width)
	c.each(0, "model.layers.{i}.shared_mlp.output_linear.weight", width, deep)
	c.llama3BPE()
}

func (c *Checkpoint) bamba() {
	c.granite4Sizes("BambaForCausalLM")
	c.set("attn_layer_indices", []int{1}, "attn_rotary_emb", 8)
	c.add("model.embed_tokens.weight", Vocab, width)
	c.add("model.final_layernorm.weight", width)
	c.add("lm_head.weight", Vocab, width)
	c.each(0, "model.layers.{i}.input_layernorm.weight", width)
	c.each(0, "model.layers.{i}.pre_ff_layernorm.weight", width)
	c.mixer(0, "model.layers.{i}.mamba.", true)
	c.attends(1, "model.layers.{i}.self_attn.", width/Heads)
	c.gated(0, "model.layers.{i}.feed_forward.", deep)
	c.llama3BPE()
}

func (c *Checkpoint) falconH1() {
	c.class("FalconH1ForCausalLM")
	c.set("mamba_d_ssm", 2*width, "mamba_n_heads", mixerHeads, "mamba_d_head", 2*width/mixerHeads, "mamba_n_groups", mixerGroups, "mamba_d_state", mixerStates,
		"mamba_d_conv", 4, "mamba_expand", 2, "hidden_act", "silu", "head_dim", 32, "attention_in_multiplier", 1.0, "attention_out_multiplier", 0.9375,
		"ssm_in_multiplier", 1.25, "ssm_out_multiplier", 0.23570226, "mlp_multipliers", []float64{0.8838834764831844, 0.5859375}, "key_multiplier", 0.390625,
		"ssm_multipliers", []float64{0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738}, "lm_head_multiplier", 0.0390625,
		"embedding_multiplier", 5.656854249492381, "rope_theta", 1e11)
	c.add("model.embed_tokens.weight", Vocab, width)
	c.add("model.final_layernorm.weight", width)
	c.add("lm_head.weight", Vocab, width)
	c.each(0, "model.layers.{i}.input_layernorm.weight", width)
	c.each(0, "model.layers.{i}.pre_ff_layernorm.weight", width)
	for layer := range Layers {
		c.mixer(layer, "model.layers.{i}.mamba.", true)
	}
	c.attention(32)
	c.gated(0, "model.layers.{i}.feed_forward.", deep)
	c.llama3BPE()
}

// jamba has Mamba's first kind, and experts in its second layer.
func (c *Checkpoint) jamba() {
	const rank = 4
	c.class("JambaForCausalLM")
	c.set("attn_layer_period", 2, "attn_layer_offset", 1, "expert_layer_period", 2, "expert_layer_offset", 1, "num_experts", 4, "num_experts_per_tok", 2,
		"mamba_expand", 2, "mamba_d_state", mixerStates, "mamba_d_conv", 4, "mamba_dt_rank", rank)
	c.add("model.embed_tokens.weight", Vocab, width)
	c.add("model.final_layernorm.weight", width)
	c.add("lm_head.weight", Vocab, width)
	c.each(0, "model.layers.{i}.input_layernorm.weight", width)
	c.each(0, "model.layers.{i}.pre_ff_layernorm.weight", width)
	p := "model.layers.{i}.mamba."
	c.layer(0, 0, p+"in_proj.weight", 4*width, width)
	c.layer(0, 0, p+"conv1d.weight", 2*width, 1, 4)
	c.layer(0, 0, p+"conv1d.bias", 2*width)
	c.layer(0, 0, p+"x_proj.weight", rank+2*mixerStates, 2*width)
	c.layer(0, 0, p+"dt_proj.weight", 2*width, rank)
	c.layer(0, 0, p+"dt_proj.bias", 2*width)
	c.layer(0, 0, p+"dt_layernorm.weight", rank)
	c.layer(0, 0, p+"b_layernorm.weight", mixerStates)
	c.layer(0, 0, p+"c_layernorm.weight", mixerStates)
	c.layer(0, 0, p+"A_log", 2*width, mixerStates)
	c.layer(0, 0, p+"D", 2*width)
	c.layer(0, 0, p+"out_proj.weight", width, 2*width)
	c.attends(1, "model.layers.{i}.self_attn.", width/Heads)
	f := "model.layers.{i}.feed_forward."
	c.layer(0, 0, f+"gate_proj.weight", deep, width)
	c.layer(0, 0, f+"up_proj.weight", deep, width)
	c.layer(0, 0, f+"down_proj.weight", width, deep)
	c.layer(1, 0, f+"router.weight", 4, width)
	c.layer(1, 4, f+"experts.{e}.gate_proj.weight", deep, width)
	c.layer(1, 4, f+"experts.{e}.up_proj.weight", deep, width)
	c.layer(1, 4, f+"experts.{e}.down_proj.weight", width, deep)
	c.sentencePiece()
}

func (c *Checkpoint) nemotronTrunk() {
	c.class("NemotronHForCausalLM")
	c.set("num_hidden_layers", 4, "mamba_num_heads", mixerHeads, "mamba_head_dim", 2*width/mixerHeads, "n_groups", mixerGroups, "ssm_state_size", mixerStates,
		"conv_kernel", 4, "rms_norm_eps", nil, "layer_norm_epsilon", 1e-5, "head_dim", 32, "expand", 2)
	c.add("backbone.embeddings.weight", Vocab, width)
	c.add("backbone.norm_f.weight", width)
	c.add("lm_head.weight", Vocab, width)
	for layer := range 4 {
		c.layer(layer, 0, "backbone.layers.{i}.norm.weight", width)
	}
	c.mixer(0, "backbone.layers.{i}.mixer.", true)
	c.attends(2, "backbone.layers.{i}.mixer.", 32)
	c.tekkenBPE()
}

func (c *Checkpoint) nemotronH() {
	c.nemotronTrunk()
	c.set("hybrid_override_pattern", "M-*-")
	for _, layer := range []int{1, 3} {
		c.layer(layer, 0, "backbone.layers.{i}.mixer.up_proj.weight", deep, width)
		c.layer(layer, 0, "backbone.layers.{i}.mixer.down_proj.weight", width, deep)
	}
}

// nemotronHMoE has experts behind a narrower input, and a layer more that predicts the token after the next.
func (c *Checkpoint) nemotronHMoE() {
	const latent = 48
	c.nemotronTrunk()
	c.set("layers_block_type", []string{"mamba", "moe", "attention", "moe"}, "n_routed_experts", 4, "num_experts_per_tok", 2, "moe_intermediate_size", expert,
		"moe_shared_expert_intermediate_size", 2*expert, "n_shared_experts", 1, "norm_topk_prob", true, "routed_scaling_factor", 2.5, "n_group", 1, "topk_group", 1,
		"moe_latent_size", latent, "num_nextn_predict_layers", 1)
	experts := func(layer int, prefix string) {
		c.layer(layer, 0, prefix+"gate.weight", 4, width)
		c.layer(layer, 0, prefix+"gate.e_score_correction_bias", 4)
		c.layer(layer, 0, prefix+"fc1_latent_proj.weight", latent, width)
		c.layer(layer, 0, prefix+"fc2_latent_proj.weight", width, latent)
		c.layer(layer, 4, prefix+"experts.{e}.up_proj.weight", expert, latent)
		c.layer(layer, 4, prefix+"experts.{e}.down_proj.weight", latent, expert)
		c.layer(layer, 0, prefix+"shared_experts.up_proj.weight", 2*expert, width)
		c.layer(layer, 0, prefix+"shared_experts.down_proj.weight", width, 2*expert)
	}
	for _, layer := range []int{1, 3} {
		experts(layer, "backbone.layers.{i}.mixer.")
	}
	c.add("mtp.layers.0.enorm.weight", width)
	c.add("mtp.layers.0.hnorm.weight", width)
	c.add("mtp.layers.0.eh_proj.weight", width, 2*width)
	c.add("mtp.layers.0.norm.weight", width)
	c.attends(0, "mtp.layers.{i}.mixer.", 32)
	c.add("mtp.layers.1.norm.weight", width)
	c.add("mtp.layers.1.final_layernorm.weight", width)
	experts(1, "mtp.layers.{i}.mixer.")
}
