package cmd

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func newModels(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "List the files that were made, check them, find what fits",
		Args:  noArgs,
	}
	list := newModelsList(a)
	c.RunE = list.RunE
	c.Flags().AddFlagSet(list.Flags())
	c.AddCommand(list, a.completesModel(newModelsShow(a), false), a.completesModel(newModelsVerify(a), false), a.completesModel(newModelsDelete(a), false),
		newModelsFits(a), a.completesModel(newModelsRate(a), false), a.completesModel(newModelsRun(a), true), a.completesModel(newModelsExport(a), true, "ollama", "lmstudio"))
	return c
}

// oneName wants exactly one model.
func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &hinted{&usageError{errors.New("want the name of one model or file")}, "nexus-quant models lists them"}
	}
	return nil
}

func newModelsList(a *app) *cobra.Command {
	var f jobs.ModelFilter
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the files that were made", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := a.service.Models(f)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			if len(list.Models) == 0 {
				a.note("no models yet: nexus-quant quantize MODEL --types Q4_K_M makes one")
				return nil
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "model\ttype\tsize\tbits/weight\trmse\tfile")
			for _, m := range list.Models {
				for _, v := range m.Variants {
					fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\t%s\t%s\n", m.ID, v.Type, jobs.Size(v.Bytes), v.BitsPerWeight, rmse(v), place(v))
				}
			}
			return w.Flush()
		},
	}
	c.Flags().StringVar(&f.Search, "search", "", "only models with this text in name, path or source")
	c.Flags().IntVarP(&f.Limit, "limit", "L", 0, "models to show; 0 for all")
	return c
}

func rmse(v jobs.Variant) string {
	if v.RMSE == nil {
		return "-"
	}
	return fmt.Sprintf("%.2e", *v.RMSE)
}

// verified is when a file was last read again, and what that came to.
func verified(v jobs.Variant) string {
	switch {
	case v.Verified == nil:
		return "never since it was made"
	case v.Verified.OK:
		return v.Verified.At.Local().Format(time.DateTime) + ", as registered"
	case v.Verified.Error != nil:
		return v.Verified.At.Local().Format(time.DateTime) + ", failed: " + *v.Verified.Error
	}
	return v.Verified.At.Local().Format(time.DateTime) + ", failed"
}

// place is where a file is, or that it is not there.
func place(v jobs.Variant) string {
	if v.Missing {
		return "missing: " + relative(v.Path)
	}
	return relative(v.Path)
}

func newModelsShow(a *app) *cobra.Command {
	var tensors bool
	c := &cobra.Command{
		Use: "show NAME", Short: "Show a model, or one of its files", Args: oneName,
		RunE: func(_ *cobra.Command, args []string) error {
			m, v, err := a.service.Variant(args[0])
			if err != nil {
				// the name of a model with several files
				if m, err = a.service.Model(args[0]); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(m)
				}
				fmt.Fprintf(a.out, "%s: %s, %s parameters, context %d\n", m.ID, m.Architecture, count(m.Parameters), m.ContextLength)
				width := 7
				for _, v := range m.Variants {
					width = max(width, len(v.Type))
				}
				for _, v := range m.Variants {
					fmt.Fprintf(a.out, "  %-*s %10s  %5.2f bits/weight  rmse %s  %s\n", width, v.Type, jobs.Size(v.Bytes), v.BitsPerWeight, rmse(v), place(v))
					if v.Verified != nil {
						fmt.Fprintf(a.out, "  %-*s verified %s\n", width, "", verified(v))
					}
				}
				return nil
			}
			if a.json {
				return a.printJSON(v)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			line := func(name string, v any) { fmt.Fprintf(w, "%s\t%v\n", name, v) }
			line("model", m.ID)
			line("file", place(v))
			line("architecture", m.Architecture)
			line("parameters", count(m.Parameters))
			line("type", v.Type)
			line("size", fmt.Sprintf("%d bytes, %s, %.2f bits/weight", v.Bytes, jobs.Size(v.Bytes), v.BitsPerWeight))
			line("memory in use", fmt.Sprintf("%d MiB at a context of 8192 or the model's own", v.VRAMMB))
			line("rmse", rmse(v))
			line("sha256", v.SHA256)
			line("verified", verified(v))
			if m.Commit != nil {
				line("commit", *m.Commit)
			}
			line("job", v.JobID)
			w.Flush()
			if tensors {
				w = tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "\ntensor\ttype\trmse\tmax\tcosine")
				for _, t := range v.Tensors {
					fmt.Fprintf(w, "%s\t%s\t%.3e\t%.3e\t%.6f\n", t.Name, t.Type, t.RMSE, t.Max, t.Cosine)
				}
				w.Flush()
			}
			return nil
		},
	}
	c.Flags().BoolVar(&tensors, "tensors", false, "list every tensor's difference from the source")
	return c
}

func newModelsVerify(a *app) *cobra.Command {
	var mode string
	c := &cobra.Command{
		Use: "verify NAME", Short: "Read a model's files again and compare them with what was registered", Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := newProgress(a, mode)
			if err != nil {
				return err
			}
			list, err := a.service.Verify(c.Context(), args[0], p.Progress)
			p.finish()
			if err != nil {
				return err
			}
			bad := 0
			for _, v := range list {
				if !v.OK {
					bad++
				}
			}
			if a.json {
				if err := a.printJSON(list); err != nil {
					return err
				}
			} else {
				for _, v := range list {
					if v.OK {
						fmt.Fprintf(a.out, "ok      %s\n", relative(v.Path))
					} else {
						fmt.Fprintf(a.out, "failed  %s: %s\n", relative(v.Path), v.Error)
					}
				}
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d files are not what was registered", bad, len(list))
			}
			return nil
		},
	}
	c.Flags().StringVar(&mode, "progress", "auto", "progress: auto, bar, plain or none")
	completeFlags(c, map[string]completer{"progress": completeWords(progressModes...)})
	return c
}

func newModelsDelete(a *app) *cobra.Command {
	var files bool
	c := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Take a model off the list, and delete its files with --files", Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.service.DeleteModel(c.Context(), args[0], files); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"deleted": args[0], "files": files})
			}
			a.note("deleted")
			return nil
		},
	}
	c.Flags().BoolVar(&files, "files", false, "delete the files too; a source is never touched")
	return c
}

func newModelsFits(a *app) *cobra.Command {
	var vram, ram byteSize
	var context int64
	c := &cobra.Command{
		Use: "fits --vram SIZE", Short: "List the files that fit into memory, best first", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if vram == 0 && ram == 0 {
				return &usageError{errors.New("no memory given: pass --vram or --ram, for example --vram 8GiB")}
			}
			list, err := a.service.Recommendations(int64(vram), int64(ram), context)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			if len(list) == 0 {
				a.note("nothing fits")
				return nil
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "model\ttype\tneeds\tcontext\tfits in\tfile")
			for _, r := range list {
				fmt.Fprintf(w, "%s\t%s\t%d MiB\t%d\t%s\t%s\n", r.ID, r.Variant.Type, r.NeedBytes>>20, r.Context, r.Fits, relative(r.Variant.Path))
			}
			return w.Flush()
		},
	}
	c.Flags().Var(&vram, "vram", "memory of the GPU, for example 8GiB")
	c.Flags().Var(&ram, "ram", "memory of the machine")
	c.Flags().Int64Var(&context, "context", 0, "positions of context (default: 8192, or the model's own if that is less)")
	return c
}

func newModelsRate(a *app) *cobra.Command {
	var r jobs.Rating
	c := &cobra.Command{
		Use: "rate NAME --rating N", Short: "Rate a model, with notes", Args: oneName,
		RunE: func(_ *cobra.Command, args []string) error {
			out, err := a.service.Rate(args[0], r)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(out)
			}
			a.note("rated %d", out.Rating)
			return nil
		},
	}
	c.Flags().IntVar(&r.Rating, "rating", 0, "1 to 5")
	c.Flags().StringVar(&r.Variant, "variant", "", "of this type only")
	c.Flags().StringVar(&r.Notes, "notes", "", "what you think")
	c.Flags().StringSliceVar(&r.Tags, "tags", nil, "tags")
	return c
}
