package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// Families that the converter derives from Llama, under architectures of their own.
var (
	// mistral3 are Mistral Small 3.1 and later and Ministral 3, whose config is a text_config (conversion/mistral3.py).
	mistral3 = &family{
		name:         "mistral3",
		classes:      []string{"Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"},
		note:         textPart,
		rules:        rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), mlp("{i}")),
		needsFF:      true,
		needsRMS:     true,
		knowsHeadDim: true,
		ropeFactors:  true,
		tokenizer:    tokenizer.Options{Llama: true},
		params: func(m *mapping, set func(string, any)) error {
			if err := llamaParams(m, set); err != nil {
				return err
			}
			if m.config.text("model_type") == "ministral3" {
				if m.rope.kind != "yarn" {
					m.config.fail("%srope_type: %q, ministral3 needs yarn", m.rope.params.path, m.rope.kind)
				}
				set("rope.scaling.yarn_log_multiplier", m.rope.params.float("mscale_all_dim"))
				set("attention.temperature_scale", m.rope.params.float("llama_4_scaling_beta"))
			}
			return nil
		},
	}
	// smollm3 leaves positions out in every fourth layer, which llama.cpp knows (SmolLM3Model in conversion/llama.py).
	smollm3 = &family{
		name:        "smollm3",
		classes:     []string{"SmolLM3ForCausalLM"},
		rules:       rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), mlp("{i}")),
		defaults:    map[string]any{"rope_theta": 2e6},
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   tokenizer.Options{Llama: true},
		params:      llamaParams,
	}
	// granite are IBM's, whose config has multipliers (conversion/granite.py).
	granite = &family{
		name:        "granite",
		classes:     []string{"GraniteForCausalLM"},
		rules:       rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), mlp("{i}")),
		prepare:     withoutHeadDim,
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   tokenizer.Options{Llama: true},
		params:      graniteParams,
	}
	// granitemoe have experts whose gates and ups lie in one tensor, and some a network that is always asked.
	granitemoe = &family{
		name:    "granitemoe",
		classes: []string{"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), []rule{
			router("{i}", "block_sparse_moe.router.layer"),
			{"model.layers.{i}.block_sparse_moe.input_linear.weight", "blk.{i}.ffn_gate_exps.weight", shape(experts, times(2, ff), hidden), needed, within(firstHalf(ff))},
			{"model.layers.{i}.block_sparse_moe.input_linear.weight", "blk.{i}.ffn_up_exps.weight", shape(experts, times(2, ff), hidden), needed, within(secondHalf(ff))},
			{"model.layers.{i}.block_sparse_moe.output_linear.weight", "blk.{i}.ffn_down_exps.weight", shape(experts, hidden, ff), needed, nil},
			{"model.layers.{i}.shared_mlp.input_linear.weight", "blk.{i}.ffn_gate_shexp.weight", matrix(times(2, shared), hidden), optional, rows(firstHalf(shared))},
			{"model.layers.{i}.shared_mlp.input_linear.weight", "blk.{i}.ffn_up_shexp.weight", matrix(times(2, shared), hidden), optional, rows(secondHalf(shared))},
			{"model.layers.{i}.shared_mlp.output_linear.weight", "blk.{i}.ffn_down_shexp.weight", matrix(hidden, shared), optional, nil},
		}),
		prepare:     withoutHeadDim,
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   tokenizer.Options{Llama: true},
		params: func(m *mapping, set func(string, any)) error {
			if err := graniteParams(m, set); err != nil {
				return err
			}
			if m.config.number("shared_intermediate_size") != 0 {
				m.setCount("expert_shared_feed_forward_length", "shared_intermediate_size")
			}
			return nil
		},
	}
)

func shared(d dims) int64 { return d.config.count("shared_intermediate_size") }

// firstHalf and secondHalf are the halves of 2n rows.
func firstHalf(n size) func(dims) []span {
	return func(d dims) []span { return []span{{0, n(d)}} }
}

func secondHalf(n size) func(dims) []span {
	return func(d dims) []span { return []span{{n(d), n(d)}} }
}

// withoutHeadDim is for families that ignore head_dim.
func withoutHeadDim(c *config) { delete(c.doc, "head_dim") }

func graniteParams(m *mapping, set func(string, any)) error {
	if err := llamaParams(m, set); err != nil {
		return err
	}
	for _, k := range [][2]string{
		{"attention.scale", "attention_multiplier"}, {"embedding_scale", "embedding_multiplier"},
		{"residual_scale", "residual_multiplier"}, {"logit_scale", "logits_scaling"},
	} {
		if x := m.config.number(k[1]); x != 0 {
			set(k[0], float32(x))
		}
	}
	return nil
}
