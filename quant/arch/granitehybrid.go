package arch

import "slices"

// Granite 4 and Bamba: Mamba 2 in most layers and attention in some, each with Granite's experts or without
// (GraniteHybridModel in conversion/granite.py). Those with attention alone are Granite 3 in other words, and get its
// architecture.
var (
	graniteAttention = graniteHybridAs("granite", attendsAlone(false))
	graniteExperts   = graniteHybridAs("granitemoe", attendsAlone(true))
	granitehybrid    = graniteHybridAs("granitehybrid", nil)
)

func graniteHybridAs(name string, when func(*config) bool) *family {
	return &family{
		name:    name,
		classes: []string{"GraniteMoeHybridForCausalLM", "BambaForCausalLM"},
		rules: rulesOf(outer()[:1], outer()[2:], attention("{attn}", permuteQ, permuteK), attentionBiases("{attn}", optional, permuteQ, permuteK),
			mamba2Mixer("model.layers.{ssm}.mamba.", "blk.{ssm}.", graniteMixer), graniteFeedForward(), []rule{
				{"model.norm.weight", "output_norm.weight", vector(hidden), needed, nil},
				{"model.final_layernorm.weight", "output_norm.weight", vector(hidden), optional, nil}, // Bamba's
			}),
		layers: map[string]func(*mapping, int) bool{
			"ssm":   func(m *mapping, layer int) bool { return !attentionLayers(m.config)(layer) },
			"attn":  func(m *mapping, layer int) bool { return attentionLayers(m.config)(layer) },
			"moe":   func(m *mapping, _ int) bool { return m.config.integer("num_local_experts") > 0 },
			"dense": func(m *mapping, _ int) bool { return m.config.integer("num_local_experts") == 0 },
		},
		prepare:     withoutHeadDim,
		noTheta:     true,
		ropeFactors: true,
		when:        when,
		params:      graniteHybridParams,
	}
}

// attendsAlone tells whether a model goes without Mamba's layers, with or without experts.
func attendsAlone(experts bool) func(*config) bool {
	return func(c *config) bool {
		attends := attentionLayers(c)
		for layer := range c.integer("num_hidden_layers") {
			if layer > maxLayers || !attends(int(layer)) {
				return false
			}
		}
		return (c.number("num_experts_per_tok") != 0) == experts
	}
}

// attentionLayers tells whether a layer has attention: by its kind, its number or how often there is one.
func attentionLayers(c *config) func(layer int) bool {
	if kinds := c.strings("layer_types"); kinds != nil {
		return func(layer int) bool { return layer < len(kinds) && kinds[layer] == "attention" }
	}
	if list := c.numbers("attn_layer_indices"); len(list) > 0 {
		return func(layer int) bool { return slices.Contains(list, float64(layer)) }
	}
	period, offset := max(1, c.count("attn_layer_period")), c.integer("attn_layer_offset")
	return func(layer int) bool { return int64(layer)%period == offset }
}

func graniteHybridParams(m *mapping, set func(string, any)) error {
	c, d := m.config, m.dims
	if err := granitemoe.params(m, set); err != nil {
		return err
	}
	graniteMixer.params(d, set)
	attends := attentionLayers(c)
	shared, recurrent := make([]int32, d.layers), false
	for i := range shared {
		if attends(i) {
			shared[i] = int32(d.kvHeads)
		} else {
			recurrent = true
		}
	}
	if n := c.integer("attn_rotary_emb"); n != 0 {
		set("rope.dimension_count", uint32(n))
	}
	set("attention.head_count_kv", shared)
	turned := !recurrent || slices.Contains(c.strings("architectures"), "BambaForCausalLM")
	set("rope.scaling.finetuned", turned)
	if !turned {
		set("context_length", uint32(1<<20)) // any: there is no limit
	}
	return nil
}

// graniteFeedForward are the experts with a network that is always asked, or that network alone.
func graniteFeedForward() []rule {
	half := func(to string, spans func(dims) []span) rule {
		return rule{"model.layers.{dense}.shared_mlp.input_linear.weight", "blk.{dense}.ffn_" + to + ".weight", matrix(times(2, shared), hidden), needed, rows(spans)}
	}
	return rulesOf(norms(nil), inSet("{moe}", granitemoe.rules[len(granitemoe.rules)-7:]), []rule{
		half("gate", firstHalf(shared)), half("up", secondHalf(shared)),
		{"model.layers.{dense}.shared_mlp.output_linear.weight", "blk.{dense}.ffn_down.weight", matrix(hidden, shared), needed, nil},
		{"model.layers.{i}.pre_ff_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), optional, nil}, // Bamba's
	}, allOf(optional, gated("model.layers.{dense}.feed_forward.", "blk.{dense}.ffn_*", ff)))
}

// graniteMixer has its sizes under names that begin with mamba_.
var graniteMixer = mixer{
	inner:  product(value("mamba_expand"), hidden),
	heads:  value("mamba_n_heads"),
	groups: value("mamba_n_groups"),
	state:  value("mamba_d_state"),
	kernel: value("mamba_d_conv"),
}
