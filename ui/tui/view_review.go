package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func (m *model) reviewView(width int) []string {
	t, w := &m.theme, &m.wizard
	row := func(i int, name, value string) string {
		on := i == w.Cursor
		name = pad(name, 10)
		if on {
			name = t.accent.Render(name)
		} else {
			name = t.muted.Render(name)
		}
		return pointer(on) + " " + name + value
	}
	check := func(on bool) string {
		if on {
			return "[x]"
		}
		return "[ ]"
	}
	lines := []string{
		row(RowFolder, "Folder", m.input(&w.Folder, width-14, w.Cursor == RowFolder)),
		row(RowName, "Job name", m.input(&w.Name, width-14, w.Cursor == RowName)),
		row(RowReplace, "Replace", check(w.Replace)+" files of these names that are there already"),
	}
	if w.Served {
		lines = append(lines, row(RowWhere, "Run", check(w.Server)+" on the server that is running, also when this is closed"))
	}
	create := "  Create job  "
	if w.Cursor == RowCreate {
		create = t.render.NewStyle().Reverse(true).Bold(true).Render(create)
		if t.plain() {
			create = "\x1b[7m  Create job  \x1b[0m"
		}
	}
	lines = append(lines, pointer(w.Cursor == RowCreate)+" "+create, "")
	switch {
	case w.PlanErr != nil:
		return append(lines, m.errorLines(w.PlanErr, width)...)
	case w.Plan == nil:
		return append(lines, t.muted.Render("Planning "+dots(m.now)))
	}
	lines = append(lines, m.planLines(width)...)
	if m.width < wideScreen {
		lines = append(lines, "", t.muted.Render("The same on the command line:"))
		for _, line := range wrapCommand(clean(w.Command()), width-2) {
			lines = append(lines, "  "+line)
		}
	}
	return lines
}

// planLines say what the job will do.
func (m *model) planLines(width int) []string {
	t, e := &m.theme, m.wizard.Plan
	var lines []string
	if why := m.wizard.Refusal(); why != "" {
		for _, line := range wrap("Can't run like this: "+clean(why), width-2) {
			lines = append(lines, t.bad.Render(line))
		}
		lines = append(lines, "Change the rows above, or go back with esc.")
	} else {
		lines = append(lines, t.title.Render(fmt.Sprintf("Writes %s, %s. %s stay free of %s.", plural(len(e.Outputs), "file", "files"), jobs.Size(e.OutputBytes), jobs.Size(e.FreeDiskBytes-e.PeakDiskBytes), jobs.Size(e.FreeDiskBytes))))
	}
	for _, o := range e.Outputs {
		figures := fmt.Sprintf("%14s B  %9s  %5.2f bits/weight", exact(o.Bytes), jobs.Size(o.Bytes), o.BitsPerWeight)
		lines = append(lines, "  "+pad(cutLeft(clean(o.FileName), max(8, width-4-len(figures))), max(8, width-4-len(figures)))+figures)
	}
	if chosen := m.wizard.Advanced.chosen(); len(chosen) > 0 {
		lines = append(lines, wrap("With "+clean(strings.Join(chosen, ", "))+".", width-2)...)
	}
	download := "nothing to download"
	if e.DownloadBytes > 0 {
		download = "downloads " + jobs.Size(e.DownloadBytes)
	}
	lines = append(lines, fmt.Sprintf("About %s, %s of memory, %s.", lasting(time.Duration(e.Seconds*float64(time.Second))), memory(e.PeakMemoryBytes), download))
	for _, text := range e.Warnings {
		if strings.HasPrefix(text, refuses) {
			continue
		}
		for _, line := range wrap("Warning: "+clean(text), width-2) {
			lines = append(lines, t.warn.Render(line))
		}
	}
	return lines
}

// summaryView stands beside the steps on wide screens, so that nobody goes back to see what was chosen.
func (m *model) summaryView(width int) []string {
	t, w := &m.theme, &m.wizard
	lines := []string{t.title.Render("This job"), ""}
	in := w.Check.Info
	if in == nil {
		return append(lines, t.muted.Render("No model yet."))
	}
	fact := func(name, value string) { lines = append(lines, t.muted.Render(pad(name, 10))+cut(value, width-10)) }
	fact("model", clean(in.Model))
	fact("", fmt.Sprintf("%s, %s weights", clean(in.Architecture), count(in.Parameters)))
	total, known := w.PickedBytes()
	for _, c := range w.Types {
		if !c.Picked {
			continue
		}
		size := "…"
		if c.Bytes > 0 {
			size = jobs.Size(c.Bytes)
		}
		fact("file", pad(c.Value, 10)+padLeft(size, 10))
	}
	if len(w.Picked()) > 1 && known {
		fact("together", padLeft(jobs.Size(total), 20))
	}
	if e := w.Plan; e != nil {
		fact("free then", jobs.Size(e.FreeDiskBytes-e.PeakDiskBytes))
		fact("time", "about "+lasting(time.Duration(e.Seconds*float64(time.Second))))
	}
	if len(w.Picked()) > 0 {
		lines = append(lines, "", t.muted.Render("The same on the command line:"))
		lines = append(lines, wrapCommand(clean(w.Command()), width)...)
	}
	if w.Step == StepReview {
		if wall := m.wallOf(m.showType(), width, 12); wall != nil {
			lines = append(append(lines, ""), wall[1:]...)
		}
	}
	return lines
}
