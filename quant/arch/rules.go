package arch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// rule maps one kind of tensor by its whole name; {i} is the number of a layer.
type rule struct {
	from, to string
	shape    []size // as in the checkpoint: rows first
	presence presence
	op       func(dims) Op // nil leaves the rows as they are
}

// presence says when a checkpoint has a tensor.
type presence int

const (
	needed     presence = iota // always
	unlessTied                 // always, unless tie_word_embeddings is true; then it may be there
	optional                   // in all layers or in none
)

// size is a dimension of a tensor, taken from the config.
type size func(dims) int64

func vocab(d dims) int64   { return d.vocab }
func hidden(d dims) int64  { return d.hidden }
func ff(d dims) int64      { return d.ff }
func headDim(d dims) int64 { return d.headDim }
func queries(d dims) int64 { return d.heads * d.headDim }
func keys(d dims) int64    { return d.kvHeads * d.headDim }

func matrix(rows, columns size) []size { return []size{rows, columns} }
func vector(n size) []size             { return []size{n} }

func permuteQ(d dims) Op { return Op{Permute, d.heads} }
func permuteK(d dims) Op { return Op{Permute, d.kvHeads} }

// droppedSuffixes are tensors that older checkpoints store though they can be computed
// (ModelBase.prepare_tensors).
var droppedSuffixes = []string{".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"}

// tensors applies the family's rules to the tensors of the checkpoint. The output is in the converter's
// order: what is made first, then file by file, each by name.
func (m *mapping) tensors(c *hf.Checkpoint) error {
	sources, scales, err := m.separateScales(c.Tensors)
	if err != nil {
		return err
	}
	if m.dims.layers > int64(len(sources)) {
		return fmt.Errorf("config.json: num_hidden_layers %d, but the checkpoint has %d tensors", m.dims.layers, len(sources))
	}
	slices.SortStableFunc(sources, func(a, b *safetensors.Tensor) int { return strings.Compare(a.File, b.File) })

	index := m.expected()
	found := map[string]string{} // by the output's name, the source's
	for _, t := range sources {
		if slices.ContainsFunc(droppedSuffixes, func(s string) bool { return strings.HasSuffix(t.Name, s) }) {
			m.model.Dropped = append(m.model.Dropped, t.Name)
			continue
		}
		e, ok := index[t.Name]
		if !ok { // models for embedding leave the prefix out
			e, ok = index["model."+t.Name]
		}
		if !ok {
			return m.unmatched(t)
		}
		if other, twice := found[e.to]; twice {
			return fmt.Errorf("tensors %q and %q both become %q", other, t.Name, e.to)
		}
		found[e.to] = t.Name
		out, err := m.output(e, t, scales[t.Name])
		if err != nil {
			return err
		}
		delete(scales, t.Name)
		m.model.Tensors = append(m.model.Tensors, out)
	}
	for name, s := range scales {
		return fmt.Errorf("tensor %q scales %q, which is missing", s.Name, name)
	}
	if err := m.complete(index, found); err != nil {
		return err
	}
	if m.family.ropeFactors { // only now is head_dim known to be that of real tensors
		m.model.Tensors = append(m.ropeFactors(), m.model.Tensors...)
	}
	return *m.config.err
}

// expected lists the names that the checkpoint can have, with the rule for each.
func (m *mapping) expected() map[string]expectation {
	index := make(map[string]expectation, int(m.dims.layers)*len(m.family.rules))
	for i := range m.family.rules {
		r := &m.family.rules[i]
		if !strings.Contains(r.from, "{i}") {
			index[r.from] = expectation{r, r.to, -1}
			continue
		}
		for layer := range int(m.dims.layers) {
			n := strconv.Itoa(layer)
			index[strings.Replace(r.from, "{i}", n, 1)] = expectation{r, strings.Replace(r.to, "{i}", n, 1), layer}
		}
	}
	return index
}

type expectation struct {
	rule  *rule
	to    string
	layer int
}

func (m *mapping) unmatched(t *safetensors.Tensor) error {
	if rest, ok := strings.CutPrefix(t.Name, "model.layers."); ok {
		number, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n >= m.dims.layers {
			return fmt.Errorf("tensor %q (%s): layer %d, but num_hidden_layers is %d", t.Name, t.File, n, m.dims.layers)
		}
	}
	return fmt.Errorf("tensor %q (%s): no rule of the %s architecture knows it", t.Name, t.File, m.family.name)
}

// complete checks that nothing is missing. An optional tensor counts as needed once one layer has it.
func (m *mapping) complete(index map[string]expectation, found map[string]string) error {
	used := map[*rule]bool{}
	for _, e := range index {
		if _, ok := found[e.to]; ok {
			used[e.rule] = true
		}
	}
	var missing []string
	for name, e := range index {
		if _, ok := found[e.to]; ok {
			continue
		}
		switch e.rule.presence {
		case unlessTied:
			if m.config.flag("tie_word_embeddings") {
				continue
			}
		case optional:
			if !used[e.rule] {
				continue
			}
		}
		missing = append(missing, name)
	}
	if len(missing) == 0 {
		return *m.config.err
	}
	slices.Sort(missing)
	more := ""
	if len(missing) > 1 {
		more = fmt.Sprintf(" and %d more", len(missing)-1)
	}
	return fmt.Errorf("tensor %q%s: missing from the checkpoint", missing[0], more)
}

// output makes the tensor that a source becomes.
func (m *mapping) output(e expectation, t, scale *safetensors.Tensor) (Tensor, error) {
	want := make([]int64, len(e.rule.shape))
	for i, s := range e.rule.shape {
		want[i] = s(m.dims)
	}
	if !slices.Equal(t.Shape, want) {
		return Tensor{}, fmt.Errorf("tensor %q (%s): shape %v, config.json makes it %v", t.Name, t.File, t.Shape, want)
	}
	out := Tensor{Name: e.to, Shape: slices.Clone(want), Parts: []*safetensors.Tensor{t}}
	slices.Reverse(out.Shape)
	if e.rule.op != nil {
		out.Op = e.rule.op(m.dims)
	}
	typ, ok := outputTypes[t.DType]
	if !ok {
		return Tensor{}, fmt.Errorf("tensor %q (%s): dtype %s can't be converted", t.Name, t.File, t.DType)
	}
	if out.Type = typ; len(want) <= 1 || strings.HasSuffix(e.to, "_norm.weight") {
		out.Type = gguf.F32
	}
	if scale != nil {
		s, err := m.scaleOf(t, scale)
		if err != nil {
			return Tensor{}, err
		}
		out.Scale = s
	} else if isFP8(t.DType) && m.quant.scaled {
		return Tensor{}, fmt.Errorf("tensor %q (%s): dtype %s, but its scale is missing", t.Name, t.File, t.DType)
	}
	return out, nil
}

// outputTypes are the types that keep every bit of a source.
var outputTypes = map[safetensors.DType]gguf.Type{
	safetensors.F32:    gguf.F32,
	safetensors.F16:    gguf.F16,
	safetensors.BF16:   gguf.BF16,
	safetensors.F64:    gguf.F32,
	safetensors.F8E4M3: gguf.F32,
	safetensors.F8E5M2: gguf.F32,
}
