package cmd

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// recommendedSizes are the model sizes that "types" recommends for.
var recommendedSizes = []struct {
	label   string
	weights int64
}{
	{"up to 3B", 1e9}, {"7B, 8B", 7e9}, {"13B to 34B", 13e9}, {"70B and up", 70e9},
}

type typeEntry struct {
	Name    string  `json:"name"`
	Base    string  `json:"base_type"`
	Bits    float64 `json:"bits_per_weight"`
	Quality string  `json:"quality"`
	About   string  `json:"about"`
}

type typeAdvice struct {
	Model string   `json:"model"`
	Types []string `json:"types"`
}

func newTypes(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "types",
		Short: "List the types that can be made, and which to choose",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			var list struct {
				Types  []typeEntry  `json:"types"`
				Advice []typeAdvice `json:"recommended"`
			}
			for _, p := range jobs.Types() {
				list.Types = append(list.Types, typeEntry{p.Name, p.Base.String(), p.Bits, p.Quality, p.About})
			}
			for _, s := range recommendedSizes {
				list.Advice = append(list.Advice, typeAdvice{s.label, jobs.Recommend(s.weights)})
			}
			if a.json {
				return a.printJSON(list)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "type\tbits/weight\tquality\tgood for")
			for _, t := range list.Types {
				fmt.Fprintf(w, "%s\t%5.2f\t%s\t%s\n", t.Name, t.Bits, t.Quality, t.About)
			}
			w.Flush()
			fmt.Fprintln(a.out, "\nrecommended by the size of the model")
			for _, r := range list.Advice {
				fmt.Fprintf(a.out, "  %-11s %s\n", r.Model, strings.Join(r.Types, ", "))
			}
			fmt.Fprintln(a.out, "\nBits per weight are those of a model of 8 billion weights; nexus-quant estimate gives\nthe exact size for yours.")
			return nil
		},
	}
}
