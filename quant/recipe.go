package quant

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Recipe says how an output's types are chosen. The zero value of all but Preset is llama-quantize's default.
type Recipe struct {
	Preset          Preset
	Adapter         bool       // the file of an adapter
	Tower           bool       // the file of what sees or hears, not the text model's; what follows is not for it
	Pure            bool       // every tensor gets the preset's base type, no mix
	LeaveOutput     bool       // output.weight keeps its type
	OutputType      *gguf.Type // of output.weight, nil for the preset's choice
	EmbeddingType   *gguf.Type // of token_embd.weight, nil for the preset's choice
	Overrides       []Override // first match wins
	AllowRequantize bool       // tensors that are quantized already may be quantized again
}

// Override gives the tensors whose name matches a type of their own.
type Override struct {
	Pattern *regexp.Regexp
	Type    gguf.Type
}

// ParseOverride reads REGEX=TYPE. The expression is searched for in the name, in lower case, as llama-quantize
// does; it is of Go's syntax (RE2), which has no back references.
func ParseOverride(s string) (Override, error) {
	pattern, typ, ok := cutLast(s, "=")
	if !ok || pattern == "" || typ == "" {
		return Override{}, fmt.Errorf("tensor type %q: want REGEX=TYPE, for example attn_v=q8_0", s)
	}
	re, err := regexp.Compile(strings.ToLower(pattern))
	if err != nil {
		return Override{}, fmt.Errorf("tensor type %q: %w", s, err)
	}
	t, err := ParseTensorType(typ)
	if err != nil {
		return Override{}, fmt.Errorf("tensor type %q: %w", s, err)
	}
	return Override{re, t}, nil
}

// ParseTensorType reads the name of a type that a tensor can be given.
//
// Errors: *gguf.UnknownNameError, with the nearest name that is one; *UnwritableError.
func ParseTensorType(name string) (gguf.Type, error) {
	t, err := gguf.ParseType(name)
	switch {
	case err != nil:
		return 0, &gguf.UnknownNameError{Kind: "tensor type", Name: name, Suggestion: gguf.Nearest(name, WritableTypes())}
	case !CanWrite(t):
		return 0, &UnwritableError{t}
	}
	return t, nil
}

// WritableTypes are the names of the types that a tensor can be given.
func WritableTypes() []string {
	var list []string
	for _, info := range gguf.Types() {
		if CanWrite(info.Type) {
			list = append(list, info.Name)
		}
	}
	return list
}

// UnwritableError is returned for a type that tensors can have, but can't be given here.
type UnwritableError struct{ Type gguf.Type }

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("tensor type %s can't be written", e.Type)
}

// Hint says which can.
func (e *UnwritableError) Hint() string { return "tensor types: " + strings.Join(WritableTypes(), " ") }

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Fallback is a tensor that gets another type than its recipe wants because its rows don't fit the blocks.
type Fallback struct {
	Tensor  string
	Columns int64
	Want    gguf.Type
	Got     gguf.Type
	Extra   int64 // bytes that it takes more than the wanted type would, by bits per weight
}

func fallenBack(t shaped, want, got gguf.Type) Fallback {
	n, _ := gguf.Elements(t.shape)
	return Fallback{Tensor: t.name, Columns: t.shape[0], Want: want, Got: got, Extra: int64(float64(n) * (got.BitsPerWeight() - want.BitsPerWeight()) / 8)}
}

// shape is what a recipe needs to know of a tensor.
type shaped struct {
	name  string
	shape []int64
	typ   gguf.Type // as stored in the source; what it keeps when it is not quantized
	// published tells that it is quantized in a checkpoint: an F32, F16 or BF16 file keeps it, as llama.cpp's converter
	// does, unless requantizing is allowed. Of a GGUF file llama-quantize refuses to make such files.
	published bool
}

// Name tells the outputs of one model apart.
func (r *Recipe) Name() string {
	if r.Tower {
		return towerPrefix + r.Preset.Name
	}
	if r.Adapter {
		return adapterPrefix + r.Preset.Name
	}
	return r.Preset.Name
}

// assign chooses the type of each tensor; they must be in file order (byLayer).
func (r *Recipe) assign(h hparams, tensors []modelTensor, hasImatrix bool) ([]gguf.Type, []Fallback, error) {
	names := make([]string, len(tensors))
	for i, t := range tensors {
		names[i] = t.name
	}
	m := newMix(h, r.Preset.FileType, names)
	m.hasImatrix, m.outputType = hasImatrix, r.OutputType

	chosen := make([]gguf.Type, len(tensors))
	var fallbacks []Fallback
	for i, t := range tensors {
		want, err := r.choose(m, t.shaped)
		if err != nil {
			return nil, nil, err
		}
		got := want
		if want != t.typ {
			got = fallback(t.shape[0], want)
		}
		if got != want {
			fallbacks = append(fallbacks, fallenBack(t.shaped, want, got))
		}
		if got != t.typ && t.typ.Quantized() && !r.AllowRequantize {
			return nil, nil, &RequantizeError{Tensor: t.name, From: t.typ, To: got}
		}
		if got != t.typ && needsImatrix(t.name, got, r.Preset.FileType) && !hasImatrix {
			return nil, nil, &ImatrixError{Preset: r.Preset.Name, Tensor: t.name, Type: got}
		}
		chosen[i] = got
	}
	return chosen, fallbacks, nil
}

// choose returns the type that the recipe wants for a tensor, whatever its width
// (llama_tensor_get_type in llama-quant.cpp).
func (r *Recipe) choose(m *mix, t shaped) (gguf.Type, error) {
	if !quantizable(t.name, t.shape, r.LeaveOutput) {
		return t.typ, nil
	}
	role := RoleOf(t.name)
	override := r.override(t.name)
	if r.EmbeddingType != nil && role == RoleTokenEmbedding {
		// the per-layer table is a big tensor of its own, so a pattern that names it wins
		if t.name != "per_layer_token_embd.weight" || override == nil {
			return *r.EmbeddingType, nil
		}
	}
	if r.OutputType != nil && role == RoleOutput {
		return *r.OutputType, nil
	}
	base := r.Preset.Base
	switch {
	case !base.Quantized() && t.published && !r.AllowRequantize:
		return t.typ, nil
	case !base.Quantized():
		return base, nil
	case override != nil:
		return *override, nil
	case r.Pure:
		return base, nil
	}
	return m.choose(t.name, t.shape, base)
}

func (r *Recipe) override(name string) *gguf.Type {
	for i := range r.Overrides {
		if r.Overrides[i].Pattern.MatchString(name) {
			return &r.Overrides[i].Type
		}
	}
	return nil
}

// fallback replaces a type whose blocks don't divide a row of cols values by one that does
// (tensor_type_fallback in llama-quant.cpp). llama.cpp aborts on the types that --output-tensor-type and
// --token-embedding-type name if they don't fit; here they fall back like any other.
func fallback(cols int64, want gguf.Type) gguf.Type {
	if cols%want.BlockLen() == 0 {
		return want
	}
	got := want
	switch want {
	case gguf.Q2K, gguf.Q3K:
		got = gguf.Q4_0
	case gguf.Q4K:
		got = gguf.Q5_0
	case gguf.Q5K:
		got = gguf.Q5_1
	case gguf.Q6K:
		got = gguf.Q8_0
	}
	if cols%got.BlockLen() != 0 {
		got = gguf.F16
	}
	return got
}

// fileType is the number that the output's metadata names: llama.cpp's converter calls a file whose experts are still in
// MXFP4 by that.
func (r *Recipe) fileType(tensors []modelTensor, types []gguf.Type) gguf.FileType {
	if !r.Preset.Base.Quantized() {
		for i, t := range tensors {
			if t.published && types[i] == gguf.MXFP4 {
				return gguf.FileMXFP4MoE
			}
		}
	}
	return r.Preset.FileType
}

// needsImatrix tells which tensors llama.cpp refuses to quantize without importance weights
// (tensor_requires_imatrix), of the types that can be made here.
func needsImatrix(name string, t gguf.Type, file gguf.FileType) bool {
	if role := RoleOf(name); role == RoleTokenEmbedding || role == RoleOutput {
		return false
	}
	return t == gguf.Q2K && file == gguf.FileQ2KS
}

// RequantizeError is returned when a tensor is quantized already and would have to be quantized again.
type RequantizeError struct {
	Tensor   string
	From, To gguf.Type
}

func (e *RequantizeError) Error() string {
	return fmt.Sprintf("tensor %q: it is %s already, making it %s loses quality twice", e.Tensor, e.From, e.To)
}

// Hint says what to do instead.
func (e *RequantizeError) Hint() string {
	if e.From == gguf.MXFP4 {
		return "make MXFP4_MOE, which keeps it as it is, or pass --allow-requantize"
	}
	return "quantize the F32, F16 or BF16 original, or pass --allow-requantize"
}

// ImatrixError is returned when a preset is worthless without an importance matrix and there is none.
type ImatrixError struct {
	Preset string
	Tensor string
	Type   gguf.Type
}

func (e *ImatrixError) Error() string {
	return fmt.Sprintf("type %s: tensor %q as %s needs an importance matrix", e.Preset, e.Tensor, e.Type)
}

// Hint says what to do instead.
func (e *ImatrixError) Hint() string {
	return "pass --imatrix FILE, or choose a type that needs none, for example Q2_K"
}
