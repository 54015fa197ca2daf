package forward

import (
	"math"
	"slices"
)

// kimiLinear has DeepSeek's attention, not turned, in some layers, and a memory in the others.
func kimiLinear(m *model) {
	linear := m.table("linear_attn_config")
	full := linear.nums("full_attn_layers") // counted from one
	for i := range m.layerCount() {
		p := m.layer(i)
		var mix mixer
		if slices.Contains(full, float64(i+1)) {
			mix = m.latent(p+"self_attn.", nil).mix
		} else {
			mix = m.kimiDelta(p+"self_attn.", linear.int("num_heads"), linear.int("head_dim"))
		}
		var ff fn
		if i < m.int("first_k_dense_replace") {
			ff = m.mlp(p+"mlp.", silu)
		} else {
			ff = m.kimiExperts(p + "block_sparse_moe.")
		}
		m.block(m.rms(p+"input_layernorm"), mix, m.rms(p+"post_attention_layernorm"), ff)
	}
	m.outer(m.rms(m.prefix + "norm"))
}

func (m *model) kimiExperts(p string) fn {
	r := &routing{router: m.linear(p + "gate"), top: m.int("num_experts_per_token"), score: sigmoids,
		bias: m.weights.vector(p + "gate.e_score_correction_bias"), after: normalized, scale: m.num("routed_scaling_factor")}
	return experts(r, m.apart(m.int("num_experts"), p+"experts.%d.%s", silu, "w1", "w3", "w2"), m.mlp(p+"shared_experts.", silu))
}

// kimiDelta forgets at each place of a key by itself.
func (m *model) kimiDelta(p string, heads, dim int) mixer {
	taken := func(x string) mixer {
		project, conv := each(m.linear(p+x+"_proj")), m.convolution(p+x+"_conv1d")
		return func(x []vec) []vec { return each(func(v vec) vec { return mapped(v, silu) })(conv(project(x))) }
	}
	q, k, v := taken("q"), taken("k"), taken("v")
	step, gate := then(m.linear(p+"f_a_proj"), m.linear(p+"f_b_proj")), then(m.linear(p+"g_a_proj"), m.linear(p+"g_b_proj"), sigmoids)
	bias, decay := m.weights.vector(p+"dt_bias"), m.weights.vector(p+"A_log")
	rate, norm, out := then(m.linear(p+"b_proj"), sigmoids), perHead(dim, m.rms(p+"o_norm")), m.linear(p+"o_proj")
	return func(x []vec) []vec {
		queries, keys, values := q(x), k(x), v(x)
		state := newMemory(heads, dim, dim)
		result := make([]vec, len(x))
		for i := range x {
			steps, rates := mapped(sum(step(x[i]), bias), softplus), rate(x[i])
			var y vec
			for h := range heads {
				at, to := h*dim, (h+1)*dim
				keep := mapped(steps[at:to], func(s float64) float64 { return math.Exp(-math.Exp(decay[h]) * s) })
				query := scaled(unit(queries[i][at:to]), 1/math.Sqrt(float64(dim)))
				y = append(y, state.step(h, query, unit(keys[i][at:to]), values[i][at:to], func(j int) float64 { return keep[j] }, rates[h])...)
			}
			result[i] = out(product(norm(y), gate(x[i])))
		}
		return result
	}
}
