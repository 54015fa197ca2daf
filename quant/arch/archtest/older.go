package archtest

// Checkpoints of the older families, with names of their own.

// both makes a weight and a bias in each layer, or once if the name has no {i}.
func (c *Checkpoint) both(name string, rows int64, columns ...int64) {
	c.each(0, name+".weight", append([]int64{rows}, columns...)...)
	c.each(0, name+".bias", rows)
}

func (c *Checkpoint) gpt2() {
	c.class("GPT2LMHeadModel")
	for _, key := range []string{"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads",
		"max_position_embeddings", "rms_norm_eps", "rope_theta"} {
		delete(c.Config, key)
	}
	c.set("n_layer", Layers, "n_embd", width, "n_head", Heads, "n_ctx", 128, "n_positions", 128, "n_inner", nil, "layer_norm_epsilon", 1e-5)
	c.add("wte.weight", Vocab, width)
	c.add("wpe.weight", 128, width)
	c.add("ln_f.weight", width)
	c.add("ln_f.bias", width)
	c.both("h.{i}.ln_1", width)
	c.both("h.{i}.ln_2", width)
	matrix := func(name string, in, out int64) { // columns first
		c.each(0, name+".weight", in, out)
		c.each(0, name+".bias", out)
	}
	matrix("h.{i}.attn.c_attn", width, 3*width)
	matrix("h.{i}.attn.c_proj", width, width)
	matrix("h.{i}.mlp.c_fc", width, 4*width)
	matrix("h.{i}.mlp.c_proj", 4*width, width)
	c.qwenBPE()
}

func (c *Checkpoint) gptneox() {
	c.class("GPTNeoXForCausalLM")
	c.set("rms_norm_eps", nil, "rope_theta", nil, "num_key_value_heads", nil, "layer_norm_eps", 1e-5, "rotary_pct", 0.25, "rotary_emb_base", 10000, "use_parallel_residual", true)
	c.dtype = "F16"
	c.add("gpt_neox.embed_in.weight", Vocab, width)
	c.add("embed_out.weight", Vocab, width)
	c.add("gpt_neox.final_layer_norm.weight", width)
	c.add("gpt_neox.final_layer_norm.bias", width)
	c.both("gpt_neox.layers.{i}.input_layernorm", width)
	c.both("gpt_neox.layers.{i}.post_attention_layernorm", width)
	c.both("gpt_neox.layers.{i}.attention.query_key_value", 3*width, width)
	c.both("gpt_neox.layers.{i}.attention.dense", width, width)
	c.both("gpt_neox.layers.{i}.mlp.dense_h_to_4h", deep, width)
	c.both("gpt_neox.layers.{i}.mlp.dense_4h_to_h", width, deep)
	c.each(0, "gpt_neox.layers.{i}.attention.masked_bias", 1)
	c.each(0, "gpt_neox.layers.{i}.attention.rotary_emb.inv_freq", 2)
	c.qwenBPE()
}

func (c *Checkpoint) falconOf(kv int64) {
	c.class("FalconForCausalLM")
	c.set("rms_norm_eps", nil, "layer_norm_epsilon", 1e-5, "num_key_value_heads", nil, "num_kv_heads", kv, "intermediate_size", nil, "max_position_embeddings", nil)
	c.add("transformer.word_embeddings.weight", Vocab, width)
	c.add("transformer.ln_f.weight", width)
	c.add("transformer.ln_f.bias", width)
	c.each(0, "transformer.h.{i}.self_attention.query_key_value.weight", (Heads+2*kv)*width/Heads, width)
	c.each(0, "transformer.h.{i}.self_attention.dense.weight", width, width)
	c.each(0, "transformer.h.{i}.mlp.dense_h_to_4h.weight", 4*width, width)
	c.each(0, "transformer.h.{i}.mlp.dense_4h_to_h.weight", width, 4*width)
	c.qwenBPE()
}

func (c *Checkpoint) falcon() {
	c.falconOf(1)
	c.set("multi_query", true, "new_decoder_architecture", false)
	c.both("transformer.h.{i}.input_layernorm", width)
	c.add("lm_head.weight", Vocab, width)
}

func (c *Checkpoint) falcon40() {
	c.falconOf(2)
	c.set("new_decoder_architecture", true)
	c.both("transformer.h.{i}.ln_mlp", width)
	c.both("transformer.h.{i}.ln_attn", width)
	c.add("lm_head.weight", Vocab, width)
}

// baichuan has as many layers as the one with 7B weights: libllama tells by them that positions are turned.
func (c *Checkpoint) baichuan() {
	c.layers = 32
	c.class("BaichuanForCausalLM")
	c.set("num_hidden_layers", c.layers, "num_key_value_heads", nil, "rope_theta", nil, "model_max_length", 128)
	c.outer(false)
	c.norms()
	c.each(0, "model.layers.{i}.self_attn.W_pack.weight", 3*width, width)
	c.each(0, "model.layers.{i}.self_attn.o_proj.weight", width, width)
	c.mlp()
	c.sentencePiece()
}

func (c *Checkpoint) internlm2() {
	const pieces = 400 // the converter wants a piece for each id
	c.class("InternLM2ForCausalLM")
	c.set("vocab_size", pieces, "rope_scaling", map[string]any{"type": "dynamic", "factor": 2.0})
	c.add("model.tok_embeddings.weight", pieces, width)
	c.add("model.norm.weight", width)
	c.add("output.weight", pieces, width)
	c.each(0, "model.layers.{i}.attention_norm.weight", width)
	c.each(0, "model.layers.{i}.ffn_norm.weight", width)
	c.each(0, "model.layers.{i}.attention.wqkv.weight", (Heads+2*KV)*width/Heads, width)
	c.each(0, "model.layers.{i}.attention.wo.weight", width, width)
	c.each(0, "model.layers.{i}.feed_forward.w1.weight", deep, width)
	c.each(0, "model.layers.{i}.feed_forward.w2.weight", width, deep)
	c.each(0, "model.layers.{i}.feed_forward.w3.weight", deep, width)
	c.sentencePiece()
	delete(c.Files, "added_tokens.json")
	c.json("tokenizer_config.json", map[string]any{"tokenizer_class": "InternLM2Tokenizer", "added_tokens_decoder": map[string]any{
		"1": map[string]any{"content": "<s>", "special": true}, "398": map[string]any{"content": "<|im_end|>", "special": true},
		"399": map[string]any{"content": "plain", "special": false}}})
}

func (c *Checkpoint) nemotron() {
	c.class("NemotronForCausalLM")
	c.set("rms_norm_eps", nil, "norm_eps", 1e-5, "head_dim", width/Heads, "partial_rotary_factor", 0.5)
	c.outer(false)
	c.add("model.norm.bias", width)
	c.norms()
	c.each(0, "model.layers.{i}.input_layernorm.bias", width)
	c.each(0, "model.layers.{i}.post_attention_layernorm.bias", width)
	c.attention(width / Heads)
	c.each(0, "model.layers.{i}.mlp.up_proj.weight", deep, width)
	c.each(0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
	c.sentencePiece()
}
