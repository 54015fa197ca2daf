package arch

import (
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Older families with queries, keys and values in one matrix, in the order that llama.cpp wants or nearly.
var (
	// bloom turns nothing with the position (BloomModel in conversion/bloom.py). Some of its checkpoints leave out the prefix
	// of names.
	bloom = &family{
		name:    "bloom",
		classes: []string{"BloomForCausalLM", "BloomModel"},
		rules: rulesOf([]rule{
			{"word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
		}, biased(needed, []rule{
			{"word_embeddings_layernorm.weight", "token_embd_norm.weight", vector(hidden), needed, nil},
			{"ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"h.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"h.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"h.{i}.self_attention.query_key_value.weight", "blk.{i}.attn_qkv.weight", matrix(times(3, hidden), hidden), needed, grouped(heads, func(d dims) []span {
				return []span{{0, d.headDim}, {d.headDim, d.headDim}, {2 * d.headDim, d.headDim}}
			})},
			{"h.{i}.self_attention.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"h.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight", matrix(times(4, hidden), hidden), needed, nil},
			{"h.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight", matrix(hidden, times(4, hidden)), needed, nil},
		})),
		rename:    func(_ *mapping, name string) string { return strings.TrimPrefix(name, "transformer.") },
		prepare:   func(c *config) { c.or("hidden_size", c.doc["n_embed"]) },
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("context_length", uint32(c.countOr("seq_length", d.hidden)))
			set("embedding_length", uint32(d.hidden))
			set("feed_forward_length", uint32(4*d.hidden))
			set("block_count", uint32(d.layers))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(d.heads))
			set("attention.layer_norm_epsilon", c.float("layer_norm_epsilon"))
			return nil
		},
	}
	// mpt is MosaicML's, without biases (MPTModel in conversion/mpt.py).
	mpt = &family{
		name:    "mpt",
		classes: []string{"MPTForCausalLM"},
		rules: biased(optional, []rule{
			{"transformer.wte.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
			{"transformer.norm_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"transformer.blocks.{i}.norm_1.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"transformer.blocks.{i}.norm_2.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"transformer.blocks.{i}.attn.Wqkv.weight", "blk.{i}.attn_qkv.weight", matrix(sum(hidden, times(2, keys)), hidden), needed, nil},
			{"transformer.blocks.{i}.attn.out_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"transformer.blocks.{i}.ffn.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(times(4, hidden), hidden), needed, nil},
			{"transformer.blocks.{i}.ffn.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, times(4, hidden)), needed, nil},
		}),
		prepare: func(c *config) {
			c.doc["hidden_size"] = c.doc["d_model"]
			if kv := c.object("attn_config").doc["kv_n_heads"]; kv != nil {
				c.doc["num_key_value_heads"] = kv
			}
		},
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("context_length", uint32(c.count("max_seq_len")))
			set("embedding_length", uint32(d.hidden))
			set("block_count", uint32(d.layers))
			set("feed_forward_length", uint32(4*d.hidden))
			set("attention.head_count", uint32(d.heads))
			attn := c.object("attn_config")
			if attn.has("kv_n_heads") {
				set("attention.head_count_kv", uint32(d.kvHeads))
			}
			set("attention.layer_norm_epsilon", float32(1e-5))
			if attn.has("clip_qkv") {
				set("attention.clamp_kqv", attn.float("clip_qkv"))
			}
			slope := float32(0)
			if attn.flag("alibi") {
				slope = attn.float("alibi_bias_max")
			}
			set("attention.max_alibi_bias", slope)
			return nil
		},
	}
	// starcoder has one key and one value for all heads (StarCoderModel in conversion/starcoder.py).
	starcoder = &family{
		name:    "starcoder",
		classes: []string{"GPTBigCodeForCausalLM"},
		rules: rulesOf([]rule{
			{"transformer.wte.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"transformer.wpe.weight", "position_embd.weight", matrix(value("n_positions"), hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
		}, biased(needed, []rule{
			{"transformer.ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.attn.c_attn.weight", "blk.{i}.attn_qkv.weight", matrix(sum(hidden, times(2, headDim)), hidden), needed, nil},
			{"transformer.h.{i}.attn.c_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight", matrix(times(4, hidden), hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, times(4, hidden)), needed, nil},
		})),
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("context_length", uint32(c.count("n_positions")))
			set("embedding_length", uint32(d.hidden))
			set("feed_forward_length", uint32(4*d.hidden))
			set("block_count", uint32(d.layers))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(1))
			set("attention.layer_norm_epsilon", c.float("layer_norm_epsilon"))
			return nil
		},
	}
	// codeshell has keys and values for groups of heads (CodeShellModel in conversion/codeshell.py).
	codeshell = &family{
		name:    "codeshell",
		classes: []string{"CodeShellForCausalLM"},
		rules: rulesOf([]rule{
			{"transformer.wte.weight", "token_embd.weight", matrix(vocab, hidden), optional, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), needed, nil},
		}, biased(needed, []rule{
			{"transformer.ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.attn.c_attn.weight", "blk.{i}.attn_qkv.weight", matrix(sum(hidden, times(2, keys)), hidden), needed, nil},
			{"transformer.h.{i}.attn.c_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight", matrix(times(4, hidden), hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, times(4, hidden)), needed, nil},
		})),
		prepare:   func(c *config) { c.doc["num_key_value_heads"] = c.doc["num_query_groups"] },
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("context_length", uint32(c.count("n_positions")))
			set("embedding_length", uint32(d.hidden))
			set("feed_forward_length", uint32(4*d.hidden))
			set("block_count", uint32(d.layers))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(d.kvHeads))
			set("attention.layer_norm_epsilon", c.float("layer_norm_epsilon"))
			set("rope.freq_base", float32(10000))
			set("rope.scaling.type", "linear")
			set("rope.scaling.factor", float32(1))
			return nil
		},
	}
	// qwen is the first Qwen, whose vocabulary is a list of ranks (QwenModel in conversion/qwen.py). What intermediate_size
	// says is twice the width.
	qwen = &family{
		name:    "qwen",
		classes: []string{"QWenLMHeadModel"},
		rules: []rule{
			{"transformer.wte.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"transformer.ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), needed, nil},
			{"transformer.h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.attn.c_attn.weight", "blk.{i}.attn_qkv.weight", matrix(times(3, queries), hidden), needed, nil},
			{"transformer.h.{i}.attn.c_attn.bias", "blk.{i}.attn_qkv.bias", vector(times(3, queries)), needed, nil},
			{"transformer.h.{i}.attn.c_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
			{"transformer.h.{i}.mlp.w1.weight", "blk.{i}.ffn_up.weight", matrix(halfFF, hidden), needed, nil},
			{"transformer.h.{i}.mlp.w2.weight", "blk.{i}.ffn_gate.weight", matrix(halfFF, hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, halfFF), needed, nil},
		},
		needsFF:   true,
		kvUnknown: true,
		tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, Tiktoken: &tokenizer.Tiktoken{File: "qwen.tiktoken", Pre: "qwen2", FirstEnds: true, Special: qwenSpecials()}},
		params: func(m *mapping, _ func(string, any)) error {
			m.epsilonTwice()
			return nil
		},
	}
)

func halfFF(d dims) int64 { return d.ff / 2 }

// qwenSpecials are the special tokens of the first Qwen (tokenization_qwen.py of its checkpoints).
func qwenSpecials() []string {
	return withExtras("<|endoftext|>", "<|im_start|>", "<|im_end|>")
}

// withExtras puts the 205 tokens for later use behind those that have one already.
func withExtras(list ...string) []string {
	for i := range 205 {
		list = append(list, "<|extra_"+strconv.Itoa(i)+"|>")
	}
	return list
}
