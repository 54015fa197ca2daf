package cmd

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func newEstimate(a *app) *cobra.Command {
	var r jobs.Request
	var fallbacks bool
	c := &cobra.Command{
		Use:   "estimate MODEL --types TYPE[,TYPE...]",
		Short: "Say exactly what quantize would make, without downloading weights",
		Long: `Say what quantize would make: the exact size of every file, tensors that fall back to
another type and what that costs, disk, memory and time on this machine. Only headers
are read: a few hundred kilobytes of a Hub model.`,
		Example: `  nexus-quant estimate meta-llama/Llama-2-7b-hf --types Q4_K_M,Q5_K_M
  nexus-quant estimate ./my-model -t Q4_K_M --json`,
		Args: oneModel,
		RunE: func(c *cobra.Command, args []string) error {
			r.Model = args[0]
			return runEstimate(c, a, &r, fallbacks)
		},
	}
	addRecipeFlags(c, &r)
	c.Flags().BoolVar(&fallbacks, "fallbacks", false, "list every tensor that falls back")
	return c
}

func runEstimate(c *cobra.Command, a *app, r *jobs.Request, fallbacks bool) error {
	e, err := a.service.Estimate(c.Context(), r)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(e)
	}
	fmt.Fprintf(a.out, "%s: %s, %s parameters, %s\n\n", e.Model, e.Architecture, count(e.Parameters), jobs.Size(e.SourceBytes))
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "type\tbytes\tsize\tbits/weight\tfallbacks\tfile\t")
	for _, o := range e.Outputs {
		fmt.Fprintf(w, "%s\t%d\t%s\t%.2f\t%s\t%s\t\n", o.Type, o.Bytes, jobs.Size(o.Bytes), o.BitsPerWeight, fallbackText(o), o.FileName)
	}
	w.Flush()
	if fallbacks {
		for _, o := range e.Outputs {
			for _, f := range o.Fallbacks {
				fmt.Fprintf(a.out, "%s: %s: %d columns, %s instead of %s, %s more\n", o.Type, f.Tensor, f.Columns, f.Got, f.Want, jobs.Size(f.ExtraBytes))
			}
		}
	}
	fmt.Fprintln(a.out)
	if e.DownloadBytes > 0 {
		fmt.Fprintf(a.out, "download  %s\n", jobs.Size(e.DownloadBytes))
	}
	fmt.Fprintf(a.out, "disk      %s at the peak, %s free, %s after\n", jobs.Size(e.PeakDiskBytes), jobs.Size(e.FreeDiskBytes), jobs.Size(e.FreeDiskBytes-e.PeakDiskBytes))
	fmt.Fprintf(a.out, "memory    %d MiB at the peak\n", (e.PeakMemoryBytes+1<<20-1)>>20)
	fmt.Fprintf(a.out, "time      about %s on this machine\n", about(e.Seconds))
	for _, warning := range e.Warnings {
		a.warn(warning)
	}
	return nil
}

func fallbackText(o jobs.OutputEstimate) string {
	if len(o.Fallbacks) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d (%s)", len(o.Fallbacks), jobs.Size(o.FallbackBytes))
}

// about prints a duration no more exactly than it is known.
func about(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return "a second"
	case d < time.Minute:
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Minute)
	if d < time.Hour {
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// count prints a number of parameters as people say it: 6.74B.
func count(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2fB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", float64(n)/1e6)
	}
	return fmt.Sprint(n)
}
