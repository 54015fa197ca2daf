package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func newJobs(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "jobs",
		Short: "List jobs, look at them, go on with them",
		Long: `List jobs, look at them, go on with them. Every run of quantize is a job, whichever
process does it. The beginning of an ID is enough.`,
		Args: noArgs,
	}
	list := newJobsList(a)
	c.RunE = list.RunE
	c.Flags().AddFlagSet(list.Flags())
	c.AddCommand(list, a.completesJob(newJobsShow(a), anyJob), a.completesJob(newJobsLogs(a), anyJob), a.completesJob(newJobsWatch(a), unendedJob),
		a.completesJob(newJobsResume(a), resumableJob), a.completesJob(newJobsRetry(a), endedJob), a.completesJob(newJobsDelete(a), endedJob),
		newJobsQueue(a), newJobsMove(a))
	return c
}

// oneJob wants exactly one ID.
func oneJob(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &hinted{&usageError{errors.New("want the ID of one job, or the beginning of it")}, "nexus-quant jobs lists them"}
	}
	return nil
}

func newJobsList(a *app) *cobra.Command {
	var f jobs.JobFilter
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List jobs, newest first", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := a.service.Jobs(f)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			if len(list.Jobs) == 0 {
				a.note("no jobs")
				return nil
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "id\tstatus\tprogress\tmodel\ttypes\tcreated")
			for _, j := range list.Jobs {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", short(j.ID), j.Status, percent(j), j.SourceModel, strings.Join(j.Types, ","), j.Created.Local().Format(time.DateTime))
			}
			w.Flush()
			if list.Total > len(list.Jobs) {
				a.note("%d of %d; --limit and --offset show others", len(list.Jobs), list.Total)
			}
			return nil
		},
	}
	c.Flags().IntVarP(&f.Limit, "limit", "L", 30, "jobs to show; 0 for all")
	c.Flags().IntVar(&f.Offset, "offset", 0, "jobs to leave out at the start")
	c.Flags().StringSliceVar(&f.Status, "status", nil, "only jobs in these states")
	completeFlags(c, map[string]completer{"status": completeWords(jobs.States()...)})
	c.Flags().StringVar(&f.Search, "search", "", "only jobs with this text in name, model or types")
	return c
}

// short is enough of an ID to tell jobs apart.
func short(id string) string { return id[:min(8, len(id))] }

func percent(j jobs.Job) string { return fmt.Sprintf("%.0f%%", j.Progress) }

func newJobsShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one job", Args: oneJob,
		RunE: func(_ *cobra.Command, args []string) error {
			j, err := a.service.Job(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(j)
			}
			printJob(a, j)
			return nil
		},
	}
}

func printJob(a *app, j jobs.Job) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	line := func(name string, v any) { fmt.Fprintf(w, "%s\t%v\n", name, v) }
	line("id", j.ID)
	line("name", j.Name)
	line("model", j.SourceModel)
	if j.Commit != nil {
		line("commit", *j.Commit)
	}
	line("status", fmt.Sprintf("%s, %s", j.Status, percent(j)))
	if j.Step != nil {
		line("step", fmt.Sprintf("%s, %s/s, %s left", *j.Step, jobs.Size(int64(j.BytesPerSecond)), time.Duration(j.ETASeconds*float64(time.Second)).Round(time.Second)))
	}
	line("created", j.Created.Local().Format(time.DateTime))
	if j.Started != nil {
		line("started", j.Started.Local().Format(time.DateTime))
	}
	if j.Ended != nil {
		line("ended", j.Ended.Local().Format(time.DateTime))
	}
	if j.Owner != nil {
		line("worked on by", *j.Owner)
	}
	if j.Error != nil {
		line("error", *j.Error)
	}
	if j.Hint != nil {
		line("hint", *j.Hint)
	}
	if j.Resumable {
		line("go on with", "nexus-quant jobs resume "+short(j.ID))
	}
	w.Flush()
	fmt.Fprintln(a.out)
	w = tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, o := range j.Outputs {
		size, path := "", ""
		if o.Size != nil {
			size = jobs.Size(*o.Size)
		}
		if o.Path != nil {
			path = relative(*o.Path)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", o.Type, o.Status, size, path)
		if o.Error != nil {
			fmt.Fprintf(w, "\t%s\n", *o.Error)
		}
	}
	w.Flush()
}

func newJobsLogs(a *app) *cobra.Command {
	var follow bool
	var tail int
	c := &cobra.Command{
		Use: "logs ID", Short: "Show the log of a job", Args: oneJob,
		RunE: func(c *cobra.Command, args []string) error {
			j, err := a.service.Job(args[0]) // before its log, which is whole if it has ended by now
			if err != nil {
				return err
			}
			lines, err := a.service.Log(j.ID, tail)
			if err != nil {
				return err
			}
			var last struct{ Seq uint64 }
			for _, line := range lines {
				fmt.Fprintln(a.out, string(line))
				_ = json.Unmarshal(line, &last)
			}
			if !follow || j.Ended != nil {
				return nil
			}
			for e, err := range a.service.Events(c.Context(), args[0], max(1, last.Seq)) {
				if err != nil {
					return err
				}
				line, _ := json.Marshal(e)
				fmt.Fprintln(a.out, string(line))
				if e.Type == "state" {
					if j, err := a.service.Job(args[0]); err != nil || j.Ended != nil {
						return err
					}
				}
			}
			return context.Cause(c.Context())
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job ends")
	c.Flags().IntVar(&tail, "tail", 0, "only the last lines")
	return c
}

func newJobsResume(a *app) *cobra.Command {
	return runAgain(a, "resume ID", "Go on with a job that was interrupted, here and now", nil)
}

func newJobsRetry(a *app) *cobra.Command {
	var force bool
	c := runAgain(a, "retry ID", "Start a job that has ended once more, here and now", func(ctx context.Context, id string) error {
		job, err := a.service.Retry(ctx, id, force)
		for _, o := range job.Outputs {
			if o.Status == "completed" && o.Path != nil {
				a.note("%s: kept; --force makes it anew", relative(*o.Path))
			}
		}
		return err
	})
	c.Long = `Start a job that has ended once more, here and now. What it left unfinished is removed,
and its outputs are made from the beginning.

A file that it finished is kept where it still stands, and made again where it is gone.
With --force all are made anew, also one that is damaged; each takes its file's place
only when it is whole.`
	c.Flags().BoolVar(&force, "force", false, "make the files anew that are there")
	return c
}

// runAgain is a command that runs a job that there is already, after something was done to it.
func runAgain(a *app, use, short string, before func(ctx context.Context, id string) error) *cobra.Command {
	var mode string
	c := &cobra.Command{
		Use: use, Short: short, Args: oneJob,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := newProgress(a, mode)
			if err != nil {
				return err
			}
			if before != nil {
				if err := before(c.Context(), args[0]); err != nil {
					return err
				}
			}
			return a.report(p, func() (*jobs.Result, error) { return a.service.ResumeHere(c.Context(), args[0], p) })
		},
	}
	c.Flags().StringVar(&mode, "progress", "auto", "progress: auto, bar, plain or none")
	completeFlags(c, map[string]completer{"progress": completeWords(progressModes...)})
	return c
}

func newJobsDelete(a *app) *cobra.Command {
	var files bool
	c := &cobra.Command{
		Use: "delete ID", Aliases: []string{"rm"}, Short: "Delete a job's record and log, and its files with --files", Args: oneJob,
		RunE: func(c *cobra.Command, args []string) error {
			freed, err := a.service.Delete(c.Context(), args[0], files)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"deleted": args[0], "freed_bytes": freed})
			}
			a.note("deleted, %s freed", jobs.Size(freed))
			return nil
		},
	}
	c.Flags().BoolVar(&files, "files", false, "delete the outputs too; a source is never touched")
	return c
}

func newCancel(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "Cancel a job, whichever process runs it", Args: oneJob,
		RunE: func(c *cobra.Command, args []string) error {
			j, err := a.service.Cancel(c.Context(), args[0])
			if err != nil {
				return err
			}
			// the process that runs it needs a moment to hear of it
			for range 40 {
				if j.Ended != nil || j.Status == "cancelled" {
					break
				}
				time.Sleep(50 * time.Millisecond)
				if j, err = a.service.Job(j.ID); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(map[string]string{"status": j.Status, "job_id": j.ID})
			}
			a.note("job %s: %s", short(j.ID), j.Status)
			return nil
		},
	}
}

// runDetached queues a request for a server.
func runDetached(c *cobra.Command, a *app, r *jobs.Request) error {
	if !a.service.Served() {
		return &hinted{errors.New("no nexus-quant serve is running to leave the job to"), "start one with: nexus-quant serve; or run the job here without --detach"}
	}
	j, err := a.service.Enqueue(c.Context(), r)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(j)
	}
	fmt.Fprintln(a.out, j.ID)
	a.note("queued; nexus-quant jobs show %s tells how far it is", short(j.ID))
	return nil
}
