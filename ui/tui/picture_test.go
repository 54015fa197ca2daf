package tui

import (
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func TestTheFrontierHoldsWhatIsBestForItsSize(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range frontier([]point{{name: "big", bytes: 10, deviation: 0.01}, {name: "worse", bytes: 7, deviation: 0.2}, {name: "small", bytes: 3, deviation: 0.3}, {name: "mid", bytes: 6, deviation: 0.1}, {name: "same", bytes: 6, deviation: 0.1}}) {
		names = append(names, p.name)
	}
	if want := []string{"small", "mid", "same", "big"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// Further right is bigger, higher up is closer to the source, whatever the size of the picture.
func TestThePictureHasItsPointsInOrder(t *testing.T) {
	t.Parallel()
	points := []point{{name: "AA", bytes: 8e9, deviation: 0.005, bits: 8}, {name: "BB", bytes: 4e9, deviation: 0.06, bits: 4.5, picked: true}, {name: "CC", bytes: 2e9, deviation: 0.24, bits: 2.5, cursor: true}}
	for _, profile := range []termenv.Profile{termenv.Ascii, termenv.ANSI, termenv.TrueColor} {
		th := newTheme(profile, true)
		for _, size := range [][2]int{{80, 13}, {60, 8}, {200, 50}} {
			var row, column []int
			lines := th.picture(points, 5e9, size[0], size[1])
			if len(lines) != size[1] {
				t.Fatalf("%v: %d lines", size, len(lines))
			}
			for _, p := range points {
				y := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(ansi.Strip(line), p.name) })
				if y < 0 {
					t.Fatalf("%v: no %s in\n%s", size, p.name, strings.Join(lines, "\n"))
				}
				row, column = append(row, y), append(column, strings.Index(ansi.Strip(lines[y]), p.name))
			}
			if !slices.IsSorted(row) || column[0] < column[1] || column[1] < column[2] {
				t.Errorf("%v: rows %v, columns %v in\n%s", size, row, column, strings.Join(lines, "\n"))
			}
			text := ansi.Strip(strings.Join(lines, "\n"))
			if strings.Count(text, "●") != 1 || strings.Count(text, "○") != 2 || !strings.Contains(text, "too big") || !strings.Contains(text, "▸CC") {
				t.Errorf("%v:\n%s", size, text)
			}
		}
	}
	th := newTheme(termenv.Ascii, true)
	if got := th.picture(nil, 0, 80, 20); got != nil {
		t.Errorf("a picture of nothing: %q", got)
	}
	if got := th.picture(points[:1], 0, 80, 20); len(got) != 20 {
		t.Errorf("a picture of one point: %q", got)
	}
}

// Keys that came at once count one by one, where they are commands.
func TestKeysThatComeTogetherAllCount(t *testing.T) {
	m := open(t, place(t), 80, 24)
	choose(t, m, "nexus-tiny-llama")
	press(m, "enter", "enter")
	from := m.wizard.Cursor
	press(m, "jjp")
	if m.wizard.Cursor != from+2 || !m.wizard.Picture {
		t.Errorf("cursor at %d, want %d; picture %v", m.wizard.Cursor, from+2, m.wizard.Picture)
	}
	press(m, "m5GiB")
	if got := m.wizard.Memory.String(); got != "5GiB" {
		t.Errorf("memory %q", got)
	}
}

// The types that the picture shows are those of which the service knows the deviation.
func TestThePictureShowsWhatThePageShows(t *testing.T) {
	t.Parallel()
	types := (&jobs.Service{}).GGUFTypes()
	w := NewWizard(nil, types, ".")
	want := 0
	for i := range w.Types {
		w.Types[i].Bytes = int64(1000 - i)
		if types[i].Deviation != nil && types[i].Value != "F32" {
			want++
		}
	}
	if got := w.points(); len(got) != want || want < 15 {
		t.Errorf("%d points, want %d", len(got), want)
	}
}

// In sixteen colours no text is cyan, yellow or blue, which some backgrounds swallow.
func TestTextInSixteenColoursIsReadable(t *testing.T) {
	m := open(t, place(t), 80, 24)
	m.theme = newTheme(termenv.ANSI, true)
	choose(t, m, "nexus-tiny-llama")
	press(m, "enter", "enter", "m5MB", "enter", "p")
	if !strings.Contains(m.View(), "\x1b[") {
		t.Fatal("there are no colours to look at")
	}
	for _, code := range []string{"\x1b[33m", "\x1b[34m", "\x1b[36m", "\x1b[1;36m", "\x1b[94m", "\x1b[96m"} {
		if strings.Contains(m.View(), code) {
			t.Errorf("%q is on the screen:\n%s", code, m.View())
		}
	}
}
