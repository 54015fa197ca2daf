package tokenizer

import (
	"errors"
	"fmt"
	"slices"
)

// llamaHF makes the vocabulary of a tokenizer.json that was made from a SentencePiece model, as
// LlamaHfVocab does. The scores are lost in such a file: every token gets the same one.
func (l *loader) llamaHF() (*Vocab, error) {
	t := l.files.tokenizer
	added, err := l.addedTokens()
	if err != nil {
		return nil, err
	}
	v, err := l.byID(added)
	if err != nil {
		return nil, err
	}
	v.Model, v.Pre, v.Scores = "llama", "default", make([]float32, len(v.Tokens))
	specials := l.files.specialTexts()
	for id, text := range v.Tokens {
		v.Scores[id] = addedScore
		switch {
		case v.Types[id] == Unused: // the converter stops short of vocab_size here, which no loader accepts
			v.Scores[id] = paddingScore
		case isByteToken(text):
			v.Types[id] = Byte
		case slices.Contains(specials, text):
			v.Types[id] = Control
		}
	}
	for _, a := range added {
		if a.ID < int64(len(t.vocab)) { // a token of the base vocabulary: typed above
			continue
		}
		if v.Types[a.ID] = UserDefined; slices.Contains(specials, a.Content) {
			v.Types[a.ID] = Control
		}
	}
	if id := slices.Index(v.Types, Unused); id >= 0 && id < len(t.vocab) {
		return nil, fmt.Errorf("tokenizer.json: model.vocab has no token with id %d", id)
	}
	l.special(v, false)
	if err := l.templates(v); err != nil {
		return nil, err
	}
	return v, v.check()
}

// pieces is llamaHF without a space before the text.
func (l *loader) pieces() (*Vocab, error) {
	if l.opts.Pre != "" {
		return nil, fmt.Errorf("pre-tokenizer %q: the model's tokenizer.json is taken for a SentencePiece one, which has no pre-tokenizer to choose", l.opts.Pre)
	}
	v, err := l.llamaHF()
	if err != nil {
		return nil, err
	}
	off := false
	v.LateSpacePrefix = &off
	return v, nil
}

// visible are tokens of Gemma 4 that a reader of its answers has to see.
var visible = []string{"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", `<|"|>`}

// gemma4 makes the vocabulary of Gemma 4, which is merged as tokenizer.json says (Gemma4Model.set_vocab).
func (l *loader) gemma4() (*Vocab, error) {
	if l.opts.Pre != "" {
		return nil, fmt.Errorf("pre-tokenizer %q: Gemma 4 has none to choose", l.opts.Pre)
	}
	v, err := l.llamaHF()
	if err != nil {
		return nil, err
	}
	v.Model, v.Pre, v.Merges = "gemma4", "", l.files.tokenizer.merges
	if len(v.Merges) == 0 {
		return nil, errors.New("tokenizer.json: no merges")
	}
	for id, text := range v.Tokens {
		if slices.Contains(visible, text) {
			v.Types[id] = UserDefined
		}
	}
	off, on := false, true
	v.LateSpacePrefix, v.LateAddBOS = &off, &on
	return v, nil
}

// isByteToken recognises SentencePiece's name of a byte: <0x0A>.
func isByteToken(text string) bool {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return false
	}
	for _, c := range text[3:5] {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}
