package archtest

import (
	"strings"
	"unicode"
)

// Checkpoints that make embeddings.

func (c *Checkpoint) bert() {
	c.class("BertModel")
	for _, key := range []string{"num_key_value_heads", "rms_norm_eps", "rope_theta", "bos_token_id", "eos_token_id"} {
		delete(c.Config, key)
	}
	c.set("max_position_embeddings", 128, "layer_norm_eps", 1e-12, "type_vocab_size", 2, "pad_token_id", 0)
	norm := func(name string) {
		c.both(name, width)
	}
	c.add("embeddings.word_embeddings.weight", Vocab, width)
	c.add("embeddings.position_embeddings.weight", 128, width)
	c.add("embeddings.token_type_embeddings.weight", 2, width)
	c.add("embeddings.LayerNorm.gamma", width) // as the first BERT spells it
	c.add("embeddings.LayerNorm.beta", width)
	for _, name := range []string{"self.query", "self.key", "self.value", "output.dense"} {
		c.both("encoder.layer.{i}.attention."+name, width, width)
	}
	norm("encoder.layer.{i}.attention.output.LayerNorm")
	c.both("encoder.layer.{i}.intermediate.dense", deep, width)
	c.both("encoder.layer.{i}.output.dense", width, deep)
	norm("encoder.layer.{i}.output.LayerNorm")
	c.add("pooler.dense.weight", width, width)
	c.add("pooler.dense.bias", width)
	c.Files["modules.json"] = []byte(`[{"type":"sentence_transformers.models.Transformer","path":""},{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}]`)
	c.Files["1_Pooling/config.json"] = []byte(`{"word_embedding_dimension": 64, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}`)
	c.wordPiece()
}

// xlmRoberta has a position for each of two ids that come before the first.
func (c *Checkpoint) xlmRoberta() {
	c.bert()
	c.set("architectures", []string{"XLMRobertaModel"}, "max_position_embeddings", 130, "type_vocab_size", 1, "layer_norm_eps", 1e-5, "pad_token_id", 1, "bos_token_id", 0, "eos_token_id", 2)
	c.Drop("embeddings.weight")
	c.Drop("embeddings.LayerNorm.gamma")
	c.Drop("embeddings.LayerNorm.beta")
	c.add("embeddings.word_embeddings.weight", Vocab, width)
	c.add("embeddings.position_embeddings.weight", 130, width)
	c.add("embeddings.token_type_embeddings.weight", 1, width)
	c.both("embeddings.LayerNorm", width)
	delete(c.Files, "tokenizer.json")
	c.unigram()
}

func (c *Checkpoint) xlmReranker() {
	c.xlmRoberta()
	c.set("architectures", []string{"XLMRobertaForSequenceClassification"}, "id2label", map[string]string{"0": "LABEL_0"})
	c.Drop("pooler.dense.weight")
	c.Drop("pooler.dense.bias")
	for i, t := range c.Tensors {
		c.Tensors[i].Name = "roberta." + t.Name
	}
	c.both("classifier.dense", width, width)
	c.both("classifier.out_proj", 1, width)
	delete(c.Files, "modules.json")
	delete(c.Files, "1_Pooling/config.json")
}

// wordPiece writes BERT's kind of tokenizer.json: special tokens, letters at the start of words and within, and words.
func (c *Checkpoint) wordPiece() {
	vocab := map[string]int{}
	add := func(s string) {
		if _, ok := vocab[s]; !ok && len(vocab) < Vocab-4 {
			vocab[s] = len(vocab)
		}
	}
	specials := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for _, s := range append(specials, "[unused0]") {
		add(s)
	}
	for _, r := range corpus {
		if !unicode.IsSpace(r) {
			add(string(r))
			add("##" + string(r))
		}
	}
	for _, w := range strings.Fields(corpus) {
		add(w)
	}
	var tokens []added
	decoder := map[string]any{}
	for i, s := range specials {
		tokens = append(tokens, added{ID: i, Content: s, Special: true})
		decoder[string(rune('0'+i))] = map[string]any{"content": s, "special": true}
	}
	c.json("tokenizer.json", map[string]any{
		"version": "1.0", "added_tokens": tokens,
		"normalizer":    map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer": map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{"type": "TemplateProcessing",
			"single": []any{map[string]any{"SpecialToken": map[string]any{"id": "[CLS]"}}, map[string]any{"Sequence": map[string]any{"id": "A"}}, map[string]any{"SpecialToken": map[string]any{"id": "[SEP]"}}},
			"pair": []any{map[string]any{"SpecialToken": map[string]any{"id": "[CLS]"}}, map[string]any{"Sequence": map[string]any{"id": "A"}}, map[string]any{"SpecialToken": map[string]any{"id": "[SEP]"}},
				map[string]any{"Sequence": map[string]any{"id": "B"}}, map[string]any{"SpecialToken": map[string]any{"id": "[SEP]"}}}},
		"decoder": map[string]any{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":   map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
	})
	c.json("tokenizer_config.json", map[string]any{"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]",
		"do_lower_case": true, "added_tokens_decoder": decoder, "tokenizer_class": "BertTokenizer"})
}
