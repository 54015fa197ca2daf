package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// preTokenizer names the pre-tokenizer of tokenizer.json as llama.cpp knows it, or takes the name that the
// caller insists on. A tokenizer that the converter knows gets the name that it has there; others, and fine-tunes with a
// grown vocabulary, are recognised by their steps.
func (l *loader) preTokenizer() (string, error) {
	if name := l.opts.Pre; name != "" {
		if !slices.Contains(PreTokenizers(), name) {
			return "", fmt.Errorf("pre-tokenizer %q: llama.cpp has none of that name; it has %s", name, strings.Join(PreTokenizers(), ", "))
		}
		return name, nil
	}
	t := l.files.tokenizer
	steps, err := describeSteps(flatten(t.PreTokenizer, "pretokenizers"))
	if err != nil {
		return "", fmt.Errorf("tokenizer.json: pre_tokenizer: %w", err)
	}
	if name := l.probe(probeNames); name != "" {
		return name, nil
	}
	normal := describeNormalizer(t.Normalizer)
	for _, row := range preTable {
		if normal == row.normalizer && row.matches(steps) && row.fits(l) {
			return row.name, nil
		}
	}
	return "", &UnknownPreTokenizerError{Steps: steps, Normalizer: normal}
}

// UnknownPreTokenizerError is returned when a tokenizer.json splits text in a way that no pre-tokenizer of
// llama.cpp is known for.
type UnknownPreTokenizerError struct {
	Steps      []string // what the pre-tokenizer does, step by step
	Normalizer string   // what is done to the text before; "" for nothing that matters
}

func (e *UnknownPreTokenizerError) Error() string {
	what := strings.Join(e.Steps, ", then ")
	if what == "" {
		what = "nothing"
	}
	if e.Normalizer != "" {
		what += ", after the normalizer " + e.Normalizer
	}
	return "tokenizer.json: unknown pre-tokenizer: " + what
}

// Hint says what to do about it.
func (e *UnknownPreTokenizerError) Hint() string {
	return "name the pre-tokenizer that splits text in the same way with --pre NAME, one of: " + strings.Join(PreTokenizers(), ", ")
}

// describeSteps writes down what each step does to text, and nothing else: trim_offsets moves no token, and
// add_prefix_space is left out as the converter's probe text can't tell it either.
func describeSteps(steps []any) ([]string, error) {
	var out []string
	for _, s := range steps {
		switch typeOf(s) {
		case "ByteLevel":
			if useRegex, ok := dig(s, "use_regex").(bool); ok && !useRegex {
				out = append(out, byteLevel)
			} else {
				out = append(out, byteLevelGPT2)
			}
		case "Digits":
			if isTrue(dig(s, "individual_digits")) {
				out = append(out, digits)
			} else {
				out = append(out, digitRuns)
			}
		case "Split":
			step, err := describeSplit(s)
			if err != nil {
				return nil, err
			}
			out = append(out, step)
		case "Punctuation":
			behavior := str(dig(s, "behavior"))
			if behavior == "" {
				behavior = "Isolated" // the library's default
			}
			out = append(out, "Punctuation "+behavior)
		case "":
			return nil, fmt.Errorf("step %d has no type", len(out))
		default:
			out = append(out, typeOf(s))
		}
	}
	return out, nil
}

// describeSplit writes down a Split. Where the expression matches all text, removing what it does not match
// is the same as isolating what it does.
func describeSplit(s any) (string, error) {
	pattern, ok := dig(s, "pattern", "Regex").(string)
	if !ok {
		if pattern, ok = dig(s, "pattern", "String").(string); !ok {
			return "", fmt.Errorf("a Split without a pattern")
		}
		return fmt.Sprintf("Split at %q %s", pattern, str(dig(s, "behavior"))), nil
	}
	pattern = canonical(pattern)
	behavior, invert := str(dig(s, "behavior")), isTrue(dig(s, "invert"))
	switch {
	case behavior == "Isolated", behavior == "Removed" && invert && strings.HasSuffix(pattern, `|\s+`):
		return split(pattern), nil
	case invert:
		behavior += " inverted"
	}
	return split(pattern) + " " + behavior, nil
}

// split is the description of a Split that isolates the matches of a regular expression.
func split(pattern string) string { return "Split /" + pattern + "/" }

// canonical spells control characters, and contractions in either case, in the one way that the table has: some
// tokenizers have the latter in the words of llama.cpp, whose regular expressions know no flags.
func canonical(pattern string) string {
	return strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`, `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`, contractions).Replace(pattern)
}

// describeNormalizer writes down what is done to the text beforehand. llama.cpp normalises nothing for BPE;
// NFC leaves nearly all text as it is, and the converter lets it pass.
func describeNormalizer(n any) string {
	var out []string
	for _, step := range flatten(n, "normalizers") {
		switch typ := typeOf(step); typ {
		case "NFC":
		case "Replace":
			from, ok := dig(step, "pattern", "String").(string)
			if !ok {
				out = append(out, fmt.Sprintf("Replace /%s/ with %q", str(dig(step, "pattern", "Regex")), str(dig(step, "content"))))
				break
			}
			out = append(out, fmt.Sprintf("Replace %q with %q", from, str(dig(step, "content"))))
		default:
			out = append(out, typ)
		}
	}
	return strings.Join(out, ", ")
}
