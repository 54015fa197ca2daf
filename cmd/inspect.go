package cmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func newInspect(a *app) *cobra.Command {
	var r jobs.Request
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show a model's metadata, tensors and types",
		Long: `Show a model's metadata, tensors, types and bits per weight. MODEL is a Hub id, a folder
in Hugging Face layout (shown as the GGUF file that it would become) or a .gguf file.
Only headers are read.`,
		Args: oneModel,
		RunE: func(c *cobra.Command, args []string) error {
			r.Model = args[0]
			in, err := a.service.Inspect(c.Context(), &r)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(in)
			}
			return printInspection(a, in)
		},
	}
	c.Flags().StringVar(&r.Revision, "revision", "", "branch, tag or commit of a Hub model (default: main)")
	c.Flags().StringVar(&r.PreTokenizer, "pre", "", "llama.cpp's `name` of the pre-tokenizer, where it is not recognised")
	completeFlags(c, map[string]completer{"pre": completeWords(jobs.PreTokenizers()...)})
	return c
}

func printInspection(a *app, in *jobs.Inspection) error {
	fmt.Fprintf(a.out, "%s: %s, %s parameters, %s, %.2f bits/weight", in.Model, in.Architecture, count(in.Parameters), jobs.Size(in.Bytes), in.BitsPerWeight)
	if in.FileType != "" {
		fmt.Fprintf(a.out, ", %s", in.FileType)
	}
	if in.ContextLength > 0 {
		fmt.Fprintf(a.out, ", context %d", in.ContextLength)
	}
	fmt.Fprintf(a.out, "\nrecommended: %s\n", strings.Join(in.Recommended, ", "))

	fmt.Fprintln(a.out, "\nmetadata")
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, m := range in.Metadata {
		kind := m.Type
		if strings.HasPrefix(kind, "[]") {
			kind = fmt.Sprintf("[%d]%s", m.Length, kind[2:])
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", m.Key, kind, shortValue(m))
	}
	w.Flush()

	fmt.Fprintln(a.out, "\ntensors")
	w = tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, t := range in.Tensors {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", t.Name, t.Type, shape(t.Shape), jobs.Size(t.Bytes))
	}
	w.Flush()

	fmt.Fprintln(a.out, "\ntypes")
	w = tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, h := range in.Histogram {
		share := 100 * float64(h.Bytes) / float64(max(1, in.Bytes))
		fmt.Fprintf(w, "  %s\t%d tensors\t%s weights\t%s\t%.1f%%\t\n", h.Type, h.Tensors, count(h.Elements), jobs.Size(h.Bytes), share)
	}
	w.Flush()
	for _, name := range in.Dropped {
		fmt.Fprintf(a.out, "not taken over: %s\n", name)
	}
	return nil
}

// shape prints rows x columns.
func shape(s []int64) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[len(s)-1-i] = fmt.Sprint(d)
	}
	return strings.Join(parts, " x ")
}

// shortValue prints a metadata value on one line.
func shortValue(m jobs.MetaEntry) string {
	const limit = 72
	text, err := json.Marshal(m.Value)
	if err != nil {
		text = []byte(fmt.Sprint(m.Value))
	}
	s := string(text)
	if list, ok := m.Value.([]any); ok && m.Length > len(list) {
		s = strings.TrimSuffix(s, "]") + ",...]"
	}
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit-3]) + "..."
	}
	return s
}
