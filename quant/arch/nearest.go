package arch

import (
	"cmp"
	"slices"
	"strings"
)

// nearest are the up to n classes whose names are most like that of an unsupported one, the most alike first: of a newer
// model of a family these are its elders. None if nothing is alike.
func nearest(class string, n int) []string {
	type candidate struct {
		name  string
		alike float64
	}
	var list []candidate
	for _, name := range classes() {
		a := alike(stem(class), stem(name))
		if a < 0.35 {
			continue
		}
		if class[len(stem(class)):] == name[len(stem(name)):] { // of the same kind
			a += 0.2
		}
		list = append(list, candidate{name, a})
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(b.alike, a.alike) })
	var out []string
	for _, c := range list[:min(n, len(list))] {
		out = append(out, c.name)
	}
	return out
}

// stem is a class without the ending that says what it is for.
func stem(class string) string {
	class = strings.ToLower(class)
	for _, suffix := range []string{"forcausallm", "forconditionalgeneration", "forsequenceclassification", "formaskedlm", "lmheadmodel", "model"} {
		if s, ok := strings.CutSuffix(class, suffix); ok && s != "" {
			return s
		}
	}
	return class
}

// alike is Dice's coefficient of the pairs of letters of two words, from 0 to 1.
func alike(a, b string) float64 {
	if a == b {
		return 1
	}
	pairs := map[string]int{}
	for i := 0; i+2 <= len(a); i++ {
		pairs[a[i:i+2]]++
	}
	both := 0
	for i := 0; i+2 <= len(b); i++ {
		if pairs[b[i:i+2]] > 0 {
			pairs[b[i:i+2]]--
			both++
		}
	}
	return 2 * float64(both) / max(1, float64(len(a)+len(b)-2))
}
