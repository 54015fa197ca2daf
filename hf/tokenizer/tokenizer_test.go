package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// from makes a reader of files by name. A value that is no text is written as JSON.
func from(files map[string]any) reader {
	return func(name string) ([]byte, error) {
		switch x := files[name].(type) {
		case nil:
			return nil, fs.ErrNotExist
		case string:
			return []byte(x), nil
		case []byte:
			return x, nil
		default:
			return json.Marshal(x)
		}
	}
}

func mustLoad(t *testing.T, files map[string]any, o Options) *Vocab {
	t.Helper()
	v, err := Load(from(files), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// proto writes a SentencePiece model.
func proto(pieces ...piece) []byte {
	var model []byte
	for _, p := range pieces {
		m := protowire.AppendTag(nil, fieldText, protowire.BytesType)
		m = protowire.AppendString(m, p.text)
		m = protowire.AppendTag(m, fieldScore, protowire.Fixed32Type)
		m = protowire.AppendFixed32(m, math.Float32bits(p.score))
		if p.kind != Normal {
			m = protowire.AppendTag(m, fieldType, protowire.VarintType)
			m = protowire.AppendVarint(m, uint64(p.kind))
		}
		model = protowire.AppendTag(model, fieldPieces, protowire.BytesType)
		model = protowire.AppendBytes(model, m)
	}
	return append(model, 0x12, 0x02, 0x20, 0x05) // a trainer_spec
}

var smallModel = []piece{{"<unk>", 0, Unknown}, {"<s>", 0, Control}, {"<0x0A>", 0, Byte}, {"▁a", -1.5, Normal}, {"mine", -2, UserDefined}, {"gone", -3, Unused}}

// obj and arr keep JSON literals short.
type obj = map[string]any
type arr = []any

func TestSentencePieceVocabulary(t *testing.T) {
	t.Parallel()
	files := map[string]any{"tokenizer.model": proto(smallModel...)}
	v := mustLoad(t, files, Options{})
	want := &Vocab{
		Model: "llama", Pre: "default",
		Tokens: []string{"<unk>", "<s>", "<0x0A>", "▁a", "mine", "gone"},
		Scores: []float32{0, 0, 0, -1.5, -2, -3},
		Types:  []int32{Unknown, Control, Byte, Normal, Normal, Unused}, // user-defined pieces count as normal
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSentencePieceVocabularyIsCutOrPaddedToVocabSize(t *testing.T) {
	t.Parallel()
	files := map[string]any{"tokenizer.model": proto(smallModel...)}
	if v := mustLoad(t, files, Options{VocabSize: 2}); !slices.Equal(v.Tokens, []string{"<unk>", "<s>"}) {
		t.Errorf("cut: %q", v.Tokens)
	}
	v := mustLoad(t, files, Options{VocabSize: 8})
	if v.Tokens[7] != "[PAD7]" || v.Types[7] != Unused || v.Scores[7] != -10000 {
		t.Errorf("padding: %q %d %v", v.Tokens[7], v.Types[7], v.Scores[7])
	}
}

func TestAddedTokensGoOverPieces(t *testing.T) {
	t.Parallel()
	v := mustLoad(t, map[string]any{
		"tokenizer.model":   proto(smallModel...),
		"added_tokens.json": obj{"<late>": 6, "<beyond>": 99},
		"tokenizer_config.json": obj{"added_tokens_decoder": obj{
			"3":  obj{"content": "▁b▁c"},
			"4":  obj{"content": "<|looks|>"},
			"5":  obj{"content": "<said>", "special": true},
			"7":  obj{"content": "<unused7>"},
			"98": obj{"content": "<beyond>"},
		}},
	}, Options{VocabSize: 9})
	for _, tc := range []struct {
		id    int
		text  string
		kind  int32
		score float32
	}{
		{3, " b c", UserDefined, -1000}, {4, "<|looks|>", Control, -1000}, {5, "<said>", Control, -1000},
		{6, "<late>", UserDefined, -1000}, {7, "<unused7>", Control, -1000}, {8, "[PAD8]", Unused, -10000},
	} {
		if v.Tokens[tc.id] != tc.text || v.Types[tc.id] != tc.kind || v.Scores[tc.id] != tc.score {
			t.Errorf("token %d: %q %d %v, want %q %d %v", tc.id, v.Tokens[tc.id], v.Types[tc.id], v.Scores[tc.id], tc.text, tc.kind, tc.score)
		}
	}
}

func TestTokensThatLookSpecial(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"<pad>": true, "<mask>": true, "<2mass>": true, "[@BOS@]": true, "<|x|>": true, "<｜x｜>": true, "<unused1>": true,
		"<tool>": false, "<|x": false, "pad": false,
	} {
		if looksSpecial(text) != want {
			t.Errorf("%q: special %t, want %t", text, !want, want)
		}
	}
}

// bpeJSON is a small tokenizer.json in Llama 3's shape, with changes at its top level.
func bpeJSON(change obj) obj {
	j := obj{
		"added_tokens":  arr{obj{"id": 4, "content": "<s>", "special": true}},
		"pre_tokenizer": sequence(regex(llama3Regex), obj{"type": "ByteLevel", "use_regex": false}),
		"decoder":       obj{"type": "ByteLevel"},
		"model":         obj{"type": "BPE", "ignore_merges": true, "vocab": obj{"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": arr{"a b"}},
	}
	for k, v := range change {
		j[k] = v
	}
	return j
}

func sequence(steps ...any) obj { return obj{"type": "Sequence", "pretokenizers": steps} }

func regex(pattern string) obj {
	return obj{"type": "Split", "pattern": obj{"Regex": pattern}, "behavior": "Isolated", "invert": false}
}

func TestBPEVocabulary(t *testing.T) {
	t.Parallel()
	v := mustLoad(t, map[string]any{"tokenizer.json": bpeJSON(nil)}, Options{VocabSize: 7})
	want := &Vocab{
		Model: "gpt2", Pre: "llama-bpe",
		Tokens: []string{"a", "b", "ab", "Ġ", "<s>", "[PAD5]", "[PAD6]"},
		Types:  []int32{Normal, Normal, Normal, Normal, Control, Unused, Unused},
		Merges: []string{"a b"},
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if v := mustLoad(t, map[string]any{"tokenizer.json": bpeJSON(nil)}, Options{}); len(v.Tokens) != 5 {
		t.Errorf("without vocab_size: %d tokens, want 5", len(v.Tokens))
	}
}

func TestMergesInBothSpellings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule   string
		merges any
		want   []string
	}{
		{"strings", arr{"a b", "ab c"}, []string{"a b", "ab c"}},
		{"pairs", arr{arr{"a", "b"}, arr{"ab", "c"}}, []string{"a b", "ab c"}},
		{"a space within a pair", arr{arr{"a b", " "}}, []string{"aĠb Ġ"}},
	} {
		j := bpeJSON(nil)
		j["model"].(obj)["merges"] = tc.merges
		if v := mustLoad(t, map[string]any{"tokenizer.json": j}, Options{}); !slices.Equal(v.Merges, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.rule, v.Merges, tc.want)
		}
	}
}

func TestMergesTxtStandsIn(t *testing.T) {
	t.Parallel()
	j := bpeJSON(nil)
	delete(j["model"].(obj), "merges")
	v := mustLoad(t, map[string]any{"tokenizer.json": j, "merges.txt": "#version: 0.2\na b\nnot a merge\n\n#c d\n"}, Options{})
	if want := []string{"a b", "#c d"}; !slices.Equal(v.Merges, want) {
		t.Errorf("got %q, want %q", v.Merges, want)
	}
}

func TestAddedTokensOfBPE(t *testing.T) {
	t.Parallel()
	no, yes := false, true
	for _, tc := range []struct {
		rule   string
		token  obj
		config obj
		text   string
		kind   int32
	}{
		{"plain", obj{"content": "<tool>", "normalized": yes}, nil, "<tool>", UserDefined},
		{"special", obj{"content": "<tool>", "special": yes}, nil, "<tool>", Control},
		{"looks special", obj{"content": "<|tool|>"}, nil, "<|tool|>", Control},
		{"U+2581 is a space", obj{"content": "▁▁", "normalized": yes}, nil, "  ", UserDefined},
		{"U+2581 stays in a control token", obj{"content": "<｜a▁b｜>", "special": yes}, nil, "<｜a▁b｜>", Control},
		{"byte alphabet is decoded", obj{"content": "Ġx", "normalized": no}, nil, " x", UserDefined},
		{"byte alphabet stays when normalized", obj{"content": "Ġx", "normalized": yes}, nil, "Ġx", UserDefined},
		{"a space is no letter of it", obj{"content": " Ġ", "normalized": no}, nil, " Ġ", UserDefined},
		{"half a character", obj{"content": "Ã", "normalized": no}, nil, "\ufffd", UserDefined},
		{"tidied spaces", obj{"content": "a .", "normalized": no}, obj{"clean_up_tokenization_spaces": yes}, "a.", UserDefined},
		{"untidied spaces", obj{"content": "a .", "normalized": no}, nil, "a .", UserDefined},
		{"tokenizer_config.json makes it special", obj{"content": "<tool>"}, obj{"added_tokens_decoder": obj{"5": obj{"content": "<tool>", "special": yes}}}, "<tool>", Control},
		{"tokenizer_config.json makes it plain", obj{"content": "<tool>", "special": yes}, obj{"added_tokens_decoder": obj{"5": obj{"content": "<tool>"}}}, "<tool>", UserDefined},
		{"named as eos", obj{"content": "<tool>"}, obj{"eos_token": "<tool>", "added_tokens_decoder": obj{"5": obj{"content": "<tool>"}}}, "<tool>", Control},
	} {
		tc.token["id"] = 5
		j := bpeJSON(obj{"added_tokens": arr{obj{"id": 4, "content": "<s>", "special": true}, tc.token}})
		files := map[string]any{"tokenizer.json": j}
		if tc.config != nil {
			files["tokenizer_config.json"] = tc.config
		}
		v := mustLoad(t, files, Options{})
		if v.Tokens[5] != tc.text || v.Types[5] != tc.kind {
			t.Errorf("%s: %q %d, want %q %d", tc.rule, v.Tokens[5], v.Types[5], tc.text, tc.kind)
		}
	}
}

func TestTokensOfTheConfigJoinTheVocabulary(t *testing.T) {
	t.Parallel()
	v := mustLoad(t, map[string]any{
		"tokenizer.json":        bpeJSON(nil),
		"tokenizer_config.json": obj{"bos_token": "b", "pad_token": obj{"content": "<pad!>"}, "added_tokens_decoder": obj{"5": obj{"content": "<new>"}}},
	}, Options{VocabSize: 8})
	if want := []string{"a", "b", "ab", "Ġ", "<s>", "<new>", "<pad!>", "[PAD7]"}; !slices.Equal(v.Tokens, want) {
		t.Errorf("tokens %q, want %q", v.Tokens, want)
	}
	if want := []int32{Normal, Control, Normal, Normal, Control, UserDefined, Control, Unused}; !slices.Equal(v.Types, want) {
		t.Errorf("types %v, want %v", v.Types, want)
	}
}

func TestOldModelsNameSpecialTokensInAFileOfTheirOwn(t *testing.T) {
	t.Parallel()
	v := mustLoad(t, map[string]any{
		"tokenizer.json":          bpeJSON(nil),
		"tokenizer_config.json":   obj{"tokenizer_class": "X"},
		"special_tokens_map.json": obj{"eos_token": obj{"content": "b"}, "additional_special_tokens": arr{"<x>"}},
		"added_tokens.json":       obj{"<x>": 5, "<y>": 6},
	}, Options{VocabSize: 8})
	if want := []string{"a", "b", "ab", "Ġ", "<s>", "<x>", "<y>", "[PAD7]"}; !slices.Equal(v.Tokens, want) {
		t.Errorf("tokens %q, want %q", v.Tokens, want)
	}
	if want := []int32{Normal, Control, Normal, Normal, Control, Control, UserDefined, Unused}; !slices.Equal(v.Types, want) {
		t.Errorf("types %v, want %v", v.Types, want)
	}
}

// spmJSON is a tokenizer.json made of a SentencePiece model.
func spmJSON() obj {
	return obj{
		"added_tokens": arr{obj{"id": 0, "content": "<unk>", "special": true}, obj{"id": 4, "content": "<x>"}, obj{"id": 5, "content": "<y>"}},
		"decoder":      obj{"type": "Sequence", "decoders": arr{obj{"type": "ByteFallback"}}},
		"model":        obj{"type": "BPE", "byte_fallback": true, "vocab": obj{"<unk>": 0, "</s>": 1, "<0x0A>": 2, "▁a": 3}, "merges": arr{"▁ a"}},
	}
}

func TestSentencePieceInTokenizerJSON(t *testing.T) {
	t.Parallel()
	files := map[string]any{
		"tokenizer.json":        spmJSON(),
		"tokenizer_config.json": obj{"tokenizer_class": "LlamaTokenizerFast", "pad_token": "<y>", "bos_token": nil},
	}
	v := mustLoad(t, files, Options{Llama: true, VocabSize: 7})
	want := &Vocab{
		Model: "llama", Pre: "default",
		Tokens:  []string{"<unk>", "</s>", "<0x0A>", "▁a", "<x>", "<y>", "[PAD6]"},
		Scores:  []float32{-1000, -1000, -1000, -1000, -1000, -1000, -10000},
		Types:   []int32{Control, Control, Byte, Normal, UserDefined, Control, Unused}, // </s> by the class's default
		Special: []SpecialToken{{"pad", 5}},
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var unknown *UnknownPreTokenizerError
	if _, err := Load(from(files), Options{}); !errors.As(err, &unknown) {
		t.Errorf("outside the Llama family: %v, want an unknown pre-tokenizer", err)
	}
}

func TestByteTokens(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"<0x0A>": true, "<0xfF>": true, "<0x0G>": false, "<0x0A": false, "0x0A": false, "<0x0AA>": false} {
		if isByteToken(text) != want {
			t.Errorf("%q: byte %t, want %t", text, !want, want)
		}
	}
}

func TestLlamaExtras(t *testing.T) {
	t.Parallel()
	files := map[string]any{"tokenizer.model": proto(smallModel...), "tokenizer_config.json": obj{"add_prefix_space": false, "add_bos_token": true}}
	v := mustLoad(t, files, Options{Llama: true})
	if v.AddSpacePrefix == nil || *v.AddSpacePrefix || v.LateEOT != nil || v.LateAddBOS != nil {
		t.Errorf("prefix %v, eot %v, bos %v", v.AddSpacePrefix, v.LateEOT, v.LateAddBOS)
	}
	if v := mustLoad(t, files, Options{}); v.AddSpacePrefix != nil {
		t.Error("add_prefix_space outside the Llama family")
	}
	if v := mustLoad(t, files, Options{Llama: true, VocabSize: 32016}); v.LateEOT == nil || *v.LateEOT != 32010 {
		t.Errorf("CodeLlama's eot: %v, want 32010", v.LateEOT)
	}
	files["config.json"] = obj{"eot_token_id": 7}
	if v := mustLoad(t, files, Options{Llama: true, VocabSize: 32016}); v.LateEOT == nil || *v.LateEOT != 7 {
		t.Errorf("CodeLlama's own eot: %v, want 7", v.LateEOT)
	}
	if v := mustLoad(t, files, Options{Llama: true, VocabSize: 49152}); v.LateAddBOS == nil || *v.LateAddBOS {
		t.Errorf("49152 tokens: %v, want false", v.LateAddBOS)
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	config := func(v any) map[string]any {
		return map[string]any{"tokenizer.json": bpeJSON(nil), "tokenizer_config.json": v}
	}
	bpe := func(change obj) map[string]any { return map[string]any{"tokenizer.json": bpeJSON(change)} }
	model := func(key string, value any) map[string]any {
		j := bpeJSON(nil)
		j["model"].(obj)[key] = value
		return map[string]any{"tokenizer.json": j}
	}
	spm := func(raw []byte) map[string]any { return map[string]any{"tokenizer.model": raw} }
	twice := append(slices.Clone(smallModel), piece{"mine", 0, Normal})
	for _, tc := range []struct {
		rule  string
		files map[string]any
		o     Options
		want  string
	}{
		{"nothing there", nil, Options{}, "neither tokenizer.model nor tokenizer.json"},
		{"tekken alone", map[string]any{"tekken.json": "{}"}, Options{}, "tekken.json without tokenizer.json"},
		{"vocab_size huge", bpe(nil), Options{VocabSize: 1 << 40}, "vocab_size 1099511627776"},
		{"vocab_size too small", bpe(nil), Options{VocabSize: 4}, "token id 4, but vocab_size is 4"},

		{"protobuf truncated", spm(proto(smallModel...)[:20]), Options{}, "tokenizer.model: broken protobuf"},
		{"protobuf claims 2 GB", spm([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, 'a', 'b', 'c', 'd'}), Options{}, "tokenizer.model: broken protobuf"},
		{"protobuf with a wrong wire type", spm([]byte{0x08, 0x01}), Options{}, "piece 0: wire type 0"},
		{"protobuf with groups", spm([]byte{0x0b, 0x0b, 0x0b}), Options{}, "broken protobuf"},
		{"no pieces", spm([]byte{}), Options{}, "no pieces"},
		{"text file", spm([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")), Options{}, "tokenizer.model:"},
		{"empty piece", spm(proto(piece{"<unk>", 0, Unknown}, piece{"", 0, Normal})), Options{}, "piece 1: empty"},
		{"piece twice", spm(proto(twice...)), Options{}, `piece 6: "mine" is there twice`},
		{"piece of no type", spm(proto(piece{"<unk>", 0, 9})), Options{}, "piece 0: type 9, want 1 to 6"},
		{"no unknown piece", spm(proto(smallModel[1:]...)), Options{}, "0 unknown pieces"},
		{"pre-tokenizer for SentencePiece", spm(proto(smallModel...)), Options{Pre: "qwen2"}, "which has no pre-tokenizer to choose"},
		{"pre-tokenizer for SentencePiece in JSON", map[string]any{"tokenizer.json": spmJSON()}, Options{Llama: true, Pre: "qwen2"}, "which has no pre-tokenizer to choose"},

		{"added id negative", map[string]any{"tokenizer.model": proto(smallModel...), "added_tokens.json": obj{"x": -1}}, Options{}, `added_tokens.json: "x": token id "-1"`},
		{"added id text", map[string]any{"tokenizer.model": proto(smallModel...), "added_tokens.json": obj{"x": "1"}}, Options{}, `added_tokens.json: "x": want a token id`},
		{"decoder's key", config(obj{"added_tokens_decoder": obj{"x": obj{"content": "y"}}}), Options{}, `added_tokens_decoder: token id "x"`},
		{"decoder's key twice", config(obj{"added_tokens_decoder": obj{"5": obj{"content": "y"}, "05": obj{"content": "z"}}}), Options{}, "token id 5 is there twice"},
		{"decoder without content", config(obj{"added_tokens_decoder": obj{"5": obj{}}}), Options{}, `"5": no content`},
		{"decoder a list", config(obj{"added_tokens_decoder": arr{}}), Options{}, "want an object"},
		{"config no object", config("[]"), Options{}, "tokenizer_config.json:"},
		{"config twice", config("{}{}"), Options{}, "tokenizer_config.json: there is more after the JSON object"},
		{"config null", config("null"), Options{}, "tokenizer_config.json: want a JSON object"},

		{"JSON truncated", map[string]any{"tokenizer.json": `{"model":`}, Options{}, "tokenizer.json: unexpected end"},
		{"another kind of model", model("type", "Unigram"), Options{}, "a Unigram model, only BPE"},
		{"no vocab", map[string]any{"tokenizer.json": "{}"}, Options{}, "model has no vocab"},
		{"vocab id negative", model("vocab", obj{"a": -1}), Options{}, `model.vocab: token "a": id -1`},
		{"vocab id huge", model("vocab", obj{"a": 1 << 40}), Options{}, `model.vocab: token "a": id 1099511627776`},
		{"vocab id a fraction", model("vocab", obj{"a": 1.5}), Options{}, "model.vocab:"},
		{"ids collide", model("vocab", obj{"a": 0, "b": 0}), Options{VocabSize: 9}, `tokens "a" and "b" have the same id 0`},
		{"added id collides", bpe(obj{"added_tokens": arr{obj{"id": 3, "content": "<s>"}}}), Options{}, `tokens "<s>" and "Ġ" have the same id 3`},
		{"added id huge", bpe(obj{"added_tokens": arr{obj{"id": 1 << 40, "content": "<s>"}}}), Options{}, `added token "<s>": id 1099511627776`},
		{"no merges", model("merges", arr{}), Options{}, "no merges"},
		{"merge of three", model("merges", arr{arr{"a", "b", "c"}}), Options{}, "merge 0 has 3 parts"},
		{"merges of both kinds", model("merges", arr{"a b", arr{"a", "b"}}), Options{}, "model.merges:"},
		{"pre-tokenizer of no type", bpe(obj{"pre_tokenizer": obj{"add_prefix_space": true}}), Options{}, "pre_tokenizer: step 0 has no type"},
		{"split without a pattern", bpe(obj{"pre_tokenizer": obj{"type": "Split"}}), Options{}, "a Split without a pattern"},
		{"pre-tokenizer unknown to llama.cpp", bpe(nil), Options{Pre: "qwen9"}, `pre-tokenizer "qwen9": llama.cpp has none of that name; it has a.x-4.0`},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			_, err := Load(from(tc.files), tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestReadErrorsAreNotAbsence(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for _, name := range []string{"tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json", "chat_template.jinja", "chat_template.json"} {
		files := map[string]any{"tokenizer.json": bpeJSON(nil), "tokenizer_config.json": obj{"a": 1}}
		read := from(files)
		_, err := Load(func(n string) ([]byte, error) {
			if n == name {
				return nil, broken
			}
			return read(n)
		}, Options{})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTokenizerModel(f *testing.F) {
	f.Add(proto(smallModel...))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, 'a'})
	f.Add([]byte{0x0a, 0x05, 0x0a, 0x01, 'a', 0x18, 0x02})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Load(from(map[string]any{"tokenizer.model": data}), Options{})
		if err == nil && len(v.Tokens) > len(data)/3 {
			t.Errorf("%d tokens of %d bytes", len(v.Tokens), len(data))
		}
	})
}

func FuzzTokenizerJSON(f *testing.F) {
	for _, j := range []obj{bpeJSON(nil), spmJSON(), bpeJSON(obj{"post_processor": obj{"type": "TemplateProcessing", "single": arr{obj{"SpecialToken": obj{"id": "<s>"}}, obj{}}}})} {
		data, err := json.Marshal(j)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []Options{{Llama: true}, {Pre: "qwen2", VocabSize: 100}} {
			v, err := Load(from(map[string]any{"tokenizer.json": data, "tokenizer_config.json": "{}"}), o)
			if err == nil && len(v.Tokens) > max(len(data), 100) {
				t.Errorf("%d tokens of %d bytes", len(v.Tokens), len(data))
			}
		}
	})
}

func FuzzTokenizerConfig(f *testing.F) {
	f.Add([]byte(`{"added_tokens_decoder":{"5":{"content":"<x>","special":true}},"chat_template":[{"name":"a","template":"b"}],"bos_token":{"content":"<s>"}}`))
	f.Add([]byte(`{"add_bos_token":true,"eos_token":"<s>","sep_token":"b","tokenizer_class":"LlamaTokenizer"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, base := range []map[string]any{{"tokenizer.json": bpeJSON(nil)}, {"tokenizer.model": proto(smallModel...)}} {
			base["tokenizer_config.json"] = data
			v, err := Load(from(base), Options{Llama: true, VocabSize: 50})
			if err == nil && len(v.Tokens) != 50 {
				t.Errorf("%d tokens, want 50", len(v.Tokens))
			}
		}
	})
}
