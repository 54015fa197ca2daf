package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/ui/tui"
)

func newJobsWatch(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "watch [ID]",
		Short: "Watch all jobs on the terminal: how far they are, their logs, cancel, resume",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return oneJob(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o := a.screen()
			o.Board = true
			if len(args) == 1 {
				o.Job = args[0]
			}
			if a.accessible() {
				return tui.Follow(c.Context(), o)
			}
			if !onTerminal() {
				return &hinted{&usageError{errors.New("jobs watch needs a terminal")}, "nexus-quant jobs list and jobs logs --follow do the same in scripts"}
			}
			return a.onScreen(func() (tui.Outcome, error) { return tui.Run(c.Context(), o) })
		},
	}
}
