package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// jamba has Mamba's layers with norms of their own, attention in every few and experts in every few (JambaModel in
// conversion/jamba.py).
var jamba = &family{
	name:    "jamba",
	classes: []string{"JambaForCausalLM"},
	rules: rulesOf(outer()[:1], outer()[2:], []rule{
		{"model.final_layernorm.weight", "output_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.pre_ff_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{ssm}.mamba.in_proj.weight", "blk.{ssm}.ssm_in.weight", matrix(times(2, jambaInner), hidden), needed, nil},
		{"model.layers.{ssm}.mamba.conv1d.weight", "blk.{ssm}.ssm_conv1d.weight", shape(jambaInner, one, value("mamba_d_conv")), needed, reshaped(jambaInner, value("mamba_d_conv"))},
		{"model.layers.{ssm}.mamba.conv1d.bias", "blk.{ssm}.ssm_conv1d.bias", vector(jambaInner), needed, nil},
		{"model.layers.{ssm}.mamba.x_proj.weight", "blk.{ssm}.ssm_x.weight", matrix(sum(jambaRank, times(2, jambaState)), jambaInner), needed, nil},
		{"model.layers.{ssm}.mamba.dt_proj.weight", "blk.{ssm}.ssm_dt.weight", matrix(jambaInner, jambaRank), needed, nil},
		{"model.layers.{ssm}.mamba.dt_proj.bias", "blk.{ssm}.ssm_dt.bias", vector(jambaInner), needed, nil},
		{"model.layers.{ssm}.mamba.dt_layernorm.weight", "blk.{ssm}.ssm_dt_norm.weight", vector(jambaRank), needed, nil},
		{"model.layers.{ssm}.mamba.b_layernorm.weight", "blk.{ssm}.ssm_b_norm.weight", vector(jambaState), needed, nil},
		{"model.layers.{ssm}.mamba.c_layernorm.weight", "blk.{ssm}.ssm_c_norm.weight", vector(jambaState), needed, nil},
		{"model.layers.{ssm}.mamba.A_log", "blk.{ssm}.ssm_a", matrix(jambaInner, jambaState), needed, negExp},
		{"model.layers.{ssm}.mamba.D", "blk.{ssm}.ssm_d", vector(jambaInner), needed, nil},
		{"model.layers.{ssm}.mamba.out_proj.weight", "blk.{ssm}.ssm_out.weight", matrix(hidden, jambaInner), needed, nil},
		router("{moe}", "feed_forward.router"),
	}, attention("{attn}", nil, nil), gated("model.layers.{dense}.feed_forward.", "blk.{dense}.ffn_*", ff),
		expertsOf("{moe}", "feed_forward.experts", ff, "down_proj", "gate_proj", "up_proj")),
	layers: map[string]func(*mapping, int) bool{
		"ssm":   func(m *mapping, layer int) bool { return !m.every(layer, "attn_layer") },
		"attn":  func(m *mapping, layer int) bool { return m.every(layer, "attn_layer") },
		"moe":   func(m *mapping, layer int) bool { return experts(m.dims) > 1 && m.every(layer, "expert_layer") },
		"dense": func(m *mapping, layer int) bool { return experts(m.dims) == 1 || !m.every(layer, "expert_layer") },
	},
	defaults: map[string]any{"attn_layer_period": 8.0, "attn_layer_offset": 4.0, "expert_layer_period": 2.0, "expert_layer_offset": 1.0, "num_experts": 16.0,
		"num_experts_per_tok": 2.0, "mamba_d_state": 16.0, "mamba_d_conv": 4.0, "mamba_expand": 2.0, "rms_norm_eps": 1e-6, "max_position_embeddings": 262144.0},
	needsFF:   true,
	tokenizer: tokenizer.Options{Kind: tokenizer.Pieces},
	ownParams: true,
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		shared := make([]int32, d.layers)
		for i := range shared {
			if m.every(i, "attn_layer") {
				shared[i] = int32(d.kvHeads)
			}
		}
		set("block_count", uint32(d.layers))
		set("context_length", uint32(c.count(c.firstOf([]string{"max_position_embeddings", "n_ctx"}))))
		set("embedding_length", uint32(d.hidden))
		set("feed_forward_length", uint32(d.ff))
		set("attention.head_count", uint32(d.heads))
		set("attention.head_count_kv", shared)
		set("ssm.conv_kernel", uint32(value("mamba_d_conv")(d)))
		set("ssm.inner_size", uint32(jambaInner(d)))
		set("ssm.state_size", uint32(jambaState(d)))
		set("ssm.time_step_rank", uint32(jambaRank(d)))
		set("attention.layer_norm_rms_epsilon", c.float(c.firstOf([]string{"layer_norm_epsilon", "rms_norm_eps"})))
		m.setCount("expert_count", expertsKeys...)
		m.setCount("expert_used_count", activeKeys...)
		return nil
	},
}

var (
	jambaInner = product(value("mamba_expand"), hidden)
	jambaState = value("mamba_d_state")
)

// jambaRank is mamba_dt_rank, a sixteenth of the hidden size if the config leaves it to that.
func jambaRank(d dims) int64 {
	if s, ok := d.config.doc["mamba_dt_rank"].(string); ok && s == "auto" || !d.config.has("mamba_dt_rank") {
		return (d.hidden + 15) / 16
	}
	return value("mamba_dt_rank")(d)
}

// every tells whether a layer is one of those that come in a period from an offset on.
func (m *mapping) every(layer int, name string) bool {
	offset, period := m.config.integer(name+"_offset"), m.config.count(name+"_period")
	return period > 0 && int64(layer) >= offset && (int64(layer)-offset)%period == 0
}
