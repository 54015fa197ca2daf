package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tekkenJSON is a tekken.json with the 256 bytes and some tokens more.
func tekkenJSON(version string, specials int, more ...string) object {
	vocab := arr{}
	for b := range 256 {
		vocab = append(vocab, object{"rank": b, "token_bytes": []byte{byte(b)}, "token_str": nil})
	}
	for i, text := range more {
		vocab = append(vocab, object{"rank": 256 + i, "token_bytes": []byte(text), "token_str": text})
	}
	return object{"config": object{"version": version, "pattern": "", "default_vocab_size": len(vocab) + specials, "default_num_special_tokens": specials}, "vocab": vocab}
}

func TestTekken(t *testing.T) {
	t.Parallel()
	file := tekkenJSON("v3", 21, " a", "aa", " aa", "\n\n", "é")
	v := mustLoad(t, map[string]any{"tekken.json": file, "tokenizer.model": proto(smallModel...)}, Options{Llama: true, VocabSize: 282})
	if v.Model != "gpt2" || v.Pre != "tekken" || !v.Tekken || v.ChatTemplate != "mistral-v3-tekken" {
		t.Errorf("model %s, pre-tokenizer %s, template %q", v.Model, v.Pre, v.ChatTemplate)
	}
	if len(v.Tokens) != 282 || v.Tokens[0] != "<unk>" || v.Tokens[20] != "<SPECIAL_20>" || v.Tokens[21] != "Ā" || v.Types[20] != Control || v.Types[21] != Normal {
		t.Errorf("%d tokens: %q, types %v", len(v.Tokens), v.Tokens[:22], v.Types[:22])
	}
	if diff := cmp.Diff([]string{"Ġa", "aa", "Ġaa", "ĊĊ", "Ã©"}, v.Tokens[277:]); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Ġ a", "a a", "Ġ aa", "Ġa a", "Ċ Ċ", "Ã ©"}, v.Merges); diff != "" {
		t.Errorf("merges (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]SpecialToken{{"bos", 1}, {"eos", 2}, {"unk", 0}, {"pad", 11}}, v.Special); diff != "" {
		t.Errorf("special tokens (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]AddFlag{{"bos", true}, {"eos", false}}, v.Add); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}

	file["special_tokens"] = arr{object{"rank": 0, "token_str": "<pad>"}, object{"rank": 1, "token_str": "<s>"}, object{"rank": 2, "token_str": "</s>"}, object{"rank": 3, "token_str": "<unk>"}}
	file["config"].(object)["version"] = "v13"
	file["config"].(object)["default_vocab_size"] = 280 // the last tokens don't count
	v = mustLoad(t, map[string]any{"tekken.json": file, "chat_template.jinja": "{{ own }}"}, Options{Llama: true})
	if v.ChatTemplate != "{{ own }}" || v.Tokens[4] != "<SPECIAL_4>" || v.Tokens[279] != "Ġaa" || len(v.Merges) != 4 {
		t.Errorf("template %q, token 4 %q, last %q, merges %q", v.ChatTemplate, v.Tokens[4], v.Tokens[279], v.Merges)
	}
	if v := mustLoad(t, map[string]any{"tekken.json": file}, Options{Llama: true}); v.ChatTemplate != "" {
		t.Errorf("template %q out of nowhere", v.ChatTemplate)
	}
	both := map[string]any{"tekken.json": file, "tokenizer.json": bpeJSON(nil)}
	if v := mustLoad(t, both, Options{Llama: true, Pre: "gpt-2"}); v.Tekken {
		t.Error("tekken.json went before tokenizer.json")
	}
}

func TestTekkenNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	config := func(key string, value any) func(object) {
		return func(o object) { o["config"].(object)[key] = value }
	}
	token := func(i int, key string, value any) func(object) {
		return func(o object) { o["vocab"].(arr)[i].(object)[key] = value }
	}
	special := func(list arr) func(object) { return func(o object) { o["special_tokens"] = list } }
	for _, tc := range []struct {
		rule   string
		change func(object)
		want   string
	}{
		{"no version", config("version", nil), "config has no version"},
		{"no special tokens", config("default_num_special_tokens", 0), "278 tokens, 0 of them special"},
		{"too few others", config("default_vocab_size", 200), "200 tokens, 20 of them special"},
		{"too many tokens", config("default_vocab_size", 1<<40), "tokens, 20 of them special"},
		{"fewer tokens than the config says", config("default_vocab_size", 300), "vocab has 258 tokens, want 280 or more"},
		{"special tokens too few", func(o object) { config("default_num_special_tokens", 19)(o); config("default_vocab_size", 277)(o) }, "19 special tokens, want 20 or more"},
		{"special tokens too many", config("default_num_special_tokens", 1<<20), "278 tokens, 1048576 of them special"},
		{"ranks out of order", token(5, "rank", 6), "token 5 has rank 6"},
		{"empty token", token(256, "token_bytes", []byte{}), "token 256 has 0 bytes"},
		{"huge token", token(256, "token_bytes", make([]byte, 2000)), "token 256 has 2000 bytes"},
		{"byte in another's place", token(5, "token_bytes", []byte{7}), `token 5 is "\a", want the byte`},
		{"token twice", token(257, "token_bytes", []byte("ab")), `token 257: "ab" is there twice`},
		{"token that no merge makes", token(257, "token_bytes", []byte("xyz")), `token 257: "xyz" is no pair`},
		{"bytes that aren't base64", token(5, "token_bytes", "?"), "base64"},
		{"special token out of order", special(arr{object{"rank": 1, "token_str": "<s>"}}), `special token 0: "<s>" has rank 1`},
		{"special token twice", special(arr{object{"rank": 0, "token_str": "<s>"}, object{"rank": 1, "token_str": "<s>"}}), `special token "<s>" is there twice`},
		{"special token like a filler", special(arr{object{"rank": 0, "token_str": "<SPECIAL_7>"}}), `special token "<SPECIAL_7>" is there twice`},
		{"no end of text", special(arr{object{"rank": 0, "token_str": "<s>"}}), `no special token "</s>"`},
		{"more special tokens than counted", special(slices.Repeat(arr{object{"rank": 0, "token_str": "<s>"}}, 21)), "21 special tokens, but default_num_special_tokens is 20"},
	} {
		file := tekkenJSON("v7", 20, "ab", "abc")
		tc.change(file)
		if _, err := Load(from(map[string]any{"tekken.json": file}), Options{Llama: true}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.rule, err, tc.want)
		}
	}
	if _, err := Load(from(map[string]any{"tekken.json": "{}"}), Options{}); err == nil || !strings.Contains(err.Error(), "tekken.json without tokenizer.json") {
		t.Errorf("another family: %v", err)
	}
}

func FuzzTekken(f *testing.F) {
	for _, o := range []object{tekkenJSON("v7", 20, "ab"), tekkenJSON("v13", 4), {"vocab": arr{}}} {
		data, err := json.Marshal(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Load(from(map[string]any{"tekken.json": data}), Options{Llama: true})
		if err == nil && (len(v.Tokens) != len(v.Types) || len(v.Special) != 4) {
			t.Errorf("%d tokens, %d types, special %v", len(v.Tokens), len(v.Types), v.Special)
		}
	})
}
