package jobs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
)

// FieldErrors is returned for a request whose fields are wrong; it names each.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	var list []string
	for _, f := range e {
		list = append(list, fmt.Sprintf("%s: %s", strings.Join(f.Loc[1:], "."), f.Message))
	}
	return strings.Join(list, "; ")
}

func (e *FieldErrors) add(field, kind, format string, args ...any) {
	*e = append(*e, FieldError{Loc: append([]string{"body"}, strings.Split(field, ".")...), Message: fmt.Sprintf(format, args...), Type: kind})
}

// The output formats by their names in the contract.
const (
	formatGGUF = "gguf"
	formatGPTQ = "gptq"
	formatAWQ  = "awq"
)

// request checks a Spec and turns it into a Request. Every field that is accepted is honoured; one that can't be is
// refused by name.
func (s *Service) request(spec Spec, needName bool) (*Request, error) {
	var bad FieldErrors
	if needName && strings.TrimSpace(spec.Name) == "" {
		bad.add("name", "value_error", "must not be empty")
	}
	if strings.TrimSpace(spec.SourceModel) == "" {
		bad.add("source_model", "value_error", "must not be empty")
	}
	if len(spec.Formats) == 0 {
		bad.add("output_formats", "value_error", "name at least one of gguf, gptq, awq")
	}
	for _, f := range spec.Formats {
		switch f {
		case formatGGUF:
			if asked, _ := (&Request{Mmproj: spec.Config.Mmproj}).towerRecipes(); len(spec.Types)+len(asked) == 0 {
				bad.add("gguf_quant_types", "value_error", "name at least one type, for example Q4_K_M")
			}
		case formatGPTQ, formatAWQ:
		default:
			bad.add("output_formats", "enum", "%q is none of gguf, gptq, awq", f)
		}
	}
	for _, t := range spec.Types {
		if _, err := quant.ParsePreset(t); err != nil {
			bad.add("gguf_quant_types", "enum", "%v", err)
		}
	}
	switch spec.SourceType {
	case "", string(HuggingFace), string(Local), string(GGUF):
	default:
		bad.add("source_type", "enum", "%q is none of huggingface, local, gguf", spec.SourceType)
	}
	c := spec.Config
	if _, err := (&Request{Mmproj: c.Mmproj}).towerRecipes(); err != nil {
		bad.add("config.mmproj", "enum", "%v; %s", err, HintOf(err))
	}
	if c.UseImatrix && c.ImatrixFile == "" {
		bad.add("config.imatrix_file", "value_error", "use_imatrix needs a file of importance weights")
	}
	for field, set := range map[string]bool{
		"imatrix_dataset": c.ImatrixDataset != "", "calibration_dataset": c.CalibrationDataset != "",
		"desc_act": c.DescAct, "keep_intermediate": c.KeepIntermediate,
		"calibration_samples": c.CalibrationSamples != nil && *c.CalibrationSamples != 128,
		"group_size":          c.GroupSize != nil && *c.GroupSize != 128,
		"damp_percent":        c.DampPercent != nil && *c.DampPercent != 0.01,
	} {
		if set {
			bad.add("config."+field, "value_error", "not available in this version; leave it out")
		}
	}
	if c.Threads < 0 {
		bad.add("config.threads", "value_error", "%d, want 1 or more", c.Threads)
	}
	if c.MaxMemory < 0 {
		bad.add("config.max_memory_bytes", "value_error", "%d, want a positive number of bytes", c.MaxMemory)
	}
	for field, name := range map[string]string{"output_tensor_type": c.OutputType, "token_embedding_type": c.EmbeddingType} {
		if name == "" {
			continue
		}
		if _, err := quant.ParseTensorType(name); err != nil {
			bad.add("config."+field, "enum", "%v", err)
		}
	}
	for i, t := range c.TensorTypes {
		if _, err := quant.ParseOverride(t.Pattern + "=" + t.Type); err != nil {
			bad.add(fmt.Sprintf("config.tensor_types.%d", i), "value_error", "%v", err)
		}
	}
	if len(bad) > 0 {
		slices.SortFunc(bad, func(a, b FieldError) int { return slices.Compare(a.Loc, b.Loc) })
		return nil, bad
	}
	for _, f := range spec.Formats {
		if f != formatGGUF {
			return nil, &UsageError{Err: fmt.Errorf("output format %s is not available in this version", f), hint: "GET /api/v1/quantize/formats lists what is"}
		}
	}
	r := &Request{
		Name: spec.Name, Priority: spec.Priority, Model: strings.TrimSpace(spec.SourceModel), Revision: spec.Revision, Types: spec.Types, Dir: spec.OutputDir,
		Pure: c.Pure, LeaveOutput: c.LeaveOutput, OutputType: c.OutputType, EmbeddingType: c.EmbeddingType, AllowRequantize: c.AllowRequantize,
		Mmproj: c.Mmproj, MergeLora: strings.TrimSpace(c.MergeLora), LoraBase: strings.TrimSpace(c.LoraBase), Force: c.Force, Provenance: c.Provenance, Threads: c.Threads, MaxMemory: c.MaxMemory,
	}
	if spec.Description != nil {
		r.Description = *spec.Description
	}
	if c.VerifyOutput != nil {
		r.NoVerify = !*c.VerifyOutput
	}
	if c.UseImatrix || c.ImatrixFile != "" {
		r.Imatrix = c.ImatrixFile
	}
	for _, t := range c.TensorTypes {
		r.TensorTypes = append(r.TensorTypes, t.Pattern+"="+t.Type)
	}
	s.defaults(r)
	return r, s.allowed(r, Kind(spec.SourceType))
}

// config shows a request's options as the contract does.
func (r *Request) config() Config {
	verify := !r.NoVerify
	c := Config{
		UseImatrix: r.Imatrix != "", ImatrixFile: r.Imatrix, Threads: r.Threads, MaxMemory: r.MaxMemory, VerifyOutput: &verify,
		Pure: r.Pure, LeaveOutput: r.LeaveOutput, OutputType: r.OutputType, EmbeddingType: r.EmbeddingType,
		Mmproj: r.Mmproj, MergeLora: r.MergeLora, LoraBase: r.LoraBase, AllowRequantize: r.AllowRequantize, Force: r.Force, Provenance: r.Provenance,
	}
	for _, t := range r.TensorTypes {
		if i := strings.LastIndex(t, "="); i >= 0 {
			c.TensorTypes = append(c.TensorTypes, TensorRule{t[:i], t[i+1:]})
		}
	}
	return c
}

// defaults fills in what the settings say.
func (s *Service) defaults(r *Request) {
	if r.Dir == "" {
		r.Dir = s.settings.OutputDir
	}
	if r.Threads == 0 {
		r.Threads = s.settings.Threads
	}
	if r.MaxMemory == 0 {
		r.MaxMemory = s.settings.MaxMemory
	}
}

// Formats lists the output formats, those that are not there yet included, marked as such.
func (s *Service) Formats() []FormatInfo {
	var names []string
	for _, p := range quant.Presets() {
		names = append(names, p.Name)
	}
	return []FormatInfo{
		{formatGGUF, "GGUF", "for llama.cpp and all that is built on it", names, true},
		{formatGPTQ, "GPTQ", "for GPU inference; not available in this version", []string{}, false},
		{formatAWQ, "AWQ", "for GPU inference; not available in this version", []string{}, false},
	}
}

// GGUFTypes lists the GGUF file types, biggest first.
func (s *Service) GGUFTypes() []TypeInfo {
	var list []TypeInfo
	for _, p := range quant.Presets() {
		t := TypeInfo{p.Name, p.Name, p.About, p.Bits / 16, p.Bits, p.Quality, nil}
		if p.Deviation >= 0 {
			t.Deviation = &p.Deviation
		}
		list = append(list, t)
	}
	return list
}

// TensorTypes lists the types that a tensor may have.
func (s *Service) TensorTypes() []TensorTypeInfo {
	var list []TensorTypeInfo
	for _, t := range gguf.Types() {
		list = append(list, TensorTypeInfo{t.Name, t.Type.BitsPerWeight(), quant.CanWrite(t.Type)})
	}
	return list
}

// ForbiddenError is returned for a path that the server may not touch.
type ForbiddenError struct {
	Path    string
	Allowed []string
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("%s: outside the allowed folders", e.Path)
}

// Hint says which folders are allowed.
func (e *ForbiddenError) Hint() string {
	return fmt.Sprintf("allowed are %s; serve --allow-path adds one", strings.Join(e.Allowed, ", "))
}

// allowed refuses local paths outside the folders that requests may name, links resolved. Requests of the command line
// don't come through here: who types them may read those files anyway.
func (s *Service) allowed(r *Request, kind Kind) error {
	ref, err := s.resolve(r)
	if err != nil {
		return err
	}
	if kind != "" && kind != kindOf(ref) {
		return usage("source %q is %s, not %s", r.Model, kindOf(ref), kind)
	}
	lora := hf.Ref{}
	if r.MergeLora != "" {
		if lora, err = r.loraRef(); err != nil {
			return err
		}
	}
	of := hf.Ref{}
	if r.LoraBase != "" {
		if of, err = r.baseRef(); err != nil {
			return err
		}
	}
	for _, path := range []string{ref.Path, lora.Path, of.Path, r.Imatrix, r.Dir} {
		if path == "" {
			continue
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if err := s.readable(abs); err != nil {
			return err
		}
	}
	return nil
}
