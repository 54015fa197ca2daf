package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// addRecipeFlags adds what quantize and estimate share: all that decides sizes.
func addRecipeFlags(c *cobra.Command, r *jobs.Request) {
	f := c.Flags()
	f.SortFlags = false
	f.StringSliceVarP(&r.Types, "types", "t", nil, "file types to make, for example Q4_K_M,Q5_K_M")
	f.StringVarP(&r.Dir, "output", "o", "", "folder for the outputs (default: the working directory)")
	f.StringVar(&r.Revision, "revision", "", "branch, tag or commit of a Hub model (default: main)")
	f.StringVar(&r.Mmproj, "mmproj", "", "`type` of the mmproj file, which holds what a model sees or hears with: F16, BF16, F32, Q8_0 or none\n(default: F16 where the model has such a thing)")
	f.StringVar(&r.MergeLora, "merge-lora", "", "LoRA `adapter` to add to the weights: a Hub id, or a folder with adapter_model.safetensors\nand adapter_config.json")
	f.StringVar(&r.LoraBase, "base", "", "make the file of a LoRA adapter, which MODEL is then: the `model` that it belongs to, a Hub id or a folder,\nof which no weights are read; types F32, F16, BF16 and Q8_0")
	f.BoolVar(&r.Pure, "pure", false, "give every tensor the same type, without the file type's mix")
	f.BoolVar(&r.LeaveOutput, "leave-output-tensor", false, "keep output.weight as it is")
	f.StringVar(&r.OutputType, "output-tensor-type", "", "tensor `type` of output.weight")
	f.StringVar(&r.EmbeddingType, "token-embedding-type", "", "tensor `type` of token_embd.weight")
	f.StringArrayVar(&r.TensorTypes, "tensor-type", nil, "`REGEX=TYPE` for the tensors that match; repeatable, the first match wins")
	f.StringArrayVar(&r.OverrideKV, "override-kv", nil, "`KEY=TYPE:VALUE` to change metadata; TYPE is int, float, bool or str; repeatable")
	f.StringVar(&r.Imatrix, "imatrix", "", "`file` of importance weights (GGUF or .dat of llama-imatrix)")
	f.StringSliceVar(&r.IncludeWeights, "include-weights", nil, "use the importance weights for these `tensors` only")
	f.StringSliceVar(&r.ExcludeWeights, "exclude-weights", nil, "don't use the importance weights for these `tensors`")
	f.BoolVar(&r.AllowRequantize, "allow-requantize", false, "quantize tensors that are quantized already")
	f.StringVar(&r.PreTokenizer, "pre", "", "llama.cpp's `name` of the pre-tokenizer, where it is not recognised")
	f.BoolVar(&r.Force, "force", false, "replace outputs that exist")
	f.IntVar(&r.Threads, "threads", 0, "threads (default: all cores); the outputs don't depend on it")
	f.Var((*byteSize)(&r.MaxMemory), "max-memory", "memory to use at most, for example 512MiB (default 1GiB)")
	completeFlags(c, map[string]completer{
		"types": completeTypes, "tensor-type": completeTensorRule, "output-tensor-type": completeWords(jobs.TensorTypes()...),
		"token-embedding-type": completeWords(jobs.TensorTypes()...), "mmproj": completeWords("F16", "BF16", "F32", "Q8_0", "none"),
		"pre": completeWords(jobs.PreTokenizers()...),
	})
}

func newQuantize(a *app) *cobra.Command {
	var r jobs.Request
	var progressMode, nonFinite string
	var dryRun, detach bool
	c := &cobra.Command{
		Use:   "quantize MODEL --types TYPE[,TYPE...]",
		Short: "Make quantized GGUF files of a model",
		Long: `Make quantized GGUF files of a model, all types in one pass over its weights.

MODEL is a Hub id (org/name, org/name@revision, hf://org/name@commit), a folder in
Hugging Face layout, or a .gguf file (of a split model, any shard).

A LoRA adapter is merged with --merge-lora; with --base MODEL is the adapter itself, and
a GGUF file of it is made for llama.cpp's --lora.

The outputs are named NAME-TYPE.gguf, and mmproj-NAME-F16.gguf what a model sees or
hears with, which llama.cpp's programs take as --mmproj. They are written under a .partial name, synced,
read back and checked, and renamed at the end. An existing file is never replaced
without --force.`,
		Example: `  nexus-quant quantize meta-llama/Llama-2-7b-hf --types Q4_K_M,Q5_K_M
  nexus-quant quantize ./my-model -t Q4_K_M -o out --imatrix imatrix.gguf
  nexus-quant quantize ./my-model -t Q4_K_M --merge-lora me/my-adapter
  nexus-quant quantize me/my-adapter --base meta-llama/Llama-2-7b-hf -t F16
  nexus-quant quantize model-BF16.gguf -t Q6_K --tensor-type 'attn_v=q8_0'`,
		Args: oneModel,
		RunE: func(c *cobra.Command, args []string) error {
			r.Model = args[0]
			if dryRun {
				return runEstimate(c, a, &r, false)
			}
			if err := setNonFinite(&r, nonFinite); err != nil {
				return err
			}
			if detach {
				return runDetached(c, a, &r)
			}
			return runQuantize(c, a, &r, progressMode)
		},
	}
	addRecipeFlags(c, &r)
	f := c.Flags()
	f.StringVar(&nonFinite, "non-finite", "refuse", "weights that are NaN or infinite: refuse or keep")
	f.BoolVar(&r.NoVerify, "no-verify", false, "don't read the outputs back")
	f.StringVar(&r.Name, "name", "", "name of the job")
	f.IntVar(&r.Priority, "priority", 0, "jobs of a higher priority are started first")
	f.BoolVar(&r.Provenance, "provenance", false, "write a statement of origin beside each output (in-toto)")
	f.BoolVar(&detach, "detach", false, "leave the job to a running nexus-quant serve")
	f.BoolVar(&dryRun, "dry-run", false, "only say what would be made: the same as nexus-quant estimate")
	f.StringVar(&progressMode, "progress", "auto", "progress: auto, bar, plain or none")
	completeFlags(c, map[string]completer{"progress": completeWords(progressModes...)})
	return c
}

func setNonFinite(r *jobs.Request, policy string) error {
	switch policy {
	case "refuse":
	case "keep":
		r.KeepNonFinite = true
	default:
		return &usageError{fmt.Errorf("non-finite %q: want refuse or keep", policy)}
	}
	return nil
}

func runQuantize(c *cobra.Command, a *app, r *jobs.Request, mode string) error {
	p, err := newProgress(a, mode)
	if err != nil {
		return err
	}
	// makes the collector keep to the budget too: the buffers are accounted for, garbage is not
	debug.SetMemoryLimit(r.MemoryLimit())

	return a.report(p, func() (*jobs.Result, error) { return a.service.Quantize(c.Context(), r, p) })
}

// report runs a job in the foreground and prints what it made.
func (a *app) report(p *progress, run func() (*jobs.Result, error)) error {
	start := time.Now()
	result, err := run()
	p.finish()
	if err != nil && (result == nil || !made(result)) {
		return err
	}
	if a.json {
		return errors.Join(a.printJSON(struct {
			Type string `json:"type"`
			*jobs.Result
			Seconds float64 `json:"seconds"`
		}{"result", result, time.Since(start).Seconds()}), err)
	}
	for _, o := range result.Outputs {
		if o.Error == "" {
			fmt.Fprintln(a.out, relative(o.Path))
		}
	}
	width := 7
	for _, o := range result.Outputs {
		width = max(width, len(o.Type))
	}
	for _, o := range result.Outputs {
		if o.Error != "" {
			a.note("%-*s failed: %s", width, o.Type, o.Error)
			continue
		}
		line := fmt.Sprintf("%-*s %10s  %5.2f bits/weight", width, o.Type, jobs.Size(o.Bytes), o.BitsPerWeight)
		if o.RMSE > 0 {
			line += fmt.Sprintf("  rmse %.2e", o.RMSE)
		}
		if o.SHA256 != "" {
			line += "  sha256 " + o.SHA256
		}
		a.note("%s", line)
	}
	if err == nil {
		a.note("done in %s", time.Since(start).Round(10*time.Millisecond))
	}
	return err
}

// relative shortens a path below the working directory.
func relative(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// made tells whether there is any output.
func made(r *jobs.Result) bool {
	return slices.ContainsFunc(r.Outputs, func(o jobs.OutputResult) bool { return o.Error == "" })
}

// byteSize is a flag that reads "512MiB", "2GB" or plain bytes.
type byteSize int64

var _ pflag.Value = (*byteSize)(nil)

func (b *byteSize) Type() string { return "size" }

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return fmt.Sprint(int64(*b))
}

func (b *byteSize) Set(s string) error {
	n, err := jobs.ParseSize(s)
	if err != nil {
		return err
	}
	*b = byteSize(n)
	return nil
}
