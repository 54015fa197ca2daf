package forward

import (
	"math"
	"slices"
)

// gemma3n keeps several vectors for each position (AltUp). A layer predicts all of them, works on one, and corrects the others by
// what came of it. The vectors stand one behind the other in what goes from layer to layer.
func gemma3n(m *model) {
	inputs := m.perLayerInputs()
	for i := range m.layerCount() {
		m.add(m.altUp(m.layer(i), i, inputs))
	}
	m.config["tie_word_embeddings"] = true // the default of the class
	embed := m.embed
	m.outer(m.rms(m.prefix + "norm"))
	m.capHead()
	var in, back []fn
	for i := range m.int("altup_num_inputs") - 1 {
		in = append(in, m.kept(layered(m.prefix+"altup_projections.{i}", i, 0)))
		back = append(back, m.kept(layered(m.prefix+"altup_unembed_projections.{i}", i, 0)))
	}
	m.embed = func(tokens []int32) []vec {
		return each(func(x vec) vec {
			out := slices.Clone(x)
			for _, f := range in {
				out = append(out, asLong(f(x), x)...)
			}
			return out
		})(embed(tokens))
	}
	mean := func(x vec) vec {
		v := m.streams(x)
		out := v[0]
		for i, f := range back {
			out = sum(out, asLong(f(v[i+1]), v[0]))
		}
		return scaled(out, 1/float64(len(v)))
	}
	m.norm = then(mean, m.norm)
}

// streams are the vectors of a position.
func (m *model) streams(x vec) []vec {
	return slices.Collect(slices.Chunk(x, m.width()))
}

// asLong makes a vector as long as another.
func asLong(x, other vec) vec {
	return scaled(x, math.Sqrt(dot(other, other)/max(dot(x, x), 1e-5*float64(len(x)))))
}

func (m *model) altUp(p string, layer int, inputs func(position, layer int) vec) mixer {
	n, active := m.int("altup_num_inputs"), m.int("altup_active_idx")
	modalities := then(m.rms(p+"altup.router_norm"), times(1/float64(m.width())), m.kept(p+"altup.modality_router"),
		func(x vec) vec { return mapped(x, math.Tanh) })
	prediction, correction := m.linear(p+"altup.prediction_coefs"), m.linear(p+"altup.correction_coefs")
	scale := m.weights.vector(p + "altup.correct_output_scale")
	gate, project := m.linear(p+"per_layer_input_gate"), then(m.linear(p+"per_layer_projection"), m.rms(p+"post_per_layer_input_norm"))
	before := m.rms(p + "input_layernorm")
	attend, attended := m.gemma3nAttention(p+"self_attn.", layer), m.rms(p+"post_attention_layernorm")
	narrow := then(m.kept(p+"laurel.linear_left"), m.kept(p+"laurel.linear_right"), m.rms(p+"laurel.post_laurel_norm"))
	ff := then(m.rms(p+"pre_feedforward_layernorm"), m.sparseMLP(p+"mlp.", layer), m.rms(p+"post_feedforward_layernorm"))
	predict := func(v []vec) []vec {
		c := prediction(modalities(v[active]))
		out := slices.Clone(v)
		for to := range n {
			for from := range n {
				out[to] = sum(out[to], scaled(v[from], c[to*n+from]))
			}
		}
		return out
	}
	return func(x []vec) []vec {
		predicted, normed := make([][]vec, len(x)), make([]vec, len(x))
		for i := range x {
			predicted[i] = predict(m.streams(x[i]))
			normed[i] = before(predicted[i][active])
		}
		seen := attend.mix(normed)
		out := make([]vec, len(x))
		for i, v := range predicted {
			laurel := sum(normed[i], narrow(normed[i]))
			y := scaled(sum(sum(v[active], attended(seen[i])), laurel), 1/math.Sqrt2)
			y = sum(y, ff(y))
			c, learned := correction(modalities(y)), sum(y, scaled(v[active], -1))
			for j := range v {
				v[j] = sum(v[j], scaled(learned, 1+c[j]))
			}
			own := project(product(mapped(gate(product(v[active], scale)), m.geluTanh), inputs(i, layer)))
			for j := 1; j < n; j++ {
				v[j] = sum(v[j], own)
			}
			out[i] = slices.Concat(v...)
		}
		return out
	}
}

// gemma3nAttention norms values, too, and turns faster where it looks through a window.
func (m *model) gemma3nAttention(p string, layer int) *attention {
	a := m.usual(p)
	a.headNorms(m.rms(p+"q_norm"), m.rms(p+"k_norm"))
	a.v = then(a.v, perHead(a.dim, rms(nil, m.eps)))
	a.scale = 1
	if m.layerType(layer) == "sliding_attention" {
		a.window = m.int("sliding_window")
		a.rope = plainRope(a.dim, m.num("rope_local_base_freq"))
	}
	return a
}

// sparseMLP leaves of the gate what stands above a part of a normal distribution.
func (m *model) sparseMLP(p string, layer int) fn {
	part := m.nums("activation_sparsity_pattern")[layer]
	if m.deviations.AllSparse {
		part = 0.95
	}
	if part == 0 {
		return m.mlp(p, m.geluTanh)
	}
	above := math.Sqrt2 * math.Erfinv(2*part-1)
	gate := m.linear(p + "gate_proj")
	few := func(x vec) vec {
		y := gate(x)
		n, mean, square := float64(len(y)), 0.0, 0.0
		for _, v := range y {
			mean += v / n
		}
		for _, v := range y {
			square += (v - mean) * (v - mean)
		}
		if m.deviations.SampleDeviation {
			n--
		}
		least := mean + above*math.Sqrt(square/n)
		return mapped(y, func(v float64) float64 { return relu(v - least) })
	}
	return gated(few, m.geluTanh, m.linear(p+"up_proj"), m.linear(p+"down_proj"))
}
