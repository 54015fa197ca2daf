package arch

import (
	"math"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// The MiniCPM models of OpenBMB (conversion/minicpm.py).
var (
	// minicpm is Llama with multipliers, and factors for long contexts in MiniCPM 4.
	minicpm = &family{
		name:      "minicpm",
		classes:   []string{"MiniCPMForCausalLM"},
		rules:     rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), mlp("{i}")),
		needsFF:   true,
		needsRMS:  true,
		made:      func(m *mapping) []Tensor { return m.longFactors(m.dims.hidden / m.dims.heads / 2) },
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly},
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("embedding_scale", c.float("scale_emb"))
			c.require("scale_depth")
			set("residual_scale", float32(c.number("scale_depth")/math.Sqrt(float64(d.layers))))
			set("logit_scale", float32(float64(d.hidden)/float64(max(1, c.count("dim_model_base")))))
			return nil
		},
	}
	// minicpm3 squeezes keys and values into a latent, which is unpacked again.
	minicpm3 = &family{
		name:    "minicpm3",
		classes: []string{"MiniCPM3ForCausalLM"},
		rules: rulesOf(outer(), norms(nil), []rule{
			{"model.layers.{i}.self_attn.q_a_proj.weight", "blk.{i}.attn_q_a.weight", matrix(queryRank, hidden), needed, nil},
			{"model.layers.{i}.self_attn.q_a_layernorm.weight", "blk.{i}.attn_q_a_norm.weight", vector(queryRank), needed, nil},
			{"model.layers.{i}.self_attn.q_b_proj.weight", "blk.{i}.attn_q_b.weight", matrix(mlaQueries, queryRank), needed, nil},
			{"model.layers.{i}.self_attn.kv_a_proj_with_mqa.weight", "blk.{i}.attn_kv_a_mqa.weight", matrix(sum(latent, turnedPart), hidden), needed, nil},
			{"model.layers.{i}.self_attn.kv_a_layernorm.weight", "blk.{i}.attn_kv_a_norm.weight", vector(latent), needed, nil},
			{"model.layers.{i}.self_attn.kv_b_proj.weight", "blk.{i}.attn_kv_b.weight", matrix(product(heads, sum(plainPart, valuePart)), latent), needed, nil},
			{"model.layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, product(heads, valuePart)), needed, nil},
		}, mlp("{i}")),
		prepare: func(c *config) { // as the configuration class does
			if !c.has("v_head_dim") && c.count("num_attention_heads") > 0 {
				c.doc["v_head_dim"] = math.Floor(c.number("hidden_size") / float64(c.count("num_attention_heads")))
			}
		},
		needsFF:   true,
		made:      func(m *mapping) []Tensor { return m.longFactors(turnedPart(m.dims) / 2) },
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly},
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("context_length", uint32(c.count("max_position_embeddings")))
			set("embedding_length", uint32(d.hidden))
			set("block_count", uint32(d.layers))
			set("feed_forward_length", uint32(d.ff))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(d.kvHeads))
			set("attention.layer_norm_rms_epsilon", c.float("rms_norm_eps"))
			set("vocab_size", uint32(d.vocab))
			m.setCount("attention.q_lora_rank", "q_lora_rank")
			set("attention.kv_lora_rank", uint32(latent(d)))
			set("attention.key_length", uint32(plainPart(d)+turnedPart(d)))
			set("rope.dimension_count", uint32(turnedPart(d)))
			return nil
		},
	}
)
