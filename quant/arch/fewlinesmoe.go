package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Families with experts that differ in a few lines from Qwen's, Mixtral or DeepSeek.
var (
	// deepseek is DeepSeek MoE, the first: Llama's attention, dense layers first (DeepseekModel in conversion/deepseek.py).
	deepseek = &family{
		name:    "deepseek",
		classes: []string{"DeepseekForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), mlp("{dense}"), []rule{router("{moe}", "mlp.gate")},
			usualExperts("{moe}", value("moe_intermediate_size")), sharedExperts("{moe}")),
		layers:  firstDense,
		needsFF: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("rope.dimension_count", uint32(d.headDim))
			set("rope.scaling.type", "none")
			set("leading_dense_block_count", uint32(m.denseLayers()))
			set("vocab_size", uint32(d.vocab))
			set("expert_feed_forward_length", uint32(c.count("moe_intermediate_size")))
			set("expert_weights_scale", float32(1))
			set("expert_count", uint32(c.count("n_routed_experts")))
			set("expert_shared_count", uint32(c.integer("n_shared_experts")))
			return nil
		},
	}
	// dots1 is rednote's dots.llm1 (Dots1Model in conversion/dots1.py).
	dots1 = &family{
		name:    "dots1",
		classes: []string{"Dots1ForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), headNorms("{i}", nil), mlp("{dense}"), []rule{
			router("{moe}", "mlp.gate"),
			{"model.layers.{moe}.mlp.gate.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
		}, usualExperts("{moe}", value("moe_intermediate_size")), sharedExperts("{moe}")),
		layers:    firstDense,
		needsFF:   true,
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			if err := qwenExperts(m, set); err != nil {
				return err
			}
			set("leading_dense_block_count", uint32(m.denseLayers()))
			set("expert_shared_count", uint32(c.integer("n_shared_experts")))
			set("expert_weights_scale", c.float("routed_scaling_factor"))
			set("expert_weights_norm", c.flag("norm_topk_prob"))
			return nil
		},
	}
	// bailingmoe is Ling, whose queries, keys and values lie in one matrix (BailingMoeModel in conversion/bailingmoe.py).
	bailingmoe = &family{
		name:    "bailingmoe",
		classes: []string{"BailingMoeForCausalLM"},
		rules: rulesOf(bailingOuter(), norms(nil), []rule{
			{"model.layers.{i}.attention.query_key_value.weight", "blk.{i}.attn_q.weight", matrix(sum(queries, times(2, keys)), hidden), needed, bailingPart(0)},
			{"model.layers.{i}.attention.query_key_value.weight", "blk.{i}.attn_k.weight", matrix(sum(queries, times(2, keys)), hidden), needed, bailingPart(1)},
			{"model.layers.{i}.attention.query_key_value.weight", "blk.{i}.attn_v.weight", matrix(sum(queries, times(2, keys)), hidden), needed, rows(func(d dims) []span {
				return []span{{queries(d) + keys(d), keys(d)}}
			})},
			{"model.layers.{i}.attention.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
			router("{i}", "mlp.gate"),
		}, usualExperts("{i}", value("moe_intermediate_size")), bailingShared("{i}")),
		adjust: func(m *mapping) {
			if m.config.flag("norm_head") {
				m.config.fail("norm_head: a head that is normalised is not supported")
			}
			if n := m.denseLayers(); n != 0 {
				m.config.fail("first_k_dense_replace: %d, llama.cpp wants experts in all layers", n)
			}
		},
		needsFF:   true,
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("rope.dimension_count", uint32(d.headDim))
			set("leading_dense_block_count", uint32(m.denseLayers()))
			set("vocab_size", uint32(d.vocab))
			set("expert_feed_forward_length", uint32(c.count("moe_intermediate_size")))
			set("expert_weights_scale", float32(1))
			set("expert_shared_count", uint32(c.integer("num_shared_experts")))
			set("expert_weights_norm", c.flag("norm_topk_prob"))
			return nil
		},
	}
	// bailingmoe2 is Ling and Ring 2, with norms on heads and layers that predict further tokens (BailingMoeV2Model in
	// conversion/bailingmoe.py).
	bailingmoe2 = &family{
		name:    "bailingmoe2",
		classes: []string{"BailingMoeV2ForCausalLM"},
		note:    keptPredictors,
		rules: rulesOf(bailingOuter(), norms(nil), []rule{
			{"model.layers.{i}.attention.query_key_value.weight", "blk.{i}.attn_qkv.weight", matrix(sum(queries, times(2, keys)), hidden), needed, nil},
			{"model.layers.{i}.attention.dense.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
			{"model.layers.{i}.attention.query_layernorm.weight", "blk.{i}.attn_q_norm.weight", vector(headDim), needed, nil},
			{"model.layers.{i}.attention.key_layernorm.weight", "blk.{i}.attn_k_norm.weight", vector(headDim), needed, nil},
			router("{moe}", "mlp.gate"),
			{"model.layers.{moe}.mlp.gate.expert_bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
			{"model.layers.{mtp}.final_layernorm.weight", "blk.{mtp}.layer_output_norm.weight", vector(hidden), needed, nil},
		}, mlp("{dense}"), usualExperts("{moe}", value("moe_intermediate_size")), bailingShared("{moe}"), predictors(nil)),
		layers: map[string]func(*mapping, int) bool{
			"dense": firstDense["dense"],
			"moe":   firstDense["moe"],
			"mtp":   func(m *mapping, layer int) bool { return int64(layer) >= m.dims.trunk },
		},
		adjust:    func(m *mapping) { m.dims.layers += m.config.integer("num_nextn_predict_layers") },
		needsFF:   true,
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("rope.dimension_count", m.turned(0.5))
			set("leading_dense_block_count", uint32(m.denseLayers()))
			set("vocab_size", uint32(d.vocab))
			set("expert_feed_forward_length", uint32(c.count("moe_intermediate_size")))
			set("expert_shared_feed_forward_length", uint32(bailingWidth(d)))
			set("expert_weights_scale", c.float("routed_scaling_factor"))
			set("expert_shared_count", uint32(c.integer("num_shared_experts")))
			set("expert_weights_norm", c.flag("norm_topk_prob"))
			m.setCount("nextn_predict_layers", "num_nextn_predict_layers")
			return nil
		},
	}
	// minimaxm2 has Mixtral's experts and norms over all queries and all keys (MiniMaxM2Model in conversion/minimax.py).
	minimaxm2 = &family{
		name:    "minimax-m2",
		classes: []string{"MiniMaxM2ForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), wideNorms(), []rule{
			router("{i}", "block_sparse_moe.gate"),
			{"model.layers.{i}.block_sparse_moe.e_score_correction.bias", "blk.{i}.exp_probs_b.bias", vector(experts), needed, nil},
		}, mixtralExperts()),
		needsFF:   true,
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			set("expert_feed_forward_length", uint32(m.dims.ff))
			set("rope.dimension_count", uint32(m.config.count("rotary_dim")))
			return nil
		},
	}
	// smallthinker chooses its experts before attention (SmallThinkerModel in conversion/smallthinker.py).
	smallthinker = &family{
		name:    "smallthinker",
		classes: []string{"SmallThinkerForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), []rule{router("{i}", "block_sparse_moe.primary_router")},
			expertsOf("{i}", "block_sparse_moe.experts", value("moe_ffn_hidden_size"), "down", "gate", "up")),
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			m.setCount("expert_count", "moe_num_primary_experts")
			m.setCount("expert_used_count", "moe_num_active_primary_experts")
			m.setCount("expert_feed_forward_length", "moe_ffn_hidden_size")
			m.setCount("feed_forward_length", "moe_ffn_hidden_size")
			gating := "sigmoid"
			if c.flag("moe_primary_router_apply_softmax") {
				gating = "softmax"
			}
			set("expert_gating_func", gatingFuncs[gating])
			for _, near := range c.numbers("sliding_window_layout") {
				if near != 0 && c.number("sliding_window_size") != 0 {
					set("attention.sliding_window", uint32(c.integer("sliding_window_size")))
					break
				}
			}
			return nil
		},
	}
	// afmoe is Arcee's Trinity: gates on attention, norms around both halves of a layer (AfmoeModel in conversion/afmoe.py).
	afmoe = &family{
		name:    "afmoe",
		classes: []string{"AfmoeForCausalLM"},
		rules: rulesOf(outer(), attention("{i}", nil, nil), headNorms("{i}", nil), []rule{
			{"model.layers.{i}.self_attn.gate_proj.weight", "blk.{i}.attn_gate.weight", matrix(queries, hidden), needed, nil},
			{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.pre_mlp_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.post_mlp_layernorm.weight", "blk.{i}.post_ffw_norm.weight", vector(hidden), needed, nil},
			router("{moe}", "mlp.router.gate"),
			{"model.layers.{moe}.mlp.expert_bias", "blk.{moe}.exp_probs_b.bias", vector(experts), needed, nil},
		}, mlp("{dense}"), expertsOf("{moe}", "mlp.experts", value("moe_intermediate_size"), "down_proj", "gate_proj", "up_proj"), bailingShared("{moe}")),
		layers: map[string]func(*mapping, int) bool{
			"dense": func(m *mapping, layer int) bool { return int64(layer) < m.config.integer("num_dense_layers") },
			"moe":   func(m *mapping, layer int) bool { return int64(layer) >= m.config.integer("num_dense_layers") },
		},
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   tokenizer.Options{Llama: true},
		params: func(m *mapping, set func(string, any)) error {
			if err := llamaParams(m, set); err != nil {
				return err
			}
			m.setCount("expert_shared_count", "num_shared_experts")
			m.setCount("expert_feed_forward_length", "moe_intermediate_size")
			m.setCount("leading_dense_block_count", "num_dense_layers")
			m.setFlag("expert_weights_norm", "route_norm")
			m.setFloat("expert_weights_scale", "route_scale")
			m.setCount("attention.sliding_window", "sliding_window")
			return nil
		},
	}
	// exaonemoe is K-EXAONE, with a layer more that predicts the token after the next (ExaoneMoEModel in
	// conversion/exaone.py). Several such layers would share tensors: one is what there is.
	exaonemoe = &family{
		name:    "exaone-moe",
		classes: []string{"ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM"},
		note:    keptPredictors,
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), headNorms("{i}", nil), mlp("{dense}"), []rule{
			router("{moe}", "mlp.gate"),
			{"model.layers.{moe}.mlp.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
			{"model.layers.{moe}.mlp.gate.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
		}, usualExperts("{moe}", value("moe_intermediate_size")), exaoneShared("{moe}"), predictors(nil)),
		layers: map[string]func(*mapping, int) bool{
			"dense": func(m *mapping, layer int) bool { return !m.exaoneExperts(layer) },
			"moe":   (*mapping).exaoneExperts,
			"mtp":   func(m *mapping, layer int) bool { return int64(layer) >= m.dims.trunk },
		},
		rename: renameMTP,
		adjust: func(m *mapping) {
			n := m.config.integer("num_nextn_predict_layers")
			if n > 1 {
				m.config.fail("num_nextn_predict_layers: %d, want 1 or none", n)
			}
			m.dims.layers += n
		},
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			if err := exaone4.params(m, set); err != nil {
				return err
			}
			wide, shared := c.count("moe_intermediate_size"), c.integer("num_shared_experts")
			set("expert_feed_forward_length", uint32(wide))
			set("expert_shared_count", uint32(shared))
			set("expert_shared_feed_forward_length", uint32(wide*shared))
			set("expert_weights_scale", c.float("routed_scaling_factor"))
			set("expert_weights_norm", c.flag("norm_topk_prob"))
			set("leading_dense_block_count", uint32(c.integer(c.firstOf(exaoneDense))))
			set("nextn_predict_layers", uint32(c.integer("num_nextn_predict_layers")))
			set("rope.scaling.type", "none")
			return nil
		},
	}
	// erniemoe has experts in all layers but the first, whose predictors of further tokens llama.cpp leaves out
	// (Ernie4_5MoeModel in conversion/ernie.py).
	erniemoe = &family{
		name:    "ernie4_5-moe",
		classes: []string{"Ernie4_5_MoeForCausalLM"},
		note:    "layers that predict further tokens are left out, as llama.cpp does",
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), mlp("{dense}"), []rule{
			router("{moe}", "mlp.gate"),
			{"model.layers.{moe}.mlp.moe_statics.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", matrix(one, experts), optional, nil},
		}, expertsOf("{moe}", "mlp.experts", value("moe_intermediate_size"), "down_proj", "gate_proj", "up_proj"),
			allOf(optional, gated("model.layers.{moe}.mlp.shared_experts.", "blk.{moe}.ffn_*_shexp", product(value("moe_num_shared_experts"), value("moe_intermediate_size"))))),
		layers: map[string]func(*mapping, int) bool{
			"dense": func(m *mapping, layer int) bool { return !m.ernieExperts(layer) },
			"moe":   func(m *mapping, layer int) bool { return m.ernieExperts(layer) },
		},
		rename: ernieName,
		filter: func(_ *mapping, name string) string {
			for _, part := range []string{"mtp_block", "mtp_emb_norm", "mtp_hidden_norm", "mtp_linear_proj"} {
				if strings.HasPrefix(ernieName(nil, name), "model."+part+".") {
					return "predicts more tokens at once, which llama.cpp does not load"
				}
			}
			return ""
		},
		needsFF:   true,
		needsRMS:  true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly, LateSpacePrefix: true},
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("expert_count", uint32(experts(d)))
			set("expert_used_count", uint32(c.count("moe_k")))
			set("interleave_moe_layer_step", uint32(c.count("moe_layer_interval")))
			set("leading_dense_block_count", uint32(c.integer("moe_layer_start_index")))
			m.setCount("expert_feed_forward_length", "moe_intermediate_size")
			m.setCount("expert_shared_count", "moe_num_shared_experts")
			if c.number("moe_num_shared_experts") > 0 {
				set("expert_shared_feed_forward_length", uint32(d.ff/max(1, d.kvHeads))) // as the converter has it
			}
			return nil
		},
	}
)

// firstDense are layers without experts before those with some.
var firstDense = map[string]func(*mapping, int) bool{
	"dense": func(m *mapping, layer int) bool { return layer < m.denseLayers() },
	"moe":   func(m *mapping, layer int) bool { return layer >= m.denseLayers() },
}

var exaoneDense = []string{"first_k_dense_replace", "first_last_k_dense_replace"}

// exaoneExperts tells whether a layer has experts: those that predict further tokens have none.
func (m *mapping) exaoneExperts(layer int) bool {
	return int64(layer) >= m.config.integer(m.config.firstOf(exaoneDense)) && int64(layer) < m.dims.trunk
}

func exaoneShared(set string) []rule {
	return allOf(optional, gated("model.layers."+set+".mlp.shared_experts.", "blk."+set+".ffn_*_shexp", product(value("num_shared_experts"), value("moe_intermediate_size"))))
}

// ernieExperts tells whether a layer has experts.
func (m *mapping) ernieExperts(layer int) bool {
	step := max(1, m.config.count("moe_layer_interval"))
	return int64(layer) >= m.config.integer("moe_layer_start_index") && (int64(layer)+1)%step == 0
}

// bailingOuter are the embedding, the last norm and the head under Ling's names.
func bailingOuter() []rule { return named(outer(), "embed_tokens", "word_embeddings") }

// bailingPart is the queries or the keys of a fused matrix, in Llama's rotary order.
func bailingPart(part int64) change {
	return func(d dims, shape []int64) reading {
		if part == 0 {
			return permuteQ(d, []int64{queries(d), shape[1]})
		}
		r := permuteK(d, []int64{keys(d), shape[1]})
		r.views[0].First = queries(d) * shape[1]
		return r
	}
}

// bailingWidth is that of the network of the experts that are always asked.
func bailingWidth(d dims) int64 {
	if n := d.config.countOr("moe_shared_expert_intermediate_size", 0); n > 0 {
		return n
	}
	return product(value("moe_intermediate_size"), value("num_shared_experts"))(d)
}

func bailingShared(set string) []rule {
	return allOf(optional, gated("model.layers."+set+".mlp.shared_experts.", "blk."+set+".ffn_*_shexp", bailingWidth))
}
