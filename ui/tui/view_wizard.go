package tui

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// A screen this wide has room for the summary beside the step.
const (
	wideScreen   = 112
	summaryWidth = 46
)

func (m *model) wizardView(width, room int) []string {
	steps := m.stepsLine()
	main := width
	if width >= wideScreen {
		main = width - summaryWidth - 3
	}
	var body []string
	left := room - 2
	summary := []string(nil)
	if width < wideScreen && m.wizard.Step > StepModel && m.wizard.Step < StepReview {
		summary = []string{m.pickedLine()}
		left -= 2
	}
	switch m.wizard.Step {
	case StepModel:
		body = m.modelView(main, left)
	case StepFormats:
		body = m.formatsView(main)
	case StepTypes:
		switch {
		case m.wizard.Advanced.Open:
			body = m.optionsView(main, left)
		case m.wizard.Picture:
			body = m.pictureView(main, left)
		default:
			body = m.typesView(main, left)
		}
	case StepReview:
		body = m.reviewView(main)
	}
	lines := append([]string{steps, ""}, body...)
	if width >= wideScreen {
		return m.beside(lines, m.summaryView(summaryWidth), main, room)
	}
	if summary != nil && room > 2 {
		for len(lines) < room-2 {
			lines = append(lines, "")
		}
		lines = append(lines[:room-2], "", summary[0])
	}
	return lines
}

// beside puts two columns side by side.
func (m *model) beside(left, right []string, width, room int) []string {
	var lines []string
	for i := range room {
		l, r := "", ""
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		lines = append(lines, pad(l, width)+m.theme.muted.Render(" │ ")+r)
	}
	return lines
}

func (m *model) stepsLine() string {
	t := &m.theme
	var parts []string
	for i, name := range stepNames {
		switch s := Step(i); {
		case s == m.wizard.Step:
			parts = append(parts, t.accent.Render(fmt.Sprintf("▸ %d %s", i+1, name)))
		case s < m.wizard.Step:
			parts = append(parts, t.good.Render("✓")+fmt.Sprintf(" %d %s", i+1, name))
		default:
			parts = append(parts, t.muted.Render(fmt.Sprintf("  %d %s", i+1, name)))
		}
	}
	return strings.Join(parts, "    ")
}

// input draws a line that is edited, with its cursor; of a long one the part around the cursor.
func (m *model) input(l *Line, width int, focus bool) string {
	if !focus {
		return cutLeft(clean(string(l.text)), width)
	}
	from := max(0, l.at-max(1, width)+1)
	before := clean(string(l.text[from:l.at]))
	at, after := " ", ""
	if l.at < len(l.text) {
		at = clean(string(l.text[l.at : l.at+1]))
		after = clean(string(l.text[l.at+1:]))
	}
	cursor := m.theme.render.NewStyle().Reverse(true).Render(at)
	if m.theme.plain() {
		cursor = "\x1b[7m" + at + "\x1b[0m" // not a colour
	}
	return cut(before+cursor+after, width)
}

func (m *model) modelView(width, room int) []string {
	t, w := &m.theme, &m.wizard
	lines := []string{
		"A Hub id (org/name, org/name@revision), a folder, or a .gguf file:",
		"",
		t.accent.Render("> ") + m.input(&w.Model, width-2, true),
		"",
	}
	c := &w.Check
	switch {
	case w.Model.Empty():
		lines = append(lines, t.muted.Render("The model is looked at as you type; nothing is downloaded before the last step."))
	case c.Err != nil:
		lines = append(lines, m.errorLines(c.Err, width)...)
	case c.Info != nil:
		lines = append(lines, m.factLines(c.Info)...)
		if wall := m.wallOf(m.showType(), width, room-len(lines)-2); wall != nil {
			lines = append(append(lines, ""), wall...)
		}
	case c.Asked:
		lines = append(lines, t.muted.Render("Looking at "+clean(w.Model.String())+" "+dots(m.now)))
	}
	return lines
}

// dots show that something goes on.
func dots(now time.Time) string { return strings.Repeat(".", 1+int(now.UnixMilli()/400%3)) }

func (m *model) errorLines(err error, width int) []string {
	t := &m.theme
	var lines []string
	for _, line := range wrap(clean(err.Error()), width-2) {
		lines = append(lines, t.bad.Render(line))
	}
	if hint := jobs.HintOf(err); hint != "" {
		lines = append(lines, wrap(clean(hint), width-2)...)
	}
	return lines
}

// factLines are what is known about a model.
func (m *model) factLines(in *jobs.Inspection) []string {
	t := &m.theme
	fact := func(name, value string) string { return t.muted.Render(pad(name, 14)) + value }
	dtype := ""
	if len(in.Histogram) > 0 {
		dtype = " in " + in.Histogram[0].Type
	}
	lines := []string{
		t.good.Render("✓ supported") + "  " + t.title.Render(clean(in.Model)),
		fact("architecture", clean(in.Architecture)),
		fact("weights", count(in.Parameters)+dtype),
		fact("size", fmt.Sprintf("%s  (%s bytes)", jobs.Size(in.Bytes), exact(in.Bytes))),
	}
	if in.ContextLength > 0 {
		lines = append(lines, fact("context", exact(in.ContextLength)+" positions"))
	}
	if in.Commit != "" {
		lines = append(lines, fact("commit", clean(in.Commit)))
	}
	return append(lines, fact("recommended", strings.Join(in.Recommended, ", ")))
}

// showType is the type whose wall is shown.
func (m *model) showType() string {
	w := &m.wizard
	if w.Step == StepTypes && w.Cursor < len(w.Types) {
		return w.Types[w.Cursor].Value
	}
	if picked := w.Picked(); len(picked) > 0 {
		return picked[0]
	}
	return ""
}

// wallOf draws what a type would do to each tensor, nil if there is nothing to draw or no room.
func (m *model) wallOf(name string, width, room int) []string {
	w := &m.wizard
	column := w.Column(name)
	if w.Wall == nil || column < 0 || room < 4 {
		return nil
	}
	w.Wall.FinishFirst(len(w.Wall.Tiles))
	lines := []string{fmt.Sprintf("What %s makes of the %d tensors, layers 0 to %d from left to right:", name, len(w.Wall.Tiles), max(0, w.Wall.Layers-1))}
	return append(lines, m.theme.wallView(w.Wall, column, width, room-1, m.now)...)
}

func (m *model) formatsView(width int) []string {
	t, w := &m.theme, &m.wizard
	lines := []string{"The format of the files:", ""}
	for i, f := range w.Formats {
		mark := "[ ]"
		if f.Available {
			mark = "[x]"
		}
		line := fmt.Sprintf("%s %s %-5s %s", pointer(i == w.Cursor), mark, f.Name, f.Description)
		switch {
		case i == w.Cursor:
			line = t.chosen.Render(line)
		case !f.Available:
			line = t.muted.Render(line)
		}
		lines = append(lines, cut(line, width))
	}
	return lines
}

func pointer(on bool) string {
	if on {
		return "▸"
	}
	return " "
}

// pickedLine sums up what is chosen.
func (m *model) pickedLine() string {
	w := &m.wizard
	picked := w.Picked()
	if len(picked) == 0 {
		return m.theme.muted.Render("Nothing is picked yet.")
	}
	text := plural(len(picked), "file", "files") + ": " + strings.Join(picked, ", ")
	if n, known := w.PickedBytes(); w.Advanced.wrong() != "" {
		text += "; the size is known when the options are right"
	} else if known {
		text += ", " + jobs.Size(n)
	}
	return text
}

// typesView is the list of types with their exact sizes.
func (m *model) typesView(width, room int) []string {
	t, w := &m.theme, &m.wizard
	lines := []string{m.memoryLine(width), m.imatrixLine(width), m.optionsLine(width)}
	if w.SizeErr != nil {
		lines = append(lines, m.errorLines(w.SizeErr, width)...)
	}
	lines = append(lines, "")
	biggest := int64(1)
	for _, c := range w.Types {
		biggest = max(biggest, c.Bytes)
	}
	gap := ""
	if width >= 90 {
		gap = strings.Repeat(" ", 2+min(40, width-barRoom))
	}
	lines = append(lines, t.muted.Render("      type            size"+gap+"  bits/weight  quality"))
	wall := []string(nil)
	if room-len(lines) >= len(w.Types)+8 {
		wall = m.wallOf(m.showType(), width, room-len(lines)-len(w.Types)-1)
	}
	space := room - len(lines)
	if wall != nil {
		space = len(w.Types)
	}
	from, to := window(w.Cursor, len(w.Types), space)
	for i := from; i < to; i++ {
		lines = append(lines, m.typeLine(i, width, biggest, i == from && from > 0, i == to-1 && to < len(w.Types)))
	}
	if wall != nil {
		lines = append(append(lines, ""), wall...)
	}
	return lines
}

// window is the part of a list that is shown, so that the cursor stands well inside.
func window(cursor, n, rows int) (from, to int) {
	rows = max(1, min(rows, n))
	from = min(max(0, cursor-rows/2), n-rows)
	return from, from + rows
}

func (m *model) memoryLine(width int) string {
	t, w := &m.theme, &m.wizard
	if w.Editing == &w.Memory {
		return t.accent.Render("Memory to fit in, RAM or VRAM (GiB, or 512MiB, 24GB): ") + m.input(&w.Memory, width-55, true)
	}
	if budget, err := w.Budget(); err == nil && budget > 0 {
		return fmt.Sprintf("Memory to fit in: %s, for the weights alone", memory(budget)) + t.muted.Render("  (m changes)")
	}
	return "Memory to fit in: not set" + t.muted.Render("  (m sets it)")
}

func (m *model) imatrixLine(width int) string {
	t, w := &m.theme, &m.wizard
	if w.Editing == &w.Imatrix {
		return t.accent.Render("File of importance weights: ") + m.input(&w.Imatrix, width-28, true)
	}
	if w.Imatrix.Empty() {
		return "Importance matrix: none" + t.muted.Render("  (i names a file)")
	}
	return "Importance matrix: " + cutLeft(clean(w.Imatrix.String()), width-32) + t.muted.Render("  (i changes)")
}

func (m *model) typeLine(i, width int, biggest int64, more, less bool) string {
	t, w := &m.theme, &m.wizard
	c := &w.Types[i]
	mark := "[ ]"
	if c.Picked {
		mark = "[x]"
	}
	size, bits := "…", fmt.Sprintf("%.2f", c.PerWeight)
	switch {
	case c.Bytes > 0:
		size = jobs.Size(c.Bytes)
	case c.Err != nil:
		size, bits = "–", "–"
	case !w.Sizing():
		size = "–"
	}
	swatch := "  "
	if !t.plain() && c.Bytes > 0 {
		swatch = t.render.NewStyle().Foreground(t.ramp(c.PerWeight)).Render("█ ")
	}
	edge := " "
	if more {
		edge = "↑"
	} else if less {
		edge = "↓"
	}
	bar := ""
	if width >= 90 {
		bar = m.sizeBar(c.Bytes, biggest, width-barRoom)
	}
	style := t.render.NewStyle()
	if i == w.Cursor {
		style = t.chosen
	}
	line := style.Render(pointer(i == w.Cursor)+edge+mark) + " " + swatch + style.Render(pad(c.Value, 9)+" "+padLeft(size, 9)) + bar +
		style.Render(fmt.Sprintf("  %11s  %s", bits, pad(c.Quality, 13)))
	if c.Err != nil {
		return line + " " + t.muted.Render(clean(reason(c.Err)))
	}
	notes := ""
	if budget, err := w.Budget(); err == nil && budget > 0 && c.Bytes > 0 {
		if c.Bytes <= budget {
			notes = " " + t.good.Render("fits    ")
		} else {
			notes = " " + t.warn.Render("too big ")
		}
	}
	if c.Recommended {
		notes += " " + t.accent.Render("recommended")
	}
	return line + notes
}

// barRoom is what a line of the types takes beside the bar.
const barRoom = 80

// sizeBar shows a size against the biggest one, and where the memory ends.
func (m *model) sizeBar(n, biggest int64, width int) string {
	t := &m.theme
	width = min(width, 40)
	cells := max(min(1, int(n)), int(float64(n)/float64(biggest)*float64(width)+0.5))
	bar := []rune(strings.Repeat("━", cells) + strings.Repeat(" ", width-cells))
	if budget, err := m.wizard.Budget(); err == nil && budget > 0 && budget < biggest {
		bar[min(width-1, int(float64(budget)/float64(biggest)*float64(width)))] = '│'
	}
	return "  " + t.muted.Render(string(bar))
}

// relative shortens a path below the working directory.
func (m *model) relative(path string) string {
	if rel, err := filepath.Rel(m.dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
