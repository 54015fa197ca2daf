package forward

import (
	"math"
	"slices"
)

// rope turns pairs of values by angles that grow with the position.
type rope struct {
	freqs       vec     // of each pair
	scale       float64 // of sine and cosine
	interleaved bool    // pairs are neighbours (GPT-J, Cohere, GLM); else they lie half of the rotated part apart
	apart       int     // how far the values of a pair lie apart, if not half of the rotated part
	last        bool    // what is turned are the last values of a head, not the first
}

// turn rotates a head at a position.
func (r *rope) turn(x vec, position int) vec {
	if r == nil {
		return x
	}
	out := slices.Clone(x)
	part := out
	if r.last {
		part = out[len(out)-2*len(r.freqs):]
	}
	for i, f := range r.freqs {
		a, b := i, i+len(r.freqs)
		if r.apart != 0 {
			b = a + r.apart
		}
		if r.interleaved {
			a, b = 2*i, 2*i+1
		}
		sin, cos := math.Sincos(float64(position) * f)
		u, v := part[a], part[b]
		part[a], part[b] = r.scale*(u*cos-v*sin), r.scale*(v*cos+u*sin)
	}
	return out
}

// plainRope is the one without any scaling.
func plainRope(dim int, base float64) *rope {
	r := &rope{scale: 1}
	for i := range dim / 2 {
		r.freqs = append(r.freqs, math.Pow(base, -2*float64(i)/float64(dim)))
	}
	return r
}

// ropeParameters are what both spellings of the config have: rope_theta beside rope_scaling, or both in one.
func (m *model) ropeParameters() (base float64, scaling config) {
	scaling = m.table("rope_scaling")
	if p := m.table("rope_parameters"); p != nil {
		scaling = p
	}
	base = m.numOr("rope_theta", 10000)
	return scaling.numOr("rope_theta", base), scaling
}

// rope makes what the config says for the first dim values of a head, as transformers' modeling_rope_utils does.
func (m *model) rope(dim int) *rope {
	base, scaling := m.ropeParameters()
	return m.scaledRope(dim, base, scaling)
}

// partialRope turns a part of each head.
func (m *model) partialRope(otherwise float64) *rope {
	_, scaling := m.ropeParameters()
	part := scaling.numOr("partial_rotary_factor", m.numOr("partial_rotary_factor", m.numOr("rotary_pct", otherwise)))
	return m.rope(int(float64(m.headDim()) * part))
}

func (m *model) scaledRope(dim int, base float64, scaling config) *rope {
	r := plainRope(dim, base)
	kind := scaling.str("rope_type")
	if kind == "" {
		kind = scaling.str("type")
	}
	switch kind {
	// mrope: all parts of a text's positions are the same. dynamic: as long as the text is no longer than the model was made for.
	case "", "default", "mrope", "dynamic":
	case "linear":
		r.freqs = scaled(r.freqs, 1/scaling.num("factor"))
	case "llama3":
		r.llama3(scaling)
	case "yarn":
		m.yarn(r, dim, base, scaling)
	case "longrope", "su":
		m.longrope(r, scaling)
	default:
		fail("rope of type %q is not known", kind)
	}
	return r
}

// llama3 slows the slow turns down, leaves the fast ones, and goes from one to the other between.
func (r *rope) llama3(s config) {
	factor, low, high := s.num("factor"), s.num("low_freq_factor"), s.num("high_freq_factor")
	original := s.num("original_max_position_embeddings")
	for i, f := range r.freqs {
		length := 2 * math.Pi / f
		switch {
		case length > original/low:
			r.freqs[i] = f / factor
		case length >= original/high:
			smooth := (original/length - low) / (high - low)
			r.freqs[i] = (1-smooth)*f/factor + smooth*f
		}
	}
}

// yarn blends slowed turns into the plain ones by how often a pair turns within the original length.
func (m *model) yarn(r *rope, dim int, base float64, s config) {
	factor := s.num("factor")
	original := s.numOr("original_max_position_embeddings", m.numOr("max_position_embeddings", 0))
	at := func(turns float64) float64 {
		return float64(dim) * math.Log(original/(turns*2*math.Pi)) / (2 * math.Log(base))
	}
	low, high := at(s.numOr("beta_fast", 32)), at(s.numOr("beta_slow", 1))
	if s.flag("truncate", true) || m.deviations.TruncatedYarn {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dim-1))
	if low == high {
		high += 0.001
	}
	for i, f := range r.freqs {
		slow := min(max((float64(i)-low)/(high-low), 0), 1)
		r.freqs[i] = f/factor*slow + f*(1-slow)
	}
	r.scale = yarnScale(factor, s)
}

// yarnScale is how much sine and cosine grow.
func yarnScale(factor float64, s config) float64 {
	if v, ok := s["attention_factor"].(float64); ok {
		return v
	}
	if a, b := s.numOr("mscale", 0), s.numOr("mscale_all_dim", 0); a != 0 && b != 0 {
		return yarnMagnitude(factor, a) / yarnMagnitude(factor, b)
	}
	return yarnMagnitude(factor, 1)
}

func yarnMagnitude(factor, by float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*by*math.Log(factor) + 1
}

// longrope divides each turn by a factor of its own, one for short texts and one for those beyond the original length.
func (m *model) longrope(r *rope, s config) {
	original := s.numOr("original_max_position_embeddings", m.numOr("original_max_position_embeddings", m.num("max_position_embeddings")))
	factors := s.nums("short_factor")
	if float64(m.count) > original {
		factors = s.nums("long_factor")
	}
	for i := range r.freqs {
		r.freqs[i] /= factors[i]
	}
	factor := m.num("max_position_embeddings") / original
	if factor > 1 {
		r.scale = math.Sqrt(1 + math.Log(factor)/math.Log(original))
	}
	r.scale = s.numOr("attention_factor", r.scale)
}
