package archtest

import "strings"

// Checkpoints of DeepSeek's later relatives and of models whose layers differ in their sizes.

// latentWithPredictor makes DeepSeek V3's layers and one more of its own kind.
func (c *Checkpoint) latentWithPredictor(class string) {
	c.class(class)
	c.set("q_lora_rank", 32, "routed_scaling_factor", 2.5, "norm_topk_prob", true, "scoring_func", "sigmoid", "n_group", 1, "topk_group", 1, "num_nextn_predict_layers", 1)
	c.latent()
	for layer := range Layers {
		p := "model.layers.{i}.self_attn."
		c.layer(layer, 0, p+"q_a_proj.weight", 32, width)
		c.layer(layer, 0, p+"q_a_layernorm.weight", 32)
		c.layer(layer, 0, p+"q_b_proj.weight", Heads*24, 32)
	}
	c.layer(1, 0, "model.layers.{i}.mlp.gate.e_score_correction_bias", 4)
}

// copyLayer gives layer 2 what layer 1 has.
func (c *Checkpoint) copyLayer() {
	for _, t := range c.Tensors {
		if rest, ok := strings.CutPrefix(t.Name, "model.layers.1."); ok {
			c.add("model.layers.2."+rest, t.Shape...)
		}
	}
}

// indexer makes what picks the tokens that a layer attends to.
func (c *Checkpoint) indexer() {
	const head = 128
	c.set("index_n_heads", 4, "index_head_dim", head, "index_topk", 8)
	p := "model.layers.{i}.self_attn.indexer."
	c.each(0, p+"k_norm.weight", head)
	c.each(0, p+"k_norm.bias", head)
	c.each(0, p+"weights_proj.weight", 4, width)
	c.each(0, p+"wk.weight", head, width)
	c.each(0, p+"wq_b.weight", 4*head, 32)
}

func (c *Checkpoint) deepseekV32() {
	c.latentWithPredictor("DeepseekV32ForCausalLM")
	c.set("model_type", "deepseek_v32")
	c.indexer()
	c.copyLayer()
	c.predictor(2)
}

func (c *Checkpoint) glmDSA() {
	c.latentWithPredictor("GlmMoeDsaForCausalLM")
	c.set("model_type", "glm_moe_dsa")
	c.indexer()
	c.copyLayer()
	c.predictor(2)
	c.set("indexer_types", []string{"full", "full"}, "rope_parameters", map[string]any{"rope_theta": 1e6, "rope_type": "default"}, "rope_theta", nil)
	c.glmBPE()
}

// mistral4 has the experts of a layer in two tensors, and nests its config and names.
func (c *Checkpoint) mistral4() {
	c.latentWithPredictor("Mistral3ForConditionalGeneration")
	c.Drop("e_score_correction_bias")
	c.set("num_nextn_predict_layers", nil, "model_type", "mistral4", "scoring_func", nil, "first_k_dense_replace", 0, "rope_theta", nil,
		"rope_parameters", map[string]any{"rope_theta": 10000.0, "rope_type": "yarn", "type": "yarn", "factor": 128.0, "original_max_position_embeddings": 64,
			"beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1})
	for _, name := range []string{"gate_proj", "up_proj", "down_proj"} {
		c.Drop("layers.0.mlp." + name + ".weight")
		for e := range 4 {
			c.Drop("layers.1.mlp.experts." + string(rune('0'+e)) + "." + name + ".weight")
		}
	}
	p := "model.layers.{i}.mlp."
	c.layer(0, 0, p+"gate.weight", 4, width)
	c.layer(0, 0, p+"shared_experts.gate_proj.weight", 2*expert, width)
	c.layer(0, 0, p+"shared_experts.up_proj.weight", 2*expert, width)
	c.layer(0, 0, p+"shared_experts.down_proj.weight", width, 2*expert)
	c.each(0, p+"experts.gate_up_proj", 4, 2*expert, width)
	c.each(0, p+"experts.down_proj", 4, width, expert)
	c.nest("Mistral3ForConditionalGeneration")
	c.Config["model_type"] = "mistral3"
	for i, t := range c.Tensors {
		c.Tensors[i].Name = "language_model." + t.Name
	}
	c.tekkenBPE()
}

// deci has a layer with attention, one with a matrix in its place, one with nothing at all and one with fewer keys.
func (c *Checkpoint) deci() {
	const narrow, wide = 256, 512
	c.class("DeciLMForCausalLM")
	attention := func(group any, linear bool) map[string]any {
		return map[string]any{"n_heads_in_group": group, "no_op": group == nil && !linear, "replace_with_linear": linear}
	}
	ffn := func(mult any) map[string]any {
		return map[string]any{"ffn_mult": mult, "no_op": mult == nil, "replace_with_linear": false}
	}
	c.set("num_hidden_layers", 4, "num_key_value_heads", nil, "intermediate_size", nil, "block_configs", []any{
		map[string]any{"attention": attention(2, false), "ffn": ffn(2.625)},
		map[string]any{"attention": attention(nil, true), "ffn": ffn(8.25)},
		map[string]any{"attention": attention(nil, false), "ffn": ffn(nil)},
		map[string]any{"attention": attention(4, false), "ffn": ffn(2.625)},
	}, "rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
	c.outer(false)
	for layer, kv := range []int64{2, 0, 0, 1} {
		p := "model.layers.{i}."
		if kv > 0 || layer == 1 {
			c.layer(layer, 0, p+"input_layernorm.weight", width)
		}
		if kv > 0 {
			c.layer(layer, 0, p+"self_attn.q_proj.weight", width, width)
			c.layer(layer, 0, p+"self_attn.k_proj.weight", kv*width/Heads, width)
			c.layer(layer, 0, p+"self_attn.v_proj.weight", kv*width/Heads, width)
			c.layer(layer, 0, p+"self_attn.o_proj.weight", width, width)
		}
		if wide := []int64{narrow, wide, 0, narrow}[layer]; wide > 0 {
			c.layer(layer, 0, p+"post_attention_layernorm.weight", width)
			c.layer(layer, 0, p+"mlp.gate_proj.weight", wide, width)
			c.layer(layer, 0, p+"mlp.up_proj.weight", wide, width)
			c.layer(layer, 0, p+"mlp.down_proj.weight", width, wide)
		}
	}
	c.layer(1, 0, "model.layers.{i}.self_attn.linear_attn.weight", width, width)
	c.llama3BPE()
}

func (c *Checkpoint) solarOpen() {
	c.glm4moe()
	c.set("architectures", []string{"SolarOpenForCausalLM"})
	c.withTokens(llama3Split, "<unk>", "<|startoftext|>", "<|endoftext|>")
	c.json("tokenizer_config.json", map[string]any{"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"})
	c.set("bos_token_id", 501, "eos_token_id", 502)
}

func (c *Checkpoint) afmoe() {
	c.class("AfmoeForCausalLM")
	c.set("head_dim", 32, "num_experts", 4, "num_experts_per_tok", 2, "num_shared_experts", 1, "num_dense_layers", 1, "moe_intermediate_size", expert,
		"route_norm", true, "route_scale", 2.826, "score_func", "sigmoid", "sliding_window", 64, "n_group", 1, "topk_group", 1)
	c.outer(false)
	c.norms()
	c.each(0, "model.layers.{i}.pre_mlp_layernorm.weight", width)
	c.each(0, "model.layers.{i}.post_mlp_layernorm.weight", width)
	c.attention(32)
	c.headNorms(32)
	c.each(0, "model.layers.{i}.self_attn.gate_proj.weight", Heads*32, width)
	c.denseFirst()
	c.expertsOnly(1, 1)
	c.layer(1, 0, "model.layers.{i}.mlp.router.gate.weight", 4, width)
	c.dtype = "F32"
	c.layer(1, 0, "model.layers.{i}.mlp.expert_bias", 4)
	c.llama3BPE()
}

func (c *Checkpoint) exaoneMoE() {
	c.class("ExaoneMoEForCausalLM")
	c.set("head_dim", 32, "num_experts", 4, "num_experts_per_tok", 2, "num_shared_experts", 1, "moe_intermediate_size", expert, "first_k_dense_replace", 1,
		"norm_topk_prob", true, "routed_scaling_factor", 2.5, "scoring_func", "sigmoid", "n_group", 1, "topk_group", 1, "num_nextn_predict_layers", 1,
		"sliding_window", 64, "sliding_window_pattern", "LLLG")
	c.outer(false)
	c.norms()
	c.attention(32)
	c.headNorms(32)
	c.denseFirst()
	c.layer(1, 0, "model.layers.{i}.mlp.gate.weight", 4, width)
	c.layer(1, 0, "model.layers.{i}.mlp.e_score_correction_bias", 4)
	c.expertsOnly(1, 1)
	for _, t := range c.Tensors { // the predictor is like the first layer
		if rest, ok := strings.CutPrefix(t.Name, "model.layers.0."); ok {
			c.add("mtp.layers.0."+rest, t.Shape...)
		}
	}
	c.add("mtp.fc.weight", width, 2*width)
	for _, name := range []string{"pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"} {
		c.add("mtp."+name+".weight", width)
	}
	c.qwenBPE()
}
