package tokenizer

import (
	"fmt"
	"io/fs"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of sentencepiece_model.proto that matter to a Unigram vocabulary.
const (
	fieldTrainer     = 2 // ModelProto: TrainerSpec
	fieldModelType   = 3 // TrainerSpec: enum, 1 for Unigram
	fieldCharsmap    = 2 // NormalizerSpec: bytes
	fieldExtraSpaces = 4 // NormalizerSpec: bool
)

// spec is what a SentencePiece model says of itself besides its pieces.
type spec struct {
	modelType   uint64
	charsmap    []byte // precompiled_charsmap, empty for none
	addPrefix   bool   // add_dummy_prefix
	extraSpaces bool   // remove_extra_whitespaces
}

func parseSpec(data []byte) (spec, error) {
	s := spec{modelType: 1, addPrefix: true, extraSpaces: true} // the format's defaults
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

// xlmRoberta makes the vocabulary of XLM-RoBERTa's sentencepiece.bpe.model, whose pieces Hugging Face moves by one
// behind four tokens of its own (_xlmroberta_set_vocab).
func (l *loader) xlmRoberta() (*Vocab, error) {
	const name = "sentencepiece.bpe.model"
	data, err := optional(l.files.read, name)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("no %s, which this architecture needs: %w", name, fs.ErrNotExist)
	}
	pieces, err := parseSentencePiece(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := parseSpec(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if s.modelType != 1 {
		return nil, fmt.Errorf("%s: model of type %d, want 1 (Unigram)", name, s.modelType)
	}
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
		kind := pieces[from].kind
		if kind == UserDefined {
			kind = Normal
		}
		v.put(id, pieces[from].text, pieces[from].score, kind)
	}
	v.MidSpacePrefix, v.ExtraSpaces, v.Charsmap = &s.addPrefix, &s.extraSpaces, s.charsmap
	l.special(v, false)
	if err := l.templates(v); err != nil {
		return nil, err
	}
	return v, v.check()
}
