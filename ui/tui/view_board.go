package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func (m *model) boardView(width, room int) []string {
	t, b := &m.theme, &m.board
	switch {
	case b.Err != nil:
		return append([]string{t.bad.Render("The jobs can't be read:")}, wrap(clean(b.Err.Error()), width-2)...)
	case len(b.Jobs) == 0:
		return []string{"", "No jobs yet. Press n to make one."}
	}
	lines := m.jobList(width, min(len(b.Jobs), max(3, room/6)))
	lines = append(lines, t.muted.Render(strings.Repeat("─", width)))
	j := b.Job()
	if j == nil {
		return append(lines, t.muted.Render("The job that was shown is gone. ↑↓ shows another."))
	}
	lines = append(lines, m.jobHead(j, width)...)
	lines = append(lines, m.outputLines(j, width)...)
	lines = append(lines, m.jobErrors(j, width)...)
	if w, _ := b.Wall(); w != nil {
		lines = append(lines, m.walls(w, j, width, room-len(lines))...)
	}
	return append(lines, m.logLines(width, room-len(lines))...)
}

// walls draws the wall of the chosen output, or those of all outputs where there is room for them and for some lines of
// the log.
func (m *model) walls(w *Wall, j *jobs.Job, width, room int) []string {
	t, b := &m.theme, &m.board
	const blank, log = 1, 2
	if room < blank+log+3 {
		return nil
	}
	one := t.wallView(w, b.Output, width, room-blank-log, m.now)
	n := len(j.Outputs)
	if n < 2 || room-2*log < n*(len(one)+2) {
		return append([]string{""}, one...)
	}
	var lines []string
	for i, o := range j.Outputs {
		lines = append(lines, "", t.title.Render(o.Type))
		lines = append(lines, t.wallView(w, i, width, len(one), m.now)...)
	}
	return lines
}

// jobList is the list of jobs, newest first.
func (m *model) jobList(width, rows int) []string {
	t, b := &m.theme, &m.board
	from, to := window(max(0, b.index()), len(b.Jobs), rows)
	var lines []string
	for i := from; i < to; i++ {
		j := &b.Jobs[i]
		edge := " "
		if i == from && from > 0 {
			edge = "↑"
		} else if i == to-1 && to < len(b.Jobs) {
			edge = "↓"
		}
		name := clean(j.Name)
		if j.ID == b.Selected {
			name = t.chosen.Render(name)
		}
		status := j.Status
		if j.CancelRequested && Active(j) {
			status = "cancelling"
		}
		lines = append(lines, cut(fmt.Sprintf("%s%s%s  %s %s  %s", pointer(j.ID == b.Selected), edge, t.muted.Render(short(j.ID)), t.status(j.Status).Render(pad(status, 12)), padLeft(fmt.Sprintf("%.0f %%", j.Progress), 5), name), width))
	}
	return lines
}

// status is the style of a state.
func (t *theme) status(name string) lipgloss.Style {
	switch name {
	case "completed":
		return t.good
	case "failed":
		return t.bad
	case "interrupted", "cancelled":
		return t.warn
	case "queued":
		return t.muted
	}
	return t.accent
}

// jobHead says how far the job in detail is.
func (m *model) jobHead(j *jobs.Job, width int) []string {
	t, live := &m.theme, &m.board.Live
	source := clean(j.SourceModel)
	if j.Architecture != nil {
		source += ", " + clean(*j.Architecture)
	}
	lines := []string{t.muted.Render(cut(source, width))}
	switch {
	case j.Status == "queued":
		return append(lines, "Waits for a nexus-quant serve, or for r to run it here.")
	case !Active(j):
		return append(lines, m.endLine(j))
	}
	p := live.Progress
	if live.Job != j.ID || p.Stage == "" {
		return append(lines, "Preparing "+dots(m.now))
	}
	what := "tensors"
	if p.Stage == jobs.Downloading {
		what = "files"
	}
	text := fmt.Sprintf("%s %d of %d %s  %s of %s", p.Stage, p.ItemsDone, p.Items, what, jobs.Size(p.BytesDone), jobs.Size(p.BytesTotal))
	if live.Rate > 0 {
		text += fmt.Sprintf("  %s/s  %s left", jobs.Size(int64(live.Rate)), lasting(live.Left))
	}
	if width >= 100 {
		text = pad(text, 78) + " " + t.accent.Render(spark(m.board.Rates, min(40, width-80)))
	}
	return append(lines, text)
}

// endLine says how a job that is over ended.
func (m *model) endLine(j *jobs.Job) string {
	text := j.Status
	if j.Started != nil && j.Ended != nil {
		text += " after " + lasting(j.Ended.Sub(*j.Started))
	}
	switch {
	case j.Resumable:
		text += "; r resumes it, and so does nexus-quant jobs resume " + short(j.ID)
	case j.Ended != nil:
		text += ", " + j.Ended.Local().Format(time.DateTime)
	}
	return m.theme.status(j.Status).Render(text)
}

// outputLines are a bar for each output, and where the chosen one is.
func (m *model) outputLines(j *jobs.Job, width int) []string {
	t := &m.theme
	bar := max(8, min(40, width-60))
	var lines []string
	for i, o := range j.Outputs {
		size, bits := "", ""
		if o.Size != nil {
			size = jobs.Size(*o.Size)
		}
		if o.BitsPerWeight != nil {
			bits = fmt.Sprintf("%.2f bits/weight", *o.BitsPerWeight)
		}
		share := m.share(j, &o)
		chosen := i == m.board.Output && len(j.Outputs) > 1
		lines = append(lines, fmt.Sprintf("%s %s %s %s  %s  %s  %s", pointer(chosen), pad(o.Type, 9), t.bar(share, bar, o.Status), padLeft(fmt.Sprintf("%.0f %%", 100*share), 5), padLeft(size, 9), pad(bits, 17), t.status(o.Status).Render(o.Status)))
		if o.Error != nil {
			lines = append(lines, t.bad.Render(cut("    "+clean(*o.Error), width)))
		}
	}
	if m.board.Output < len(j.Outputs) {
		o := j.Outputs[m.board.Output]
		if o.Status == "completed" && o.Path != nil {
			rmse := ""
			if o.RMSE != nil {
				rmse = fmt.Sprintf("  rmse %.2e", *o.RMSE)
			}
			lines = append(lines, "  "+cutLeft(clean(m.relative(*o.Path)), width-4-len(rmse))+t.muted.Render(rmse))
			if o.SHA256 != nil {
				lines = append(lines, t.muted.Render(cut("  sha256 "+*o.SHA256, width)))
			}
		}
	}
	return lines
}

// share is how much of an output is done. What this process runs is known better than its record.
func (m *model) share(j *jobs.Job, o *jobs.Output) float64 {
	if p := m.board.Live.Progress; m.board.Live.Job == j.ID && Active(j) && o.Status != "completed" && p.BytesTotal > 0 {
		switch p.Stage {
		case jobs.Quantizing:
			return float64(p.BytesDone) / float64(p.BytesTotal)
		case jobs.Verifying:
			return 1
		}
	}
	return o.Progress / 100
}

// bar is a bar of a share.
func (t *theme) bar(share float64, width int, status string) string {
	const parts = " ▏▎▍▌▋▊▉"
	eighths := int(min(1, max(0, share))*float64(width)*8 + 0.5)
	full, rest := eighths/8, eighths%8
	bar := strings.Repeat("█", full)
	if rest > 0 {
		bar += string([]rune(parts)[rest])
		full++
	}
	return t.status(status).Bold(false).Faint(false).Render(bar) + t.muted.Render(strings.Repeat("░", width-full))
}

func (m *model) jobErrors(j *jobs.Job, width int) []string {
	t := &m.theme
	var lines []string
	if j.Error != nil {
		for _, line := range wrap(clean(*j.Error), width-2) {
			lines = append(lines, t.bad.Render(line))
		}
	}
	if j.Hint != nil {
		lines = append(lines, wrap(clean(*j.Hint), width-2)...)
	}
	return lines[:min(len(lines), 5)]
}

// logLines are the end of the log.
func (m *model) logLines(width, rows int) []string {
	t, log := &m.theme, m.board.Log
	if rows < 2 || len(log) == 0 {
		return nil
	}
	lines := []string{t.muted.Render("── log " + strings.Repeat("─", max(0, width-7)))}
	for _, l := range log[max(0, len(log)-(rows-1)):] {
		text := l.Time.Local().Format("15:04:05 ") + clean(l.Text)
		style := t.render.NewStyle()
		switch l.Level {
		case "WARN":
			style = t.warn
		case "ERROR":
			style = t.bad
		}
		lines = append(lines, style.Render(cut(text, width)))
	}
	return lines
}

// spark draws the last figures as a line of small bars.
func spark(list []float64, width int) string {
	const levels = "▁▂▃▄▅▆▇█"
	if width < 4 || len(list) < 2 {
		return ""
	}
	list = list[max(0, len(list)-width):]
	top := 0.0
	for _, x := range list {
		top = max(top, x)
	}
	if top <= 0 {
		return ""
	}
	var b strings.Builder
	for _, x := range list {
		b.WriteRune([]rune(levels)[int(x/top*7+0.5)])
	}
	return b.String()
}
