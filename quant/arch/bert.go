package arch

import (
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// bert are BERT and the embedding models of its form: every token attends to every other, and there is no head
// (BertModel in conversion/bert.py).
var bert = &family{
	name:      "bert",
	classes:   []string{"BertModel", "BertForMaskedLM"},
	rules:     bertRules(nil),
	rename:    bertName,
	filter:    bertFilter,
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

// xlmroberta is BERT for many languages: a Unigram vocabulary, and positions that are counted from behind the padding's
// id on (XLMRobertaModel in conversion/bert.py). Rerankers have a classifier on top.
var xlmroberta = &family{
	name:    "bert",
	classes: []string{"XLMRobertaModel", "XLMRobertaForSequenceClassification"},
	rules: rulesOf(bertRules(rows(func(d dims) []span {
		skip := d.config.count("positions") - d.config.count("max_position_embeddings")
		return []span{{skip, d.config.count("max_position_embeddings")}}
	})), biased(optional, []rule{
		{"classifier.dense.weight", "cls.weight", matrix(hidden, hidden), optional, nil},
		{"classifier.out_proj.weight", "cls.output.weight", matrix(one, hidden), optional, nil},
	})),
	rename: func(m *mapping, name string) string { return bertName(m, strings.TrimPrefix(name, "roberta.")) },
	filter: func(m *mapping, name string) string { return bertFilter(m, strings.TrimPrefix(name, "roberta.")) },
	prepare: func(c *config) {
		c.or("pad_token_id", 1.0)
		c.or("max_position_embeddings", 512.0)
		c.doc["positions"] = c.doc["max_position_embeddings"]
		c.doc["max_position_embeddings"] = c.number("max_position_embeddings") - c.number("pad_token_id") - 1
		if c.has("lora_adaptations") {
			c.fail("lora_adaptations: models with adapters of their own are not supported")
		}
	},
	defaults:  map[string]any{"type_vocab_size": 1.0, "layer_norm_eps": 1e-5},
	needsFF:   true,
	kvUnknown: true,
	noTheta:   true,
	tokenizer: tokenizer.Options{Kind: tokenizer.XLMRoberta},
	params: func(m *mapping, set func(string, any)) error {
		set("attention.causal", false)
		if err := pooling(m, set); err != nil {
			return err
		}
		if m.config.has("id2label") {
			return m.labels(set)
		}
		return nil
	},
}

// labels writes what a classifier's outputs are called, unless they are the two that transformers makes up.
func (m *mapping) labels(set func(string, any)) error {
	list := m.config.object("id2label")
	names := make([]string, len(list.doc))
	for i := range names {
		key := strconv.Itoa(i)
		list.require(key)
		names[i] = list.text(key)
	}
	if len(names) == 0 || len(names) == 2 && names[0] == "LABEL_0" {
		return *m.config.err
	}
	set("classifier.output_labels", names)
	return *m.config.err
}

// bertRules are BERT's; positions says which of its position embeddings count.
func bertRules(positions change) []rule {
	return append([]rule{
		{"embeddings.word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"embeddings.position_embeddings.weight", "position_embd.weight", matrix(value("positions", "max_position_embeddings"), hidden), needed, positions},
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
	})...)
}

func bertName(_ *mapping, name string) string {
	name = strings.TrimPrefix(name, "bert.")
	if s, ok := strings.CutSuffix(name, ".gamma"); ok {
		return s + ".weight"
	}
	if s, ok := strings.CutSuffix(name, ".beta"); ok {
		return s + ".bias"
	}
	return name
}

func bertFilter(_ *mapping, name string) string {
	switch name = strings.TrimPrefix(name, "bert."); {
	case name == "embeddings.position_ids":
		return "counts, computed"
	case strings.HasPrefix(name, "pooler.dense."), strings.HasPrefix(name, "cls.predictions"), strings.HasPrefix(name, "cls.seq_relationship"):
		return "of training, embeddings don't need it"
	}
	return ""
}
