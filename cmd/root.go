// Package cmd is the command line: flags in, one call of the service, text or JSON out. What a command prints as
// its result goes to standard output; progress, warnings and errors go to standard error.
package cmd

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// app is what every command shares.
type app struct {
	service *jobs.Service
	streams
	json    bool
	color   string
	release func() // leaves signals to somebody else
}

// Main runs the program with the process's own arguments and returns its exit code.
func Main() int {
	a := &app{streams: standardStreams()}
	service, err := jobs.Open(os.Getenv, Version())
	if err != nil {
		_ = a.chooseColor("auto")
		return a.fail(&cobra.Command{Use: "nexus-quant"}, err)
	}
	a.service = service
	ctx, stop := interruptible(a)
	defer stop()
	return a.run(ctx, os.Args[1:])
}

// run executes one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	_ = a.chooseColor("auto") // for errors that come before the flag is read
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var said exitOf
	if errors.As(err, &said) {
		return int(said)
	}
	// the flag may stand behind the one that could not be parsed
	if on, _ := command.Flags().GetBool("json"); on {
		a.json = true
	}
	if jobs.ClassOf(err) == jobs.Cancelled {
		err = &cancelledError{err}
	}
	return a.fail(command, err)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "nexus-quant",
		Short: "Turn a Hugging Face model into quantized GGUF files",
		Long: `nexus-quant turns a Hugging Face model into quantized GGUF files: it reads every
weight once, writes all the types that you ask for in the same pass, and gives the
same bytes as llama.cpp.

  nexus-quant quantize meta-llama/Llama-2-7b-hf --types Q4_K_M,Q5_K_M`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if onTerminal() && !a.json {
				return a.runWizard(c.Context())
			}
			return c.Help()
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print results, progress and errors as JSON")
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "colours: auto, always or never")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.chooseColor(a.color) }
	root.AddCommand(newQuantize(a), newEstimate(a), newInspect(a), newTypes(a), newArchs(a), newJobs(a), a.completesJob(newCancel(a), unendedJob), newModels(a), newServe(a), newWizard(a), newConfig(a), newVersion(a))
	completeFlags(root, map[string]completer{"color": completeWords("auto", "always", "never")})
	root.AddCommand(helpTopics()...)
	root.InitDefaultCompletionCmd()
	return root
}

// interruptible returns a context that the first Ctrl-C cancels; the second one ends the process at once.
func interruptible(a *app) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals()...)
	a.release = func() { signal.Stop(signals) }
	go func() {
		<-signals
		cancel(jobs.ErrInterrupted)
		go a.note("stopping; press Ctrl-C again to stop at once") // a terminal that is held with Ctrl-S takes no text
		for first := time.Now(); time.Since(first) < sameSignal; {
			<-signals
		}
		os.Exit(exitCancelled)
	}()
	return ctx, func() { a.release(); cancel(nil) }
}

// sameSignal is how soon after the first a signal is taken for the same one: a terminal sends it to all processes of a
// command, and some of those pass it on.
const sameSignal = 150 * time.Millisecond

// noArgs refuses arguments with an error that names the first one, and the command that may have been meant.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(c, args[0])
}

// oneModel wants exactly one argument.
func oneModel(c *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return &usageError{errors.New("no model given")}
	case 1:
		return nil
	}
	return &usageError{errors.New("one model at a time: got " + args[0] + " and " + args[1])}
}

// cancelledError is what a command ends with after Ctrl-C, whatever it was doing.
type cancelledError struct{ cause error }

func (e *cancelledError) Error() string { return "stopped" }
func (e *cancelledError) Unwrap() error { return e.cause }
