package arch

// falconh1 has Mamba 2 and attention side by side in each layer, and multipliers in its config that the converter puts into
// the weights (FalconH1Model in conversion/falcon_h1.py).
var falconh1 = &family{
	name:    "falcon-h1",
	classes: []string{"FalconH1ForCausalLM"},
	rules: rulesOf([]rule{
		{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, multiplied(multiplier("embedding_multiplier"))},
		{"model.final_layernorm.weight", "output_norm.weight", vector(hidden), needed, nil},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), unlessTied, multiplied(multiplier("lm_head_multiplier"))},
		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.pre_ff_layernorm.weight", "blk.{i}.ffn_norm", vector(hidden), needed, nil}, // as llama.cpp has it
		{"model.layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", matrix(queries, hidden), needed, multiplied(multiplier("attention_in_multiplier"))},
		{"model.layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", matrix(keys, hidden), needed, multiplied(multiplier("key_multiplier"), multiplier("attention_in_multiplier"))},
		{"model.layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", matrix(keys, hidden), needed, multiplied(multiplier("attention_in_multiplier"))},
		{"model.layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, multiplied(multiplier("attention_out_multiplier"))},
		{"model.layers.{i}.feed_forward.gate_proj.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, multiplied(multiplierAt("mlp_multipliers", 0))},
		{"model.layers.{i}.feed_forward.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.feed_forward.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, multiplied(multiplierAt("mlp_multipliers", 1))},
	}, falconMixer()),
	needsFF:   true,
	tokenizer: bpeOnly,
	ownParams: true,
	params: func(m *mapping, set func(string, any)) error {
		c, d, x := m.config, m.dims, falconH1Sizes
		if act := c.text("hidden_act"); act != "" && act != "silu" {
			c.fail("hidden_act: %q, llama.cpp knows silu", act)
		}
		set("context_length", uint32(c.integer("max_position_embeddings")))
		set("embedding_length", uint32(d.hidden))
		set("feed_forward_length", uint32(d.ff))
		set("attention.head_count", uint32(d.heads))
		set("block_count", uint32(d.layers))
		set("ssm.conv_kernel", uint32(x.kernel(d)))
		set("ssm.inner_size", uint32(x.inner(d)))
		set("ssm.state_size", uint32(x.state(d)))
		set("ssm.time_step_rank", uint32(x.heads(d)))
		set("ssm.group_count", uint32(x.groups(d)))
		set("attention.layer_norm_rms_epsilon", c.float(c.firstOf([]string{"layer_norm_epsilon", "rms_norm_eps"})))
		set("vocab_size", uint32(d.vocab))
		set("attention.head_count_kv", uint32(d.kvHeads))
		set("attention.key_length", uint32(d.headDim))
		set("attention.value_length", uint32(d.headDim))
		set("rope.freq_base", float32(m.rope.theta))
		return nil
	},
}

var falconH1Sizes = mixer{
	inner:  value("mamba_d_ssm"),
	heads:  func(d dims) int64 { return value("mamba_d_ssm")(d) / max(1, value("mamba_d_head")(d)) },
	groups: value("mamba_n_groups"),
	state:  value("mamba_d_state"),
	kernel: value("mamba_d_conv"),
}

// falconMixer multiplies what goes into the state, each part by a number of its own, and what comes out of it.
func falconMixer() []rule {
	list := mamba2Mixer("model.layers.{i}.mamba.", "blk.{i}.", falconH1Sizes)
	for i := range list {
		switch list[i].to {
		case "blk.{i}.ssm_in.weight":
			list[i].change = falconIn
		case "blk.{i}.ssm_out.weight":
			list[i].change = multiplied(multiplier("ssm_out_multiplier"))
		case "blk.{i}.ssm_norm.weight":
			list[i].presence = optional
		}
	}
	return list
}

// falconIn is the gate, the values, keys, queries and time steps, one after the other.
func falconIn(d dims, shape []int64) reading {
	x := falconH1Sizes
	states := x.groups(d) * x.state(d)
	r := rows(func(d dims) []span {
		inner := x.inner(d)
		return []span{{0, inner}, {inner, inner}, {2 * inner, states}, {2*inner + states, states}, {2*inner + 2*states, x.heads(d)}}
	})(d, shape)
	for i := range r.views {
		r.factors = append(r.factors, []float32{float32(multiplier("ssm_in_multiplier")(d.config)), float32(multiplierAt("ssm_multipliers", i)(d.config))})
	}
	return r
}

// multiplier is a number of the config that must be there.
func multiplier(key string) func(*config) float64 {
	return func(c *config) float64 {
		c.require(key)
		return c.number(key)
	}
}

// multiplierAt is one of a list of the config.
func multiplierAt(key string, i int) func(*config) float64 {
	return func(c *config) float64 {
		list := c.numbers(key)
		if i >= len(list) {
			c.fail("%s: %d numbers, want %d or more", key, len(list), i+1)
			return 0
		}
		return list[i]
	}
}
