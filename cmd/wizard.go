package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nexus-quant/nexus-quant/ui/tui"
)

func newWizard(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "wizard",
		Short: "Make a job step by step in the terminal, and watch it",
		Long: `Make a job step by step in the terminal: the model, the types with their exact sizes,
what will be written. Then watch it.

Without arguments, nexus-quant on a terminal does the same. NO_COLOR or --color never
leave the colours out; ACCESSIBLE=1 asks plain questions, line by line.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runWizard(c.Context()) },
	}
}

// onTerminal tells whether a person sits at both ends.
func onTerminal() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
}

// accessible tells whether plain lines are wanted: by the variable that says so, or by a terminal that knows no more.
func (a *app) accessible() bool {
	v := a.getenv("ACCESSIBLE")
	return v != "" && v != "0" || a.getenv("TERM") == "dumb"
}

func (a *app) runWizard(ctx context.Context) error {
	o := a.screen()
	if a.accessible() {
		return a.farewell(tui.Ask(ctx, o))
	}
	if !onTerminal() {
		return &hinted{&usageError{errors.New("the wizard needs a terminal")}, "nexus-quant quantize does the same in scripts; ACCESSIBLE=1 asks line by line"}
	}
	return a.onScreen(func() (tui.Outcome, error) { return tui.Run(ctx, o) })
}

// screen are the options of what is shown on the terminal. Who sits at it may read what the system lets them read, so
// the folders that a server is held to don't count.
func (a *app) screen() tui.Options {
	s := a.service.Settings()
	if dir, err := os.Getwd(); err == nil {
		s.AllowPaths = append(s.AllowPaths, filepath.VolumeName(dir)+string(filepath.Separator))
	}
	return tui.Options{Service: a.service, In: os.Stdin, Out: os.Stdout, Color: a.color, Getenv: a.getenv}
}

// farewell says what came of it: the files on standard output, as quantize does, the rest on standard error.
func (a *app) farewell(out tui.Outcome, err error) error {
	for _, o := range out.Made {
		fmt.Fprintln(a.out, relative(o.Path))
	}
	for _, line := range out.Lines {
		a.note("%s", line)
	}
	return err
}
