package arch

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// rule maps one kind of tensor by its whole name. In it {i} stands for the number of any layer, the name of a set of
// the family's layers in braces for those of the set, and {e}, {h} or {k} for the number of an expert, of a head or of
// a key head: the tensors of all of them are stacked, {a} likewise without a layer. Several rules may read one tensor,
// each a part of it, and several may write one, where checkpoints spell it in more than one way.
type rule struct {
	from, to string
	shape    []size // of one source as in the checkpoint: rows first
	presence presence
	change   change // nil leaves the values in their places
}

// presence says when a checkpoint has a tensor.
type presence int

const (
	needed     presence = iota // always
	unlessTied                 // always, unless tie_word_embeddings is true; then it may be there
	optional                   // in all layers or in none
	perLayer                   // in any layer or none
)

// stacks are the placeholders whose tensors become one, by what they count.
var stacks = map[string]size{"{e}": experts, "{h}": heads, "{k}": kvHeads, "{a}": altupOthers, "{c}": chunks}

// want is one tensor of the output, by one rule.
type want struct {
	rule  *rule
	order int   // of the rule
	layer int64 // 0 for none
	to    string
	names []string              // of the sources
	stack string                // what the sources are counted by; "" for one source
	parts []*safetensors.Tensor // those that were found, in the order of names
	batch string                // wants of one batch are written when the last source of all of them is read
	last  int                   // place of that source within the checkpoint
}

func (w *want) whole() bool { return !slices.Contains(w.parts, nil) }
func (w *want) begun() bool {
	return slices.ContainsFunc(w.parts, func(t *safetensors.Tensor) bool { return t != nil })
}

// slot is the place of a source within a want.
type slot struct {
	*want
	part int
}

// tensors applies the family's rules to the tensors of the checkpoint. The output is in the converter's
// order: what is made first, then file by file, each by name, a stack where its last source stands.
func (m *mapping) tensors() error {
	sources, scales, err := m.separateScales(m.sources)
	if err != nil {
		return err
	}
	if m.dims.layers > int64(len(sources)) {
		return fmt.Errorf("config.json: num_hidden_layers %d, but the checkpoint has %d tensors", m.dims.layers, len(sources))
	}
	slices.SortStableFunc(sources, func(a, b *safetensors.Tensor) int { return strings.Compare(a.File, b.File) })

	wants, err := m.expected(len(sources))
	if err != nil {
		return err
	}
	index := map[string][]slot{}
	for _, w := range wants {
		for i, name := range w.names {
			index[name] = append(index[name], slot{w, i})
		}
	}
	batches := map[string]int{}
	found := map[string]string{} // by the name that the rules know, the source's
	for place, t := range sources {
		name, why := m.knownName(t.Name)
		if why != "" {
			m.drop(t.Name, why)
			if why == seesOrHears || why == ofTheTower {
				m.others++
			}
			continue
		}
		slots := index[name]
		if slots == nil { // models for embedding leave the prefix out
			name = "model." + name
			slots = index[name]
		}
		if slots == nil {
			return m.unmatched(t)
		}
		if other, twice := found[name]; twice {
			return fmt.Errorf("tensors %q and %q both become %q", other, t.Name, slots[0].to)
		}
		found[name] = t.Name
		for _, s := range slots {
			s.parts[s.part] = t
			s.last = place
			if s.batch != "" {
				batches[s.batch] = place
			}
		}
	}
	for name, s := range scales {
		if !slices.ContainsFunc(sources, func(t *safetensors.Tensor) bool { return t.Name == name }) {
			return fmt.Errorf("tensor %q scales %q, which is missing", s.Name, name)
		}
	}
	chosen, err := m.complete(wants)
	if err != nil {
		return err
	}
	for _, w := range chosen {
		if w.batch != "" {
			w.last = batches[w.batch]
		}
	}
	for _, w := range chosen {
		if w.parts[0].DType == safetensors.U8 { // packed weights are written before all others
			w.last -= len(sources)
		}
	}
	slices.SortStableFunc(chosen, func(a, b *want) int { return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.order, b.order)) })
	for _, w := range chosen {
		out, err := m.output(w, scales)
		if err != nil {
			return err
		}
		m.model.Tensors = append(m.model.Tensors, out)
	}
	if m.family.ropeFactors { // only now is head_dim known to be that of real tensors
		m.model.Tensors = append(m.ropeFactors(), m.model.Tensors...)
	}
	if m.family.made != nil {
		m.model.Tensors = append(m.family.made(m), m.model.Tensors...)
	}
	return *m.config.err
}

// placeholder is the part of a rule's name that stands for many, with its braces; "" for none.
func placeholder(name string) string {
	if i := strings.IndexByte(name, '{'); i >= 0 {
		return name[i : i+strings.IndexByte(name[i:], '}')+1]
	}
	return ""
}

// expected lists the tensors that the output can have. A checkpoint of n tensors can't stack more than that.
func (m *mapping) expected(n int) ([]*want, error) {
	var wants []*want
	for i := range m.family.rules {
		r := &m.family.rules[i]
		set := placeholder(r.from)
		if set == "" || stacks[set] != nil {
			w := &want{rule: r, order: i, to: r.to}
			if err := m.nameSources(w, r.from, n); err != nil {
				return nil, err
			}
			wants = append(wants, w)
			continue
		}
		for layer := range int(m.dims.layers) {
			if !m.inSet(set, layer) {
				continue
			}
			number := strconv.Itoa(layer)
			w := &want{rule: r, order: i, layer: int64(layer), to: strings.Replace(r.to, set, number, 1)}
			if err := m.nameSources(w, strings.Replace(r.from, set, number, 1), n); err != nil {
				return nil, err
			}
			wants = append(wants, w)
		}
	}
	return wants, *m.config.err
}

// nameSources lists the tensors that a want is made of: one, or as many as a placeholder in the name counts.
func (m *mapping) nameSources(w *want, from string, n int) error {
	w.names = []string{from}
	if w.stack = placeholder(from); w.stack != "" {
		count := stacks[w.stack](m.dims)
		if *m.config.err != nil {
			return *m.config.err
		}
		if count < 1 || count*m.dims.layers > 64*int64(n)+64 {
			return fmt.Errorf("config.json: %d tensors %q in each of %d layers, but the checkpoint has %d", count, from, m.dims.layers, n)
		}
		w.names = nil
		for k := range count {
			w.names = append(w.names, strings.Replace(from, w.stack, strconv.FormatInt(k, 10), 1))
		}
		w.batch, _, _ = strings.Cut(from, w.stack)
	}
	w.parts = make([]*safetensors.Tensor, len(w.names))
	return nil
}

// inSet tells whether a layer is one of those that a placeholder stands for.
func (m *mapping) inSet(set string, layer int) bool {
	if set == "{i}" {
		return true
	}
	return m.family.layers[strings.Trim(set, "{}")](m, layer)
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

// complete takes the wants whose sources are there and checks that nothing is missing. An optional tensor counts as
// needed once one layer has it.
func (m *mapping) complete(wants []*want) ([]*want, error) {
	used := map[*rule]bool{}
	byName := map[string][]*want{}
	var names []string
	for _, w := range wants {
		used[w.rule] = used[w.rule] || w.begun()
		if byName[w.to] == nil {
			names = append(names, w.to)
		}
		byName[w.to] = append(byName[w.to], w)
	}
	var chosen []*want
	var missing []string
	for _, name := range names {
		var have *want
		for _, w := range byName[name] {
			if !w.begun() {
				continue
			}
			if have != nil {
				return nil, fmt.Errorf("tensors %q and %q both become %q", have.firstSource(), w.firstSource(), name)
			}
			have = w
		}
		if have == nil {
			if have = byName[name][0]; !m.mustBe(have, used) {
				continue
			}
		} else if have.whole() {
			chosen = append(chosen, have)
			continue
		}
		for i, t := range have.parts {
			if t == nil {
				missing = append(missing, have.names[i])
			}
		}
	}
	if len(missing) == 0 {
		return chosen, *m.config.err
	}
	slices.Sort(missing)
	more := ""
	if missing = slices.Compact(missing); len(missing) > 1 {
		more = fmt.Sprintf(" and %d more", len(missing)-1)
	}
	return nil, fmt.Errorf("tensor %q%s: missing from the checkpoint", missing[0], more)
}

func (w *want) firstSource() string {
	return w.parts[slices.IndexFunc(w.parts, func(t *safetensors.Tensor) bool { return t != nil })].Name
}

// mustBe tells whether a tensor that no source was found for is missing.
func (m *mapping) mustBe(w *want, used map[*rule]bool) bool {
	switch w.rule.presence {
	case unlessTied:
		return !m.config.flag("tie_word_embeddings")
	case optional:
		return used[w.rule]
	case perLayer:
		return false
	}
	return true
}

// output makes the tensor that a want's sources become.
func (m *mapping) output(w *want, scales map[string]*safetensors.Tensor) (Tensor, error) {
	d := m.dims
	d.layer = w.layer
	shape, r := w.rule.reads(d)
	if *m.config.err != nil {
		return Tensor{}, *m.config.err
	}
	if err := m.alike(w.parts, scales); err != nil {
		return Tensor{}, err
	}
	for _, t := range w.parts {
		if !slices.Equal(t.Shape, shape) {
			return Tensor{}, fmt.Errorf("tensor %q (%s): shape %v, config.json makes it %v", t.Name, t.File, t.Shape, shape)
		}
		if t.DType != w.parts[0].DType {
			return Tensor{}, fmt.Errorf("tensor %q (%s): dtype %s, but %q has %s", t.Name, t.File, t.DType, w.parts[0].Name, w.parts[0].DType)
		}
	}
	if len(r.views) == 0 {
		r.views = []View{{}}
	}
	out := Tensor{Name: w.to, Shape: slices.Clone(r.shape), Op: r.op, Zeros: r.zeros}
	if w.stack != "" { // of one too
		out.Shape = append([]int64{int64(len(w.parts))}, out.Shape...)
	}
	slices.Reverse(out.Shape)
	typ, ok := outputTypes[w.parts[0].DType]
	for _, t := range w.parts {
		exponents, err := m.exponentsOf(t, scales[t.Name])
		if err != nil {
			return Tensor{}, err
		}
		var scale *Scale
		if exponents != nil {
			typ, ok = gguf.MXFP4, true
		} else if scale, err = m.scaleFor(t, scales[t.Name]); err != nil {
			return Tensor{}, err
		}
		for i, v := range r.views {
			part := Part{Source: t, View: v, Scale: scale, Exponents: exponents}
			if r.factors != nil {
				part.Factors = r.factors[i]
			}
			out.Parts = append(out.Parts, part)
		}
	}
	if t := w.parts[0]; !ok {
		return Tensor{}, fmt.Errorf("tensor %q (%s): dtype %s can't be converted", t.Name, t.File, t.DType)
	}
	if out.Type = typ; len(out.Shape) <= 1 || !strings.HasSuffix(w.to, ".weight") || hasAnySuffix(w.to, alwaysF32) && !m.family.keepsTypes {
		out.Type = gguf.F32
	}
	m.follow(&out)
	return out, nil
}

// reads is the shape that the config gives a source of the rule, and how the output reads it.
func (r *rule) reads(d dims) ([]int64, reading) {
	shape := make([]int64, len(r.shape))
	for i, s := range r.shape {
		shape[i] = s(d)
	}
	if r.change == nil {
		return shape, reading{shape: shape}
	}
	return shape, r.change(d, shape)
}

// scaleFor is the scale of a source; nil for none.
func (m *mapping) scaleFor(t, scale *safetensors.Tensor) (*Scale, error) {
	if scale != nil {
		return m.scaleOf(t, scale)
	}
	if isFP8(t.DType) && m.quant.scaled {
		return nil, fmt.Errorf("tensor %q (%s): dtype %s, but its scale is missing", t.Name, t.File, t.DType)
	}
	return nil, nil
}

// alwaysF32 are the matrices that stay F32 (ModelBase.prepare_tensors).
var alwaysF32 = []string{"_norm.weight", ".ffn_gate_inp.weight", ".ffn_gate_inp_shexp.weight", "position_embd.weight", "token_types.weight",
	".ssm_conv1d.weight", ".shortconv.conv.weight", ".indexer.proj.weight", ".ssm_conv1d_q.weight", ".ssm_conv1d_k.weight", ".ssm_conv1d_v.weight", ".altup_correct_coef.weight", ".altup_predict_coef.weight"}

// outputTypes are the types that keep every bit of a source.
var outputTypes = map[safetensors.DType]gguf.Type{
	safetensors.F32:    gguf.F32,
	safetensors.F16:    gguf.F16,
	safetensors.BF16:   gguf.BF16,
	safetensors.F64:    gguf.F32,
	safetensors.F8E4M3: gguf.F32,
	safetensors.F8E5M2: gguf.F32,
}
