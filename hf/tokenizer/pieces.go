package tokenizer

import (
	"regexp"
	"strings"
	"unicode"
)

// gpt2Regex is what a ByteLevel step splits by, unless it is told not to.
const gpt2Regex = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// matchFuel bounds the work of all steps together: nested repetitions may take for ever. The probe's text takes some ten
// thousand.
const matchFuel = 1 << 20

// span is a part of a piece that a step found, or what lies between two of them.
type span struct {
	from, to int
	match    bool
}

// spans finds the matches of a pattern, empty ones too, and what lies between.
func (p *pattern) spans(text []rune, fuel *int) (all []span, ok bool) {
	in := &subject{text: text, fuel: fuel}
	last := 0
	for pos, end := 0, -1; pos <= len(text); {
		from, to, found := p.find(in, pos)
		if !found {
			break
		}
		if pos = to; from == to {
			if pos++; from == end { // an empty match right behind another one doesn't count
				continue
			}
		}
		if end = to; from > last {
			all = append(all, span{last, from, false})
		}
		all = append(all, span{from, to, true})
		last = to
	}
	if last < len(text) {
		all = append(all, span{last, len(text), false})
	}
	return all, *fuel >= 0
}

// runeSpans are the spans of each single character that is in a set.
func runeSpans(text []rune, set runeSet) (all []span) {
	for i, r := range text {
		if n := len(all); !set(r) && n > 0 && !all[n-1].match {
			all[n-1].to = i + 1
		} else {
			all = append(all, span{i, i + 1, set(r)})
		}
	}
	return all
}

// divide makes pieces of spans as the tokenizers library does (SplitDelimiterBehavior).
func divide(spans []span, behavior string) (out []span, ok bool) {
	before := false // whether the span before was a match
	switch behavior {
	case "Isolated":
		return spans, true
	case "Removed":
		for _, s := range spans {
			if !s.match {
				out = append(out, s)
			}
		}
	case "Contiguous":
		for _, s := range spans {
			if n := len(out); n > 0 && s.match == before {
				out[n-1].to = s.to
			} else {
				out = append(out, s)
			}
			before = s.match
		}
	case "MergedWithPrevious":
		for _, s := range spans {
			if n := len(out); n > 0 && s.match && !before {
				out[n-1].to = s.to
			} else {
				out = append(out, s)
			}
			before = s.match
		}
	case "MergedWithNext":
		for _, s := range spans {
			if n := len(out); n > 0 && before && !s.match {
				out[n-1].to = s.to
			} else {
				out = append(out, s)
			}
			before = s.match
		}
	default:
		return nil, false
	}
	return out, true
}

// splitPieces cuts pieces by what a step finds in each.
func splitPieces(pieces []string, behavior string, find func(text []rune) ([]span, bool)) (out []string, ok bool) {
	for _, piece := range pieces {
		text := []rune(piece)
		spans, ok := find(text)
		if !ok {
			return nil, false
		}
		if spans, ok = divide(spans, behavior); !ok {
			return nil, false
		}
		for _, s := range spans {
			if s.from < s.to {
				out = append(out, string(text[s.from:s.to]))
			}
		}
	}
	return out, true
}

// preTokenize cuts a text into pieces as the steps of a tokenizer.json say; those behind a ByteLevel step are spelled in
// its alphabet. It is not ok if there is a step that isn't known here.
func preTokenize(text string, steps []any) (pieces []string, ok bool) {
	pieces = []string{text}
	fuel := matchFuel
	for _, s := range steps {
		behavior := str(dig(s, "behavior"))
		switch typeOf(s) {
		case "Split":
			expr, isRegex := dig(s, "pattern", "Regex").(string)
			if !isRegex {
				literal, isString := dig(s, "pattern", "String").(string)
				if !isString {
					return nil, false
				}
				expr = regexp.QuoteMeta(literal)
			}
			p, err := parsePattern(expr)
			if err != nil {
				return nil, false
			}
			invert := isTrue(dig(s, "invert"))
			pieces, ok = splitPieces(pieces, behavior, func(text []rune) ([]span, bool) {
				all, ok := p.spans(text, &fuel)
				for i := range all {
					all[i].match = all[i].match != invert
				}
				return all, ok
			})
		case "Digits":
			behavior = "Contiguous"
			if isTrue(dig(s, "individual_digits")) {
				behavior = "Isolated"
			}
			pieces, ok = splitPieces(pieces, behavior, func(text []rune) ([]span, bool) { return runeSpans(text, unicode.IsNumber), true })
		case "Punctuation":
			if behavior == "" {
				behavior = "Isolated"
			}
			pieces, ok = splitPieces(pieces, behavior, func(text []rune) ([]span, bool) { return runeSpans(text, isPunctuation), true })
		case "ByteLevel":
			if isTrue(dig(s, "add_prefix_space")) {
				for i, p := range pieces {
					if !strings.HasPrefix(p, " ") {
						pieces[i] = " " + p
					}
				}
			}
			ok = true
			if useRegex, said := dig(s, "use_regex").(bool); !said || useRegex {
				p, err := parsePattern(gpt2Regex)
				if err != nil {
					return nil, false
				}
				pieces, ok = splitPieces(pieces, "Isolated", func(text []rune) ([]span, bool) { return p.spans(text, &fuel) })
			}
			for i, p := range pieces {
				pieces[i] = encodeByteLevel(p)
			}
		default:
			return nil, false
		}
		if !ok {
			return nil, false
		}
	}
	return pieces, true
}

func isPunctuation(r rune) bool {
	return unicode.IsPunct(r) || r < unicode.MaxASCII && unicode.IsSymbol(r)
}
