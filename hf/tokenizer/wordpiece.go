package tokenizer

import "fmt"

// wordPiece makes the vocabulary of a BERT tokenizer, as BertModel.set_vocab does: a piece that starts a word gets
// U+2581 before it, one that goes on loses its "##".
func (l *loader) wordPiece() (*Vocab, error) {
	t := l.files.tokenizer
	if t.Model.Type != "WordPiece" {
		return nil, fmt.Errorf("tokenizer.json: a %s model, this architecture needs WordPiece", t.Model.Type)
	}
	added, err := l.addedTokens()
	if err != nil {
		return nil, err
	}
	v, err := l.byID(added)
	if err != nil {
		return nil, err
	}
	v.Model = "bert"
	for _, a := range added {
		v.Tokens[a.ID], v.Types[a.ID] = l.addedText(a)
	}
	for id, text := range v.Tokens {
		switch {
		case v.Types[id] == Control:
		case len(text) >= 2 && text[:2] == "##":
			v.Tokens[id] = text[2:]
		default:
			v.Tokens[id] = "\u2581" + text
		}
	}
	l.special(v, false)
	v.Pre = l.wordPieceName(v)
	if err := l.templates(v); err != nil {
		return nil, err
	}
	return v, v.check()
}

// wordPieceName is the name that the converter finds for the vocabulary of BERT in English or Chinese. llama.cpp reads
// no pre-tokenizer for WordPiece, so the name of any other is of no consequence.
func (l *loader) wordPieceName(v *Vocab) string {
	lower := v.Lowercase != nil && *v.Lowercase
	switch n := len(l.files.tokenizer.vocab); {
	case l.opts.Pre != "":
		return l.opts.Pre
	case n == 30522 && lower:
		return "jina-v2-en"
	case n == 21128 && lower:
		return "bert-bge-large"
	}
	return "default"
}
