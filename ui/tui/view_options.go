package tui

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// optionsLine says in the step of types what the advanced options are.
func (m *model) optionsLine(width int) string {
	t, a := &m.theme, &m.wizard.Advanced
	if text := a.wrong(); text != "" {
		return "Advanced: " + t.bad.Render(cut("✗ "+clean(text), width-26)) + t.muted.Render("  (a changes)")
	}
	if chosen := a.chosen(); len(chosen) > 0 {
		return "Advanced: " + cut(clean(strings.Join(chosen, ", ")), width-24) + t.muted.Render("  (a changes)")
	}
	return "Advanced: nothing" + t.muted.Render("  (a opens it)")
}

// optionsView is the advanced options, each with what is wrong with it below.
func (m *model) optionsView(width, room int) []string {
	t, a := &m.theme, &m.wizard.Advanced
	list := a.options()
	foot := m.optionsFoot(width)
	if room < len(list)+len(foot)+1 {
		foot = nil
	}
	var rows []string
	first, last := 0, 0 // lines of the row with the cursor
	for i, o := range list {
		if i == a.Cursor {
			first = len(rows)
		}
		rows = append(rows, m.optionLine(o, i == a.Cursor, width))
		if text := a.fault(o.field); text != "" {
			for k, line := range wrap(clean(text), width-17) {
				mark := "✗ "
				if k > 0 {
					mark = "  "
				}
				rows = append(rows, strings.Repeat(" ", 13)+t.bad.Render(mark+line))
			}
		}
		if i == a.Cursor {
			last = len(rows)
		}
	}
	space := max(1, room-len(foot)-1)
	if wall := m.wallOf(m.firstPicked(), width, room-len(rows)-len(foot)-2); wall != nil {
		foot = append(append([]string{""}, wall...), foot...)
		space = len(rows)
	}
	from := min(max(0, last-space), first)
	rows = rows[from:min(len(rows), from+space)]
	return append(rows, foot...)
}

func (m *model) firstPicked() string {
	if picked := m.wizard.Picked(); len(picked) > 0 {
		return picked[0]
	}
	return ""
}

// optionsFoot names the types of tensors where one is to be typed, and what can't be sized.
func (m *model) optionsFoot(width int) []string {
	t, w := &m.theme, &m.wizard
	if w.SizeErr != nil {
		return append([]string{""}, m.errorLines(w.SizeErr, width)...)
	}
	if i := w.Advanced.Cursor; i >= len(w.Advanced.Rules)+2 {
		return nil
	}
	lines := []string{""}
	for _, line := range wrap("Types of tensors: "+strings.Join(jobs.TensorTypes(), " "), width-2) {
		lines = append(lines, t.muted.Render(line))
	}
	return lines
}

func (m *model) optionLine(o option, on bool, width int) string {
	t := &m.theme
	name := pad(o.name, 11)
	if on {
		name = t.accent.Render(name)
	} else {
		name = t.muted.Render(name)
	}
	line := pointer(on) + " " + name
	switch {
	case o.box != nil && *o.box != o.upset:
		line += "[x] " + o.about
	case o.box != nil:
		line += "[ ] " + o.about
	case o.line.Empty() && on:
		line += m.input(o.line, 2, true) + t.muted.Render(" "+o.about)
	case o.line.Empty():
		line += t.muted.Render("  " + o.about)
	default:
		line += m.input(o.line, width-14, on)
	}
	return cut(line, width)
}
