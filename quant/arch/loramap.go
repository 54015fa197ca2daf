package arch

import (
	"cmp"
	"errors"
	"io/fs"
	"math"
	"slices"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/dequant"
)

// MapAdapter turns an adapter into the tensors and the metadata that llama.cpp's converter would write for it
// (convert_lora_to_gguf.py): of each weight that it changes NAME.lora_a and NAME.lora_b, where NAME is what the weight of
// the base model is called there. Whatever happens to the rows of a weight happens to those of B.
//
// Of the base the configuration, the tokenizer and the headers are read, and no weights.
func MapAdapter(a *Adapter, base *hf.Checkpoint, o Options) (*Model, error) {
	m, c, err := begin(base, Options{Pre: o.Pre})
	if err != nil {
		return nil, err
	}
	weights, err := a.fit(c.Tensors)
	if err != nil {
		return nil, err
	}
	if a.alpha == 0 {
		return nil, a.fail("an adapter that changes nothing needs no file", "%s: lora_alpha is 0, which llama.cpp takes for none given", hf.AdapterConfig)
	}
	l := &loraMapping{adapter: a, pairs: map[string]int{}, mapped: map[string]bool{}}
	for i, w := range weights {
		l.pairs[w.Name] = i
	}
	out := &Model{Arch: m.family.name, Warnings: a.warnings}
	if out.Tensors, err = l.tensors(m.model.Tensors); err != nil {
		return nil, err
	}
	out.Metadata.Set("general.architecture", m.family.name)
	out.Metadata.Set("general.type", "adapter")
	out.Metadata.Set("adapter.type", "lora")
	if err := a.general(out, o); err != nil {
		return nil, err
	}
	out.Metadata.Set("adapter.lora.alpha", float32(a.alpha))
	return out, nil
}

// general writes where the adapter comes from, of what lies beside it. That it is smaller than the model is said by a
// negative number of parameters, as gguf-py does (GGUFWriter.get_total_parameter_count).
func (a *Adapter) general(out *Model, o Options) error {
	total := int64(0)
	for i := 0; i+1 < len(out.Tensors); i += 2 {
		n, err := gguf.Elements(out.Tensors[i+1].Shape[1:])
		if err != nil {
			return err
		}
		total -= n * out.Tensors[i].Shape[0]
	}
	var path *string
	root, err := readRoot(a.Checkpoint.ReadFile)
	switch {
	case err == nil:
		if s, ok := root.doc["_name_or_path"].(string); ok {
			path = &s
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return generalFrom(&out.Metadata, a.Checkpoint, a.Checkpoint.ReadFile, path, o, total, "")
}

// loraMapping is one run of MapAdapter.
type loraMapping struct {
	adapter *Adapter
	pairs   map[string]int // by the weight's name
	mapped  map[string]bool
}

// tensors makes the tensors of the output, in the order of the adapter's: those of a stack where the last one stands.
func (l *loraMapping) tensors(base []Tensor) ([]Tensor, error) {
	type two struct {
		a, b Tensor
		last string
	}
	var list []two
	for i := range base {
		a, b, last, err := l.of(&base[i])
		if err != nil {
			return nil, err
		}
		if last != "" {
			list = append(list, two{a, b, last})
		}
	}
	for _, p := range l.adapter.pairs {
		if !l.mapped[p.A.Name] {
			return nil, l.adapter.fail("train it without that weight", "tensor %q is for a weight that the output has no place for", p.A.Name)
		}
	}
	slices.SortStableFunc(list, func(x, y two) int { return cmp.Compare(x.last, y.last) })
	var out []Tensor
	for _, t := range list {
		out = append(out, t.a, t.b)
	}
	return out, nil
}

// of makes the two tensors for one of the model's. last is the name of the last of the adapter's that they are made of; ""
// if the adapter has nothing for it.
func (l *loraMapping) of(t *Tensor) (a, b Tensor, last string, err error) {
	var sources []*safetensors.Tensor
	n := 0
	for _, p := range t.Parts {
		if len(sources) > 0 && sources[len(sources)-1] == p.Source {
			continue
		}
		sources = append(sources, p.Source)
		if _, ok := l.pairs[p.Source.Name]; ok {
			n++
		}
	}
	if n == 0 {
		return a, b, "", nil
	}
	fail := func(format string, args ...any) (Tensor, Tensor, string, error) {
		return a, b, "", l.adapter.fail("merge it into the model with --merge-lora", "%q: "+format, append([]any{t.Name}, args...)...)
	}
	switch stacked := len(t.Shape) == 3 && t.Shape[2] == int64(len(sources)); {
	case n < len(sources):
		return fail("it has something for %d of %d weights that are one tensor there", n, len(sources))
	case !stacked && (len(t.Shape) != 2 || len(sources) != 1):
		return fail("shape %v, want a matrix", t.Shape)
	case t.Op != Keep:
		return fail("its values are changed in a way that a product can't be")
	}
	first := l.pair(sources[0])
	rank := first.Rank()
	a = Tensor{Name: t.Name + ".lora_a", Shape: append([]int64{t.Shape[0], rank}, t.Shape[2:]...), Type: outputTypes[first.A.DType]}
	b = Tensor{Name: t.Name + ".lora_b", Shape: append([]int64{rank}, t.Shape[1:]...), Type: outputTypes[first.B.DType], Zeros: t.Zeros}
	for _, s := range sources {
		p := l.pair(s)
		if p.Rank() != rank || p.A.DType != first.A.DType || p.B.DType != first.B.DType {
			return fail("%q and %q differ in rank or type, and are one tensor there", first.A.Name, p.A.Name)
		}
		if ok, err := l.add(&a, &b, t, s, p); err != nil || !ok {
			if err != nil {
				return a, b, "", err
			}
			return fail("its values are put in places that a product can't follow")
		}
		l.mapped[p.A.Name] = true
		last = max(last, p.A.Name)
	}
	return a, b, last, nil
}

func (l *loraMapping) pair(s *safetensors.Tensor) *adapterPair {
	return &l.adapter.pairs[l.pairs[s.Name]]
}

// add puts what a pair gives behind what is there. A weight is the product of a matrix with its rows and one with its
// columns: B and A, or their transposes where it is stored with rows and columns swapped.
func (l *loraMapping) add(a, b *Tensor, t *Tensor, source *safetensors.Tensor, p *adapterPair) (ok bool, err error) {
	matrixB := p.B
	var factors []float32
	if f := l.adapter.strength(p); f != 1 {
		factors = []float32{float32(f)}
		if matrixB, err = new(dequant.Merger).Floats(p.B); err != nil { // else the product would be rounded to its format
			return false, err
		}
		b.Type = gguf.F32
	}
	if t.Name == "token_embd.weight" { // A and B are flipped there (build_inp_embd in llama-graph.cpp)
		part := t.Parts[0]
		if !p.Transposed || !part.View.Whole() || t.Zeros != 0 || part.Factors != nil {
			return false, nil
		}
		a.Shape, b.Shape = []int64{p.Rank(), t.Shape[1]}, []int64{p.Rank(), t.Shape[0]}
		a.Parts, b.Parts = []Part{turned(p.A)}, []Part{{Source: matrixB, Factors: factors}}
		return true, nil
	}
	width, rank := source.Shape[1], p.Rank()
	for i, part := range t.Parts {
		if part.Source != source {
			continue
		}
		byRows, byCols := Part{Source: matrixB}, Part{Source: p.A}
		switch v, plain := part.View, !p.Transposed; {
		case v.Whole() && plain, swaps(v, source) && !plain:
		case v.Whole(), swaps(v, source):
			byRows, byCols = turned(p.A), turned(matrixB)
		case plain:
			if byRows.View, ok = ofRows(v, width, rank); !ok {
				return false, nil
			}
		default:
			return false, nil
		}
		if byRows.Factors = slices.Concat(factors, part.Factors); byRows.Source != matrixB {
			byRows.Factors, byCols.Factors = part.Factors, factors
		}
		b.Parts = append(b.Parts, byRows)
		if i == 0 || t.Parts[i-1].Source != source { // once for all views of a weight
			a.Parts = append(a.Parts, byCols)
		}
	}
	return true, nil
}

// strength is what B is multiplied with: llama.cpp makes the scale of lora_alpha and the rank alone, the same lora_alpha
// for all weights, and knows nothing of use_rslora and alpha_pattern.
func (a *Adapter) strength(p *adapterPair) float64 {
	f := 1.0
	if p.alpha != a.alpha {
		f = p.alpha / a.alpha
	}
	if a.root {
		f *= math.Sqrt(float64(p.Rank()))
	}
	return f
}

// turned is the transpose of a matrix.
func turned(t *safetensors.Tensor) Part {
	rows, cols := t.Shape[0], t.Shape[1]
	return Part{Source: t, View: View{Rows: []Dim{{cols, 1}}, Cols: []Dim{{rows, cols}}}}
}

// swaps tells whether a view is the transpose of its source.
func swaps(v View, t *safetensors.Tensor) bool {
	w := turned(t).View
	return v.First == 0 && slices.Equal(v.Rows, w.Rows) && slices.Equal(v.Cols, w.Cols)
}

// ofRows is a view of rows of one width as the same view of rows of another; false if it is none of whole rows.
func ofRows(v View, width, other int64) (View, bool) {
	if v.First%width != 0 || !slices.Equal(v.Cols, []Dim{{width, 1}}) {
		return View{}, false
	}
	out := View{First: v.First / width * other, Cols: []Dim{{other, 1}}}
	for _, d := range v.Rows {
		if d.Stride%width != 0 {
			return View{}, false
		}
		out.Rows = append(out.Rows, Dim{d.N, d.Stride / width * other})
	}
	return out, true
}
