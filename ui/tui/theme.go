package tui

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// theme holds the colours. All but the ramp are the terminal's own, which look right on its background, and none is the
// only sign of anything.
type theme struct {
	profile termenv.Profile
	dark    bool

	title, muted, accent, good, warn, bad, chosen lipgloss.Style
	render                                        *lipgloss.Renderer
}

// newTheme makes the theme for what the terminal offers.
func newTheme(profile termenv.Profile, dark bool) theme {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(profile)
	r.SetHasDarkBackground(dark)
	color := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	t := theme{
		profile: profile, dark: dark, render: r,
		title: r.NewStyle().Bold(true), muted: r.NewStyle().Faint(true),
		accent: color("6").Bold(true), good: color("2"), warn: color("3"), bad: color("1").Bold(true),
		chosen: r.NewStyle().Bold(true),
	}
	if profile != termenv.TrueColor {
		// Of sixteen colours it is not known how they stand out from the background: cyan and yellow can't be read on xterm's
		// white, blue not on black. Text keeps the colour of text, and what warns has one that both show.
		t.accent, t.warn = r.NewStyle().Bold(true), color("5")
	}
	return t
}

// plain tells whether there are no colours.
func (t *theme) plain() bool { return t.profile == termenv.Ascii }

// viridis is the ramp from few bits to many, every eighth of it.
var viridis = [][3]float64{{68, 1, 84}, {70, 50, 126}, {54, 92, 141}, {39, 127, 142}, {31, 161, 135}, {74, 193, 109}, {160, 218, 57}, {253, 231, 37}}

// sixteen is the ramp in the terminal's own colours: the bits up to which a colour goes.
var sixteen = []struct {
	below float64
	color string
}{{3, "5"}, {4, "4"}, {5, "6"}, {6, "14"}, {8, "2"}, {10, "10"}, {math.Inf(1), "3"}}

// ramp is the colour for so many bits per weight.
func (t *theme) ramp(bits float64) lipgloss.TerminalColor {
	if bits <= 0 {
		return lipgloss.Color("7")
	}
	if t.profile != termenv.TrueColor {
		for _, s := range sixteen {
			if bits < s.below {
				return lipgloss.Color(s.color)
			}
		}
	}
	// most of the ramp is for 2 to 9 bits, where people choose
	x := min(1, max(0, (bits-2)/7*0.8))
	if bits > 9 {
		x = min(1, 0.8+0.1*math.Log2(bits/9))
	}
	x *= float64(len(viridis) - 1)
	i := min(int(x), len(viridis)-2)
	var c [3]int
	for k := range c {
		v := viridis[i][k] + (x-float64(i))*(viridis[i+1][k]-viridis[i][k])
		if t.dark {
			v = 36 + v*(255-36)/255 // the dark end must be told from the background
		} else {
			v *= 0.88
		}
		c[k] = int(v)
	}
	return lipgloss.Color(fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]))
}

// pending is the colour of what is not done yet.
func (t *theme) pending() lipgloss.TerminalColor {
	if t.profile == termenv.TrueColor {
		if t.dark {
			return lipgloss.Color("#3a3f47")
		}
		return lipgloss.Color("#d0d4da")
	}
	return lipgloss.Color("8")
}

// breath is how long the place that is worked on takes to fade in and out.
const breath = 800 * time.Millisecond

// spot is the colour of a place of the wall.
func (t *theme) spot(s Spot, now time.Time) lipgloss.TerminalColor {
	switch {
	case s.Work && now.UnixMilli()/breath.Milliseconds()%2 == 0:
		return lipgloss.Color("15")
	case s.Share < 1:
		return t.pending()
	}
	return t.ramp(s.Bits)
}

// clean makes text from outside harmless and one line: control characters, which a terminal would obey, and marks that
// turn the direction of writing are replaced.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar:
			return '·'
		}
		return r
	}, s)
}

// cut shortens a text, which may be coloured, to a width.
func cut(s string, width int) string { return ansi.Truncate(s, max(0, width), "…") }

// cutLeft shortens a text without colours from the left: of a path, the end is what tells.
func cutLeft(s string, width int) string {
	if over := ansi.StringWidth(s) - width; over > 0 && width > 0 {
		return ansi.TruncateLeft(s, over+1, "…")
	}
	return s
}

// pad fills a text up to a width, and shortens it to that.
func pad(s string, width int) string {
	s = cut(s, width)
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}

// padLeft is pad for figures.
func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(s))) + s
}

// wrap breaks a text into lines.
func wrap(s string, width int) []string {
	return strings.Split(ansi.Wrap(s, max(8, width), "/,"), "\n")
}

// wrapCommand breaks a command line between its words, so that a shell takes it as it is copied from the screen.
func wrapCommand(s string, width int) []string {
	var lines []string
	line := ""
	words := shellWords(s)
	for i, word := range words {
		room := ansi.StringWidth(word)
		if strings.HasPrefix(word, "--") && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			room += 1 + ansi.StringWidth(words[i+1]) // a flag stays with its value
		}
		if line != "" && ansi.StringWidth(line)+1+room+2 > width {
			lines = append(lines, line+" \\")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	lines = append(lines, line)
	var fit []string
	for _, line := range lines { // a word may be longer than a line
		fit = append(fit, strings.Split(ansi.Hardwrap(line, max(8, width), true), "\n")...)
	}
	return fit
}

// shellWords splits a command line at its spaces, but for those between quotes.
func shellWords(s string) []string {
	quoted := false
	return strings.FieldsFunc(s, func(r rune) bool {
		if r == '\'' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
}
