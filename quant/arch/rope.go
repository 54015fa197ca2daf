package arch

import (
	"fmt"
	"math"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// rope says how positions are turned: rope_scaling of config.json, or rope_parameters as transformers 5
// spells it, with the keys that used to stand beside it.
type rope struct {
	params *config
	kind   string // rope_type
	theta  float64
	stated bool    // theta is the config's
	local  float64 // of layers with a sliding window; 0 for none
	share  float64 // partial_rotary_factor: of a head's values that are turned; 0 if the config doesn't say
}

// Keys that say the same thing in the configs of different families (TextModel.__init__).
var (
	thetaKeys = []string{"rope_theta", "global_rope_theta", "rope_global_theta", "rope_theta_global", "rotary_emb_base"}
	localKeys = []string{"local_rope_theta", "rope_local_theta", "rope_theta_local", "swa_rope_theta", "rope_local_base_freq"}
	shareKeys = []string{"partial_rotary_factor", "rope_pct", "rope_percent"}
)

func readRope(c *config) rope {
	key := "rope_scaling"
	if _, ok := c.doc["rope_parameters"]; ok {
		key = "rope_parameters"
	}
	all := c.object(key)
	r := rope{params: all, theta: 10000}
	if all.has("full_attention") { // one set of parameters per kind of layer
		r.params = all.object("full_attention")
	}
	if all.has("sliding_attention") {
		r.local = all.object("sliding_attention").number("rope_theta")
	} else if key := c.firstOf(localKeys); c.has(key) && !all.has("full_attention") {
		r.local = c.number(key)
	}
	if r.share = r.params.number("partial_rotary_factor"); !r.params.has("partial_rotary_factor") {
		r.share = c.number(c.firstOf(shareKeys))
	}
	if r.kind = r.params.text("rope_type"); r.kind == "" {
		r.kind = r.params.text("type")
	}
	switch {
	case r.params.has("rope_theta"):
		r.theta = r.params.number("rope_theta")
	case c.has(c.firstOf(thetaKeys)):
		r.theta = c.number(c.firstOf(thetaKeys))
	}
	r.stated = r.params.has("rope_theta") || c.has(c.firstOf(thetaKeys))
	if r.theta <= 0 {
		c.fail("rope_theta: %v, want more than 0", r.theta)
	}
	if key := "original_max_position_embeddings"; !r.params.has(key) && c.has(key) {
		r.params.doc[key] = c.doc[key]
	}
	return r
}

// ropeParams writes the rope.* keys. llama3 is no scaling type of llama.cpp: its factors are a tensor.
func (m *mapping) ropeParams(set func(string, any)) {
	r := m.rope
	p := r.params
	optional := func(key string, names ...string) {
		for _, name := range names {
			if p.has(name) {
				set(key, float32(p.number(name)))
				return
			}
		}
	}
	switch kind := r.kind; {
	case kind == "linear" && p.has("factor"):
		set("rope.scaling.type", "linear")
		optional("rope.scaling.factor", "factor")
	case kind == "yarn" && p.has("factor"):
		set("rope.scaling.type", "yarn")
		optional("rope.scaling.factor", "factor")
		set("rope.scaling.original_context_length", uint32(p.count("original_max_position_embeddings")))
		optional("rope.scaling.yarn_ext_factor", "extrapolation_factor")
		optional("rope.scaling.yarn_attn_factor", "attention_factor", "attn_factor")
		optional("rope.scaling.yarn_beta_fast", "beta_fast")
		optional("rope.scaling.yarn_beta_slow", "beta_slow")
	case kind == "su" || kind == "longrope":
		set("rope.scaling.type", "longrope")
	case kind == "" || kind == "default" || kind == "dynamic" || kind == "mrope":
	case kind == "proportional": // Gemma 4's, whose factors are a tensor
	case strings.EqualFold(kind, "llama3") && m.family.ropeFactors:
	default:
		m.warn("config.json: %s of type %q is left out: beyond the original context the model will do worse", strings.TrimSuffix(p.path, "."), kind)
	}
	if list := p.numbers("mrope_section"); list != nil { // padded to time, height, width and one more
		sections := make([]int32, 4)
		for i := range min(len(list), 4) {
			sections[i] = int32(list[i])
		}
		set("rope.dimension_sections", sections)
	}
	if r.stated || !m.family.noTheta {
		set("rope.freq_base", float32(r.theta))
	}
	if r.local != 0 {
		set("rope.freq_base_swa", float32(r.local))
	}
}

func (m *mapping) warn(format string, args ...any) {
	m.model.Warnings = append(m.model.Warnings, fmt.Sprintf(format, args...))
}

// shareOr is partial_rotary_factor, or what it is by default.
func (r rope) shareOr(otherwise float64) float64 {
	if r.share != 0 {
		return r.share
	}
	return otherwise
}

// turned is how many values of each head are turned with the position: rope.dimension_count of most families.
func (m *mapping) turned(otherwise float64) uint32 {
	return uint32(float64(m.dims.headDim) * m.rope.shareOr(otherwise))
}

// ropeFactors makes rope_freqs.weight of the llama3 kind: what the frequency of each rotary pair is divided by
// (LlamaModel.generate_extra_tensors). The arithmetic is PyTorch's on float32 tensors, step by step: a
// number divided by a tensor is the tensor's reciprocal times the number.
func (m *mapping) ropeFactors() []Tensor {
	p := m.rope.params
	if !strings.EqualFold(m.rope.kind, "llama3") {
		return nil
	}
	or := func(key string, otherwise float64) float64 {
		if p.has(key) {
			return p.number(key)
		}
		return otherwise
	}
	factor, low, high := or("factor", 8), or("low_freq_factor", 1), or("high_freq_factor", 4)
	old := or("original_max_position_embeddings", 8192)
	if low <= 0 || high <= low || factor <= 0 || old <= 0 {
		p.fail("%sfactor %v, low_freq_factor %v, high_freq_factor %v, original_max_position_embeddings %v: want all above 0 and low below high",
			p.path, factor, low, high, old)
		return nil
	}
	longest, shortest := float32(old/low), float32(old/high) // wavelengths
	dim := m.dims.headDim
	out := make([]float32, dim/2)
	for i := range out {
		power := float32(math.Pow(float64(float32(m.rope.theta)), float64(float32(2*i)/float32(dim))))
		freq := 1 / power
		wave := float32(1/freq) * float32(2*math.Pi)
		switch {
		case wave < shortest:
			out[i] = 1
		case wave > longest:
			out[i] = float32(factor)
		default:
			ratio := float32(float32(1/wave) * float32(old)) // rounded before the subtraction: no fused multiply-add
			smooth := (ratio - float32(low)) / float32(high-low)
			mixed := float32((1-smooth)/float32(factor)) + smooth
			out[i] = 1 / mixed
		}
	}
	return []Tensor{{Name: "rope_freqs.weight", Shape: []int64{dim / 2}, Type: gguf.F32, Const: out}}
}
