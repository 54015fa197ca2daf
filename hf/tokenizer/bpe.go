package tokenizer

import (
	"errors"
	"fmt"
)

// bpe makes the vocabulary of a byte-level BPE tokenizer.json, as get_vocab_base and _set_vocab_gpt2 do.
func (l *loader) bpe() (*Vocab, error) {
	t := l.files.tokenizer
	if t.Model.Type != "BPE" && t.Model.Type != "" {
		return nil, fmt.Errorf("tokenizer.json: a %s model, only BPE and SentencePiece tokenizers can be converted", t.Model.Type)
	}
	model, pre := "gpt2", ""
	if l.opts.Whitespace && typeOf(t.PreTokenizer) == "Whitespace" {
		model, pre = "whitespace", "whitespace"
	} else {
		var err error
		if pre, err = l.preTokenizer(); err != nil {
			return nil, err
		}
	}
	merges := t.merges
	if len(merges) == 0 {
		data, err := optional(l.files.read, "merges.txt")
		if err != nil {
			return nil, err
		}
		if merges = parseMergesTxt(data); len(merges) == 0 {
			return nil, errors.New("tokenizer.json: no merges, and no merges.txt")
		}
	}
	added, err := l.addedTokens()
	if err != nil {
		return nil, err
	}
	v, err := l.byID(added)
	if err != nil {
		return nil, err
	}
	v.Model, v.Pre, v.Merges = model, pre, merges
	for _, a := range added {
		v.Tokens[a.ID], v.Types[a.ID] = l.addedText(a)
	}
	l.special(v, true)
	if err := l.roles(v, added); err != nil {
		return nil, err
	}
	if err := l.templates(v); err != nil {
		return nil, err
	}
	return v, v.check()
}

// byID puts the tokens of tokenizer.json in the order of their ids. Ids without a token are padding.
func (l *loader) byID(added []addedToken) (*Vocab, error) {
	t := l.files.tokenizer
	highest, count := int64(-1), int64(len(t.vocab))
	for _, id := range t.vocab {
		highest = max(highest, id)
	}
	for _, a := range added {
		highest = max(highest, a.ID)
		if _, ok := t.vocab[a.Content]; !ok {
			count++
		}
	}
	size := l.opts.VocabSize
	if size == 0 {
		size = count
	}
	if highest >= size {
		return nil, fmt.Errorf("tokenizer.json has token id %d, but vocab_size is %d", highest, size)
	}
	v := newVocab("", "", size)
	v.Scores = nil
	place := func(id int64, text string) error {
		if v.Types[id] != Unused && v.Tokens[id] != text {
			a, b := min(text, v.Tokens[id]), max(text, v.Tokens[id])
			return fmt.Errorf("tokenizer.json: tokens %q and %q have the same id %d", a, b, id)
		}
		v.Tokens[id], v.Types[id] = text, Normal
		return nil
	}
	for text, id := range t.vocab {
		if err := place(id, text); err != nil {
			return nil, err
		}
	}
	for _, a := range added {
		if err := place(a.ID, a.Content); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// addedText is the text and the type under which llama.cpp gets an added token. It takes such tokens as
// normalised already, so one that the tokenizer does not normalise is decoded first, and a user-defined one
// gets spaces for U+2581.
func (l *loader) addedText(a addedToken) (string, int32) {
	text := a.Content
	if !a.normalized() {
		if l.files.tokenizer.hasByteLevelDecoder() {
			text = decodeByteLevel(text)
		}
		if isTrue(l.files.config["clean_up_tokenization_spaces"]) {
			text = tidySpaces(text)
		}
	}
	if a.Special || looksSpecial(text) {
		return text, Control
	}
	return spaces(text), UserDefined
}
