package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of sentencepiece_model.proto that matter to a Unigram vocabulary.
const (
	fieldTrainer     = 2 // ModelProto: TrainerSpec
	fieldModelType   = 3 // TrainerSpec: enum
	fieldCharsmap    = 2 // NormalizerSpec: bytes
	fieldExtraSpaces = 4 // NormalizerSpec: bool
)

// Values of TrainerSpec.model_type.
const (
	typeUnigram = 1
	typeBPE     = 2
)

// spec is what a SentencePiece model says of itself besides its pieces.
type spec struct {
	modelType   uint64
	charsmap    []byte // precompiled_charsmap, empty for none
	addPrefix   bool   // add_dummy_prefix
	extraSpaces bool   // remove_extra_whitespaces
}

func parseSpec(data []byte) (spec, error) {
	s := spec{modelType: typeUnigram, addPrefix: true, extraSpaces: true} // the format's defaults
	err := eachField(data, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if typ != protowire.BytesType || num != fieldTrainer && num != fieldNormalizer {
			return nil
		}
		normalizer := num == fieldNormalizer
		return eachField(value, func(num protowire.Number, typ protowire.Type, value []byte) error {
			n := uint64(0)
			if typ == protowire.VarintType {
				n, _ = protowire.ConsumeVarint(value)
			}
			switch {
			case !normalizer && num == fieldModelType && typ == protowire.VarintType:
				s.modelType = n
			case normalizer && num == fieldCharsmap && typ == protowire.BytesType:
				s.charsmap = value
			case normalizer && num == fieldDummyPrefix && typ == protowire.VarintType:
				s.addPrefix = n != 0
			case normalizer && num == fieldExtraSpaces && typ == protowire.VarintType:
				s.extraSpaces = n != 0
			}
			return nil
		})
	})
	return s, err
}

// unigramFile reads the pieces of a SentencePiece model of that name, which must be a Unigram one; nil if the model has
// no such file.
func (l *loader) unigramFile(name string) ([]piece, spec, error) {
	data, err := optional(l.files.read, name)
	if data == nil || err != nil {
		return nil, spec{}, err
	}
	pieces, err := parseSentencePiece(data)
	if err != nil {
		return nil, spec{}, fmt.Errorf("%s: %w", name, err)
	}
	s, err := parseSpec(data)
	if err != nil {
		return nil, spec{}, fmt.Errorf("%s: %w", name, err)
	}
	if s.modelType != typeUnigram {
		return nil, spec{}, fmt.Errorf("%s: model of type %d, want %d (Unigram)", name, s.modelType, typeUnigram)
	}
	return pieces, s, nil
}

// xlmRoberta makes the vocabulary of XLM-RoBERTa: from sentencepiece.bpe.model, else from tokenizer.json
// (_xlmroberta_set_vocab).
func (l *loader) xlmRoberta() (*Vocab, error) {
	const name = "sentencepiece.bpe.model"
	pieces, s, err := l.unigramFile(name)
	if err != nil {
		return nil, err
	}
	if pieces == nil {
		if l.files.tokenizer == nil {
			return nil, fmt.Errorf("neither %s nor tokenizer.json, one of which this architecture needs: %w", name, fs.ErrNotExist)
		}
		return l.unigramJSON()
	}
	v, err := l.shifted(name, pieces)
	if err != nil {
		return nil, err
	}
	return l.unigram(v, s)
}

// shifted puts the pieces of sentencepiece.bpe.model in the places that Hugging Face gives them: moved by one, behind
// four tokens of its own.
func (l *loader) shifted(name string, pieces []piece) (*Vocab, error) {
	size := max(l.opts.VocabSize, int64(len(pieces)))
	v := newVocab("t5", "default", size)
	own := []piece{{"<s>", 0, Control}, {"<pad>", 0, Control}, {"</s>", 0, Control}, {"<unk>", 0, Unknown}}
	if size < int64(len(own)) {
		return nil, fmt.Errorf("%s: %d tokens, want %d or more", name, size, len(own))
	}
	for id, p := range own {
		v.put(int64(id), p.text, p.score, p.kind)
	}
	for id := int64(len(own)); id < size; id++ {
		from := id - 1
		if from >= int64(len(pieces)) {
			v.put(id, padding(from), paddingScore, Unused)
			continue
		}
		v.put(id, pieces[from].text, pieces[from].score, notUserDefined(pieces[from].kind))
	}
	if id := l.opts.MaskID; id > 0 && id < size {
		v.put(id, "<mask>", 0, Control)
	}
	return v, nil
}

// notUserDefined is the type that the converter gives a piece: it asks for every other kind but user-defined ones.
func notUserDefined(kind int32) int32 {
	if kind == UserDefined {
		return Normal
	}
	return kind
}

// unigram finishes a Unigram vocabulary.
func (l *loader) unigram(v *Vocab, s spec) (*Vocab, error) {
	v.MidSpacePrefix, v.ExtraSpaces, v.Charsmap = &s.addPrefix, &s.extraSpaces, s.charsmap
	l.special(v, false)
	if err := l.templates(v); err != nil {
		return nil, err
	}
	return v, v.check()
}

// unigramJSON makes the vocabulary of a tokenizer.json with a Unigram model. The flags are those that transformers has
// for the tokenizer, which are not what the file says of spaces; the converter takes them, and so do we.
func (l *loader) unigramJSON() (*Vocab, error) {
	t := l.files.tokenizer
	if t.Model.Type != "Unigram" {
		return nil, fmt.Errorf("tokenizer.json: a %s model, this architecture needs Unigram", t.Model.Type)
	}
	pieces, err := t.pieces()
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: model.vocab: %w", err)
	}
	added, err := l.addedTokens()
	if err != nil {
		return nil, err
	}
	isAdded, isSpecial := map[int64]bool{}, map[string]bool{}
	for _, a := range added {
		isAdded[a.ID] = true
	}
	for _, text := range l.files.specialTexts() {
		isSpecial[text] = true
	}
	unknown := int64(3)
	if t.Model.UnkID != nil {
		unknown = *t.Model.UnkID
	}
	if text, ok := content(l.files.config["unk_token"]); ok {
		if i := slices.IndexFunc(added, func(a addedToken) bool { return a.Content == text }); i >= 0 {
			unknown = added[i].ID
		}
	}
	v := newVocab("t5", "default", max(l.opts.VocabSize, int64(len(pieces))))
	for id, p := range pieces {
		kind := Normal
		switch {
		case int64(id) == unknown:
			kind = Unknown
		case isSpecial[p.text]:
			kind = Control
		case isAdded[int64(id)]:
			kind = UserDefined
		}
		v.put(int64(id), p.text, p.score, kind)
	}
	s, err := l.jsonSpec()
	if err != nil {
		return nil, err
	}
	return l.unigram(v, s)
}

// jsonSpec is what tokenizer.json and tokenizer_config.json say in place of a SentencePiece model.
func (l *loader) jsonSpec() (spec, error) {
	s := spec{addPrefix: isTrue(l.files.config["add_prefix_space"]), extraSpaces: isTrue(l.files.config["clean_up_tokenization_spaces"])}
	for _, n := range flatten(l.files.tokenizer.Normalizer, "normalizers") {
		if typeOf(n) != "Precompiled" {
			continue
		}
		var err error
		if s.charsmap, err = base64.StdEncoding.DecodeString(str(dig(n, "precompiled_charsmap"))); err != nil {
			return s, fmt.Errorf("tokenizer.json: normalizer: precompiled_charsmap: %w", err)
		}
	}
	return s, nil
}

// pieces reads model.vocab of a Unigram model: [text, score] by id.
func (t *tokenizerJSON) pieces() ([]piece, error) {
	var list [][2]json.RawMessage
	if err := json.Unmarshal(t.Model.Vocab, &list); err != nil {
		return nil, err
	}
	if len(list) > maxTokens {
		return nil, fmt.Errorf("%d tokens, want %d at most", len(list), maxTokens)
	}
	pieces := make([]piece, len(list))
	for i, entry := range list {
		var score float64
		if json.Unmarshal(entry[0], &pieces[i].text) != nil || json.Unmarshal(entry[1], &score) != nil {
			return nil, fmt.Errorf("token %d: want [text, score]", i)
		}
		pieces[i].score = float32(score)
	}
	return pieces, nil
}

// t5 makes the vocabulary of T5's tokenizer.model, which used to be called spiece.model (T5Model.set_vocab). Pile-T5 has a
// BPE model, like Llama.
func (l *loader) t5() (*Vocab, error) {
	name := "spiece.model"
	if l.files.sentencePiece != nil {
		name = "tokenizer.model"
		s, err := parseSpec(l.files.sentencePiece)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if s.modelType == typeBPE {
			return l.spm()
		}
	}
	pieces, s, err := l.unigramFile(name)
	if err != nil {
		return nil, err
	}
	if pieces == nil {
		if l.files.tokenizer == nil {
			return nil, fmt.Errorf("no tokenizer.model, spiece.model or tokenizer.json, one of which this architecture needs: %w", fs.ErrNotExist)
		}
		return l.t5JSON()
	}
	size := l.opts.VocabSize
	if size == 0 {
		size = int64(len(pieces))
	}
	if int64(len(pieces)) > size {
		return nil, fmt.Errorf("%s has %d pieces, but vocab_size is %d", name, len(pieces), size)
	}
	v := newVocab("t5", "default", size)
	for i, p := range pieces {
		v.put(int64(i), p.text, p.score, notUserDefined(p.kind))
	}
	if err := l.overlayAddedFile(v); err != nil {
		return nil, err
	}
	return l.unigram(v, s)
}

// t5JSON makes of a tokenizer.json what spiece.model would have given: the converter knows only the latter. The library
// writes a space before the text and takes repeated ones for one where SentencePiece's defaults do.
func (l *loader) t5JSON() (*Vocab, error) {
	v, err := l.unigramJSON()
	if err != nil {
		return nil, err
	}
	on := true
	v.MidSpacePrefix, v.ExtraSpaces = &on, &on
	return v, nil
}
