package forward

import "math"

// mixtral weighs by a softmax over all experts, and lets the weights of the chosen sum to one.
func mixtral(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		r := &routing{router: m.linear(p + "block_sparse_moe.gate"), top: m.int("num_experts_per_tok"), score: softmax, after: normalized}
		ff := experts(r, m.apart(m.int("num_local_experts"), p+"block_sparse_moe.experts.%d.%s", silu, "w1", "w3", "w2"), nil)
		a := m.usual(p + "self_attn.")
		a.window = m.window()
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// qwenExperts are those of Qwen's models; a shared one has a gate of its own.
func (m *model) qwenExperts(p string, norm bool) fn {
	r := &routing{router: m.linear(p + "gate"), top: m.int("num_experts_per_tok"), score: softmax}
	if norm {
		r.after = normalized
	}
	var shared fn
	if m.weights.has(p + "shared_expert_gate.weight") {
		gate, inner := m.linear(p+"shared_expert_gate"), m.mlp(p+"shared_expert.", silu)
		shared = func(x vec) vec { return scaled(inner(x), sigmoid(gate(x)[0])) }
	}
	return experts(r, m.usualExperts(p, m.int("num_experts")), shared)
}

func qwenMoE(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		if m.weights.has(p + "self_attn.q_norm.weight") {
			a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.qwenExperts(p+"mlp.", m.flag("norm_topk_prob", false)))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

func olmoe(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.qNorm, a.kNorm = m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm")
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.qwenExperts(p+"mlp.", m.flag("norm_topk_prob", false)))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// graniteExperts weigh by a softmax over the chosen alone.
func (m *model) graniteExperts(p string) fn {
	shared := m.fusedMLP(p+"shared_mlp.input_linear", p+"shared_mlp.output_linear", silu)
	p += "block_sparse_moe."
	r := &routing{router: m.linear(p + "router.layer"), top: m.int("num_experts_per_tok"), after: softmax}
	return experts(r, m.together(p+"input_linear.weight", p+"output_linear.weight", silu, false), shared)
}

func graniteMoE(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		m.scaledBlock(m.num("residual_multiplier"), m.rms(p+"input_layernorm"), m.graniteAttention(p, i).mix, m.rms(p+"post_attention_layernorm"), m.graniteExperts(p))
	}
	m.outer(m.rms(m.prefix + "norm"))
	m.scaleEnds(m.num("embedding_multiplier"), 1/m.num("logits_scaling"))
}

// deepseekExperts are chosen by sigmoids with a bias (V3) or a softmax (V2), within groups.
func (m *model) deepseekExperts(p string) fn {
	r := &routing{router: m.linear(p + "gate"), top: m.int("num_experts_per_tok"), groups: m.intOr("n_group", 1), open: m.intOr("topk_group", 1), best: topTwo,
		scale: m.numOr("routed_scaling_factor", 1)}
	r.score = sigmoids
	if m.str("scoring_func") == "softmax" {
		r.score = softmax
	}
	if m.weights.has(p + "gate.e_score_correction_bias") {
		r.bias = m.weights.vector(p + "gate.e_score_correction_bias")
	}
	if m.flag("norm_topk_prob", true) {
		r.after = normalized
	}
	return experts(r, m.usualExperts(p, m.int("n_routed_experts")), m.mlp(p+"shared_experts.", silu))
}

// deepseekFF is dense in the first layers.
func (m *model) deepseekFF(p string, i int) fn {
	if i < m.int("first_k_dense_replace") {
		return m.mlp(p+"mlp.", silu)
	}
	return m.deepseekExperts(p + "mlp.")
}

// deepseek has latent attention, whose scale grows where the rope is stretched.
func deepseek(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		m.block(m.rms(p+"input_layernorm"), m.deepseekAttention(p).mix, m.rms(p+"post_attention_layernorm"), m.deepseekFF(p, i))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

func (m *model) deepseekAttention(p string) *attention {
	r := m.rope(m.int("qk_rope_head_dim"))
	r.interleaved = true
	a := m.latent(p+"self_attn.", r)
	_, scaling := m.ropeParameters()
	if all := scaling.numOr("mscale_all_dim", 0); all != 0 {
		grown := yarnMagnitude(scaling.num("factor"), all)
		a.scale = grown * grown / math.Sqrt(float64(a.dim))
	}
	return a
}

// deepseek1 has attention as Llama's.
func deepseek1(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		m.block(m.rms(p+"input_layernorm"), m.usual(p+"self_attn.").mix, m.rms(p+"post_attention_layernorm"), m.deepseekFF(p, i))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// glm4moe is DeepSeek V3 with the attention of Qwen 3, turned in part.
func glm4moe(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.rope = m.partialRope(1)
		if m.weights.has(p + "self_attn.q_norm.weight") {
			a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.deepseekFF(p, i))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// llama4 has every fourth layer without positions, and norms queries and keys without weights after they are turned. The
// weight of an expert multiplies what goes into it.
func llama4(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.rope.interleaved = true
		a.chunk = m.intOr("attention_chunk_size", 8192)
		if (i+1)%4 == 0 {
			a.rope, a.chunk = nil, 0
		} else if m.flag("use_qk_norm", true) {
			a.headNorms(rms(nil, m.eps), rms(nil, m.eps))
			a.late = true
		}
		f := p + "feed_forward."
		var ff fn
		if step := m.int("interleave_moe_layer_step"); (i+1)%step == 0 {
			r := &routing{router: m.linear(f + "router"), top: m.int("num_experts_per_tok"), after: sigmoids, onInput: true}
			ff = experts(r, m.together(f+"experts.gate_up_proj", f+"experts.down_proj", silu, true), m.mlp(f+"shared_expert.", silu))
		} else {
			ff = m.mlp(f, silu)
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// gptoss has sinks, and experts with biases whose gate and up stand by turns and are clamped.
func gptoss(m *model) {
	const limit, alpha = 7, 1.702
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.sinks = m.weights.vector(p + "self_attn.sinks")
		if kind := m.layerType(i); kind == "sliding_attention" || kind == "" && i%2 == 0 {
			a.window = m.int("sliding_window")
		}
		f := p + "mlp.experts."
		in, back := m.weights.stack(f+"gate_up_proj", true), m.weights.stack(f+"down_proj", true)
		inBias, backBias := m.weights.matrix(f+"gate_up_proj_bias"), m.weights.matrix(f+"down_proj_bias")
		var of []fn
		for e := range in {
			of = append(of, func(x vec) vec {
				y := sum(in[e].times(x), inBias.row(e))
				z := make(vec, len(y)/2)
				for j := range z {
					gate, up := min(y[2*j], limit), min(max(y[2*j+1], -limit), limit)
					z[j] = (up + 1) * gate * sigmoid(alpha*gate)
				}
				return sum(back[e].times(z), backBias.row(e))
			})
		}
		r := &routing{router: m.linear(p + "mlp.router"), top: m.int("num_experts_per_tok"), after: softmax}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), experts(r, of, nil))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// bailing is Ling: one matrix for queries, keys and values. Its second kind norms heads and chooses as DeepSeek V3 does.
func bailing(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := &attention{o: m.linear(p + "attention.dense"), heads: m.heads(), kv: m.keyHeads(), dim: m.headDim(), rope: m.partialRope(1)}
		a.q, a.k, a.v = fusedQKV(m.linear(p+"attention.query_key_value"), a.heads, a.kv, a.dim)
		if m.weights.has(p + "attention.query_layernorm.weight") {
			a.headNorms(m.rms(p+"attention.query_layernorm"), m.rms(p+"attention.key_layernorm"))
		}
		ff := m.mlpOr(p, i)
		if ff == nil {
			r := &routing{router: m.linear(p + "mlp.gate"), top: m.int("num_experts_per_tok"), score: softmax, groups: m.intOr("n_group", 1), open: m.intOr("topk_group", 1),
				best: topTwo, scale: m.numOr("routed_scaling_factor", 1)}
			if m.str("score_function") == "sigmoid" {
				r.score, r.bias = sigmoids, m.weights.vector(p+"mlp.gate.expert_bias")
			}
			if m.flag("norm_topk_prob", true) {
				r.after = normalized
			}
			ff = experts(r, m.usualExperts(p+"mlp.", m.int("num_experts")), m.mlp(p+"mlp.shared_experts.", silu))
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.ends("model.word_embeddings", m.rms("model.norm"), "lm_head")
}

// mlpOr is the network of one of the first layers, nil where there are experts.
func (m *model) mlpOr(p string, i int) fn {
	if i < m.intOr("first_k_dense_replace", 0) {
		return m.mlp(p+"mlp.", silu)
	}
	return nil
}

// minimax norms queries and keys as a whole and turns a part of each head.
func minimax(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.qNorm, a.kNorm = m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm")
		a.rope = m.rope(m.int("rotary_dim"))
		f := p + "block_sparse_moe."
		r := &routing{router: m.linear(f + "gate"), top: m.int("num_experts_per_tok"), score: sigmoids, bias: m.weights.vector(f + "e_score_correction_bias"), after: normalized}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), experts(r, m.apart(m.int("num_local_experts"), f+"experts.%d.%s", silu, "w1", "w3", "w2"), nil))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// ernieMoE chooses by a softmax with a bias.
func ernieMoE(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		ff := m.ernieMLPOr(p, i)
		m.block(m.rms(p+"input_layernorm"), m.ernieAttention(p).mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
}

func (m *model) ernieMLPOr(p string, i int) fn {
	if i < m.int("moe_layer_start_index") {
		return m.mlp(p+"mlp.", silu)
	}
	r := &routing{router: m.linear(p + "mlp.gate"), top: m.int("moe_k"), score: softmax, after: normalized, bias: m.weights.vector(p + "mlp.moe_statics.e_score_correction_bias")}
	return experts(r, m.usualExperts(p+"mlp.", m.int("moe_num_experts")), m.mlp(p+"mlp.shared_experts.", silu))
}

// dbrx has its experts' matrices one below the other, the last of them with its columns first.
func dbrx(m *model) {
	m.eps = 1e-5
	settings, ff := m.table("attn_config"), m.table("ffn_config")
	n, wide := ff.int("moe_num_experts"), ff.int("ffn_hidden_size")
	for i := range m.layerCount() {
		p := layered("transformer.blocks.{i}.", i, 0)
		q := p + "norm_attn_norm."
		a := &attention{o: m.linear(q + "attn.out_proj"), heads: m.heads(), kv: settings.int("kv_n_heads"), dim: m.headDim(), rope: plainRope(m.headDim(), settings.num("rope_theta"))}
		limit := settings.num("clip_qkv")
		a.q, a.k, a.v = fusedQKV(then(m.linear(q+"attn.Wqkv"), func(x vec) vec { return clipped(x, limit) }), a.heads, a.kv, a.dim)
		w1, v1, w2 := m.weights.matrix(p+"ffn.experts.mlp.w1"), m.weights.matrix(p+"ffn.experts.mlp.v1"), m.weights.matrix(p+"ffn.experts.mlp.w2")
		var of []fn
		for e := range n {
			of = append(of, gated(w1.cut(e*wide, wide).times, silu, v1.cut(e*wide, wide).times, w2.cut(e*wide, wide).transposed().times))
		}
		r := &routing{router: m.kept(p + "ffn.router.layer"), top: ff.int("moe_top_k"), score: softmax, after: normalized}
		m.block(m.layerNorm(q+"norm_1"), a.mix, m.layerNorm(q+"norm_2"), experts(r, of, nil))
	}
	m.ends("transformer.wte", m.layerNorm("transformer.norm_f"), "lm_head")
}
