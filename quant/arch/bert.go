package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// bert are BERT and the embedding models of its form: every token attends to every other, and there is no head
// (BertModel in conversion/bert.py).
var bert = &family{
	name:    "bert",
	classes: []string{"BertModel", "BertForMaskedLM"},
	rules: append([]rule{
		{"embeddings.word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"embeddings.position_embeddings.weight", "position_embd.weight", matrix(value("max_position_embeddings"), hidden), needed, nil},
		{"embeddings.token_type_embeddings.weight", "token_types.weight", matrix(value("type_vocab_size"), hidden), needed, nil},
	}, biased(needed, []rule{
		{"embeddings.LayerNorm.weight", "token_embd_norm.weight", vector(hidden), needed, nil},
		{"encoder.layer.{i}.attention.self.query.weight", "blk.{i}.attn_q.weight", matrix(hidden, hidden), needed, nil},
		{"encoder.layer.{i}.attention.self.key.weight", "blk.{i}.attn_k.weight", matrix(hidden, hidden), needed, nil},
		{"encoder.layer.{i}.attention.self.value.weight", "blk.{i}.attn_v.weight", matrix(hidden, hidden), needed, nil},
		{"encoder.layer.{i}.attention.output.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
		{"encoder.layer.{i}.attention.output.LayerNorm.weight", "blk.{i}.attn_output_norm.weight", vector(hidden), needed, nil},
		{"encoder.layer.{i}.intermediate.dense.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		{"encoder.layer.{i}.output.dense.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		{"encoder.layer.{i}.output.LayerNorm.weight", "blk.{i}.layer_output_norm.weight", vector(hidden), needed, nil},
	})...),
	rename: func(_ *mapping, name string) string {
		name = strings.TrimPrefix(name, "bert.")
		if s, ok := strings.CutSuffix(name, ".gamma"); ok {
			return s + ".weight"
		}
		if s, ok := strings.CutSuffix(name, ".beta"); ok {
			return s + ".bias"
		}
		return name
	},
	filter: func(_ *mapping, name string) string {
		switch name = strings.TrimPrefix(name, "bert."); {
		case name == "embeddings.position_ids":
			return "counts, computed"
		case strings.HasPrefix(name, "pooler.dense."), strings.HasPrefix(name, "cls.predictions"), strings.HasPrefix(name, "cls.seq_relationship"):
			return "of training, embeddings don't need it"
		}
		return ""
	},
	defaults:  map[string]any{"type_vocab_size": 2.0, "layer_norm_eps": 1e-12, "max_position_embeddings": 512.0},
	needsFF:   true,
	kvUnknown: true,
	noTheta:   true,
	tokenizer: tokenizer.Options{Kind: tokenizer.WordPieceOnly},
	params: func(m *mapping, set func(string, any)) error {
		set("attention.causal", false)
		if err := pooling(m, set); err != nil {
			return err
		}
		m.model.Metadata.Set("tokenizer.ggml.token_type_count", uint32(m.config.count("type_vocab_size")))
		return nil
	},
}
