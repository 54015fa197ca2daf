package archtest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Checkpoints of families that differ in a few lines from Llama, Qwen or DeepSeek.

func (c *Checkpoint) arcee() {
	c.class("ArceeForCausalLM")
	c.set("rope_scaling", map[string]any{"rope_type": "yarn", "factor": 20.0, "original_max_position_embeddings": 64, "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0}, "head_dim", 32)
	c.outer(false)
	c.norms()
	c.attention(32)
	c.each(0, "model.layers.{i}.mlp.up_proj.weight", deep, width)
	c.each(0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
	c.llama3BPE()
}

func (c *Checkpoint) seedoss() {
	c.llamaLike("SeedOssForCausalLM", 32, false)
	c.set("head_dim", 32, "attention_bias", true, "rope_theta", 1e7)
	c.attentionBiases(32)
	c.qwenBPE()
}

func (c *Checkpoint) exaone() {
	c.class("ExaoneForCausalLM")
	c.set("num_hidden_layers", nil, "num_layers", Layers, "activation_function", "silu", "rms_norm_eps", nil, "layer_norm_epsilon", 1e-5, "head_dim", width/Heads,
		"rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
	c.add("transformer.wte.weight", Vocab, width)
	c.add("transformer.ln_f.weight", width)
	c.add("lm_head.weight", Vocab, width)
	p := "transformer.h.{i}."
	c.each(0, p+"ln_1.weight", width)
	c.each(0, p+"ln_2.weight", width)
	c.each(0, p+"attn.attention.q_proj.weight", width, width)
	c.each(0, p+"attn.attention.k_proj.weight", width*KV/Heads, width)
	c.each(0, p+"attn.attention.v_proj.weight", width*KV/Heads, width)
	c.each(0, p+"attn.attention.out_proj.weight", width, width)
	c.each(0, p+"mlp.c_fc_0.weight", deep, width)
	c.each(0, p+"mlp.c_fc_1.weight", deep, width)
	c.each(0, p+"mlp.c_proj.weight", width, deep)
	c.qwenBPE()
}

func (c *Checkpoint) exaone4() {
	c.class("Exaone4ForCausalLM")
	c.set("head_dim", width/Heads, "sliding_window", 64, "sliding_window_pattern", "LLLG", "layer_types", []string{"sliding_attention", "full_attention"}, "rope_theta", 1e6,
		"rope_scaling", map[string]any{"rope_type": "llama3", "factor": 16.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
	c.outer(true)
	c.attention(width / Heads)
	c.headNorms(width / Heads)
	c.each(0, "model.layers.{i}.post_attention_layernorm.weight", width)
	c.each(0, "model.layers.{i}.post_feedforward_layernorm.weight", width)
	c.mlp()
	c.qwenBPE()
}

func (c *Checkpoint) ernie() {
	c.llamaLike("Ernie4_5_ForCausalLM", 32, true)
	c.set("head_dim", 32, "rope_theta", 500000.0)
	c.sentencePiece()
}

// ernieFused spells the same in fewer tensors, as Baidu's own framework does.
func (c *Checkpoint) ernieFused() {
	c.class("Ernie4_5_ForCausalLM")
	c.set("head_dim", 32, "tie_word_embeddings", true)
	c.add("ernie.embed_tokens.weight", Vocab, width)
	c.add("ernie.norm.weight", width)
	p := "ernie.layers.{i}."
	c.each(0, p+"input_layernorm.weight", width)
	c.each(0, p+"post_attention_layernorm.weight", width)
	c.each(0, p+"self_attn.qkv_proj.weight", (Heads+2*KV)*32, width)
	c.each(0, p+"self_attn.o_proj.weight", width, Heads*32)
	c.each(0, p+"mlp.up_gate_proj.weight", 2*deep, width)
	c.each(0, p+"mlp.down_proj.weight", width, deep)
	c.sentencePiece()
}

func (c *Checkpoint) ernieMoE() {
	c.class("Ernie4_5_MoeForCausalLM")
	c.set("head_dim", 32, "intermediate_size", 2*2*expert, "moe_num_experts", 4, "moe_k", 2, "moe_layer_interval", 1, "moe_layer_start_index", 1,
		"moe_intermediate_size", expert, "moe_num_shared_experts", 2, "moe_use_aux_free", true)
	c.outer(false)
	c.norms()
	c.attention(32)
	p := "model.layers.{i}.mlp."
	c.layer(0, 0, p+"gate_proj.weight", 4*expert, width)
	c.layer(0, 0, p+"up_proj.weight", 4*expert, width)
	c.layer(0, 0, p+"down_proj.weight", width, 4*expert)
	c.dtype = "F32" // a router in F32, as published
	c.layer(1, 0, p+"gate.weight", 4, width)
	c.layer(1, 0, p+"moe_statics.e_score_correction_bias", 1, 4)
	c.dtype = "BF16"
	c.expertsOnly(1, 2)
	c.add("model.mtp_block.0.input_layernorm.weight", width)
	c.add("model.mtp_linear_proj.0.weight", width, 2*width)
	c.sentencePiece()
}

// expertsOnly makes four experts in a layer, and the network of some that are always asked.
func (c *Checkpoint) expertsOnly(layer int, shared int64) {
	p := "model.layers.{i}.mlp."
	for _, x := range []struct {
		name string
		wide int64
	}{{"experts.{e}.", expert}, {"shared_experts.", shared * expert}} {
		c.layer(layer, 4, p+x.name+"gate_proj.weight", x.wide, width)
		c.layer(layer, 4, p+x.name+"up_proj.weight", x.wide, width)
		c.layer(layer, 4, p+x.name+"down_proj.weight", width, x.wide)
	}
}

func (c *Checkpoint) hunyuan() {
	c.llamaLike("HunYuanDenseV1ForCausalLM", 32, true)
	c.set("head_dim", 32, "num_experts", 1, "max_position_embeddings", 32768, "eod_token_id", 502, "pad_token_id", -1, "rope_scaling", map[string]any{"type": "dynamic", "alpha": 1000.0,
		"factor": 1.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0})
	c.each(0, "model.layers.{i}.self_attn.query_layernorm.weight", 32)
	c.each(0, "model.layers.{i}.self_attn.key_layernorm.weight", 32)
	c.qwenBPE()
}

func (c *Checkpoint) orion() {
	c.llamaLike("OrionForCausalLM", width/Heads, false)
	c.add("model.norm.bias", width)
	c.each(0, "model.layers.{i}.input_layernorm.bias", width)
	c.each(0, "model.layers.{i}.post_attention_layernorm.bias", width)
	c.sentencePiece()
}

func (c *Checkpoint) minicpm() {
	c.llamaLike("MiniCPMForCausalLM", width/Heads, true)
	long, short := make([]float64, width/Heads/2), make([]float64, width/Heads/2)
	for i := range long {
		long[i], short[i] = 1.1+float64(i)*3.7, 1+float64(i)*0.01
	}
	c.set("scale_emb", 12, "scale_depth", 1.4, "dim_model_base", 32, "rope_scaling", map[string]any{"rope_type": "longrope", "long_factor": long, "short_factor": short,
		"original_max_position_embeddings": 256})
	c.sentencePiece()
}

func (c *Checkpoint) minicpm3() {
	c.class("MiniCPM3ForCausalLM")
	c.set("num_key_value_heads", Heads, "q_lora_rank", 48, "kv_lora_rank", 32, "qk_nope_head_dim", 16, "qk_rope_head_dim", 8, "v_head_dim", 16,
		"scale_emb", 12, "scale_depth", 1.4, "dim_model_base", 256) // libllama takes these three for granted
	c.outer(false)
	c.norms()
	p := "model.layers.{i}.self_attn."
	c.each(0, p+"q_a_proj.weight", 48, width)
	c.each(0, p+"q_a_layernorm.weight", 48)
	c.each(0, p+"q_b_proj.weight", Heads*24, 48)
	c.each(0, p+"kv_a_proj_with_mqa.weight", 32+8, width)
	c.each(0, p+"kv_a_layernorm.weight", 32)
	c.each(0, p+"kv_b_proj.weight", Heads*32, 32)
	c.each(0, p+"o_proj.weight", width, Heads*16)
	c.mlp()
	c.sentencePiece()
}

func (c *Checkpoint) chatglm() {
	c.class("ChatGLMModel")
	for _, key := range []string{"num_hidden_layers", "intermediate_size", "vocab_size", "num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings"} {
		delete(c.Config, key)
	}
	c.set("num_layers", Layers, "ffn_hidden_size", deep, "kv_channels", width/Heads, "multi_query_group_num", KV, "padded_vocab_size", Vocab, "vocab_size", Vocab,
		"seq_length", 256, "layernorm_epsilon", 1.5625e-07, "rope_ratio", 500)
	c.add("transformer.embedding.word_embeddings.weight", Vocab, width)
	c.add("transformer.output_layer.weight", Vocab, width)
	c.add("transformer.encoder.final_layernorm.weight", width)
	c.add("transformer.rotary_pos_emb.inv_freq", 8)
	p := "transformer.encoder.layers.{i}."
	c.each(0, p+"input_layernorm.weight", width)
	c.each(0, p+"post_attention_layernorm.weight", width)
	c.each(0, p+"self_attention.query_key_value.weight", (Heads+2*KV)*width/Heads, width)
	c.each(0, p+"self_attention.query_key_value.bias", (Heads+2*KV)*width/Heads)
	c.each(0, p+"self_attention.dense.weight", width, width)
	c.each(0, p+"mlp.dense_h_to_4h.weight", 2*deep, width)
	c.each(0, p+"mlp.dense_4h_to_h.weight", width, deep)
	c.glmBPE()
}

func (c *Checkpoint) glmHF() {
	c.class("GlmForCausalLM")
	c.set("head_dim", width/Heads, "partial_rotary_factor", 0.5, "attention_bias", true)
	c.outer(false)
	c.norms()
	c.attention(width / Heads)
	c.attentionBiases(width / Heads)
	c.each(0, "model.layers.{i}.mlp.gate_up_proj.weight", 2*deep, width)
	c.each(0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
	c.glmBPE()
}

func (c *Checkpoint) deepseekMoE() {
	c.class("DeepseekForCausalLM")
	c.set("first_k_dense_replace", 1, "n_routed_experts", 4, "num_experts_per_tok", 2, "n_shared_experts", 2, "moe_intermediate_size", expert, "norm_topk_prob", false, "scoring_func", "softmax")
	c.outer(false)
	c.norms()
	c.attention(width / Heads)
	c.denseFirst()
	c.expertLayer(1)
	c.qwenBPE()
}

// denseFirst makes the feed-forward network of the first layer.
func (c *Checkpoint) denseFirst() {
	c.layer(0, 0, "model.layers.{i}.mlp.gate_proj.weight", deep, width)
	c.layer(0, 0, "model.layers.{i}.mlp.up_proj.weight", deep, width)
	c.layer(0, 0, "model.layers.{i}.mlp.down_proj.weight", width, deep)
}

// kimiK2 is DeepSeek V3 with a list of ranks for its vocabulary.
func (c *Checkpoint) kimiK2() {
	c.deepseekV3()
	c.set("num_nextn_predict_layers", 0, "model_type", "kimi_k2")
	c.Drop("model.layers.2.eh_proj.weight")
	c.Drop("model.layers.2.input_layernorm.weight")
	delete(c.Files, "tokenizer.json")
	base := c.ranks("tiktoken.model")
	c.json("tokenizer_config.json", map[string]any{"bos_token": "[BOS]", "eos_token": "[EOS]", "tokenizer_class": "TikTokenTokenizer", "added_tokens_decoder": map[string]any{
		fmt.Sprint(base): map[string]any{"content": "[BOS]", "special": true}, fmt.Sprint(base + 1): map[string]any{"content": "[EOS]", "special": true},
		fmt.Sprint(base + 5): map[string]any{"content": "<|im_user|>", "special": true}}})
	c.set("bos_token_id", base, "eos_token_id", base+1)
}

// ranks writes tokens and their ranks, and returns how many there are.
func (c *Checkpoint) ranks(name string) int {
	var b strings.Builder
	n := 0
	seen := map[string]bool{}
	add := func(raw string) {
		if !seen[raw] {
			seen[raw] = true
			fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(raw)), n)
			n++
		}
	}
	for i := range 256 {
		add(string([]byte{byte(i)}))
	}
	for _, m := range learn(230, "Ġ") {
		add(strings.ReplaceAll(m[0]+m[1], "Ġ", " "))
	}
	c.Files[name] = []byte(b.String())
	return n
}

// deepseekV2Lite has as many layers as the small one that is published: libllama tells it by that.
func (c *Checkpoint) deepseekV2Lite() {
	c.deepseekV2()
	c.set("num_hidden_layers", 27)
	for layer := Layers; layer < 27; layer++ {
		for _, t := range c.Tensors {
			if rest, ok := strings.CutPrefix(t.Name, "model.layers.1."); ok {
				c.add(fmt.Sprintf("model.layers.%d.%s", layer, rest), t.Shape...)
			}
		}
	}
}

// glm4lite has DeepSeek's layers and one more that predicts the token after the next.
func (c *Checkpoint) glm4lite() {
	c.class("Glm4MoeLiteForCausalLM")
	c.set("q_lora_rank", 32, "routed_scaling_factor", 1.8, "norm_topk_prob", true, "scoring_func", "sigmoid", "n_group", 1, "topk_group", 1, "num_nextn_predict_layers", 1)
	c.latent()
	for layer := range Layers + 1 {
		p := "model.layers.{i}.self_attn."
		c.layer(layer, 0, p+"q_a_proj.weight", 32, width)
		c.layer(layer, 0, p+"q_a_layernorm.weight", 32)
		c.layer(layer, 0, p+"q_b_proj.weight", Heads*24, 32)
	}
	for _, t := range c.Tensors { // what layer 1 has, layer 2 has too
		if rest, ok := strings.CutPrefix(t.Name, "model.layers.1."); ok && !strings.Contains(rest, ".q_") {
			c.add("model.layers.2."+rest, t.Shape...)
		}
	}
	for layer := 1; layer < 3; layer++ {
		c.layer(layer, 0, "model.layers.{i}.mlp.gate.e_score_correction_bias", 4)
	}
	c.predictor(2)
	c.glmBPE()
}

// predictor makes what a layer has besides that predicts the token after the next.
func (c *Checkpoint) predictor(layer int) {
	p := "model.layers.{i}."
	c.layer(layer, 0, p+"eh_proj.weight", width, 2*width)
	c.layer(layer, 0, p+"enorm.weight", width)
	c.layer(layer, 0, p+"hnorm.weight", width)
	c.layer(layer, 0, p+"embed_tokens.weight", Vocab, width)
	c.layer(layer, 0, p+"shared_head.norm.weight", width)
	c.layer(layer, 0, p+"shared_head.head.weight", Vocab, width)
}

func (c *Checkpoint) dots1() {
	c.class("Dots1ForCausalLM")
	c.set("head_dim", 32, "num_key_value_heads", Heads, "first_k_dense_replace", 1, "n_routed_experts", 4, "num_experts_per_tok", 2, "n_shared_experts", 2, "moe_intermediate_size", expert,
		"norm_topk_prob", true, "routed_scaling_factor", 2.5, "scoring_func", "sigmoid", "n_group", 1, "topk_group", 1)
	c.outer(false)
	c.norms()
	for _, p := range []string{"q", "k", "v"} {
		c.each(0, "model.layers.{i}.self_attn."+p+"_proj.weight", Heads*32, width)
	}
	c.each(0, "model.layers.{i}.self_attn.o_proj.weight", width, Heads*32)
	c.headNorms(32)
	c.denseFirst()
	c.expertLayer(1)
	c.layer(1, 0, "model.layers.{i}.mlp.gate.e_score_correction_bias", 4)
	c.qwenBPE()
}

// bailingTrunk makes what both kinds of Ling have.
func (c *Checkpoint) bailingTrunk(class string, layers int) {
	c.class(class)
	c.set("head_dim", width/Heads, "num_experts", 4, "num_experts_per_tok", 2, "num_shared_experts", 2, "moe_intermediate_size", expert, "norm_topk_prob", true)
	c.add("model.word_embeddings.weight", Vocab, width)
	c.add("model.norm.weight", width)
	c.add("lm_head.weight", Vocab, width)
	for layer := range layers {
		p := "model.layers.{i}."
		c.layer(layer, 0, p+"input_layernorm.weight", width)
		c.layer(layer, 0, p+"post_attention_layernorm.weight", width)
		c.layer(layer, 0, p+"attention.query_key_value.weight", (Heads+2*KV)*width/Heads, width)
		c.layer(layer, 0, p+"attention.dense.weight", width, width)
	}
	c.qwenBPE()
}

func (c *Checkpoint) bailingMoE() {
	c.bailingTrunk("BailingMoeForCausalLM", Layers)
	c.set("first_k_dense_replace", 0, "norm_head", false)
	for layer := range Layers {
		c.layer(layer, 0, "model.layers.{i}.mlp.gate.weight", 4, width)
		c.expertsOnly(layer, 2)
	}
}

func (c *Checkpoint) bailingMoE2() {
	c.bailingTrunk("BailingMoeV2ForCausalLM", Layers+1)
	c.set("num_shared_experts", 1, "first_k_dense_replace", 1, "routed_scaling_factor", 2.5, "partial_rotary_factor", 0.5, "score_function", "sigmoid", "n_group", 1, "topk_group", 1, "num_nextn_predict_layers", 1)
	c.denseFirst()
	for layer := range Layers + 1 {
		p := "model.layers.{i}."
		c.layer(layer, 0, p+"attention.query_layernorm.weight", width/Heads)
		c.layer(layer, 0, p+"attention.key_layernorm.weight", width/Heads)
		if layer > 0 {
			c.layer(layer, 0, p+"mlp.gate.weight", 4, width)
			c.layer(layer, 0, p+"mlp.gate.expert_bias", 4)
			c.expertsOnly(layer, 1)
		}
	}
	c.layer(2, 0, "model.layers.{i}.eh_proj.weight", width, 2*width)
	c.layer(2, 0, "model.layers.{i}.enorm.weight", width)
	c.layer(2, 0, "model.layers.{i}.hnorm.weight", width)
	c.layer(2, 0, "model.layers.{i}.final_layernorm.weight", width)
}

func (c *Checkpoint) minimaxM2() {
	c.class("MiniMaxM2ForCausalLM")
	c.set("head_dim", 32, "rotary_dim", 16, "num_local_experts", 4, "num_experts_per_tok", 2, "scoring_func", "sigmoid", "rope_theta", 5e6)
	c.outer(false)
	c.norms()
	c.attention(32)
	c.each(0, "model.layers.{i}.self_attn.q_norm.weight", Heads*32)
	c.each(0, "model.layers.{i}.self_attn.k_norm.weight", KV*32)
	c.each(0, "model.layers.{i}.block_sparse_moe.gate.weight", 4, width)
	c.each(0, "model.layers.{i}.block_sparse_moe.e_score_correction_bias", 4)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w1.weight", deep, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w2.weight", width, deep)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.w3.weight", deep, width)
	c.qwenBPE()
}

func (c *Checkpoint) smallthinker() {
	c.class("SmallThinkerForCausalLM")
	c.set("head_dim", 32, "intermediate_size", nil, "moe_num_primary_experts", 4, "moe_num_active_primary_experts", 2, "moe_ffn_hidden_size", deep,
		"moe_primary_router_apply_softmax", false, "sliding_window_layout", []int{0, 1}, "sliding_window_size", 64)
	c.outer(true)
	c.norms()
	c.attention(32)
	c.each(0, "model.layers.{i}.block_sparse_moe.primary_router.weight", 4, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.gate.weight", deep, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.up.weight", deep, width)
	c.each(4, "model.layers.{i}.block_sparse_moe.experts.{e}.down.weight", width, deep)
	c.qwenBPE()
}

// fusedLayers makes layers of the older kind, each matrix and norm with a bias.
func (c *Checkpoint) fusedLayers(prefix string, qkv int64, names ...string) {
	both := func(name string, shape ...int64) {
		c.each(0, prefix+name+".weight", shape...)
		c.each(0, prefix+name+".bias", shape[0])
	}
	both(names[0], width)
	both(names[1], width)
	both(names[2], qkv, width)
	both(names[3], width, width)
	both(names[4], 4*width, width)
	both(names[5], width, 4*width)
}

func (c *Checkpoint) bloom() {
	c.class("BloomForCausalLM")
	for _, key := range []string{"num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings"} {
		delete(c.Config, key)
	}
	c.set("n_layer", Layers, "n_head", Heads, "layer_norm_epsilon", 1e-5, "seq_length", 256)
	for _, name := range []string{"word_embeddings_layernorm", "ln_f"} {
		c.add("transformer."+name+".weight", width)
		c.add("transformer."+name+".bias", width)
	}
	c.add("transformer.word_embeddings.weight", Vocab, width)
	c.fusedLayers("transformer.h.{i}.", 3*width, "input_layernorm", "post_attention_layernorm", "self_attention.query_key_value", "self_attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
	c.qwenBPE()
}

func (c *Checkpoint) mpt() {
	c.class("MPTForCausalLM")
	c.Config = map[string]any{"architectures": []string{"MPTForCausalLM"}, "d_model": width, "n_layers": Layers, "n_heads": Heads, "max_seq_len": 256, "vocab_size": Vocab, "expansion_ratio": 4,
		"no_bias": true, "attn_config": map[string]any{"alibi": true, "alibi_bias_max": 8, "clip_qkv": 6.0}}
	c.add("transformer.wte.weight", Vocab, width)
	c.add("transformer.norm_f.weight", width)
	c.fusedLayers("transformer.blocks.{i}.", 3*width, "norm_1", "norm_2", "attn.Wqkv", "attn.out_proj", "ffn.up_proj", "ffn.down_proj")
	c.Drop(".bias")
	c.qwenBPE()
}

func (c *Checkpoint) starcoder() {
	c.class("GPTBigCodeForCausalLM")
	c.Config = map[string]any{"architectures": []string{"GPTBigCodeForCausalLM"}, "n_embd": width, "n_layer": Layers, "n_head": Heads, "n_positions": 256, "vocab_size": Vocab,
		"multi_query": true, "layer_norm_epsilon": 1e-5}
	c.add("transformer.wte.weight", Vocab, width)
	c.add("transformer.wpe.weight", 256, width)
	c.add("transformer.ln_f.weight", width)
	c.add("transformer.ln_f.bias", width)
	c.fusedLayers("transformer.h.{i}.", width+2*width/Heads, "ln_1", "ln_2", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
	c.qwenBPE()
}

// qwen1 has 208 special tokens behind those of its ranks.
func (c *Checkpoint) qwen1() {
	const vocab = 768
	c.class("QWenLMHeadModel")
	c.set("vocab_size", vocab, "intermediate_size", 2*deep, "num_key_value_heads", nil, "rms_norm_eps", nil, "layer_norm_epsilon", 1e-6, "rope_theta", nil, "rotary_emb_base", 10000,
		"seq_length", 256, "bos_token_id", nil, "eos_token_id", nil)
	c.add("transformer.wte.weight", vocab, width)
	c.add("transformer.ln_f.weight", width)
	c.add("lm_head.weight", vocab, width)
	p := "transformer.h.{i}."
	c.each(0, p+"ln_1.weight", width)
	c.each(0, p+"ln_2.weight", width)
	c.each(0, p+"attn.c_attn.weight", 3*width, width)
	c.each(0, p+"attn.c_attn.bias", 3*width)
	c.each(0, p+"attn.c_proj.weight", width, width)
	c.each(0, p+"mlp.w1.weight", deep, width)
	c.each(0, p+"mlp.w2.weight", deep, width)
	c.each(0, p+"mlp.c_proj.weight", width, deep)
	c.ranks("qwen.tiktoken")
	c.json("tokenizer_config.json", map[string]any{"tokenizer_class": "QWenTokenizer", "model_max_length": 256})
}

func (c *Checkpoint) internlm3() {
	c.llamaLike("InternLM3ForCausalLM", 32, false)
	c.set("head_dim", 32, "qkv_bias", true, "rope_scaling", map[string]any{"rope_type": "dynamic", "factor": 6.0})
	c.attentionBiases(32)
	c.sentencePiece()
	token := func(text string) map[string]any { return map[string]any{"content": text, "special": true} }
	c.json("tokenizer_config.json", map[string]any{"add_bos_token": true, "add_eos_token": false, "bos_token": "<s>", "eos_token": "</s>", "add_prefix_space": false,
		"tokenizer_class": "InternLM3Tokenizer", "added_tokens_decoder": map[string]any{fmt.Sprint(Vocab - 1): token("<|im_end|>"), fmt.Sprint(Vocab - 2): token("<|im_start|>")}})
}

func (c *Checkpoint) codeshell() {
	c.Config = map[string]any{"architectures": []string{"CodeShellForCausalLM"}, "n_embd": width, "n_layer": Layers, "n_head": Heads, "n_positions": 256, "vocab_size": Vocab,
		"num_query_groups": KV, "layer_norm_epsilon": 1e-5}
	c.dtype = "BF16"
	c.add("transformer.wte.weight", Vocab, width)
	c.add("lm_head.weight", Vocab, width)
	c.add("transformer.ln_f.weight", width)
	c.add("transformer.ln_f.bias", width)
	c.fusedLayers("transformer.h.{i}.", width+2*KV*width/Heads, "ln_1", "ln_2", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
	c.qwenBPE()
}

func (c *Checkpoint) dbrx() {
	c.Config = map[string]any{"architectures": []string{"DbrxForCausalLM"}, "d_model": width, "n_layers": Layers, "n_heads": Heads, "max_seq_len": 256, "vocab_size": Vocab,
		"attn_config": map[string]any{"clip_qkv": 8, "kv_n_heads": KV, "rope_theta": 500000.0},
		"ffn_config":  map[string]any{"ffn_hidden_size": deep, "moe_num_experts": 4, "moe_top_k": 2}}
	c.dtype = "BF16"
	c.add("transformer.wte.weight", Vocab, width)
	c.add("transformer.norm_f.weight", width)
	c.add("lm_head.weight", Vocab, width)
	p := "transformer.blocks.{i}."
	c.each(0, p+"norm_attn_norm.norm_1.weight", width)
	c.each(0, p+"norm_attn_norm.norm_2.weight", width)
	c.each(0, p+"norm_attn_norm.attn.Wqkv.weight", width+2*KV*width/Heads, width)
	c.each(0, p+"norm_attn_norm.attn.out_proj.weight", width, width)
	c.each(0, p+"ffn.router.layer.weight", 4, width)
	for _, name := range []string{"w1", "v1", "w2"} {
		c.each(0, p+"ffn.experts.mlp."+name, 4*deep, width)
	}
	c.qwenBPE()
}

// hunyuanMoE has 210 special tokens behind those of its ranks.
func (c *Checkpoint) hunyuanMoE() {
	const vocab = 768
	c.class("HunYuanMoEV1ForCausalLM")
	c.set("vocab_size", vocab, "head_dim", 32, "num_experts", 4, "moe_topk", []int{2, 2}, "moe_intermediate_size", []int{deep, deep}, "num_shared_expert", []int{1, 1},
		"tie_word_embeddings", true, "use_qk_norm", true, "bos_token_id", 1, "eos_token_id", 489, "pad_token_id", 490)
	c.add("model.embed_tokens.weight", vocab, width)
	c.add("model.norm.weight", width)
	c.norms()
	c.attention(32)
	c.each(0, "model.layers.{i}.self_attn.query_layernorm.weight", 32)
	c.each(0, "model.layers.{i}.self_attn.key_layernorm.weight", 32)
	c.each(0, "model.layers.{i}.mlp.gate.wg.weight", 4, width)
	c.gated(4, "model.layers.{i}.mlp.experts.{e}.", deep)
	c.gated(0, "model.layers.{i}.mlp.shared_mlp.", deep)
	c.ranks("hy.tiktoken")
	c.json("tokenizer_config.json", map[string]any{"tokenizer_class": "HYTokenizer", "model_max_length": 256})
}
