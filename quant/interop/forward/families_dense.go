package forward

import "math"

// scaledBlock is a block whose branches are multiplied by a number.
func (m *model) scaledBlock(by float64, norm1 fn, attention mixer, norm2 fn, ff fn) {
	m.add(residual(branch{pre: norm1, inner: attention, by: by}), residual(branch{pre: norm2, inner: each(ff), by: by}))
}

// scaleEnds multiplies the embedding and the logits.
func (m *model) scaleEnds(embedding, logits float64) {
	embed, head := m.embed, m.head
	m.embed = func(tokens []int32) []vec { return each(times(embedding))(embed(tokens)) }
	m.head = then(head, times(logits))
}

// smollm3 turns only in those layers that no_rope_layers has a 1 for.
func smollm3(m *model) {
	turned := m.nums("no_rope_layers")
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		if turned[i] == 0 {
			a.rope = nil
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// phi2 has attention and network side by side behind one norm.
func phi2(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usualBut(p+"self_attn.", "dense")
		a.rope = m.partialRope(0.5)
		norm := m.layerNorm(p + "input_layernorm")
		m.add(residual(branch{pre: norm, inner: a.mix},
			branch{pre: norm, inner: each(plain(m.linear(p+"mlp.fc1"), m.geluTanh, m.linear(p+"mlp.fc2")))}))
	}
	m.outer(m.layerNorm(m.prefix + "final_layernorm"))
}

func phi3(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := &attention{o: m.linear(p + "self_attn.o_proj"), heads: m.heads(), kv: m.keyHeads(), dim: m.headDim(), rope: m.partialRope(1), window: m.window()}
		a.q, a.k, a.v = fusedQKV(m.linear(p+"self_attn.qkv_proj"), a.heads, a.kv, a.dim)
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.fusedMLP(p+"mlp.gate_up_proj", p+"mlp.down_proj", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// granite multiplies the embedding, what each layer adds and the scores, and divides the logits.
func granite(m *model) {
	delete(m.config, "head_dim") // the class doesn't know it
	for i := range m.layerCount() {
		p := m.layer(i)
		m.scaledBlock(m.num("residual_multiplier"), m.rms(p+"input_layernorm"), m.graniteAttention(p, i).mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
	m.scaleEnds(m.num("embedding_multiplier"), 1/m.num("logits_scaling"))
}

func (m *model) graniteAttention(p string, i int) *attention {
	a := m.usual(p + "self_attn.")
	a.scale = m.num("attention_multiplier")
	if m.str("position_embedding_type") == "nope" {
		a.rope = nil
	}
	return a
}

// olmo's norms have no weights.
func olmo(m *model) {
	norm := layerNorm(nil, nil, 1e-5)
	limit := m.numOr("clip_qkv", math.Inf(1))
	clip := func(f fn) fn { return then(f, func(x vec) vec { return clipped(x, limit) }) }
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.q, a.k, a.v = clip(a.q), clip(a.k), clip(a.v)
		m.block(norm, a.mix, norm, m.mlp(p+"mlp.", silu))
	}
	m.outer(norm)
}

func clipped(x vec, limit float64) vec {
	return mapped(x, func(v float64) float64 { return min(max(v, -limit), limit) })
}

// olmo2 norms what the parts give, and queries and keys as a whole. Olmo 3 looks through windows, where its rope isn't scaled.
func olmo2(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.qNorm, a.kNorm = m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm")
		if m.layerType(i) == "sliding_attention" {
			a.window = m.int("sliding_window")
			a.rope = plainRope(a.dim, m.num("rope_theta"))
		}
		m.add(residual(branch{inner: a.mix, post: m.rms(p + "post_attention_layernorm")}),
			residual(branch{inner: each(m.mlp(p+"mlp.", silu)), post: m.rms(p + "post_feedforward_layernorm")}))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// glm turns neighbours in the first part of each head. GLM-4 norms what the parts give as well.
func glm(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.rope = m.partialRope(0.5)
		a.rope.interleaved = true
		one := branch{pre: m.rms(p + "input_layernorm"), inner: a.mix}
		two := branch{pre: m.rms(p + "post_attention_layernorm"), inner: each(m.fusedMLP(p+"mlp.gate_up_proj", p+"mlp.down_proj", silu))}
		if m.weights.has(p + "post_self_attn_layernorm.weight") {
			one.post, two.post = m.rms(p+"post_self_attn_layernorm"), m.rms(p+"post_mlp_layernorm")
		}
		m.add(residual(one), residual(two))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// stablelm has a norm for each head.
func stablelm(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.rope = m.partialRope(0.25)
		norms := func(name string) fn {
			return perHeads(a.dim, func(h int) fn { return m.layerNorm(layered(p+"self_attn."+name+".norms.{e}", i, h)) })
		}
		if m.weights.has(p + "self_attn.q_layernorm.norms.0.weight") {
			a.qNorm, a.kNorm = norms("q_layernorm"), norms("k_layernorm")
		}
		one := branch{pre: m.layerNorm(p + "input_layernorm"), inner: a.mix}
		if m.flag("use_parallel_residual", false) {
			m.add(residual(one, branch{pre: one.pre, inner: each(m.mlp(p+"mlp.", silu))}))
		} else {
			m.add(residual(one), residual(branch{pre: m.layerNorm(p + "post_attention_layernorm"), inner: each(m.mlp(p+"mlp.", silu))}))
		}
	}
	m.outer(m.layerNorm(m.prefix + "norm"))
}

func starcoder2(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.window = m.window()
		m.block(m.layerNorm(p+"input_layernorm"), a.mix, m.layerNorm(p+"post_attention_layernorm"), plain(m.linear(p+"mlp.c_fc"), m.geluTanh, m.linear(p+"mlp.c_proj")))
	}
	m.outer(m.layerNorm(m.prefix + "norm"))
}

// cohere has both parts side by side; Command R7B turns only where it looks through a window.
func cohere(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.cohereAttention(p, i)
		norm := m.layerNorm(p + "input_layernorm")
		m.add(residual(branch{pre: norm, inner: a.mix}, branch{pre: norm, inner: each(m.mlp(p+"mlp.", silu))}))
	}
	m.outer(m.layerNorm(m.prefix + "norm"))
	m.scaleEnds(1, m.num("logit_scale"))
}

func (m *model) cohereAttention(p string, i int) *attention {
	a := m.usual(p + "self_attn.")
	a.rope.interleaved = true
	switch m.layerType(i) {
	case "sliding_attention":
		a.window = m.int("sliding_window")
	case "full_attention":
		a.rope = nil
	}
	return a
}

// nemotron stores the weights of its norms less one.
func nemotron(m *model) {
	norm := func(name string) fn {
		return layerNorm(mapped(m.weights.vector(name+".weight"), m.plusOne), m.weights.vector(name+".bias"), m.eps)
	}
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.rope = m.partialRope(0.5)
		m.block(norm(p+"input_layernorm"), a.mix, norm(p+"post_attention_layernorm"), plain(m.linear(p+"mlp.up_proj"), relu2, m.linear(p+"mlp.down_proj")))
	}
	m.outer(norm(m.prefix + "norm"))
}

// orion is Llama with norms that take the mean away.
func orion(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		m.block(m.layerNorm(p+"input_layernorm"), m.usual(p+"self_attn.").mix, m.layerNorm(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.layerNorm(m.prefix + "norm"))
}

func arcee(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		m.block(m.rms(p+"input_layernorm"), m.usual(p+"self_attn.").mix, m.rms(p+"post_attention_layernorm"), plain(m.linear(p+"mlp.up_proj"), relu2, m.linear(p+"mlp.down_proj")))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// exaone4 norms what the parts give. Where it has windows at all, it turns only behind them.
func exaone4(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		if a.window = m.window(); m.layerType(i) != "sliding_attention" && a.window > 0 {
			a.window, a.rope = 0, nil
		}
		m.add(residual(branch{inner: a.mix, post: m.rms(p + "post_attention_layernorm")}),
			residual(branch{inner: each(m.mlp(p+"mlp.", silu)), post: m.rms(p + "post_feedforward_layernorm")}))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// ernie turns neighbours. Baidu's own framework stores fewer tensors.
func ernie(m *model) {
	if m.weights.has("ernie.norm.weight") {
		m.prefix = "ernie."
	}
	for i := range m.layerCount() {
		p := m.layer(i)
		m.block(m.rms(p+"input_layernorm"), m.ernieAttention(p).mix, m.rms(p+"post_attention_layernorm"), m.ernieMLP(p))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

func (m *model) ernieAttention(p string) *attention {
	a := &attention{o: m.linear(p + "self_attn.o_proj"), heads: m.heads(), kv: m.keyHeads(), dim: m.headDim(), rope: m.rope(m.headDim())}
	if m.weights.has(p + "self_attn.qkv_proj.weight") {
		a.q, a.k, a.v = fusedQKV(m.linear(p+"self_attn.qkv_proj"), a.heads, a.kv, a.dim)
	} else {
		a.q, a.k, a.v = m.linear(p+"self_attn.q_proj"), m.linear(p+"self_attn.k_proj"), m.linear(p+"self_attn.v_proj")
	}
	a.rope.interleaved = true
	return a
}

func (m *model) ernieMLP(p string) fn {
	if m.weights.has(p + "mlp.up_gate_proj.weight") {
		return m.fusedMLP(p+"mlp.up_gate_proj", p+"mlp.down_proj", silu)
	}
	return m.mlp(p+"mlp.", silu)
}

// hunyuan norms the heads after it has turned them, and stretches the base.
func hunyuan(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		m.block(m.rms(p+"input_layernorm"), m.hunyuanAttention(p).mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

func (m *model) hunyuanAttention(p string) *attention {
	a := m.usual(p + "self_attn.")
	a.headNorms(m.rms(p+"self_attn.query_layernorm"), m.rms(p+"self_attn.key_layernorm"))
	a.late = true
	if alpha := m.table("rope_scaling").numOr("alpha", 0); alpha != 0 {
		d := float64(a.dim)
		a.rope = plainRope(a.dim, m.num("rope_theta")*math.Pow(alpha, d/(d-2)))
	}
	return a
}

func minicpm(m *model) {
	by := m.num("scale_depth") / math.Sqrt(float64(m.layerCount()))
	for i := range m.layerCount() {
		p := m.layer(i)
		m.scaledBlock(by, m.rms(p+"input_layernorm"), m.usual(p+"self_attn.").mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
	m.scaleEnds(m.num("scale_emb"), m.num("dim_model_base")/float64(m.width()))
}

func minicpm3(m *model) {
	by := m.num("scale_depth") / math.Sqrt(float64(m.layerCount()))
	for i := range m.layerCount() {
		p := m.layer(i)
		m.scaledBlock(by, m.rms(p+"input_layernorm"), m.latent(p+"self_attn.", m.rope(m.int("qk_rope_head_dim"))).mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
	m.scaleEnds(m.num("scale_emb"), m.num("dim_model_base")/float64(m.width()))
}

// apertus has xIELU between two matrices: a parabola above 0 and an exponential below, with numbers of each layer.
func apertus(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		number := func(name string) float64 { return m.weights.vector(p + "mlp.act_fn." + name)[0] }
		beta, eps := number("beta"), number("eps")
		up, down := softplus(number("alpha_p")), beta+softplus(number("alpha_n"))
		xielu := func(x float64) float64 {
			if x > 0 {
				return up*x*x + beta*x
			}
			return (math.Expm1(min(x, eps))-x)*down + beta*x
		}
		m.block(m.rms(p+"attention_layernorm"), a.mix, m.rms(p+"feedforward_layernorm"), plain(m.linear(p+"mlp.up_proj"), xielu, m.linear(p+"mlp.down_proj")))
	}
	m.outer(m.rms(m.prefix + "norm"))
}
