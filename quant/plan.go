// Package quant makes quantized GGUF files: it plans every output tensor with its type and place before a
// weight is read, then reads each source tensor once and writes it to all outputs.
package quant

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// Plan is everything about a run but the weights: tensors, types, sizes, metadata. Estimates print it,
// Run carries it out, and both therefore agree to the byte.
type Plan struct {
	Model   *Model
	Tensors []Tensor
	Outputs []Output
	imatrix *Imatrix
}

// Tensor is one tensor of all outputs.
type Tensor struct {
	Name        string
	Role        Role
	Shape       []int64   // columns first
	Format      string    // of the source: "BF16", "F8_E4M3", "q8_0"
	Type        gguf.Type // in outputs that don't quantize it
	Elements    int64
	SourceBytes int64

	source  *source
	weights []float32 // importance weights: Shape[0] for each matrix of a stack, or nil
}

// Output is one file to make.
type Output struct {
	Recipe    Recipe
	Types     []gguf.Type // of Plan.Tensors
	Fallbacks []Fallback
	Metadata  gguf.Metadata
	Layout    *gguf.Layout
}

// Bytes is the exact size of the file.
func (o *Output) Bytes() int64 { return o.Layout.Size() }

// FileName is the name of the file for a model of the given name.
func (o *Output) FileName(model string) string {
	return fmt.Sprintf("%s-%s.gguf", model, o.Recipe.Preset.Name)
}

// PlanOptions say what to make of a model.
type PlanOptions struct {
	Recipes   []Recipe
	Imatrix   *Imatrix  // importance weights for all outputs, or nil
	Overrides []gguf.KV // metadata that replaces the model's
}

// NewPlan chooses every type and lays out every file. It fails where a run could only fail later.
func NewPlan(m *Model, o PlanOptions) (*Plan, error) {
	if _, err := kernels.Active(); err != nil {
		return nil, err
	}
	if len(m.tensors) == 0 {
		return nil, fmt.Errorf("model %q: no tensors to quantize", m.Name)
	}
	p := &Plan{Model: m, imatrix: o.Imatrix}
	tensors := make([]shaped, len(m.tensors))
	for i, t := range m.tensors {
		tensors[i] = t.shaped
		p.Tensors = append(p.Tensors, t.tensor())
	}
	base := m.Metadata.Clone()
	for _, key := range []string{"split.no", "split.count", "split.tensors.count"} {
		base.Delete(key)
	}
	effective := base.Clone()
	for _, kv := range o.Overrides {
		effective.Append(kv.Key, kv.Value)
	}
	h := readHparams(&effective)

	for _, r := range o.Recipes {
		out := Output{Recipe: r}
		var err error
		if out.Types, out.Fallbacks, err = r.assign(h, tensors, !o.Imatrix.Empty()); err != nil {
			return nil, err
		}
		// llama-quantize sets these last, in this order, so they move to the end
		out.Metadata = base.Clone()
		out.Metadata.Append("general.quantization_version", uint32(quantizationVersion))
		out.Metadata.Append("general.file_type", uint32(r.fileType(tensors, out.Types)))
		for _, kv := range o.Overrides {
			out.Metadata.Append(kv.Key, kv.Value)
		}
		for _, kv := range o.Imatrix.KVs() {
			out.Metadata.Append(kv.Key, kv.Value)
		}
		infos := make([]gguf.TensorInfo, len(p.Tensors))
		for i, t := range p.Tensors {
			infos[i] = gguf.TensorInfo{Name: t.Name, Shape: t.Shape, Type: out.Types[i]}
			if err := t.feasible(out.Types[i]); err != nil {
				return nil, err
			}
		}
		if out.Layout, err = gguf.NewLayout(&out.Metadata, infos); err != nil {
			return nil, err
		}
		p.Outputs = append(p.Outputs, out)
	}
	return p, p.weigh(o.Imatrix)
}

// weigh gives the tensors that are converted their importance weights.
func (p *Plan) weigh(m *Imatrix) error {
	for i := range p.Tensors {
		t := &p.Tensors[i]
		for j := range p.Outputs {
			if p.Outputs[j].Types[i] == t.Type {
				continue
			}
			weights, err := m.For(t.Name, t.Shape)
			if err != nil {
				return err
			}
			t.weights = weights
			break
		}
	}
	return nil
}

// quantizationVersion is GGML_QNT_VERSION: the generation of block formats that a file holds.
const quantizationVersion = 2

// feasible tells why the tensor can't be written as typ, before a weight is read.
func (t *Tensor) feasible(typ gguf.Type) error {
	if t.copied(typ) {
		return nil
	}
	if t.source.decode == nil {
		return fmt.Errorf("tensor %q: %s can't be read to make it %s", t.Name, t.Format, typ)
	}
	if !CanWrite(typ) {
		return fmt.Errorf("tensor %q: type %s can't be written", t.Name, typ)
	}
	return nil
}

// CanWrite tells whether a tensor can be given type t.
func CanWrite(t gguf.Type) bool { return kernels.CanQuantize(t) }

// copied tells whether an output of type typ takes the stored bytes as they are.
func (t *Tensor) copied(typ gguf.Type) bool { return t.source.direct && t.source.typ == typ }

// WeightBytes is the part of the output that holds tensors, without padding and metadata.
func (p *Plan) WeightBytes(o *Output) int64 {
	var n int64
	for i, t := range p.Tensors {
		size, _ := gguf.TensorSize(o.Types[i], t.Shape)
		n += size
	}
	return n
}

// BitsPerWeight is the storage of the output's tensors per weight.
func (p *Plan) BitsPerWeight(o *Output) float64 {
	n := p.Model.Parameters()
	if n == 0 {
		return math.NaN()
	}
	return 8 * float64(p.WeightBytes(o)) / float64(n)
}

// OutputBytes is what all outputs take together.
func (p *Plan) OutputBytes() int64 {
	var n int64
	for i := range p.Outputs {
		n += p.Outputs[i].Bytes()
	}
	return n
}

// Unmatched lists the overrides that fit no tensor of the model; all outputs have the same.
func (p *Plan) Unmatched() []Override {
	var list []Override
	for _, o := range p.Outputs[0].Recipe.Overrides {
		if !slices.ContainsFunc(p.Tensors, func(t Tensor) bool { return o.Pattern.MatchString(t.Name) }) {
			list = append(list, o)
		}
	}
	return list
}

// Unweighted counts the tensors that are quantized without importance weights although others have them. The
// embedding and the output are not counted: few importance matrices have anything for them.
func (p *Plan) Unweighted() int {
	if p.imatrix.Empty() {
		return 0
	}
	n := 0
	for i, t := range p.Tensors {
		if t.weights != nil || t.Role == RoleTokenEmbedding || t.Role == RoleOutput {
			continue
		}
		for j := range p.Outputs {
			if typ := p.Outputs[j].Types[i]; typ.Quantized() && kernels.UsesWeights(typ) {
				n++
				break
			}
		}
	}
	return n
}

// Made tells whether the file at path is output i already, as far as its size and its header say: names, types, shapes
// and all metadata. A run that was killed between giving a file its name and saying so leaves such a file.
func (p *Plan) Made(i int, path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	l := p.Outputs[i].Layout
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != l.Size() {
		return false
	}
	header := make([]byte, len(l.Header()))
	_, err = io.ReadFull(f, header)
	return err == nil && bytes.Equal(header, l.Header())
}

// Without is the plan less the outputs that drop says.
func (p *Plan) Without(drop func(i int) bool) *Plan {
	less := *p
	less.Outputs = nil
	for i, o := range p.Outputs {
		if !drop(i) {
			less.Outputs = append(less.Outputs, o)
		}
	}
	return &less
}

// Overall joins the comparisons of an output's tensors with their sources, weight by weight, over those that were
// quantized.
func (p *Plan) Overall(list []*Fidelity) Fidelity {
	whole, weights, cosine := Fidelity{Cosine: 1}, 0.0, 0.0
	square := 0.0
	for i, f := range list {
		if f == nil || f.RMSE == 0 {
			continue
		}
		n := float64(p.Tensors[i].Elements)
		weights += n
		square += f.RMSE * f.RMSE * n
		cosine += f.Cosine * n
		whole.Max = max(whole.Max, f.Max)
	}
	if weights > 0 {
		whole.RMSE, whole.Cosine = math.Sqrt(square/weights), cosine/weights
	}
	return whole
}
