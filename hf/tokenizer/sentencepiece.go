package tokenizer

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// piece is an entry of a SentencePiece model (message ModelProto.SentencePiece in sentencepiece_model.proto).
type piece struct {
	text  string
	score float32
	kind  int32 // ModelProto.SentencePiece.Type; by chance the numbers of llama.cpp's token types
}

// Field numbers of sentencepiece_model.proto.
const (
	fieldPieces = 1 // ModelProto: repeated SentencePiece
	fieldText   = 1 // SentencePiece: string
	fieldScore  = 2 // SentencePiece: float
	fieldType   = 3 // SentencePiece: enum

	fieldNormalizer  = 3 // ModelProto: NormalizerSpec
	fieldDummyPrefix = 3 // NormalizerSpec: bool
)

// parseSentencePiece reads the pieces of a tokenizer.model. Every length is held against what is left of
// the data before it is believed, so that memory stays in proportion to the file.
//
// As sentencepiece itself does, it refuses a model with an empty or repeated piece or without exactly one
// unknown piece.
func parseSentencePiece(data []byte) ([]piece, error) {
	var pieces []piece
	seen := map[string]bool{}
	unknown := 0
	err := eachField(data, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if num != fieldPieces {
			return nil // trainer, normalizer and self-test data: the converter uses none of it
		}
		if typ != protowire.BytesType {
			return fmt.Errorf("piece %d: wire type %d, want a message", len(pieces), typ)
		}
		if len(pieces) == maxTokens {
			return fmt.Errorf("more than %d pieces", maxTokens)
		}
		p, err := parsePiece(value)
		if err != nil {
			return fmt.Errorf("piece %d: %w", len(pieces), err)
		}
		if seen[p.text] {
			return fmt.Errorf("piece %d: %q is there twice", len(pieces), p.text)
		}
		seen[p.text] = true
		if p.kind == Unknown {
			unknown++
		}
		pieces = append(pieces, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(pieces) == 0 {
		return nil, errors.New("no pieces: not a SentencePiece model")
	}
	if unknown != 1 {
		return nil, fmt.Errorf("%d unknown pieces, want 1", unknown)
	}
	return pieces, nil
}

func parsePiece(data []byte) (piece, error) {
	p := piece{kind: Normal}
	err := eachField(data, func(num protowire.Number, typ protowire.Type, value []byte) error {
		switch {
		case num == fieldText && typ == protowire.BytesType:
			p.text = string(value)
		case num == fieldScore && typ == protowire.Fixed32Type:
			bits, _ := protowire.ConsumeFixed32(value)
			p.score = math.Float32frombits(bits)
		case num == fieldType && typ == protowire.VarintType:
			kind, _ := protowire.ConsumeVarint(value)
			if kind < uint64(Normal) || kind > uint64(Byte) {
				return fmt.Errorf("type %d, want 1 to 6", kind)
			}
			p.kind = int32(kind)
		case num <= fieldType:
			return fmt.Errorf("field %d has wire type %d", num, typ)
		}
		return nil
	})
	if err == nil && p.text == "" {
		err = errors.New("empty")
	}
	return p, err
}

// eachField calls f for each field of a protobuf message, with the value's bytes: of a length-delimited
// field its content, of any other its encoding.
func eachField(data []byte, f func(protowire.Number, protowire.Type, []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("broken protobuf: %w", protowire.ParseError(n))
		}
		data = data[n:]
		value := data
		if typ == protowire.BytesType {
			value, n = protowire.ConsumeBytes(data)
		} else {
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return fmt.Errorf("broken protobuf: field %d: %w", num, protowire.ParseError(n))
		}
		if typ != protowire.BytesType {
			value = data[:n]
		}
		if err := f(num, typ, value); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
