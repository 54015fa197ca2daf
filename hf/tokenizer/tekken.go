package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// tekkenFile is a tekken.json, the vocabulary of newer Mistral models: tiktoken's bytes by rank, and special tokens that
// stand before them.
type tekkenFile struct {
	Config struct {
		Version  string `json:"version"`
		Size     int64  `json:"default_vocab_size"`
		Specials int64  `json:"default_num_special_tokens"`
	} `json:"config"`
	Vocab   []tekkenToken `json:"vocab"`
	Special []struct {
		Rank int64  `json:"rank"`
		Text string `json:"token_str"`
	} `json:"special_tokens"`
}

type tekkenToken struct {
	Rank  int64  `json:"rank"`
	Bytes []byte `json:"token_bytes"` // base64 in the file
}

// maxTekkenToken bounds a token's bytes; the longest of Mistral's have about a hundred.
const maxTekkenToken = 1024

// tekkenSpecials are the special tokens of files that list none, which are of version 7 and older.
var tekkenSpecials = []string{"<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
	"[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"}

// tekkenTemplates are names of chat templates that llama.cpp has built in, by the version of the file.
var tekkenTemplates = map[string]string{"v1": "mistral-v1", "v3": "mistral-v3-tekken", "v7": "mistral-v7-tekken"}

// tekken makes the vocabulary of tekken.json (_set_vocab_mistral with MistralVocab).
//
// From version 11 on the converter writes a community's chat template out of llama.cpp's own folder. We take the model's
// chat_template.jinja or .json, if it has one, and none otherwise.
func (l *loader) tekken(data []byte) (*Vocab, error) {
	f := new(tekkenFile)
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("tekken.json: %w", err)
	}
	v, err := f.vocabulary()
	if err != nil {
		return nil, fmt.Errorf("tekken.json: %w", err)
	}
	if v.Pre = "tekken"; l.opts.Pre != "" {
		if v.Pre, err = l.preTokenizer(); err != nil {
			return nil, err
		}
	}
	for _, t := range []struct{ kind, text string }{{"bos", "<s>"}, {"eos", "</s>"}, {"unk", "<unk>"}, {"pad", "<pad>"}} {
		id := slices.Index(v.Tokens[:f.Config.Specials], t.text)
		if id < 0 {
			return nil, fmt.Errorf("tekken.json: no special token %q", t.text)
		}
		v.Special = append(v.Special, SpecialToken{t.kind, uint32(id)})
	}
	v.Add = []AddFlag{{"bos", true}, {"eos", false}}
	if name, ok := tekkenTemplates[f.Config.Version]; ok {
		v.ChatTemplate = name
	} else if template, err := l.templateFile(); err != nil {
		return nil, err
	} else {
		v.setDefault(template)
	}
	return v, v.check()
}

// setDefault takes the one template, or the default one of several.
func (v *Vocab) setDefault(template any) {
	v.ChatTemplate = str(template)
	for _, x := range list(template) {
		if str(dig(x, "name")) == "default" {
			v.ChatTemplate = str(dig(x, "template"))
		}
	}
}

func (f *tekkenFile) vocabulary() (*Vocab, error) {
	size, specials := f.Config.Size, f.Config.Specials
	inner := size - specials
	switch {
	case f.Config.Version == "":
		return nil, errors.New("config has no version")
	case specials < 1 || specials > 1<<16 || inner < 256 || size > maxTokens:
		return nil, fmt.Errorf("%d tokens, %d of them special: want 1 to %d special ones, 256 or more others, and %d at most", size, specials, 1<<16, maxTokens)
	case inner > int64(len(f.Vocab)):
		return nil, fmt.Errorf("vocab has %d tokens, want %d or more", len(f.Vocab), inner)
	}
	v := &Vocab{Model: "gpt2", Tekken: true, Tokens: make([]string, 0, size), Types: make([]int32, size)}
	texts, err := f.specials()
	if err != nil {
		return nil, err
	}
	v.Tokens = append(v.Tokens, texts...)
	ranks := make(map[string]int, inner)
	for i, t := range f.Vocab[:inner] {
		text := string(t.Bytes)
		_, twice := ranks[text]
		switch {
		case t.Rank != int64(i):
			return nil, fmt.Errorf("token %d has rank %d", i, t.Rank)
		case text == "" || len(text) > maxTekkenToken:
			return nil, fmt.Errorf("token %d has %d bytes, want 1 to %d", i, len(text), maxTekkenToken)
		case i < 256 && text != string([]byte{byte(i)}):
			return nil, fmt.Errorf("token %d is %q, want the byte of that value", i, text)
		case twice:
			return nil, fmt.Errorf("token %d: %q is there twice", i, text)
		}
		ranks[text] = i
		v.Tokens = append(v.Tokens, encodeByteLevel(text))
	}
	for id := range v.Types {
		if v.Types[id] = Normal; int64(id) < specials {
			v.Types[id] = Control
		}
	}
	v.Merges, err = mergesOf(f.Vocab[256:inner], ranks)
	return v, err
}

// specials lists the texts of the special tokens by rank, with fillers for those that the file has no text for.
func (f *tekkenFile) specials() ([]string, error) {
	texts := make([]string, f.Config.Specials)
	if f.Special == nil {
		if len(tekkenSpecials) > len(texts) {
			return nil, fmt.Errorf("%d special tokens, want %d or more", len(texts), len(tekkenSpecials))
		}
		copy(texts, tekkenSpecials)
	}
	if len(f.Special) > len(texts) {
		return nil, fmt.Errorf("%d special tokens, but default_num_special_tokens is %d", len(f.Special), len(texts))
	}
	for i, t := range f.Special {
		if t.Rank != int64(i) || t.Text == "" {
			return nil, fmt.Errorf("special token %d: %q has rank %d", i, t.Text, t.Rank)
		}
		texts[i] = t.Text
	}
	seen := map[string]bool{}
	for i := range texts {
		if texts[i] == "" {
			texts[i] = fmt.Sprintf("<SPECIAL_%d>", i)
		}
		if seen[texts[i]] {
			return nil, fmt.Errorf("special token %q is there twice", texts[i])
		}
		seen[texts[i]] = true
	}
	return texts, nil
}

// mergesOf finds the merges behind tiktoken's ranks: every pair of tokens that makes a third one, by the third's rank and
// then by theirs.
func mergesOf(tokens []tekkenToken, ranks map[string]int) ([]string, error) {
	type pair struct {
		left, right int // ranks
		cut         int // where the token is cut in two
	}
	var merges []string
	var pairs []pair
	for _, t := range tokens {
		text := string(t.Bytes)
		pairs = pairs[:0]
		for cut := 1; cut < len(text); cut++ {
			left, ok := ranks[text[:cut]]
			right, ok2 := ranks[text[cut:]]
			if ok && ok2 {
				pairs = append(pairs, pair{left, right, cut})
			}
		}
		if len(pairs) == 0 {
			return nil, fmt.Errorf("token %d: %q is no pair of other tokens", t.Rank, text)
		}
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right)) })
		for _, p := range pairs {
			merges = append(merges, encodeByteLevel(text[:p.cut])+" "+encodeByteLevel(text[p.cut:]))
		}
	}
	return merges, nil
}
