package cmd

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// completer gives what a shell offers for a word: choices, with a tab before what is said of one.
type completer = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// progressModes are the ways to show progress.
var progressModes = []string{"auto", "bar", "plain", "none"}

const justThese = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder

// choice is one line for the shell. What users named may hold anything; a line break would end it.
func choice(word, format string, args ...any) string {
	about := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	return word + "\t" + about
}

// completeFlags completes the values of flags. A name that a command lacks is a mistake of this program.
func completeFlags(c *cobra.Command, by map[string]completer) {
	for name, f := range by {
		if err := c.RegisterFlagCompletionFunc(name, f); err != nil {
			panic(err)
		}
	}
}

// completeWords completes words from a fixed list.
func completeWords(words ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { return words, justThese }
}

// completeTypes completes the last name of a comma-separated list.
func completeTypes(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	prefix := ""
	if i := strings.LastIndex(typed, ","); i >= 0 {
		prefix = typed[:i+1]
	}
	var list []string
	for _, p := range jobs.Types() {
		list = append(list, choice(prefix+p.Name, "%s", p.About))
	}
	return list, justThese | cobra.ShellCompDirectiveNoSpace
}

// completeTensorRule completes the type behind the last = of REGEX=TYPE.
func completeTensorRule(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	i := strings.LastIndex(typed, "=")
	if i < 0 {
		return nil, justThese | cobra.ShellCompDirectiveNoSpace
	}
	var list []string
	for _, t := range jobs.TensorTypes() {
		list = append(list, typed[:i+1]+t)
	}
	return list, justThese
}

// completesJob completes the ID of a job that fits, as the first argument, and rest after it.
func (a *app) completesJob(c *cobra.Command, fits func(jobs.Job) bool, rest ...string) *cobra.Command {
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			if len(args) == 1 {
				return rest, justThese
			}
			return nil, justThese
		}
		list, err := a.service.Jobs(jobs.JobFilter{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ids []string
		for _, j := range list.Jobs {
			id := short(j.ID)
			if len(typed) > len(id) {
				id = j.ID
			}
			if fits(j) {
				ids = append(ids, choice(id, "%s: %s", j.Status, j.Name))
			}
		}
		return ids, justThese
	}
	return c
}

// Which jobs a command is for.
func anyJob(jobs.Job) bool         { return true }
func endedJob(j jobs.Job) bool     { return j.Ended != nil }
func unendedJob(j jobs.Job) bool   { return j.Ended == nil }
func resumableJob(j jobs.Job) bool { return j.Resumable }
func queuedJob(j jobs.Job) bool    { return j.Status == "queued" }

// completesModel completes the name of a registered model or, where single says so, of one of its files alone, as the
// argument behind the words.
func (a *app) completesModel(c *cobra.Command, single bool, words ...string) *cobra.Command {
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(words) > 0 {
			if len(args) == 0 {
				return words, justThese
			}
			args = args[1:]
		}
		if len(args) > 0 {
			return nil, justThese
		}
		list, err := a.service.Models(jobs.ModelFilter{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, m := range list.Models {
			if !single {
				names = append(names, choice(m.ID, "%s, %d files", m.Architecture, len(m.Variants)))
			}
			for _, v := range m.Variants {
				names = append(names, choice(strings.TrimSuffix(filepath.Base(v.Path), ".gguf"), "%s, %s", v.Type, jobs.Size(v.Bytes)))
			}
		}
		return names, justThese
	}
	return c
}
