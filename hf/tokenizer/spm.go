package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Scores that the converter gives to tokens which the SentencePiece model does not have.
const (
	paddingScore = -10000
	addedScore   = -1000
)

// spm makes the vocabulary of a SentencePiece model, as _create_vocab_sentencepiece does: the pieces,
// then added_tokens.json over them, then added_tokens_decoder of tokenizer_config.json.
func (l *loader) spm() (*Vocab, error) {
	pieces, err := parseSentencePiece(l.files.sentencePiece)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.model: %w", err)
	}
	size := l.opts.VocabSize
	if size == 0 {
		size = int64(len(pieces))
	}
	v := newVocab("llama", "default", size)
	for i, p := range pieces[:min(int64(len(pieces)), size)] {
		text, kind := p.text, notUserDefined(p.kind)
		if l.opts.InternLM {
			text, kind = internPiece(text, kind)
		}
		v.put(int64(i), text, p.score, kind)
	}
	if l.opts.InternLM {
		if size > int64(len(pieces)) {
			return nil, fmt.Errorf("tokenizer.model has %d pieces, but vocab_size is %d", len(pieces), size)
		}
		s, err := parseSpec(l.files.sentencePiece)
		if err != nil {
			return nil, fmt.Errorf("tokenizer.model: %w", err)
		}
		v.MidSpacePrefix = &s.addPrefix
	}
	if err := l.overlayAdded(v); err != nil {
		return nil, err
	}
	l.special(v, false)
	if l.opts.InternLM || l.opts.InternLM3 {
		v.endWith("<|im_end|>")
	}
	if b, ok := l.files.config["add_prefix_space"].(bool); ok && l.opts.InternLM3 {
		v.MidSpacePrefix = &b
	}
	if err := l.templates(v); err != nil {
		return nil, err
	}
	return v, v.check()
}

// newVocab is a vocabulary of the given size in which every token is still padding.
func newVocab(model, pre string, size int64) *Vocab {
	v := &Vocab{Model: model, Pre: pre, Tokens: make([]string, size), Scores: make([]float32, size), Types: make([]int32, size)}
	for i := range v.Tokens {
		v.put(int64(i), padding(int64(i)), paddingScore, Unused)
	}
	return v
}

func (v *Vocab) put(id int64, text string, score float32, kind int32) {
	v.Tokens[id], v.Scores[id], v.Types[id] = text, score, kind
}

// padding is the text of a token that the tokenizer does not know.
func padding(id int64) string { return "[PAD" + strconv.FormatInt(id, 10) + "]" }

// overlayAddedFile puts the tokens of added_tokens.json in their places. Ids beyond the vocabulary are left out, as there.
func (l *loader) overlayAddedFile(v *Vocab) error {
	for _, text := range slices.Sorted(maps.Keys(l.files.added)) {
		n, ok := l.files.added[text].(json.Number)
		if !ok {
			return fmt.Errorf("added_tokens.json: %q: want a token id", text)
		}
		id, err := parseID(n.String())
		if err != nil {
			return fmt.Errorf("added_tokens.json: %q: %w", text, err)
		}
		if id < int64(len(v.Tokens)) {
			v.put(id, text, addedScore, UserDefined)
		}
	}
	return nil
}

// overlayAdded puts all added tokens in their places.
func (l *loader) overlayAdded(v *Vocab) error {
	if err := l.overlayAddedFile(v); err != nil {
		return err
	}
	decoder, err := l.files.addedTokensDecoder()
	if err != nil {
		return err
	}
	for _, t := range decoder {
		if t.ID >= int64(len(v.Tokens)) {
			continue
		}
		if l.opts.Phi || l.opts.InternLM {
			v.putPlain(t)
			continue
		}
		if t.Special || looksSpecial(t.Content) {
			v.put(t.ID, t.Content, addedScore, Control)
		} else {
			v.put(t.ID, spaces(t.Content), addedScore, UserDefined)
		}
	}
	if (l.opts.Phi || l.opts.InternLM) && l.files.tokenizer != nil {
		for _, t := range l.files.tokenizer.AddedTokens {
			if t.ID < int64(len(v.Tokens)) {
				v.putPlain(t)
			}
		}
	}
	return nil
}

// internPiece types a piece of InternLM 2, which has one that is a NUL, no text for llama.cpp.
func internPiece(text string, kind int32) (string, int32) {
	if text == "\x00" {
		text = "🐉"
	}
	if strings.HasPrefix(text, "[UNUSED") {
		kind = Unused
	}
	return text, kind
}

// endWith makes an added token the eos token, if there is one of that text and an eos token.
func (v *Vocab) endWith(text string) {
	for id, t := range v.Tokens {
		for i := range v.Special {
			if t == text && v.Scores[id] == addedScore && v.Special[i].Kind == "eos" {
				v.Special[i].ID = uint32(id)
			}
		}
	}
}

// putPlain puts an added token in its place as it stands.
func (v *Vocab) putPlain(t addedToken) {
	kind := UserDefined
	if t.Special {
		kind = Control
	}
	v.put(t.ID, t.Content, addedScore, kind)
}

// spaces puts spaces for U+2581, SentencePiece's sign for one: llama.cpp takes user-defined tokens as
// normalised already.
func spaces(text string) string { return strings.ReplaceAll(text, "\u2581", " ") }

// looksSpecial recognises control tokens that models forget to mark as special
// (TextModel.does_token_look_special).
func looksSpecial(text string) bool {
	switch text {
	case "<pad>", "<mask>", "<2mass>", "[@BOS@]":
		return true
	}
	between := func(prefix, suffix string) bool {
		return strings.HasPrefix(text, prefix) && strings.HasSuffix(text, suffix)
	}
	return between("<|", "|>") || between("<｜", "｜>") || between("<unused", ">")
}
