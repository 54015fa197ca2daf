package arch

import (
	"math"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// gemma3n is the text part of Gemma 3n: four streams of which each layer works on one, a bypass of low rank beside
// attention, and an embedding of its own for each layer (Gemma3NModel in conversion/gemma.py). Its norms are stored as
// they are used.
var gemma3n = &family{
	name:    "gemma3n",
	classes: []string{"Gemma3nForCausalLM", "Gemma3nForConditionalGeneration"},
	note:    textPart,
	rules: rulesOf(outer()[:2], perLayerInputs(), []rule{
		{"model.altup_projections.{a}.weight", "altup_proj.weight", matrix(hidden, hidden), needed, nil},
		{"model.altup_unembed_projections.{a}.weight", "altup_unembd_proj.weight", matrix(hidden, hidden), needed, nil},
		{"model.layers.{i}.altup.correct_output_scale", "blk.{i}.altup_correct_scale.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.altup.correction_coefs.weight", "blk.{i}.altup_correct_coef.weight", matrix(altup, altup), needed, nil},
		{"model.layers.{i}.altup.prediction_coefs.weight", "blk.{i}.altup_predict_coef.weight", matrix(product(altup, altup), altup), needed, nil},
		{"model.layers.{i}.altup.modality_router.weight", "blk.{i}.altup_router.weight", matrix(altup, hidden), needed, nil},
		{"model.layers.{i}.altup.router_norm.weight", "blk.{i}.altup_router_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.laurel.linear_left.weight", "blk.{i}.laurel_l.weight", matrix(laurelRank, hidden), needed, nil},
		{"model.layers.{i}.laurel.linear_right.weight", "blk.{i}.laurel_r.weight", matrix(hidden, laurelRank), needed, nil},
		{"model.layers.{i}.laurel.post_laurel_norm.weight", "blk.{i}.laurel_post_norm.weight", vector(hidden), needed, nil},
	}, sandwich(nil), attention("{i}", nil, nil), headNorms("{i}", nil), mlp("{i}")),
	defaults: map[string]any{
		"vocab_size": 262400.0, "vocab_size_per_layer_input": 262144.0, "hidden_size": 2048.0, "hidden_size_per_layer_input": 256.0,
		"intermediate_size": 16384.0, "num_hidden_layers": 35.0, "num_attention_heads": 8.0, "num_key_value_heads": 2.0, "head_dim": 256.0,
		"max_position_embeddings": 32768.0, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 10000.0, "sliding_window": 512.0,
		"final_logit_softcapping": 30.0, "altup_active_idx": 0.0, "altup_num_inputs": 4.0, "num_kv_shared_layers": 15.0, "laurel_rank": 64.0,
	},
	prepare: func(c *config) { // the configuration class states the width of each layer, which all have in common
		if _, ok := c.doc["intermediate_size"].([]any); !ok {
			return
		}
		widths := c.numbers("intermediate_size")
		for _, w := range widths {
			if w != widths[0] {
				c.fail("intermediate_size: %v and %v, all layers should be as wide", widths[0], w)
			}
		}
		if len(widths) == 0 {
			c.fail("intermediate_size: an empty list")
			return
		}
		c.doc["intermediate_size"] = widths[0]
	},
	adjust: func(m *mapping) {
		if n := m.config.count("altup_num_inputs"); n != 4 {
			m.config.fail("altup_num_inputs: %d, llama.cpp knows 4", n)
		}
	},
	tokenizer: tokenizer.Options{NoSpacePrefix: true},
	params: func(m *mapping, set func(string, any)) error {
		c := m.config
		widths := make([]int32, m.dims.layers)
		for i := range widths {
			widths[i] = int32(m.dims.ff)
		}
		set("feed_forward_length", widths)
		if err := gemma3.params(m, set); err != nil {
			return err
		}
		set("altup.active_idx", uint32(c.integer("altup_active_idx")))
		set("altup.num_inputs", uint32(altup(m.dims)))
		set("embedding_length_per_layer_input", uint32(perLayerInput(m.dims)))
		set("attention.shared_kv_layers", uint32(c.integer("num_kv_shared_layers")))
		set("activation_sparsity_scale", m.sparsityScales())
		set("attention.sliding_window_pattern", m.slidingLayers(5))
		return nil
	},
}

var (
	altup         = value("altup_num_inputs")
	altupOthers   = func(d dims) int64 { return altup(d) - 1 }
	laurelRank    = value("laurel_rank")
	perLayerInput = value("hidden_size_per_layer_input")
)

// perLayerInputs are the embeddings that each layer has of its own. The tokens that stand for pictures and sounds have
// none: they get zeros.
func perLayerInputs() []rule {
	width := func(d dims) int64 { return perLayerInput(d) * d.layers }
	return []rule{
		{"model.embed_tokens_per_layer.weight", "per_layer_token_embd.weight", matrix(value("vocab_size_per_layer_input"), width), needed, padded(vocab)},
		{"model.per_layer_model_projection.weight", "per_layer_model_proj.weight", matrix(width, hidden), needed, nil},
		{"model.per_layer_projection_norm.weight", "per_layer_proj_norm.weight", vector(perLayerInput), needed, nil},
		{"model.layers.{i}.per_layer_input_gate.weight", "blk.{i}.inp_gate.weight", matrix(perLayerInput, hidden), needed, nil},
		{"model.layers.{i}.per_layer_projection.weight", "blk.{i}.proj.weight", matrix(hidden, perLayerInput), needed, nil},
		{"model.layers.{i}.post_per_layer_input_norm.weight", "blk.{i}.post_norm.weight", vector(hidden), needed, nil},
	}
}

// sparsityScales says for each layer how many standard deviations above the mean a value must lie to stay: what leaves
// the share that the config states below, if values are normally distributed. The steps are PyTorch's on float32.
func (m *mapping) sparsityScales() []float32 {
	shares := m.config.numbers("activation_sparsity_pattern")
	if shares == nil {
		shares = make([]float64, m.dims.layers)
		for i := range shares {
			if len(shares) > 10 && i < 10 {
				shares[i] = 0.95
			}
		}
	}
	out := make([]float32, len(shares))
	for i, s := range shares {
		out[i] = erfinv(float32(2*float32(s))-1) * float32(math.Sqrt2)
	}
	return out
}

// erfinv is the inverse error function as PyTorch computes it on float32 (calc_erfinv in ATen), whose last bit is not
// always the nearest: a quotient of polynomials, then two steps of Newton's method. The C library's erf, which it calls, is
// not always the nearest either: 0 and 0.95, the shares that models have, come out the same, others within two units.
func erfinv(y float32) float32 {
	switch abs := float32(math.Abs(float64(y))); {
	case !(abs <= 1):
		return float32(math.NaN())
	case abs == 1:
		return float32(math.Inf(int(y)))
	}
	polynomial := func(z float32, c ...float32) float32 {
		sum := c[0]
		for _, x := range c[1:] {
			sum = float32(sum*z) + x
		}
		return sum
	}
	var x float32
	if y >= -0.7 && y <= 0.7 {
		z := y * y
		x = float32(y*polynomial(z, -0.140543331, 0.914624893, -1.645349621, 0.886226899)) / polynomial(z, 0.012229801, -0.329097515, 1.442710462, -2.118377725, 1)
	} else {
		z := float32(math.Sqrt(float64(-float32(math.Log(float64((1 - float32(math.Abs(float64(y)))) / 2))))))
		n := polynomial(z, 1.641345311, 3.429567803, -1.624906493, -1.970840454)
		x = float32(math.Copysign(float64(n), float64(y))) / polynomial(z, 1.637067800, 3.543889200, 1)
	}
	root := float32(math.Sqrt(math.Pi))
	for range 2 {
		slope := 2 / root * float32(math.Exp(float64(float32(-x*x))))
		x -= (float32(math.Erf(float64(x))) - y) / slope
	}
	return x
}
