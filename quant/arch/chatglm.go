package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// GLM 4 of 2024, as it was published first and in transformers' own names (ChatGLMModel in conversion/chatglm.py). ChatGLM 3
// and what has its tokenizer.model alone needs code of the model's, which isn't run.
var (
	chatglm = &family{
		name:    "chatglm",
		classes: []string{"ChatGLMModel", "ChatGLMForConditionalGeneration"},
		note:    "only with tokenizer.json",
		rules: []rule{
			{"embedding.word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"output_layer.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},
			{"encoder.final_layernorm.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"encoder.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"encoder.layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"encoder.layers.{i}.self_attention.query_key_value.weight", "blk.{i}.attn_qkv.weight", matrix(sum(queries, times(2, keys)), hidden), needed, nil},
			{"encoder.layers.{i}.self_attention.query_key_value.bias", "blk.{i}.attn_qkv.bias", vector(sum(queries, times(2, keys))), optional, nil},
			{"encoder.layers.{i}.self_attention.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
			{"encoder.layers.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), needed, nil},
			{"encoder.layers.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		},
		rename: func(_ *mapping, name string) string { return strings.TrimPrefix(name, "transformer.") },
		filter: func(_ *mapping, name string) string {
			if strings.HasSuffix(name, ".rotary_pos_emb.inv_freq") {
				return "computed, not needed"
			}
			return ""
		},
		prepare: func(c *config) {
			for _, k := range [][2]string{{"vocab_size", "padded_vocab_size"}, {"intermediate_size", "ffn_hidden_size"}, {"num_key_value_heads", "multi_query_group_num"}, {"head_dim", "kv_channels"}} {
				if c.has(k[1]) {
					c.doc[k[0]] = c.doc[k[1]]
				}
			}
		},
		tokenizer: chatTokens,
		ownParams: true,
		params:    chatParams,
	}
	glmhf = &family{
		name:    "chatglm",
		classes: []string{"GlmForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), attentionBiases("{i}", optional, nil, nil), []rule{
			{"model.layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), needed, nil},
			{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		}),
		defaults:  map[string]any{"head_dim": 128.0},
		needsFF:   true,
		tokenizer: chatTokens,
		ownParams: true,
		params:    chatParams,
	}
)

var chatTokens = tokenizer.Options{Kind: tokenizer.BPEOnly, Special: []tokenizer.Role{
	{Kind: "eos", Text: "<|endoftext|>"}, {Kind: "eot", Text: "<|user|>"}, {Kind: "unk", Text: "<|endoftext|>"}}}

// chatParams writes what the converter does for both, though the second states some of it under other keys.
func chatParams(m *mapping, set func(string, any)) error {
	c, d := m.config, m.dims
	set("context_length", uint32(c.countOr("seq_length", d.hidden)))
	set("embedding_length", uint32(d.hidden))
	set("feed_forward_length", uint32(d.ff))
	set("block_count", uint32(d.layers))
	set("attention.head_count", uint32(d.heads))
	set("attention.head_count_kv", uint32(d.kvHeads))
	epsilon := 1e-5
	if c.has("layernorm_epsilon") {
		epsilon = c.number("layernorm_epsilon")
	}
	set("attention.layer_norm_rms_epsilon", float32(epsilon))
	turned := d.hidden / max(1, d.heads)
	if c.has("attention_dim") {
		turned = c.count("attention_dim")
	}
	set("rope.dimension_count", uint32(float64(turned)*m.rope.shareOr(0.5)))
	m.model.Metadata.Set("tokenizer.ggml.add_bos_token", false)
	base := 10000.0
	if c.has("rope_ratio") {
		base *= c.number("rope_ratio")
	}
	set("rope.freq_base", float32(base))
	return nil
}
