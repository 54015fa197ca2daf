package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Encoders that look like today's decoders: norms before each part, rotary positions, no biases (conversion/bert.py).
var (
	// modernbert attends to everything in every third layer and to near tokens in the others (ModernBertModel).
	modernbert = &family{
		name:    "modern-bert",
		classes: []string{"ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"},
		rules: rulesOf([]rule{
			{"embeddings.tok_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"embeddings.norm.weight", "token_embd_norm.weight", vector(hidden), needed, nil},
			{"layers.{later}.attn_norm.weight", "blk.{later}.attn_norm.weight", vector(hidden), needed, nil},
			{"layers.{i}.attn.Wqkv.weight", "blk.{i}.attn_qkv.weight", matrix(times(3, hidden), hidden), needed, nil},
			{"layers.{i}.attn.Wo.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"layers.{i}.mlp_norm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"layers.{i}.mlp.Wi.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), needed, nil},
			{"layers.{i}.mlp.Wo.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
			{"final_norm.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"head.dense.weight", "cls.weight", matrix(hidden, hidden), optional, nil},
			{"head.norm.weight", "cls.norm.weight", vector(hidden), optional, nil},
		}, classifier()),
		layers: map[string]func(*mapping, int) bool{"later": func(_ *mapping, layer int) bool { return layer > 0 }}, // the first has the embedding's norm
		rename: withoutModel,
		defaults: map[string]any{"norm_eps": 1e-5, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "global_attn_every_n_layers": 3.0,
			"local_attention": 128.0, "hidden_activation": "gelu", "max_position_embeddings": 8192.0},
		needsFF:   true,
		kvUnknown: true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			if err := encoderParams(m, set); err != nil {
				return err
			}
			m.setCount("attention.sliding_window", "local_attention")
			m.setCount("attention.sliding_window_pattern", "global_attn_every_n_layers")
			set("rope.scaling.type", "none")
			set("vocab_size", uint32(m.dims.vocab))
			if act := m.config.text("hidden_activation"); act != "" {
				set("hidden_activation", act)
			}
			for _, kind := range []string{"bos", "eos", "sep"} {
				m.model.Metadata.Set("tokenizer.ggml.add_"+kind+"_token", true)
			}
			return nil
		},
	}

	// neobert is NeoBERT, whose intermediate_size counts what a network without gate would have (NeoBert).
	neobert = &family{
		name:    "neo-bert",
		classes: []string{"NeoBERT", "NeoBERTLMHead", "NeoBERTForSequenceClassification"},
		rules: rulesOf([]rule{
			{"encoder.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"transformer_encoder.{i}.attention_norm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"transformer_encoder.{i}.qkv.weight", "blk.{i}.attn_qkv.weight", matrix(times(3, hidden), hidden), needed, nil},
			{"transformer_encoder.{i}.wo.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"transformer_encoder.{i}.ffn_norm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"transformer_encoder.{i}.ffn.w12.weight", "blk.{i}.ffn_up.weight", matrix(times(2, twoThirds), hidden), needed, nil},
			{"transformer_encoder.{i}.ffn.w3.weight", "blk.{i}.ffn_down.weight", matrix(hidden, twoThirds), needed, nil},
			{"layer_norm.weight", "enc.output_norm.weight", vector(hidden), needed, nil},
		}, biased(optional, []rule{{"dense.weight", "cls.weight", matrix(hidden, hidden), optional, nil}}), classifier()),
		rename: withoutModel,
		filter: func(_ *mapping, name string) string {
			if strings.HasPrefix(name, "decoder.") {
				return ofTraining
			}
			return ""
		},
		prepare:    func(c *config) { c.or("type_vocab_size", 1.0) },
		needsFF:    true,
		kvUnknown:  true,
		noTheta:    true,
		tokenizer:  tokenizer.Options{Kind: tokenizer.WordPieceOnly},
		tokenTypes: true,
		params: func(m *mapping, set func(string, any)) error {
			if err := encoderParams(m, set); err != nil {
				return err
			}
			set("feed_forward_length", uint32(twoThirds(m.dims)))
			set("rope.freq_base", float32(10000))
			set("rope.scaling.type", "none")
			eps := float32(1e-6)
			if m.config.has("norm_eps") {
				eps = m.config.float("norm_eps")
			}
			set("attention.layer_norm_rms_epsilon", eps)
			set("pooling_type", poolCLS)
			return nil
		},
	}

	// eurobert is a Llama that sees all of a text at once (EuroBertModel).
	eurobert = &family{
		name:    "eurobert",
		classes: []string{"EuroBertModel", "JinaEmbeddingsV5Model"},
		rules:   rulesOf(outer()[:2], norms(nil), attention("{i}", nil, nil), mlp("{i}")),
		needsFF: true, needsRMS: true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			set("attention.causal", false)
			set("rope.scaling.type", "none")
			if err := pooling(m, set); err != nil {
				return err
			}
			m.model.Metadata.Set("tokenizer.ggml.add_bos_token", false)
			return nil
		},
	}
)

// twoThirds is the width of NeoBERT's gated network, which has three matrices where intermediate_size counts two.
func twoThirds(d dims) int64 { return 2 * d.ff / 3 }

func withoutModel(m *mapping, name string) string {
	return bertName(m, strings.TrimPrefix(name, "model."))
}
