package tokenizer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestWordPiecesGetASpaceOrLoseTheirHashes(t *testing.T) {
	t.Parallel()
	v := mustLoad(t, map[string]any{"tokenizer.json": object{
		"model":        object{"type": "WordPiece", "vocab": object{"[PAD]": 0, "un": 1, "##able": 2, "##": 3, "[CLS]": 4}},
		"added_tokens": []any{object{"id": 0, "content": "[PAD]", "special": true}, object{"id": 4, "content": "[CLS]", "special": true}},
		"normalizer":   object{"type": "BertNormalizer", "lowercase": true},
	}}, Options{Kind: WordPieceOnly, VocabSize: 6})
	if want := []string{"[PAD]", "▁un", "able", "", "[CLS]", "▁[PAD5]"}; !slices.Equal(v.Tokens, want) {
		t.Errorf("got %q, want %q", v.Tokens, want)
	}
	if want := []int32{Control, Normal, Normal, Normal, Control, Unused}; !slices.Equal(v.Types, want) {
		t.Errorf("types %v, want %v", v.Types, want)
	}
	if v.Model != "bert" || v.Pre != "default" || v.Lowercase == nil || !*v.Lowercase {
		t.Errorf("model %q, pre-tokenizer %q, lowercase %v", v.Model, v.Pre, v.Lowercase)
	}
}

// trained adds what a SentencePiece model says of its training and of normalisation.
func trained(model []byte, modelType uint64, charsmap string, flags ...protowire.Number) []byte {
	spec := protowire.AppendVarint(protowire.AppendTag(nil, fieldModelType, protowire.VarintType), modelType)
	model = protowire.AppendBytes(protowire.AppendTag(slices.Clone(model), fieldTrainer, protowire.BytesType), spec)
	normal := protowire.AppendString(protowire.AppendTag(nil, fieldCharsmap, protowire.BytesType), charsmap)
	for _, off := range flags {
		normal = protowire.AppendVarint(protowire.AppendTag(normal, off, protowire.VarintType), 0)
	}
	return protowire.AppendBytes(protowire.AppendTag(model, fieldNormalizer, protowire.BytesType), normal)
}

func TestUnigramPiecesMoveByOne(t *testing.T) {
	t.Parallel()
	model := trained(proto(piece{"<unk>", 0, Unknown}, piece{"<s>", 0, Control}, piece{"</s>", 0, Control}, piece{"▁a", -1, Normal}, piece{"b", -2, UserDefined}),
		1, "map", fieldDummyPrefix)
	v := mustLoad(t, map[string]any{"sentencepiece.bpe.model": model}, Options{Kind: XLMRoberta, VocabSize: 8})
	if want := []string{"<s>", "<pad>", "</s>", "<unk>", "▁a", "b", "[PAD5]", "[PAD6]"}; !slices.Equal(v.Tokens, want) {
		t.Errorf("got %q, want %q", v.Tokens, want)
	}
	if want := []float32{0, 0, 0, 0, -1, -2, paddingScore, paddingScore}; !slices.Equal(v.Scores, want) {
		t.Errorf("scores %v, want %v", v.Scores, want)
	}
	if want := []int32{Control, Control, Control, Unknown, Normal, Normal, Unused, Unused}; !slices.Equal(v.Types, want) {
		t.Errorf("types %v, want %v", v.Types, want)
	}
	if v.Model != "t5" || string(v.Charsmap) != "map" || *v.MidSpacePrefix || !*v.ExtraSpaces {
		t.Errorf("model %q, charsmap %q, space prefix %t, extra spaces removed %t", v.Model, v.Charsmap, *v.MidSpacePrefix, *v.ExtraSpaces)
	}
}

func TestInternLMTypesItsPieces(t *testing.T) {
	t.Parallel()
	model := proto(piece{"<unk>", 0, Unknown}, piece{"\x00", -1, Normal}, piece{"[UNUSED_TOKEN_1]", -2, Normal}, piece{"a", -3, Normal}, piece{"c", -4, Normal})
	v := mustLoad(t, map[string]any{
		"tokenizer.model":       model,
		"config.json":           object{"eos_token_id": 3},
		"tokenizer_config.json": object{"added_tokens_decoder": object{"4": object{"content": "<|im_end|>", "special": true}, "3": object{"content": "▁x", "special": false}}},
	}, Options{Kind: SentencePieceOnly, InternLM: true, VocabSize: 5})
	if want := []string{"<unk>", "🐉", "[UNUSED_TOKEN_1]", "▁x", "<|im_end|>"}; !slices.Equal(v.Tokens, want) {
		t.Errorf("got %q, want %q", v.Tokens, want)
	}
	if want := []int32{Unknown, Normal, Unused, UserDefined, Control}; !slices.Equal(v.Types, want) {
		t.Errorf("types %v, want %v", v.Types, want)
	}
	if diff := cmp.Diff([]SpecialToken{{"eos", 4}}, v.Special); diff != "" {
		t.Errorf("special tokens (-want +got):\n%s", diff)
	}
}

func TestPhiTakesAddedTokensAsTheyStand(t *testing.T) {
	t.Parallel()
	files := map[string]any{
		"tokenizer.model":       proto(smallModel...),
		"tokenizer_config.json": object{"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": object{"3": object{"content": "<|x|>", "special": false}}},
		"tokenizer.json":        object{"model": object{"type": "BPE", "vocab": object{"a": 0}, "merges": []string{"a a"}}, "added_tokens": []any{object{"id": 4, "content": "▁y", "special": false}}},
	}
	v := mustLoad(t, files, Options{Phi: true, VocabSize: 6})
	if v.Tokens[3] != "<|x|>" || v.Types[3] != UserDefined || v.Tokens[4] != "▁y" || v.Types[4] != UserDefined {
		t.Errorf("got %q of types %v", v.Tokens, v.Types)
	}
	files["tokenizer_config.json"] = object{"tokenizer_class": "GPT2Tokenizer"}
	files["tokenizer.json"] = object{"model": object{"type": "BPE", "vocab": object{"a": 0}, "merges": []string{"a a"}}, "pre_tokenizer": object{"type": "ByteLevel"}}
	if v := mustLoad(t, files, Options{Phi: true, VocabSize: 1}); v.Model != "gpt2" {
		t.Errorf("GPT2Tokenizer: model %q, want gpt2", v.Model)
	}
}

func TestRolesThatTheFamilyGives(t *testing.T) {
	t.Parallel()
	files := map[string]any{
		"tokenizer.json": object{"model": object{"type": "BPE", "vocab": object{"a": 0, "b": 1}, "merges": []string{"a b"}}, "pre_tokenizer": object{"type": "ByteLevel"},
			"added_tokens": []any{object{"id": 2, "content": "<end>", "special": true}, object{"id": 3, "content": "<turn>", "special": true}}},
		"config.json": object{"eos_token_id": 1},
	}
	v := mustLoad(t, files, Options{Kind: BPEOnly, VocabSize: 4, Special: []Role{{"eos", "<end>"}, {"eot", "<turn>"}}})
	if diff := cmp.Diff([]SpecialToken{{"eos", 1}, {"eot", 3}}, v.Special); diff != "" { // what the files say stays
		t.Errorf("special tokens (-want +got):\n%s", diff)
	}
	v = mustLoad(t, map[string]any{"tokenizer.model": proto(smallModel...), "config.json": object{"pad_token_id": 4}},
		Options{Kind: SentencePieceOnly, VocabSize: 6, NoSpacePrefix: true, EOT: 5, IDs: []SpecialToken{{"pad", 0}, {"unk", 1}}})
	if diff := cmp.Diff([]SpecialToken{{"pad", 0}}, v.Special); diff != "" {
		t.Errorf("special tokens (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]SpecialToken{{"unk", 1}}, v.LateIDs); diff != "" {
		t.Errorf("late ids (-want +got):\n%s", diff)
	}
	if v.LateEOT == nil || *v.LateEOT != 5 || v.LateSpacePrefix == nil || *v.LateSpacePrefix {
		t.Errorf("eot %v, space prefix %v", v.LateEOT, v.LateSpacePrefix)
	}
}

func TestKindsOfVocabularyNameWhatIsMissing(t *testing.T) {
	t.Parallel()
	pieces := proto(smallModel...)
	for _, tc := range []struct {
		rule  string
		files map[string]any
		o     Options
		want  string
	}{
		{"no SentencePiece model", nil, Options{Kind: SentencePieceOnly}, "no tokenizer.model, which this architecture needs"},
		{"no Unigram model", map[string]any{"tokenizer.model": pieces}, Options{Kind: XLMRoberta}, "neither sentencepiece.bpe.model nor tokenizer.json"},
		{"no Unigram model in tokenizer.json", map[string]any{"tokenizer.json": wordPieces}, Options{Kind: XLMRoberta}, "a WordPiece model, this architecture needs Unigram"},
		{"Unigram pieces without scores", map[string]any{"tokenizer.json": unigramJSON(arr{arr{"a"}}, nil)}, Options{Kind: XLMRoberta}, "token 0: want [text, score]"},
		{"Unigram pieces that are no list", map[string]any{"tokenizer.json": unigramJSON("a", nil)}, Options{Kind: XLMRoberta}, "model.vocab"},
		{"a charsmap that isn't base64", map[string]any{"tokenizer.json": unigramJSON(arr{arr{"a", 0}}, "?")}, Options{Kind: XLMRoberta}, "precompiled_charsmap"},
		{"no T5 vocabulary", nil, Options{Kind: T5}, "no tokenizer.model, spiece.model or tokenizer.json"},
		{"more pieces than the model has", map[string]any{"spiece.model": trained(pieces, 1, "")}, Options{Kind: T5, VocabSize: 5}, "6 pieces, but vocab_size is 5"},
		{"no encoder's vocabulary", map[string]any{"tokenizer.model": pieces}, Options{Kind: Encoder}, "no tokenizer.json, which this architecture needs"},
		{"no WordPiece model", map[string]any{"tokenizer.json": object{"model": object{"type": "BPE", "vocab": object{"a": 0}}}}, Options{Kind: WordPieceOnly}, "a BPE model, this architecture needs WordPiece"},
		{"Unigram that is BPE", map[string]any{"sentencepiece.bpe.model": trained(pieces, 2, "")}, Options{Kind: XLMRoberta}, "model of type 2, want 1"},
		{"Unigram cut short", map[string]any{"sentencepiece.bpe.model": trained(pieces, 1, "")[:25]}, Options{Kind: XLMRoberta}, "broken protobuf"},
		{"a normalizer whose text is longer than it", map[string]any{"sentencepiece.bpe.model": append(slices.Clone(pieces), 0x1a, 0x02, 0x12, 0x7f)}, Options{Kind: XLMRoberta}, "broken protobuf"},
		{"Unigram of one token", map[string]any{"sentencepiece.bpe.model": trained(proto(piece{"<unk>", 0, Unknown}), 1, "")}, Options{Kind: XLMRoberta, VocabSize: 1}, "1 tokens, want 4 or more"},
		{"InternLM with too few pieces", map[string]any{"tokenizer.model": pieces}, Options{InternLM: true, VocabSize: 7}, "6 pieces, but vocab_size is 7"},
		{"a role without its token", map[string]any{"tokenizer.json": object{"model": object{"type": "BPE", "vocab": object{"a": 0}, "merges": []string{"a a"}}, "pre_tokenizer": object{"type": "ByteLevel"}}},
			Options{Special: []Role{{"eot", "<turn>"}}}, `no added token "<turn>"`},
	} {
		if _, err := Load(from(tc.files), tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.rule, err, tc.want)
		}
	}
}

var wordPieces = object{"model": object{"type": "WordPiece", "vocab": object{"a": 0, "##b": 1}}}

// unigramJSON is a tokenizer.json with a Unigram model; no normalizer if charsmap is nil.
func unigramJSON(vocab, charsmap any) object {
	o := object{"model": object{"type": "Unigram", "unk_id": 0, "vocab": vocab}, "added_tokens": arr{object{"id": 1, "content": "<s>", "special": true}, object{"id": 3, "content": "<x>"}}}
	if charsmap != nil {
		o["normalizer"] = object{"type": "Sequence", "normalizers": arr{object{"type": "Precompiled", "precompiled_charsmap": charsmap}}}
	}
	return o
}

func TestUnigramOfTokenizerJSON(t *testing.T) {
	t.Parallel()
	pieces := arr{arr{"<unk>", 0.0}, arr{"<s>", 0.0}, arr{"▁a", -1.5}, arr{"<x>", -2.0}}
	files := map[string]any{"tokenizer.json": unigramJSON(pieces, "bWFw"),
		"tokenizer_config.json": object{"bos_token": "<s>", "clean_up_tokenization_spaces": true}}
	v := mustLoad(t, files, Options{Kind: Encoder, VocabSize: 5})
	if diff := cmp.Diff([]string{"<unk>", "<s>", "▁a", "<x>", "[PAD4]"}, v.Tokens); diff != "" || v.Model != "t5" {
		t.Errorf("%s tokens (-want +got):\n%s", v.Model, diff)
	}
	if diff := cmp.Diff([]int32{Unknown, Control, Normal, UserDefined, Unused}, v.Types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if string(v.Charsmap) != "map" || v.MidSpacePrefix == nil || *v.MidSpacePrefix || v.ExtraSpaces == nil || !*v.ExtraSpaces {
		t.Errorf("charsmap %q, space prefix %v, extra spaces %v", v.Charsmap, v.MidSpacePrefix, v.ExtraSpaces)
	}
	v = mustLoad(t, files, Options{Kind: T5, VocabSize: 5}) // as SentencePiece's own model has it
	if v.MidSpacePrefix == nil || !*v.MidSpacePrefix || v.ExtraSpaces == nil || !*v.ExtraSpaces {
		t.Errorf("T5: space prefix %v, extra spaces %v", v.MidSpacePrefix, v.ExtraSpaces)
	}
}

func TestT5TakesTheFileThatThereIs(t *testing.T) {
	t.Parallel()
	model := trained(proto(smallModel...), 1, "map")
	for _, name := range []string{"spiece.model", "tokenizer.model"} {
		v := mustLoad(t, map[string]any{name: model, "added_tokens.json": object{"<extra>": 6}}, Options{Kind: T5, VocabSize: 8})
		if v.Model != "t5" || v.Tokens[6] != "<extra>" || v.Types[6] != UserDefined || v.Tokens[7] != "[PAD7]" || v.Types[4] != Normal || string(v.Charsmap) != "map" {
			t.Errorf("%s: %s %v %v, charsmap %q", name, v.Model, v.Tokens, v.Types, v.Charsmap)
		}
	}
	if v := mustLoad(t, map[string]any{"tokenizer.model": trained(proto(smallModel...), 2, "")}, Options{Kind: T5}); v.Model != "llama" {
		t.Errorf("Pile-T5's BPE model: %s, want llama", v.Model)
	}
}

func TestEncoderTakesWhatTokenizerJSONHas(t *testing.T) {
	t.Parallel()
	bpe := object{"model": object{"type": "BPE", "vocab": object{"a": 0, "b": 1}, "merges": []string{"a b"}}, "pre_tokenizer": object{"type": "Whitespace"}}
	if v := mustLoad(t, map[string]any{"tokenizer.json": wordPieces}, Options{Kind: Encoder}); v.Model != "bert" || v.Tokens[1] != "b" {
		t.Errorf("WordPiece: %s %v", v.Model, v.Tokens)
	}
	if v := mustLoad(t, map[string]any{"tokenizer.json": bpe}, Options{Kind: Encoder, Whitespace: true}); v.Model != "whitespace" || v.Pre != "whitespace" {
		t.Errorf("white space: %s %s", v.Model, v.Pre)
	}
	if _, err := Load(from(map[string]any{"tokenizer.json": bpe}), Options{Kind: Encoder}); err == nil {
		t.Error("text cut at white space is no byte-level BPE")
	}
}

func FuzzUnigramJSON(f *testing.F) {
	for _, vocab := range []any{arr{arr{"<unk>", 0}, arr{"▁a", -1.5}}, arr{arr{}}, "a"} {
		data, err := json.Marshal(unigramJSON(vocab, "bWFw"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, []byte(`{"unk_token": "<s>"}`))
	}
	f.Fuzz(func(t *testing.T, data, config []byte) {
		for _, kind := range []Kind{XLMRoberta, T5, Encoder} {
			v, err := Load(from(map[string]any{"tokenizer.json": data, "tokenizer_config.json": config}), Options{Kind: kind})
			if err == nil && (len(v.Tokens) == 0 || len(v.Tokens) > len(data)) {
				t.Errorf("%d tokens of %d bytes", len(v.Tokens), len(data))
			}
		}
	})
}

func FuzzUnigram(f *testing.F) {
	f.Add(trained(proto(smallModel...), 1, "map", fieldDummyPrefix, fieldExtraSpaces), int64(8))
	f.Add([]byte{0x1a, 0x02, 0x12, 0x7f}, int64(1))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		v, err := Load(from(map[string]any{"sentencepiece.bpe.model": data}), Options{Kind: XLMRoberta, VocabSize: size % 4096})
		if err == nil && (len(v.Tokens) < 4 || len(v.Tokens) != len(v.Types) || len(v.Tokens) != len(v.Scores)) {
			t.Errorf("%d tokens, %d types, %d scores", len(v.Tokens), len(v.Types), len(v.Scores))
		}
	})
}

func TestGemma4KeepsMergesAndShowsItsMarks(t *testing.T) {
	t.Parallel()
	json := object{
		"model":        object{"type": "BPE", "vocab": object{"<pad>": 0, "<0x41>": 1, "▁a": 2, "b": 3, "<|channel>": 4}, "merges": []any{[]any{"▁", "a"}}},
		"added_tokens": []any{object{"id": 0, "content": "<pad>", "special": true}, object{"id": 4, "content": "<|channel>", "special": true}},
	}
	v := mustLoad(t, map[string]any{"tokenizer.json": json, "tokenizer_config.json": object{"pad_token": "<pad>", "extra_special_tokens": []any{"<|channel>"}}},
		Options{Kind: Gemma4, VocabSize: 5})
	if v.Model != "gemma4" || v.Pre != "" || !slices.Equal(v.Merges, []string{"▁ a"}) || *v.LateSpacePrefix || !*v.LateAddBOS {
		t.Errorf("model %q, pre-tokenizer %q, merges %q", v.Model, v.Pre, v.Merges)
	}
	if want := []int32{Control, Byte, Normal, Normal, UserDefined}; !slices.Equal(v.Types, want) {
		t.Errorf("types %v, want %v", v.Types, want)
	}
	json["model"].(object)["merges"] = nil
	if _, err := Load(from(map[string]any{"tokenizer.json": json}), Options{Kind: Gemma4, VocabSize: 5}); err == nil || !strings.Contains(err.Error(), "no merges") {
		t.Errorf("without merges: %v", err)
	}
}

// Jamba's pieces come from either file; only tokenizer.json's go without a space before the text.
func TestPiecesComeFromEitherFile(t *testing.T) {
	t.Parallel()
	json := object{"model": object{"type": "BPE", "vocab": object{"<s>": 0, "▁a": 1}, "merges": []any{}}}
	files := map[string]any{"tokenizer.json": json}
	v := mustLoad(t, files, Options{Kind: Pieces, VocabSize: 2})
	if v.Model != "llama" || v.LateSpacePrefix == nil || *v.LateSpacePrefix {
		t.Errorf("model %q, space prefix %v", v.Model, v.LateSpacePrefix)
	}
	files["tokenizer.model"] = proto(piece{"<unk>", 0, Unknown}, piece{"▁b", -1, Normal})
	if v = mustLoad(t, files, Options{Kind: Pieces, VocabSize: 2}); v.Tokens[1] != "▁b" || v.LateSpacePrefix != nil {
		t.Errorf("tokens %q, space prefix %v", v.Tokens, v.LateSpacePrefix)
	}
	for _, kind := range []Kind{Pieces, Gemma4} {
		if _, err := Load(from(map[string]any{"tokenizer.json": json}), Options{Kind: kind, VocabSize: 2, Pre: "qwen2"}); err == nil || !strings.Contains(err.Error(), "pre-tokenizer") {
			t.Errorf("kind %d takes a pre-tokenizer: %v", kind, err)
		}
	}
}

// Hunyuan's own ids of ends go before what other files say, and a padding token that is none stays out.
func TestHunyuanCorrectsItsEnds(t *testing.T) {
	t.Parallel()
	files := map[string]any{
		"tokenizer.json": object{"model": object{"type": "BPE", "vocab": object{"a": 0, "b": 1, "<pad>": 2, "<eos>": 3}, "merges": []any{"a b"}},
			"added_tokens":  []any{object{"id": 2, "content": "<pad>", "special": true}, object{"id": 3, "content": "<eos>", "special": true}},
			"pre_tokenizer": object{"type": "ByteLevel", "use_regex": true}},
		"tokenizer_config.json":  object{"pad_token": "<pad>", "eos_token": "<eos>"},
		"config.json":            object{"pad_token_id": -1, "eod_token_id": 1},
		"generation_config.json": object{"eos_token_id": []any{0, 3}},
	}
	v := mustLoad(t, files, Options{Kind: BPEOnly, Hunyuan: true, VocabSize: 4})
	if want := []SpecialToken{{"eos", 1}}; !slices.Equal(v.Special, want) {
		t.Errorf("special %v, want %v", v.Special, want)
	}
	if want := []SpecialToken{{"eot", 0}}; !slices.Equal(v.LateIDs, want) {
		t.Errorf("late ids %v, want %v", v.LateIDs, want)
	}
	for name, broken := range map[string]any{"config.json": object{"eod_token_id": "x"}, "generation_config.json": object{"eos_token_id": []any{-1, 2}}} {
		saved := files[name]
		files[name] = broken
		if _, err := Load(from(files), Options{Kind: BPEOnly, Hunyuan: true, VocabSize: 4}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("broken %s: %v", name, err)
		}
		files[name] = saved
	}
}

// InternLM 3 ends texts with <|im_end|>, and has its space prefix before the special tokens.
func TestInternLM3EndsTexts(t *testing.T) {
	t.Parallel()
	files := map[string]any{
		"tokenizer.model": proto(piece{"<unk>", 0, Unknown}, piece{"<s>", 0, Control}, piece{"</s>", 0, Control}),
		"tokenizer_config.json": object{"add_prefix_space": true,
			"added_tokens_decoder": object{"3": object{"content": "<|im_end|>", "special": true}}},
		"config.json": object{"eos_token_id": 2},
	}
	v := mustLoad(t, files, Options{Kind: SentencePieceOnly, InternLM3: true, VocabSize: 4})
	if want := []SpecialToken{{"eos", 3}}; !slices.Equal(v.Special, want) {
		t.Errorf("special %v, want %v", v.Special, want)
	}
	if v.MidSpacePrefix == nil || !*v.MidSpacePrefix || v.LateSpacePrefix != nil {
		t.Errorf("space prefix %v, late %v", v.MidSpacePrefix, v.LateSpacePrefix)
	}
}

// vocab.json and merges.txt make the vocabulary that tokenizer.json would, but for special ids that only it gives names.
func TestSlowTokenizersKeepTheirVocabularyInTwoFiles(t *testing.T) {
	t.Parallel()
	files := map[string]any{
		"vocab.json": object{"a": 0, "b": 1, "ab": 2},
		"merges.txt": "#version: 0.2\na b\n",
		"tokenizer_config.json": object{"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
			"added_tokens_decoder": object{"3": object{"content": "<|im_end|>", "special": true}, "4": object{"content": "<tool>", "special": false}}},
		"config.json": object{"bos_token_id": 3},
	}
	v := mustLoad(t, files, Options{Kind: BPEOnly, VocabSize: 6})
	if want := []string{"a", "b", "ab", "<|im_end|>", "<tool>", "[PAD5]"}; v.Pre != "qwen2" || !slices.Equal(v.Tokens, want) {
		t.Errorf("pre-tokenizer %q, tokens %q, want %q", v.Pre, v.Tokens, want)
	}
	if want := []int32{Normal, Normal, Normal, Control, UserDefined, Unused}; !slices.Equal(v.Types, want) {
		t.Errorf("types %v, want %v", v.Types, want)
	}
	if want := []SpecialToken{{"bos", 3}}; !slices.Equal(v.Special, want) || !slices.Equal(v.Merges, []string{"a b"}) {
		t.Errorf("special %v, merges %q", v.Special, v.Merges)
	}
	for class, want := range map[string]string{"GPT2Tokenizer": "gpt-2", "CodeGenTokenizer": "gpt-2"} {
		files["tokenizer_config.json"] = object{"tokenizer_class": class}
		if v := mustLoad(t, files, Options{VocabSize: 6}); v.Pre != want {
			t.Errorf("%s: pre-tokenizer %q, want %q", class, v.Pre, want)
		}
	}
	files["tokenizer_config.json"] = object{"tokenizer_class": "MyTokenizer"}
	if v := mustLoad(t, files, Options{VocabSize: 6, Pre: "starcoder"}); v.Pre != "starcoder" {
		t.Errorf("pre-tokenizer %q, want starcoder", v.Pre)
	}
	for _, tc := range []struct {
		rule, name string
		data       any
		want       string
	}{
		{"a class of its own", "tokenizer_config.json", object{"tokenizer_class": "MyTokenizer"}, `unknown pre-tokenizer: that of the class "MyTokenizer"`},
		{"no merges", "merges.txt", nil, "vocab.json without merges.txt"},
		{"no tokens", "vocab.json", object{}, "vocab.json: no tokens"},
		{"no object", "vocab.json", "[]", "vocab.json: json"},
		{"an id below 0", "vocab.json", object{"a": -1}, `vocab.json: token "a": id -1`},
		{"an id beyond the vocabulary", "vocab.json", object{"a": 6}, "vocab_size is 6"},
	} {
		broken := maps.Clone(files)
		broken["tokenizer_config.json"] = object{"tokenizer_class": "Qwen2Tokenizer"}
		broken[tc.name] = tc.data
		if _, err := Load(from(broken), Options{Kind: BPEOnly, VocabSize: 6}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.rule, err, tc.want)
		}
	}
}
