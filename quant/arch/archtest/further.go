package archtest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Checkpoints of further families of one idea each.

// kimiLinear has attention with a state in its first layer and DeepSeek's in its second.
func (c *Checkpoint) kimiLinear() {
	const head = 32
	c.class("KimiLinearForCausalLM")
	c.set("num_key_value_heads", Heads, "head_dim", width/Heads, "q_lora_rank", nil, "qk_nope_head_dim", 16, "qk_rope_head_dim", 8, "v_head_dim", 32, "kv_lora_rank", 64, "first_k_dense_replace", 1,
		"num_experts", 4, "num_experts_per_token", 2, "num_shared_experts", 1, "moe_intermediate_size", expert, "moe_router_activation_func", "sigmoid",
		"routed_scaling_factor", 2.446, "linear_attn_config", map[string]any{"full_attn_layers": []int{2}, "kda_layers": []int{1}, "head_dim": head, "num_heads": Heads, "short_conv_kernel_size": 4})
	c.outer(false)
	c.norms()
	p := "model.layers.{i}.self_attn."
	for _, x := range []string{"q", "k", "v"} {
		c.layer(0, 0, p+x+"_proj.weight", Heads*head, width)
		c.layer(0, 0, p+x+"_conv1d.weight", Heads*head, 1, 4)
	}
	c.layer(0, 0, p+"f_a_proj.weight", head, width)
	c.layer(0, 0, p+"f_b_proj.weight", Heads*head, head)
	c.layer(0, 0, p+"g_a_proj.weight", head, width)
	c.layer(0, 0, p+"g_b_proj.weight", Heads*head, head)
	c.layer(0, 0, p+"b_proj.weight", Heads, width)
	c.layer(0, 0, p+"A_log", 1, 1, Heads, 1)
	c.layer(0, 0, p+"dt_bias", Heads*head)
	c.layer(0, 0, p+"o_norm.weight", head)
	c.layer(0, 0, p+"o_proj.weight", width, Heads*head)
	c.layer(1, 0, p+"q_proj.weight", Heads*24, width)
	c.layer(1, 0, p+"kv_a_proj_with_mqa.weight", 64+8, width)
	c.layer(1, 0, p+"kv_a_layernorm.weight", 64)
	c.layer(1, 0, p+"kv_b_proj.weight", Heads*(16+32), 64)
	c.layer(1, 0, p+"o_proj.weight", width, Heads*32)
	c.denseFirst()
	f := "model.layers.{i}.block_sparse_moe."
	c.layer(1, 0, f+"gate.weight", 4, width)
	c.layer(1, 0, f+"gate.e_score_correction_bias", 4)
	c.layer(1, 4, f+"experts.{e}.w1.weight", expert, width)
	c.layer(1, 4, f+"experts.{e}.w2.weight", width, expert)
	c.layer(1, 4, f+"experts.{e}.w3.weight", expert, width)
	c.layer(1, 0, f+"shared_experts.gate_proj.weight", expert, width)
	c.layer(1, 0, f+"shared_experts.up_proj.weight", expert, width)
	c.layer(1, 0, f+"shared_experts.down_proj.weight", width, expert)
	base := c.ranks("tiktoken.model")
	c.json("tokenizer_config.json", map[string]any{"bos_token": "[BOS]", "eos_token": "<|im_end|>", "tokenizer_class": "TikTokenTokenizer", "added_tokens_decoder": map[string]any{
		fmt.Sprint(base): map[string]any{"content": "[BOS]", "special": true}, fmt.Sprint(base + 2): map[string]any{"content": "<|im_end|>", "special": true}}})
	c.set("bos_token_id", base, "eos_token_id", base+1)
}

// groveMoE has small experts, each beside two others.
func (c *Checkpoint) groveMoE() {
	c.qwen3moeTrunk()
	c.set("architectures", []string{"GroveMoeForCausalLM"})
	c.gated(4, "model.layers.{i}.mlp.experts.{e}.", expert)
	c.gated(2, "model.layers.{i}.mlp.chunk_experts.{e}.", 32)
	c.each(0, "model.layers.{i}.mlp.expert_bias", 4)
}

func (c *Checkpoint) mellum() {
	c.qwen3moeTrunk()
	c.set("architectures", []string{"MellumForCausalLM"}, "sliding_window", 64, "use_sliding_window", true, "layer_types", []string{"sliding_attention", "full_attention"})
	c.gated(4, "model.layers.{i}.mlp.experts.{e}.", expert)
}

func (c *Checkpoint) lladaMoE() {
	c.class("LLaDAMoEModelLM")
	c.set("num_experts", 4, "num_experts_per_tok", 2, "expert_intermediate_size", expert, "norm_topk_prob", nil)
	c.outer(false)
	c.norms()
	c.attention(width / Heads)
	c.headNorms(width / Heads)
	c.each(0, "model.layers.{i}.mlp.gate.weight", 4, width)
	c.gated(4, "model.layers.{i}.mlp.experts.{e}.", expert)
	c.qwenBPE()
}

func (c *Checkpoint) cohere2MoE() {
	c.cohere("Cohere2MoeForCausalLM", 32)
	for _, t := range c.Tensors {
		if rest, ok := strings.CutPrefix(t.Name, "model.layers.1.mlp."); ok {
			c.Drop("model.layers.1.mlp." + rest)
		}
	}
	c.set("head_dim", 32, "num_experts", 4, "num_experts_per_tok", 2, "intermediate_size", expert, "prefix_dense_intermediate_size", deep, "first_k_dense_replace", 1,
		"num_shared_experts", 1, "norm_topk_prob", true, "sliding_window", 64, "layer_types", []string{"sliding_attention", "full_attention"}, "expert_selection_fn", "sigmoid")
	c.layer(1, 0, "model.layers.{i}.mlp.gate.weight", 4, width)
	c.expertsOnly(1, 1)
}

func (c *Checkpoint) nanbeige() {
	c.llamaLike("NanbeigeForCausalLM", 32, false)
	c.set("head_dim", 32, "num_loops", 2, "skip_loop_final_norm", true)
	c.sentencePiece()
}

func (c *Checkpoint) maincoder() {
	c.llamaLike("MaincoderForCausalLM", 32, true)
	c.set("head_dim", 32)
	c.headNorms(32)
	c.qwenBPE()
}

func (c *Checkpoint) pangu() {
	c.llamaLike("PanguEmbeddedForCausalLM", width/Heads, false)
	c.attentionBiases(width / Heads)
	c.each(0, "model.layers.{i}.self_attn.o_proj.bias", width)
	c.sentencePiece()
}

// graniteSWA has windows in its second layer and positions in its first.
func (c *Checkpoint) graniteSWA() {
	c.llamaLike("GraniteSWAForCausalLM", width/Heads, true)
	c.graniteWindows()
	c.llama3BPE()
}

func (c *Checkpoint) graniteWindows() {
	c.set("attention_multiplier", 0.25, "embedding_multiplier", 12.0, "residual_multiplier", 0.22, "logits_scaling", 8.0, "sliding_window", 64,
		"layer_types", []string{"full_attention", "sliding_attention"}, "no_rope_layers", []int{1, 0})
	c.each(0, "model.layers.{i}.self_attn.sinks", Heads)
}

func (c *Checkpoint) graniteMoESWA() {
	c.class("GraniteMoeSWAForCausalLM")
	c.graniteWindows()
	c.set("num_local_experts", 4, "num_experts_per_tok", 2, "intermediate_size", expert, "shared_intermediate_size", 2*expert, "layer_types", nil)
	c.outer(true)
	c.norms()
	c.attention(width / Heads)
	c.each(0, "model.layers.{i}.block_sparse_moe.router.layer.weight", 4, width)
	c.each(0, "model.layers.{i}.block_sparse_moe.experts.gate_up_proj", 4, 2*expert, width)
	c.each(0, "model.layers.{i}.block_sparse_moe.experts.down_proj", 4, width, expert)
	c.each(0, "model.layers.{i}.shared_mlp.input_linear.weight", 4*expert, width)
	c.each(0, "model.layers.{i}.shared_mlp.output_linear.weight", width, 2*expert)
	c.llama3BPE()
}

// dream keeps its vocabulary in vocab.json and merges.txt.
func (c *Checkpoint) dream() {
	c.llamaLike("DreamModel", width/Heads, false)
	c.attentionBiases(width / Heads)
	c.qwenBPE()
	c.set("mask_token_id", 503)
	c.slow("DreamTokenizer")
}

// slow puts the vocabulary of tokenizer.json into the two files that came before it.
func (c *Checkpoint) slow(class string) {
	var t struct {
		Model struct {
			Vocab  map[string]int
			Merges [][]string
		}
	}
	if err := json.Unmarshal(c.Files["tokenizer.json"], &t); err != nil {
		panic(fmt.Sprintf("archtest: %v", err))
	}
	c.json("vocab.json", t.Model.Vocab)
	merges := "#version: 0.2\n"
	for _, m := range t.Model.Merges {
		merges += m[0] + " " + m[1] + "\n"
	}
	c.Files["merges.txt"] = []byte(merges)
	delete(c.Files, "tokenizer.json")
	c.Files["tokenizer_config.json"] = []byte(strings.Replace(string(c.Files["tokenizer_config.json"]), "Qwen2Tokenizer", class, 1))
}

func (c *Checkpoint) llada() {
	c.Config = map[string]any{"architectures": []string{"LLaDAModelLM"}, "d_model": width, "n_layers": Layers, "n_heads": Heads, "n_kv_heads": Heads, "mlp_hidden_size": deep,
		"vocab_size": Vocab, "max_sequence_length": 256, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "mask_token_id": 503}
	c.dtype = "BF16"
	c.add("model.transformer.wte.weight", Vocab, width)
	c.add("model.transformer.ln_f.weight", width)
	c.add("model.transformer.ff_out.weight", Vocab, width)
	p := "model.transformer.blocks.{i}."
	c.each(0, p+"attn_norm.weight", width)
	c.each(0, p+"ff_norm.weight", width)
	for _, name := range []string{"q_proj", "k_proj", "v_proj", "attn_out"} {
		c.each(0, p+name+".weight", width, width)
	}
	c.each(0, p+"ff_proj.weight", deep, width)
	c.each(0, p+"up_proj.weight", deep, width)
	c.each(0, p+"ff_out.weight", width, deep)
	c.qwenBPE()
}

// apertus has four numbers in each layer, two of them without a dimension.
func (c *Checkpoint) apertus() {
	c.class("ApertusForCausalLM")
	c.set("head_dim", width/Heads, "rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})
	c.outer(false)
	c.attention(width / Heads)
	c.headNorms(width / Heads)
	p := "model.layers.{i}."
	c.each(0, p+"attention_layernorm.weight", width)
	c.each(0, p+"feedforward_layernorm.weight", width)
	c.each(0, p+"mlp.up_proj.weight", deep, width)
	c.each(0, p+"mlp.down_proj.weight", width, deep)
	c.each(0, p+"mlp.act_fn.alpha_p", 1)
	c.each(0, p+"mlp.act_fn.alpha_n", 1)
	c.each(0, p+"mlp.act_fn.beta")
	c.each(0, p+"mlp.act_fn.eps")
	c.tekkenBPE()
}
