package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// tokenizerJSON is a tokenizer.json, the file of the Hugging Face tokenizers library.
type tokenizerJSON struct {
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    any          `json:"normalizer"`
	PreTokenizer  any          `json:"pre_tokenizer"`
	PostProcessor any          `json:"post_processor"`
	Decoder       any          `json:"decoder"`
	Model         struct {
		Type         string          `json:"type"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
		IgnoreMerges bool            `json:"ignore_merges"`
		ByteFallback bool            `json:"byte_fallback"`
		UnkID        *int64          `json:"unk_id"` // Unigram
	} `json:"model"`

	vocab  map[string]int64 // Model.Vocab of a BPE or WordPiece model
	merges []string         // Model.Merges, as "left right"
	slow   bool             // made of older files, not read
}

func parseTokenizerJSON(data []byte) (*tokenizerJSON, error) {
	t := new(tokenizerJSON)
	if err := json.Unmarshal(data, t); err != nil {
		return nil, err
	}
	for _, a := range t.AddedTokens {
		if a.ID < 0 || a.ID >= maxTokens {
			return nil, fmt.Errorf("added token %q: id %d, want 0 to %d", a.Content, a.ID, maxTokens-1)
		}
	}
	if t.Model.Type != "BPE" && t.Model.Type != "" && t.Model.Type != "WordPiece" {
		return t, nil // refused where it is needed: beside a tokenizer.model it isn't
	}
	if len(t.Model.Vocab) == 0 {
		return nil, errors.New("model has no vocab")
	}
	if err := json.Unmarshal(t.Model.Vocab, &t.vocab); err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	for text, id := range t.vocab {
		if id < 0 || id >= maxTokens {
			return nil, fmt.Errorf("model.vocab: token %q: id %d, want 0 to %d", text, id, maxTokens-1)
		}
	}
	var err error
	if t.merges, err = parseMerges(t.Model.Merges); err != nil {
		return nil, fmt.Errorf("model.merges: %w", err)
	}
	return t, nil
}

// parseMerges reads merges in either spelling: "left right" or, since transformers 4.45, ["left", "right"].
// A space within a part is written as U+0120, the byte-level sign for it, as gguf-py does.
func parseMerges(data json.RawMessage) ([]string, error) {
	if len(data) == 0 || bytes.Equal(data, []byte("null")) {
		return nil, nil
	}
	var first []json.RawMessage
	if err := json.Unmarshal(data, &first); err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, nil
	}
	if first[0][0] == '"' {
		var merges []string
		err := json.Unmarshal(data, &merges)
		return merges, err
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return nil, err
	}
	merges := make([]string, len(pairs))
	for i, pair := range pairs {
		if len(pair) != 2 {
			return nil, fmt.Errorf("merge %d has %d parts, want 2", i, len(pair))
		}
		left, right := strings.ReplaceAll(pair[0], " ", "\u0120"), strings.ReplaceAll(pair[1], " ", "\u0120")
		merges[i] = left + " " + right
	}
	return merges, nil
}

// parseMergesTxt reads merges.txt: one "left right" a line after a comment that may stand first. Other
// lines are left out, as in SpecialVocab._try_load_merges_txt.
func parseMergesTxt(data []byte) []string {
	var merges []string
	for i, line := range strings.Split(string(data), "\n") {
		if i == 0 && strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if parts := strings.Fields(line); len(parts) == 2 {
			merges = append(merges, parts[0]+" "+parts[1])
		}
	}
	return merges
}

// sentencePieceStyle tells a SentencePiece vocabulary in BPE clothes from a byte-level one (LlamaHfVocab).
func (t *tokenizerJSON) sentencePieceStyle() bool {
	return t.Model.Type == "BPE" && t.Model.ByteFallback && typeOf(t.Decoder) == "Sequence"
}

// hasByteLevelDecoder tells whether tokens are spelled in GPT-2's byte alphabet.
func (t *tokenizerJSON) hasByteLevelDecoder() bool {
	for _, d := range flatten(t.Decoder, "decoders") {
		if typeOf(d) == "ByteLevel" {
			return true
		}
	}
	return false
}

// flatten lists the steps of a component that may be a Sequence of others.
func flatten(v any, key string) []any {
	if v == nil {
		return nil
	}
	if typeOf(v) != "Sequence" {
		return []any{v}
	}
	var steps []any
	for _, step := range list(dig(v, key)) {
		steps = append(steps, flatten(step, key)...)
	}
	return steps
}

// byteAlphabet is GPT-2's: a character that can be seen for every byte. byteOf is the way back.
var byteAlphabet, byteOf = func() (alphabet [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(256)
	for b := range alphabet {
		if alphabet[b] = rune(b); b < '!' || b > '~' && b < 0xa1 || b == 0xad {
			alphabet[b] = next
			next++
		}
		back[alphabet[b]] = byte(b)
	}
	return alphabet, back
}()

// encodeByteLevel spells bytes in GPT-2's alphabet.
func encodeByteLevel(text string) string {
	out := make([]rune, len(text))
	for i := range len(text) {
		out[i] = byteAlphabet[text[i]]
	}
	return string(out)
}

// decodeByteLevel is what the ByteLevel decoder makes of one token: the bytes that its characters stand
// for, or the token as it is if a character stands for none. Broken UTF-8 is replaced.
func decodeByteLevel(token string) string {
	raw := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := byteOf[r]
		if !ok {
			return token
		}
		raw = append(raw, b)
	}
	return string([]rune(string(raw)))
}

// tidySpaces is clean_up_tokenization of transformers: English punctuation without a space before it.
func tidySpaces(text string) string {
	for _, x := range [][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
		{" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		text = strings.ReplaceAll(text, x[0], x[1])
	}
	return text
}

// uint32ID is a token id as GGUF stores it.
func uint32ID(id int64) (uint32, bool) { return uint32(id), id >= 0 && id <= math.MaxUint32 }
