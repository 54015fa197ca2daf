// Package tui is the terminal wizard and the dashboard of jobs. What was chosen and what is known stands in plain
// values (Wizard, Board, Wall) that do no I/O and know no terminal; one bubbletea model turns keys into their changes
// and draws them.
package tui

import (
	"context"
	"fmt"
	"io"
	"os"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
	"github.com/nexus-quant/nexus-quant/ui/tui/quiet"
)

var _ = quiet.End() // bubbletea is initialized by now

// Options say what to open, and how the terminal is.
type Options struct {
	Service *jobs.Service
	In      io.Reader
	Out     io.Writer // the terminal
	Color   string    // auto, always or never
	Getenv  func(string) string
	Board   bool   // begin with the jobs, else with a new one unless some are alive
	Job     string // the job to begin with, or the beginning of its ID
}

// Outcome is what came of a session, to be said when the terminal is the user's again.
type Outcome struct {
	Made    []jobs.OutputResult // files that were made
	Lines   []string            // what else to know: how to go on
	Stopped bool                // a job was interrupted
}

// Run shows the wizard or the dashboard until the user leaves. A job that runs in this process then is interrupted and
// can be resumed. Cancelling ctx does the same.
//
// Errors: what reading the jobs says; context.Cause(ctx); tea.ErrProgramPanic, when the terminal was put right again.
func Run(ctx context.Context, o Options) (Outcome, error) {
	m, err := newModel(ctx, o)
	if err != nil {
		return Outcome{}, err
	}
	_, err = program(ctx, m, o).Run()
	m.leave()
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("the screen could not go on: %w", err)
	}
	return m.outcome, err
}

// program is how the screen is run. Signals are the caller's; a panic of the model puts the terminal right first.
func program(ctx context.Context, m tea.Model, o Options) *tea.Program {
	return tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithAltScreen(), tea.WithoutSignalHandler())
}

// newModel looks up what the first screen needs.
func newModel(ctx context.Context, o Options) (*model, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	profile, dark := o.colors()
	m := &model{ctx: ctx, o: o, service: o.Service, theme: newTheme(profile, dark), board: NewBoard(), width: 80, height: 24}
	m.dir, _ = os.Getwd()
	m.newWizard()
	list, err := o.Service.Jobs(jobs.JobFilter{Limit: listed})
	if err != nil {
		return nil, err
	}
	m.board.List(list.Jobs, nil)
	m.screen = onWizard
	if o.Board || m.board.AnyActive() {
		m.screen = onBoard
	}
	if o.Job != "" {
		j, err := o.Service.Job(o.Job)
		if err != nil {
			return nil, err
		}
		m.board.Select(j.ID)
	}
	return m, nil
}

// colors finds out what the terminal offers and the user wants.
func (o *Options) colors() (termenv.Profile, bool) {
	if o.Color == "never" || o.Color != "always" && o.Getenv("NO_COLOR") != "" {
		return termenv.Ascii, true
	}
	r := lipgloss.NewRenderer(o.Out)
	profile := r.ColorProfile()
	if o.Color == "always" && profile == termenv.Ascii {
		profile = termenv.ANSI
	}
	return profile, profile != termenv.TrueColor || r.HasDarkBackground()
}

// leave interrupts the job of this process, if one is running, and waits until its work is kept.
func (m *model) leave() {
	if m.run == nil || m.hurried {
		return
	}
	select {
	case <-m.run.ended:
		return
	default:
	}
	m.run.stop(jobs.ErrInterrupted)
	<-m.run.ended
	if id := m.run.job(); id != "" && m.run.interrupted {
		m.outcome.interrupted(id)
	}
}

func (o *Outcome) interrupted(id string) {
	o.Stopped = true
	o.Lines = append(o.Lines, fmt.Sprintf("Job %s was interrupted; what is done is kept. Go on with: nexus-quant jobs resume %s", short(id), short(id)))
}

// ended notes how a job of this process came out.
func (o *Outcome) ended(r *runner, result *jobs.Result, err error) {
	id := r.job()
	if result != nil {
		for _, out := range result.Outputs {
			if out.Error == "" {
				o.Made = append(o.Made, out)
			}
		}
	}
	switch {
	case err == nil:
	case r.interrupted && id != "":
		o.interrupted(id)
	case jobs.ClassOf(err) == jobs.Cancelled:
		o.Lines = append(o.Lines, fmt.Sprintf("Job %s was cancelled.", short(id)))
	default:
		o.Lines = append(o.Lines, fmt.Sprintf("Job %s failed: %s", short(id), clean(err.Error())))
		if hint := jobs.HintOf(err); hint != "" {
			o.Lines = append(o.Lines, clean(hint))
		}
	}
}

// short is enough of an ID to tell jobs apart.
func short(id string) string { return id[:min(8, len(id))] }
