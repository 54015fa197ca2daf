package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// Models that write a text by uncovering it, all words at once (conversion/dream.py, conversion/llada.py): attention sees what
// comes after, too.
var (
	// dream has Qwen 2's layers.
	dream = &family{
		name:     "dream",
		classes:  []string{"DreamModel"},
		rules:    qwen2.rules,
		needsFF:  true,
		needsRMS: true,
		params: func(m *mapping, set func(string, any)) error {
			if err := pooling(m, set); err != nil {
				return err
			}
			set("attention.causal", false)
			if m.config.has("mask_token_id") {
				m.model.Metadata.Set("tokenizer.ggml.mask_token_id", uint32(m.config.integer("mask_token_id")))
			}
			return nil
		},
	}
	// llada has Llama's layers under other names.
	llada = &family{
		name:    "llada",
		classes: []string{"LLaDAModelLM"},
		rules: []rule{
			{"model.transformer.wte.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"model.transformer.ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"model.transformer.ff_out.weight", "output.weight", matrix(vocab, hidden), needed, nil},
			{"model.transformer.blocks.{i}.attn_norm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"model.transformer.blocks.{i}.ff_norm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"model.transformer.blocks.{i}.q_proj.weight", "blk.{i}.attn_q.weight", matrix(queries, hidden), needed, permuteQ},
			{"model.transformer.blocks.{i}.k_proj.weight", "blk.{i}.attn_k.weight", matrix(keys, hidden), needed, permuteK},
			{"model.transformer.blocks.{i}.v_proj.weight", "blk.{i}.attn_v.weight", matrix(keys, hidden), needed, nil},
			{"model.transformer.blocks.{i}.attn_out.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
			{"model.transformer.blocks.{i}.ff_proj.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
			{"model.transformer.blocks.{i}.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"model.transformer.blocks.{i}.ff_out.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		},
		prepare: func(c *config) {
			c.doc["hidden_size"] = c.doc["d_model"]
			c.doc["intermediate_size"] = c.doc["mlp_hidden_size"]
		},
		needsFF:   true,
		tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, AddBOS: true},
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("block_count", uint32(d.layers))
			set("context_length", uint32(c.count("max_sequence_length")))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(d.kvHeads))
			if m.rope.stated {
				set("rope.freq_base", float32(m.rope.theta))
			}
			set("attention.layer_norm_rms_epsilon", c.float("rms_norm_eps"))
			if err := pooling(m, set); err != nil {
				return err
			}
			set("vocab_size", uint32(d.vocab))
			set("rope.dimension_count", uint32(d.headDim))
			set("embedding_length", uint32(d.hidden))
			set("feed_forward_length", uint32(d.ff))
			set("attention.causal", false)
			m.model.Metadata.Set("diffusion.shift_logits", false)
			return nil
		},
	}
	// lladamoe has experts.
	lladamoe = &family{
		name:    "llada-moe",
		classes: []string{"LLaDAMoEModel", "LLaDAMoEModelLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), headNorms("{i}", nil), []rule{router("{i}", "mlp.gate")},
			usualExperts("{i}", value("expert_intermediate_size"))),
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			m.setCount("expert_feed_forward_length", "expert_intermediate_size")
			m.model.Metadata.Set("tokenizer.ggml.mask_token_id", uint32(156895))
			set("attention.causal", false)
			m.model.Metadata.Set("diffusion.shift_logits", false)
			return nil
		},
	}
)
