package tui

import "testing"

func TestLineEditsAsReadlineDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, start string
		keys        []Key
		want        string
		at          int
	}{
		{"typed text goes to the cursor", "ac", []Key{{Name: "left"}, {Text: "b"}}, "abc", 2},
		{"backspace deletes before the cursor", "abc", []Key{{Name: "left"}, {Name: "backspace"}}, "ac", 1},
		{"delete deletes after it", "abc", []Key{{Name: "home"}, {Name: "delete"}}, "bc", 0},
		{"backspace at the start does nothing", "abc", []Key{{Name: "ctrl+a"}, {Name: "backspace"}}, "abc", 0},
		{"delete at the end does nothing", "abc", []Key{{Name: "delete"}}, "abc", 3},
		{"ctrl+w deletes a part of a path", "/models/llama", []Key{{Name: "ctrl+w"}}, "/models/", 8},
		{"ctrl+w deletes a slash with what is before it", "/models/", []Key{{Name: "ctrl+w"}}, "/", 1},
		{"ctrl+u deletes up to the cursor", "abc", []Key{{Name: "left"}, {Name: "ctrl+u"}}, "c", 0},
		{"ctrl+k deletes from the cursor", "abc", []Key{{Name: "left"}, {Name: "ctrl+k"}}, "ab", 2},
		{"the cursor stays inside", "ab", []Key{{Name: "right"}, {Name: "right"}}, "ab", 2},
		{"a paste loses its control characters", "", []Key{{Text: "a\x1b[2Jb\nc"}}, "a[2Jbc", 6},
		{"letters of several bytes are one", "äö", []Key{{Name: "backspace"}}, "ä", 1},
	} {
		l := NewLine(c.start)
		for _, k := range c.keys {
			if !l.Key(k) {
				t.Errorf("%s: key %v was not taken", c.name, k)
			}
		}
		if string(l.text) != c.want || l.at != c.at {
			t.Errorf("%s: got %q with the cursor at %d, want %q and %d", c.name, string(l.text), l.at, c.want, c.at)
		}
	}
}

func TestLineLeavesOtherKeysAlone(t *testing.T) {
	t.Parallel()
	l := NewLine("abc")
	for _, name := range []string{"enter", "esc", "tab", "up", "f1"} {
		if l.Key(Key{Name: name}) {
			t.Errorf("key %s was taken", name)
		}
	}
}

func TestLineStopsGrowing(t *testing.T) {
	t.Parallel()
	var l Line
	for range 3 * maxLine {
		l.Key(Key{Text: "x"})
	}
	if len(l.text) != maxLine {
		t.Errorf("got %d characters, want %d", len(l.text), maxLine)
	}
}
