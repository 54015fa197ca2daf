package forward

import "math"

// gemma4 has larger heads where it looks beyond the window, layers that read the keys and values of an earlier one, a vector
// for each token and layer, experts beside the network, and a number that multiplies what a layer gives.
func gemma4(m *model) {
	inputs := m.perLayerInputs()
	n := m.layerCount()
	last := map[string]*attention{} // that has keys and values of its own, by the layer's type
	for i := range n {
		p := m.layer(i)
		var from *attention
		if i >= n-m.intOr("num_kv_shared_layers", 0) {
			from = last[m.layerType(i)]
		}
		a := m.gemma4Attention(p+"self_attn.", m.layerType(i), from)
		if from == nil {
			last[m.layerType(i)] = a
		}
		m.add(residual(branch{pre: m.rms(p + "input_layernorm"), inner: a.mix, post: m.rms(p + "post_attention_layernorm")}),
			residual(branch{inner: each(m.gemma4FF(p)), post: m.rms(p + "post_feedforward_layernorm")}))
		if inputs != nil {
			gate, out := m.linear(p+"per_layer_input_gate"), m.linear(p+"per_layer_projection")
			m.add(residual(branch{post: m.rms(p + "post_per_layer_input_norm"), inner: func(x []vec) []vec {
				y := make([]vec, len(x))
				for j := range x {
					y[j] = out(product(mapped(gate(x[j]), m.geluTanh), inputs(j, i)))
				}
				return y
			}}))
		}
		m.add(each(times(m.weights.vector(p + "layer_scalar")[0])))
	}
	m.config["tie_word_embeddings"] = true // the default of the class
	embed := m.embed
	m.outer(m.rms(m.prefix + "norm"))
	if embed != nil {
		m.embed = embed
	} else {
		m.scaleEnds(math.Sqrt(float64(m.width())), 1)
	}
	m.capHead()
}

// perLayerInputs returns what each position brings to each layer, nil where there is no such thing: the mean of an embedding
// of its own and of a projection of the usual one. It takes both when the tokens are embedded.
func (m *model) perLayerInputs() func(position, layer int) vec {
	size := m.intOr("hidden_size_per_layer_input", 0)
	if size == 0 {
		return nil
	}
	m.outer(nil)
	table, project := m.weights.matrix(m.prefix+"embed_tokens_per_layer.weight"), m.kept(m.prefix+"per_layer_model_projection")
	norm := perHead(size, m.rms(m.prefix+"per_layer_projection_norm"))
	embed, root := m.embed, math.Sqrt(float64(m.width()))
	var inputs []vec
	m.embed = func(tokens []int32) []vec {
		x := each(times(root))(embed(tokens))
		inputs = nil
		for i, t := range tokens {
			own := scaled(table.row(int(t)), math.Sqrt(float64(size)))
			inputs = append(inputs, scaled(sum(own, norm(scaled(project(x[i]), 1/root))), 1/math.Sqrt2))
		}
		return x
	}
	return func(position, layer int) vec { return inputs[position][layer*size : (layer+1)*size] }
}

func (m *model) gemma4Attention(p, kind string, from *attention) *attention {
	a := &attention{q: m.linear(p + "q_proj"), o: m.linear(p + "o_proj"), heads: m.heads(), kv: m.keyHeads(), dim: m.headDim(), scale: 1, from: from}
	settings := m.table("rope_parameters").table(kind)
	if kind == "full_attention" {
		a.dim = m.int("global_head_dim")
		a.kv = m.intOr("num_global_key_value_heads", a.kv)
		// "proportional": a part of the pairs turns, as slowly as pairs of a whole head do
		a.rope = plainRope(a.dim, settings.num("rope_theta"))
		for i := int(settings.num("partial_rotary_factor") * float64(a.dim) / 2); i < a.dim/2; i++ {
			a.rope.freqs[i] = 0
		}
	} else {
		a.window = m.int("sliding_window")
		a.rope = plainRope(a.dim, settings.num("rope_theta"))
	}
	a.qNorm = perHead(a.dim, m.rms(p+"q_norm"))
	if from == nil {
		a.k = m.linear(p + "k_proj")
		a.v = a.k // without a matrix of its own
		if m.weights.has(p + "v_proj.weight") {
			a.v = m.linear(p + "v_proj")
		}
		a.v = then(a.v, perHead(a.dim, rms(nil, m.eps)))
		a.kNorm = perHead(a.dim, m.rms(p+"k_norm"))
	}
	return a
}

// gemma4FF is the network and, where there are, the experts, each behind norms of its own.
func (m *model) gemma4FF(p string) fn {
	dense := then(m.rms(p+"pre_feedforward_layernorm"), m.mlp(p+"mlp.", m.geluTanh))
	if !m.flag("enable_moe_block", false) {
		return dense
	}
	dense = then(dense, m.rms(p+"post_feedforward_layernorm_1"))
	scale, by := m.weights.vector(p+"router.scale"), m.weights.vector(p+"router.per_expert_scale")
	project, root := m.linear(p+"router.proj"), 1/math.Sqrt(float64(m.width()))
	norm := rms(nil, m.eps)
	r := &routing{top: m.int("top_k_experts"), score: softmax, after: normalized,
		router: func(x vec) vec { return project(scaled(product(norm(x), scale), root)) }}
	of := m.together(p+"experts.gate_up_proj", p+"experts.down_proj", m.geluTanh, false)
	before, after := m.rms(p+"pre_feedforward_layernorm_2"), m.rms(p+"post_feedforward_layernorm_2")
	return func(x vec) vec {
		chosen, weights := r.pick(x)
		in := before(x)
		y := make(vec, len(x))
		for i, e := range chosen {
			y = sum(y, scaled(of[e](in), weights[i]*by[e]))
		}
		return sum(dense(x), after(y))
	}
}
