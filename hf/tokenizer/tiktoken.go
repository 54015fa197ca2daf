package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Tiktoken says how a family keeps its vocabulary in the format of OpenAI's library of that name: lines of a token in
// base64 and its rank, which is its id. What tells how special tokens are numbered is code of the model's that isn't run.
type Tiktoken struct {
	File      string   // its name
	Pre       string   // pre-tokenizer
	Special   []string // the special tokens that follow the others, in their order
	FirstEnds bool     // the first special token begins and ends texts where config.json says nothing, and stands for the unknown
	NamedEOS  bool     // the eos token is the special one that tokenizer_config.json names, whatever config.json says
	Reserved  string   // what further ones are called, with %d for the id, unless tokenizer_config.json names them; "" for none
}

// maxRanked bounds the bytes of a token. The longest in use are some hundred spaces.
const maxRanked = 512

// maxReserved is how many special tokens Kimi reserves.
const maxReserved = 258

// tiktoken makes a vocabulary of ranks, as DeepseekV2Model.set_vocab and TextModel._set_vocab_qwen do: the merges are
// found anew, two parts for each token.
func (l *loader) tiktoken(data []byte) (*Vocab, error) {
	t := l.opts.Tiktoken
	tokens, ranks, err := parseRanks(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.File, err)
	}
	base, size := int64(len(tokens)), l.opts.VocabSize
	if size == 0 {
		size = base + int64(len(t.Special))
	}
	if base > size || len(t.Special) > 0 && base+int64(len(t.Special)) > size {
		return nil, fmt.Errorf("%s has %d tokens and the model %d special ones, but vocab_size is %d", t.File, base, len(t.Special), size)
	}
	v := newVocab("gpt2", t.Pre, size)
	v.Scores = nil
	if l.opts.Pre != "" {
		if v.Pre, err = l.preTokenizer(); err != nil {
			return nil, err
		}
	}
	for id, token := range tokens {
		v.Tokens[id], v.Types[id] = encodeByteLevel(token), Normal
		if len(token) == 1 {
			continue
		}
		if parts := ranks.split(token, id); len(parts) == 2 {
			v.Merges = append(v.Merges, encodeByteLevel(parts[0])+" "+encodeByteLevel(parts[1]))
		}
	}
	if err := l.rankedSpecials(v, base); err != nil {
		return nil, err
	}
	l.special(v, true)
	if len(v.Special) == 0 && t.FirstEnds {
		v.Special = []SpecialToken{{"bos", uint32(base)}, {"eos", uint32(base)}}
	}
	if t.FirstEnds {
		(&specialFinder{vocab: v, limit: maxTokens}).set("unk", base)
	}
	if text, ok := content(l.files.config["eos_token"]); ok && t.NamedEOS {
		id := slices.Index(v.Tokens[base:], text)
		if id < 0 {
			return nil, fmt.Errorf("tokenizer_config.json: eos_token %q is no special token", text)
		}
		v.overrule(SpecialToken{"eos", uint32(base) + uint32(id)})
	}
	if err := l.templates(v); err != nil {
		return nil, err
	}
	return v, v.check()
}

// rankedSpecials names the special tokens behind the others.
func (l *loader) rankedSpecials(v *Vocab, base int64) error {
	t := l.opts.Tiktoken
	put := func(id int64, text string) {
		if id < int64(len(v.Tokens)) {
			v.Tokens[id], v.Types[id] = text, Control
		}
	}
	for i, text := range t.Special {
		put(base+int64(i), text)
	}
	if t.Reserved == "" {
		return nil
	}
	for id := base; id < base+maxReserved; id++ {
		put(id, strings.ReplaceAll(t.Reserved, "%d", strconv.FormatInt(id, 10)))
	}
	decoder, err := l.files.addedTokensDecoder()
	if err != nil {
		return err
	}
	for _, a := range decoder {
		if a.ID >= base && a.ID < base+maxReserved {
			put(a.ID, a.Content)
		}
	}
	return nil
}

// ranks are the ids of tokens by their bytes.
type ranks map[string]int

// parseRanks reads the tokens in the order of their ranks, which must be 0, 1, 2 and so on.
func parseRanks(data []byte) ([]string, ranks, error) {
	var tokens []string
	known := ranks{}
	s := bufio.NewScanner(bytes.NewReader(data))
	for line := 1; s.Scan(); line++ {
		if len(s.Bytes()) == 0 {
			continue
		}
		text, number, ok := strings.Cut(s.Text(), " ")
		if !ok {
			return nil, nil, fmt.Errorf("line %d: want a token in base64 and its rank", line)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", line, err)
		}
		if len(raw) == 0 || len(raw) > maxRanked {
			return nil, nil, fmt.Errorf("line %d: a token of %d bytes, want 1 to %d", line, len(raw), maxRanked)
		}
		if rank, err := strconv.Atoi(number); err != nil || rank != len(tokens) || rank >= maxTokens {
			return nil, nil, fmt.Errorf("line %d: rank %q, want %d", line, number, len(tokens))
		}
		if _, twice := known[string(raw)]; twice {
			return nil, nil, fmt.Errorf("line %d: token %q is there twice", line, raw)
		}
		known[string(raw)] = len(tokens)
		tokens = append(tokens, string(raw))
	}
	if err := s.Err(); err != nil {
		return nil, nil, err
	}
	if len(tokens) == 0 {
		return nil, nil, errors.New("no tokens")
	}
	return tokens, known, nil
}

// split merges the bytes of a token by the ranks below its own. Two parts are left of a token that merges lead to.
func (r ranks) split(token string, below int) []string {
	parts := strings.Split(token, "")
	if len(parts) != len(token) { // not by characters but by bytes
		parts = parts[:0]
		for i := range len(token) {
			parts = append(parts, token[i:i+1])
		}
	}
	for {
		best, at := below, -1
		for i := 1; i < len(parts); i++ {
			if rank, ok := r[parts[i-1]+parts[i]]; ok && rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			return parts
		}
		parts[at-1] += parts[at]
		parts = append(parts[:at], parts[at+1:]...)
	}
}

// ranked reads the family's ranks; fs.ErrNotExist if it has none.
func (l *loader) ranked() (*Vocab, error) {
	if l.opts.Tiktoken == nil {
		return nil, fs.ErrNotExist
	}
	data, err := l.files.read(l.opts.Tiktoken.File)
	if err != nil {
		return nil, err
	}
	return l.tiktoken(data)
}
