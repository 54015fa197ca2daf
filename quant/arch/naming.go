package arch

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// idParts are the parts that the id of a model is made of; "" for a part that isn't there.
type idParts struct{ name, organization, basename, finetune, version, sizeLabel string }

// What one word of an id says. A word can say several things.
const (
	isBasename = 1 << iota
	isSize
	isFinetune
	isVersion
	isType
)

var (
	versionWord = regexp.MustCompile(`(?i)^(v|iter)?\d+([.]\d+)*$`)
	typeWord    = regexp.MustCompile(`(?i)^(i?q\d(_\w)*|b?fp?(16|32))$`)
	sizeWord    = regexp.MustCompile(`(?i)^((([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl))$`)
	tunedWord   = regexp.MustCompile(`(?i)^(chat|instruct|vision|lora)$`)
)

// splitID takes "org/Base-7B-Instruct-v1.1" apart by gguf-py's heuristics
// (Metadata.get_model_id_components). parameters is the model's size, which tells a size in the name from a
// context length; 0 if not known, and of an adapter less than 0: it is smaller than its model, whose size its name may say.
func splitID(id string, parameters int64) idParts {
	if strings.Contains(id, " ") {
		return idParts{name: id} // a sentence, not an id
	}
	p := idParts{name: id}
	if org, name, ok := strings.Cut(id, "/"); ok {
		p.name = name
		if !strings.HasPrefix(org, ".") {
			p.organization = org
		}
	}
	words := strings.FieldsFunc(p.name, func(r rune) bool { return r == '-' })
	kinds := make([]int, len(words))
	for i := range words {
		words[i], kinds[i] = annotate(words[i], i == 0, parameters)
	}
	dropSizesInWords(words, kinds)
	markBasename(words, kinds)

	join := func(want func(kind int) bool) string {
		var out []string
		for i, w := range words {
			if want(kinds[i]) {
				out = append(out, w)
			}
		}
		return strings.Join(out, "-")
	}
	p.finetune = join(func(k int) bool { return k&isFinetune != 0 })
	p.version = join(func(k int) bool { return k&isVersion != 0 && k&isBasename == 0 })
	seen := map[string]bool{}
	for i, w := range words {
		if kinds[i]&isSize != 0 && !seen[w] {
			seen[w] = true
			p.sizeLabel += "-" + w
		}
	}
	p.sizeLabel = strings.TrimPrefix(p.sizeLabel, "-")
	if p.sizeLabel != "" || p.finetune != "" || p.version != "" { // else the name is too ambiguous
		p.basename = join(func(k int) bool { return k&isBasename != 0 })
	}
	return p
}

// annotate says what a word of an id is, and spells sizes in one way.
func annotate(word string, first bool, parameters int64) (string, int) {
	switch {
	case versionWord.MatchString(word):
		return word, isVersion
	case typeWord.MatchString(word):
		return strings.ToUpper(word), isType
	case !first && sizeWord.MatchString(word):
		return annotateSize(strings.ReplaceAll(word, "_", "."), parameters)
	case !first && parameters < 0 && strings.EqualFold(word, "lora"): // says nothing of an adapter
		return word, isType
	case !first && tunedWord.MatchString(word):
		return word, isFinetune
	}
	return word, 0
}

func annotateSize(word string, parameters int64) (string, int) {
	n := len(word)
	if isDigit(word[n-1]) { // bloom-7b1 has 7.1 billion
		word = word[:n-2] + "." + word[n-1:] + word[n-2:n-1]
		n = len(word)
	}
	if n > 1 && isDigit(word[n-2]) && strings.Contains("kmbt", word[n-1:]) {
		word = word[:n-1] + strings.ToUpper(word[n-1:])
	}
	number, err := strconv.ParseFloat(word[:n-1], 64)
	if err != nil || parameters == 0 {
		return word, isSize
	}
	size := number * math.Pow(1000, float64(strings.Index(" KMBT", word[n-1:])))
	unlike := parameters > 0 && math.Abs(size-float64(parameters)) > float64(7*parameters/8)
	if unlike || parameters < 0 && size < float64(-parameters/8) { // rather a context length
		return word[:n-1] + strings.ToLower(word[n-1:]), isFinetune
	}
	return word, isSize
}

// dropSizesInWords leaves "small" and the like aside where there is a size in figures.
func dropSizesInWords(words []string, kinds []int) {
	figures := false
	for i, w := range words {
		figures = figures || kinds[i]&isSize != 0 && strings.ContainsFunc(w, unicode.IsDigit)
	}
	if !figures {
		return
	}
	for i, w := range words {
		if strings.IndexFunc(w, func(r rune) bool { return !unicode.IsLetter(r) }) < 0 {
			kinds[i] &^= isSize
		}
	}
}

// markBasename takes the words up to the first that says something else for the base name, without versions
// at its end; what is left and says nothing belongs to the fine-tune.
func markBasename(words []string, kinds []int) {
	start := true
	for i, w := range words {
		if start && (kinds[i] == 0 && unicode.IsLetter([]rune(w)[0]) || kinds[i]&isVersion != 0) {
			kinds[i] |= isBasename
			continue
		}
		start = false
		if kinds[i] == 0 {
			kinds[i] = isFinetune
		}
	}
	for i := len(words) - 1; i >= 0 && kinds[i]&isBasename != 0 && kinds[i] != isBasename; i-- {
		kinds[i] &^= isBasename
	}
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

var numberWord = regexp.MustCompile(`^(v\d+(?:\.\d+)*|\d.*)$`)

// titled gives the words of an id capitals, except those that have some and versions (Metadata.id_to_title).
func titled(id string) string {
	words := strings.Fields(strings.ReplaceAll(strings.TrimSpace(id), "-", " "))
	for i, w := range words {
		if isLower(w) && !numberWord.MatchString(w) {
			words[i] = title(w)
		}
	}
	return strings.Join(words, " ")
}

// isLower is Python's str.islower: some letter has a case, and none is a capital.
func isLower(s string) bool {
	lower := false
	for _, r := range s {
		if unicode.IsUpper(r) || unicode.IsTitle(r) {
			return false
		}
		lower = lower || unicode.IsLower(r)
	}
	return lower
}

// title is Python's str.title: a capital wherever a run of letters starts.
func title(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		cased := unicode.IsLower(r) || unicode.IsUpper(r) || unicode.IsTitle(r)
		if cased && !inWord {
			r = unicode.ToTitle(r)
		}
		inWord = cased
		return r
	}, s)
}

// roundedCount writes a number of parameters with two digits or more: 7B, 1.5B, 494M
// (model_weight_count_rounded_notation in gguf-py/gguf/utility.py).
func roundedCount(n float64) string {
	scaled, suffix := n*1e-3, "K"
	switch {
	case n > 1e12:
		scaled, suffix = n*1e-12, "T"
	case n > 1e9:
		scaled, suffix = n*1e-9, "B"
	case n > 1e6:
		scaled, suffix = n*1e-6, "M"
	}
	whole := strings.TrimLeft(strconv.FormatFloat(math.RoundToEven(scaled), 'f', 0, 64), "0")
	return fmt.Sprintf("%.*f%s", max(2-len(whole), 0), scaled, suffix)
}
