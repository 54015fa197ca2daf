package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// View draws the screen: exactly as many lines as the terminal has, none wider than it.
func (m *model) View() string {
	width, height := m.width, m.height
	if m.quitting {
		m.question = nil
	}
	head := m.head(width)
	foot := m.foot(width)
	room := max(1, height-len(head)-len(foot))
	var body []string
	switch {
	case m.help:
		body = m.helpView(width)
	case m.screen == onBoard:
		body = m.boardView(width, room)
	default:
		body = m.wizardView(width, room)
	}
	for len(body) < room {
		body = append(body, "")
	}
	lines := append(append(head, body[:room]...), foot...)
	lines = lines[:min(len(lines), height)]
	for i := range lines {
		lines[i] = cut(lines[i], width)
	}
	return strings.Join(lines, "\n")
}

// head is the first line: where the user is, and how the jobs are doing.
func (m *model) head(width int) []string {
	t := &m.theme
	where := "New job"
	if m.screen == onBoard {
		where = "Jobs"
	}
	left := t.accent.Render("nexus-quant") + "  " + t.title.Render(where)
	right := m.counts()
	gap := width - ansi.StringWidth(left) - ansi.StringWidth(right)
	line := left
	if gap > 1 {
		line += strings.Repeat(" ", gap) + t.muted.Render(right)
	}
	return []string{line, t.muted.Render(strings.Repeat("─", width))}
}

// counts says how many jobs there are in which state.
func (m *model) counts() string {
	running, queued := 0, 0
	for i := range m.board.Jobs {
		switch j := &m.board.Jobs[i]; {
		case j.Status == "queued":
			queued++
		case Active(j):
			running++
		}
	}
	var parts []string
	if running > 0 {
		parts = append(parts, plural(running, "job runs", "jobs run"))
	}
	if queued > 0 {
		parts = append(parts, plural(queued, "job waits", "jobs wait"))
	}
	if m.wizard.Served {
		parts = append(parts, "server running")
	}
	return strings.Join(parts, ", ")
}

// foot is what must be said now, and the keys.
func (m *model) foot(width int) []string {
	t := &m.theme
	var lines []string
	switch {
	case m.question != nil:
		for _, line := range wrap(m.question.text, width-2) {
			lines = append(lines, t.warn.Render(line))
		}
	case m.notice != "":
		style := t.good
		if m.bad {
			style = t.bad
		}
		for i, line := range wrap(m.notice, width-2) {
			if i < 3 {
				lines = append(lines, style.Render(line))
			}
		}
	default:
		lines = append(lines, "")
	}
	var b strings.Builder
	bindings := m.bindings()
	if m.help {
		bindings = []binding{{"any key", "goes back"}}
	}
	for i, k := range bindings {
		if i > 0 {
			b.WriteString("   ")
		}
		b.WriteString(t.accent.Render(k.key) + " " + t.muted.Render(k.does))
	}
	return append(lines, b.String())
}

func (m *model) helpView(width int) []string {
	t := &m.theme
	var lines []string
	for _, group := range allKeys {
		lines = append(lines, t.title.Render(group.title))
		for _, k := range group.keys {
			lines = append(lines, "  "+t.accent.Render(pad(k.key, 16))+k.does)
		}
	}
	return lines
}
