package forward

import "math"

// gemmaEnds scales the embedding by the root of its width.
func (m *model) gemmaEnds() {
	m.config["tie_word_embeddings"] = true // the default of the class
	m.outer(m.rmsPlusOne(m.prefix + "norm"))
	embed, by := m.embed, math.Sqrt(float64(m.width()))
	m.embed = func(tokens []int32) []vec { return each(times(by))(embed(tokens)) }
	m.capHead()
}

// capHead keeps logits within a limit, where there is one.
func (m *model) capHead() {
	if limit := m.numOr("final_logit_softcapping", 0); limit != 0 {
		head := m.head
		m.head = func(x vec) vec { return mapped(head(x), func(v float64) float64 { return limit * math.Tanh(v/limit) }) }
	}
}

func gemma(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		m.block(m.rmsPlusOne(p+"input_layernorm"), m.usual(p+"self_attn.").mix, m.rmsPlusOne(p+"post_attention_layernorm"), m.mlp(p+"mlp.", m.geluTanh))
	}
	m.gemmaEnds()
}

// sandwich has a norm before and one behind each part.
func (m *model) sandwich(p string, norm func(string) fn, attention mixer, ff fn) {
	m.add(residual(branch{pre: norm(p + "input_layernorm"), inner: attention, post: norm(p + "post_attention_layernorm")}),
		residual(branch{pre: norm(p + "pre_feedforward_layernorm"), inner: each(ff), post: norm(p + "post_feedforward_layernorm")}))
}

// gemma2 looks through a window in every other layer, from the first on.
func gemma2(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.scale = 1 / math.Sqrt(m.num("query_pre_attn_scalar"))
		a.softcap = m.numOr("attn_logit_softcapping", 0)
		if i%2 == 0 {
			a.window = m.int("sliding_window")
		}
		m.sandwich(p, m.rmsPlusOne, a.mix, m.mlp(p+"mlp.", m.geluTanh))
	}
	m.gemmaEnds()
}

// gemma3 looks through a window in all layers but each sixth, and turns faster there.
func gemma3(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rmsPlusOne(p+"self_attn.q_norm"), m.rmsPlusOne(p+"self_attn.k_norm"))
		a.scale = 1 / math.Sqrt(m.numOr("query_pre_attn_scalar", 256))
		if (i+1)%m.intOr("sliding_window_pattern", 6) != 0 {
			if a.window = m.int("sliding_window"); m.both {
				a.window, a.reach = 0, a.window/2
			}
			a.rope = plainRope(a.dim, m.numOr("rope_local_base_freq", 10000))
		}
		m.sandwich(p, m.rmsPlusOne, a.mix, m.mlp(p+"mlp.", m.geluTanh))
	}
	m.gemmaEnds()
}
