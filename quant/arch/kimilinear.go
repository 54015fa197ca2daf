package arch

import (
	"slices"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// kimilinear is Kimi Linear: attention with a state in most layers, DeepSeek's latent in the others, Mixtral's experts
// (KimiLinearModel in conversion/kimi_linear.py).
var kimilinear = &family{
	name:    "kimi-linear",
	classes: []string{"KimiLinearForCausalLM", "KimiLinearModel"},
	rules: rulesOf(outer(), norms(nil), statefulAttention("{kda}"), inSet("{mla}", latentAttention()), mlp("{dense}"), []rule{
		router("{moe}", "block_sparse_moe.gate"),
		{"model.layers.{moe}.block_sparse_moe.gate.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", vector(experts), needed, nil},
	}, expertsOf("{moe}", "block_sparse_moe.experts", value("moe_intermediate_size"), "w2", "w1", "w3"),
		allOf(optional, gated("model.layers.{moe}.block_sparse_moe.shared_experts.", "blk.{moe}.ffn_*_shexp", product(value("num_shared_experts"), value("moe_intermediate_size"))))),
	layers: map[string]func(*mapping, int) bool{
		"kda":   func(m *mapping, layer int) bool { return !m.seesAll(layer) },
		"mla":   (*mapping).seesAll,
		"dense": firstDense["dense"],
		"moe":   firstDense["moe"],
	},
	needsFF:  true,
	needsRMS: true,
	tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, Tiktoken: &tokenizer.Tiktoken{
		File: "tiktoken.model", Pre: "kimi-k2", Reserved: "<|reserved_token_%d|>", NamedEOS: true}},
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		linear := c.object("linear_attn_config")
		set("vocab_size", uint32(d.vocab))
		shared := make([]int32, d.layers)
		for i := range shared {
			if m.seesAll(i) {
				shared[i] = 1 // the latent is one head for all
			}
		}
		set("attention.head_count_kv", shared)
		set("ssm.conv_kernel", uint32(linear.count("short_conv_kernel_size")))
		set("kda.head_dim", uint32(linear.count("head_dim")))
		m.setCount("attention.q_lora_rank", "q_lora_rank")
		set("attention.kv_lora_rank", uint32(latent(d)))
		set("rope.dimension_count", uint32(turnedPart(d)))
		set("attention.key_length", uint32(latent(d)+turnedPart(d)))
		set("attention.key_length_mla", uint32(plainPart(d)+turnedPart(d)))
		set("attention.value_length_mla", uint32(valuePart(d)))
		set("expert_feed_forward_length", uint32(c.count("moe_intermediate_size")))
		set("expert_shared_count", uint32(c.integer("num_shared_experts")))
		set("leading_dense_block_count", uint32(m.denseLayers()))
		set("expert_weights_scale", c.float("routed_scaling_factor"))
		return nil
	},
}

// seesAll tells whether a layer attends to all that was; they are counted from 1.
func (m *mapping) seesAll(layer int) bool {
	return slices.Contains(m.config.object("linear_attn_config").numbers("full_attn_layers"), float64(layer+1))
}

// Sizes of attention with a state.
var (
	kdaHead   = func(d dims) int64 { return d.config.object("linear_attn_config").count("head_dim") }
	kdaKernel = func(d dims) int64 { return d.config.object("linear_attn_config").count("short_conv_kernel_size") }
	kdaWidth  = product(heads, kdaHead)
)

func statefulAttention(set string) []rule {
	from, to := "model.layers."+set+".self_attn.", "blk."+set+"."
	out := []rule{
		{from + "f_a_proj.weight", to + "ssm_f_a.weight", matrix(kdaHead, hidden), needed, nil},
		{from + "f_b_proj.weight", to + "ssm_f_b.weight", matrix(kdaWidth, kdaHead), needed, nil},
		{from + "g_a_proj.weight", to + "ssm_g_a.weight", matrix(kdaHead, hidden), needed, nil},
		{from + "g_b_proj.weight", to + "ssm_g_b.weight", matrix(kdaWidth, kdaHead), needed, nil},
		{from + "b_proj.weight", to + "ssm_beta.weight", matrix(heads, hidden), needed, nil},
		{from + "A_log", to + "ssm_a", shape(one, one, heads, one), needed, negExp},
		{from + "dt_bias", to + "ssm_dt.bias", vector(kdaWidth), needed, nil},
		{from + "o_norm.weight", to + "ssm_norm.weight", vector(kdaHead), needed, nil},
		{from + "o_proj.weight", to + "attn_output.weight", matrix(hidden, kdaWidth), needed, nil},
	}
	for _, x := range []string{"q", "k", "v"} {
		out = append(out,
			rule{from + x + "_proj.weight", to + "attn_" + x + ".weight", matrix(kdaWidth, hidden), needed, nil},
			rule{from + x + "_conv1d.weight", to + "ssm_conv1d_" + x + ".weight", shape(kdaWidth, one, kdaKernel), needed, reshaped(one, kdaWidth, one, kdaKernel)})
	}
	return out
}
