// Package tokenizer reads the tokenizer files of a Hugging Face model into the vocabulary that llama.cpp
// works with: tokens, scores, types, merges, special ids, chat templates and the name of the pre-tokenizer.
//
// The rules are those of llama.cpp 0.5.0's converter (conversion/base.py, conversion/llama.py and
// gguf-py/gguf/vocab.py), with one difference: a pre-tokenizer that the converter's hash of token ids doesn't
// name is recognised from the regular expressions in tokenizer.json, so that a fine-tune with a grown
// vocabulary is recognised too.
package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Token types of llama.cpp (llama_token_type).
const (
	Normal      int32 = 1
	Unknown     int32 = 2
	Control     int32 = 3
	UserDefined int32 = 4
	Unused      int32 = 5
	Byte        int32 = 6
)

// maxTokens bounds a vocabulary. The largest in use have about a million tokens.
const maxTokens = 4 << 20

// Vocab is a model's vocabulary in llama.cpp's terms.
type Vocab struct {
	Model  string    // kind of tokenizer: "llama" (SentencePiece), "gpt2" (byte-level BPE), "bert" (WordPiece), "t5" (Unigram) or "gemma4"
	Pre    string    // name of the pre-tokenizer: "default", "llama-bpe", "qwen2"; "" for gemma4, which has none
	Tokens []string  // by id; bytes of any kind
	Scores []float32 // by id; nil for BPE, whose tokens have none
	Types  []int32   // by id
	Merges []string  // BPE: "left right", by rank

	Tekken bool // from tekken.json alone: the keys are written in another order, and scores of 0

	Special []SpecialToken // special ids, in the order in which the converter finds them
	Add     []AddFlag      // whether special tokens are put around a text, in the same sense

	AddSpacePrefix *bool // add_prefix_space of tokenizer_config.json, where the model's family uses it
	Lowercase      *bool // normalizer
	StripAccents   *bool

	ChatTemplate string     // Jinja source, "" for none
	Templates    []Template // further templates that have a name

	LateIDs         []SpecialToken // that the family gives, written after everything else
	LateEOT         *uint32        // CodeLlama's end of infill, which the converter writes after everything else
	ExtraSpaces     *bool          // remove_extra_whitespaces of a Unigram model, written after the tokens
	Charsmap        []byte         // precompiled_charsmap of a Unigram model: how text is normalised
	MidSpacePrefix  *bool          // add_dummy_prefix of a SentencePiece model, where the converter writes it after the tokens
	LateSpacePrefix *bool          // false for Gemma's SentencePiece models, written last

	LateAddBOS *bool // false for a vocabulary of 49152 tokens and true for Gemma 4, written last as well
}

// SpecialToken says which token plays a role: "bos", "eos", "unk", "sep", "pad", "cls", "mask", "eot", "eom".
type SpecialToken struct {
	Kind string
	ID   uint32
}

// AddFlag says whether a special token ("bos", "eos", "sep", …) is added to a text.
type AddFlag struct {
	Kind string
	On   bool
}

// Template is a chat template that has a name.
type Template struct{ Name, Text string }

// Options tell what the tokenizer files don't.
type Options struct {
	// VocabSize is vocab_size of config.json: ids beyond the tokenizer's become unused tokens. 0 if absent.
	VocabSize int64
	// Pre names the pre-tokenizer, for a tokenizer.json whose own isn't recognised. "" recognises it.
	Pre string
	// Kind says which of the tokenizer files count; by default tokenizer.model goes before tokenizer.json.
	Kind Kind
	// MaskID is where <mask> goes, which the sentencepiece.bpe.model of XLMRoberta lacks; 0 leaves it out.
	MaskID int64
	// Whitespace asks for a vocabulary of its own kind where text is cut at white space alone, as the converter does for
	// JinaBERT.
	Whitespace bool
	// NoSpacePrefix says that no space is put before a text, for a SentencePiece model.
	NoSpacePrefix bool
	// LateSpacePrefix writes add_prefix_space of tokenizer_config.json after everything else, for a SentencePiece model.
	LateSpacePrefix bool
	// Tiktoken is how the family keeps its vocabulary where it has no tokenizer.json; nil for no other way.
	Tiktoken *Tiktoken
	// Hunyuan takes the end of texts from eod_token_id of config.json, and the end of a turn from the first of several in
	// generation_config.json, as the converter does for Hunyuan.
	Hunyuan bool
	// AddBOS says that a text begins with the bos token, though the files may not say so.
	AddBOS bool
	// EOT is the id of the end of a turn where the files don't name one; 0 for none.
	EOT uint32
	// Special names added tokens that have a role where the files give it to none.
	Special []Role
	// IDs are ids that have roles whatever the files say.
	IDs []SpecialToken
	// InternLM asks for what the converter does for InternLM 2: its own types of tokens, and an <|im_end|> that
	// ends texts.
	InternLM bool
	// InternLM3 asks for what the converter does for InternLM 3: add_prefix_space before the special tokens, and an
	// <|im_end|> that ends texts.
	InternLM3 bool
	// Phi asks for what the converter does for Phi 3: a SentencePiece model unless tokenizer_class is GPT2Tokenizer,
	// and added tokens as they stand, those of tokenizer.json too.
	Phi bool
	// Llama asks for what the converter does for the Llama family alone: add_prefix_space, a
	// tokenizer.json in SentencePiece style, the infill token of CodeLlama.
	Llama bool
}

// Role is what a token is for, as SpecialToken has it, by its text.
type Role struct{ Kind, Text string }

// Kind says which tokenizer files of a model count.
type Kind int

const (
	Any               Kind = iota // tokenizer.model, else tokenizer.json
	BPEOnly                       // tokenizer.json
	SentencePieceOnly             // tokenizer.model
	XLMRoberta                    // sentencepiece.bpe.model, a Unigram model, else the same in tokenizer.json
	T5                            // tokenizer.model or spiece.model, a Unigram model, else the same in tokenizer.json
	WordPieceOnly                 // tokenizer.json with BERT's kind of model
	Encoder                       // one of XLMRoberta, WordPieceOnly and BPEOnly: what tokenizer.json has
	Gemma4                        // tokenizer.json in SentencePiece style, with its merges
	Pieces                        // tokenizer.model, else tokenizer.json in SentencePiece style
)

// reader gives the model's files by name; fs.ErrNotExist where there is none.
type reader = func(name string) ([]byte, error)

// Load reads the vocabulary. A SentencePiece tokenizer.model goes before tokenizer.json.
//
// It is an error if there is neither, a file is malformed, ids collide or lie beyond VocabSize, or the
// pre-tokenizer isn't recognised.
func Load(read reader, o Options) (*Vocab, error) {
	if o.VocabSize < 0 || o.VocabSize > maxTokens {
		return nil, fmt.Errorf("config.json: vocab_size %d, want 1 to %d", o.VocabSize, maxTokens)
	}
	files, err := readFiles(read)
	if err != nil {
		return nil, err
	}
	l := loader{files: files, opts: o}
	if o.Llama && files.tokenizer == nil { // before tokenizer.model, as in LlamaModel.set_vocab
		if data, err := optional(read, "tekken.json"); err != nil {
			return nil, err
		} else if data != nil {
			return l.tekken(data)
		}
	}
	v, err := l.vocab()
	if err != nil {
		return nil, err
	}
	if o.Llama {
		l.llamaExtras(v)
	}
	for _, t := range o.IDs {
		v.overrule(t)
	}
	if o.Hunyuan {
		if err := l.hunyuanEnds(v); err != nil {
			return nil, err
		}
	}
	if b, ok := l.files.config["add_prefix_space"].(bool); ok && o.LateSpacePrefix {
		v.LateSpacePrefix = &b
	}
	if o.EOT != 0 {
		l.lateEOT(v, o.EOT)
	}
	if on := true; o.AddBOS {
		v.LateAddBOS = &on
	}
	if off := false; o.NoSpacePrefix && v.Model == "llama" {
		v.LateSpacePrefix = &off
	}
	return v, nil
}

// loader holds what the steps of one Load share.
type loader struct {
	files *files
	opts  Options
}

// vocab tries the kinds of tokenizer in the converter's order (LlamaModel.set_vocab, Qwen2Model.set_vocab).
func (l *loader) vocab() (*Vocab, error) {
	if l.opts.Kind == Encoder {
		if l.files.tokenizer == nil {
			return nil, fmt.Errorf("no tokenizer.json, which this architecture needs: %w", fs.ErrNotExist)
		}
		switch l.files.tokenizer.Model.Type {
		case "Unigram":
			l.opts.Kind = XLMRoberta
		case "WordPiece":
			l.opts.Kind = WordPieceOnly
		default:
			l.opts.Kind = BPEOnly
		}
	}
	switch l.opts.Kind {
	case XLMRoberta:
		return l.xlmRoberta()
	case T5:
		return l.t5()
	}
	if l.opts.Phi {
		l.opts.Kind = SentencePieceOnly
		if str(l.files.config["tokenizer_class"]) == "GPT2Tokenizer" {
			l.opts.Kind = BPEOnly
		}
	}
	if l.files.sentencePiece == nil && l.opts.Kind == SentencePieceOnly {
		return nil, fmt.Errorf("no tokenizer.model, which this architecture needs: %w", fs.ErrNotExist)
	}
	if l.files.sentencePiece != nil && (l.opts.Kind == Any || l.opts.Kind == SentencePieceOnly || l.opts.Kind == Pieces) {
		if l.opts.Pre != "" {
			return nil, fmt.Errorf("pre-tokenizer %q: the model has a SentencePiece tokenizer, which has no pre-tokenizer to choose", l.opts.Pre)
		}
		return l.spm()
	}
	if l.files.tokenizer == nil {
		if v, err := l.ranked(); !errors.Is(err, fs.ErrNotExist) {
			return v, err
		}
		if l.opts.Kind == Any || l.opts.Kind == BPEOnly {
			t, err := l.slow()
			if err != nil {
				return nil, err
			}
			if t != nil {
				l.files.tokenizer = t
				return l.bpe()
			}
		}
		if _, err := l.files.read("tekken.json"); err == nil {
			return nil, errors.New("tekken.json without tokenizer.json, which this architecture needs: use a version of the model that has tokenizer.json")
		}
		return nil, fmt.Errorf("neither tokenizer.model nor tokenizer.json: %w", fs.ErrNotExist)
	}
	switch l.opts.Kind {
	case WordPieceOnly:
		return l.wordPiece()
	case Gemma4:
		return l.gemma4()
	case Pieces:
		return l.pieces()
	}
	if l.opts.Llama && l.files.tokenizer.sentencePieceStyle() {
		if l.opts.Pre != "" {
			return nil, fmt.Errorf("pre-tokenizer %q: the model's tokenizer.json is a SentencePiece one, which has no pre-tokenizer to choose", l.opts.Pre)
		}
		return l.llamaHF()
	}
	return l.bpe()
}

// overrule gives a role to an id, whoever has it: in the same place, else after everything else.
func (v *Vocab) overrule(t SpecialToken) {
	if i := slices.IndexFunc(v.Special, func(s SpecialToken) bool { return s.Kind == t.Kind }); i >= 0 {
		v.Special[i].ID = t.ID
	} else {
		v.LateIDs = append(v.LateIDs, t)
	}
}

// hunyuanEnds corrects the ends of texts and turns (HunYuanModel.set_vocab).
func (l *loader) hunyuanEnds(v *Vocab) error {
	id := func(kind string, x any) error {
		n, ok := x.(json.Number)
		if !ok {
			return fmt.Errorf("the %s token's id: want a number", kind)
		}
		id, err := parseID(n.String())
		if err == nil {
			v.overrule(SpecialToken{kind, uint32(id)})
		}
		return err
	}
	if x := l.files.model["eod_token_id"]; x != nil {
		if err := id("eos", x); err != nil {
			return fmt.Errorf("config.json: %w", err)
		}
	}
	generation, err := optionalObject(l.files.read, "generation_config.json")
	if err != nil {
		return err
	}
	if ends := list(generation["eos_token_id"]); len(ends) >= 2 {
		if err := id("eot", ends[0]); err != nil {
			return fmt.Errorf("generation_config.json: %w", err)
		}
	}
	return nil
}

// llamaExtras adds what LlamaModel.set_vocab does around the vocabulary itself.
func (l *loader) llamaExtras(v *Vocab) {
	if b, ok := l.files.config["add_prefix_space"].(bool); ok {
		v.AddSpacePrefix = &b
	}
	if l.opts.VocabSize == 32016 { // CodeLlama
		l.lateEOT(v, 32010)
	}
	if l.opts.VocabSize == 49152 { // the small Granite models, and what else has as many tokens
		off := false
		v.LateAddBOS = &off
	}
}

// lateEOT writes the end of a turn after everything else: the one that the files name, else id.
func (l *loader) lateEOT(v *Vocab, id uint32) {
	if named, ok := l.namedToken("eot"); ok {
		id = named
	}
	v.LateEOT = &id
}

// check holds a finished vocabulary against the bounds of its parts.
func (v *Vocab) check() error {
	n := len(v.Tokens)
	if n == 0 {
		return errors.New("the tokenizer has no tokens")
	}
	if len(v.Types) != n || v.Scores != nil && len(v.Scores) != n {
		return fmt.Errorf("%d tokens, %d types, %d scores", n, len(v.Types), len(v.Scores))
	}
	return nil
}
