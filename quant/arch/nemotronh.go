package arch

import (
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Nemotron H and Nemotron Nano 2 and 3: each layer is Mamba 2, attention or a feed-forward network, in Nemotron 3 one of
// experts (NemotronHModel in conversion/nemotron.py). Queries and keys are permuted as in Llama, to no effect: nothing
// is turned with the position.
var (
	nemotronhExperts = nemotronHAs("nemotron_h_moe", keptPredictors, hasExperts)
	nemotronh        = nemotronHAs("nemotron_h", "", nil)
)

func nemotronHAs(name, note string, when func(*config) bool) *family {
	layers := map[string]func(*mapping, int) bool{"mtp": func(m *mapping, layer int) bool { return int64(layer) >= m.dims.trunk }}
	for set, signs := range map[string]string{"ssm": "M", "attn": "*+", "mlp": "-", "moe": "E+"} {
		layers[set] = func(m *mapping, layer int) bool { return strings.Contains(signs, nemotronLayer(m, layer)) }
	}
	return &family{
		name:    name,
		classes: []string{"NemotronHForCausalLM"},
		note:    note,
		rules: rulesOf([]rule{
			{"backbone.embeddings.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"backbone.norm_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},
			{"backbone.layers.{i}.norm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		}, mamba2Mixer("backbone.layers.{ssm}.mixer.", "blk.{ssm}.", nemotronMixer),
			named(attention("{attn}", permuteQ, permuteK), "model.", "backbone.", "self_attn", "mixer"),
			biased(optional, []rule{
				{"backbone.layers.{mlp}.mixer.up_proj.weight", "blk.{mlp}.ffn_up.weight", matrix(ff, hidden), needed, nil},
				{"backbone.layers.{mlp}.mixer.down_proj.weight", "blk.{mlp}.ffn_down.weight", matrix(hidden, ff), needed, nil},
			}), []rule{
				{"backbone.layers.{moe}.mixer.gate.weight", "blk.{moe}.ffn_gate_inp.weight", matrix(experts, hidden), needed, nil},
				{"backbone.layers.{moe}.mixer.gate.e_score_correction.bias", "blk.{moe}.exp_probs_b.bias", vector(experts), optional, nil},
				{"backbone.layers.{moe}.mixer.fc1_latent_proj.weight", "blk.{moe}.ffn_latent_down.weight", matrix(expertInput, hidden), optional, nil},
				{"backbone.layers.{moe}.mixer.fc2_latent_proj.weight", "blk.{moe}.ffn_latent_up.weight", matrix(hidden, expertInput), optional, nil},
				{"backbone.layers.{moe}.mixer.experts.{e}.down_proj.weight", "blk.{moe}.ffn_down_exps.weight", matrix(expertInput, value("moe_intermediate_size")), needed, nil},
				{"backbone.layers.{moe}.mixer.experts.{e}.up_proj.weight", "blk.{moe}.ffn_up_exps.weight", matrix(value("moe_intermediate_size"), expertInput), needed, nil},
				{"backbone.layers.{moe}.mixer.shared_experts.up_proj.weight", "blk.{moe}.ffn_up_shexp.weight", matrix(value("moe_shared_expert_intermediate_size"), hidden), needed, nil},
				{"backbone.layers.{moe}.mixer.shared_experts.down_proj.weight", "blk.{moe}.ffn_down_shexp.weight", matrix(hidden, value("moe_shared_expert_intermediate_size")), needed, nil},
				{"backbone.layers.{mtp}.enorm.weight", "blk.{mtp}.nextn.enorm.weight", vector(hidden), needed, nil},
				{"backbone.layers.{mtp}.hnorm.weight", "blk.{mtp}.nextn.hnorm.weight", vector(hidden), needed, nil},
				{"backbone.layers.{mtp}.eh_proj.weight", "blk.{mtp}.nextn.eh_proj.weight", matrix(hidden, times(2, hidden)), needed, nil},
				{"backbone.layers.{mtp}.post_attention_layernorm.weight", "blk.{mtp}.post_attention_norm.weight", vector(hidden), needed, nil},
				{"backbone.layers.{mtp}.shared_head.norm.weight", "blk.{mtp}.nextn.shared_head_norm.weight", vector(hidden), needed, nil},
			}),
		layers: layers,
		when:   when,
		rename: nemotronName,
		prepare: func(c *config) {
			c.or("head_dim", c.doc["attention_head_dim"])
			if kinds := c.strings("layers_block_type"); kinds != nil {
				c.doc["num_hidden_layers"] = float64(len(kinds))
			}
		},
		adjust: func(m *mapping) {
			c := m.config
			delete(c.doc, "head_dim") // is written later, and positions don't go by it
			if n := len(nemotronPattern(c)); int64(n) != m.dims.trunk {
				c.fail("hybrid_override_pattern or layers_block_type: %d layers, num_hidden_layers is %d", n, m.dims.trunk)
			}
			if n := c.integer("num_nextn_predict_layers"); n > 1 {
				c.fail("num_nextn_predict_layers: %d, llama.cpp knows one", n)
			} else if hasExperts(c) {
				m.dims.layers += n
			}
		},
		needsFF:     true,
		noTheta:     true,
		ropeFactors: true,
		tokenizer:   tokenizer.Options{Kind: tokenizer.BPEOnly, AddBOS: when == nil},
		params:      nemotronHParams,
	}
}

var (
	nemotronMixer = mixer{
		inner:  product(value("mamba_num_heads"), value("mamba_head_dim")),
		heads:  value("mamba_num_heads"),
		groups: value("n_groups"),
		state:  value("ssm_state_size"),
		kernel: value("conv_kernel"),
	}
	expertInput = func(d dims) int64 { return d.config.countOr("moe_latent_size", d.hidden) }
)

func hasExperts(c *config) bool {
	_, ok := c.doc["num_experts_per_tok"]
	return ok
}

// nemotronPattern has a sign for each layer: M for Mamba, * for attention, - for a feed-forward network, E for experts.
func nemotronPattern(c *config) string {
	if s, ok := c.doc["hybrid_override_pattern"].(string); ok && s != "" {
		return s
	}
	key := c.firstOf([]string{"hybrid_override_pattern", "layers_block_type"})
	var b strings.Builder
	for _, kind := range c.strings(key) {
		sign, ok := map[string]string{"mamba": "M", "linear_attention": "M", "attention": "*", "full_attention": "*", "moe": "E", "mlp": "-"}[kind]
		if !ok {
			c.fail("%s: %q, want mamba, attention, mlp or moe", key, kind)
		}
		b.WriteString(sign)
	}
	return b.String()
}

// nemotronLayer is a layer's sign, + for the one that predicts the token after the next: attention and experts.
func nemotronLayer(m *mapping, layer int) string {
	if int64(layer) >= m.dims.trunk {
		return "+"
	}
	if p := nemotronPattern(m.config); layer < len(p) {
		return p[layer : layer+1]
	}
	return "?"
}

// nemotronName puts the two layers that predict the token after the next into one behind the others.
func nemotronName(m *mapping, name string) string {
	rest, ok := strings.CutPrefix(name, "mtp.layers.")
	if !ok || m.dims.layers == m.dims.trunk || len(rest) < 2 || rest[1] != '.' {
		return name
	}
	tail := rest[2:]
	if rest[0] == '1' {
		switch tail {
		case "norm.weight":
			tail = "post_attention_layernorm.weight"
		case "final_layernorm.weight":
			tail = "shared_head.norm.weight"
		}
	} else if rest[0] != '0' {
		return name
	}
	return "backbone.layers." + strconv.FormatInt(m.dims.trunk, 10) + "." + tail
}

func nemotronHParams(m *mapping, set func(string, any)) error {
	c, d := m.config, m.dims
	head := uint32(d.headDim)
	if err := graniteParams(m, set); err != nil {
		return err
	}
	set("rope.dimension_count", uint32(d.hidden/d.heads))
	nemotronMixer.params(d, set)
	shared, widths := make([]int32, d.layers), make([]int32, d.layers)
	withExperts := hasExperts(c)
	for i := range shared {
		sign := nemotronLayer(m, i)
		if sign == "*" || sign == "+" {
			shared[i] = int32(d.kvHeads)
		}
		switch {
		case withExperts && (sign == "E" || sign == "+"):
			widths[i] = int32(c.count("moe_intermediate_size"))
		case !withExperts && sign == "-":
			widths[i] = int32(d.ff)
		}
	}
	if n := c.integer("attn_rotary_emb"); n != 0 {
		set("rope.dimension_count", uint32(n))
	}
	set("attention.head_count_kv", shared)
	set("rope.scaling.finetuned", false)
	set("context_length", uint32(1<<20)) // any: there is no limit
	set("attention.key_length", head)
	set("attention.value_length", head)
	set("feed_forward_length", widths)
	if !withExperts {
		return nil
	}
	set("expert_used_count", uint32(c.count("num_experts_per_tok")))
	set("expert_feed_forward_length", uint32(c.count("moe_intermediate_size")))
	set("expert_shared_feed_forward_length", uint32(c.count("moe_shared_expert_intermediate_size")))
	set("expert_count", uint32(c.count("n_routed_experts")))
	set("expert_shared_count", uint32(c.integer("n_shared_experts")))
	set("expert_weights_norm", c.flag("norm_topk_prob"))
	set("expert_weights_scale", c.float("routed_scaling_factor"))
	set("expert_group_count", uint32(c.integer("n_group")))
	m.setCount("moe_latent_size", "moe_latent_size")
	if d.layers > d.trunk {
		set("nextn_predict_layers", uint32(d.layers-d.trunk))
	}
	return nil
}
