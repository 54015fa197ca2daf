package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// The Gemma models store their norms less one (conversion/gemma.py). The head is the embedding; some tools store it
// once more.
var (
	gemma = &family{
		name:      "gemma",
		classes:   []string{"GemmaForCausalLM"},
		rules:     rulesOf(gemmaOuter(), norms(plusOne), attention("{i}", nil, nil), mlp("{i}")),
		filter:    dropHead,
		defaults:  map[string]any{"head_dim": 256.0},
		needsFF:   true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly, NoSpacePrefix: true, EOT: 107},
		ownParams: true,
		params:    gemmaParams,
	}
	gemma2 = &family{
		name:      "gemma2",
		classes:   []string{"Gemma2ForCausalLM"},
		rules:     rulesOf(gemmaOuter(), sandwich(plusOne), attention("{i}", nil, nil), mlp("{i}")),
		filter:    dropHead,
		defaults:  map[string]any{"head_dim": 256.0, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 4096.0},
		needsFF:   true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly, NoSpacePrefix: true},
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			if err := gemmaParams(m, set); err != nil {
				return err
			}
			set("attn_logit_softcapping", m.config.float("attn_logit_softcapping"))
			set("final_logit_softcapping", m.config.float("final_logit_softcapping"))
			set("attention.sliding_window", uint32(m.config.integer("sliding_window")))
			return nil
		},
	}
	gemma3 = &family{
		name:    "gemma3",
		classes: []string{"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"},
		note:    textPart,
		rules: rulesOf(gemmaOuter(), []rule{{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil}},
			sandwich(plusOne), attention("{i}", nil, nil), headNorms("{i}", plusOne), mlp("{i}")),
		defaults: map[string]any{
			"vocab_size": 262208.0, "hidden_size": 2304.0, "intermediate_size": 9216.0, "num_hidden_layers": 26.0, "num_attention_heads": 8.0,
			"num_key_value_heads": 4.0, "head_dim": 256.0, "max_position_embeddings": 131072.0, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
			"rope_local_base_freq": 10000.0, "sliding_window": 4096.0,
		},
		tokenizer: tokenizer.Options{NoSpacePrefix: true},
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			if c.has("attn_logit_softcapping") {
				c.fail("attn_logit_softcapping: Gemma 3 has none")
			}
			if cap := c.number("final_logit_softcapping"); cap != 0 {
				set("final_logit_softcapping", float32(cap))
			}
			if c.number("sliding_window_pattern") != 1 {
				set("attention.sliding_window", uint32(c.integer("sliding_window")))
			}
			return nil
		},
	}
	// embeddinggemma makes embeddings with Gemma 3's layers (EmbeddingGemma in conversion/gemma.py).
	embeddinggemma = &family{
		name:      "gemma-embedding",
		classes:   []string{"Gemma3TextModel"},
		note:      "embeddings; dense layers behind the model are left out, as llama.cpp does by default",
		rules:     gemma3.rules,
		defaults:  gemma3.defaults,
		tokenizer: gemma3.tokenizer,
		params: func(m *mapping, set func(string, any)) error {
			if err := gemma3.params(m, set); err != nil {
				return err
			}
			set("attention.sliding_window", uint32(m.config.integer("sliding_window")))
			if err := m.warnOfDense(); err != nil {
				return err
			}
			return pooling(m, set)
		},
	}
)

// gemmaOuter are the embedding, which is the head too, and the last norm.
func gemmaOuter() []rule {
	return []rule{
		{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"model.norm.weight", "output_norm.weight", vector(hidden), needed, plusOne},
	}
}

// sandwich are norms before and after attention and before and after the feed-forward network.
func sandwich(c change) []rule {
	return []rule{
		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, c},
		{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, c},
		{"model.layers.{i}.pre_feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, c},
		{"model.layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight", vector(hidden), needed, c},
	}
}

func dropHead(_ *mapping, name string) string {
	if name == "lm_head.weight" {
		return "the embedding once more"
	}
	return ""
}

func gemmaParams(m *mapping, set func(string, any)) error {
	d := m.dims
	set("context_length", uint32(m.config.count("max_position_embeddings")))
	set("embedding_length", uint32(d.hidden))
	set("block_count", uint32(d.layers))
	set("feed_forward_length", uint32(d.ff))
	set("attention.head_count", uint32(d.heads))
	set("attention.head_count_kv", uint32(d.kvHeads))
	set("attention.layer_norm_rms_epsilon", m.config.float("rms_norm_eps"))
	set("attention.key_length", uint32(d.headDim))
	set("attention.value_length", uint32(d.headDim))
	return nil
}
