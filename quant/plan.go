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

// Tensor is one tensor of the outputs.
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
	First     int         // of Plan.Tensors: the first one that the file holds
	Types     []gguf.Type // of Plan.Tensors from First on, as many as the file holds
	Fallbacks []Fallback
	Metadata  gguf.Metadata
	Layout    *gguf.Layout
}

// Bytes is the exact size of the file.
func (o *Output) Bytes() int64 { return o.Layout.Size() }

// FileName is the name of the file for a model of the given name.
func (o *Output) FileName(model string) string {
	name := fmt.Sprintf("%s-%s.gguf", model, o.Recipe.Preset.Name)
	if o.Recipe.Tower {
		name = towerPrefix + name
	}
	return name
}

// Type is the type that tensor i of the plan has in the file, and false if the file does not hold it.
func (o *Output) Type(i int) (gguf.Type, bool) {
	if i -= o.First; i < 0 || i >= len(o.Types) {
		return 0, false
	}
	return o.Types[i], true
}

// tensors are those of the plan that output i holds.
func (p *Plan) tensors(i int) []Tensor {
	o := &p.Outputs[i]
	return p.Tensors[o.First : o.First+len(o.Types)]
}

// PlanOptions say what to make of a model.
type PlanOptions struct {
	Recipes   []Recipe
	Imatrix   *Imatrix  // importance weights for all outputs, or nil
	Overrides []gguf.KV // metadata that replaces the text model's
}

// NewPlan chooses every type and lays out every file. It fails where a run could only fail later.
func NewPlan(m *Model, o PlanOptions) (*Plan, error) {
	if _, err := kernels.Active(); err != nil {
		return nil, err
	}
	p := &Plan{Model: m, imatrix: o.Imatrix}
	var text, tower []Recipe
	for _, r := range o.Recipes {
		if r.Tower {
			tower = append(tower, r)
		} else {
			text = append(text, r)
		}
	}
	if len(text) > 0 {
		if err := p.add(m, text, o); err != nil {
			return nil, err
		}
	}
	if len(tower) > 0 {
		if m.Tower == nil {
			return nil, m.noTower()
		}
		if err := p.add(m.Tower, tower, PlanOptions{}); err != nil {
			return nil, err
		}
	}
	return p, p.weigh(o.Imatrix)
}

// add plans the files of one kind, which hold the tensors of m.
func (p *Plan) add(m *Model, recipes []Recipe, o PlanOptions) error {
	if len(m.tensors) == 0 {
		return fmt.Errorf("model %q: no tensors to quantize", m.Name)
	}
	first := len(p.Tensors)
	for _, t := range m.tensors {
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

	for _, r := range recipes {
		r.Adapter = m.adapter
		out := Output{Recipe: r, First: first, Metadata: base.Clone()}
		var err error
		if r.Tower || m.adapter {
			if _, err := converterPreset(r.Preset.Name, m.adapter); err != nil {
				return err
			}
			out.Types, out.Fallbacks = r.assignTower(m.tensors)
			if r.Tower { // llama.cpp's converter gives the type a place of its own, and none in an adapter
				out.Metadata.Set("general.file_type", uint32(r.Preset.FileType))
			}
			out.Metadata.Append("general.quantization_version", uint32(quantizationVersion))
		} else {
			if out.Types, out.Fallbacks, err = r.assign(h, m.tensors, !o.Imatrix.Empty()); err != nil {
				return err
			}
			// llama-quantize sets these last, in this order, so they move to the end
			out.Metadata.Append("general.quantization_version", uint32(quantizationVersion))
			out.Metadata.Append("general.file_type", uint32(r.fileType(m.tensors, out.Types)))
		}
		for _, kv := range o.Overrides {
			out.Metadata.Append(kv.Key, kv.Value)
		}
		for _, kv := range o.Imatrix.KVs() {
			out.Metadata.Append(kv.Key, kv.Value)
		}
		infos := make([]gguf.TensorInfo, len(m.tensors))
		for i, t := range p.Tensors[first:] {
			infos[i] = gguf.TensorInfo{Name: t.Name, Shape: t.Shape, Type: out.Types[i], Ones: r.Tower || m.adapter}
			if err := t.feasible(out.Types[i]); err != nil {
				return err
			}
		}
		if out.Layout, err = gguf.NewLayout(&out.Metadata, infos); err != nil {
			return err
		}
		p.Outputs = append(p.Outputs, out)
	}
	return nil
}

// weigh gives the tensors that are converted their importance weights.
func (p *Plan) weigh(m *Imatrix) error {
	for i := range p.Tensors {
		t := &p.Tensors[i]
		for j := range p.Outputs {
			if typ, ok := p.Outputs[j].Type(i); !ok || typ == t.Type || p.Outputs[j].Recipe.Tower {
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
	for i, typ := range o.Types {
		size, _ := gguf.TensorSize(typ, p.Tensors[o.First+i].Shape)
		n += size
	}
	return n
}

// BitsPerWeight is the storage of the output's tensors per weight.
func (p *Plan) BitsPerWeight(o *Output) float64 {
	n := int64(0)
	for _, t := range p.Tensors[o.First : o.First+len(o.Types)] {
		n += t.Elements
	}
	if n == 0 {
		return math.NaN()
	}
	return 8 * float64(p.WeightBytes(o)) / float64(n)
}

// SourceBytes is what the tensors of all outputs take in the source.
func (p *Plan) SourceBytes() int64 {
	var n int64
	for i := range p.Tensors {
		n += p.Tensors[i].SourceBytes
	}
	return n
}

// OutputBytes is what all outputs take together.
func (p *Plan) OutputBytes() int64 {
	var n int64
	for i := range p.Outputs {
		n += p.Outputs[i].Bytes()
	}
	return n
}

// Unmatched lists the overrides that fit no tensor of the model; all outputs have the same. A plan of a job whose files
// are all there has no outputs.
func (p *Plan) Unmatched() []Override {
	var list []Override
	if len(p.Outputs) == 0 {
		return nil
	}
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
			if typ, ok := p.Outputs[j].Type(i); ok && !p.Outputs[j].Recipe.Tower && typ.Quantized() && kernels.UsesWeights(typ) {
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
