package archtest

import (
	"fmt"
	"strings"
)

// Gemma's later checkpoints. libllama expects 256 values of Gemma 3n's embeddings for each layer and a bypass of rank 64.

func (c *Checkpoint) gemma3n() {
	c.class("Gemma3nForConditionalGeneration")
	c.set("head_dim", 32, "sliding_window", 64, "rope_theta", 1e6, "rope_local_base_freq", 10000.0, "final_logit_softcapping", 30.0,
		"hidden_size_per_layer_input", 256, "vocab_size_per_layer_input", Vocab-12, "altup_num_inputs", 4, "altup_active_idx", 0,
		"laurel_rank", 64, "num_kv_shared_layers", 0, "intermediate_size", []int{deep, deep}, "activation_sparsity_pattern", []float64{0.95, 0},
		"layer_types", []string{"sliding_attention", "full_attention"})
	c.outer(true)
	c.perLayerInputs(Vocab-12, 256)
	for i := range 3 {
		c.add(fmt.Sprintf("model.altup_projections.%d.weight", i), width, width)
		c.add(fmt.Sprintf("model.altup_unembed_projections.%d.weight", i), width, width)
	}
	p := "model.layers.{i}."
	c.each(0, p+"altup.correct_output_scale", width)
	c.each(0, p+"altup.correction_coefs.weight", 4, 4)
	c.each(0, p+"altup.prediction_coefs.weight", 16, 4)
	c.each(0, p+"altup.modality_router.weight", 4, width)
	c.each(0, p+"altup.router_norm.weight", width)
	c.each(0, p+"laurel.linear_left.weight", 64, width)
	c.each(0, p+"laurel.linear_right.weight", width, 64)
	c.each(0, p+"laurel.post_laurel_norm.weight", width)
	c.sandwich()
	c.attention(32)
	c.headNorms(32)
	c.mlp()
	c.seeing("Gemma3nForConditionalGeneration")
	c.add("model.embed_vision.embedding.weight", 8, 8)
	c.add("model.audio_tower.conformer.0.attention.attn.k_proj.weight", 8, 8)
	c.sentencePiece()
}

// perLayerInputs makes embeddings for each layer, n wide.
func (c *Checkpoint) perLayerInputs(rows, n int64) {
	c.add("model.embed_tokens_per_layer.weight", rows, Layers*n)
	c.add("model.per_layer_model_projection.weight", Layers*n, width)
	c.add("model.per_layer_projection_norm.weight", n)
	c.each(0, "model.layers.{i}.per_layer_input_gate.weight", n, width)
	c.each(0, "model.layers.{i}.per_layer_projection.weight", width, n)
	c.each(0, "model.layers.{i}.post_per_layer_input_norm.weight", width)
}

// seeing nests the config and the names as transformers 5 does for models that also see.
func (c *Checkpoint) seeing(class string) {
	c.nest(class)
	for i, t := range c.Tensors {
		if rest, ok := strings.CutPrefix(t.Name, "model."); ok {
			c.Tensors[i].Name = "model.language_model." + rest
		}
	}
}

// gemma4Trunk makes attention with a window in the first layer and over all in the second, whose heads are larger.
func (c *Checkpoint) gemma4Trunk(layers ...string) {
	c.class("Gemma4ForConditionalGeneration")
	c.set("head_dim", 32, "global_head_dim", 64, "sliding_window", 64, "final_logit_softcapping", 30.0, "moe_intermediate_size", nil, "rope_theta", nil,
		"layer_types", layers, "rope_parameters", map[string]any{
			"full_attention":    map[string]any{"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
			"sliding_attention": map[string]any{"rope_type": "default", "rope_theta": 10000.0}})
	c.outer(true)
	c.sandwich()
	for _, name := range []string{"layer_scalar"} {
		c.each(0, "model.layers.{i}."+name, 1)
	}
}

// attentionOf makes the attention of one layer with norms on its heads.
func (c *Checkpoint) attentionOf(layer int, head, kv int64) {
	p := "model.layers.{i}.self_attn."
	c.layer(layer, 0, p+"q_proj.weight", Heads*head, width)
	c.layer(layer, 0, p+"o_proj.weight", width, Heads*head)
	c.layer(layer, 0, p+"q_norm.weight", head)
	if kv > 0 {
		c.layer(layer, 0, p+"k_proj.weight", kv*head, width)
		c.layer(layer, 0, p+"v_proj.weight", kv*head, width)
		c.layer(layer, 0, p+"k_norm.weight", head)
	}
}

// gemma4 has embeddings for each layer; the second half of its layers share the keys of the first and are twice as wide.
func (c *Checkpoint) gemma4() {
	c.gemma4Trunk("sliding_attention", "full_attention", "sliding_attention", "full_attention")
	c.set("num_kv_shared_layers", 2, "use_double_wide_mlp", true, "hidden_size_per_layer_input", 32, "vocab_size_per_layer_input", Vocab,
		"num_experts", nil, "num_global_key_value_heads", nil, "moe_intermediate_size", nil)
	c.Config["moe_intermediate_size"] = nil
	c.deeper(4)
	c.add("model.embed_tokens_per_layer.weight", Vocab, 4*32)
	c.add("model.per_layer_model_projection.weight", 4*32, width)
	c.add("model.per_layer_projection_norm.weight", 32)
	for layer := range 4 {
		p := "model.layers.{i}."
		c.layer(layer, 0, p+"per_layer_input_gate.weight", 32, width)
		c.layer(layer, 0, p+"per_layer_projection.weight", width, 32)
		c.layer(layer, 0, p+"post_per_layer_input_norm.weight", width)
		wide, kv := int64(deep), int64(KV)
		if layer >= 2 {
			wide, kv = 2*deep, 0
		}
		c.attentionOf(layer, []int64{32, 64}[layer%2], kv)
		c.layer(layer, 0, p+"mlp.gate_proj.weight", wide, width)
		c.layer(layer, 0, p+"mlp.up_proj.weight", wide, width)
		c.layer(layer, 0, p+"mlp.down_proj.weight", width, wide)
	}
	c.seeing("Gemma4ForConditionalGeneration")
	c.gemma4BPE()
}

// deeper repeats the tensors of the first two layers for those up to n.
func (c *Checkpoint) deeper(n int) {
	c.set("num_hidden_layers", n)
	for _, t := range c.Tensors {
		for layer := Layers; layer < n; layer++ {
			if from := fmt.Sprintf("model.layers.%d.", layer%Layers); strings.HasPrefix(t.Name, from) {
				c.add(strings.Replace(t.Name, from, fmt.Sprintf("model.layers.%d.", layer), 1), t.Shape...)
			}
		}
	}
}

// gemma4MoE has experts beside the feed-forward network, and where it sees all one head of keys, which are the values too.
func (c *Checkpoint) gemma4MoE() {
	c.gemma4Trunk("sliding_attention", "full_attention")
	c.set("num_kv_shared_layers", 0, "use_double_wide_mlp", false, "hidden_size_per_layer_input", 0, "num_experts", 4, "top_k_experts", 2,
		"moe_intermediate_size", expert, "num_global_key_value_heads", 1, "attention_k_eq_v", true, "enable_moe_block", true)
	c.attentionOf(0, 32, KV)
	c.attentionOf(1, 64, 1)
	c.Drop("layers.1.self_attn.v_proj.weight")
	c.mlp()
	p := "model.layers.{i}."
	c.each(0, p+"router.proj.weight", 4, width)
	c.each(0, p+"router.scale", width)
	c.each(0, p+"router.per_expert_scale", 4)
	c.each(0, p+"experts.gate_up_proj", 4, 2*expert, width)
	c.each(0, p+"experts.down_proj", 4, width, expert)
	for _, norm := range []string{"pre_feedforward_layernorm_2", "post_feedforward_layernorm_1", "post_feedforward_layernorm_2"} {
		c.each(0, p+norm+".weight", width)
	}
	c.seeing("Gemma4ForConditionalGeneration")
	c.gemma4BPE()
}

// gemma4BPE is a tokenizer.json with SentencePiece's pieces and merges.
func (c *Checkpoint) gemma4BPE() {
	c.piecesJSON([]string{"<pad>", "<eos>", "<bos>", "<unk>", "<|tool_call>", "<tool_call|>", "<turn|>"})
	c.json("tokenizer_config.json", map[string]any{"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
		"tokenizer_class": "GemmaTokenizer", "extra_special_tokens": []string{"<turn|>"}})
	c.set("bos_token_id", 2, "eos_token_id", 1)
	if text, ok := c.Config["text_config"].(map[string]any); ok {
		text["bos_token_id"], text["eos_token_id"] = 2, 1
	}
}

// piecesJSON writes a tokenizer.json whose pieces are SentencePiece's: the special tokens first, bytes, letters, merges.
func (c *Checkpoint) piecesJSON(special []string) {
	vocab := map[string]int{}
	add := func(s string) {
		if _, ok := vocab[s]; !ok {
			vocab[s] = len(vocab)
		}
	}
	var tokens []added
	for i, s := range special {
		add(s)
		tokens = append(tokens, added{ID: i, Content: s, Special: true})
	}
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b))
	}
	for _, r := range "▁" + strings.ReplaceAll(strings.ReplaceAll(corpus, "\n", ""), " ", "") {
		add(string(r))
	}
	var merges [][]string
	for _, m := range learn(180, "▁") {
		add(m[0] + m[1])
		merges = append(merges, []string{m[0], m[1]})
	}
	for i := len(vocab); i < Vocab; i++ {
		add(fmt.Sprintf("<unused%d>", i))
	}
	c.json("tokenizer.json", map[string]any{
		"version": "1.0", "added_tokens": tokens,
		"normalizer":    map[string]any{"type": "Replace", "pattern": map[string]string{"String": " "}, "content": "▁"},
		"pre_tokenizer": map[string]any{"type": "Split", "pattern": map[string]string{"String": " "}, "behavior": "MergedWithPrevious", "invert": false},
		"decoder": map[string]any{"type": "Sequence", "decoders": []any{map[string]any{"type": "Replace", "pattern": map[string]string{"String": "▁"}, "content": " "},
			map[string]any{"type": "ByteFallback"}, map[string]any{"type": "Fuse"}}},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": "<unk>", "byte_fallback": true, "ignore_merges": false, "vocab": vocab, "merges": merges},
	})
}

// embeddingGemma makes one vector of a text; its names have no prefix. libllama can't run it without a layer that looks beyond
// the window.
func (c *Checkpoint) embeddingGemma() {
	c.gemma3()
	c.set("architectures", []string{"Gemma3TextModel"}, "rope_scaling", nil, "_sliding_window_pattern", 6, "sliding_window_pattern", nil, "use_bidirectional_attention", true)
	for i := range c.Tensors {
		c.Tensors[i].Name = strings.TrimPrefix(c.Tensors[i].Name, "model.")
	}
	c.json("modules.json", []map[string]string{
		{"path": "", "type": "sentence_transformers.models.Transformer"},
		{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
		{"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
	})
	c.json("1_Pooling/config.json", map[string]any{"pooling_mode_mean_tokens": true})
}
