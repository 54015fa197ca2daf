package forward

import "math"

// afmoe multiplies the embedding as Gemma does, gates what attention gives, norms before and behind each part, and turns
// only behind windows.
func afmoe(m *model) {
	every := m.intOr("global_attn_every_n_layers", 4)
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		a.gate = then(m.linear(p+"self_attn.gate_proj"), sigmoids)
		if (i+1)%every == 0 {
			a.rope = nil
		} else {
			a.window = m.int("sliding_window")
		}
		ff := fn(nil)
		if f := p + "mlp."; i < m.int("num_dense_layers") {
			ff = m.mlp(f, silu)
		} else {
			r := &routing{router: m.linear(f + "router.gate"), top: m.int("num_experts_per_tok"), score: sigmoids, bias: m.weights.vector(f + "expert_bias"),
				after: normalized, scale: m.num("route_scale")}
			ff = experts(r, m.usualExperts(f, m.int("num_experts")), m.mlp(f+"shared_experts.", silu))
		}
		m.add(residual(branch{pre: m.rms(p + "input_layernorm"), inner: a.mix, post: m.rms(p + "post_attention_layernorm")}),
			residual(branch{pre: m.rms(p + "pre_mlp_layernorm"), inner: each(ff), post: m.rms(p + "post_mlp_layernorm")}))
	}
	m.outer(m.rms(m.prefix + "norm"))
	m.scaleEnds(math.Sqrt(float64(m.width())), 1)
}

// exaoneMoE looks through windows where the pattern has an L, and turns only there.
func exaoneMoE(m *model) {
	pattern := m.str("sliding_window_pattern")
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		if pattern[i%len(pattern)] == 'L' {
			a.window = m.int("sliding_window")
		} else {
			a.rope = nil
		}
		ff := m.mlpOr(p, i)
		if ff == nil {
			f := p + "mlp."
			r := &routing{router: m.linear(f + "gate"), top: m.int("num_experts_per_tok"), score: sigmoids, bias: m.weights.vector(f + "e_score_correction_bias"),
				after: normalized, scale: m.num("routed_scaling_factor"), groups: m.int("n_group"), open: m.int("topk_group"), best: topTwo}
			ff = experts(r, m.usualExperts(f, m.int("num_experts")), m.mlp(f+"shared_experts.", silu))
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// mellum is Qwen 3's with experts and windows.
func mellum(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		if m.layerType(i) == "sliding_attention" {
			a.window = m.int("sliding_window")
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.qwenExperts(p+"mlp.", m.flag("norm_topk_prob", false)))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// smallthinker chooses experts by what comes into the layer, before attention, and turns only behind windows.
func smallthinker(m *model) {
	m.config["tie_word_embeddings"] = true
	layout := m.nums("sliding_window_layout")
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		if layout[i] == 1 {
			if !m.deviations.NoWindow {
				a.window = m.int("sliding_window_size")
			}
		} else {
			a.rope = nil
		}
		f := p + "block_sparse_moe."
		r := &routing{router: m.linear(f + "primary_router"), top: m.int("moe_num_active_primary_experts"), score: sigmoids, after: normalized}
		of := m.apart(m.int("moe_num_primary_experts"), f+"experts.%d.%s", relu, "gate", "up", "down")
		attend, norm := residual(branch{pre: m.rms(p + "input_layernorm"), inner: a.mix}), m.rms(p+"post_attention_layernorm")
		m.add(func(x []vec) []vec {
			out := attend(x)
			for i := range out {
				y := norm(out[i])
				chosen, weights := r.pick(x[i])
				for j, e := range chosen {
					out[i] = sum(out[i], scaled(of[e](y), weights[j]))
				}
			}
			return out
		})
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// graniteSWA has sinks; no_rope_layers has a 1 for each layer that turns.
func graniteSWA(m *model) {
	turned := m.nums("no_rope_layers")
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.graniteAttention(p, i)
		a.sinks = m.weights.vector(p + "self_attn.sinks")
		if turned[i] == 0 {
			a.rope = nil
		}
		if kind := m.layerType(i); kind == "sliding_attention" || kind == "" && i%4 != 0 {
			a.window = m.int("sliding_window")
		}
		ff := fn(nil)
		if m.weights.has(p + "mlp.gate_proj.weight") {
			ff = m.mlp(p+"mlp.", silu)
		} else {
			f := p + "block_sparse_moe."
			r := &routing{router: m.linear(f + "router.layer"), top: m.int("num_experts_per_tok"), after: softmax}
			ff = experts(r, m.together(f+"experts.gate_up_proj", f+"experts.down_proj", silu, false), m.fusedMLP(p+"shared_mlp.input_linear", p+"shared_mlp.output_linear", silu))
		}
		m.scaledBlock(m.num("residual_multiplier"), m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
	m.scaleEnds(m.num("embedding_multiplier"), 1/m.num("logits_scaling"))
}

func hunyuanMoE(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		top, _ := m.list("moe_topk")[i].(float64)
		r := &routing{router: m.linear(p + "mlp.gate.wg"), top: int(top), score: softmax, after: normalized}
		ff := experts(r, m.usualExperts(p+"mlp.", m.int("num_experts")), m.mlp(p+"mlp.shared_mlp.", silu))
		m.block(m.rms(p+"input_layernorm"), m.hunyuanAttention(p).mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// phimoe weighs two experts by a softmax over all. The definition masks those that are far from the best before each choice
// (sparsemixer), which llama.cpp doesn't.
func phimoe(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		f := p + "block_sparse_moe."
		r := &routing{router: m.linear(f + "gate"), top: m.int("num_experts_per_tok"), choose: sparsemixer}
		if m.deviations.PlainRouting {
			r.choose, r.score, r.after = nil, softmax, normalized
		}
		m.block(m.layerNorm(p+"input_layernorm"), m.usual(p+"self_attn.").mix, m.layerNorm(p+"post_attention_layernorm"),
			experts(r, m.apart(m.int("num_local_experts"), f+"experts.%d.%s", silu, "w1", "w3", "w2"), nil))
	}
	m.outer(m.layerNorm(m.prefix + "norm"))
}

// sparsemixer chooses two experts, one after the other, each with its weight in a softmax over those that come close to it.
func sparsemixer(numbers vec) ([]int, vec) {
	const jitter = 0.01
	left := append(vec(nil), numbers...)
	var chosen []int
	var weights vec
	for range 2 {
		best := largest(left, 1)[0]
		near := append(vec(nil), left...)
		for e, v := range numbers {
			if (left[best]-v)/max(math.Abs(v), left[best]) > 2*jitter {
				near[e] = math.Inf(-1)
			}
		}
		chosen, weights = append(chosen, best), append(weights, softmax(near)[best])
		left[best] = math.Inf(-1)
	}
	return chosen, weights
}

// cohere2MoE is Command's with experts in all but the first layers.
func cohere2MoE(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		ff := m.mlpOr(p, i)
		if ff == nil {
			r := &routing{router: m.linear(p + "mlp.gate"), top: m.int("num_experts_per_tok"), score: sigmoids, after: normalized}
			both := experts(r, m.usualExperts(p+"mlp.", m.int("num_experts")), m.mlp(p+"mlp.shared_experts.", silu))
			ff = func(x vec) vec { return scaled(both(x), 0.5) } // the mean of both
		}
		norm := m.layerNorm(p + "input_layernorm")
		m.add(residual(branch{pre: norm, inner: m.cohereAttention(p, i).mix}, branch{pre: norm, inner: each(ff)}))
	}
	m.outer(m.layerNorm(m.prefix + "norm"))
	m.scaleEnds(1, m.num("logit_scale"))
}

// nanbeige goes through its layers more than once.
func nanbeige(m *model) {
	llama(m)
	once := m.layers
	for range m.int("num_loops") - 1 {
		m.add(once...)
	}
}

// deci is Llama whose layers have each their own sizes, a matrix in place of attention, or nothing.
func deci(m *model) {
	for i, block := range m.list("block_configs") {
		p := m.layer(i)
		settings := config(block.(map[string]any))
		attend, ff := settings.table("attention"), settings.table("ffn")
		switch {
		case attend.flag("replace_with_linear", false):
			m.add(residual(branch{pre: m.rms(p + "input_layernorm"), inner: each(m.linear(p + "self_attn.linear_attn"))}))
		case !attend.flag("no_op", false):
			a := m.usual(p + "self_attn.")
			a.kv = a.heads / attend.int("n_heads_in_group")
			m.add(residual(branch{pre: m.rms(p + "input_layernorm"), inner: a.mix}))
		}
		if !ff.flag("no_op", false) {
			m.add(residual(branch{pre: m.rms(p + "post_attention_layernorm"), inner: each(m.mlp(p+"mlp.", silu))}))
		}
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// mistral3 has the attention of DeepSeek in its fourth generation.
func mistral3(m *model) {
	if m.str("model_type") != "mistral4" {
		llama(m)
		return
	}
	for i := range m.layerCount() {
		p := m.layer(i)
		f := p + "mlp."
		r := &routing{router: m.linear(f + "gate"), top: m.int("num_experts_per_tok"), score: softmax, after: normalized, scale: m.num("routed_scaling_factor"),
			groups: m.intOr("n_group", 1), open: m.intOr("topk_group", 1), best: topTwo}
		a := m.deepseekAttention(p)
		m.growing(a)
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), experts(r, m.usualExperts(f, m.int("n_routed_experts")), m.mlp(f+"shared_experts.", silu)))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// qwenVLMoE has experts whose columns go first.
func qwenVLMoE(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		f := p + "mlp."
		r := &routing{router: m.linear(f + "gate"), top: m.int("num_experts_per_tok"), score: softmax, after: normalized}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), experts(r, m.together(f+"experts.gate_up_proj", f+"experts.down_proj", silu, true), nil))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

// groveMoE is Qwen 3 with experts, of which each two share a small one that works beside those of them that are chosen.
func groveMoE(m *model) {
	const ofGroup, by = 2, 0.05 // numbers of the model's code
	for i := range m.layerCount() {
		p := m.layer(i)
		a := m.usual(p + "self_attn.")
		a.headNorms(m.rms(p+"self_attn.q_norm"), m.rms(p+"self_attn.k_norm"))
		f, n := p+"mlp.", m.int("num_experts")
		m.weights.vector(f + "expert_bias") // that the code never uses
		r := &routing{router: m.linear(f + "gate"), top: m.int("num_experts_per_tok"), score: softmax, after: normalized}
		large, small := m.usualExperts(f, n), m.apart(n/ofGroup, f+"chunk_experts.%d.%s", silu, "gate_proj", "up_proj", "down_proj")
		ff := func(x vec) vec {
			chosen, weights := r.pick(x)
			y := make(vec, len(x))
			for i, e := range chosen {
				y = sum(y, scaled(large[e](x), weights[i]))
			}
			if m.deviations.SecondHand {
				scores := softmax(r.router(x))
				x, weights = y, nil
				for _, e := range chosen {
					weights = append(weights, scores[e/ofGroup])
				}
				weights = normalized(weights)
			}
			out := y
			for i, e := range chosen {
				out = sum(out, scaled(small[e/ofGroup](x), by*weights[i]))
			}
			return out
		}
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
}
