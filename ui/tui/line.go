package tui

import (
	"strings"
	"unicode"
)

// Line is a line of text that is being edited.
type Line struct {
	text []rune
	at   int // of the cursor, 0 to len(text)
}

// maxLine is longer than any path, so that a paste can't grow without end.
const maxLine = 4096

// NewLine returns a line that holds s, with the cursor behind it.
func NewLine(s string) Line {
	var l Line
	l.insert(s)
	return l
}

// String is the text without spaces around it.
func (l *Line) String() string { return strings.TrimSpace(string(l.text)) }

// Empty tells whether there is nothing but spaces.
func (l *Line) Empty() bool { return l.String() == "" }

// insert puts text at the cursor. Of a paste, control characters are left out.
func (l *Line) insert(s string) {
	var add []rune
	for _, r := range s {
		if !unicode.IsControl(r) && len(l.text)+len(add) < maxLine {
			add = append(add, r)
		}
	}
	rest := append(add, l.text[l.at:]...)
	l.text = append(l.text[:l.at:l.at], rest...)
	l.at += len(add)
}

// remove deletes the text between two places.
func (l *Line) remove(from, to int) {
	l.text = append(l.text[:from:from], l.text[to:]...)
	l.at = from
}

// word is where the word before the cursor begins; slashes end words too, as paths are what is typed here.
func (l *Line) word() int {
	i := l.at
	stop := func(r rune) bool { return unicode.IsSpace(r) || r == '/' }
	for i > 0 && stop(l.text[i-1]) {
		i--
	}
	for i > 0 && !stop(l.text[i-1]) {
		i--
	}
	return i
}

// Key applies a key by its name and says whether it was one for a line. The keys are those of readline.
func (l *Line) Key(k Key) bool {
	if k.Text != "" {
		l.insert(k.Text)
		return true
	}
	switch k.Name {
	case "left", "ctrl+b":
		l.at = max(0, l.at-1)
	case "right", "ctrl+f":
		l.at = min(len(l.text), l.at+1)
	case "home", "ctrl+a":
		l.at = 0
	case "end", "ctrl+e":
		l.at = len(l.text)
	case "backspace", "ctrl+h":
		if l.at > 0 {
			l.remove(l.at-1, l.at)
		}
	case "delete", "ctrl+d":
		if l.at < len(l.text) {
			l.remove(l.at, l.at+1)
		}
	case "ctrl+u":
		l.remove(0, l.at)
	case "ctrl+k":
		l.text = l.text[:l.at]
	case "ctrl+w", "alt+backspace":
		l.remove(l.word(), l.at)
	default:
		return false
	}
	return true
}

// Key is a key that was pressed: its name ("enter", "ctrl+c", "q"), and the text that it types, if any.
type Key struct {
	Name string
	Text string
}
