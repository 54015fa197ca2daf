package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Jina's embedding models.
var (
	// jinabert2 has positions by distance (ALiBi) and gated networks; the model for code has norms of queries and keys as
	// well (JinaBertV2Model in conversion/bert.py).
	jinabert2 = &family{
		name:    "jina-bert-v2",
		classes: []string{"JinaBertModel", "JinaBertForMaskedLM"},
		rules: rulesOf([]rule{
			{"embeddings.word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"embeddings.token_type_embeddings.weight", "token_types.weight", matrix(value("type_vocab_size"), hidden), needed, nil},
			{"encoder.layer.{i}.mlp.gated_layers.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), needed, nil},
		}, biased(needed, []rule{
			{"embeddings.LayerNorm.weight", "token_embd_norm.weight", vector(hidden), needed, nil},
			{"encoder.layer.{i}.attention.self.query.weight", "blk.{i}.attn_q.weight", matrix(hidden, hidden), needed, nil},
			{"encoder.layer.{i}.attention.self.key.weight", "blk.{i}.attn_k.weight", matrix(hidden, hidden), needed, nil},
			{"encoder.layer.{i}.attention.self.value.weight", "blk.{i}.attn_v.weight", matrix(hidden, hidden), needed, nil},
			{"encoder.layer.{i}.attention.output.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
			{"encoder.layer.{i}.attention.output.LayerNorm.weight", "blk.{i}.attn_output_norm.weight", vector(hidden), needed, nil},
			{"encoder.layer.{i}.mlp.wo.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
			{"encoder.layer.{i}.mlp.layernorm.weight", "blk.{i}.layer_output_norm.weight", vector(hidden), needed, nil},
		}), biased(optional, []rule{
			{"encoder.layer.{i}.attention.self.layer_norm_q.weight", "blk.{i}.attn_q_norm.weight", vector(hidden), optional, nil},
			{"encoder.layer.{i}.attention.self.layer_norm_k.weight", "blk.{i}.attn_k_norm.weight", vector(hidden), optional, nil},
			{"encoder.layer.{i}.layer_norm_1.weight", "blk.{i}.attn_norm_2.weight", vector(hidden), optional, nil},
			{"encoder.layer.{i}.layer_norm_2.weight", "blk.{i}.layer_output_norm.weight", vector(hidden), optional, nil},
			{"encoder.layer.{i}.mlp.down_layer.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), optional, nil},
			{"encoder.layer.{i}.mlp.up_gated_layer.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), optional, nil},
			{"encoder.layer.{i}.mlp.gated_layers_w.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), optional, nil},
			{"encoder.layer.{i}.mlp.gated_layers_v.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), optional, nil},
		}), classifier()),
		rename:     bertName,
		filter:     bertFilter,
		defaults:   map[string]any{"type_vocab_size": 2.0, "layer_norm_eps": 1e-12, "max_position_embeddings": 512.0},
		needsFF:    true,
		kvUnknown:  true,
		noTheta:    true,
		tokenizer:  tokenizer.Options{Kind: tokenizer.Encoder, Whitespace: true},
		tokenTypes: true,
		params:     encoderParams,
	}

	// jinabert3 is XLM-RoBERTa with rotary positions and an adapter for each of several tasks (XLMRobertaModel with
	// lora_adaptations).
	jinabert3 = &family{
		name:    "jina-bert-v3",
		classes: xlmRobertaClasses,
		when:    func(c *config) bool { return len(c.strings("lora_adaptations")) > 0 },
		rules: rulesOf(rotaryBertOuter(), biased(needed, rulesOf(rotaryBertLayers("mixer.Wqkv", "mixer.out_proj"), []rule{
			{"encoder.layers.{i}.mlp.fc1.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"encoder.layers.{i}.mlp.fc2.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		}))),
		rename: func(m *mapping, name string) string {
			return robertaName(m, strings.TrimSuffix(strings.ReplaceAll(name, ".parametrizations.", "."), ".original"))
		},
		filter: func(m *mapping, name string) string {
			if strings.HasSuffix(name, ".0.lora_A") || strings.HasSuffix(name, ".0.lora_B") {
				return "of the adapters for " + strings.Join(m.config.strings("lora_adaptations"), ", ") + ", which the model runs without"
			}
			return robertaFilter(m, name)
		},
		prepare:    robertaPositions,
		defaults:   map[string]any{"type_vocab_size": 2.0, "layer_norm_eps": 1e-12},
		needsFF:    true,
		kvUnknown:  true,
		noTheta:    true,
		tokenizer:  tokenizer.Options{Kind: tokenizer.XLMRoberta},
		tokenTypes: true,
		params:     encoderParams,
	}
)
