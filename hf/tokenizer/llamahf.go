package tokenizer

import (
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
