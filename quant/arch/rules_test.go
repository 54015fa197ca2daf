package arch

import (
	"slices"
	"strings"
	"testing"
)

// Every rule can be matched: its placeholders mean something, a name that several rules read is cut or turned by each of
// them, and what several rules write has several spellings.
func TestRulesOfEveryFamilyAreSound(t *testing.T) {
	t.Parallel()
	for _, f := range slices.Concat(all, towers) {
		readers := map[string][]rule{}
		for _, r := range f.rules {
			readers[r.from] = append(readers[r.from], r)
			set := placeholder(r.from)
			switch {
			case set == "" || set == "{i}":
			case stacks[set] != nil:
				set = ""
			case f.layers[strings.Trim(set, "{}")] == nil:
				t.Errorf("%s: %s: no set of layers is called %s", f.name, r.from, set)
			}
			if set != placeholder(r.to) { // a stack outside of the layers becomes one tensor
				t.Errorf("%s: %s becomes %s, of other layers", f.name, r.from, r.to)
			}
			rest := strings.Replace(r.from, set, "", 1)
			if stack := placeholder(rest); stack != "" && stacks[stack] == nil {
				t.Errorf("%s: %s: nothing is called %s", f.name, r.from, stack)
			}
			if len(r.shape) == 0 {
				t.Errorf("%s: %s has no shape", f.name, r.from)
			}
			if strings.HasSuffix(r.from, ".bias") != strings.HasSuffix(r.to, ".bias") && !strings.HasSuffix(r.from, "_bias") {
				t.Errorf("%s: %s becomes %s", f.name, r.from, r.to)
			}
		}
		for name, list := range readers {
			if len(list) > 1 && slices.ContainsFunc(list, func(r rule) bool { return r.change == nil }) {
				t.Errorf("%s: %d rules read %s, and one of them all of it", f.name, len(list), name)
			}
		}
		if len(f.classes) == 0 || f.name == "" {
			t.Errorf("a family without a name or classes: %q %v", f.name, f.classes)
		}
	}
}

func TestFamiliesOfOneClassCanBeToldApart(t *testing.T) {
	t.Parallel()
	for _, table := range [][]*family{all, towers} {
		seen := map[string]string{} // the family that takes all of a class that those before it left
		for _, f := range table {
			for _, c := range f.classes {
				if other, ok := seen[c]; ok {
					t.Errorf("%s belongs to %s, so that %s never sees one", c, other, f.name)
				}
				if f.when == nil {
					seen[c] = f.name
				}
			}
		}
		for _, f := range table {
			for _, c := range f.classes {
				if seen[c] == "" && f.name != "clip" { // not every encoder is known
					t.Errorf("%s: some configs belong to no family", c)
				}
			}
		}
	}
}
