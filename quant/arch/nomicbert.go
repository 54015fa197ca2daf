package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Nomic's embedding models: BERT with rotary positions, in version 2 with experts in every other layer (NomicBertModel in
// conversion/bert.py).
var (
	nomicbertmoe = &family{
		name:    "nomic-bert-moe",
		classes: []string{"NomicBertModel"},
		when:    nomicExperts,
		rules: rulesOf(rotaryBertOuter(), biased(needed, rotaryBertLayers("attn.Wqkv", "attn.out_proj")), biased(needed, []rule{
			{"encoder.layers.{dense}.mlp.fc1.weight", "blk.{dense}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"encoder.layers.{dense}.mlp.fc2.weight", "blk.{dense}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		}), []rule{
			{"encoder.layers.{moe}.mlp.router.layer.weight", "blk.{moe}.ffn_gate_inp.weight", matrix(experts, hidden), needed, nil},
			{"encoder.layers.{moe}.mlp.experts.mlp.w1", "blk.{moe}.ffn_up_exps.weight", matrix(product(experts, ff), hidden), needed, reshaped(experts, ff, hidden)},
			{"encoder.layers.{moe}.mlp.experts.mlp.w2", "blk.{moe}.ffn_down_exps.weight", matrix(product(experts, ff), hidden), needed,
				func(d dims, _ []int64) reading { return transposed(d, []int64{experts(d), ff(d), d.hidden}) }},
		}),
		layers: map[string]func(*mapping, int) bool{
			"dense": func(m *mapping, layer int) bool { return !nomicExpertLayer(m, layer) },
			"moe":   nomicExpertLayer,
		},
		rename: bertName,
		filter: func(m *mapping, name string) string {
			if strings.Contains(name, "mlp.experts.bias") {
				return "llama.cpp has no place for it"
			}
			return bertFilter(m, name)
		},
		prepare:    nomicPrepare,
		needsFF:    true,
		kvUnknown:  true,
		noTheta:    true,
		tokenizer:  tokenizer.Options{Kind: tokenizer.Encoder, MaskID: 250001},
		tokenTypes: true,
		params: func(m *mapping, set func(string, any)) error {
			if err := encoderParams(m, set); err != nil {
				return err
			}
			set("moe_every_n_layers", uint32(m.config.count("moe_every_n_layers")))
			set("expert_used_count", uint32(m.config.count("moe_top_k")))
			return nil
		},
	}
	nomicbert = &family{
		name:    "nomic-bert",
		classes: []string{"NomicBertModel"},
		rules: rulesOf(rotaryBertOuter(), rotaryBertLayers("attn.Wqkv", "attn.out_proj"), []rule{
			{"encoder.layers.{i}.norm1.bias", "blk.{i}.attn_output_norm.bias", vector(hidden), needed, nil},
			{"encoder.layers.{i}.norm2.bias", "blk.{i}.layer_output_norm.bias", vector(hidden), needed, nil},
			{"encoder.layers.{i}.mlp.fc11.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"encoder.layers.{i}.mlp.fc12.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
			{"encoder.layers.{i}.mlp.fc2.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		}),
		rename:     bertName,
		filter:     bertFilter,
		prepare:    nomicPrepare,
		needsFF:    true,
		kvUnknown:  true,
		noTheta:    true,
		tokenizer:  tokenizer.Options{Kind: tokenizer.Encoder},
		tokenTypes: true,
		params:     encoderParams,
	}
)

// rotaryBertOuter is what stands outside of the layers of a BERT with rotary positions.
func rotaryBertOuter() []rule {
	return rulesOf([]rule{
		{"embeddings.word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"embeddings.token_type_embeddings.weight", "token_types.weight", matrix(value("type_vocab_size"), hidden), optional, nil},
	}, biased(needed, []rule{{"emb_ln.weight", "token_embd_norm.weight", vector(hidden), needed, nil}}))
}

// rotaryBertLayers are attention, under the names that a model has for it, and norms.
func rotaryBertLayers(qkv, out string) []rule {
	return []rule{
		{"encoder.layers.{i}." + qkv + ".weight", "blk.{i}.attn_qkv.weight", matrix(times(3, hidden), hidden), needed, nil},
		{"encoder.layers.{i}." + out + ".weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
		{"encoder.layers.{i}.norm1.weight", "blk.{i}.attn_output_norm.weight", vector(hidden), needed, nil},
		{"encoder.layers.{i}.norm2.weight", "blk.{i}.layer_output_norm.weight", vector(hidden), needed, nil},
	}
}

func nomicExperts(c *config) bool {
	return c.has("moe_every_n_layers") && c.number("moe_every_n_layers") != 0
}

func nomicExpertLayer(m *mapping, layer int) bool {
	return int64(layer)%max(1, m.config.count("moe_every_n_layers")) == 1
}

// nomicPrepare holds the config against the one form that llama.cpp computes, and puts in how many tokens the models were
// trained for.
func nomicPrepare(c *config) {
	moe := nomicExperts(c)
	trained := c.countOr("max_trained_positions", 2048)
	switch n := c.count("n_positions"); {
	case n == 8192 && trained == 2048:
		c.doc["n_positions"] = 2048.0
	case n == 2048 && trained == 2048:
		c.doc["n_positions"] = 512.0
	default:
		c.fail("n_positions %d with max_trained_positions %d, want 8192 or 2048 with 2048", n, trained)
	}
	if moe && c.text("activation_function") != "gelu" {
		c.fail("activation_function: %q, want gelu", c.text("activation_function"))
	}
	for _, key := range []string{"qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"} {
		if c.flag(key) != moe {
			c.fail("%s: %v, want %v", key, c.flag(key), moe)
		}
	}
	for _, key := range []string{"causal", "prenorm", "rotary_emb_interleaved"} {
		if c.flag(key) {
			c.fail("%s: true, llama.cpp computes the model without", key)
		}
	}
	if f := c.number("rotary_emb_fraction"); f != 1 {
		c.fail("rotary_emb_fraction: %v, want 1", f)
	}
	if c.has("rotary_emb_scale_base") {
		c.fail("rotary_emb_scale_base: %v, want null", c.doc["rotary_emb_scale_base"])
	}
	c.or("type_vocab_size", 1.0)
}
