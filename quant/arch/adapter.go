package arch

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/dequant"
)

// Adapter is a LoRA adapter as peft saves it: for some weights two small matrices, whose product is added to the weight.
type Adapter struct {
	Checkpoint *hf.Checkpoint
	pairs      []adapterPair // sorted by the names of their weights
	alpha      float64       // lora_alpha
	root       bool          // use_rslora
	warnings   []string
}

// adapterPair is what is added to one weight.
type adapterPair struct {
	weight string // its name as peft has it
	dequant.LowRank
	alpha float64 // lora_alpha or what alpha_pattern has for it
}

// AdapterError is returned for an adapter that can't be applied exactly.
type AdapterError struct {
	Name string // of the adapter
	What string
	hint string
}

func (e *AdapterError) Error() string { return fmt.Sprintf("adapter %q: %s", e.Name, e.What) }

// Hint says what to do instead.
func (e *AdapterError) Hint() string { return e.hint }

// inPeft is the way out for what only peft can do.
const inPeft = "merge it with peft (merge_and_unload) and name the model that comes out"

// ReadAdapter reads the settings of an adapter and pairs its tensors. It reads no weights.
func ReadAdapter(c *hf.Checkpoint) (*Adapter, error) {
	a := &Adapter{Checkpoint: c}
	data, err := c.ReadFile(hf.AdapterConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, a.fail("fetch it from where the weights came from", "%s is missing: without it nobody knows how strong the adapter is", hf.AdapterConfig)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hf.AdapterConfig, err)
	}
	if err := a.read(data); err != nil {
		return nil, err
	}
	return a, nil
}

// read reads adapter_config.json and pairs the tensors.
func (a *Adapter) read(data []byte) error {
	doc, err := parseJSONObject(data)
	if err != nil {
		return fmt.Errorf("%s: %w", hf.AdapterConfig, err)
	}
	c := &config{file: hf.AdapterConfig, doc: doc, root: doc, err: new(error)}
	if err := a.refuse(c); err != nil {
		return err
	}
	if err := a.pair(); err != nil {
		return err
	}
	return a.scales(c)
}

func (a *Adapter) fail(hint, format string, args ...any) error {
	return &AdapterError{a.Checkpoint.Name, fmt.Sprintf(format, args...), hint}
}

// refuse names the settings under which an adapter is more than a product that is added (LoraConfig in
// peft/tuners/lora/config.py).
func (a *Adapter) refuse(c *config) error {
	if kind := c.text("peft_type"); kind != "LORA" && kind != "" {
		return a.fail(inPeft, "peft_type %s, want LORA", kind)
	}
	if bias := c.text("bias"); bias != "none" && bias != "" {
		return a.fail(inPeft, "bias %q: it changes the model's biases, want none", bias)
	}
	for _, key := range []string{"use_dora", "lora_bias", "use_qalora", "use_bdlora"} {
		if c.has(key) && c.doc[key] != false {
			return a.fail(inPeft, "%s is set: it is more than two matrices for a weight", key)
		}
	}
	for _, key := range []string{"modules_to_save", "layer_replication", "trainable_token_indices", "alora_invocation_tokens", "arrow_config"} {
		switch v := c.doc[key].(type) {
		case nil:
		case []any:
			if len(v) > 0 {
				return a.fail(inPeft, "%s is set: %v", key, v)
			}
		case map[string]any:
			if len(v) > 0 {
				return a.fail(inPeft, "%s is set", key)
			}
		default:
			return a.fail(inPeft, "%s is set: %v", key, v)
		}
	}
	if how, ok := c.doc["init_lora_weights"].(string); ok {
		if how = strings.ToLower(how); strings.HasPrefix(how, "pissa") || how == "olora" || how == "corda" || how == "loftq" {
			a.warnings = append(a.warnings, fmt.Sprintf("adapter %q was begun with %s, which changes the base weights too: apply it to those that were saved with it, or convert it with peft first", a.Checkpoint.Name, how))
		}
	}
	return *c.err
}

// The endings of an adapter's tensors. Some tools keep the adapter's name, of which that of peft's first one is default.
var (
	endingsOfA = []string{".lora_A.weight", ".lora_A.default.weight", ".lora_embedding_A", ".lora_embedding_A.default"}
	endingsOfB = []string{".lora_B.weight", ".lora_B.default.weight", ".lora_embedding_B", ".lora_embedding_B.default"}
)

// weightOf is the name of the weight that a tensor of an adapter belongs to, by what the name ends in.
func weightOf(name string, endings []string) (weight string, embedding, ok bool) {
	for _, e := range endings {
		if s, cut := strings.CutSuffix(name, e); cut {
			return strings.TrimPrefix(s, "base_model.model.") + ".weight", strings.Contains(e, "embedding"), true
		}
	}
	return "", false, false
}

// pair finds the two matrices of each weight.
func (a *Adapter) pair() error {
	byWeight := map[string]*adapterPair{}
	var others []string
	for _, t := range a.Checkpoint.Tensors {
		weight, embedding, isA := weightOf(t.Name, endingsOfA)
		isB := false
		if !isA {
			weight, embedding, isB = weightOf(t.Name, endingsOfB)
		}
		if !isA && !isB {
			others = append(others, t.Name)
			continue
		}
		p := byWeight[weight]
		if p == nil {
			p = &adapterPair{weight: weight}
			byWeight[weight] = p
		}
		place := &p.A
		if isB {
			place = &p.B
		}
		if *place != nil {
			return a.fail("", "tensors %q and %q are both for %q", (*place).Name, t.Name, weight)
		}
		*place, p.Transposed = t, embedding
	}
	if len(others) > 0 {
		return a.fail(inPeft, "%s neither lora_A nor lora_B of a weight", listed(others, "tensor"))
	}
	for _, p := range byWeight {
		a.pairs = append(a.pairs, *p)
	}
	slices.SortFunc(a.pairs, func(x, y adapterPair) int { return strings.Compare(x.weight, y.weight) })
	for _, p := range a.pairs {
		switch {
		case p.A == nil:
			return a.fail("", "tensor %q has no lora_A beside it", p.B.Name)
		case p.B == nil:
			return a.fail("", "tensor %q has no lora_B beside it", p.A.Name)
		}
		if len(p.A.Shape) != 2 || p.A.Shape[0] < 1 {
			return a.fail("", "tensor %q: shape %v, want rank and inputs", p.A.Name, p.A.Shape)
		}
	}
	return nil
}

// listed is "tensor X is" or "tensors X and 3 more are".
func listed(names []string, what string) string {
	if len(names) == 1 {
		return fmt.Sprintf("%s %q is", what, names[0])
	}
	return fmt.Sprintf("%ss %q and %d more are", what, names[0], len(names)-1)
}

// scales gives each pair its scale, which is lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora, and of its own alpha
// and r where a pattern fits (LoraLayer.update_layer in peft/tuners/lora/layer.py).
func (a *Adapter) scales(c *config) error {
	a.root = c.flag("use_rslora")
	fanInFanOut := c.flag("fan_in_fan_out")
	alphas, err := a.patterns(c, "alpha_pattern")
	if err != nil {
		return err
	}
	ranks, err := a.patterns(c, "rank_pattern")
	if err != nil {
		return err
	}
	if !c.has("lora_alpha") {
		return a.fail("", "%s: lora_alpha is missing, or is no number", hf.AdapterConfig)
	}
	a.alpha = c.number("lora_alpha")
	rank := c.number("r")
	if *c.err != nil {
		return *c.err
	}
	for i := range a.pairs {
		p := &a.pairs[i]
		if p.alpha, err = a.patterned(alphas, p, a.alpha); err != nil {
			return err
		}
		want, err := a.patterned(ranks, p, rank)
		if err != nil {
			return err
		}
		r := float64(p.Rank())
		if want != r {
			return a.fail("", "tensor %q has rank %v, %s makes it %v", p.A.Name, r, hf.AdapterConfig, want)
		}
		scale := p.alpha / r
		if a.root {
			scale = p.alpha / math.Sqrt(r)
		}
		if p.Scale = float32(scale); !(math.Abs(scale) <= math.MaxFloat32) {
			return a.fail("", "%s: lora_alpha %v is no strength that weights can have", hf.AdapterConfig, p.alpha)
		}
		p.Transposed = p.Transposed || fanInFanOut
	}
	return nil
}

// pattern gives the modules that it fits a value of their own.
type pattern struct {
	text string
	fits *regexp.Regexp
	to   float64
}

// patterns reads alpha_pattern or rank_pattern, whose keys are the ends of module names or regular expressions for them
// (get_pattern_key in peft/utils/other.py).
func (a *Adapter) patterns(c *config, key string) ([]pattern, error) {
	o := c.object(key)
	var list []pattern
	for text := range o.doc {
		re, err := regexp.Compile(`^(?:.*\.)?(?:` + text + `)$`)
		if err != nil {
			return nil, a.fail(inPeft, "%s: %s: %v", hf.AdapterConfig, key, err)
		}
		list = append(list, pattern{text, re, o.number(text)})
	}
	slices.SortFunc(list, func(x, y pattern) int { return strings.Compare(x.text, y.text) })
	return list, *c.err
}

// patterned is the value that a pair's module has. Of two patterns peft takes the one that was written first, an order
// that JSON does not promise, so they have to agree.
func (a *Adapter) patterned(list []pattern, p *adapterPair, otherwise float64) (float64, error) {
	module := strings.TrimSuffix(p.weight, ".weight")
	var found *pattern
	for i := range list {
		x := &list[i]
		if !x.fits.MatchString(module) {
			continue
		}
		if found != nil && found.to != x.to {
			return 0, a.fail("", "%s: patterns %q and %q both fit %q", hf.AdapterConfig, found.text, x.text, module)
		}
		found = x
	}
	if found == nil {
		return otherwise, nil
	}
	return found.to, nil
}

// spellings are the names that a checkpoint can have for what peft calls name: transformers nests the parts of a model
// that sees in another way in memory than in older files, and a file of the trunk alone leaves its prefix out.
func spellings(name string) []string {
	list := []string{name}
	if rest, ok := strings.CutPrefix(name, "model.language_model."); ok {
		list = append(list, "language_model.model."+rest, "model."+rest)
	}
	if name == "lm_head.weight" {
		list = append(list, "language_model.lm_head.weight")
	}
	if rest, ok := strings.CutPrefix(name, "model."); ok {
		list = append(list, rest)
	}
	return append(list, "model."+name)
}

// fit finds the weights of a model that the adapter is for, in the order of its pairs.
func (a *Adapter) fit(tensors []*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	byName := map[string]*safetensors.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	used := map[string]string{}
	var out []*safetensors.Tensor
	var unknown []string
	for _, p := range a.pairs {
		var found *safetensors.Tensor
		for _, name := range spellings(p.weight) {
			if found = byName[name]; found != nil {
				break
			}
		}
		if found == nil {
			unknown = append(unknown, p.A.Name)
			continue
		}
		if other := used[found.Name]; other != "" {
			return nil, a.fail("", "tensors %q and %q are both for %q", other, p.A.Name, found.Name)
		}
		used[found.Name] = p.A.Name
		if err := p.Fit(found); err != nil {
			return nil, a.fail("is it the model that the adapter was trained on?", "%v", err)
		}
		out = append(out, found)
	}
	if len(unknown) > 0 {
		return nil, a.fail("is it the model that the adapter was trained on?", "%s for no weight of the model", listed(unknown, "tensor"))
	}
	return out, nil
}

// merge puts weights with the adapter added in the place of those that it is for.
func (m *mapping) merge(c *hf.Checkpoint, a *Adapter) (*hf.Checkpoint, error) {
	weights, err := a.fit(c.Tensors)
	if err != nil {
		return nil, err
	}
	if m.quant, err = readQuantization(m.config); err != nil {
		return nil, err
	}
	scales := map[string]*safetensors.Tensor{}
	for _, t := range c.Tensors {
		if weight, ok := m.quant.weightOf(t.Name); ok {
			scales[weight] = t
		}
	}
	m.merger = &dequant.Merger{}
	merged := *c
	merged.Tensors = slices.Clone(c.Tensors)
	for i, w := range weights {
		plain := w
		if isFP8(w.DType) {
			if plain, err = m.unscaled(w, scales[w.Name]); err != nil {
				return nil, err
			}
			merged.Tensors = slices.DeleteFunc(merged.Tensors, func(t *safetensors.Tensor) bool { return t == scales[w.Name] })
		}
		sum, err := m.merger.Add(plain, a.pairs[i].LowRank)
		if err != nil {
			return nil, err
		}
		merged.Tensors[slices.Index(merged.Tensors, w)] = sum
		if strings.HasSuffix(w.Name, "embed_tokens.weight") && m.config.flag("tie_word_embeddings") {
			m.warn("adapter %q changes the embedding, which is the head of this model too", a.Checkpoint.Name)
		}
	}
	m.model.Warnings = append(m.model.Warnings, a.warnings...)
	m.model.Memory = m.merger.Memory()
	return &merged, nil
}

// unscaled is an FP8 weight as the float32 values that it stands for.
func (m *mapping) unscaled(w, scale *safetensors.Tensor) (*safetensors.Tensor, error) {
	s, err := m.scaleFor(w, scale)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return dequant.Scaled(w, nil, [2]int64{})
	}
	return dequant.Scaled(w, s.Tensor, s.Block)
}

// alike makes all parts float32 where an adapter changed some of them.
func (m *mapping) alike(parts []*safetensors.Tensor, scales map[string]*safetensors.Tensor) error {
	same := !slices.ContainsFunc(parts, func(t *safetensors.Tensor) bool { return t.DType != parts[0].DType })
	if m.merger == nil || same {
		return nil
	}
	for i, t := range parts {
		var err error
		switch {
		case t.DType == safetensors.F32:
		case isFP8(t.DType):
			parts[i], err = m.unscaled(t, scales[t.Name])
			delete(scales, t.Name)
		default:
			parts[i], err = m.merger.Floats(t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
