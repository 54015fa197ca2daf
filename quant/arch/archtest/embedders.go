package archtest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// More checkpoints that make embeddings: relatives of BERT.

// bertReranker gives one label, by one matrix.
func (c *Checkpoint) bertReranker() {
	c.bert()
	c.set("architectures", []string{"BertForSequenceClassification"}, "id2label", map[string]string{"0": "relevant"})
	c.renameAll("bert.")
	c.both("classifier", 1, width)
	c.unpooled()
}

// renameAll puts a prefix before the names of all tensors.
func (c *Checkpoint) renameAll(prefix string) {
	for i, t := range c.Tensors {
		c.Tensors[i].Name = prefix + t.Name
	}
}

// unpooled removes what sentence-transformers adds to a model.
func (c *Checkpoint) unpooled() {
	delete(c.Files, "modules.json")
	delete(c.Files, "1_Pooling/config.json")
}

func (c *Checkpoint) distilbert() {
	c.class("DistilBertForMaskedLM")
	for _, key := range []string{"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta", "bos_token_id", "eos_token_id"} {
		delete(c.Config, key)
	}
	c.set("n_layers", Layers, "dim", width, "hidden_dim", deep, "n_heads", Heads, "max_position_embeddings", 128, "pad_token_id", 0)
	c.add("distilbert.embeddings.word_embeddings.weight", Vocab, width)
	c.add("distilbert.embeddings.position_embeddings.weight", 128, width)
	c.both("distilbert.embeddings.LayerNorm", width)
	for _, name := range []string{"q_lin", "k_lin", "v_lin", "out_lin"} {
		c.both("distilbert.transformer.layer.{i}.attention."+name, width, width)
	}
	c.both("distilbert.transformer.layer.{i}.sa_layer_norm", width)
	c.both("distilbert.transformer.layer.{i}.ffn.lin1", deep, width)
	c.both("distilbert.transformer.layer.{i}.ffn.lin2", width, deep)
	c.both("distilbert.transformer.layer.{i}.output_layer_norm", width)
	c.both("vocab_transform", width, width)
	c.both("vocab_layer_norm", width)
	c.add("vocab_projector.bias", Vocab)
	c.wordPiece()
}

func (c *Checkpoint) distilReranker() {
	c.distilbert()
	c.set("architectures", []string{"DistilBertForSequenceClassification"}, "id2label", map[string]string{"0": "bad", "1": "fair", "2": "good"})
	c.Drop("vocab_projector.bias")
	for _, name := range []string{"vocab_transform", "vocab_layer_norm"} {
		c.Drop(name + ".weight")
		c.Drop(name + ".bias")
	}
	c.both("pre_classifier", width, width)
	c.both("classifier", 3, width)
}

// roberta has a position for each of two ids that come before the first, and GPT-2's kind of vocabulary.
func (c *Checkpoint) roberta() {
	c.xlmRoberta()
	c.set("architectures", []string{"RobertaModel"})
	delete(c.Files, "sentencepiece.bpe.model")
	c.robertaBPE()
}

func (c *Checkpoint) robertaReranker() {
	c.roberta()
	c.set("architectures", []string{"RobertaForSequenceClassification"}, "id2label", map[string]string{"0": "LABEL_0"})
	c.Drop("pooler.dense.weight")
	c.Drop("pooler.dense.bias")
	c.renameAll("roberta.")
	c.both("classifier.dense", width, width)
	c.both("classifier.out_proj", 1, width)
	c.unpooled()
}

// robertaBPE is GPT-2's tokenizer with RoBERTa's special tokens.
func (c *Checkpoint) robertaBPE() {
	var tokens []added
	for i, text := range []string{"<s>", "<pad>", "</s>", "<unk>", "<mask>"} {
		tokens = append(tokens, added{ID: 500 + i, Content: text, Special: true})
	}
	c.bpe("", nil, false, false, tokens, map[string]any{"type": "RobertaProcessing", "sep": []any{"</s>", 502}, "cls": []any{"<s>", 500}, "trim_offsets": true, "add_prefix_space": false})
	c.json("tokenizer_config.json", map[string]any{"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>",
		"mask_token": "<mask>", "add_prefix_space": false, "tokenizer_class": "RobertaTokenizer"})
	c.set("bos_token_id", 500, "pad_token_id", 1, "eos_token_id", 502)
}

// xlmRobertaJSON has its vocabulary in tokenizer.json alone.
func (c *Checkpoint) xlmRobertaJSON() {
	c.xlmRoberta()
	delete(c.Files, "sentencepiece.bpe.model")
	c.unigramJSON("<s>", "<pad>", "</s>", "<unk>")
}

// unigramJSON writes a Unigram tokenizer.json: the special tokens, words, letters, and <mask> at the end.
func (c *Checkpoint) unigramJSON(specials ...string) {
	vocab := [][]any{}
	seen := map[string]bool{}
	add := func(text string, score float64) {
		if !seen[text] {
			seen[text] = true
			vocab = append(vocab, []any{text, score})
		}
	}
	var tokens []added
	for i, s := range specials {
		add(s, 0)
		tokens = append(tokens, added{ID: i, Content: s, Special: true})
	}
	for i, w := range strings.Fields(corpus) {
		add("▁"+w, -5-float64(i)/64)
	}
	for i, r := range "▁" + strings.ReplaceAll(strings.ReplaceAll(corpus, "\n", ""), " ", "") {
		add(string(r), -10-float64(i)/64)
	}
	tokens = append(tokens, added{ID: len(vocab), Content: "<mask>", Special: true})
	add("<mask>", 0)
	piece := func(kind, id string) any { return map[string]any{kind: map[string]any{"id": id, "type_id": 0}} }
	bos, eos, a, b := piece("SpecialToken", "<s>"), piece("SpecialToken", "</s>"), piece("Sequence", "A"), piece("Sequence", "B")
	c.json("tokenizer.json", map[string]any{
		"version": "1.0", "added_tokens": tokens,
		"normalizer":     map[string]any{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString(charsmap())},
		"pre_tokenizer":  map[string]any{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true},
		"post_processor": map[string]any{"type": "TemplateProcessing", "single": []any{bos, a, eos}, "pair": []any{bos, a, eos, eos, b, eos}},
		"decoder":        map[string]any{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true},
		"model":          map[string]any{"type": "Unigram", "unk_id": 3, "vocab": vocab},
	})
	c.json("tokenizer_config.json", map[string]any{"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>",
		"unk_token": "<unk>", "mask_token": "<mask>", "clean_up_tokenization_spaces": true, "tokenizer_class": "XLMRobertaTokenizer"})
}

// rotaryBert makes what Nomic's and Jina's models share.
func (c *Checkpoint) rotaryBert(qkv, out string, bias bool) {
	c.add("embeddings.word_embeddings.weight", Vocab, width)
	c.both("emb_ln", width)
	matrix := c.matrices(bias)
	matrix("encoder.layers.{i}."+qkv, 3*width, width)
	matrix("encoder.layers.{i}."+out, width, width)
	c.both("encoder.layers.{i}.norm1", width)
	c.both("encoder.layers.{i}.norm2", width)
}

// matrices makes weights, with biases or without.
func (c *Checkpoint) matrices(bias bool) func(name string, rows, columns int64) {
	return func(name string, rows, columns int64) {
		c.each(0, name+".weight", rows, columns)
		if bias {
			c.each(0, name+".bias", rows)
		}
	}
}

func (c *Checkpoint) nomicConfig(moe bool) {
	c.class("NomicBertModel")
	for _, key := range []string{"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta",
		"max_position_embeddings", "bos_token_id", "eos_token_id"} {
		delete(c.Config, key)
	}
	c.set("n_layer", Layers, "n_embd", width, "n_inner", deep, "n_head", Heads, "n_positions", 8192, "max_trained_positions", 2048, "activation_function", "swiglu",
		"causal", false, "qkv_proj_bias", moe, "mlp_fc1_bias", moe, "mlp_fc2_bias", moe, "prenorm", false, "rotary_emb_fraction", 1.0, "rotary_emb_interleaved", false,
		"rotary_emb_scale_base", nil, "rotary_emb_base", 1000, "layer_norm_epsilon", 1e-12, "type_vocab_size", 2)
	c.Config["rotary_emb_scale_base"] = nil
}

func (c *Checkpoint) nomic() {
	c.nomicConfig(false)
	c.rotaryBert("attn.Wqkv", "attn.out_proj", false)
	c.add("embeddings.token_type_embeddings.weight", 2, width)
	c.each(0, "encoder.layers.{i}.mlp.fc11.weight", deep, width)
	c.each(0, "encoder.layers.{i}.mlp.fc12.weight", deep, width)
	c.each(0, "encoder.layers.{i}.mlp.fc2.weight", width, deep)
	c.wordPiece()
}

// nomicMoE has experts in its second layer, and a Unigram vocabulary.
func (c *Checkpoint) nomicMoE() {
	c.nomicConfig(true)
	c.set("n_positions", 2048, "activation_function", "gelu", "moe_every_n_layers", 2, "moe_top_k", 2, "num_experts", 4, "type_vocab_size", 1, "pad_token_id", 1,
		"rotary_emb_base", 10000)
	c.rotaryBert("attn.Wqkv", "attn.out_proj", true)
	c.add("embeddings.token_type_embeddings.weight", 1, width)
	c.layer(0, 0, "encoder.layers.{i}.mlp.fc1.weight", deep, width)
	c.layer(0, 0, "encoder.layers.{i}.mlp.fc1.bias", deep)
	c.layer(0, 0, "encoder.layers.{i}.mlp.fc2.weight", width, deep)
	c.layer(0, 0, "encoder.layers.{i}.mlp.fc2.bias", width)
	c.layer(1, 0, "encoder.layers.{i}.mlp.router.layer.weight", 4, width)
	c.layer(1, 0, "encoder.layers.{i}.mlp.experts.mlp.w1", 4*deep, width)
	c.layer(1, 0, "encoder.layers.{i}.mlp.experts.mlp.w2", 4*deep, width)
	c.layer(1, 0, "encoder.layers.{i}.mlp.experts.bias", width)
	c.unigramJSON("<s>", "<pad>", "</s>", "<unk>")
}

// jina2 is the model for English, jina2Code the one for code, with its own names and norms.
func (c *Checkpoint) jina2() {
	c.bert()
	c.set("architectures", []string{"JinaBertForMaskedLM"})
	c.jinaLayers("mlp.gated_layers", "mlp.wo")
	c.both("encoder.layer.{i}.mlp.layernorm", width)
	c.add("cls.predictions.bias", Vocab)
}

func (c *Checkpoint) jina2Code() {
	c.bert()
	c.set("architectures", []string{"JinaBertForMaskedLM"})
	c.jinaLayers("mlp.up_gated_layer", "mlp.down_layer")
	for _, name := range []string{"attention.self.layer_norm_q", "attention.self.layer_norm_k", "layer_norm_1", "layer_norm_2"} {
		c.both("encoder.layer.{i}."+name, width)
	}
	delete(c.Files, "tokenizer.json")
	c.robertaBPE()
	c.unpooled()
}

func (c *Checkpoint) jinaLayers(up, down string) {
	for layer := range Layers {
		for _, name := range []string{"intermediate.dense.weight", "intermediate.dense.bias", "output.dense.weight", "output.dense.bias", "output.LayerNorm.weight", "output.LayerNorm.bias"} {
			c.Drop(fmt.Sprintf("layer.%d.%s", layer, name))
		}
	}
	c.Drop("position_embeddings.weight")
	c.each(0, "encoder.layer.{i}."+up+".weight", 2*deep, width)
	c.both("encoder.layer.{i}."+down, width, deep)
}

// jina3 has a low-rank adapter for each of two tasks beside its matrices.
func (c *Checkpoint) jina3() {
	c.xlmRobertaJSON()
	c.Tensors = nil
	c.set("architectures", []string{"XLMRobertaModel"}, "lora_adaptations", []string{"retrieval.query", "text-matching"}, "lora_alpha", 1, "lora_rank", 4,
		"task_instructions", map[string]string{"retrieval.query": "Represent the query: ", "text-matching": ""}, "rotary_emb_base", 20000.0)
	c.rotaryBert("mixer.Wqkv", "mixer.out_proj", true)
	c.add("embeddings.token_type_embeddings.weight", 1, width)
	c.both("encoder.layers.{i}.mlp.fc1", deep, width)
	c.both("encoder.layers.{i}.mlp.fc2", width, deep)
	c.both("pooler.dense", width, width)
	c.renameAll("roberta.")
	for _, t := range c.Tensors {
		if len(t.Shape) < 2 {
			continue
		}
		name := strings.Replace(t.Name, ".weight", ".parametrizations.weight", 1)
		c.add(name+".0.lora_A", 2, 4, t.Shape[1])
		c.add(name+".0.lora_B", 2, t.Shape[0], 4)
	}
	for i, t := range c.Tensors {
		if len(t.Shape) == 2 {
			c.Tensors[i].Name = strings.Replace(t.Name, ".weight", ".parametrizations.weight.original", 1)
		}
	}
}

func (c *Checkpoint) modernbert() {
	c.class("ModernBertForMaskedLM")
	for _, key := range []string{"num_key_value_heads", "rms_norm_eps", "rope_theta"} {
		delete(c.Config, key)
	}
	c.set("max_position_embeddings", 128, "layer_norm_eps", 1e-5, "norm_eps", 1e-5, "global_rope_theta", 160000.0, "local_rope_theta", 10000.0,
		"global_attn_every_n_layers", 3, "local_attention", 128, "hidden_activation", "gelu", "bos_token_id", 500, "eos_token_id", 501, "pad_token_id", 503)
	c.add("model.embeddings.tok_embeddings.weight", Vocab, width)
	c.add("model.embeddings.norm.weight", width)
	c.add("model.layers.1.attn_norm.weight", width)
	c.each(0, "model.layers.{i}.attn.Wqkv.weight", 3*width, width)
	c.each(0, "model.layers.{i}.attn.Wo.weight", width, width)
	c.each(0, "model.layers.{i}.mlp_norm.weight", width)
	c.each(0, "model.layers.{i}.mlp.Wi.weight", 2*deep, width)
	c.each(0, "model.layers.{i}.mlp.Wo.weight", width, deep)
	c.add("model.final_norm.weight", width)
	c.add("head.dense.weight", width, width)
	c.add("head.norm.weight", width)
	tokens := []added{}
	for i, text := range []string{"[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"} {
		tokens = append(tokens, added{ID: 500 + i, Content: text, Special: true})
	}
	piece := func(kind, id string) any { return map[string]any{kind: map[string]any{"id": id, "type_id": 0}} }
	cls, sep, a, b := piece("SpecialToken", "[CLS]"), piece("SpecialToken", "[SEP]"), piece("Sequence", "A"), piece("Sequence", "B")
	c.bpe("", map[string]string{"type": "NFC"}, false, false, tokens, map[string]any{"type": "TemplateProcessing", "single": []any{cls, a, sep}, "pair": []any{cls, a, sep, b, sep}})
	c.json("tokenizer_config.json", map[string]any{"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]",
		"clean_up_tokenization_spaces": true, "tokenizer_class": "PreTrainedTokenizerFast"})
}

func (c *Checkpoint) modernReranker() {
	c.modernbert()
	c.set("architectures", []string{"ModernBertForSequenceClassification"}, "id2label", map[string]string{"0": "LABEL_0"}, "classifier_pooling", "mean")
	c.both("classifier", 1, width)
}

func (c *Checkpoint) neobert() {
	c.class("NeoBERTLMHead")
	for _, key := range []string{"num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings", "bos_token_id", "eos_token_id"} {
		delete(c.Config, key)
	}
	c.set("max_length", 128, "norm_eps", 1e-5, "pad_token_id", 0)
	c.add("model.encoder.weight", Vocab, width)
	c.each(0, "model.transformer_encoder.{i}.attention_norm.weight", width)
	c.each(0, "model.transformer_encoder.{i}.qkv.weight", 3*width, width)
	c.each(0, "model.transformer_encoder.{i}.wo.weight", width, width)
	c.each(0, "model.transformer_encoder.{i}.ffn_norm.weight", width)
	c.each(0, "model.transformer_encoder.{i}.ffn.w12.weight", 2*2*deep/3, width)
	c.each(0, "model.transformer_encoder.{i}.ffn.w3.weight", width, 2*deep/3)
	c.add("model.layer_norm.weight", width)
	c.both("decoder", Vocab, width)
	c.wordPiece()
}

func (c *Checkpoint) eurobert() {
	c.class("EuroBertModel")
	c.set("head_dim", width/Heads)
	c.outer(true)
	c.norms()
	c.attention(width / Heads)
	c.mlp()
	for i, t := range c.Tensors {
		c.Tensors[i].Name = strings.TrimPrefix(t.Name, "model.")
	}
	c.llama3BPE()
	c.set("bos_token_id", 500, "eos_token_id", 501)
}
