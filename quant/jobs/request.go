// Package jobs is the service layer: what the command line, the terminal wizard, the HTTP API and the page all
// call. It takes a request as a user states it and answers with records that print as text or JSON.
package jobs

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/quant"
)

// Request asks for quantized files of a model, in a user's words. Paths are relative to Base.
type Request struct {
	Name            string // of the job; "" for one made of the model and the types
	Description     string
	Priority        int
	Base            string   // folder that paths are relative to; "" is the working directory
	Model           string   // Hub id, folder or GGUF file
	Revision        string   // of a Hub model; overrides the one in Model
	MergeLora       string   `json:",omitempty"` // LoRA adapter to add to the weights: Hub id or folder
	LoraBase        string   `json:",omitempty"` // Model is a LoRA adapter for this Hub id or folder, and the output its file
	Types           []string // file types: "Q4_K_M"
	Mmproj          string   `json:",omitempty"` // file types of what sees or hears, by commas; "" for F16 where there is such a thing, "none"
	Dir             string   // for the outputs; "" is the working directory
	Pure            bool
	LeaveOutput     bool
	OutputType      string   // tensor type of output.weight
	EmbeddingType   string   // tensor type of token_embd.weight
	TensorTypes     []string // REGEX=TYPE
	OverrideKV      []string // KEY=TYPE:VALUE
	Imatrix         string   // file of importance weights
	IncludeWeights  []string // tensors that the importance weights are used for; all if empty
	ExcludeWeights  []string // tensors that they are not used for
	PreTokenizer    string   // llama.cpp's name, where the model's own is not recognised
	AllowRequantize bool
	KeepNonFinite   bool
	Force           bool
	NoVerify        bool
	Provenance      bool  // write a statement of origin beside each output
	Threads         int   // 0: all cores
	MaxMemory       int64 // bytes; 0: quant.DefaultMaxMemory
}

// MemoryLimit is what the job may take, in bytes.
func (r *Request) MemoryLimit() int64 {
	if r.MaxMemory > 0 {
		return r.MaxMemory
	}
	return quant.DefaultMaxMemory
}

// path makes a path of the request absolute.
func (r *Request) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	base := r.Base
	if base == "" {
		base = "."
	}
	abs, err := filepath.Abs(filepath.Join(base, p))
	if err != nil {
		return p
	}
	return abs
}

// UsageError is returned for a request that is wrong in itself, whatever the model.
type UsageError struct {
	Err  error
	hint string
}

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Hint says what to pass instead, or nothing.
func (e *UsageError) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	if h, ok := e.Err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return ""
}

func usage(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}

// planOptions checks all that can be checked without the model.
func (r *Request) planOptions() (quant.PlanOptions, error) {
	var o quant.PlanOptions
	if strings.TrimSpace(r.Model) == "" {
		return o, &UsageError{Err: fmt.Errorf("no model given"), hint: "name a Hub id, a folder or a .gguf file, for example: nexus-quant quantize org/name --types Q4_K_M"}
	}
	if err := r.forAdapter(); err != nil {
		return o, err
	}
	if r.Threads < 0 {
		return o, usage("threads: %d, want 1 or more", r.Threads)
	}
	if r.MaxMemory < 0 {
		return o, usage("max memory: %d bytes, want a positive amount", r.MaxMemory)
	}
	if len(r.IncludeWeights) > 0 && len(r.ExcludeWeights) > 0 {
		return o, usage("include-weights and exclude-weights can't be used together")
	}
	if r.Imatrix == "" && len(r.IncludeWeights)+len(r.ExcludeWeights) > 0 {
		return o, &UsageError{Err: fmt.Errorf("include-weights and exclude-weights choose from an importance matrix, and there is none"), hint: "pass --imatrix FILE"}
	}
	base := quant.Recipe{Pure: r.Pure, LeaveOutput: r.LeaveOutput, AllowRequantize: r.AllowRequantize}
	var err error
	if base.OutputType, err = tensorType("output tensor type", r.OutputType); err != nil {
		return o, err
	}
	if base.EmbeddingType, err = tensorType("token embedding type", r.EmbeddingType); err != nil {
		return o, err
	}
	for _, s := range r.TensorTypes {
		ov, err := quant.ParseOverride(s)
		if err != nil {
			return o, &UsageError{Err: err}
		}
		base.Overrides = append(base.Overrides, ov)
	}
	for _, s := range r.OverrideKV {
		kv, err := parseOverrideKV(s)
		if err != nil {
			return o, &UsageError{Err: err, hint: "want KEY=int:N, KEY=float:X, KEY=bool:true or KEY=str:TEXT"}
		}
		o.Overrides = append(o.Overrides, kv)
	}
	if o.Recipes, err = r.recipes(base); err != nil {
		return o, err
	}
	towers, err := r.towerRecipes()
	if err != nil {
		return o, err
	}
	o.Recipes = append(o.Recipes, towers...)
	if len(o.Recipes) == 0 {
		return o, &UsageError{Err: fmt.Errorf("no types given"), hint: "pass --types Q4_K_M,Q5_K_M; nexus-quant types lists them all"}
	}
	if r.Imatrix != "" {
		if o.Imatrix, err = quant.ReadImatrix(r.path(r.Imatrix)); err != nil {
			return o, err
		}
		o.Imatrix.File = r.Imatrix // goes into the metadata as it was typed, as llama-quantize does
		o.Imatrix.Filter(r.IncludeWeights, r.ExcludeWeights)
	}
	return o, nil
}

// recipes turns the names of types into recipes; a name given twice counts once.
func (r *Request) recipes(base quant.Recipe) ([]quant.Recipe, error) {
	var list []quant.Recipe
	for _, names := range r.Types {
		for _, name := range strings.Split(names, ",") {
			if strings.TrimSpace(name) == "" {
				continue
			}
			preset, err := quant.ParsePreset(name)
			if err != nil {
				return nil, &UsageError{Err: err}
			}
			if slices.ContainsFunc(list, func(r quant.Recipe) bool { return r.Preset.FileType == preset.FileType }) {
				continue
			}
			recipe := base
			recipe.Preset, recipe.Adapter = preset, r.LoraBase != ""
			list = append(list, recipe)
		}
	}
	return list, nil
}

func tensorType(what, name string) (*gguf.Type, error) {
	if name == "" {
		return nil, nil
	}
	t, err := quant.ParseTensorType(name)
	if err != nil {
		return nil, &UsageError{Err: fmt.Errorf("%s: %w", what, err)}
	}
	return &t, nil
}

// parseOverrideKV reads KEY=TYPE:VALUE as llama-quantize does; integers are stored as uint32, as there.
func parseOverrideKV(s string) (gguf.KV, error) {
	fail := func(format string, args ...any) (gguf.KV, error) {
		return gguf.KV{}, fmt.Errorf("metadata override %q: %s", s, fmt.Sprintf(format, args...))
	}
	key, rest, ok := strings.Cut(s, "=")
	kind, value, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || key == "" {
		return fail("not of the form KEY=TYPE:VALUE")
	}
	if len(key) > 127 {
		return fail("key of %d bytes, at most 127", len(key))
	}
	if key == "general.architecture" || key == "general.alignment" {
		return fail("%s can't be changed", key)
	}
	switch kind {
	case "int":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > math.MaxUint32 || n < -math.MaxUint32 {
			return fail("%q is no integer of 32 bits", value)
		}
		return gguf.KV{Key: key, Value: uint32(max(n, -n))}, nil
	case "float":
		x, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fail("%q is no number", value)
		}
		return gguf.KV{Key: key, Value: float32(x)}, nil
	case "bool":
		if value != "true" && value != "false" {
			return fail("%q is neither true nor false", value)
		}
		return gguf.KV{Key: key, Value: value == "true"}, nil
	case "str":
		if len(value) > 127 {
			return fail("text of %d bytes, at most 127", len(value))
		}
		return gguf.KV{Key: key, Value: value}, nil
	}
	return fail("type %q", kind)
}
