package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in releases: -X .../cmd.version=v1.2.3
var version string

// Version is the program's version: the release's, else the module's, else the commit that it was built from.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(map[string]string{"version": Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "oracle": oracle})
			}
			fmt.Fprintf(a.out, "nexus-quant %s (%s, %s/%s), the same bytes as %s\n", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, oracle)
			return nil
		},
	}
}

// oracle is the program whose bytes ours equal.
const oracle = "llama.cpp 0.5.0"
