package tokenizer

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Steps of tokenizer.json in the words of the models' own files.
var (
	bytesOnly  = obj{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
	bytesGPT2  = obj{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	eachDigit  = obj{"type": "Digits", "individual_digits": true}
	digitGroup = obj{"type": "Digits", "individual_digits": false}
)

const (
	gpt4o  = "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
	tekken = "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
	llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
	qwen   = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
	// DeepSeek's files hold line breaks as such, not as escapes.
	deepseek3 = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
	seed      = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
	bloomWord = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"
	cjk       = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
	cjkKana   = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
)

func TestPreTokenizersAreRecognised(t *testing.T) {
	t.Parallel()
	removed := regex(gpt4o) // as in the files converted for JavaScript
	removed["behavior"], removed["invert"] = "Removed", true
	newlines := regex("(?:\\r?\\n)+(?!\\r?\\n)")
	newlines["behavior"] = "MergedWithNext"
	prefixed := obj{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}
	nfc := obj{"normalizer": obj{"type": "NFC"}}
	for _, tc := range []struct {
		want   string
		pre    any
		merges bool // ignore_merges
		change obj
		config any
	}{
		{"llama-bpe", sequence(regex(llama3), bytesOnly), true, nil, nil},
		{"smaug-bpe", sequence(regex(llama3), bytesOnly), false, nil, nil},
		{"glm4", sequence(regex(llama3), bytesOnly), false, obj{"added_tokens": arr{obj{"id": 4, "content": "[gMASK]"}}}, nil},
		{"qwen2", sequence(regex(qwen), bytesOnly), false, nfc, nil},
		{"qwen2", sequence(sequence(regex(qwen)), bytesOnly), false, obj{"normalizer": obj{"type": "Sequence", "normalizers": arr{}}}, nil},
		{"qwen35", sequence(regex("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytesOnly), false, nfc, nil},
		{"ufakzeka", sequence(regex("[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytesOnly), false, nil, nil},
		{"seed-coder", sequence(regex(seed), bytesOnly), false, nil, nil},
		{"bailingmoe", sequence(regex("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"), bytesOnly), false, nil, nil},
		{"jais-2", sequence(regex("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"), bytesOnly), false, nil, nil},
		{"exaone-moe", sequence(regex("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"), bytesOnly), false, nil, nil},
		{"minicpm5", sequence(regex("\\p{N}{1,3}"), regex(strings.Replace(llama3, "{1,3}", "+", 1)), bytesOnly), true, nil, nil},
		{"laguna", sequence(newlines, regex(qwen), bytesOnly), false, nil, nil},
		{"gpt-4o", sequence(regex(gpt4o), bytesOnly), false, nil, nil},
		{"gpt-4o", sequence(removed, bytesOnly), false, nil, nil},
		{"tekken", sequence(regex(tekken), bytesOnly), true, nil, nil},
		{"tiny_aya", sequence(regex("\\d{1,3}(?=(?:\\d{3})*\\b)"), regex(gpt4o), bytesOnly), false, nil, nil},
		{"gpt-2", obj{"type": "ByteLevel"}, false, nil, nil},
		{"gpt-2", prefixed, false, nfc, nil},
		{"starcoder", sequence(eachDigit, bytesGPT2), false, nil, nil},
		{"starcoder", sequence(eachDigit, bytesGPT2), false, nil, obj{"clean_up_tokenization_spaces": true}},
		{"smollm", sequence(eachDigit, bytesGPT2), false, nil, obj{"clean_up_tokenization_spaces": false}},
		{"falcon", sequence(obj{"type": "Punctuation", "behavior": "Contiguous"}, bytesGPT2, digitGroup, regex("[0-9][0-9][0-9]")), false, nil, nil},
		{"deepseek-v3", sequence(regex("\\p{N}{1,3}"), regex(cjkKana), regex(deepseek3), bytesOnly), false, nil, nil},
		{"deepseek-coder", sequence(regex("[\r\n]"), regex("\\s?\\p{L}+"), regex("\\s?\\p{P}+"), regex(cjk), eachDigit, bytesOnly), false, nil, nil},
		{"deepseek-llm", sequence(regex("[\r\n]"), regex("\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯ]+"), regex("\\s?[!-/:-~！-／：-～‘-‟　-。]+"), regex("\\s+$"), regex(cjk), eachDigit, bytesOnly), false, nil, nil},
		{"bloom", sequence(regex(bloomWord), bytesOnly), false, nil, nil},
		{"viking", sequence(regex(bloomWord), eachDigit, bytesOnly), false, nil, nil},
		{"superbpe", sequence(regex("\\p{N}+"), regex("(?=(\\d{3})+(?!\\d))"), bytesOnly), false, nil, nil},
	} {
		change := obj{"pre_tokenizer": tc.pre}
		for k, v := range tc.change {
			change[k] = v
		}
		j := bpeJSON(change)
		j["model"].(obj)["ignore_merges"] = tc.merges
		files := map[string]any{"tokenizer.json": j, "tokenizer_config.json": tc.config}
		v, err := Load(from(files), Options{})
		if err != nil {
			t.Errorf("%s: %v", tc.want, err)
		} else if v.Pre != tc.want {
			t.Errorf("%s: recognised as %q", tc.want, v.Pre)
		}
	}
}

func TestEveryRowOfTheTableIsReached(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i, row := range preTable {
		if !slices.Contains(PreTokenizers(), row.name) {
			t.Errorf("row %q: llama.cpp has no such pre-tokenizer", row.name)
		}
		if seen[row.name] {
			t.Errorf("row %q is there twice", row.name)
		}
		seen[row.name] = true
		for _, earlier := range preTable[:i] {
			if slices.Equal(earlier.steps, row.steps) && !earlier.ignoreMerges && !earlier.keepsSpaces && earlier.has == "" {
				t.Errorf("row %q is hidden by %q", row.name, earlier.name)
			}
		}
	}
}

func TestUnknownPreTokenizerShowsItselfAndTheWayOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule   string
		change obj
		want   string
	}{
		{"another expression", obj{"pre_tokenizer": sequence(regex(`\w+`), bytesOnly)}, `unknown pre-tokenizer: Split /\w+/, then ByteLevel`},
		{"another behaviour", obj{"pre_tokenizer": sequence(obj{"type": "Split", "pattern": obj{"Regex": llama3}, "behavior": "MergedWithNext", "invert": true}, bytesOnly)}, "MergedWithNext inverted"},
		{"removed matches", obj{"pre_tokenizer": sequence(obj{"type": "Split", "pattern": obj{"Regex": bloomWord}, "behavior": "Removed", "invert": true}, bytesOnly)}, "Removed inverted"},
		{"a literal", obj{"pre_tokenizer": sequence(obj{"type": "Split", "pattern": obj{"String": " "}, "behavior": "Isolated"}, bytesOnly)}, `Split at " " Isolated`},
		{"another normalizer", obj{"normalizer": obj{"type": "NFKC"}}, "after the normalizer NFKC"},
		{"punctuation by itself", obj{"pre_tokenizer": sequence(obj{"type": "Punctuation"}, bytesOnly)}, "Punctuation Isolated"},
		{"another kind", obj{"pre_tokenizer": obj{"type": "Metaspace"}}, "unknown pre-tokenizer: Metaspace"},
		{"none", obj{"pre_tokenizer": nil}, "unknown pre-tokenizer: nothing"},
	} {
		files := map[string]any{"tokenizer.json": bpeJSON(tc.change)}
		_, err := Load(from(files), Options{})
		var unknown *UnknownPreTokenizerError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.rule, err, tc.want)
			continue
		}
		if hint := unknown.Hint(); !strings.Contains(hint, "--pre-tokenizer NAME") || !strings.Contains(hint, "llama-bpe, ") {
			t.Errorf("%s: hint %q", tc.rule, hint)
		}
		if v := mustLoad(t, files, Options{Pre: "gpt-2"}); v.Pre != "gpt-2" {
			t.Errorf("%s: named gpt-2, got %q", tc.rule, v.Pre)
		}
	}
}
