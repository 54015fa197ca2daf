package tokenizer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// addedToken is a token that was added to a vocabulary, and how text is matched with it.
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	Normalized *bool  `json:"normalized"` // nil: the opposite of Special
}

func (t addedToken) normalized() bool {
	if t.Normalized == nil {
		return !t.Special
	}
	return *t.Normalized
}

// addedTokensDecoder reads added_tokens_decoder of tokenizer_config.json, by id; nil if absent.
func (f *files) addedTokensDecoder() ([]addedToken, error) {
	raw, ok := f.config["added_tokens_decoder"]
	if !ok || raw == nil {
		return nil, nil
	}
	fail := func(format string, args ...any) ([]addedToken, error) {
		return nil, fmt.Errorf("tokenizer_config.json: added_tokens_decoder: "+format, args...)
	}
	decoder, ok := raw.(object)
	if !ok {
		return fail("want an object")
	}
	tokens := make([]addedToken, 0, len(decoder))
	for key, value := range decoder {
		id, err := parseID(key)
		if err != nil {
			return fail("%w", err)
		}
		text, ok := dig(value, "content").(string)
		if !ok {
			return fail("%q: no content", key)
		}
		t := addedToken{ID: id, Content: text, Special: isTrue(dig(value, "special"))}
		if n, ok := dig(value, "normalized").(bool); ok {
			t.Normalized = &n
		}
		tokens = append(tokens, t)
	}
	slices.SortFunc(tokens, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(tokens); i++ {
		if tokens[i].ID == tokens[i-1].ID {
			return fail("token id %d is there twice", tokens[i].ID)
		}
	}
	return tokens, nil
}

// specialNames are the attributes of transformers' SpecialTokensMixin that hold one token.
var specialNames = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// llamaDefaults are the special tokens that transformers' LlamaTokenizer has where a model names none.
var llamaDefaults = map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}

// specialTexts lists the texts of the model's special tokens, as transformers gathers them: from
// tokenizer_config.json and, for a model without added_tokens_decoder, from special_tokens_map.json over it.
func (f *files) specialTexts() []string {
	var texts []string
	add := func(v any) {
		if text, ok := content(v); ok && text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	at := func(name string) any {
		if _, modern := f.config["added_tokens_decoder"]; !modern {
			if v, ok := f.specials[name]; ok {
				return v
			}
		}
		v, ok := f.config[name]
		if class := str(f.config["tokenizer_class"]); !ok && (class == "LlamaTokenizer" || class == "LlamaTokenizerFast") {
			if text, ok := llamaDefaults[name]; ok {
				return text
			}
		}
		return v
	}
	for _, name := range specialNames {
		add(at(name))
	}
	for _, v := range list(at("additional_special_tokens")) {
		add(v)
	}
	return texts
}

// addedTokens lists the added tokens with the ids and flags that transformers ends up with: those of
// tokenizer.json, changed and joined by those of tokenizer_config.json (or of added_tokens.json in models
// without added_tokens_decoder) and by special tokens that neither has. The list is sorted by id.
func (l *loader) addedTokens() ([]addedToken, error) {
	t := l.files.tokenizer
	byText := map[string]addedToken{}
	next := int64(len(t.vocab)) // the id of the next token that has none
	put := func(a addedToken, hasID bool) {
		if a.Content == "" {
			return
		}
		if old, ok := byText[a.Content]; ok {
			a.ID = old.ID
		} else if id, ok := t.vocab[a.Content]; ok {
			a.ID = id
		} else if !hasID {
			a.ID = next
		}
		next = max(next, a.ID+1)
		byText[a.Content] = a
	}
	for _, a := range t.AddedTokens {
		put(a, true)
	}
	more, err := l.files.addedTokensDecoder()
	if err != nil {
		return nil, err
	}
	specials := l.files.specialTexts()
	for _, a := range more {
		a.Special = a.Special || slices.Contains(specials, a.Content)
		put(a, t.slow) // transformers' own tokenizers keep the ids, those of the library count on
	}
	if _, modern := l.files.config["added_tokens_decoder"]; !modern {
		for _, text := range slices.Sorted(maps.Keys(l.files.added)) {
			if _, ok := byText[text]; !ok {
				put(addedToken{Content: text, Special: slices.Contains(specials, text)}, false)
			}
		}
	}
	for _, text := range specials {
		if _, ok := byText[text]; !ok {
			put(addedToken{Content: text, Special: true}, false)
		}
	}
	return slices.SortedFunc(maps.Values(byText), func(a, b addedToken) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Content, b.Content))
	}), nil
}
