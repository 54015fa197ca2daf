package cmd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
)

func newModelsRun(a *app) *cobra.Command {
	var show bool
	var context int64
	c := &cobra.Command{
		Use: "run NAME", Short: "Run a file with the llama-server or ollama that is there", Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			list, err := a.service.RunnersFor(args[0], context)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			first := list[0]
			if show || first.Path == "" {
				if first.Path == "" {
					a.note("neither llama-server nor ollama is on this machine; where there is one, run:")
				}
				fmt.Fprintln(a.out, first)
				return nil
			}
			a.note("%s", first)
			p := exec.CommandContext(c.Context(), first.Path, first.Args...)
			p.Stdin, p.Stdout, p.Stderr = os.Stdin, a.out, a.err
			return p.Run()
		},
	}
	c.Flags().BoolVar(&show, "print", false, "only print the command")
	c.Flags().Int64Var(&context, "context", 0, "positions of context (default: the program's)")
	return c
}

func newModelsExport(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "export ollama|lmstudio NAME",
		Short: "Make a file known to another program",
		Long: `Make a file known to another program: a Modelfile for ollama, a link in LM Studio's folder
of models. The file itself is not copied.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] != "ollama" && args[0] != "lmstudio" {
				return &usageError{errors.New("want ollama or lmstudio, and the name of a file")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			export := a.service.ExportOllama
			if args[0] == "lmstudio" {
				export = a.service.ExportLMStudio
			} else if dir == "" {
				dir = "."
			}
			e, err := export(args[1], dir)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(e)
			}
			fmt.Fprintln(a.out, e.Path)
			a.note("next: %s", e.Next)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder to write into (default: the working directory, or LM Studio's own)")
	return c
}
