package archtest

// Checkpoints with experts.

func (c *Checkpoint) mixtral() {
	c.class("MixtralForCausalLM")
	c.set("num_local_experts", 4, "num_experts_per_tok", 2, "rope_theta", 1e6, "sliding_window", 128)
	c.outer(false)
	c.norms()
	c.attention(width / Heads)
	c.each(0, "model.layers.{i}.block_sparse_moe.gate.weight", 4, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w1.weight", deep, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w2.weight", width, deep)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w3.weight", deep, width)
	c.sentencePiece()
}

func (c *Checkpoint) qwen2moe() {
	c.class("Qwen2MoeForCausalLM")
	c.set("num_experts", 4, "num_experts_per_tok", 2, "moe_intermediate_size", expert, "shared_expert_intermediate_size", 2*expert,
		"norm_topk_prob", false, "decoder_sparse_step", 1, "rope_theta", 1e6)
	c.outer(false)
	c.norms()
	c.attention(width / Heads)
	c.attentionBiases(width / Heads)
	c.each(0, "model.layers.{i}.mlp.gate.weight", 4, width)
	c.each(0, "model.layers.{i}.mlp.shared_expert_gate.weight", 1, width)
	c.gated(0, "model.layers.{i}.mlp.shared_expert.", 2*expert)
	c.gated(4, "model.layers.{i}.mlp.experts.{e}.", expert)
	c.qwenBPE()
}

func (c *Checkpoint) qwen3moe() {
	c.qwen3moeTrunk()
	c.gated(4, "model.layers.{i}.mlp.experts.{e}.", expert)
	c.Shards = 3 // the experts of a layer lie in two files
}

func (c *Checkpoint) qwen3moeTrunk() {
	c.class("Qwen3MoeForCausalLM")
	c.set("num_experts", 4, "num_experts_per_tok", 2, "moe_intermediate_size", expert, "head_dim", 32, "norm_topk_prob", true, "rope_theta", 1e6)
	c.outer(false)
	c.norms()
	c.attention(32)
	c.headNorms(32)
	c.each(0, "model.layers.{i}.mlp.gate.weight", 4, width)
	c.qwenBPE()
}

func (c *Checkpoint) qwen3moeFused() {
	c.qwen3moeTrunk()
	c.each(0, "model.layers.{i}.mlp.experts.gate_up_proj", 4, 2*expert, width)
	c.each(0, "model.layers.{i}.mlp.experts.down_proj", 4, width, expert)
}

func (c *Checkpoint) granitemoe() {
	c.class("GraniteMoeSharedForCausalLM")
	c.set("num_local_experts", 4, "num_experts_per_tok", 2, "intermediate_size", expert, "shared_intermediate_size", 2*expert,
		"attention_multiplier", 0.25, "embedding_multiplier", 12.0, "residual_multiplier", 0.22, "logits_scaling", 6.0)
	c.outer(true)
	c.norms()
	c.attention(width / Heads)
	c.each(0, "model.layers.{i}.block_sparse_moe.router.layer.weight", 4, width)
	c.each(0, "model.layers.{i}.block_sparse_moe.input_linear.weight", 4, 2*expert, width)
	c.each(0, "model.layers.{i}.block_sparse_moe.output_linear.weight", 4, width, expert)
	c.each(0, "model.layers.{i}.shared_mlp.input_linear.weight", 4*expert, width)
	c.each(0, "model.layers.{i}.shared_mlp.output_linear.weight", width, 2*expert)
	c.llama3BPE()
}

func (c *Checkpoint) olmoe() {
	c.class("OlmoeForCausalLM")
	c.set("num_experts", 4, "num_experts_per_tok", 2, "intermediate_size", expert, "num_key_value_heads", Heads, "clip_qkv", nil)
	c.outer(false)
	c.norms()
	for _, p := range []string{"q", "k", "v", "o"} {
		c.each(0, "model.layers.{i}.self_attn."+p+"_proj.weight", width, width)
	}
	c.each(0, "model.layers.{i}.self_attn.q_norm.weight", width)
	c.each(0, "model.layers.{i}.self_attn.k_norm.weight", width)
	c.each(0, "model.layers.{i}.mlp.gate.weight", 4, width)
	c.gated(4, "model.layers.{i}.mlp.experts.{e}.", expert)
	c.qwenBPE()
}
