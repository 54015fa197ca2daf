package cmd

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newConfig(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Show the settings that hold, and where each comes from",
		Long: `Show the settings that hold, and where each comes from. Flags win over the environment,
the environment over the file, the file over the defaults. The file is JSON:

  {"output_dir": "/data/models", "threads": 8, "max_memory": "2GiB", "concurrency": 1}`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			list := a.service.Settings().Explain()
			if a.json {
				return a.printJSON(list)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, s := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.Origin)
			}
			return w.Flush()
		},
	}
}
