package tokenizer

import (
	"slices"
	"strings"
)

// preRow says by what a pre-tokenizer of llama.cpp is recognised.
type preRow struct {
	name       string
	steps      []string // all of them; one that ends in "…" is a beginning
	normalizer string   // what is done to the text before, as describeNormalizer writes it

	// also are the names that stand for the same way of splitting text: libllama gives them the same expressions, and
	// models that have them the same steps. The probe tells them apart (probe.go).
	also []string

	// what tells rows with the same steps apart; the first row that fits counts
	ignoreMerges bool   // model.ignore_merges is true: a word that is a token isn't merged from its parts
	keepsSpaces  bool   // clean_up_tokenization_spaces of tokenizer_config.json is false
	has          string // the tokenizer has this added token
}

func (r preRow) fits(l *loader) bool {
	t := l.files.tokenizer
	if r.ignoreMerges && !t.Model.IgnoreMerges {
		return false
	}
	if r.keepsSpaces {
		if tidy, ok := l.files.config["clean_up_tokenization_spaces"].(bool); !ok || tidy {
			return false
		}
	}
	return r.has == "" || slices.ContainsFunc(t.AddedTokens, func(a addedToken) bool { return a.Content == r.has })
}

func (r preRow) matches(steps []string) bool {
	return slices.EqualFunc(r.steps, steps, func(want, got string) bool {
		if start, open := strings.CutSuffix(want, "…"); open {
			return strings.HasPrefix(got, start)
		}
		return want == got
	})
}

// Steps as describeSteps writes them.
const (
	byteLevel     = "ByteLevel"
	byteLevelGPT2 = "ByteLevel with GPT-2's regex"
	digits        = "Digits"
	digitRuns     = "Digits in runs"
)

// Parts that many expressions share.
const (
	contractions = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	word         = `[^\r\n\p{L}\p{N}]?\p{L}+`
	marks        = `| ?[^\s\p{L}\p{N}]+[\r\n]*`
	slashMarks   = `| ?[^\s\p{L}\p{N}]+[\r\n/]*`
	spaces3      = `|\s*[\r\n]+|\s+(?!\S)|\s+`
	capitalised  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	shouted      = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
	asciiMarked  = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"

	llama3Regex = contractions + `|` + word + `|\p{N}{1,3}` + marks + spaces3
	qwen2Regex  = contractions + `|` + word + `|\p{N}` + marks + spaces3
	gpt4oRegex  = capitalised + contractions + `?|` + shouted + contractions + `?|\p{N}{1,3}` + slashMarks + spaces3

	japanese    = `[一-龥぀-ゟ゠-ヿ]+`
	eastAsian   = `[一-龥ࠀ-一가-퟿]+`
	bloomRegex  = ` ?[^(\s|[.,!?…。，、।۔،])]+`
	symbols     = asciiMarked + `|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+`
	jais2Spaces = `|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`

	youtuScripts = `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|` + japanese

	// what OpenAI's cl100k_base has, without its possessive quantifiers
	cl100kRegex = `'(?i:[sdmt]|ll|ve|re)|` + word + `|\p{N}{1,3}` + marks + `|\s*[\r\n]|\s+(?!\S)|\s`

	kimiCapital = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]`
	kimiSmall   = `[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]`
	kimiRegex   = `[\p{Han}]+|[^\r\n\p{L}\p{N}]?` + kimiCapital + `*` + kimiSmall + `+` + contractions + `?|[^\r\n\p{L}\p{N}]?` + kimiCapital + `+` + kimiSmall + `*` + contractions + `?|\p{N}{1,3}` + marks + spaces3
)

// preTable lists the pre-tokenizers that are recognised. The expressions are those of the models' own
// tokenizer.json, which llama.cpp's llm_tokenizer_bpe quotes beside its adaptations of them.
var preTable = []preRow{
	{name: "glm4", steps: steps(llama3Regex), has: "[gMASK]", also: []string{"chatglm-bpe"}},
	{name: "llama-bpe", steps: steps(llama3Regex), ignoreMerges: true, also: []string{"llama3", "llama-v3", "falcon3", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"}},
	{name: "smaug-bpe", steps: steps(llama3Regex), also: []string{"dbrx"}},
	{name: "lfm2", steps: steps(cl100kRegex)},
	{name: "lfm2", steps: steps(cl100kRegex + `+`)},
	{name: "qwen2", steps: steps(qwen2Regex), also: []string{"stablelm2", "deepseek-r1-qwen", "megrez", "hunyuan", "solar-open", "grok-2", "kormo", "f2llmv2"}},
	{name: "qwen35", steps: steps(contractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*` + spaces3)},
	{name: "ufakzeka", steps: steps(word + `|\p{N}` + marks + spaces3)},
	{name: "seed-coder", steps: steps(contractions + `|` + word + `|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+` + spaces3)},
	{name: "seed-coder", steps: steps(contractions + `|` + word + `|\p{N}| ?[^\s\p{L}\p{N}\r\n]+` + spaces3)},
	{name: "bailingmoe", steps: steps(`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`), also: []string{"bailingmoe2", "llada-moe"}},
	{name: "jais-2", steps: steps(contractions + `|` + word + `|\p{N}{1,3}` + marks + `|\s*[\r\n]+` + jais2Spaces)},
	{name: "exaone-moe", steps: steps(contractions + `|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`)},
	{name: "minicpm5", steps: steps(`\p{N}{1,3}`, contractions+`|`+word+`|\p{N}+`+marks+spaces3)},
	{name: "laguna", steps: []string{split(`(?:\r?\n)+(?!\r?\n)`) + " MergedWithNext", split(qwen2Regex), byteLevel}},

	{name: "gpt-4o", steps: steps(gpt4oRegex), also: []string{"llama4", "kanana2", "talkie", "minimax-m2"}}, // and gpt-oss
	{name: "falcon-h1", steps: steps(strings.Replace(gpt4oRegex, `\p{N}{1,3}`, `\p{N}`, 1))},                // libllama takes digits by threes
	{name: "tekken", steps: steps(capitalised + `|` + shouted + `|\p{N}` + slashMarks + spaces3)},
	{name: "tiny_aya", steps: steps(`\d{1,3}(?=(?:\d{3})*\b)`, gpt4oRegex), also: []string{"cohere2moe"}},
	{name: "youtu", steps: steps(youtuScripts, strings.Replace(gpt4oRegex, `\p{N}{1,3}`, `\p{N}`, 1))},
	{name: "kimi-k2", steps: steps(kimiRegex)}, // made of Kimi's tiktoken.model, which is recognised as such

	{name: "gpt-2", steps: []string{byteLevelGPT2}, also: []string{"phi-2", "mpt", "olmo", "jais", "roberta-bpe", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code",
		"gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4", "trillion", "granite-docling"}},
	{name: "smollm", steps: []string{digits, byteLevelGPT2}, keepsSpaces: true, also: []string{"command-r"}},
	{name: "starcoder", steps: []string{digits, byteLevelGPT2}, also: []string{"refact", "codeshell", "exaone", "minerva-7b", "mellum2"}},
	{name: "falcon", steps: []string{"Punctuation Contiguous", byteLevelGPT2, digitRuns, split(`[0-9][0-9][0-9]`)}},
	{name: "chameleon", steps: []string{split(`<sentinel:[0-9]+>`), split(`(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`), split(`([\t\n]|    |  )`), digits, "Punctuation Isolated", byteLevelGPT2}},

	{name: "deepseek-v3", steps: steps(`\p{N}{1,3}`, japanese, symbols+`[\r\n]*`+spaces3), also: []string{"hunyuan-dense", "joyai-llm", "hy_v4"}},
	{name: "spark2_5", steps: steps(`\p{N}{1,3}`, japanese, symbols+`|[\r\n]|\s+(?!\S)|\s+`, `\p{N}`)},
	{name: "spark2_5", steps: []string{split(`\p{N}{1,3}`), split(japanese), split(symbols + `|[\r\n]|\s+(?!\S)|\s+`), digits, byteLevel}},
	{name: "afmoe", steps: afmoe(`Split /(?:[\u4E00-\u9FFF…`)},
	{name: "afmoe", steps: afmoe(`Split /(?:[一-鿿…`)},
	{name: "deepseek-coder", steps: []string{split(`[\r\n]`), split(`\s?\p{L}+`), split(`\s?\p{P}+`), split(eastAsian), digits, byteLevel}},
	{name: "deepseek-llm", steps: []string{split(`[\r\n]`), `Split /\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿ…`, `Split /\s?[!-/:-~…`, split(`\s+$`), split(eastAsian), digits, byteLevel}},

	{name: "bloom", steps: steps(bloomRegex), also: []string{"poro-chat", "gpt3-finnish"}},
	{name: "viking", steps: []string{split(bloomRegex), digits, byteLevel}},
	{name: "superbpe", steps: steps(`\p{N}+`, `(?=(\d{3})+(?!\d))`)},

	{name: "gemma4", steps: []string{`Split at " " MergedWithPrevious`}, normalizer: `Replace " " with "▁"`, also: []string{"granite-embed-multi-311m", "sarvam-moe"}},
}

// afmoe is how Trinity splits: digits by threes from the right, in runs of 510 at most, then runs of one Asian script.
func afmoe(scripts string) []string {
	return []string{split(`\p{Nd}{1,510}(?=(?>\p{Nd}{510})*(?:\P{Nd}|$))|\G\p{Nd}{510}`), split(`\A\p{Nd}{1,2}(?=\p{Nd}{3}+\z)`), split(`\A\p{Nd}{3}|\G\p{Nd}{3}`),
		scripts, split(symbols + `[\r\n]*` + spaces3), byteLevel}
}

// steps isolates the matches of one expression after the other, then spells the pieces in bytes: the usual
// shape.
func steps(patterns ...string) []string {
	var s []string
	for _, p := range patterns {
		s = append(s, split(p))
	}
	return append(s, byteLevel)
}

// PreTokenizers lists the names of pre-tokenizers that llama.cpp 0.5.0 loads (llama_vocab::impl::load), sorted.
func PreTokenizers() []string { return slices.Clone(knownPre) }

var knownPre = []string{
	"a.x-4.0", "afmoe", "bailingmoe", "bailingmoe2", "bloom", "chameleon", "chatglm-bpe", "codeshell", "cohere2moe",
	"command-r", "dbrx", "deepseek-coder", "deepseek-llm", "deepseek-r1-qwen", "deepseek-v3", "default", "exaone",
	"exaone-moe", "exaone4", "f2llmv2", "falcon", "falcon-h1", "falcon3", "gemma4", "gigachat", "glm4", "gpt-2",
	"gpt-4o", "gpt3-finnish", "granite-docling", "granite-embed-multi-311m", "granite-embed-multi-97m", "grok-2",
	"hunyuan", "hunyuan-dense", "hy_v4", "jais", "jais-2", "jina-de", "jina-es", "jina-v1-en", "jina-v2-code",
	"jina-v2-de", "jina-v2-es", "jina-v5-nano", "joyai-llm", "kanana2", "kimi-k2", "kormo", "laguna", "lfm2",
	"llada-moe", "llama-bpe", "llama-v3", "llama3", "llama4", "megrez", "mellum", "mellum2", "midm-2.0", "minerva-7b",
	"minicpm5", "minimax-m2", "modern-bert", "mpt", "olmo", "phi-2", "pixtral", "poro-chat", "qwen2", "qwen35",
	"refact", "roberta-bpe", "sarvam-moe", "seed-coder", "smaug-bpe", "smollm", "solar-open", "spark2_5", "stablelm2",
	"starcoder", "superbpe", "talkie", "tekken", "tiny_aya", "trillion", "ufakzeka", "viking", "whitespace", "youtu",
}
