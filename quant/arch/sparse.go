package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Relatives of DeepSeek V3: attention to the few tokens that an indexer picks, or experts that are stored in one
// (DeepseekV32Model in conversion/deepseek.py, GlmMoeDsaModel in conversion/glm.py, Mistral4Model in conversion/mistral3.py).
var (
	deepseek32 = &family{
		name:      "deepseek32",
		classes:   []string{"DeepseekV32ForCausalLM"},
		note:      keptPredictors,
		rules:     rulesOf(latentRules(), indexer(), predictors(nil)),
		layers:    glm4lite.layers,
		filter:    dropHeadIfTied,
		prepare:   deepseekDefaults,
		adjust:    glm4lite.adjust,
		needsFF:   true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			if err := deepseekParams(m, set); err != nil {
				return err
			}
			m.setCount("nextn_predict_layers", "num_nextn_predict_layers")
			m.indexerParams(set)
			return nil
		},
	}
	// glmdsa is GLM 5.
	glmdsa = &family{
		name:      "glm-dsa",
		classes:   []string{"GlmMoeDsaForCausalLM"},
		note:      keptPredictors,
		rules:     rulesOf(latentRules(), allOf(perLayer, indexer()), predictors(nil)),
		layers:    glm4lite.layers,
		filter:    dropHeadIfTied,
		prepare:   deepseekDefaults,
		adjust:    glm4lite.adjust,
		needsFF:   true,
		tokenizer: glm4moe.tokenizer,
		params: func(m *mapping, set func(string, any)) error {
			if err := deepseekParams(m, set); err != nil {
				return err
			}
			set("rope.dimension_count", uint32(float64(turnedPart(m.dims))*m.rope.shareOr(1)))
			m.setCount("nextn_predict_layers", "num_nextn_predict_layers")
			m.indexerParams(set)
			if kinds := m.config.strings("indexer_types"); kinds != nil {
				full := make([]bool, len(kinds))
				for i, k := range kinds {
					full[i] = k == "full"
				}
				set("attention.indexer.types", full)
			}
			return nil
		},
	}
	mistral4 = &family{
		name:    "mistral4",
		classes: []string{"Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"},
		when:    func(c *config) bool { return c.text("model_type") == "mistral4" },
		note:    textPart,
		rules: append(withoutExperts(latentRules()),
			rule{"model.layers.{moe}.mlp.experts.gate_up_proj", "blk.{moe}.ffn_gate_up_exps.weight", shape(experts, times(2, value("moe_intermediate_size")), hidden), needed, nil},
			rule{"model.layers.{moe}.mlp.experts.down_proj", "blk.{moe}.ffn_down_exps.weight", shape(experts, hidden, value("moe_intermediate_size")), needed, nil}),
		layers:    deepseek2.layers,
		filter:    dropHeadIfTied,
		prepare:   deepseekDefaults,
		needsFF:   true,
		tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly},
		params:    deepseekParams,
	}
)

// indexer is what picks the tokens that a layer attends to.
func indexer() []rule {
	from, to := "model.layers.{i}.self_attn.indexer.", "blk.{i}.indexer."
	n, head := value("index_n_heads"), value("index_head_dim")
	return []rule{
		{from + "k_norm.weight", to + "k_norm.weight", vector(head), needed, nil},
		{from + "k_norm.bias", to + "k_norm.bias", vector(head), needed, nil},
		{from + "weights_proj.weight", to + "proj.weight", matrix(n, hidden), needed, nil},
		{from + "wk.weight", to + "attn_k.weight", matrix(head, hidden), needed, nil},
		{from + "wq_b.weight", to + "attn_q_b.weight", matrix(product(n, head), queryRank), needed, nil},
	}
}

func (m *mapping) indexerParams(set func(string, any)) {
	set("attention.indexer.head_count", uint32(m.config.count("index_n_heads")))
	set("attention.indexer.key_length", uint32(m.config.count("index_head_dim")))
	set("attention.indexer.top_k", uint32(m.config.count("index_topk")))
}

// withoutExperts leaves out the rules of experts that are stored apart.
func withoutExperts(list []rule) []rule {
	var out []rule
	for _, r := range list {
		if !strings.Contains(r.from, "{e}") {
			out = append(out, r)
		}
	}
	return out
}
