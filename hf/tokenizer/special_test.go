package tokenizer

import (
	"fmt"
	"strings"
	"testing"
)

// specialCases are checked with gguf-py's SpecialVocab of llama.cpp 0.5.0: what it finds in three files, for
// a vocabulary of 50 tokens. Ids: <s> 0, </s> 1, <a> 2, <b> 3.
var specialCases = []struct {
	rule      string
	processor string // post_processor of tokenizer.json
	config    string // tokenizer_config.json; "" for none
	model     string // config.json
	want      string
}{
	{"named tokens", `null`, `{"bos_token":"<s>","eos_token":{"content":"</s>"},"unk_token":"<zz>","pad_token":null}`, `{}`, "bos=0 eos=1"},
	{"flags", `null`, `{"add_bos_token":true,"add_eos_token":false,"add_sep_token":"yes"}`, `{}`, "+bos -eos"},
	{"ids of config.json fill gaps", `null`, `{"eos_token":"</s>"}`, `{"bos_token_id":7,"eos_token_id":9,"unk_token_id":null}`, "eos=1 bos=7"},
	{"a list of ids is no id", `null`, `{}`, `{"eos_token_id":[1,2],"bos_token_id":3.0}`, ""},
	{"an id beyond the vocabulary", `null`, `{}`, `{"eos_token_id":50,"bos_token_id":49}`, "bos=49"},
	{"an id within text_config", `null`, `{}`, `{"text_config":{"eos_token_id":5},"bos_token_id":6}`, "bos=6 eos=5"},
	{"no tokenizer_config.json", template(`S:<s> A S:</s>`, `S:<s> A S:<s> B`), "", `{}`, "+bos +eos -sep"},
	{"a template adds bos", template(`S:<s> A`, `S:<s> A S:<s> B`), `{"bos_token":"<s>"}`, `{}`, "bos=0 +bos -sep"},
	{"a template names bos", template(`S:<s> A`, ``), `{"eos_token":"</s>"}`, `{}`, "bos=0 eos=1 cls=0 +bos"},
	{"a template's unknown start", template(`S:<a> A`, ``), `{"bos_token":"<s>","cls_token":"<b>"}`, `{}`, "bos=0 cls=3 -bos"},
	{"a template's end takes eos, which becomes eot", template(`A S:<a>`, ``), `{"eos_token":"</s>"}`, `{}`, "eos=2 eot=1 +eos"},
	{"two templates' ends, eot then eom", `{"processors":[` + template(`A S:<a>`, ``) + `,` + template(`A S:<b>`, ``) + `]}`, `{"eos_token":"</s>"}`, `{}`, "eos=3 eot=1 eom=2 +eos"},
	{"the file's flag overrules the template", template(`S:<s> A`, ``), `{"bos_token":"<s>","add_bos_token":false}`, `{}`, "bos=0 -bos"},
	{"a separator between two texts", template(`S:<s> A`, `S:<s> A S:</s> B`), `{"bos_token":"<s>","eos_token":"</s>"}`, `{}`, "bos=0 eos=1 sep=1 +bos +sep"},
	{"an end and a separator", template(`S:<s> A S:</s>`, `S:<s> A S:</s> S:</s> B S:</s>`), `{"bos_token":"<s>","eos_token":"</s>","sep_token":"</s>"}`, `{}`, "bos=0 eos=1 sep=1 +bos +eos +sep"},
	{"an end alone separates nothing", template(`S:<s> A S:</s>`, `S:<s> A S:</s> B S:</s>`), `{"bos_token":"<s>","eos_token":"</s>"}`, `{}`, "bos=0 eos=1 +bos +eos -sep"},
	{"texts the wrong way round", template(`S:<s> A`, `S:<s> B S:</s> A`), `{"bos_token":"<s>","eos_token":"</s>"}`, `{}`, "bos=0 eos=1 +bos"},
	{"a template of one piece", template(`A`, `A B`), `{"bos_token":"<s>"}`, `{}`, "bos=0"},
	{"roberta", `{"type":"RobertaProcessing","cls":["<a>",2],"sep":["<b>",3]}`, `{"bos_token":"<s>"}`, `{}`, "bos=0 sep=3 cls=2 +bos +eos +sep"},
	{"cls and sep stand in for bos and eos", `{"type":"ByteLevel"}`, `{"cls_token":"<a>","sep_token":"<b>"}`, `{}`, "bos=2 eos=3 sep=3 cls=2"},
	{"an object is never equal to a text", template(`S:<s> A`, ``), `{"bos_token":{"content":"<s>"}}`, `{}`, "bos=0 cls=0 +bos"},
}

// template writes a TemplateProcessing; "S:x" is a special token, anything else a text.
func template(single, pair string) string {
	pieces := func(s string) string {
		var out []string
		for _, w := range strings.Fields(s) {
			if id, ok := strings.CutPrefix(w, "S:"); ok {
				out = append(out, fmt.Sprintf(`{"SpecialToken":{"id":%q,"type_id":0}}`, id))
			} else {
				out = append(out, fmt.Sprintf(`{"Sequence":{"id":%q,"type_id":0}}`, w))
			}
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	return `{"type":"TemplateProcessing","single":` + pieces(single) + `,"pair":` + pieces(pair) + `}`
}

// specialFiles are the files of a case.
func specialFiles(processor, config, model string) map[string]any {
	files := map[string]any{
		"tokenizer.model": proto(append(smallModel[:2:2], manyPieces(48)...)...),
		"tokenizer.json": `{"added_tokens":[{"id":0,"content":"<s>"},{"id":1,"content":"</s>"},{"id":2,"content":"<a>"},{"id":3,"content":"<b>"}],
			"model":{"type":"BPE","vocab":{"x":0}},"post_processor":` + processor + `}`,
		"config.json": model,
	}
	if config != "" {
		files["tokenizer_config.json"] = config
	}
	return files
}

func manyPieces(n int) []piece {
	out := make([]piece, n)
	for i := range out {
		out[i] = piece{fmt.Sprint("p", i), 0, Normal}
	}
	return out
}

func describeSpecial(v *Vocab) string {
	var out []string
	for _, s := range v.Special {
		out = append(out, fmt.Sprintf("%s=%d", s.Kind, s.ID))
	}
	for _, a := range v.Add {
		sign := "-"
		if a.On {
			sign = "+"
		}
		out = append(out, sign+a.Kind)
	}
	return strings.Join(out, " ")
}

func TestSpecialTokens(t *testing.T) {
	t.Parallel()
	for _, tc := range specialCases {
		v := mustLoad(t, specialFiles(tc.processor, tc.config, tc.model), Options{})
		if got := describeSpecial(v); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.rule, got, tc.want)
		}
	}
}

func TestBPELetsIDsBeyondTheVocabularyPass(t *testing.T) {
	t.Parallel()
	v := mustLoad(t, map[string]any{"tokenizer.json": bpeJSON(nil), "config.json": obj{"eos_token_id": 50, "pad_token_id": -1}}, Options{})
	if got := describeSpecial(v); got != "eos=50" {
		t.Errorf("got %q, want eos=50", got)
	}
}

func TestNormalizerFlags(t *testing.T) {
	t.Parallel()
	flag := func(b *bool) string {
		if b == nil {
			return "none"
		}
		return fmt.Sprint(*b)
	}
	for _, tc := range []struct{ normalizer, lowercase, strip string }{
		{`null`, "none", "none"},
		{`{"type":"NFC"}`, "none", "none"},
		{`{"type":"Lowercase"}`, "true", "none"},
		{`{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"StripAccents"}]}`, "none", "true"},
		{`{"type":"BertNormalizer","lowercase":false,"strip_accents":null}`, "false", "none"},
	} {
		files := map[string]any{"tokenizer.model": proto(smallModel...), "tokenizer.json": `{"model":{"type":"BPE","vocab":{"x":0}},"normalizer":` + tc.normalizer + `}`}
		v := mustLoad(t, files, Options{})
		if flag(v.Lowercase) != tc.lowercase || flag(v.StripAccents) != tc.strip {
			t.Errorf("%s: lowercase %s, strip accents %s", tc.normalizer, flag(v.Lowercase), flag(v.StripAccents))
		}
	}
}

func TestChatTemplates(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule   string
		files  map[string]any
		want   string
		others string
	}{
		{"in tokenizer_config.json", map[string]any{"tokenizer_config.json": `{"chat_template":"own"}`, "chat_template.jinja": "file"}, "own", ""},
		{"a null hides the files", map[string]any{"tokenizer_config.json": `{"chat_template":null}`, "chat_template.jinja": "file"}, "", ""},
		{"a file of its own", map[string]any{"tokenizer_config.json": `{"a":1}`, "chat_template.jinja": "file", "chat_template.json": `{"chat_template":"json"}`}, "file", ""},
		{"a JSON file of its own", map[string]any{"tokenizer_config.json": `{"a":1}`, "chat_template.json": `{"chat_template":"json"}`}, "json", ""},
		{"files beside it", map[string]any{"tokenizer_config.json": `{"a":1}`, "chat_template.jinja": "file", "additional_chat_templates/tool_use.jinja": "tools", "additional_chat_templates/rag.jinja": "rags"}, "file", "rag=rags tool_use=tools"},
		{"no tokenizer_config.json, no template", map[string]any{"chat_template.jinja": "file"}, "", ""},
		{"an empty one counts as none", map[string]any{"tokenizer_config.json": `{}`, "chat_template.jinja": "file"}, "", ""},
		{"named ones", map[string]any{"tokenizer_config.json": `{"chat_template":[{"name":"default","template":"d"},{"name":"tool-use","template":"t"},{"name":"","template":"x"},{"name":"y"}]}`}, "d", "tool_use=t"},
		{"named twice", map[string]any{"tokenizer_config.json": `{"chat_template":[{"name":"a","template":"1"},{"name":"b","template":"2"},{"name":"a","template":"3"}]}`}, "", "a=3 b=2"},
		{"of a strange kind", map[string]any{"tokenizer_config.json": `{"chat_template":5}`}, "", ""},
	} {
		tc.files["tokenizer.model"] = proto(smallModel...)
		v := mustLoad(t, tc.files, Options{})
		var others []string
		for _, x := range v.Templates {
			others = append(others, x.Name+"="+x.Text)
		}
		if got := strings.Join(others, " "); v.ChatTemplate != tc.want || got != tc.others {
			t.Errorf("%s: got %q and %q, want %q and %q", tc.rule, v.ChatTemplate, got, tc.want, tc.others)
		}
	}
}
