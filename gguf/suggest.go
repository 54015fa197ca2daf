package gguf

import (
	"fmt"
	"strings"
)

// UnknownNameError is returned when a type or a file type is asked for by a name that it doesn't have.
type UnknownNameError struct {
	Kind       string // "file type", "tensor type"
	Name       string // as given
	Suggestion string // the nearest right name, "" where none is near
}

func (e *UnknownNameError) Error() string {
	if e.Suggestion == "" {
		return fmt.Sprintf("unknown %s %q", e.Kind, e.Name)
	}
	return fmt.Sprintf("unknown %s %q, did you mean %s?", e.Kind, e.Name, e.Suggestion)
}

// Nearest returns the candidate that name is the start of, else the one with the fewest edits from it, case
// and separators aside. Of equals the one that shares the longer start wins, then the earlier one. It
// returns "" where more than half of the letters would have to change.
func Nearest(name string, candidates []string) string {
	const longest = 32 // no type's name comes near; keeps the work small for any input
	from := plain(name)
	if len(from) < 2 || len(from) > longest {
		return ""
	}
	best, bestDist, bestStart := "", len(from)/2+1, 0
	for _, c := range candidates {
		to := plain(c)
		if strings.HasPrefix(to, from) {
			return c
		}
		dist, start := editDistance(from, to), commonStart(from, to)
		if dist < bestDist || dist == bestDist && best != "" && start > bestStart {
			best, bestDist, bestStart = c, dist, start
		}
	}
	return best
}

// plain is a name without what people get wrong without meaning another type.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(strings.ToUpper(name))
}

func commonStart(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// editDistance is Levenshtein's: insertions, deletions and replacements of bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
