package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// special finds the special ids and flags of a vocabulary, as gguf-py's SpecialVocab does: first from
// tokenizer.json with tokenizer_config.json, then from config.json. anyID lets ids beyond the vocabulary
// pass, as the converter does for BPE.
func (l *loader) special(v *Vocab, anyID bool) {
	s := specialFinder{
		vocab:  v,
		config: maps.Clone(l.files.config),
		kinds:  []string{"bos", "eos", "unk", "sep", "pad", "cls", "mask"},
		limit:  int64(len(v.Tokens)),
	}
	if anyID {
		s.limit = maxTokens
	}
	if n, ok := l.files.model["pad_token_id"].(json.Number); ok && l.opts.Hunyuan && strings.HasPrefix(n.String(), "-") {
		s.kinds = slices.DeleteFunc(s.kinds, func(kind string) bool { return kind == "pad" }) // none, whatever else says
	}
	if t := l.files.tokenizer; t != nil {
		s.normalizer(t.Normalizer)
		s.postProcessor(t.PostProcessor)
	}
	if len(s.config) > 0 {
		for _, kind := range s.kinds {
			if on, ok := s.config["add_"+kind+"_token"].(bool); ok {
				s.add(kind, on)
			}
			if id, ok := l.tokenID(s.config[kind+"_token"]); ok {
				s.set(kind, id)
			}
		}
	}
	for _, kind := range s.kinds {
		id := l.files.model[kind+"_token_id"]
		if id == nil {
			id = dig(l.files.model, "text_config", kind+"_token_id")
		}
		if n, ok := id.(json.Number); ok {
			if id, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
				s.set(kind, id)
			}
		}
	}
}

// roles gives roles to added tokens by their text, where nothing else has them.
func (l *loader) roles(v *Vocab, added []addedToken) error {
	s := specialFinder{vocab: v, limit: maxTokens}
	for _, r := range l.opts.Special {
		i := slices.IndexFunc(added, func(a addedToken) bool { return a.Content == r.Text })
		if i < 0 {
			return fmt.Errorf("tokenizer.json: no added token %q, which is this architecture's %s token", r.Text, r.Kind)
		}
		s.set(r.Kind, added[i].ID)
	}
	return nil
}

// tokenID finds the id of a token as tokenizer_config.json writes it among the added tokens of tokenizer.json.
func (l *loader) tokenID(token any) (int64, bool) {
	text, ok := content(token)
	if !ok || l.files.tokenizer == nil {
		return 0, false
	}
	for _, a := range l.files.tokenizer.AddedTokens {
		if a.Content == text {
			return a.ID, true
		}
	}
	return 0, false
}

// namedToken is the id of tokenizer_config.json's token of one kind, else that of config.json.
func (l *loader) namedToken(kind string) (uint32, bool) {
	if id, ok := l.tokenID(l.files.config[kind+"_token"]); ok {
		return uint32ID(id)
	}
	if n, ok := l.files.model[kind+"_token_id"].(json.Number); ok {
		if id, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
			return uint32ID(id)
		}
	}
	return 0, false
}

// specialFinder follows SpecialVocab step by step. Its config is a copy of tokenizer_config.json, since the
// post-processor of tokenizer.json corrects it.
type specialFinder struct {
	vocab  *Vocab
	config object
	kinds  []string
	limit  int64
}

// set gives a kind its id. The first one stays.
func (s *specialFinder) set(kind string, id int64) {
	if id < 0 || id >= s.limit {
		return
	}
	for _, t := range s.vocab.Special {
		if t.Kind == kind {
			return
		}
	}
	s.vocab.Special = append(s.vocab.Special, SpecialToken{kind, uint32(id)})
}

// add sets a flag. The last one stays, in the place of the first.
func (s *specialFinder) add(kind string, on bool) {
	for i := range s.vocab.Add {
		if s.vocab.Add[i].Kind == kind {
			s.vocab.Add[i].On = on
			return
		}
	}
	s.vocab.Add = append(s.vocab.Add, AddFlag{kind, on})
}

// change writes to tokenizer_config.json's copy, if the model has that file.
func (s *specialFinder) change(key string, value any) {
	if len(s.config) > 0 {
		s.config[key] = value
	}
}

func (s *specialFinder) normalizer(n any) {
	for _, step := range flatten(n, "normalizers") {
		on := true
		switch typeOf(step) {
		case "Lowercase":
			s.vocab.Lowercase = &on
		case "StripAccents":
			s.vocab.StripAccents = &on
		case "BertNormalizer":
			if b, ok := dig(step, "lowercase").(bool); ok {
				s.vocab.Lowercase = &b
			}
			if b, ok := dig(step, "strip_accents").(bool); ok {
				s.vocab.StripAccents = &b
			}
		}
	}
}

// ends are the tokens that tokenizer_config.json names for the two ends of a text.
type ends struct{ bos, cls, eos, sep any }

// postProcessor learns from the templates of tokenizer.json which special tokens are put around a text.
func (s *specialFinder) postProcessor(p any) {
	e := ends{s.config["bos_token"], s.config["cls_token"], s.config["eos_token"], s.config["sep_token"]}
	if !truthy(e.bos) && truthy(e.cls) {
		e.bos = e.cls
		s.change("bos_token", e.bos)
	}
	if !truthy(e.eos) && truthy(e.sep) {
		e.eos = e.sep
		s.change("eos_token", e.eos)
	}
	processors := list(dig(p, "processors"))
	if processors == nil && p != nil {
		processors = []any{p}
	}
	for _, p := range processors {
		switch typeOf(p) {
		case "RobertaProcessing":
			s.roberta(p, &e)
		case "TemplateProcessing":
			s.template(list(dig(p, "single")), list(dig(p, "pair")), &e)
		}
	}
}

func (s *specialFinder) roberta(p any, e *ends) {
	s.add("bos", true)
	s.add("eos", true)
	s.add("sep", true)
	first := func(key string, otherwise any) any {
		if pair := list(dig(p, key)); len(pair) > 0 {
			return pair[0]
		}
		return otherwise
	}
	if !truthy(e.cls) && len(s.config) > 0 {
		e.cls = first("cls", e.bos)
		s.change("cls_token", e.cls)
	}
	if !truthy(e.sep) && len(s.config) > 0 {
		e.sep = first("sep", e.eos)
		s.change("sep_token", e.sep)
	}
}

// template reads the pieces of one text and of a pair of texts. As its model says of itself, this is crude:
// it is right for templates of the usual shape only.
func (s *specialFinder) template(single, pair []any, e *ends) {
	first, last := "", ""
	if len(single) > 1 {
		if first = specialID(single[0]); first != "" {
			s.leading(first, e)
		}
		if last = specialID(single[len(single)-1]); last != "" {
			s.trailing(last, e)
		}
	}
	if len(pair) == 0 {
		return
	}
	start, stop := 0, len(pair)
	if first != "" && specialID(pair[0]) == first {
		start = 1
	}
	if last != "" && specialID(pair[len(pair)-1]) == last {
		stop--
	}
	if start >= stop {
		return
	}
	pair = pair[start:stop]
	a, b := str(dig(pair[0], "Sequence", "id")), str(dig(pair[len(pair)-1], "Sequence", "id"))
	if a != "A" || b != "B" || len(pair) < 3 {
		return
	}
	between := pair[1 : len(pair)-1]
	separates := func(piece any) bool {
		id := specialID(piece)
		return id != "" && (sameText(id, e.sep) || sameText(id, e.eos))
	}
	addSep := separates(between[0]) && last == "" || len(between) == 2 && separates(between[1])
	s.add("sep", addSep)
	if addSep && !truthy(e.sep) {
		s.change("sep_token", e.eos)
	}
}

// leading takes the special token that starts a text for the bos token, unless tokenizer_config.json has another.
func (s *specialFinder) leading(token string, e *ends) {
	isStart := func() bool { return sameText(token, e.bos) || sameText(token, e.cls) }
	if len(s.config) == 0 {
		e.bos = token
	} else if !isStart() {
		if !truthy(e.bos) {
			e.bos = token
			s.change("bos_token", token)
		}
		if !truthy(e.cls) {
			e.cls = token
			s.change("cls_token", token)
		}
	}
	s.add("bos", isStart())
}

// trailing takes the special token that ends a text for the eos token; what was it before becomes the end of
// a turn (eot) or of a message (eom).
func (s *specialFinder) trailing(token string, e *ends) {
	if len(s.config) > 0 && !sameText(token, e.eos) {
		for _, kind := range []string{"eot", "eom"} {
			if !slices.Contains(s.kinds, kind) {
				s.kinds = append(s.kinds, kind)
				s.change(kind+"_token", e.eos)
				break
			}
		}
		s.change("eos_token", token)
	}
	e.eos = token
	s.add("eos", true)
}

func specialID(piece any) string { return str(dig(piece, "SpecialToken", "id")) }
