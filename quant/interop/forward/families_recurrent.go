package forward

import "fmt"

func mamba(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("backbone.layers.%d.", i)
		m.add(residual(branch{pre: m.rms(p + "norm"), inner: m.mamba1(p+"mixer.", m.int("time_step_rank"), m.int("state_size"))}))
	}
	m.ends("backbone.embeddings", m.rms("backbone.norm_f"), "lm_head")
}

// mamba2 norms each group for itself, as mamba_ssm does, which the models were trained with.
func mamba2(m *model) {
	s := ssd{heads: m.int("num_heads"), head: m.int("head_dim"), groups: m.int("n_groups"), states: m.int("state_size")}
	for i := range m.layerCount() {
		p := fmt.Sprintf("backbone.layers.%d.", i)
		m.add(residual(branch{pre: m.rms(p + "norm"), inner: m.mamba2(p+"mixer.", s)}))
	}
	m.ends("backbone.embeddings", m.rms("backbone.norm_f"), "lm_head")
}

// hybridSizes are those of Granite 4, Bamba and Falcon H1.
func (m *model) hybridSizes() ssd {
	return ssd{heads: m.int("mamba_n_heads"), head: m.int("mamba_d_head"), groups: m.int("mamba_n_groups"), states: m.int("mamba_d_state")}
}

// graniteHybrid has Mamba or attention in a layer, and experts beside a network that is always asked.
func graniteHybrid(m *model) {
	by := m.num("residual_multiplier")
	for i := range m.layerCount() {
		p := m.layer(i)
		var mix mixer
		if m.layerType(i) == "mamba" {
			mix = m.mamba2(p+"mamba.", m.hybridSizes())
		} else {
			mix = m.graniteAttention(p, i).mix
		}
		ff := m.fusedMLP(p+"shared_mlp.input_linear", p+"shared_mlp.output_linear", silu)
		if m.intOr("num_local_experts", 0) > 0 {
			ff = m.graniteExperts(p)
		}
		m.scaledBlock(by, m.rms(p+"input_layernorm"), mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
	m.scaleEnds(m.num("embedding_multiplier"), 1/m.num("logits_scaling"))
}

func bamba(m *model) {
	attends := m.nums("attn_layer_indices")
	for i := range m.layerCount() {
		p := m.layer(i)
		var mix mixer
		if contains(attends, i) {
			a := m.usual(p + "self_attn.")
			a.rope = m.rope(m.int("attn_rotary_emb"))
			if m.deviations.WholeHeads {
				a.rope.apart = a.dim / 2
			}
			mix = a.mix
		} else {
			mix = m.mamba2(p+"mamba.", m.hybridSizes())
		}
		m.block(m.rms(p+"input_layernorm"), mix, m.rms(p+"pre_ff_layernorm"), m.mlp(p+"feed_forward.", silu))
	}
	m.outer(m.rms(m.prefix + "final_layernorm"))
}

func contains(list vec, i int) bool {
	for _, v := range list {
		if int(v) == i {
			return true
		}
	}
	return false
}

// falconH1 has Mamba and attention side by side, and a multiplier at every turn.
func falconH1(m *model) {
	s := m.hybridSizes()
	var parts vec
	for i, by := range m.nums("ssm_multipliers") { // gate, input, B, C, step
		n := []int{s.heads * s.head, s.heads * s.head, s.groups * s.states, s.groups * s.states, s.heads}[i]
		for range n {
			parts = append(parts, by)
		}
	}
	s.before = func(x vec) vec { return product(x, parts) }
	s.inBy = m.num("ssm_in_multiplier")
	s.late = m.flag("mamba_norm_before_gate", false)
	mlp := m.nums("mlp_multipliers")
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		in := times(m.num("attention_in_multiplier"))
		a.q, a.k, a.v = then(in, a.q), then(in, a.k, times(m.num("key_multiplier"))), then(in, a.v)
		norm := m.rms(p + "input_layernorm")
		f := p + "feed_forward."
		m.add(residual(branch{pre: norm, inner: m.mamba2(p+"mamba.", s), by: m.num("ssm_out_multiplier")}, branch{pre: norm, inner: a.mix, by: m.num("attention_out_multiplier")}),
			residual(branch{pre: m.rms(p + "pre_ff_layernorm"), inner: each(gated(then(m.linear(f+"gate_proj"), times(mlp[0])), silu, m.linear(f+"up_proj"), m.linear(f+"down_proj"))), by: mlp[1]}))
	}
	m.outer(m.rms(m.prefix + "final_layernorm"))
	m.scaleEnds(m.num("embedding_multiplier"), m.num("lm_head_multiplier"))
}

// jamba has no positions but those that its states know.
func jamba(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		var mix mixer
		if i%m.int("attn_layer_period") == m.int("attn_layer_offset") {
			a := m.usual(p + "self_attn.")
			a.rope = nil
			mix = a.mix
		} else {
			mix = m.mamba1(p+"mamba.", m.int("mamba_dt_rank"), m.int("mamba_d_state"))
		}
		f := p + "feed_forward."
		var ff fn
		if i%m.int("expert_layer_period") == m.int("expert_layer_offset") {
			r := &routing{router: m.linear(f + "router"), top: m.int("num_experts_per_tok"), score: softmax}
			ff = experts(r, m.usualExperts(f, m.int("num_experts")), nil)
		} else {
			ff = m.mlp(f, silu)
		}
		m.block(m.rms(p+"input_layernorm"), mix, m.rms(p+"pre_ff_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "final_layernorm"))
}

// nemotronH has one part in each layer: Mamba, attention without positions, a network or experts behind a narrower input.
func nemotronH(m *model) {
	s := ssd{heads: m.int("mamba_num_heads"), head: m.int("mamba_head_dim"), groups: m.int("n_groups"), states: m.int("ssm_state_size")}
	for i := range m.layerCount() {
		p := fmt.Sprintf("backbone.layers.%d.", i)
		q := p + "mixer."
		var inner mixer
		kind := ""
		if pattern := m.str("hybrid_override_pattern"); pattern != "" {
			kind = map[byte]string{'M': "mamba", '*': "attention", '-': "mlp", 'E': "moe"}[pattern[i]]
		} else {
			kind, _ = m.list("layers_block_type")[i].(string)
		}
		switch kind {
		case "mamba":
			inner = m.mamba2(q, s)
		case "attention":
			a := m.usual(q)
			a.rope = nil
			inner = a.mix
		case "mlp":
			inner = each(plain(m.linear(q+"up_proj"), relu2, m.linear(q+"down_proj")))
		case "moe":
			inner = each(m.nemotronExperts(q))
		default:
			fail("layer %d is of an unknown kind %q", i, kind)
		}
		m.add(residual(branch{pre: m.rms(p + "norm"), inner: inner}))
	}
	m.ends("backbone.embeddings", m.rms("backbone.norm_f"), "lm_head")
}

func (m *model) nemotronExperts(p string) fn {
	r := &routing{router: m.linear(p + "gate"), top: m.int("num_experts_per_tok"), score: sigmoids, bias: m.weights.vector(p + "gate.e_score_correction_bias"),
		scale: m.num("routed_scaling_factor"), after: normalized, groups: m.int("n_group"), open: m.int("topk_group"), best: topTwo}
	var of []fn
	for e := range m.int("n_routed_experts") {
		q := fmt.Sprintf("%sexperts.%d.", p, e)
		of = append(of, plain(m.linear(q+"up_proj"), relu2, m.linear(q+"down_proj")))
	}
	in, out := m.linear(p+"fc1_latent_proj"), m.linear(p+"fc2_latent_proj")
	shared := plain(m.linear(p+"shared_experts.up_proj"), relu2, m.linear(p+"shared_experts.down_proj"))
	return func(x vec) vec {
		chosen, weights := r.pick(x)
		narrow := in(x)
		y := make(vec, len(narrow))
		for i, e := range chosen {
			y = sum(y, scaled(of[e](narrow), weights[i]))
		}
		return sum(shared(x), out(y))
	}
}

// lfm2 has short convolutions in most layers.
func lfm2(m *model) {
	attends := m.nums("full_attn_idxs")
	for i := range m.layerCount() {
		p := m.layer(i)
		var mix mixer
		if contains(attends, i) || m.layerType(i) == "full_attention" {
			a := m.usualBut(p+"self_attn.", "out_proj")
			a.headNorms(m.rms(p+"self_attn.q_layernorm"), m.rms(p+"self_attn.k_layernorm"))
			mix = a.mix
		} else {
			mix = m.gatedConvolution(p + "conv.")
		}
		f := p + "feed_forward."
		var ff fn
		if m.weights.has(f + "gate.weight") {
			r := &routing{router: m.linear(f + "gate"), top: m.int("num_experts_per_tok"), score: sigmoids, bias: m.weights.vector(f + "expert_bias"), after: normalized}
			ff = experts(r, m.apart(m.int("num_experts"), f+"experts.%d.%s", silu, "w1", "w3", "w2"), nil)
		} else {
			ff = gated(m.linear(f+"w1"), silu, m.linear(f+"w3"), m.linear(f+"w2"))
		}
		m.block(m.rms(p+"operator_norm"), mix, m.rms(p+"ffn_norm"), ff)
	}
	m.config["tie_word_embeddings"] = true // the default of the class
	m.outer(m.rms(m.prefix + "embedding_norm"))
}

// qwenNext has linear attention in most layers, and a gate behind the attention of the others. The weights of its norms are
// stored less one, but for those of linear attention.
func qwenNext(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		full := (i+1)%m.intOr("full_attention_interval", 4) == 0
		if kind := m.layerType(i); kind != "" {
			full = kind == "full_attention"
		}
		mix := mixer(nil)
		if full {
			mix = m.gatedAttention(p + "self_attn.").mix
		} else {
			mix = m.deltaNet(p + "linear_attn.")
		}
		ff := fn(nil)
		if m.weights.has(p + "mlp.gate.weight") {
			ff = m.qwenExperts(p+"mlp.", m.flag("norm_topk_prob", true))
		} else {
			ff = m.mlp(p+"mlp.", silu)
		}
		m.block(m.rmsPlusOne(p+"input_layernorm"), mix, m.rmsPlusOne(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rmsPlusOne(m.prefix + "norm"))
}

// gatedAttention has a head's gate behind its query.
func (m *model) gatedAttention(p string) *attention {
	a := m.usual(p)
	both, dim := a.q, a.dim
	half := func(at int) fn {
		return func(x vec) vec {
			y := both(x)
			var out vec
			for h := range a.heads {
				out = append(out, y[(2*h+at)*dim:(2*h+at+1)*dim]...)
			}
			return out
		}
	}
	a.q, a.gate = half(0), then(half(1), sigmoids)
	a.rope = m.partialRope(0.25)
	a.headNorms(m.rmsPlusOne(p+"q_norm"), m.rmsPlusOne(p+"k_norm"))
	return a
}
