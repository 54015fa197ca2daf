package tui

import (
	"fmt"
	"strings"
	"time"
)

// wallView draws a wall for an output in at most so many columns and rows, its legend included. Where there are
// colours and little room, a character is two places, one above the other; else it is one, and says the bits where
// there are no colours.
func (t *theme) wallView(w *Wall, output, width, height int, now time.Time) []string {
	const label = 10
	room := width - label - 6 // the embedding and the output are two cells each, with a space
	cells, share := w.columns(room)
	type span struct{ from, to, cells int }
	spans := []span{{0, 1, 2}}
	for c := 1; c <= w.Layers; c += share {
		spans = append(spans, span{c, min(c+share, w.Layers+1), cells})
	}
	spans = append(spans, span{w.Layers + 1, w.Layers + 2, 2})

	per := 2
	if t.plain() || len(w.Roles) < height {
		per = 1
	}
	shown := min(len(w.Roles), per*max(1, height-1))
	var lines []string
	for row := 0; row < shown; row += per {
		name := w.Roles[row]
		if per == 2 && row+1 < shown {
			name += " " + w.Roles[row+1]
		}
		var b strings.Builder
		b.WriteString(t.muted.Render(pad(name, label-1)) + " ")
		for i, s := range spans {
			if i == 1 || i == len(spans)-1 {
				b.WriteString(" ")
			}
			top := w.Spot(row, s.from, s.to, output)
			switch {
			case t.plain():
				b.WriteString(apart(plainCell(top), s.cells))
				continue
			case per == 1 && top.None:
				b.WriteString(strings.Repeat(" ", s.cells))
				continue
			case per == 1:
				b.WriteString(t.render.NewStyle().Foreground(t.spot(top, now)).Render(apart("▆", s.cells)))
				continue
			}
			bottom := Spot{None: true}
			if row+1 < shown {
				bottom = w.Spot(row+1, s.from, s.to, output)
			}
			b.WriteString(t.halves(top, bottom, s.cells, now))
		}
		lines = append(lines, b.String())
	}
	legend := t.legend(w, output, share)
	if hidden := len(w.Roles) - shown; hidden > 0 {
		legend += t.muted.Render("  " + plural(hidden, "row", "rows") + " more on a higher screen")
	}
	return append(lines, cut(legend, width))
}

// apart fills a cell, but for a gap to the next one where there is room for it.
func apart(sign string, cells int) string {
	if cells == 1 {
		return sign
	}
	return strings.Repeat(sign, cells-1) + " "
}

// plainCell shows a place without colours.
func plainCell(s Spot) string {
	switch {
	case s.None:
		return " "
	case s.Work:
		return "▒"
	case s.Share < 1:
		return "·"
	case s.Fell:
		return "!"
	}
	return sign(s.Bits)
}

// halves shows two places in one cell, repeated.
func (t *theme) halves(top, bottom Spot, cells int, now time.Time) string {
	style, sign := t.render.NewStyle(), "▀"
	switch {
	case top.None && bottom.None:
		return strings.Repeat(" ", cells)
	case bottom.None:
		style = style.Foreground(t.spot(top, now))
	case top.None:
		style, sign = style.Foreground(t.spot(bottom, now)), "▄"
	default:
		style = style.Foreground(t.spot(top, now)).Background(t.spot(bottom, now))
	}
	text := apart(sign, cells)
	return style.Render(strings.TrimRight(text, " ")) + strings.Repeat(" ", strings.Count(text, " "))
}

// legend says what the colours or signs are.
func (t *theme) legend(w *Wall, output, share int) string {
	var parts []string
	counts := w.Counts(output)
	for _, c := range counts {
		mark := sign(c.Bits)
		if !t.plain() {
			mark = t.render.NewStyle().Foreground(t.ramp(c.Bits)).Render("█")
		}
		parts = append(parts, fmt.Sprintf("%s %s ×%d", mark, clean(c.Type), c.Tiles))
	}
	if w.Done < len(w.Tiles) {
		mark := "·"
		if !t.plain() {
			mark = t.render.NewStyle().Foreground(t.pending()).Render("█")
		}
		parts = append(parts, mark+" to do")
	}
	text := strings.Repeat(" ", 10) + strings.Join(parts, "  ")
	if share > 1 {
		text += t.muted.Render(fmt.Sprintf("  %d layers a cell", share))
	}
	return text
}
