package arch

// The Qwen models that see. Their text models are those of Qwen 2 and 3 with positions in three dimensions
// (conversion/qwenvl.py, conversion/qwen3vl.py).
var (
	qwen2vl = &family{
		name:     "qwen2vl",
		classes:  []string{"Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "Qwen2VLModel"},
		rules:    qwen2.rules,
		needsFF:  true,
		needsRMS: true,
	}
	qwen3vl = &family{
		name:           "qwen3vl",
		classes:        []string{"Qwen3VLForConditionalGeneration"},
		rules:          qwen3.rules,
		defaultHeadDim: 128,
		knowsHeadDim:   true,
		needsFF:        true,
		needsRMS:       true,
		params: func(m *mapping, set func(string, any)) error {
			if err := qwen3.params(m, set); err != nil {
				return err
			}
			return deepstack(m, set)
		},
	}
	// qwen3vlmoe have experts that are saved all in one, with the columns of their matrices first.
	qwen3vlmoe = &family{
		name:    "qwen3vlmoe",
		classes: []string{"Qwen3VLMoeForConditionalGeneration"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), headNorms("{i}", nil),
			[]rule{router("{i}", "mlp.gate")},
			usualExperts("{i}", value("moe_intermediate_size")), turnedExperts("{i}", value("moe_intermediate_size"))),
		defaultHeadDim: 128,
		knowsHeadDim:   true,
		needsRMS:       true,
		tokenizer:      bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			if err := qwenExperts(m, set); err != nil {
				return err
			}
			return deepstack(m, set)
		},
	}
)

// deepstack writes how many of the first layers are given something of the encoder's inner layers.
func deepstack(m *mapping, set func(string, any)) error {
	set("n_deepstack_layers", uint32(len(m.config.object("vision_config").numbers("deepstack_visual_indexes"))))
	return nil
}

// turnedExperts are fused experts with columns first.
func turnedExperts(set string, n size) []rule {
	from, to := "model.layers."+set+".mlp.experts.", "blk."+set+".ffn_"
	var out []rule
	for _, suffix := range []string{"", ".weight"} {
		out = append(out,
			rule{from + "gate_up_proj" + suffix, to + "gate_exps.weight", shape(experts, hidden, times(2, n)), perLayer, turnedHalf(0)},
			rule{from + "gate_up_proj" + suffix, to + "up_exps.weight", shape(experts, hidden, times(2, n)), perLayer, turnedHalf(1)},
			rule{from + "down_proj" + suffix, to + "down_exps.weight", shape(experts, n, hidden), perLayer, transposed},
		)
	}
	return out
}
