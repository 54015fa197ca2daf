package arch

import (
	"math"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// hunyuanmoe is Hunyuan A13B, whose vocabulary is a list of ranks and whose config states what the layers have in common for
// each (HunYuanMoEModel in conversion/hunyuan.py).
var hunyuanmoe = &family{
	name:    "hunyuan-moe",
	classes: []string{"HunYuanMoEV1ForCausalLM"},
	rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), named(headNorms("{i}", nil), "q_norm", "query_layernorm", "k_norm", "key_layernorm"),
		[]rule{router("{i}", "mlp.gate.wg")}, usualExperts("{i}", value("moe_intermediate_size")),
		gated("model.layers.{i}.mlp.shared_mlp.", "blk.{i}.ffn_*_shexp", product(value("num_shared_expert"), ff))),
	filter: dropHeadIfTied,
	prepare: func(c *config) {
		for _, key := range []string{"moe_intermediate_size", "moe_topk", "num_shared_expert"} {
			list := c.numbers(key)
			for _, n := range list {
				if n != list[0] {
					c.fail("%s: %v and %v, all layers should have the same", key, list[0], n)
				}
			}
			if len(list) == 0 {
				c.fail("%s: want a list of numbers", key)
				return
			}
			c.doc[key] = list[0]
		}
	},
	needsFF:  true,
	needsRMS: true,
	tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, IDs: []tokenizer.SpecialToken{{Kind: "bos", ID: 127959}}, Tiktoken: &tokenizer.Tiktoken{
		File: "hy.tiktoken", Pre: "hunyuan", Special: withExtras("<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>")}},
	params: func(m *mapping, set func(string, any)) error {
		c := m.config
		set("expert_shared_feed_forward_length", uint32(m.dims.ff))
		set("expert_feed_forward_length", uint32(c.count("moe_intermediate_size")))
		set("expert_used_count", uint32(c.count("moe_topk")))
		set("expert_shared_count", uint32(c.count("num_shared_expert")))
		return m.stretch(set, 1000)
	},
}

func hunyuanParams(m *mapping, set func(string, any)) error { return m.stretch(set, 50) }

// stretch stretches positions as Hunyuan does where its config says dynamic: by a larger base, for a context of 256k tokens
// whatever the config says (HunYuanModel.set_gguf_parameters).
func (m *mapping) stretch(set func(string, any), alpha float64) error {
	if m.rope.kind != "dynamic" {
		return nil
	}
	c, d, p := m.config, m.dims, m.rope.params
	if p.has("alpha") {
		alpha = p.number("alpha")
	}
	if n := c.count("max_position_embeddings"); m.rope.theta != 10000 || n != 32<<10 && n != 256<<10 {
		c.fail("rope_theta %v and max_position_embeddings %d: llama.cpp stretches 10000, and 32768 or 262144", m.rope.theta, n)
	}
	head := float64(d.headDim)
	set("rope.freq_base", float32(m.rope.theta*math.Pow(alpha, head/(head-2))))
	set("rope.scaling.type", "none")
	set("rope.scaling.factor", float32(1))
	set("rope.scaling.original_context_length", uint32(256<<10))
	set("context_length", uint32(256<<10))
	return nil
}
