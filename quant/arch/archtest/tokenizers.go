package archtest

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// corpus is what the tokenizers are trained on.
const corpus = `the quick brown fox jumps over the lazy dog and the dog jumps over the fox again
a small model is trained on a small text and the text is read by the model again and again
numbers such as 1 22 333 and 4444 stand between words and so do signs like ! ? , . ; : ( ) [ ]
when the weights are read once they are written to every output at the same time and in order
quantization makes the weights of a model smaller and the model faster without making it much worse
the tokenizer splits the text into words and the words into pieces that the model has seen before`

// Regular expressions of two families' pre-tokenizers.
const (
	llama3Split = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	tekkenSplit = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Split  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// learn finds up to n merges in the corpus: the most frequent pair of neighbours, again and again. start is
// how a space is spelled. It returns pairs in the order of their ranks.
func learn(n int, start string) [][2]string {
	count := map[string]int{}
	for _, line := range strings.Split(corpus, "\n") {
		for _, w := range strings.Fields(line) {
			count[start+w]++
		}
	}
	words := map[string][]string{}
	for w := range count {
		words[w] = strings.Split(w, "")
	}
	var merges [][2]string
	for len(merges) < n {
		pairs := map[[2]string]int{}
		for w, parts := range words {
			for i := 1; i < len(parts); i++ {
				pairs[[2]string{parts[i-1], parts[i]}] += count[w]
			}
		}
		var best [2]string
		for p, c := range pairs {
			if c > pairs[best] || c == pairs[best] && (p[0]+" "+p[1] < best[0]+" "+best[1]) {
				best = p
			}
		}
		if pairs[best] == 0 {
			break
		}
		merges = append(merges, best)
		for w, parts := range words {
			words[w] = merge(parts, best)
		}
	}
	return merges
}

func merge(parts []string, pair [2]string) []string {
	var out []string
	for i := 0; i < len(parts); i++ {
		if i+1 < len(parts) && parts[i] == pair[0] && parts[i+1] == pair[1] {
			out = append(out, parts[i]+parts[i+1])
			i++
			continue
		}
		out = append(out, parts[i])
	}
	return out
}

// byteAlphabet is GPT-2's: a visible character for every byte.
func byteAlphabet() []string {
	out := make([]string, 256)
	next := rune(256)
	for b := range out {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			out[b] = string(rune(b))
		} else {
			out[b] = string(next)
			next++
		}
	}
	return out
}

type added struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	Normalized bool   `json:"normalized"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	SingleWord bool   `json:"single_word"`
}

// bpe writes tokenizer.json: 256 bytes, merges, and the added tokens from id 500 on. Without a pattern text is split as
// GPT-2 does.
func (c *Checkpoint) bpe(pattern string, normalizer any, pairs, ignoreMerges bool, tokens []added, post any) {
	vocab := map[string]int{}
	for _, s := range byteAlphabet() {
		vocab[s] = len(vocab)
	}
	var merges []any
	for _, m := range learn(230, "Ġ") {
		if _, ok := vocab[m[0]+m[1]]; !ok {
			vocab[m[0]+m[1]] = len(vocab)
		}
		if pairs {
			merges = append(merges, []string{m[0], m[1]})
		} else {
			merges = append(merges, m[0]+" "+m[1])
		}
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
	split := map[string]any{"type": "Split", "pattern": map[string]string{"Regex": pattern}, "behavior": "Isolated", "invert": false}
	pre := map[string]any{"type": "Sequence", "pretokenizers": []any{split, byteLevel}}
	if pattern == "" {
		pre = map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	}
	c.json("tokenizer.json", map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil,
		"added_tokens":   tokens,
		"normalizer":     normalizer,
		"pre_tokenizer":  pre,
		"post_processor": post,
		"decoder":        byteLevel,
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "byte_fallback": false,
			"ignore_merges": ignoreMerges, "vocab": vocab, "merges": merges},
	})
}

func (c *Checkpoint) json(name string, v any) {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(fmt.Sprintf("archtest: %s: %v", name, err))
	}
	c.Files[name] = data
}

func (c *Checkpoint) llama3BPE() {
	tokens := []added{
		{ID: 500, Content: "<|begin_of_text|>", Special: true},
		{ID: 501, Content: "<|end_of_text|>", Special: true},
		{ID: 502, Content: "<|eot_id|>", Special: true},
		{ID: 503, Content: "<|plain|>", Special: false, Normalized: true},
	}
	piece := func(kind, id string) any { return map[string]any{kind: map[string]any{"id": id, "type_id": 0}} }
	bos, a, b := piece("SpecialToken", "<|begin_of_text|>"), piece("Sequence", "A"), piece("Sequence", "B")
	c.bpe(llama3Split, nil, false, true, tokens, map[string]any{"type": "Sequence", "processors": []any{
		map[string]any{"type": "ByteLevel"},
		map[string]any{"type": "TemplateProcessing", "single": []any{bos, a}, "pair": []any{bos, a, bos, b}},
	}})
	c.json("tokenizer_config.json", map[string]any{
		"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "tokenizer_class": "PreTrainedTokenizerFast",
		"clean_up_tokenization_spaces": true, "chat_template": "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}",
	})
}

func (c *Checkpoint) qwenBPE() {
	tokens := []added{
		{ID: 500, Content: "<|endoftext|>", Special: true},
		{ID: 501, Content: "<|im_start|>", Special: true},
		{ID: 502, Content: "<|im_end|>", Special: true},
		{ID: 503, Content: "<tool_call>"},
	}
	c.bpe(qwen2Split, map[string]string{"type": "NFC"}, true, false, tokens, map[string]any{"type": "ByteLevel"})
	decoder := map[string]any{}
	for _, t := range tokens {
		decoder[fmt.Sprint(t.ID)] = map[string]any{"content": t.Content, "special": t.Special, "normalized": false}
	}
	c.json("tokenizer_config.json", map[string]any{
		"add_bos_token": false, "add_prefix_space": false, "bos_token": nil, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
		"unk_token": nil, "added_tokens_decoder": decoder, "clean_up_tokenization_spaces": false, "tokenizer_class": "Qwen2Tokenizer",
	})
	c.Files["chat_template.jinja"] = []byte("{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
}

// glmBPE is qwenBPE with the tokens that GLM has roles for, and Llama's expression.
func (c *Checkpoint) glmBPE() {
	c.withTokens(llama3Split, "<|endoftext|>", "[gMASK]", "<|user|>", "<|observation|>")
	c.json("tokenizer_config.json", map[string]any{"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "clean_up_tokenization_spaces": false,
		"tokenizer_class": "PreTrainedTokenizer"})
	delete(c.Config, "bos_token_id")
	c.Config["eos_token_id"] = []int{500, 502}
}

// tekkenBPE is the tokenizer of newer Mistral models.
func (c *Checkpoint) tekkenBPE(more ...string) {
	c.withTokens(tekkenSplit, append([]string{"<unk>", "<s>", "</s>", "[INST]"}, more...)...)
	c.json("tokenizer_config.json", map[string]any{"add_bos_token": true, "add_prefix_space": false, "bos_token": "<s>", "eos_token": "</s>",
		"unk_token": "<unk>", "tokenizer_class": "PreTrainedTokenizerFast"})
}

// tekkenJSON writes tekken.json alone, as Mistral's own repositories have it: bytes and what was learned, by rank. The special
// tokens are those of version 7, and fillers.
func (c *Checkpoint) tekkenJSON() {
	type token struct {
		Rank  int    `json:"rank"`
		Bytes []byte `json:"token_bytes"`
		Text  string `json:"token_str"`
	}
	var tokens []token
	seen := map[string]bool{}
	add := func(text string) {
		if !seen[text] {
			seen[text] = true
			tokens = append(tokens, token{len(tokens), []byte(text), text})
		}
	}
	for b := range 256 {
		add(string([]byte{byte(b)}))
	}
	for _, m := range learn(225, " ") {
		add(m[0] + m[1])
	}
	c.json("tekken.json", map[string]any{
		"config": map[string]any{"pattern": tekkenSplit, "num_vocab_tokens": len(tokens), "default_vocab_size": Vocab,
			"default_num_special_tokens": Vocab - len(tokens), "version": "v7"},
		"vocab": tokens, "version": 1, "type": "Tekken",
	})
}

// withTokens writes a tokenizer.json with special tokens from id 500 on.
func (c *Checkpoint) withTokens(pattern string, texts ...string) {
	var tokens []added
	for i, text := range texts {
		tokens = append(tokens, added{ID: 500 + i, Content: text, Special: true})
	}
	c.bpe(pattern, nil, true, false, tokens, map[string]any{"type": "ByteLevel"})
}

// namedTemplates puts a second chat template beside the first.
func (c *Checkpoint) namedTemplates() {
	c.Files["additional_chat_templates/tool_use.jinja"] = []byte("{{ tools }}")
}

// unigram writes sentencepiece.bpe.model as XLM-RoBERTa has it: words and letters with their probabilities.
func (c *Checkpoint) unigram() {
	c.Files["sentencepiece.bpe.model"] = unigramModel(nil, piece{"<unk>", 0, 2}, piece{"<s>", 0, 3}, piece{"</s>", 0, 3})
	c.json("tokenizer_config.json", map[string]any{"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>",
		"unk_token": "<unk>", "mask_token": "<mask>", "tokenizer_class": "XLMRobertaTokenizer"})
}

// spiece writes T5's kind of SentencePiece model under one of its names.
func (c *Checkpoint) spiece(name string) {
	c.Files[name] = unigramModel(charsmap(), piece{"<pad>", 0, 3}, piece{"</s>", 0, 3}, piece{"<unk>", 0, 2})
	c.json("tokenizer_config.json", map[string]any{"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "tokenizer_class": "T5Tokenizer"})
}

// piece is one of a SentencePiece model.
type piece struct {
	text  string
	score float32
	kind  uint64
}

// unigramModel is a SentencePiece model of the given pieces and the corpus' words and letters.
func unigramModel(charsmap []byte, first ...piece) []byte {
	var model []byte
	seen := map[string]bool{}
	add := func(x piece) {
		if seen[x.text] {
			return
		}
		seen[x.text] = true
		p := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), x.text)
		p = protowire.AppendFixed32(protowire.AppendTag(p, 2, protowire.Fixed32Type), math.Float32bits(x.score))
		p = protowire.AppendVarint(protowire.AppendTag(p, 3, protowire.VarintType), x.kind)
		model = protowire.AppendBytes(protowire.AppendTag(model, 1, protowire.BytesType), p)
	}
	for _, x := range first {
		add(x)
	}
	for i, w := range strings.Fields(corpus) {
		add(piece{"▁" + w, -5 - float32(i)/64, 1})
	}
	for i, r := range "▁" + strings.ReplaceAll(strings.ReplaceAll(corpus, "\n", ""), " ", "") {
		add(piece{string(r), -10 - float32(i)/64, 1})
	}
	trainer := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 1) // model_type: Unigram
	model = protowire.AppendBytes(protowire.AppendTag(model, 2, protowire.BytesType), trainer)
	normalizer := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "identity")
	if charsmap != nil {
		normalizer = protowire.AppendBytes(protowire.AppendTag(normalizer, 2, protowire.BytesType), charsmap)
	}
	return protowire.AppendBytes(protowire.AppendTag(model, 3, protowire.BytesType), normalizer)
}

// sentencePiece writes tokenizer.model: the unknown piece, two control pieces, bytes, merged pieces and single
// characters. It ends short of the vocabulary, and two added tokens stand in the gap.
func (c *Checkpoint) sentencePiece() {
	var model []byte
	seen := map[string]bool{}
	add := func(text string, score float32, kind uint64) {
		if seen[text] {
			return
		}
		seen[text] = true
		p := protowire.AppendTag(nil, 1, protowire.BytesType)
		p = protowire.AppendString(p, text)
		p = protowire.AppendTag(p, 2, protowire.Fixed32Type)
		p = protowire.AppendFixed32(p, math.Float32bits(score))
		if kind != 1 {
			p = protowire.AppendTag(p, 3, protowire.VarintType)
			p = protowire.AppendVarint(p, kind)
		}
		model = protowire.AppendTag(model, 1, protowire.BytesType)
		model = protowire.AppendBytes(model, p)
	}
	add("<unk>", 0, 2)
	add("<s>", 0, 3)
	add("</s>", 0, 3)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), 0, 6)
	}
	rank := 0
	for _, m := range learn(180, "▁") {
		add(m[0]+m[1], float32(-rank), 1)
		rank++
	}
	for _, r := range "▁" + strings.ReplaceAll(strings.ReplaceAll(corpus, "\n", ""), " ", "") {
		add(string(r), float32(-rank), 1)
		rank++
	}
	trainer := protowire.AppendTag(nil, 3, protowire.VarintType) // model_type: BPE
	trainer = protowire.AppendVarint(trainer, 2)
	trainer = protowire.AppendTag(trainer, 35, protowire.VarintType) // byte_fallback
	trainer = protowire.AppendVarint(trainer, 1)
	model = protowire.AppendTag(model, 2, protowire.BytesType)
	model = protowire.AppendBytes(model, trainer)
	normalizer := protowire.AppendTag(nil, 1, protowire.BytesType)
	normalizer = protowire.AppendString(normalizer, "identity")
	model = protowire.AppendTag(model, 3, protowire.BytesType)
	model = protowire.AppendBytes(model, normalizer)

	c.Files["tokenizer.model"] = model
	c.json("added_tokens.json", map[string]int{"<pad>": Vocab - 2})
	token := func(text string) map[string]any { return map[string]any{"content": text, "special": true} }
	c.json("tokenizer_config.json", map[string]any{
		"add_bos_token": true, "add_eos_token": false, "bos_token": token("<s>"), "eos_token": token("</s>"), "unk_token": token("<unk>"),
		"added_tokens_decoder": map[string]any{
			"0": token("<unk>"), "1": token("<s>"), "2": token("</s>"),
			fmt.Sprint(Vocab - 1): map[string]any{"content": "▁two▁words", "special": false},
		},
		"tokenizer_class": "LlamaTokenizer", "add_prefix_space": true,
		"chat_template": []any{
			map[string]string{"name": "default", "template": "[INST]{{ messages }}[/INST]"},
			map[string]string{"name": "tool-use", "template": "{{ tools }}"},
		},
	})
}
