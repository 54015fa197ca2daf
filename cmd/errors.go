package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// The exit codes, documented in "nexus-quant help exit-codes".
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnsupported = 3
	exitAuth        = 4
	exitNotFound    = 5
	exitResources   = 6
	exitCancelled   = 130
)

// usageError is a command line that can't be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitOf is the exit code of a process that has said all that there is to say.
type exitOf int

func (e exitOf) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// unknownCommand suggests the command that may have been meant.
func unknownCommand(c *cobra.Command, name string) error {
	err := fmt.Errorf("unknown command %q", name)
	if near := c.SuggestionsFor(name); len(near) > 0 {
		return &hinted{&usageError{err}, fmt.Sprintf("did you mean %q?", c.CommandPath()+" "+near[0])}
	}
	return &usageError{err}
}

// hinted gives an error a hint.
type hinted struct {
	error
	hint string
}

func (e *hinted) Hint() string  { return e.hint }
func (e *hinted) Unwrap() error { return e.error }

// exitCodes of the service's classes of errors.
var exitCodes = map[jobs.Class]int{
	jobs.Failed:      exitFailed,
	jobs.BadRequest:  exitUsage,
	jobs.Unsupported: exitUnsupported,
	jobs.NoAccess:    exitAuth,
	jobs.NotFound:    exitNotFound,
	jobs.NoResources: exitResources,
	jobs.Cancelled:   exitCancelled,
	jobs.Conflict:    exitFailed,
	jobs.Forbidden:   exitFailed,
	jobs.Unavailable: exitFailed,
	jobs.Damaged:     exitFailed,
}

// exitCode is the one place that turns errors into exit codes.
func exitCode(err error) int {
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitCodes[jobs.ClassOf(err)]
}

// hintOf says what to do about an error.
func hintOf(c *cobra.Command, err error) string {
	if hint := jobs.HintOf(err); hint != "" {
		return hint
	}
	if exitCode(err) == exitUsage {
		return c.CommandPath() + " --help"
	}
	return ""
}

// fail prints an error with its hint and returns the exit code.
func (a *app) fail(c *cobra.Command, err error) int {
	code, text, hint := exitCode(err), asTyped(err.Error()), asTyped(hintOf(c, err))
	if a.json {
		line, _ := json.Marshal(struct {
			Type  string `json:"type"`
			Error string `json:"error"`
			Hint  string `json:"hint,omitempty"`
			Code  int    `json:"code"`
		}{"error", text, hint, code})
		fmt.Fprintln(a.err, string(line))
		return code
	}
	fmt.Fprintf(a.err, "%s %s\n", a.red("error:"), text)
	if hint != "" {
		fmt.Fprintf(a.err, "%s %s\n", a.bold("hint:"), hint)
	}
	return code
}

// asTyped writes paths below the working directory as people type them. The service makes all paths absolute, since its
// jobs outlive the folder that they came from.
func asTyped(text string) string {
	dir, err := os.Getwd()
	if err != nil || len(dir) < 2 {
		return text
	}
	return strings.ReplaceAll(text, dir+string(os.PathSeparator), "")
}
