package arch

import (
	"fmt"
	"slices"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// PreTokenizers lists the names that Options.Pre can give: those that llama.cpp 0.5.0 loads.
func PreTokenizers() []string { return tokenizer.PreTokenizers() }

// vocabulary writes the tokenizer.* keys.
func (m *mapping) vocabulary(o Options) error {
	options := m.family.tokenizer
	options.VocabSize, options.Pre = m.dims.vocab, o.Pre
	v, err := tokenizer.Load(m.read, options)
	if err != nil {
		return err
	}
	if n := int64(len(v.Tokens)); n != m.dims.vocab {
		return fmt.Errorf("the tokenizer has %d tokens, the model %d", n, m.dims.vocab)
	}
	var types *uint32
	if m.family.tokenTypes {
		n := uint32(m.config.integer("type_vocab_size"))
		types = &n
	}
	if v.Tekken {
		m.writeTekken(v)
		if v.ChatTemplate == "" {
			m.warn("no chat template: tekken.json is of a version that llama.cpp has no template of its own for, and the model has no chat_template.jinja")
		}
		return nil
	}
	writeVocab(&m.model.Metadata, v, types)
	return nil
}

// bpeOnly is for families whose converter looks at tokenizer.json alone.
var bpeOnly = tokenizer.Options{Kind: tokenizer.BPEOnly}

// specialKeys are the metadata keys of special ids that GGUF has names for, without their common parts.
var specialKeys = map[string]string{
	"bos": "bos", "eos": "eos", "unk": "unknown", "sep": "seperator", "pad": "padding", "mask": "mask", "eot": "eot", "eom": "eom",
}

// writeVocab sets the keys in the converter's order (_set_vocab_* in conversion/base.py and
// SpecialVocab.add_to_gguf). Empty strings and lists are left out, as GGUFWriter does. tokenTypes is what segments of a
// text BERT tells apart, nil for none; its place depends on the kind of vocabulary.
func writeVocab(m *gguf.Metadata, v *tokenizer.Vocab, tokenTypes *uint32) {
	const prefix = "tokenizer.ggml."
	typeCount := func(model string) {
		if tokenTypes != nil && v.Model == model {
			m.Set(prefix+"token_type_count", *tokenTypes)
		}
	}
	flag := func(key string, b *bool) {
		if b != nil {
			m.Set(prefix+key, *b)
		}
	}
	flag("add_space_prefix", v.AddSpacePrefix)
	typeCount("bert")
	m.Set(prefix+"model", v.Model)
	if v.Pre != "" {
		m.Set(prefix+"pre", v.Pre)
	}
	m.Set(prefix+"tokens", v.Tokens)
	if v.Scores != nil {
		m.Set(prefix+"scores", v.Scores)
	}
	m.Set(prefix+"token_type", v.Types)
	flag("add_space_prefix", v.MidSpacePrefix)
	typeCount("t5")
	flag("remove_extra_whitespaces", v.ExtraSpaces)
	if len(v.Charsmap) > 0 {
		m.Set(prefix+"precompiled_charsmap", v.Charsmap)
	}
	if len(v.Merges) > 0 {
		m.Set(prefix+"merges", v.Merges)
	}
	for _, s := range v.Special {
		if key, ok := specialKeys[s.Kind]; ok {
			m.Set(prefix+key+"_token_id", s.ID)
		}
	}
	for _, a := range v.Add {
		if slices.Contains([]string{"bos", "eos", "sep"}, a.Kind) {
			m.Set(prefix+"add_"+a.Kind+"_token", a.On)
		}
	}
	writeTemplates(m, v)
	flag("normalizer.lowercase", v.Lowercase)
	flag("normalizer.strip_accents", v.StripAccents)
	for _, s := range v.LateIDs {
		m.Set(prefix+specialKeys[s.Kind]+"_token_id", s.ID)
	}
	if v.LateEOT != nil {
		m.Set(prefix+"eot_token_id", *v.LateEOT)
	}
	typeCount("gpt2")
	typeCount("whitespace")
	flag("add_space_prefix", v.LateSpacePrefix)
	flag("add_bos_token", v.LateAddBOS)
}

// writeTekken sets the keys of a tekken.json in the order of _set_vocab_mistral: special ids and merges go before the tokens.
func (m *mapping) writeTekken(v *tokenizer.Vocab) {
	const prefix = "tokenizer.ggml."
	meta := &m.model.Metadata
	meta.Set(prefix+"model", v.Model)
	meta.Set(prefix+"pre", v.Pre)
	if len(v.Merges) > 0 {
		meta.Set(prefix+"merges", v.Merges)
	}
	for _, s := range v.Special {
		meta.Set(prefix+specialKeys[s.Kind]+"_token_id", s.ID)
	}
	meta.Set(prefix+"tokens", v.Tokens)
	meta.Set(prefix+"scores", make([]int32, len(v.Tokens))) // all 0, which Python writes as integers
	meta.Set(prefix+"token_type", v.Types)
	m.set("vocab_size", uint32(len(v.Tokens)))
	for _, a := range v.Add {
		meta.Set(prefix+"add_"+a.Kind+"_token", a.On)
	}
	writeTemplates(meta, v)
}

// writeTemplates sets the chat templates, the named ones first. Their list is sorted, where the converter
// leaves the order to chance.
func writeTemplates(m *gguf.Metadata, v *tokenizer.Vocab) {
	var names []string
	for _, t := range v.Templates {
		names = append(names, t.Name)
		if t.Text != "" {
			m.Set("tokenizer.chat_template."+t.Name, t.Text)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		m.Set("tokenizer.chat_templates", names)
	}
	if v.ChatTemplate != "" {
		m.Set("tokenizer.chat_template", v.ChatTemplate)
	}
}
