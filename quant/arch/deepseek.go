package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// deepseek2 is DeepSeek V2, V3 and R1, Kimi K2 and Moonlight: keys and values squeezed into a latent that all heads share.
// llama.cpp absorbs what unpacks it into queries and outputs, so kv_b is cut in two and the keys' half turned
// (DeepseekV2Model in conversion/deepseek.py).
var deepseek2 = &family{
	name: "deepseek2",
	classes: []string{"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "KimiVLForConditionalGeneration", "KimiK25ForConditionalGeneration",
		"YoutuForCausalLM"},
	note:  "layers that predict further tokens are left out, as llama.cpp does, but for GLM's; of Kimi VL and K2.5 the text part",
	rules: latentRules(),
	layers: map[string]func(*mapping, int) bool{
		"dense": func(m *mapping, layer int) bool { return layer < m.denseLayers() },
		"moe":   func(m *mapping, layer int) bool { return layer >= m.denseLayers() },
	},
	filter: func(m *mapping, name string) string {
		if m.layerOf(strings.TrimPrefix(name, "language_model.")) >= m.dims.layers {
			return "predicts more tokens at once, which llama.cpp does not load"
		}
		return dropHeadIfTied(m, name)
	},
	prepare: deepseekDefaults,
	needsFF: true,
	tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, Tiktoken: &tokenizer.Tiktoken{
		File: "tiktoken.model", Pre: "kimi-k2", Reserved: "<|reserved_token_%d|>"}},
	params: deepseekParams,
}

// glm4lite is GLM 4.7 Flash: DeepSeek's layers, with those that predict further tokens (Glm4MoeLiteModel in
// conversion/glm.py).
var glm4lite = &family{
	name:    "deepseek2",
	classes: []string{"Glm4MoeLiteForCausalLM"},
	rules:   rulesOf(latentRules(), predictors(nil)),
	layers: map[string]func(*mapping, int) bool{
		"dense": deepseek2.layers["dense"],
		"moe":   deepseek2.layers["moe"],
		"mtp":   func(m *mapping, layer int) bool { return int64(layer) >= m.dims.trunk },
	},
	filter:    dropHeadIfTied,
	prepare:   deepseekDefaults,
	adjust:    func(m *mapping) { m.dims.layers += m.config.integer("num_nextn_predict_layers") },
	needsFF:   true,
	tokenizer: glm4moe.tokenizer,
	params: func(m *mapping, set func(string, any)) error {
		if err := deepseekParams(m, set); err != nil {
			return err
		}
		if n := m.dims.layers - m.dims.trunk; n > 0 {
			set("nextn_predict_layers", uint32(n))
		}
		return nil
	},
}

func latentRules() []rule {
	return rulesOf(outer(), norms(nil), latentAttention(), []rule{
		router("{moe}", "mlp.gate"),
		{"model.layers.{moe}.mlp.gate.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
	}, mlp("{dense}"), usualExperts("{moe}", value("moe_intermediate_size")), sharedExperts("{moe}"))
}

// latentAttention are the projections into the latent and out of it.
func latentAttention() []rule {
	return []rule{
		{"model.layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", matrix(mlaQueries, hidden), optional, nil},
		{"model.layers.{i}.self_attn.q_a_proj.weight", "blk.{i}.attn_q_a.weight", matrix(queryRank, hidden), optional, nil},
		{"model.layers.{i}.self_attn.q_a_layernorm.weight", "blk.{i}.attn_q_a_norm.weight", vector(queryRank), optional, nil},
		{"model.layers.{i}.self_attn.q_b_proj.weight", "blk.{i}.attn_q_b.weight", matrix(mlaQueries, queryRank), optional, nil},
		{"model.layers.{i}.self_attn.kv_a_proj_with_mqa.weight", "blk.{i}.attn_kv_a_mqa.weight", matrix(sum(latent, turnedPart), hidden), needed, nil},
		{"model.layers.{i}.self_attn.kv_a_layernorm.weight", "blk.{i}.attn_kv_a_norm.weight", vector(latent), needed, nil},
		{"model.layers.{i}.self_attn.kv_b_proj.weight", "blk.{i}.attn_k_b.weight", matrix(product(heads, sum(plainPart, valuePart)), latent), needed, latentKeys},
		{"model.layers.{i}.self_attn.kv_b_proj.weight", "blk.{i}.attn_v_b.weight", matrix(product(heads, sum(plainPart, valuePart)), latent), needed, latentValues},
		{"model.layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, product(heads, valuePart)), needed, nil},
	}
}

// deepseekDefaults are those of transformers' configuration classes, which don't know Kimi: its head_dim is not written
// where theirs is.
func deepseekDefaults(c *config) {
	if kind, _ := c.root["model_type"].(string); kind == "" || kind == "deepseek_v2" || kind == "deepseek_v3" || kind == "glm4_moe_lite" {
		c.doc["head_dim"] = c.doc["qk_rope_head_dim"]
	}
	c.or("rms_norm_eps", 1e-6)
	c.or("kv_lora_rank", 512.0)
	c.or("n_shared_experts", 0.0)
}

func deepseekParams(m *mapping, set func(string, any)) error {
	c, d := m.config, m.dims
	set("attention.head_count_kv", uint32(1)) // the latent is one head for all
	set("leading_dense_block_count", uint32(m.denseLayers()))
	set("vocab_size", uint32(d.vocab))
	m.setCount("attention.q_lora_rank", "q_lora_rank")
	set("attention.kv_lora_rank", uint32(latent(d)))
	set("attention.key_length", uint32(latent(d)+turnedPart(d)))
	set("attention.value_length", uint32(latent(d)))
	set("attention.key_length_mla", uint32(plainPart(d)+turnedPart(d)))
	set("attention.value_length_mla", uint32(valuePart(d)))
	m.setCount("expert_feed_forward_length", "moe_intermediate_size", "intermediate_size")
	m.setCount("expert_count", "n_routed_experts")
	set("expert_shared_count", uint32(c.integer("n_shared_experts")))
	m.setFloat("expert_weights_scale", "routed_scaling_factor")
	if c.flag("norm_topk_prob") {
		set("expert_weights_norm", true)
	}
	set("rope.dimension_count", uint32(turnedPart(d)))
	if p := m.rope.params; p.has("mscale_all_dim") {
		set("rope.scaling.yarn_log_multiplier", float32(0.1*p.number("mscale_all_dim")))
	}
	return nil
}

// Parts of a head: what is turned with the position, what isn't, and the value. The latent is what all heads share.
var (
	turnedPart = value("qk_rope_head_dim")
	plainPart  = value("qk_nope_head_dim")
	valuePart  = value("v_head_dim")
	latent     = value("kv_lora_rank")
	queryRank  = value("q_lora_rank")
	mlaQueries = product(heads, sum(plainPart, turnedPart))
)

// latentKeys is for each head the keys' part of kv_b, turned: rows for the latent, columns for the head.
func latentKeys(d dims, shape []int64) reading {
	keys, rank := plainPart(d), shape[1]
	return reading{shape: []int64{d.heads, rank, keys}, views: []View{{
		Rows: []Dim{{d.heads, (keys + valuePart(d)) * rank}, {rank, 1}}, Cols: []Dim{{keys, rank}}}}}
}

// latentValues is for each head the values' part of kv_b.
func latentValues(d dims, shape []int64) reading {
	r := grouped(heads, func(d dims) []span { return []span{{plainPart(d), valuePart(d)}} })(d, shape)
	r.shape = []int64{d.heads, valuePart(d), shape[1]}
	return r
}

// sharedExperts are the network of the experts that are always asked, which lie in one.
func sharedExperts(set string) []rule {
	return allOf(optional, gated("model.layers."+set+".mlp.shared_experts.", "blk."+set+".ffn_*_shexp", product(value("n_shared_experts"), value("moe_intermediate_size"))))
}

// denseLayers is how many of the first layers have no experts.
func (m *mapping) denseLayers() int {
	c := m.config
	switch {
	case c.has("first_k_dense_replace"):
		return int(c.integer("first_k_dense_replace"))
	case c.has("n_routed_experts"):
		return 0
	}
	return int(m.dims.trunk)
}

// layerOf is the number in model.layers.N, -1 for any other name.
func (m *mapping) layerOf(name string) int64 {
	rest, ok := strings.CutPrefix(name, "model.layers.")
	number, _, dot := strings.Cut(rest, ".")
	if !ok || !dot || len(number) > 9 {
		return -1
	}
	n := int64(0)
	for _, r := range number {
		if r < '0' || r > '9' {
			return -1
		}
		n = n*10 + int64(r-'0')
	}
	return n
}
