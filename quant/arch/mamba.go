package arch

// The state space models, which have no attention (conversion/mamba.py).
var (
	mamba = &family{
		name:    "mamba",
		classes: []string{"MambaForCausalLM", "MambaLMHeadModel", "FalconMambaForCausalLM"},
		rules: rulesOf(mambaOuter(), []rule{
			{"backbone.layers.{i}.mixer.in_proj.weight", "blk.{i}.ssm_in.weight", matrix(times(2, inner), hidden), needed, nil},
			{"backbone.layers.{i}.mixer.conv1d.weight", "blk.{i}.ssm_conv1d.weight", shape(inner, one, kernel), needed, reshaped(inner, kernel)},
			{"backbone.layers.{i}.mixer.conv1d.bias", "blk.{i}.ssm_conv1d.bias", vector(inner), needed, nil},
			{"backbone.layers.{i}.mixer.x_proj.weight", "blk.{i}.ssm_x.weight", matrix(sum(stepRank, times(2, state)), inner), needed, nil},
			{"backbone.layers.{i}.mixer.dt_proj.weight", "blk.{i}.ssm_dt.weight", matrix(inner, stepRank), needed, nil},
			{"backbone.layers.{i}.mixer.dt_proj.bias", "blk.{i}.ssm_dt.bias", vector(inner), needed, nil},
			{"backbone.layers.{i}.mixer.A_log", "blk.{i}.ssm_a", matrix(inner, state), needed, negExp},
			{"backbone.layers.{i}.mixer.D", "blk.{i}.ssm_d", vector(inner), needed, nil},
			{"backbone.layers.{i}.mixer.out_proj.weight", "blk.{i}.ssm_out.weight", matrix(hidden, inner), needed, nil},
		}),
		rename:      mambaName,
		filter:      dropTiedHead,
		prepare:     func(c *config) { mambaDefaults(c, 8, 16) },
		noAttention: true,
		ownParams:   true,
		params: func(m *mapping, set func(string, any)) error {
			d := m.dims
			if inner(d) != 2*d.hidden {
				m.config.fail("intermediate_size: %d, llama.cpp wants twice hidden_size %d", inner(d), d.hidden)
			}
			mambaParams(m, set)
			set("ssm.time_step_rank", uint32(stepRank(d)))
			set("attention.layer_norm_rms_epsilon", m.config.float("layer_norm_epsilon"))
			set("ssm.dt_b_c_rms", m.config.text("model_type") == "falcon_mamba")
			return nil
		},
	}
	mamba2 = &family{
		name:    "mamba2",
		classes: []string{"Mamba2ForCausalLM"},
		rules: rulesOf(mambaOuter(), mamba2Mixer("backbone.layers.{i}.mixer.", "blk.{i}.", mixer{
			inner: inner, heads: stateHeads, groups: stateGroups, state: state, kernel: kernel})),
		rename: mambaName,
		filter: dropTiedHead,
		prepare: func(c *config) {
			mambaDefaults(c, 16, 128)
			c.or("n_groups", 1.0)
			c.or("head_dim", 64.0)
		},
		noAttention: true,
		ownParams:   true,
		params: func(m *mapping, set func(string, any)) error {
			d := m.dims
			mambaParams(m, set)
			set("ssm.time_step_rank", uint32(stateHeads(d)))
			set("ssm.group_count", uint32(stateGroups(d)))
			set("attention.layer_norm_rms_epsilon", m.config.float("layer_norm_epsilon"))
			return nil
		},
	}
)

var (
	inner       = value("intermediate_size", "d_inner")
	kernel      = value("conv_kernel", "d_conv")
	state       = value("state_size", "d_state")
	stepRank    = value("time_step_rank", "dt_rank")
	stateGroups = value("n_groups")
	stateHeads  = func(d dims) int64 { return inner(d) / max(1, value("head_dim")(d)) }
)

// mixer are the sizes of Mamba 2's kind of layer, which models with other layers besides have under other names.
type mixer struct{ inner, heads, groups, state, kernel size }

// mamba2Mixer are the tensors of such a layer.
func mamba2Mixer(from, to string, x mixer) []rule {
	states := product(x.groups, x.state)
	convolved := sum(x.inner, times(2, states))
	return []rule{
		{from + "in_proj.weight", to + "ssm_in.weight", matrix(sum(times(2, x.inner), times(2, states), x.heads), hidden), needed, nil},
		{from + "conv1d.weight", to + "ssm_conv1d.weight", shape(convolved, one, x.kernel), needed, reshaped(convolved, x.kernel)},
		{from + "conv1d.bias", to + "ssm_conv1d.bias", vector(convolved), optional, nil},
		{from + "dt_bias", to + "ssm_dt.bias", vector(x.heads), needed, nil},
		{from + "A_log", to + "ssm_a", vector(x.heads), needed, func(d dims, _ []int64) reading {
			return reading{shape: []int64{x.heads(d), 1}, op: NegExp}
		}},
		{from + "D", to + "ssm_d", vector(x.heads), needed, reshaped(x.heads, one)},
		{from + "norm.weight", to + "ssm_norm.weight", vector(x.inner), needed, reshaped(x.groups, func(d dims) int64 { return x.inner(d) / max(1, x.groups(d)) })},
		{from + "out_proj.weight", to + "ssm_out.weight", matrix(hidden, x.inner), needed, nil},
	}
}

// params writes the sizes.
func (x mixer) params(d dims, set func(string, any)) {
	set("ssm.conv_kernel", uint32(x.kernel(d)))
	set("ssm.state_size", uint32(x.state(d)))
	set("ssm.group_count", uint32(x.groups(d)))
	set("ssm.inner_size", uint32(x.inner(d)))
	set("ssm.time_step_rank", uint32(x.heads(d)))
}

func negExp(_ dims, shape []int64) reading { return reading{shape: shape, op: NegExp} }

func mambaOuter() []rule {
	return []rule{
		{"backbone.embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"backbone.norm_f.weight", "output_norm.weight", vector(hidden), needed, nil},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
		{"backbone.layers.{i}.norm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
	}
}

// mambaName puts the names of the first Mamba and of Mamba-Codestral in the form of transformers.
func mambaName(_ *mapping, name string) string {
	if name == "backbone.embedding.weight" {
		return "backbone.embeddings.weight"
	}
	if len(name) > 6 && (name[:6] == "model.") {
		return name[6:]
	}
	return name
}

// dropTiedHead leaves the head out where it is the embedding. The converter compares their values.
func dropTiedHead(m *mapping, name string) string {
	if tied, ok := m.config.doc["tie_word_embeddings"].(bool); tied || !ok {
		return dropHead(m, name)
	}
	return ""
}

// mambaDefaults fills in what the converter makes of keys that are not there. The vocabulary is rounded up to a multiple
// of pad.
func mambaDefaults(c *config, pad, states float64) {
	c.or("hidden_size", c.doc["d_model"])
	c.or("conv_kernel", 4.0)
	c.or("state_size", states)
	c.or("layer_norm_epsilon", 1e-5)
	n := c.number("hidden_size")
	if !c.has("intermediate_size") && !c.has("d_inner") {
		c.doc["intermediate_size"] = 2 * n
	}
	if !c.has("time_step_rank") && !c.has("dt_rank") {
		c.doc["time_step_rank"] = float64((int64(n) + 15) / 16)
	}
	if p := c.number("pad_vocab_size_multiple"); p > 0 {
		pad = p
	}
	c.doc["vocab_size"] = float64((int64(c.number("vocab_size")) + int64(pad) - 1) / max(1, int64(pad)) * int64(pad))
}

func mambaParams(m *mapping, set func(string, any)) {
	d := m.dims
	set("context_length", uint32(1<<20)) // any: there is no limit
	set("embedding_length", uint32(d.hidden))
	set("feed_forward_length", uint32(0))
	set("attention.head_count", uint32(0))
	set("block_count", uint32(d.layers))
	set("ssm.conv_kernel", uint32(kernel(d)))
	set("ssm.inner_size", uint32(inner(d)))
	set("ssm.state_size", uint32(state(d)))
}
