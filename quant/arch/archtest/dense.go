package archtest

import "strings"

// Checkpoints with one feed-forward network in each layer.

// sandwich makes Gemma's four norms.
func (c *Checkpoint) sandwich() {
	c.norms()
	c.each(0, "model.layers.{i}.pre_feedforward_layernorm.weight", width)
	c.each(0, "model.layers.{i}.post_feedforward_layernorm.weight", width)
}

func (c *Checkpoint) gemma() {
	c.class("GemmaForCausalLM")
	c.set("head_dim", 32, "tie_word_embeddings", true)
	c.dtype = "F16" // its sums with one are rounded
	c.outer(true)
	c.add("lm_head.weight", Vocab, width)
	c.norms()
	c.attention(32)
	c.mlp()
	c.sentencePiece()
}

func (c *Checkpoint) gemma2() {
	c.class("Gemma2ForCausalLM")
	c.set("head_dim", 32, "attn_logit_softcapping", 50.0, "final_logit_softcapping", 30.0, "sliding_window", 64, "query_pre_attn_scalar", 32)
	c.outer(true)
	c.sandwich()
	c.attention(32)
	c.mlp()
	c.sentencePiece()
}

// gemma3 has a sixth layer, which looks beyond the window.
func (c *Checkpoint) gemma3() {
	c.layers = 6
	c.class("Gemma3ForCausalLM")
	c.set("num_hidden_layers", c.layers, "head_dim", 32, "query_pre_attn_scalar", 32, "sliding_window", 64, "sliding_window_pattern", 6, "rope_theta", 1e6, "rope_local_base_freq", 10000.0,
		"rope_scaling", map[string]any{"rope_type": "linear", "factor": 8.0})
	c.outer(true)
	c.sandwich()
	c.attention(32)
	c.headNorms(32)
	c.mlp()
	c.sentencePiece()
}

// nest moves the config into its text_config.
func (c *Checkpoint) nest(class string) {
	text := c.Config
	delete(text, "architectures")
	c.Config = map[string]any{"architectures": []string{class}, "text_config": text, "bos_token_id": text["bos_token_id"], "eos_token_id": text["eos_token_id"]}
}

func (c *Checkpoint) llamaLike(class string, head int64, tied bool) {
	c.class(class)
	c.outer(tied)
	c.norms()
	c.attention(head)
	c.mlp()
}

func (c *Checkpoint) mistral3() {
	c.llamaLike("Mistral3ForConditionalGeneration", 32, false)
	c.set("head_dim", 32, "rope_theta", 1e9, "model_type", "mistral", "sliding_window", nil)
	c.nest("Mistral3ForConditionalGeneration")
	c.Config["model_type"] = "mistral3"
	for i, t := range c.Tensors {
		c.Tensors[i].Name = "language_model." + t.Name
	}
	c.pixtralVision(false)
	c.tekkenBPE("[IMG_BREAK]")
}

func (c *Checkpoint) ministral3() {
	c.llamaLike("Mistral3ForConditionalGeneration", 32, false)
	c.set("head_dim", 32, "rope_theta", nil, "model_type", "ministral3", "rope_parameters", map[string]any{"rope_theta": 1e6, "rope_type": "yarn", "type": "yarn",
		"factor": 16.0, "original_max_position_embeddings": 64, "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1})
	c.nest("Mistral3ForConditionalGeneration")
	for i, t := range c.Tensors {
		if rest, ok := strings.CutPrefix(t.Name, "model."); ok {
			c.Tensors[i].Name = "model.language_model." + rest
		}
	}
	c.tekkenBPE()
}

// tekken has no tokenizer.json.
func (c *Checkpoint) tekken() {
	c.llamaLike("MistralForCausalLM", 32, false)
	c.set("head_dim", 32, "rope_theta", 1e9)
	c.tekkenJSON()
}

func (c *Checkpoint) smollm3() {
	c.llamaLike("SmolLM3ForCausalLM", width/Heads, true)
	c.set("rope_theta", 5e6, "no_rope_layers", []int{1, 1})
	c.llama3BPE()
}

func (c *Checkpoint) phi2() {
	c.class("PhiForCausalLM")
	c.set("intermediate_size", 4*width, "num_key_value_heads", Heads, "rms_norm_eps", nil, "layer_norm_eps", 1e-5, "partial_rotary_factor", 0.5)
	both := func(name string, rows int64, columns ...int64) {
		c.each(0, name+".weight", append([]int64{rows}, columns...)...)
		c.each(0, name+".bias", rows)
	}
	c.add("model.embed_tokens.weight", Vocab, width)
	c.add("model.final_layernorm.weight", width)
	c.add("model.final_layernorm.bias", width)
	c.add("lm_head.weight", Vocab, width)
	c.add("lm_head.bias", Vocab)
	both("model.layers.{i}.input_layernorm", width)
	for _, p := range []string{"q_proj", "k_proj", "v_proj", "dense"} {
		both("model.layers.{i}.self_attn."+p, width, width)
	}
	both("model.layers.{i}.mlp.fc1", 4*width, width)
	both("model.layers.{i}.mlp.fc2", width, 4*width)
	c.qwenBPE()
}

func (c *Checkpoint) phi3() {
	c.class("Phi3ForCausalLM")
	c.set("original_max_position_embeddings", 256, "sliding_window", 64)
	c.outer(false)
	c.norms()
	c.each(0, "model.layers.{i}.self_attn.qkv_proj.weight", (Heads+2*KV)*width/Heads, width)
	c.each(0, "model.layers.{i}.self_attn.o_proj.weight", width, width)
	c.each(0, "model.layers.{i}.mlp.gate_up_proj.weight", 2*deep, width)
	c.each(0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
	c.sentencePiece()
}

func (c *Checkpoint) phi3Long() {
	c.phi3()
	long, short := make([]float64, 6), make([]float64, 6)
	for i := range long {
		long[i], short[i] = 1.1+float64(i)*3.7, 1+float64(i)*0.01
	}
	c.set("original_max_position_embeddings", 64, "partial_rotary_factor", 0.75, "sliding_window", nil,
		"rope_scaling", map[string]any{"type": "longrope", "long_factor": long, "short_factor": short})
	c.Files = map[string][]byte{}
	c.qwenBPE()
	c.Files["tokenizer_config.json"] = []byte(strings.Replace(string(c.Files["tokenizer_config.json"]), "Qwen2Tokenizer", "GPT2Tokenizer", 1))
}

func (c *Checkpoint) granite() {
	c.llamaLike("GraniteForCausalLM", width/Heads, true)
	c.set("attention_multiplier", 0.25, "embedding_multiplier", 12.0, "residual_multiplier", 0.22, "logits_scaling", 8.0, "head_dim", 32)
	c.llama3BPE()
}

func (c *Checkpoint) olmo() {
	c.class("OlmoForCausalLM")
	c.set("rms_norm_eps", nil, "clip_qkv", 8.0)
	c.outer(true)
	c.Tensors = c.Tensors[:1] // no norm
	c.attention(width / Heads)
	c.mlp()
	c.qwenBPE()
}

func (c *Checkpoint) olmo2() {
	c.class("Olmo2ForCausalLM")
	c.outer(false)
	c.attention(width / Heads)
	c.mlp()
	c.each(0, "model.layers.{i}.self_attn.q_norm.weight", width)
	c.each(0, "model.layers.{i}.self_attn.k_norm.weight", width*KV/Heads)
	c.each(0, "model.layers.{i}.post_attention_layernorm.weight", width)
	c.each(0, "model.layers.{i}.post_feedforward_layernorm.weight", width)
	c.llama3BPE()
}

func (c *Checkpoint) olmo3() {
	c.olmo2()
	c.set("architectures", []string{"Olmo3ForCausalLM"}, "sliding_window", 64, "layer_types", []string{"sliding_attention", "full_attention"},
		"rope_scaling", map[string]any{"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1, "attention_factor": 1.2079441541679836})
}

func (c *Checkpoint) glm4() {
	c.class("Glm4ForCausalLM")
	c.set("head_dim", 32, "partial_rotary_factor", 0.5)
	c.outer(false)
	c.norms()
	c.attention(32)
	c.attentionBiases(32)
	c.each(0, "model.layers.{i}.post_self_attn_layernorm.weight", width)
	c.each(0, "model.layers.{i}.post_mlp_layernorm.weight", width)
	c.each(0, "model.layers.{i}.mlp.gate_up_proj.weight", 2*deep, width)
	c.each(0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
	c.glmBPE()
}

func (c *Checkpoint) stablelm() {
	c.class("StableLmForCausalLM")
	c.set("rms_norm_eps", nil, "layer_norm_eps", 1e-5, "partial_rotary_factor", 0.25, "use_parallel_residual", false)
	c.outer(false)
	c.add("model.norm.bias", width)
	c.norms()
	c.each(0, "model.layers.{i}.input_layernorm.bias", width)
	c.each(0, "model.layers.{i}.post_attention_layernorm.bias", width)
	c.attention(width / Heads)
	c.attentionBiases(width / Heads)
	c.mlp()
	c.each(Heads, "model.layers.{i}.self_attn.q_layernorm.norms.{e}.weight", width/Heads)
	c.each(KV, "model.layers.{i}.self_attn.k_layernorm.norms.{e}.weight", width/Heads)
	c.qwenBPE()
}

func (c *Checkpoint) starcoder2() {
	c.class("Starcoder2ForCausalLM")
	c.set("rms_norm_eps", nil, "norm_epsilon", 1e-5, "sliding_window", 64)
	c.outer(true)
	c.add("model.norm.bias", width)
	c.norms()
	c.each(0, "model.layers.{i}.input_layernorm.bias", width)
	c.each(0, "model.layers.{i}.post_attention_layernorm.bias", width)
	c.attention(width / Heads)
	c.attentionBiases(width / Heads)
	c.each(0, "model.layers.{i}.self_attn.o_proj.bias", width)
	c.each(0, "model.layers.{i}.mlp.c_fc.weight", deep, width)
	c.each(0, "model.layers.{i}.mlp.c_fc.bias", deep)
	c.each(0, "model.layers.{i}.mlp.c_proj.weight", width, deep)
	c.each(0, "model.layers.{i}.mlp.c_proj.bias", width)
	c.qwenBPE()
}

// cohere makes what both Cohere models have: one norm in each layer, the embedding as the head.
func (c *Checkpoint) cohere(class string, head int64) {
	c.class(class)
	c.set("rms_norm_eps", nil, "layer_norm_eps", 1e-5, "logit_scale", 0.0625)
	c.outer(true)
	c.each(0, "model.layers.{i}.input_layernorm.weight", width)
	c.attention(head)
	c.mlp()
	c.qwenBPE()
}

func (c *Checkpoint) commandR() {
	c.cohere("CohereForCausalLM", width/Heads)
	c.set("model_max_length", 512)
}

// cohere2 has the four layers that libllama counts on: the last of them looks beyond the window.
func (c *Checkpoint) cohere2() {
	c.layers = 4
	c.cohere("Cohere2ForCausalLM", width/Heads)
	c.set("num_hidden_layers", c.layers, "head_dim", width/Heads, "sliding_window", 64, "rotary_pct", 1.0,
		"layer_types", []string{"sliding_attention", "sliding_attention", "sliding_attention", "full_attention"})
}
