package forward

// latent makes DeepSeek's attention (MLA): keys and values come out of a narrow vector, but for a part of the key that is
// turned and that all heads share.
func (m *model) latent(p string, r *rope) *attention {
	heads, nope, turned, vdim := m.heads(), m.int("qk_nope_head_dim"), m.int("qk_rope_head_dim"), m.int("v_head_dim")
	rank := m.int("kv_lora_rank")
	var q fn
	if m.weights.has(p + "q_a_proj.weight") {
		q = then(m.linear(p+"q_a_proj"), m.rms(p+"q_a_layernorm"), m.linear(p+"q_b_proj"))
	} else {
		q = m.linear(p + "q_proj")
	}
	a, norm, b := m.linear(p+"kv_a_proj_with_mqa"), m.rms(p+"kv_a_layernorm"), m.linear(p+"kv_b_proj")
	keys := func(x vec) vec {
		narrow := a(x)
		wide := b(norm(narrow[:rank]))
		var out vec
		for h := range heads {
			out = append(out, wide[h*(nope+vdim):h*(nope+vdim)+nope]...)
			out = append(out, narrow[rank:]...)
		}
		return out
	}
	values := func(x vec) vec {
		wide := b(norm(a(x)[:rank]))
		var out vec
		for h := range heads {
			out = append(out, wide[h*(nope+vdim)+nope:(h+1)*(nope+vdim)]...)
		}
		return out
	}
	if r != nil {
		r.last = true
	}
	return &attention{q: q, k: keys, v: values, o: m.linear(p + "o_proj"), heads: heads, kv: heads, dim: nope + turned, rope: r}
}
