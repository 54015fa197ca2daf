package arch

import (
	"strconv"
	"strings"
)

// The hybrid Qwen models: linear attention with a state in most layers, attention with a gate in the others, and a layer
// more that predicts the token after the next (conversion/qwen.py).
var (
	// qwen3next fuses what goes into linear attention, head by head.
	qwen3next = &family{
		name:    "qwen3next",
		classes: []string{"Qwen3NextForCausalLM"},
		note:    keptPredictors,
		rules: rulesOf(hybridTrunk(), nextExperts(), []rule{
			{"model.layers.{linear}.linear_attn.in_proj_qkvz.weight", "blk.{linear}.attn_qkv.weight", matrix(sum(linearQKV, linearValues), hidden), needed, func(d dims, shape []int64) reading {
				return grouped(linearHeads, func(d dims) []span { k := keyPart(d); return []span{{0, k}, {k, k}, {2 * k, groupValues(d)}} })(d, shape)
			}},
			{"model.layers.{linear}.linear_attn.in_proj_qkvz.weight", "blk.{linear}.attn_gate.weight", matrix(sum(linearQKV, linearValues), hidden), needed, func(d dims, shape []int64) reading {
				return grouped(linearHeads, func(d dims) []span { return []span{{2*keyPart(d) + groupValues(d), groupValues(d)}} })(d, shape)
			}},
			{"model.layers.{linear}.linear_attn.in_proj_ba.weight", "blk.{linear}.ssm_ba.weight", matrix(times(2, valueHeads), hidden), needed, nil},
			{"model.layers.{linear}.linear_attn.conv1d.weight", "blk.{linear}.ssm_conv1d.weight", shape(linearQKV, one, linearKernel), needed, reshaped(linearQKV, linearKernel)},
			{"model.layers.{linear}.linear_attn.A_log", "blk.{linear}.ssm_a", vector(valueHeads), needed, negExp},
			{"model.layers.{linear}.linear_attn.dt_bias", "blk.{linear}.ssm_dt.bias", vector(valueHeads), needed, nil},
			{"model.layers.{linear}.linear_attn.out_proj.weight", "blk.{linear}.ssm_out.weight", matrix(hidden, linearValues), needed, nil},
		}),
		layers:       hybridLayers,
		rename:       renameMTP,
		prepare:      hybridDefaults,
		adjust:       addMTP,
		needsRMS:     true,
		knowsHeadDim: true,
		tokenizer:    bpeOnly,
		params:       hybridParams,
	}
	// qwen35 has them apart, and the heads of values in another order than ggml repeats keys in.
	qwen35 = &family{
		name:         "qwen35",
		classes:      []string{"Qwen3_5ForConditionalGeneration", "Qwen3_5ForCausalLM"},
		note:         textPart + "; " + keptPredictors,
		rules:        rulesOf(hybridTrunk(), reordered(), mlp("{i}")),
		layers:       hybridLayers,
		rename:       renameMTP,
		prepare:      hybridDefaults,
		adjust:       addMTP,
		needsFF:      true,
		needsRMS:     true,
		knowsHeadDim: true,
		tokenizer:    bpeOnly,
		params:       qwen35Params,
	}
	qwen35moe = &family{
		name:         "qwen35moe",
		classes:      []string{"Qwen3_5MoeForConditionalGeneration", "Qwen3_5MoeForCausalLM"},
		note:         textPart + "; " + keptPredictors,
		rules:        rulesOf(hybridTrunk(), reordered(), nextExperts()),
		layers:       hybridLayers,
		rename:       renameMTP,
		prepare:      hybridDefaults,
		adjust:       addMTP,
		needsRMS:     true,
		knowsHeadDim: true,
		tokenizer:    bpeOnly,
		params:       qwen35Params,
	}
)

// Sizes of linear attention: heads of queries and keys, each with several heads of values.
var (
	linearHeads  = value("linear_num_key_heads")
	valueHeads   = value("linear_num_value_heads")
	keyPart      = value("linear_key_head_dim")
	linearPart   = value("linear_value_head_dim")
	linearKernel = value("linear_conv_kernel_dim")
	linearKeys   = product(linearHeads, keyPart)
	linearValues = product(valueHeads, linearPart)
	linearQKV    = sum(times(2, linearKeys), linearValues)
	groupValues  = func(d dims) int64 { return linearValues(d) / max(1, linearHeads(d)) }
)

var hybridLayers = map[string]func(*mapping, int) bool{
	"linear": func(m *mapping, layer int) bool { return m.layerKind(layer) == "linear_attention" },
	"full":   func(m *mapping, layer int) bool { return m.layerKind(layer) != "linear_attention" },
	"mtp":    func(m *mapping, layer int) bool { return int64(layer) >= m.dims.trunk },
}

// hybridTrunk is what all of them have. Norms are stored less one, but for that of linear attention.
func hybridTrunk() []rule {
	return rulesOf([]rule{
		{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"model.norm.weight", "output_norm.weight", vector(hidden), needed, plusOne},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},
		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, plusOne},
		{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, plusOne},
		{"model.layers.{full}.self_attn.q_proj.weight", "blk.{full}.attn_q.weight", matrix(times(2, queries), hidden), needed, nil}, // with the gate
		{"model.layers.{linear}.linear_attn.norm.weight", "blk.{linear}.ssm_norm.weight", vector(linearPart), needed, nil},
	}, attention("{full}", nil, nil)[1:], headNorms("{full}", plusOne), predictors(plusOne))
}

// nextExperts are the experts, each in tensors of its own or all in one, and one that is always asked.
func nextExperts() []rule {
	return rulesOf([]rule{
		router("{i}", "mlp.gate"),
		{"model.layers.{i}.mlp.shared_expert_gate.weight", "blk.{i}.ffn_gate_inp_shexp.weight", matrix(one, hidden), needed, nil},
	}, gated("model.layers.{i}.mlp.shared_expert.", "blk.{i}.ffn_*_shexp", value("shared_expert_intermediate_size")),
		usualExperts("{i}", value("moe_intermediate_size")), fusedExperts("{i}", value("moe_intermediate_size")))
}

// reordered are the tensors of linear attention whose heads of values go from their keys' groups, one after the other, to
// the first of each group, the second of each, and so on.
func reordered() []rule {
	p, to := "model.layers.{linear}.linear_attn.", "blk.{linear}."
	return []rule{
		{p + "in_proj_qkv.weight", to + "attn_qkv.weight", matrix(linearQKV, hidden), needed, valuesByRank(times(2, linearKeys), linearPart, Keep)},
		{p + "in_proj_z.weight", to + "attn_gate.weight", matrix(linearValues, hidden), needed, valuesByRank(none, linearPart, Keep)},
		{p + "in_proj_b.weight", to + "ssm_beta.weight", matrix(valueHeads, hidden), needed, valuesByRank(none, one, Keep)},
		{p + "in_proj_a.weight", to + "ssm_alpha.weight", matrix(valueHeads, hidden), needed, valuesByRank(none, one, Keep)},
		{p + "conv1d.weight", to + "ssm_conv1d.weight", shape(linearQKV, one, linearKernel), needed, func(d dims, shape []int64) reading {
			return valuesByRank(times(2, linearKeys), linearPart, Keep)(d, []int64{shape[0], shape[2]})
		}},
		{p + "A_log", to + "ssm_a", vector(valueHeads), needed, valuesByRank(none, one, NegExp)},
		{p + "dt_bias", to + "ssm_dt.bias", vector(valueHeads), needed, valuesByRank(none, one, Keep)},
		{p + "out_proj.weight", to + "ssm_out.weight", matrix(hidden, linearValues), needed, func(d dims, shape []int64) reading {
			k, n := max(1, linearHeads(d)), linearPart(d)
			return reading{shape: shape, views: []View{{Rows: []Dim{{shape[0], shape[1]}}, Cols: []Dim{{valueHeads(d) / k, n}, {k, valueHeads(d) / k * n}, {n, 1}}}}}
		}},
	}
}

func none(dims) int64 { return 0 }

// valuesByRank leaves the first rows and reorders the heads of values, n rows each, in those that follow.
func valuesByRank(first, n size, op Op) change {
	return func(d dims, shape []int64) reading {
		w, skip, rows := rowLength(shape), first(d), n(d)
		k := max(1, linearHeads(d))
		r := reading{shape: shape, op: op}
		if skip > 0 {
			r.views = append(r.views, View{Rows: []Dim{{skip, w}}, Cols: []Dim{{w, 1}}})
		}
		per := valueHeads(d) / k
		r.views = append(r.views, View{First: skip * w, Rows: []Dim{{per, rows * w}, {k, per * rows * w}, {rows, w}}, Cols: []Dim{{w, 1}}})
		return r
	}
}

// renameMTP puts the tensors that predict the token after the next into layers behind the others.
func renameMTP(m *mapping, name string) string {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "model."), "mtp.")
	if !ok {
		return name
	}
	layer := func(n int64) string { return "model.layers." + strconv.FormatInt(m.dims.trunk+n, 10) + "." }
	if number, tail, ok := strings.Cut(strings.TrimPrefix(rest, "layers."), "."); ok && strings.HasPrefix(rest, "layers.") {
		if n, err := strconv.ParseInt(number, 10, 32); err == nil && n >= 0 {
			return layer(n) + tail
		}
		return name
	}
	head, tail, _ := strings.Cut(rest, ".")
	if to, ok := map[string]string{"fc": "eh_proj", "pre_fc_norm_embedding": "enorm", "pre_fc_norm_hidden": "hnorm", "norm": "shared_head.norm"}[head]; ok {
		return layer(0) + to + "." + tail
	}
	return name
}

// addMTP counts the layers that predict further tokens, by the tensors: not every config knows them.
func addMTP(m *mapping) {
	extra := int64(0)
	for _, t := range m.sources {
		if !strings.HasPrefix(t.Name, "mtp.") && !strings.HasPrefix(t.Name, "model.mtp.") {
			continue
		}
		extra = max(extra, m.layerOf(renameMTP(m, t.Name))-m.dims.trunk+1)
	}
	m.dims.layers += min(extra, int64(len(m.sources)))
	if kinds := m.config.strings("layer_types"); int64(len(kinds)) != m.dims.trunk {
		m.config.fail("layer_types has %d entries, num_hidden_layers is %d", len(kinds), m.dims.trunk)
	}
	if k, v := linearHeads(m.dims), valueHeads(m.dims); *m.config.err == nil && v%k != 0 {
		m.config.fail("linear_num_value_heads %d is no multiple of linear_num_key_heads %d", v, k)
	}
}

// hybridDefaults are those of transformers' configuration classes.
func hybridDefaults(c *config) {
	for key, v := range map[string]any{"head_dim": 256.0, "linear_conv_kernel_dim": 4.0, "linear_key_head_dim": 128.0, "linear_value_head_dim": 128.0,
		"linear_num_key_heads": 16.0, "linear_num_value_heads": 32.0} {
		c.or(key, v)
	}
	if c.has("layer_types") {
		return
	}
	every := 4
	if c.has("full_attention_interval") {
		every = int(c.count("full_attention_interval"))
	}
	kinds := make([]any, min(c.integer("num_hidden_layers"), maxLayers))
	for i := range kinds {
		kinds[i] = "linear_attention"
		if every > 0 && (i+1)%every == 0 {
			kinds[i] = "full_attention"
		}
	}
	c.doc["layer_types"] = kinds
}

func hybridParams(m *mapping, set func(string, any)) error {
	c, d := m.config, m.dims
	if err := qwenExperts(m, set); err != nil {
		return err
	}
	if n := d.layers - d.trunk; n > 0 {
		set("nextn_predict_layers", uint32(n))
	}
	set("ssm.conv_kernel", uint32(linearKernel(d)))
	set("ssm.state_size", uint32(keyPart(d)))
	set("ssm.group_count", uint32(linearHeads(d)))
	set("ssm.time_step_rank", uint32(valueHeads(d)))
	set("ssm.inner_size", uint32(linearValues(d)))
	recurrent := make([]bool, d.layers)
	for i := range recurrent {
		recurrent[i] = m.layerKind(i) == "linear_attention"
	}
	set("attention.recurrent_layers", recurrent)
	every := uint32(4)
	if c.has("full_attention_interval") {
		every = uint32(c.count("full_attention_interval"))
	}
	set("full_attention_interval", every)
	set("rope.dimension_count", m.turned(0.25))
	return nil
}

// qwen35Params adds how positions in time and space share a head, which text needs too.
func qwen35Params(m *mapping, set func(string, any)) error {
	if err := hybridParams(m, set); err != nil {
		return err
	}
	if !m.rope.params.has("mrope_section") {
		set("rope.dimension_sections", []int32{11, 11, 10, 0})
	}
	return nil
}
