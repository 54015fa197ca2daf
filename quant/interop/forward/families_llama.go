package forward

import "math"

// llama is Llama and those that differ from it by biases, norms of the heads and numbers of the config.
func llama(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		if m.weights.has(p + "self_attn.q_norm.weight") {
			a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		}
		m.growing(a)
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// growing lets queries grow with the logarithm of how many original lengths lie before them, as Ministral 3 does.
func (m *model) growing(a *attention) {
	if _, scaling := m.ropeParameters(); scaling.numOr("llama_4_scaling_beta", 0) != 0 && !m.deviations.NoGrowth {
		beta, original := scaling.num("llama_4_scaling_beta"), scaling.num("original_max_position_embeddings")
		a.grow = func(position int) float64 { return 1 + beta*math.Log(1+math.Floor(float64(position)/original)) }
	}
}

// maincoder turns neighbours and norms the heads after that, as Llama 4 does.
func maincoder(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		a.late, a.rope.interleaved = true, true
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// bothWays is a family whose positions see those behind them too: models that write by taking noise away.
func bothWays(f func(*model)) func(*model) {
	return func(m *model) {
		m.both = true
		f(m)
	}
}
