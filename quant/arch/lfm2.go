package arch

// lfm2 is Liquid's: short convolutions in most layers, attention in the others (LFM2Model in conversion/lfm2.py).
var lfm2 = &family{
	name:    "lfm2",
	classes: []string{"Lfm2ForCausalLM", "LFM2ForCausalLM"},
	rules: rulesOf(lfmTrunk(), []rule{
		{"model.layers.{i}.feed_forward.w1.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.feed_forward.w2.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		{"model.layers.{i}.feed_forward.w3.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
	}),
	layers: map[string]func(*mapping, int) bool{
		"conv": func(m *mapping, layer int) bool { return m.layerKind(layer) == "conv" },
		"attn": func(m *mapping, layer int) bool { return m.layerKind(layer) != "conv" },
	},
	prepare: func(c *config) { // as transformers' configuration class does
		for _, k := range [][2]string{{"intermediate_size", "block_ff_dim"}, {"rope_theta", "theta"}} {
			if c.has(k[1]) {
				c.doc[k[0]] = c.doc[k[1]]
			}
		}
		c.or("rope_theta", 1e6)
		if attend := c.numbers("full_attn_idxs"); !c.has("layer_types") && attend != nil {
			kinds := make([]any, min(c.integer("num_hidden_layers"), maxLayers))
			for i := range kinds {
				kinds[i] = "conv"
			}
			for _, i := range attend {
				if i >= 0 && i < float64(len(kinds)) {
					kinds[int(i)] = "full_attention"
				}
			}
			c.doc["layer_types"] = kinds
		}
	},
	adjust: func(m *mapping) {
		c := m.config
		if len(m.config.strings("layer_types")) != int(m.dims.layers) {
			c.fail("layer_types: want one for each of %d layers", m.dims.layers)
		}
		if !c.flag("block_auto_adjust_ff_dim") {
			return
		}
		n := int64(2 * float64(m.dims.ff) / 3)
		if c.has("block_ffn_dim_multiplier") {
			n = int64(c.number("block_ffn_dim_multiplier") * float64(n))
		}
		if of := c.count("block_multiple_of"); of > 0 {
			m.dims.ff = (n + of - 1) / of * of
		}
	},
	needsFF:   true,
	tokenizer: bpeOnly,
	params: func(m *mapping, set func(string, any)) error {
		perLayer := make([]int32, m.dims.layers)
		for i := range perLayer {
			if m.layerKind(i) != "conv" {
				perLayer[i] = int32(m.dims.kvHeads)
			}
		}
		set("attention.head_count_kv", perLayer)
		set("vocab_size", uint32(m.dims.vocab))
		set("shortconv.l_cache", uint32(m.config.count("conv_L_cache")))
		return nil
	},
}

// lfm2moe has experts in all layers but the first (LFM2MoeModel in conversion/lfm2.py).
var lfm2moe = &family{
	name:    "lfm2moe",
	classes: []string{"Lfm2MoeForCausalLM"},
	rules: rulesOf(lfmTrunk(), []rule{
		{"model.layers.{dense}.feed_forward.w1.weight", "blk.{dense}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{dense}.feed_forward.w2.weight", "blk.{dense}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		{"model.layers.{dense}.feed_forward.w3.weight", "blk.{dense}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		router("{moe}", "feed_forward.gate"),
		{"model.layers.{moe}.feed_forward.expert_bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
		{"model.layers.{moe}.feed_forward.experts.{e}.w1.weight", "blk.{moe}.ffn_gate_exps.weight", matrix(value("moe_intermediate_size"), hidden), needed, nil},
		{"model.layers.{moe}.feed_forward.experts.{e}.w2.weight", "blk.{moe}.ffn_down_exps.weight", matrix(hidden, value("moe_intermediate_size")), needed, nil},
		{"model.layers.{moe}.feed_forward.experts.{e}.w3.weight", "blk.{moe}.ffn_up_exps.weight", matrix(value("moe_intermediate_size"), hidden), needed, nil},
	}),
	layers: map[string]func(*mapping, int) bool{
		"conv":  func(m *mapping, layer int) bool { return m.layerKind(layer) != "full_attention" },
		"attn":  func(m *mapping, layer int) bool { return m.layerKind(layer) == "full_attention" },
		"dense": func(m *mapping, layer int) bool { return int64(layer) < m.config.integer("num_dense_layers") },
		"moe":   func(m *mapping, layer int) bool { return int64(layer) >= m.config.integer("num_dense_layers") },
	},
	defaults:  map[string]any{"rope_theta": 1e6, "num_dense_layers": 2.0},
	adjust:    lfm2.adjust,
	needsFF:   true,
	tokenizer: bpeOnly,
	params: func(m *mapping, set func(string, any)) error {
		perLayer := make([]int32, m.dims.layers)
		for i := range perLayer {
			if m.layerKind(i) == "full_attention" {
				perLayer[i] = int32(m.dims.kvHeads)
			}
		}
		set("attention.head_count_kv", perLayer)
		m.setCount("expert_feed_forward_length", "moe_intermediate_size")
		set("leading_dense_block_count", uint32(m.config.integer("num_dense_layers")))
		set("expert_gating_func", gatingFuncs["sigmoid"])
		set("vocab_size", uint32(m.dims.vocab))
		set("shortconv.l_cache", uint32(m.config.count("conv_L_cache")))
		return nil
	},
}

// lfmTrunk is what a model with short convolutions has besides its feed-forward networks.
func lfmTrunk() []rule {
	convolution := value("conv_L_cache")
	return rulesOf([]rule{
		{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"model.embedding_norm.weight", "token_embd_norm.weight", vector(hidden), needed, nil},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
		{"model.layers.{i}.operator_norm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.ffn_norm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{conv}.conv.conv.weight", "blk.{conv}.shortconv.conv.weight", shape(hidden, one, convolution), needed, reshaped(hidden, convolution)},
		{"model.layers.{conv}.conv.in_proj.weight", "blk.{conv}.shortconv.in_proj.weight", matrix(times(3, hidden), hidden), needed, nil},
		{"model.layers.{conv}.conv.out_proj.weight", "blk.{conv}.shortconv.out_proj.weight", matrix(hidden, hidden), needed, nil},
	}, named(attention("{attn}", nil, nil), "o_proj", "out_proj"), named(headNorms("{attn}", nil), "_norm", "_layernorm"))
}

// layerKind is a layer's entry of layer_types, "" if there is none.
func (m *mapping) layerKind(layer int) string {
	if kinds := m.config.strings("layer_types"); layer < len(kinds) {
		return kinds[layer]
	}
	return ""
}
