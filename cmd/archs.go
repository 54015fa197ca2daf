package cmd

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func newArchs(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "archs",
		Short: "List the model families that can be converted",
		Long: `List the model families that can be converted from Hugging Face's layout, with the classes that
config.json names; clip is what models see and hear with, which becomes an mmproj file
beside the others. A GGUF file of any architecture can be quantized.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			list := jobs.Architectures()
			if a.json {
				return a.printJSON(list)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, f := range list {
				classes := strings.Join(f.Classes, ", ")
				if f.Note != "" {
					classes += " (" + f.Note + ")"
				}
				fmt.Fprintf(w, "%s\t%s\n", f.Name, classes)
			}
			return w.Flush()
		},
	}
}
