package arch

import (
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// bert are BERT and the embedding models of its form: every token attends to every other, and there is no head but that
// of a classifier (BertModel in conversion/bert.py).
var bert = &family{
	name:       "bert",
	classes:    []string{"BertModel", "BertForMaskedLM", "BertForSequenceClassification"},
	rules:      rulesOf(bertRules(nil), classifier()),
	rename:     bertName,
	filter:     bertFilter,
	defaults:   map[string]any{"type_vocab_size": 2.0, "layer_norm_eps": 1e-12, "max_position_embeddings": 512.0},
	needsFF:    true,
	kvUnknown:  true,
	noTheta:    true,
	tokenizer:  tokenizer.Options{Kind: tokenizer.WordPieceOnly},
	tokenTypes: true,
	params:     encoderParams,
}

// distilbert is BERT without segments and with other names (DistilBertModel).
var distilbert = &family{
	name:    "bert",
	classes: []string{"DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification"},
	rules: rulesOf([]rule{
		{"embeddings.word_embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"embeddings.position_embeddings.weight", "position_embd.weight", matrix(value("max_position_embeddings"), hidden), needed, nil},
	}, biased(needed, []rule{
		{"embeddings.LayerNorm.weight", "token_embd_norm.weight", vector(hidden), needed, nil},
		{"transformer.layer.{i}.attention.q_lin.weight", "blk.{i}.attn_q.weight", matrix(hidden, hidden), needed, nil},
		{"transformer.layer.{i}.attention.k_lin.weight", "blk.{i}.attn_k.weight", matrix(hidden, hidden), needed, nil},
		{"transformer.layer.{i}.attention.v_lin.weight", "blk.{i}.attn_v.weight", matrix(hidden, hidden), needed, nil},
		{"transformer.layer.{i}.attention.out_lin.weight", "blk.{i}.attn_output.weight", matrix(hidden, hidden), needed, nil},
		{"transformer.layer.{i}.sa_layer_norm.weight", "blk.{i}.attn_output_norm.weight", vector(hidden), needed, nil},
		{"transformer.layer.{i}.ffn.lin1.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		{"transformer.layer.{i}.ffn.lin2.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		{"transformer.layer.{i}.output_layer_norm.weight", "blk.{i}.layer_output_norm.weight", vector(hidden), needed, nil},
	}), classifier(), biased(optional, []rule{
		{"pre_classifier.weight", "cls.weight", matrix(hidden, hidden), optional, nil},
	})),
	rename: func(m *mapping, name string) string { return bertName(m, strings.TrimPrefix(name, "distilbert.")) },
	filter: func(m *mapping, name string) string {
		if name = strings.TrimPrefix(name, "distilbert."); strings.HasPrefix(name, "vocab_") {
			return ofTraining
		}
		return bertFilter(m, name)
	},
	prepare: func(c *config) {
		for key, v := range map[string]float64{"dim": 768, "hidden_dim": 3072, "n_layers": 6, "n_heads": 12, "max_position_embeddings": 512} {
			c.or(key, v)
		}
		c.or("type_vocab_size", 1.0) // of segments, which it does not tell apart
	},
	kvUnknown:  true,
	noTheta:    true,
	tokenizer:  tokenizer.Options{Kind: tokenizer.WordPieceOnly},
	tokenTypes: true,
	lead:       func(m *mapping, set func(string, any)) { set("attention.layer_norm_epsilon", float32(1e-12)) },
	params:     encoderParams,
}

// roberta is BERT with GPT-2's kind of vocabulary and positions that are counted from behind the padding's id on
// (RobertaModel).
var roberta = &family{
	name:       "bert",
	classes:    []string{"RobertaModel", "RobertaForSequenceClassification"},
	rules:      rulesOf(bertRules(behindPadding), classifier()),
	rename:     robertaName,
	filter:     robertaFilter,
	prepare:    robertaPositions,
	defaults:   map[string]any{"type_vocab_size": 2.0, "layer_norm_eps": 1e-12},
	needsFF:    true,
	kvUnknown:  true,
	noTheta:    true,
	tokenizer:  bpeOnly,
	tokenTypes: true,
	params:     encoderParams,
}

// xlmroberta is RoBERTa for many languages, with a Unigram vocabulary (XLMRobertaModel).
var xlmroberta = &family{
	name:       "bert",
	classes:    xlmRobertaClasses,
	rules:      rulesOf(bertRules(behindPadding), classifier()),
	rename:     robertaName,
	filter:     robertaFilter,
	prepare:    robertaPositions,
	defaults:   map[string]any{"type_vocab_size": 2.0, "layer_norm_eps": 1e-12},
	needsFF:    true,
	kvUnknown:  true,
	noTheta:    true,
	tokenizer:  tokenizer.Options{Kind: tokenizer.XLMRoberta},
	tokenTypes: true,
	params:     encoderParams,
}

var xlmRobertaClasses = []string{"XLMRobertaModel", "XLMRobertaForSequenceClassification"}

// behindPadding leaves the positions out that padding takes.
var behindPadding = rows(func(d dims) []span {
	skip := d.config.count("positions") - d.config.count("max_position_embeddings")
	return []span{{skip, d.config.count("max_position_embeddings")}}
})

func robertaPositions(c *config) {
	c.or("pad_token_id", 1.0)
	c.or("max_position_embeddings", 512.0)
	c.doc["positions"] = c.doc["max_position_embeddings"]
	c.doc["max_position_embeddings"] = c.number("max_position_embeddings") - c.number("pad_token_id") - 1
}

func robertaName(m *mapping, name string) string {
	return bertName(m, strings.TrimPrefix(name, "roberta."))
}

func robertaFilter(m *mapping, name string) string {
	return bertFilter(m, strings.TrimPrefix(name, "roberta."))
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

// classifier is the head of rerankers: one matrix, or one of a hidden layer and one that gives the labels.
func classifier() []rule {
	return biased(optional, []rule{
		{"classifier.weight", "cls.weight", matrix(outputs, hidden), optional, nil},
		{"classifier.dense.weight", "cls.weight", matrix(hidden, hidden), optional, nil},
		{"classifier.out_proj.weight", "cls.output.weight", matrix(outputs, hidden), optional, nil},
	})
}

// outputs is how many labels a classifier tells apart.
func outputs(d dims) int64 {
	if list := d.config.object("id2label"); len(list.doc) > 0 {
		return int64(len(list.doc))
	}
	return d.config.countOr("num_labels", 2)
}

// labels are what a classifier's outputs are called; nil for the two that transformers makes up.
func labels(c *config) []string {
	var names []string
	if list := c.object("id2label"); len(list.doc) > 0 {
		for i := range len(list.doc) {
			key := strconv.Itoa(i)
			list.require(key)
			names = append(names, list.text(key))
		}
	} else if c.has("num_labels") && c.count("num_labels") < 1<<16 {
		for i := range c.count("num_labels") {
			names = append(names, "LABEL_"+strconv.FormatInt(i, 10))
		}
	}
	if len(names) == 2 && names[0] == "LABEL_0" {
		return nil
	}
	return names
}

// encoderParams writes what the embedding models have besides the common keys (BertModel.set_gguf_parameters).
func encoderParams(m *mapping, set func(string, any)) error {
	set("attention.causal", false)
	if err := pooling(m, set); err != nil {
		return err
	}
	if names := labels(m.config); len(names) > 0 {
		set("classifier.output_labels", names)
	}
	return *m.config.err
}

// bertName is a name without its prefix and in today's spelling. A classifier whose labels have names is one that gives
// them, whatever it's called.
func bertName(m *mapping, name string) string {
	name = strings.TrimPrefix(name, "bert.")
	if s, ok := strings.CutSuffix(name, ".gamma"); ok {
		return s + ".weight"
	}
	if s, ok := strings.CutSuffix(name, ".beta"); ok {
		return s + ".bias"
	}
	if (name == "classifier.weight" || name == "classifier.bias") && labels(m.config) != nil {
		return strings.Replace(name, ".", ".out_proj.", 1)
	}
	return name
}

const ofTraining = "of training, embeddings don't need it"

func bertFilter(_ *mapping, name string) string {
	switch name = strings.TrimPrefix(name, "bert."); {
	case name == "embeddings.position_ids":
		return "counts, computed"
	case strings.HasPrefix(name, "pooler.dense."), strings.HasPrefix(name, "cls.predictions"), strings.HasPrefix(name, "cls.seq_relationship"):
		return ofTraining
	}
	return ""
}
