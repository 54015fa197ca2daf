package cmd

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func newJobsQueue(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "queue", Short: "List the queued jobs in the order in which they will start", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			queue, err := a.service.Queue()
			if err != nil {
				return err
			}
			return printQueue(a, queue)
		},
	}
}

func printQueue(a *app, queue []jobs.Job) error {
	if a.json {
		return a.printJSON(queue)
	}
	if len(queue) == 0 {
		a.note("no job is queued")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "place\tid\tpriority\tname\tmodel\ttypes")
	for i, j := range queue {
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%s\n", i+1, short(j.ID), j.Priority, j.Name, j.SourceModel, strings.Join(j.Types, ","))
	}
	return w.Flush()
}

func newJobsMove(a *app) *cobra.Command {
	ways := []string{jobs.MoveFirst, jobs.MoveEarlier, jobs.MoveLater, jobs.MoveLast}
	return a.completesJob(&cobra.Command{
		Use: "move ID first|earlier|later|last", Short: "Give a queued job another place in the queue",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 || !slices.Contains(ways, args[1]) {
				return &hinted{&usageError{fmt.Errorf("want the ID of a job, and one of %s", strings.Join(ways, ", "))}, "nexus-quant jobs queue lists them"}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := a.service.Move(c.Context(), args[0], args[1]); err != nil {
				return err
			}
			queue, err := a.service.Queue()
			if err != nil {
				return err
			}
			return printQueue(a, queue)
		},
	}, queuedJob, ways...)
}
