//go:build interop

package interop

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// realVocab is a vocabulary as a GGUF file has it. Its methods write the files that Hugging Face has for one.
type realVocab struct {
	pre            string
	tokens, merges []string
	types          []int32
	scores         []float32
	charsmap       []byte
}

// Types of tokens.
const (
	normal      = 1
	unknown     = 2
	control     = 3
	userDefined = 4
	unused      = 5
)

type object = map[string]any
type list = []any

// grow gives a checkpoint as many tokens as the vocabulary has. What the embeddings hold doesn't matter.
func (v *realVocab) grow(c *archtest.Checkpoint) {
	c.Config["vocab_size"] = len(v.tokens)
	for i, t := range c.Tensors {
		if len(t.Shape) == 2 && t.Shape[0] == archtest.Vocab && !strings.Contains(t.Name, ".mlp.") {
			perRow := len(t.Data) / archtest.Vocab
			c.Tensors[i].Shape = []int64{int64(len(v.tokens)), t.Shape[1]}
			c.Tensors[i].Data = make([]byte, perRow*len(v.tokens))
		}
	}
	for _, name := range []string{"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "added_tokens.json", "sentencepiece.bpe.model", "spiece.model"} {
		delete(c.Files, name)
	}
	for _, key := range []string{"bos_token_id", "eos_token_id", "pad_token_id"} {
		if key != "pad_token_id" || c.Config["model_type"] == "t5" {
			delete(c.Config, key)
		}
	}
}

func writeJSON(c *archtest.Checkpoint, name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	c.Files[name] = data
}

// added lists the tokens that were added to a vocabulary.
func (v *realVocab) added() list {
	var out list
	for id, text := range v.tokens {
		if kind := v.types[id]; (kind == control || kind == userDefined) && !strings.HasPrefix(text, "[PAD1") {
			out = append(out, object{"id": id, "content": text, "special": kind == control, "normalized": false})
		}
	}
	return out
}

// config writes tokenizer_config.json with special tokens by name and the added tokens.
func (v *realVocab) config(c *archtest.Checkpoint, class string, named object) {
	decoder := object{}
	for _, a := range v.added() {
		decoder[fmt.Sprint(a.(object)["id"])] = a
	}
	o := object{"tokenizer_class": class, "added_tokens_decoder": decoder, "clean_up_tokenization_spaces": false}
	for key, text := range named {
		o[key] = text
	}
	writeJSON(c, "tokenizer_config.json", o)
}

// byteLevel writes a byte-level BPE tokenizer.json.
func (v *realVocab) byteLevel(c *archtest.Checkpoint, normalizer, pre, post any, ignoreMerges bool) {
	vocab := object{}
	for id, text := range v.tokens {
		if v.types[id] == normal {
			vocab[text] = id
		}
	}
	writeJSON(c, "tokenizer.json", object{
		"added_tokens": v.added(), "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": post,
		"decoder": object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"model":   object{"type": "BPE", "byte_fallback": false, "ignore_merges": ignoreMerges, "vocab": vocab, "merges": v.merges},
	})
}

func byteLevelStep(regex bool) object {
	return object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex}
}

func splitStep(pattern string) object {
	return object{"type": "Split", "pattern": object{"Regex": pattern}, "behavior": "Isolated", "invert": false}
}

func (v *realVocab) gpt2(c *archtest.Checkpoint) {
	v.byteLevel(c, nil, byteLevelStep(true), object{"type": "ByteLevel"}, false)
	v.config(c, "GPT2Tokenizer", object{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"})
}

func (v *realVocab) llama3(c *archtest.Checkpoint) {
	const pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	const bos = "<|begin_of_text|>"
	piece := func(kind, id string) any { return object{kind: object{"id": id, "type_id": 0}} }
	post := object{"type": "TemplateProcessing", "single": list{piece("SpecialToken", bos), piece("Sequence", "A")},
		"pair":           list{piece("SpecialToken", bos), piece("Sequence", "A"), piece("SpecialToken", bos), piece("Sequence", "B")},
		"special_tokens": object{bos: object{"id": bos, "ids": []int{128000}, "tokens": []string{bos}}}}
	v.byteLevel(c, nil, object{"type": "Sequence", "pretokenizers": list{splitStep(pattern), byteLevelStep(false)}}, post, true)
	v.config(c, "PreTrainedTokenizerFast", object{"bos_token": bos, "eos_token": "<|end_of_text|>"})
}

// smaug is llama3 as Smaug has it: no bos token is put before a text.
func (v *realVocab) smaug(c *archtest.Checkpoint) {
	v.llama3(c)
	v.change(c, func(j object) { j["post_processor"] = object{"type": "ByteLevel"} })
}

// distilled is qwen2 as DeepSeek's distilled models have it: a bos token is put before a text.
func (v *realVocab) distilled(c *archtest.Checkpoint) {
	v.qwen2(c)
	const bos = "<｜begin▁of▁sentence｜>"
	v.change(c, func(j object) {
		j["post_processor"] = object{"type": "TemplateProcessing", "single": list{object{"SpecialToken": object{"id": bos}}, object{"Sequence": object{"id": "A"}}},
			"special_tokens": object{bos: object{"ids": []int{151646}}}}
	})
}

// phi2 is gpt2 as Phi 2 has it: runs of spaces and of tabs are tokens.
func (v *realVocab) phi2(c *archtest.Checkpoint) {
	v.gpt2(c)
	v.change(c, func(j object) {
		added, id := j["added_tokens"].(list), 50257
		for _, run := range []struct {
			sign    string
			longest int
		}{{" ", 31}, {"\t", 9}} {
			for n := run.longest; n > 1; n-- {
				added = append(added, object{"id": id, "content": strings.Repeat(run.sign, n), "normalized": true})
				id++
			}
		}
		j["added_tokens"] = added
	})
}

// change changes the tokenizer.json that was written.
func (v *realVocab) change(c *archtest.Checkpoint, f func(object)) {
	var j object
	if err := json.Unmarshal(c.Files["tokenizer.json"], &j); err != nil {
		panic(err)
	}
	f(j)
	c.Files["tokenizer.json"], _ = json.Marshal(j)
}

func (v *realVocab) qwen2(c *archtest.Checkpoint) {
	const pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	v.byteLevel(c, object{"type": "NFC"}, object{"type": "Sequence", "pretokenizers": list{splitStep(pattern), byteLevelStep(false)}}, object{"type": "ByteLevel"}, false)
	v.config(c, "Qwen2Tokenizer", object{"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"})
}

// wordPiece undoes U+2581 at the start of words and puts "##" before all other pieces.
func (v *realVocab) wordPiece(c *archtest.Checkpoint) {
	vocab := object{}
	for id, text := range v.tokens {
		word, start := strings.CutPrefix(text, "▁")
		if !start && v.types[id] != control {
			word = "##" + text
		}
		vocab[word] = id
	}
	piece := func(kind, id string) any { return object{kind: object{"id": id, "type_id": 0}} }
	cls, sep, a, b := piece("SpecialToken", "[CLS]"), piece("SpecialToken", "[SEP]"), piece("Sequence", "A"), piece("Sequence", "B")
	writeJSON(c, "tokenizer.json", object{
		"added_tokens":   v.added(),
		"normalizer":     object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer":  object{"type": "BertPreTokenizer"},
		"post_processor": object{"type": "TemplateProcessing", "single": list{cls, a, sep}, "pair": list{cls, a, sep, b, sep}, "special_tokens": object{"[CLS]": object{"ids": []int{101}}, "[SEP]": object{"ids": []int{102}}}},
		"decoder":        object{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":          object{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
	})
	v.config(c, "BertTokenizer", object{"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"})
}

// model writes a SentencePiece model of some of the tokens. kind is 1 for Unigram, 2 for BPE.
func (v *realVocab) model(first, end int, kind uint64, lead ...string) []byte {
	var model []byte
	add := func(text string, score float32, typ int32) {
		p := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), text)
		p = protowire.AppendFixed32(protowire.AppendTag(p, 2, protowire.Fixed32Type), math.Float32bits(score))
		p = protowire.AppendVarint(protowire.AppendTag(p, 3, protowire.VarintType), uint64(typ))
		model = protowire.AppendBytes(protowire.AppendTag(model, 1, protowire.BytesType), p)
	}
	for _, text := range lead {
		typ := int32(control)
		if text == "<unk>" {
			typ = unknown
		}
		add(text, 0, typ)
	}
	for id := first; id < end; id++ {
		text, typ := v.tokens[id], v.types[id]
		switch {
		case text == "<unk>":
			typ = unknown
		case typ == userDefined && text == "</s>": // Phi's is an added token
			typ = control
		}
		add(text, v.scores[id], typ)
	}
	trainer := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), kind)
	model = protowire.AppendBytes(protowire.AppendTag(model, 2, protowire.BytesType), trainer)
	normalizer := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), v.charsmap)
	return protowire.AppendBytes(protowire.AppendTag(model, 3, protowire.BytesType), normalizer)
}

// sentencePiece writes Llama's tokenizer.model, whose tokens beyond the pieces are added ones.
func (v *realVocab) sentencePiece(c *archtest.Checkpoint) {
	const pieces = 32000
	c.Files["tokenizer.model"] = v.model(0, pieces, 2)
	if len(v.tokens) > pieces {
		v.config(c, "LlamaTokenizer", object{"bos_token": "<s>", "unk_token": "<unk>"})
	} else {
		writeJSON(c, "tokenizer_config.json", object{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
	}
}

// sentencePieceJSON writes what transformers makes of tokenizer.model: the same pieces without their scores.
func (v *realVocab) sentencePieceJSON(c *archtest.Checkpoint) {
	vocab := object{}
	for id, text := range v.tokens {
		vocab[text] = id
	}
	writeJSON(c, "tokenizer.json", object{
		"added_tokens": list{object{"id": 0, "content": "<unk>", "special": true}, object{"id": 1, "content": "<s>", "special": true}, object{"id": 2, "content": "</s>", "special": true}},
		"normalizer":   object{"type": "Sequence", "normalizers": list{object{"type": "Prepend", "prepend": "▁"}, object{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"}}},
		"decoder":      object{"type": "Sequence", "decoders": list{object{"type": "ByteFallback"}, object{"type": "Fuse"}}},
		"model":        object{"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "vocab": vocab, "merges": []string{"▁ t"}},
	})
	writeJSON(c, "tokenizer_config.json", object{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
	v.merges = nil
}

// xlmEnd is where the pieces of XLM-RoBERTa's model end.
const xlmEnd = 250001

var xlmNames = object{"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>",
	"tokenizer_class": "XLMRobertaTokenizer", "add_prefix_space": true, "clean_up_tokenization_spaces": true}

// xlmModel writes sentencepiece.bpe.model, which starts with three tokens of its own and has no <mask>.
func (v *realVocab) xlmModel(c *archtest.Checkpoint) {
	c.Files["sentencepiece.bpe.model"] = v.model(4, xlmEnd, 1, "<unk>", "<s>", "</s>")
	writeJSON(c, "tokenizer_config.json", xlmNames)
	c.Config["unk_token_id"] = 3 // of tokens that tokenizer_config.json names, tokenizer.json alone has the ids
}

// xlmJSON writes the same as tokenizer.json.
func (v *realVocab) xlmJSON(c *archtest.Checkpoint) {
	pieces := list{}
	for id, text := range v.tokens[:xlmEnd+1] {
		pieces = append(pieces, list{text, v.scores[id]})
	}
	var added list
	for _, id := range []int{0, 1, 2, 3, xlmEnd} {
		added = append(added, object{"id": id, "content": v.tokens[id], "special": true})
	}
	writeJSON(c, "tokenizer.json", object{
		"added_tokens":  added,
		"normalizer":    object{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString(v.charsmap)},
		"pre_tokenizer": object{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true},
		"model":         object{"type": "Unigram", "unk_id": 3, "vocab": pieces},
	})
	writeJSON(c, "tokenizer_config.json", xlmNames)
}

// xlmBoth writes both, as Nomic's model has them.
func (v *realVocab) xlmBoth(c *archtest.Checkpoint) {
	v.xlmJSON(c)
	v.xlmModel(c)
}

// t5Model writes the tokens in their own order into T5's spiece.model.
func (v *realVocab) t5Model(c *archtest.Checkpoint) {
	c.Files["spiece.model"] = v.model(0, xlmEnd, 1)
	writeJSON(c, "tokenizer_config.json", object{"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "tokenizer_class": "T5Tokenizer"})
	c.Config["unk_token_id"] = 3
}
