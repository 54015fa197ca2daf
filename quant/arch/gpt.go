package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// The older families, each with its own names and with queries, keys and values in one matrix.
var (
	// gpt2 stores its matrices columns first (GPT2Model in conversion/gpt2.py).
	gpt2 = &family{
		name:    "gpt2",
		classes: []string{"GPT2LMHeadModel"},
		rules: rulesOf([]rule{
			{"wte.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"wpe.weight", "position_embd.weight", matrix(value("n_positions", "n_ctx"), hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
		}, biased(needed, []rule{
			{"ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
		}),
			gpt2Matrix("attn.c_attn", "attn_qkv", hidden, times(3, hidden)), gpt2Matrix("attn.c_proj", "attn_output", hidden, hidden),
			gpt2Matrix("mlp.c_fc", "ffn_up", hidden, times(4, hidden)), gpt2Matrix("mlp.c_proj", "ffn_down", times(4, hidden), hidden)),
		rename: func(_ *mapping, name string) string { return strings.TrimPrefix(name, "transformer.") },
		filter: func(_ *mapping, name string) string {
			if hasAnySuffix(name, []string{".attn.bias", ".attn.masked_bias"}) {
				return "a mask, computed"
			}
			return ""
		},
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("block_count", uint32(d.layers))
			set("context_length", uint32(c.count(c.firstOf([]string{"n_ctx", "n_positions"}))))
			set("embedding_length", uint32(d.hidden))
			set("feed_forward_length", uint32(4*d.hidden))
			set("attention.head_count", uint32(d.heads))
			set("attention.layer_norm_epsilon", c.float("layer_norm_epsilon"))
			return nil
		},
	}
	// gptneox is Pythia and its like (GPTNeoXModel in conversion/gptneox.py).
	gptneox = &family{
		name:    "gptneox",
		classes: []string{"GPTNeoXForCausalLM"},
		rules: append([]rule{
			{"gpt_neox.embed_in.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"embed_out.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},
		}, biased(needed, []rule{
			{"gpt_neox.final_layer_norm.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"gpt_neox.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"gpt_neox.layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"gpt_neox.layers.{i}.attention.query_key_value.weight", "blk.{i}.attn_qkv.weight", matrix(times(3, hidden), hidden), needed, grouped(heads, func(d dims) []span {
				return []span{{0, d.headDim}, {d.headDim, d.headDim}, {2 * d.headDim, d.headDim}}
			})},
			{"gpt_neox.layers.{i}.attention.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"gpt_neox.layers.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"gpt_neox.layers.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		})...),
		defaults:  map[string]any{"rotary_pct": 0.25, "use_parallel_residual": true, "layer_norm_eps": 1e-5},
		needsFF:   true,
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("context_length", uint32(c.count("max_position_embeddings")))
			set("embedding_length", uint32(d.hidden))
			set("block_count", uint32(d.layers))
			set("feed_forward_length", uint32(d.ff))
			set("rope.dimension_count", uint32(c.number("rotary_pct")*float64(d.hidden/d.heads)))
			set("attention.head_count", uint32(d.heads))
			set("use_parallel_residual", c.flag("use_parallel_residual"))
			set("attention.layer_norm_epsilon", c.float("layer_norm_eps"))
			return nil
		},
	}
	// falcon groups each key and value with the queries that share it (FalconModel in conversion/falcon.py).
	falcon = &family{
		name:    "falcon",
		classes: []string{"FalconForCausalLM", "RWForCausalLM"},
		rules: rulesOf([]rule{
			{"transformer.word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
			{"transformer.h.{i}.self_attention.query_key_value.weight", "blk.{i}.attn_qkv.weight", matrix(sum(queries, times(2, keys)), hidden), needed, falconQKV},
			{"transformer.h.{i}.self_attention.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"transformer.h.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight", matrix(times(4, hidden), hidden), needed, nil},
			{"transformer.h.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight", matrix(hidden, times(4, hidden)), needed, nil},
		}, biased(needed, []rule{
			{"transformer.ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		}), biased(optional, []rule{ // instead, in Falcon 40B
			{"transformer.h.{i}.ln_mlp.weight", "blk.{i}.attn_norm.weight", vector(hidden), optional, nil},
			{"transformer.h.{i}.ln_attn.weight", "blk.{i}.attn_norm_2.weight", vector(hidden), optional, nil},
		})),
		prepare: func(c *config) { // transformers states a key for each head where all share one
			name := c.firstOf([]string{"num_kv_heads", "n_head_kv"})
			c.doc["num_key_value_heads"] = c.doc[name]
			if !c.has(name) || c.flag("multi_query") && !c.flag("new_decoder_architecture") {
				c.doc["num_key_value_heads"] = 1.0
			}
		},
		tokenizer: bpeOnly,
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			d := m.dims
			set("context_length", uint32(2048))
			set("tensor_data_layout", "jploski")
			set("embedding_length", uint32(d.hidden))
			set("feed_forward_length", uint32(4*d.hidden))
			set("block_count", uint32(d.layers))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(d.kvHeads))
			set("attention.layer_norm_epsilon", m.config.float("layer_norm_epsilon"))
			return nil
		},
	}
	// baichuan is Llama with one matrix for queries, keys and values (BaichuanModel in conversion/baichuan.py, whose
	// modify_tensors in 0.5.0 calls itself without end where it means its base class).
	baichuan = &family{
		name:    "baichuan",
		classes: []string{"BaichuanForCausalLM", "BaiChuanForCausalLM"},
		rules: rulesOf(outer(), norms(nil), mlp("{i}"), []rule{
			{"model.layers.{i}.self_attn.W_pack.weight", "blk.{i}.attn_q.weight", matrix(times(3, hidden), hidden), needed, packed(0, true)},
			{"model.layers.{i}.self_attn.W_pack.weight", "blk.{i}.attn_k.weight", matrix(times(3, hidden), hidden), needed, packed(1, true)},
			{"model.layers.{i}.self_attn.W_pack.weight", "blk.{i}.attn_v.weight", matrix(times(3, hidden), hidden), needed, packed(2, false)},
			{"model.layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
		}),
		needsFF:   true,
		needsRMS:  true,
		kvUnknown: true,
		noTheta:   true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly},
		params: func(m *mapping, set func(string, any)) error {
			set("tensor_data_layout", "Meta AI original pth")
			set("rope.dimension_count", uint32(m.dims.hidden/m.dims.heads))
			return nil
		},
	}
	// internlm2 groups like Falcon, and its queries and keys are permuted like Llama's (InternLM2Model in
	// conversion/internlm.py).
	internlm2 = &family{
		name:    "internlm2",
		classes: []string{"InternLM2ForCausalLM"},
		rules: []rule{
			{"model.tok_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"model.norm.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"output.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},
			{"model.layers.{i}.attention_norm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.ffn_norm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.attention.wqkv.weight", "blk.{i}.attn_q.weight", matrix(sum(queries, times(2, keys)), hidden), needed, internQ},
			{"model.layers.{i}.attention.wqkv.weight", "blk.{i}.attn_k.weight", matrix(sum(queries, times(2, keys)), hidden), needed, internK},
			{"model.layers.{i}.attention.wqkv.weight", "blk.{i}.attn_v.weight", matrix(sum(queries, times(2, keys)), hidden), needed, grouped(kvHeads, func(d dims) []span {
				return []span{{(d.heads/d.kvHeads + 1) * d.headDim, d.headDim}}
			})},
			{"model.layers.{i}.attention.wo.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
			{"model.layers.{i}.feed_forward.w1.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
			{"model.layers.{i}.feed_forward.w2.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
			{"model.layers.{i}.feed_forward.w3.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		},
		needsFF:   true,
		needsRMS:  true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly, InternLM: true},
	}
	// nemotron is NVIDIA's Minitron and Nemotron 4: LayerNorms stored less one (NemotronModel in conversion/nemotron.py).
	nemotron = &family{
		name:    "nemotron",
		classes: []string{"NemotronForCausalLM"},
		rules: rulesOf(outer()[:1], outer()[2:], attention("{i}", nil, nil), []rule{
			{"model.norm.weight", "output_norm.weight", vector(hidden), needed, plusOne},
			{"model.norm.bias", "output_norm.bias", vector(hidden), needed, nil},
		}, norms(plusOne), []rule{
			{"model.layers.{i}.input_layernorm.bias", "blk.{i}.attn_norm.bias", vector(hidden), needed, nil},
			{"model.layers.{i}.post_attention_layernorm.bias", "blk.{i}.ffn_norm.bias", vector(hidden), needed, nil},
			{"model.layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		}),
		defaults:     map[string]any{"partial_rotary_factor": 0.5, "norm_eps": 1e-5},
		needsFF:      true,
		knowsHeadDim: true,
		tokenizer:    tokenizer.Options{Kind: tokenizer.SentencePieceOnly, IDs: []tokenizer.SpecialToken{{Kind: "pad", ID: 0}, {Kind: "unk", ID: 1}}},
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			set("vocab_size", uint32(m.dims.vocab))
			set("attention.layer_norm_epsilon", c.float(c.firstOf(append(normKeys, "norm_eps"))))
			set("rope.dimension_count", uint32(m.partialHead()))
			factor := c.number("factor")
			if factor == 0 {
				factor = m.rope.params.number("factor")
			}
			if factor == 0 {
				set("rope.scaling.type", "none")
				return nil
			}
			set("rope.scaling.type", "linear")
			set("rope.scaling.factor", float32(factor))
			return nil
		},
	}
)

// gpt2Matrix is a matrix that is stored columns first, with its bias.
func gpt2Matrix(from, to string, in, out size) []rule {
	return []rule{
		{"h.{i}." + from + ".weight", "blk.{i}." + to + ".weight", matrix(in, out), needed, transposed},
		{"h.{i}." + from + ".bias", "blk.{i}." + to + ".bias", vector(out), needed, nil},
	}
}

// falconQKV takes the queries of all groups, then their keys, then their values.
func falconQKV(d dims, shape []int64) reading {
	q := d.heads / d.kvHeads * d.headDim
	return grouped(kvHeads, func(dims) []span { return []span{{0, q}, {q, d.headDim}, {q + d.headDim, d.headDim}} })(d, shape)
}

// packed is one third of the rows, permuted as Llama's heads are or as they stand.
func packed(third int64, permuted bool) change {
	return func(d dims, shape []int64) reading {
		n := shape[0] / 3
		out := []int64{n, shape[1]}
		if !permuted {
			return rows(func(dims) []span { return []span{{third * n, n}} })(d, shape)
		}
		r := permuteQ(d, out)
		r.views[0].First = third * n * shape[1]
		return r
	}
}

// internQ and internK permute the heads within the groups of a fused matrix.
func internQ(d dims, shape []int64) reading { return internHeads(d, shape, 0, d.heads/d.kvHeads) }
func internK(d dims, shape []int64) reading { return internHeads(d, shape, d.heads/d.kvHeads, 1) }

func internHeads(d dims, shape []int64, first, n int64) reading {
	w, group := shape[1], d.heads/d.kvHeads+2
	head, half := d.headDim*w, d.headDim/2
	return reading{shape: []int64{d.kvHeads * n * d.headDim, w}, views: []View{{First: first * head,
		Rows: []Dim{{d.kvHeads, group * head}, {n, head}, {half, w}, {2, half * w}}, Cols: []Dim{{w, 1}}}}}
}
