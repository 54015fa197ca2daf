package arch

import "strings"

// The rules that most families have in common. set is the placeholder of the layers: "{i}" for all.

// outer are the embedding, the last norm and the head.
func outer() []rule {
	return []rule{
		{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"model.norm.weight", "output_norm.weight", vector(hidden), needed, nil},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},
	}
}

// norms are those before attention and before the feed-forward network.
func norms(c change) []rule {
	return []rule{
		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, c},
		{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, c},
	}
}

// attention are the four projections; q and k say what becomes of the rows of queries and keys.
func attention(set string, q, k change) []rule {
	from, to := "model.layers."+set+".self_attn.", "blk."+set+".attn_"
	return []rule{
		{from + "q_proj.weight", to + "q.weight", matrix(queries, hidden), needed, q},
		{from + "k_proj.weight", to + "k.weight", matrix(keys, hidden), needed, k},
		{from + "v_proj.weight", to + "v.weight", matrix(keys, hidden), needed, nil},
		{from + "o_proj.weight", to + "output.weight", matrix(hidden, queries), needed, nil},
	}
}

// attentionBiases are those of the same projections.
func attentionBiases(set string, p presence, q, k change) []rule {
	from, to := "model.layers."+set+".self_attn.", "blk."+set+".attn_"
	return []rule{
		{from + "q_proj.bias", to + "q.bias", vector(queries), p, q},
		{from + "k_proj.bias", to + "k.bias", vector(keys), p, k},
		{from + "v_proj.bias", to + "v.bias", vector(keys), p, nil},
	}
}

// headNorms are the norms of each head's queries and keys.
func headNorms(set string, c change) []rule {
	return []rule{
		{"model.layers." + set + ".self_attn.q_norm.weight", "blk." + set + ".attn_q_norm.weight", vector(headDim), needed, c},
		{"model.layers." + set + ".self_attn.k_norm.weight", "blk." + set + ".attn_k_norm.weight", vector(headDim), needed, c},
	}
}

// gated are the three matrices of a gated feed-forward network n wide. A star in to stands for gate, up and down.
func gated(from, to string, n size) []rule {
	name := func(s string) string { return strings.Replace(to, "*", s, 1) + ".weight" }
	return []rule{
		{from + "gate_proj.weight", name("gate"), matrix(n, hidden), needed, nil},
		{from + "up_proj.weight", name("up"), matrix(n, hidden), needed, nil},
		{from + "down_proj.weight", name("down"), matrix(hidden, n), needed, nil},
	}
}

// mlp is the feed-forward network of most families.
func mlp(set string) []rule {
	return gated("model.layers."+set+".mlp.", "blk."+set+".ffn_*", ff)
}

// expertsOf are the networks of experts n wide under the names of their three matrices, each expert's a tensor of its
// own, in the order in which the converter stacks them.
func expertsOf(set, from string, n size, down, gate, up string) []rule {
	from, to := "model.layers."+set+"."+from+".{e}.", "blk."+set+".ffn_"
	return []rule{
		{from + down + ".weight", to + "down_exps.weight", matrix(hidden, n), needed, nil},
		{from + gate + ".weight", to + "gate_exps.weight", matrix(n, hidden), needed, nil},
		{from + up + ".weight", to + "up_exps.weight", matrix(n, hidden), needed, nil},
	}
}

// usualExperts are expertsOf under the usual names.
func usualExperts(set string, n size) []rule {
	return expertsOf(set, "mlp.experts", n, "down_proj", "gate_proj", "up_proj")
}

// fusedExperts are the experts as transformers 5 saves them: all in one tensor, gates above ups.
func fusedExperts(set string, n size) []rule {
	from, to := "model.layers."+set+".mlp.experts.", "blk."+set+".ffn_"
	var out []rule
	for _, suffix := range []string{"", ".weight"} {
		out = append(out,
			rule{from + "gate_up_proj" + suffix, to + "gate_exps.weight", shape(experts, times(2, n), hidden), perLayer, within(func(d dims) []span { return []span{{0, n(d)}} })},
			rule{from + "gate_up_proj" + suffix, to + "up_exps.weight", shape(experts, times(2, n), hidden), perLayer, within(func(d dims) []span { return []span{{n(d), n(d)}} })},
			rule{from + "down_proj" + suffix, to + "down_exps.weight", shape(experts, hidden, n), perLayer, nil},
		)
	}
	return out
}

// router is what chooses the experts.
func router(set, from string) rule {
	return rule{"model.layers." + set + "." + from + ".weight", "blk." + set + ".ffn_gate_inp.weight", matrix(experts, hidden), needed, nil}
}

// rulesOf puts lists of rules together.
func rulesOf(lists ...[]rule) []rule {
	var out []rule
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// biased adds to each rule of a weight one for the bias beside it, a vector of the weight's rows or of the norm's values.
func biased(p presence, list []rule) []rule {
	var out []rule
	for _, r := range list {
		from, ok := strings.CutSuffix(r.from, ".weight")
		to, _ := strings.CutSuffix(r.to, ".weight")
		out = append(out, r)
		if ok {
			out = append(out, rule{from + ".bias", to + ".bias", r.shape[:1], p, r.change})
		}
	}
	return out
}

// named puts other names for the sources of rules: pairs of what stands in them and what is there instead.
func named(list []rule, pairs ...string) []rule {
	out := make([]rule, len(list))
	for i, r := range list {
		r.from = strings.NewReplacer(pairs...).Replace(r.from)
		out[i] = r
	}
	return out
}

// inSet makes rules for all layers those for a set of them.
func inSet(set string, list []rule) []rule {
	out := make([]rule, len(list))
	for i, r := range list {
		r.from, r.to = strings.Replace(r.from, "{i}", set, 1), strings.Replace(r.to, "{i}", set, 1)
		out[i] = r
	}
	return out
}

// allOf gives rules a presence.
func allOf(p presence, list []rule) []rule {
	for i := range list {
		list[i].presence = p
	}
	return list
}
