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
	spark     = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+|[\r\n]|\\s+(?!\\S)|\\s+"
	bloomWord = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"
	cjk       = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
	cjkKana   = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
)

// spelled writes contractions as llama.cpp's own expressions do.
func spelled(pattern string) string {
	return strings.ReplaceAll(pattern, "(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])")
}

// trinity is the pre-tokenizer of Arcee's Trinity.
func trinity(scripts string) obj {
	return sequence(regex("\\p{Nd}{1,510}(?=(?>\\p{Nd}{510})*(?:\\P{Nd}|$))|\\G\\p{Nd}{510}"), regex("\\A\\p{Nd}{1,2}(?=\\p{Nd}{3}+\\z)"), regex("\\A\\p{Nd}{3}|\\G\\p{Nd}{3}"),
		regex(scripts), regex(deepseek3), bytesOnly)
}

func TestPreTokenizersAreRecognised(t *testing.T) {
	t.Parallel()
	removed := regex(gpt4o) // as in the files converted for JavaScript
	removed["behavior"], removed["invert"] = "Removed", true
	newlines := regex("(?:\\r?\\n)+(?!\\r?\\n)")
	newlines["behavior"] = "MergedWithNext"
	prefixed := obj{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}
	nfc := obj{"normalizer": obj{"type": "NFC"}}
	seen := map[string]bool{}
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
		{"falcon-h1", sequence(regex(strings.Replace(gpt4o, "{1,3}", "", 1)), bytesOnly), false, nil, nil},
		{"lfm2", sequence(regex("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"), bytesOnly), true, nil, nil},
		{"youtu", sequence(regex("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"), regex(spelled(strings.Replace(gpt4o, "{1,3}", "", 1))), bytesOnly), true, nil, nil},
		{"kimi-k2", sequence(regex("[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytesOnly), true, nil, nil},
		{"chameleon", sequence(regex("<sentinel:[0-9]+>"), regex("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"), regex("([\t\n]|    |  )"), eachDigit, obj{"type": "Punctuation", "behavior": "Isolated"}, bytesGPT2), false, nil, nil},
		{"afmoe", trinity("(?:[\\u4E00-\\u9FFF\\u3040-\\u309F]+|[\\u0E00-\\u0E7F]+)"), false, nil, nil},
		{"afmoe", trinity("(?:[一-鿿぀-ゟ]+|[\u0e00-\u0e7f]+)"), false, nil, nil},
		{"spark2_5", sequence(regex("\\p{N}{1,3}"), regex(cjkKana), regex(spark), regex("\\p{N}"), bytesOnly), false, nil, nil},
		{"spark2_5", sequence(regex("\\p{N}{1,3}"), regex(cjkKana), regex(spark), eachDigit, bytesOnly), false, nil, nil},
		{"gemma4", obj{"type": "Split", "pattern": obj{"String": " "}, "behavior": "MergedWithPrevious", "invert": false}, false, obj{"normalizer": obj{"type": "Replace", "pattern": obj{"String": " "}, "content": "▁"}}, nil},
		{"llama-bpe", sequence(regex(spelled(llama3)), bytesOnly), true, nil, nil},
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
		seen[tc.want] = true
	}
	for _, row := range preTable {
		if !seen[row.name] {
			t.Errorf("row %q: no definition here is recognised by it", row.name)
		}
	}
}

func TestNoRowOfTheTableIsHidden(t *testing.T) {
	t.Parallel()
	for i, row := range preTable {
		for _, earlier := range preTable[:i] {
			if slices.Equal(earlier.steps, row.steps) && earlier.normalizer == row.normalizer && !earlier.ignoreMerges && !earlier.keepsSpaces && earlier.has == "" {
				t.Errorf("row %q is hidden by %q", row.name, earlier.name)
			}
		}
	}
}

// libllamaPre are the names that llama_vocab::impl::load of llama.cpp 0.5.0 knows; those in one line are split by the
// same expressions (llm_tokenizer_bpe).
var libllamaPre = []string{
	"default",
	"minicpm5",
	"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe glm4 chatglm-bpe",
	"deepseek-llm",
	"deepseek-coder",
	"deepseek-v3 hunyuan-dense hy_v4 joyai-llm",
	"spark2_5",
	"youtu",
	"falcon",
	"mpt gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en jina-v2-code roberta-bpe olmo jais exaone4 trillion granite-docling",
	"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
	"jais-2",
	"gemma4 granite-embed-multi-311m sarvam-moe",
	"whitespace",
	"qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan grok-2 solar-open",
	"qwen35",
	"poro-chat bloom gpt3-finnish",
	"viking",
	"tekken",
	"exaone-moe",
	"chameleon",
	"gpt-4o llama4 kanana2 talkie minimax-m2",
	"granite-embed-multi-97m",
	"tiny_aya cohere2moe",
	"superbpe",
	"bailingmoe bailingmoe2 llada-moe",
	"seed-coder",
	"kimi-k2",
	"ufakzeka",
	"afmoe",
	"laguna",
}

// unrecognisedPre are the names that no definition stands for, and why.
var unrecognisedPre = map[string]string{
	"default":                 "what libllama takes where a file names none; the converter writes it for other kinds of vocabulary alone",
	"whitespace":              "has a vocabulary of a kind of its own, which is recognised as such (bpe.go)",
	"granite-embed-multi-97m": "splits by gpt-4o's steps, and libllama by other expressions: only the probe tells it",
}

func TestEveryNameOfLibllamaIsRecognisedOrSaidNotToBe(t *testing.T) {
	t.Parallel()
	group := map[string]int{}
	for i, line := range libllamaPre {
		for _, name := range strings.Fields(line) {
			group[name] = i
			if !slices.Contains(PreTokenizers(), name) {
				t.Errorf("%q is not in the list", name)
			}
		}
	}
	if len(group) != len(PreTokenizers()) || !slices.IsSorted(PreTokenizers()) {
		t.Errorf("the list has %d names, sorted: %t; libllama has %d", len(PreTokenizers()), slices.IsSorted(PreTokenizers()), len(group))
	}
	recognised := map[string]bool{}
	for _, row := range preTable {
		of, known := group[row.name]
		if !known {
			t.Errorf("row %q: libllama has no such pre-tokenizer", row.name)
		}
		recognised[row.name] = true
		for _, name := range row.also {
			if recognised[name] = true; group[name] != of {
				t.Errorf("row %q says that %q splits alike: libllama has other expressions for it", row.name, name)
			}
		}
	}
	for name := range group {
		if _, said := unrecognisedPre[name]; said == recognised[name] {
			t.Errorf("%q: recognised %t, said not to be %t", name, recognised[name], said)
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
		if hint := unknown.Hint(); !strings.Contains(hint, "--pre NAME") || !strings.Contains(hint, "llama-bpe, ") {
			t.Errorf("%s: hint %q", tc.rule, hint)
		}
		if v := mustLoad(t, files, Options{Pre: "gpt-2"}); v.Pre != "gpt-2" {
			t.Errorf("%s: named gpt-2, got %q", tc.rule, v.Pre)
		}
	}
}
