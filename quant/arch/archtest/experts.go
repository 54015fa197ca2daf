package archtest

import "strings"

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

// latent makes DeepSeek's attention.
func (c *Checkpoint) latent() {
	c.set("num_key_value_heads", Heads, "qk_nope_head_dim", 16, "qk_rope_head_dim", 8, "v_head_dim", 32, "kv_lora_rank", 64, "first_k_dense_replace", 1,
		"n_routed_experts", 4, "num_experts_per_tok", 2, "n_shared_experts", 2, "moe_intermediate_size", expert)
	c.outer(false)
	c.norms()
	c.each(0, "model.layers.{i}.self_attn.kv_a_proj_with_mqa.weight", 64+8, width)
	c.each(0, "model.layers.{i}.self_attn.kv_a_layernorm.weight", 64)
	c.each(0, "model.layers.{i}.self_attn.kv_b_proj.weight", Heads*(16+32), 64)
	c.each(0, "model.layers.{i}.self_attn.o_proj.weight", width, Heads*32)
	for name, rows := range map[string]int64{"gate": deep, "up": deep} {
		c.layer(0, 0, "model.layers.{i}.mlp."+name+"_proj.weight", rows, width)
	}
	c.layer(0, 0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
	c.expertLayer(1)
	c.withTokens(qwen2Split, "<bos>", "<eos>")
	c.json("tokenizer_config.json", map[string]any{"add_bos_token": true, "bos_token": "<bos>", "eos_token": "<eos>", "tokenizer_class": "PreTrainedTokenizerFast"})
}

// expertLayer makes four experts, two that are always asked and what chooses among them.
func (c *Checkpoint) expertLayer(layer int) {
	p := "model.layers.{i}.mlp."
	c.layer(layer, 0, p+"gate.weight", 4, width)
	for _, x := range []struct {
		name string
		wide int64
	}{{"experts.{e}.", expert}, {"shared_experts.", 2 * expert}} {
		c.layer(layer, 4, p+x.name+"gate_proj.weight", x.wide, width)
		c.layer(layer, 4, p+x.name+"up_proj.weight", x.wide, width)
		c.layer(layer, 4, p+x.name+"down_proj.weight", width, x.wide)
	}
}

// deepseekV2 is two layers of the small one, whose queries are whole.
func (c *Checkpoint) deepseekV2() {
	c.class("DeepseekV2ForCausalLM")
	c.set("q_lora_rank", nil, "routed_scaling_factor", 1.0, "norm_topk_prob", false, "scoring_func", "softmax", "n_group", 1, "topk_group", 1,
		"rope_scaling", map[string]any{"type": "yarn", "factor": 40, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707})
	c.latent()
	c.each(0, "model.layers.{i}.self_attn.q_proj.weight", Heads*24, width)
}

// deepseekV3 has a layer that predicts a second token.
func (c *Checkpoint) deepseekV3() {
	c.class("DeepseekV3ForCausalLM")
	c.set("q_lora_rank", 32, "routed_scaling_factor", 2.5, "norm_topk_prob", true, "scoring_func", "sigmoid", "n_group", 2, "topk_group", 1, "num_nextn_predict_layers", 1)
	c.latent()
	c.each(0, "model.layers.{i}.self_attn.q_a_proj.weight", 32, width)
	c.each(0, "model.layers.{i}.self_attn.q_a_layernorm.weight", 32)
	c.each(0, "model.layers.{i}.self_attn.q_b_proj.weight", Heads*24, 32)
	c.layer(1, 0, "model.layers.{i}.mlp.gate.e_score_correction_bias", 4)
	c.layer(2, 0, "model.layers.{i}.eh_proj.weight", width, 2*width)
	c.layer(2, 0, "model.layers.{i}.input_layernorm.weight", width)
}

// deepseekFP8 has the matrices of its layers in FP8, as DeepSeek publishes them.
func (c *Checkpoint) deepseekFP8() {
	c.deepseekV3()
	c.Drop("model.layers.2.eh_proj.weight")
	c.Drop("model.layers.2.input_layernorm.weight")
	c.set("quantization_config", map[string]any{"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": []int{128, 128}})
	var out []Tensor
	for _, t := range c.Tensors {
		if len(t.Shape) == 2 && strings.HasSuffix(t.Name, "_proj.weight") {
			out = append(out, randomFP8(t.Name, t.Shape[0], t.Shape[1])...)
		} else {
			out = append(out, t)
		}
	}
	c.Tensors = out
}

func (c *Checkpoint) glm4moe() {
	c.class("Glm4MoeForCausalLM")
	c.set("head_dim", 32, "partial_rotary_factor", 0.5, "first_k_dense_replace", 1, "n_routed_experts", 4, "num_experts_per_tok", 2, "n_shared_experts", 2,
		"moe_intermediate_size", expert, "n_group", 1, "topk_group", 1, "routed_scaling_factor", 1.5, "norm_topk_prob", true, "num_nextn_predict_layers", 1, "use_qk_norm", true)
	c.outer(false)
	for layer := range Layers + 1 {
		p := "model.layers.{i}."
		c.layer(layer, 0, p+"input_layernorm.weight", width)
		c.layer(layer, 0, p+"post_attention_layernorm.weight", width)
		for name, rows := range map[string]int64{"q": Heads * 32, "k": KV * 32, "v": KV * 32} {
			c.layer(layer, 0, p+"self_attn."+name+"_proj.weight", rows, width)
			c.layer(layer, 0, p+"self_attn."+name+"_proj.bias", rows)
		}
		c.layer(layer, 0, p+"self_attn.o_proj.weight", width, Heads*32)
		c.layer(layer, 0, p+"self_attn.q_norm.weight", 32)
		c.layer(layer, 0, p+"self_attn.k_norm.weight", 32)
		if layer > 0 {
			c.expertLayer(layer)
			c.layer(layer, 0, p+"mlp.gate.e_score_correction_bias", 4)
		}
	}
	c.layer(0, 0, "model.layers.{i}.mlp.gate_proj.weight", deep, width)
	c.layer(0, 0, "model.layers.{i}.mlp.up_proj.weight", deep, width)
	c.layer(0, 0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
	c.layer(Layers, 0, "model.layers.{i}.eh_proj.weight", width, 2*width)
	for _, name := range []string{"enorm", "hnorm", "shared_head.norm"} {
		c.layer(Layers, 0, "model.layers.{i}."+name+".weight", width)
	}
	c.layer(Layers, 0, "model.layers.{i}.embed_tokens.weight", Vocab, width)
	c.layer(Layers, 0, "model.layers.{i}.shared_head.head.weight", Vocab, width)
	c.glmBPE()
}

func (c *Checkpoint) llama4() {
	c.class("Llama4ForConditionalGeneration")
	c.set("head_dim", 32, "intermediate_size", expert, "intermediate_size_mlp", deep, "interleave_moe_layer_step", 2, "num_local_experts", 4, "num_experts_per_tok", 1,
		"rope_theta", 500000.0, "rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
	c.set("num_hidden_layers", 4) // libllama wants one layer of four without positions
	c.outer(false)
	for layer := range 4 {
		p := "model.layers.{i}."
		c.layer(layer, 0, p+"input_layernorm.weight", width)
		c.layer(layer, 0, p+"post_attention_layernorm.weight", width)
		c.layer(layer, 0, p+"self_attn.q_proj.weight", Heads*32, width)
		c.layer(layer, 0, p+"self_attn.k_proj.weight", KV*32, width)
		c.layer(layer, 0, p+"self_attn.v_proj.weight", KV*32, width)
		c.layer(layer, 0, p+"self_attn.o_proj.weight", width, Heads*32)
		p += "feed_forward."
		wide := int64(deep)
		if layer%2 == 1 {
			c.layer(layer, 0, p+"router.weight", 4, width)
			c.layer(layer, 0, p+"experts.gate_up_proj", 4, width, 2*expert)
			c.layer(layer, 0, p+"experts.down_proj", 4, expert, width)
			p, wide = p+"shared_expert.", expert
		}
		c.layer(layer, 0, p+"gate_proj.weight", wide, width)
		c.layer(layer, 0, p+"up_proj.weight", wide, width)
		c.layer(layer, 0, p+"down_proj.weight", width, wide)
	}
	c.nest("Llama4ForConditionalGeneration")
	for i, t := range c.Tensors {
		c.Tensors[i].Name = "language_model." + t.Name
	}
	c.llama3BPE()
}

func (c *Checkpoint) gptoss() {
	c.class("GptOssForCausalLM")
	c.set("head_dim", 32, "intermediate_size", expert, "num_local_experts", 4, "num_experts_per_tok", 2, "sliding_window", 64, "rope_theta", 150000.0,
		"rope_scaling", map[string]any{"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false, "original_max_position_embeddings": 64})
	c.outer(false)
	c.norms()
	c.attention(32)
	c.attentionBiases(32)
	c.each(0, "model.layers.{i}.self_attn.o_proj.bias", width)
	c.each(0, "model.layers.{i}.self_attn.sinks", Heads)
	p := "model.layers.{i}.mlp."
	c.each(0, p+"router.weight", 4, width)
	c.each(0, p+"router.bias", 4)
	c.each(0, p+"experts.gate_up_proj", 4, width, 2*expert)
	c.each(0, p+"experts.gate_up_proj_bias", 4, 2*expert)
	c.each(0, p+"experts.down_proj", 4, expert, width)
	c.each(0, p+"experts.down_proj_bias", 4, width)
	c.qwenBPE()
}

// gptossMXFP4 has experts as OpenAI publishes them: rows of blocks and exponents.
func (c *Checkpoint) gptossMXFP4() {
	c.gptoss()
	c.set("quantization_config", map[string]any{"quant_method": "mxfp4", "modules_to_not_convert": []string{"model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"}})
	var out []Tensor
	for _, t := range c.Tensors {
		if strings.HasSuffix(t.Name, "_proj") {
			out = append(out, randomMXFP4(t.Name, t.Shape[0], t.Shape[2], t.Shape[1])...)
		} else {
			out = append(out, t)
		}
	}
	c.Tensors = out
}

func (c *Checkpoint) phimoe() {
	c.class("PhiMoEForCausalLM")
	c.set("num_local_experts", 4, "num_experts_per_tok", 2, "intermediate_size", expert, "original_max_position_embeddings", 256, "sliding_window", 64)
	c.outer(false)
	c.add("model.norm.bias", width)
	c.add("lm_head.bias", Vocab)
	c.norms()
	c.each(0, "model.layers.{i}.input_layernorm.bias", width)
	c.each(0, "model.layers.{i}.post_attention_layernorm.bias", width)
	c.attention(width / Heads)
	c.attentionBiases(width / Heads)
	c.each(0, "model.layers.{i}.self_attn.o_proj.bias", width)
	c.each(0, "model.layers.{i}.block_sparse_moe.gate.weight", 4, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w1.weight", expert, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w2.weight", width, expert)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w3.weight", expert, width)
	c.sentencePiece()
}
