package arch

// commandr is Cohere's Command R (CommandR2Model in conversion/command_r.py): one norm for both halves of a layer, and
// the embedding is the head.
var commandr = &family{
	name:    "command-r",
	classes: []string{"CohereForCausalLM"},
	rules: rulesOf(outer()[:2], norms(nil)[:1], attention("{i}", nil, nil), mlp("{i}"), []rule{
		{"model.layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", matrix(heads, headDim), optional, nil},
		{"model.layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", matrix(kvHeads, headDim), optional, nil},
	}),
	defaults: map[string]any{"logit_scale": 0.0625, "layer_norm_eps": 1e-5},
	prepare: func(c *config) { // the context that the model was trained on is longer than what it says
		if c.has("model_max_length") {
			c.doc["max_position_embeddings"] = c.doc["model_max_length"]
		}
	},
	needsFF:   true,
	tokenizer: bpeOnly,
	params: func(m *mapping, set func(string, any)) error {
		set("logit_scale", m.config.float("logit_scale"))
		set("rope.scaling.type", "none")
		return nil
	},
}

// cohere2 is Command R7B and Command A: windows in three of four layers (Cohere2Model in conversion/command_r.py).
var cohere2 = &family{
	name:      "cohere2",
	classes:   []string{"Cohere2ForCausalLM"},
	rules:     rulesOf(outer()[:2], norms(nil)[:1], attention("{i}", nil, nil), mlp("{i}")),
	defaults:  map[string]any{"logit_scale": 0.0625, "layer_norm_eps": 1e-5, "sliding_window": 4096.0},
	needsFF:   true,
	tokenizer: bpeOnly,
	params: func(m *mapping, set func(string, any)) error {
		c, d := m.config, m.dims
		set("logit_scale", c.float("logit_scale"))
		set("attention.sliding_window", uint32(c.integer("sliding_window")))
		set("vocab_size", uint32(d.vocab))
		set("rope.dimension_count", uint32(m.rotaryShare()*float64(d.hidden/d.heads)))
		set("rope.scaling.type", "none")
		return nil
	},
}

// rotaryShare is rotary_pct, which must be there.
func (m *mapping) rotaryShare() float64 {
	m.config.require("rotary_pct")
	return m.config.number("rotary_pct")
}
