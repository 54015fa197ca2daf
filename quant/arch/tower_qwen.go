package arch

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The towers of the Qwen models that see. Their encoders take two frames at a time, of which llama.cpp makes two
// convolutions, and merge two by two patches (conversion/qwenvl.py, conversion/qwen3vl.py).
var (
	qwen2vlTower = &family{
		name:    "clip",
		classes: []string{"Qwen2VLForConditionalGeneration", "Qwen2VLModel"},
		rules: rulesOf(frames(), biased(needed, rulesOf(qwenBlocks(splitQKV), []rule{
			{"visual.blocks.{i}.mlp.fc1.weight", "v.blk.{i}.ffn_up.weight", matrix(embedFF, hidden), needed, nil},
			{"visual.blocks.{i}.mlp.fc2.weight", "v.blk.{i}.ffn_down.weight", matrix(hidden, embedFF), needed, nil},
			{"visual.merger.ln_q.weight", "v.post_ln.weight", vector(hidden), needed, nil},
		}, qwenMerger("mlp.0", "mlp.2")))),
		defaults: map[string]any{
			"depth": 32.0, "embed_dim": 1280.0, "hidden_size": 3584.0, "mlp_ratio": 4.0, "num_heads": 16.0,
			"patch_size": 14.0, "spatial_merge_size": 2.0, "temporal_patch_size": 2.0,
		},
		prepare: func(c *config) { // hidden_size is the text model's
			qwenNames(c)
			c.doc["intermediate_size"], c.doc["hidden_size"] = c.doc["hidden_size"], c.doc["embed_dim"]
		},
		params: func(m *mapping, set func(string, any)) error {
			if t := m.vision.root.text("model_type"); t != "qwen2_vl" {
				m.config.fail("model_type: %q, want qwen2_vl", t)
			}
			set("projector_type", "qwen2vl_merger")
			qwenEpsilon(m, set)
			return nil
		},
	}
	// qwen25vlTower attends within windows in most layers, has a gated feed-forward network and no biases in its norms.
	qwen25vlTower = &family{
		name:    "clip",
		classes: []string{"Qwen2_5_VLForConditionalGeneration"},
		rules: rulesOf(frames(), unbiasedNorms(rulesOf(qwenBlocks(splitQKV), []rule{
			{"visual.blocks.{i}.mlp.gate_proj.weight", "v.blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
			{"visual.blocks.{i}.mlp.up_proj.weight", "v.blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"visual.blocks.{i}.mlp.down_proj.weight", "v.blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
			{"visual.merger.ln_q.weight", "v.post_ln.weight", vector(hidden), needed, nil},
		}, qwenMerger("mlp.0", "mlp.2")))),
		defaults: map[string]any{
			"depth": 32.0, "hidden_size": 3584.0, "intermediate_size": 3420.0, "num_heads": 16.0,
			"patch_size": 14.0, "spatial_merge_size": 2.0, "temporal_patch_size": 2.0,
		},
		prepare: qwenNames,
		params: func(m *mapping, set func(string, any)) error {
			if t := m.vision.root.text("model_type"); t != "qwen2_5_vl" {
				m.config.fail("model_type: %q, want qwen2_5_vl", t)
			}
			set("projector_type", "qwen2.5vl_merger")
			set("use_silu", true)
			set("vision.n_wa_pattern", m.wholeEvery())
			qwenEpsilon(m, set)
			return nil
		},
	}
	// qwen3vlTower keeps queries, keys and values in one, has learned positions, and gives the text model something of its
	// inner layers.
	qwen3vlTower = &family{
		name: "clip",
		classes: []string{"Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration",
			"Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration"},
		rules: rulesOf(frames(), []rule{
			{"visual.patch_embed.proj.bias", "v.patch_embd.bias", vector(hidden), needed, nil},
			{"visual.pos_embed.weight", "v.position_embd.weight", matrix(value("num_position_embeddings"), hidden), needed, nil},
		}, biased(needed, rulesOf(qwenBlocks(wholeQKV), []rule{
			{"visual.blocks.{i}.mlp.linear_fc1.weight", "v.blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"visual.blocks.{i}.mlp.linear_fc2.weight", "v.blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
			{"visual.merger.norm.weight", "v.post_ln.weight", vector(hidden), needed, nil},
		}, qwenMerger("linear_fc1", "linear_fc2"), []rule{
			{"visual.deepstack.{deep}.norm.weight", "v.deepstack.{deep}.norm.weight", vector(merged), needed, nil},
			{"visual.deepstack.{deep}.linear_fc1.weight", "v.deepstack.{deep}.fc1.weight", matrix(merged, merged), needed, nil},
			{"visual.deepstack.{deep}.linear_fc2.weight", "v.deepstack.{deep}.fc2.weight", matrix(textHidden, merged), needed, nil},
		}))),
		layers: map[string]func(*mapping, int) bool{"deep": func(m *mapping, layer int) bool { return m.deep(layer) >= 0 }},
		rename: deepstackName,
		defaults: map[string]any{
			"depth": 27.0, "hidden_size": 1152.0, "intermediate_size": 4304.0, "num_heads": 16.0,
			"patch_size": 16.0, "spatial_merge_size": 2.0, "temporal_patch_size": 2.0, "num_position_embeddings": 2304.0,
		},
		prepare: func(c *config) {
			c.or("image_size", math.Trunc(math.Sqrt(c.number("num_position_embeddings"))*c.number("patch_size")))
			qwenNames(c)
		},
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			set("projector_type", "qwen3vl_merger")
			set("use_gelu", true)
			set("vision.spatial_merge_size", uint32(c.count("spatial_merge_size")))
			text := m.vision.root.object("text_config")
			text.or("rms_norm_eps", 1e-6)
			set("vision.attention.layer_norm_epsilon", text.float("rms_norm_eps"))
			deep := make([]bool, m.dims.layers)
			for i := range deep {
				deep[i] = m.deep(i) >= 0
			}
			set("vision.is_deepstack_layers", deep)
			return nil
		},
	}
)

// qwenNames gives values the names that other towers have for them.
func qwenNames(c *config) {
	c.or("image_size", 560.0)
	c.doc["num_attention_heads"], c.doc["num_hidden_layers"] = c.doc["num_heads"], c.doc["depth"]
}

// qwenEpsilon is that of the text model's norms, where the top of the config states it.
func qwenEpsilon(m *mapping, set func(string, any)) {
	m.vision.root.or("rms_norm_eps", 1e-6)
	set("vision.attention.layer_norm_epsilon", m.vision.root.float("rms_norm_eps"))
}

func two(dims) int64 { return 2 }

// merged is the width of two by two patches.
func merged(d dims) int64 {
	n := d.config.count("spatial_merge_size")
	return d.hidden * n * n
}

// embedFF is the width of a feed-forward network that is stated as a multiple of the encoder's.
func embedFF(d dims) int64 { return int64(float64(d.hidden) * d.config.number("mlp_ratio")) }

// frames are the convolutions of the first and of the second frame.
func frames() []rule {
	const from, to = "visual.patch_embed.proj.weight", "v.patch_embd.weight"
	sizes := shape(hidden, channels, two, patchSize, patchSize)
	return []rule{{from, to, sizes, needed, frame(0)}, {from, to + ".1", sizes, needed, frame(1)}}
}

// frame is one of the two along the third dimension.
func frame(k int64) change {
	return func(_ dims, s []int64) reading {
		area := s[3] * s[4]
		return reading{shape: []int64{s[0], s[1], s[3], s[4]}, views: []View{{
			First: k * area, Rows: []Dim{{s[0], s[1] * s[2] * area}, {s[1], s[2] * area}, {s[3], s[4]}}, Cols: []Dim{{s[4], 1}},
		}}}
	}
}

// qwenBlocks are what the layers of all of them have.
func qwenBlocks(qkv func(from, to string) []rule) []rule {
	const from, to = "visual.blocks.{i}.", "v.blk.{i}."
	return rulesOf([]rule{
		{from + "norm1.weight", to + "ln1.weight", vector(hidden), needed, nil},
		{from + "norm2.weight", to + "ln2.weight", vector(hidden), needed, nil},
		{from + "attn.proj.weight", to + "attn_out.weight", matrix(hidden, hidden), needed, nil},
	}, qkv(from+"attn.qkv", to))
}

func wholeQKV(from, to string) []rule {
	return []rule{{from + ".weight", to + "attn_qkv.weight", matrix(times(3, hidden), hidden), needed, nil}}
}

// splitQKV cuts a fused tensor into queries, keys and values.
func splitQKV(from, to string) []rule {
	var out []rule
	for i, name := range []string{"attn_q", "attn_k", "attn_v"} {
		third := func(d dims) []span { return []span{{int64(i) * d.hidden, d.hidden}} }
		out = append(out, rule{from + ".weight", to + name + ".weight", matrix(times(3, hidden), hidden), needed, rows(third)})
	}
	return out
}

func qwenMerger(first, second string) []rule {
	return []rule{
		{"visual.merger." + first + ".weight", "mm.0.weight", matrix(merged, merged), needed, nil},
		{"visual.merger." + second + ".weight", "mm.2.weight", matrix(textHidden, merged), needed, nil},
	}
}

// unbiasedNorms adds biases to the rules of matrices alone.
func unbiasedNorms(list []rule) []rule {
	var out []rule
	for _, r := range list {
		if len(r.shape) > 1 {
			out = append(out, biased(needed, []rule{r})...)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// wholeEvery is how often a layer attends to the whole image and not to windows of it.
func (m *mapping) wholeEvery() uint32 {
	list := m.config.numbers("fullatt_block_indexes")
	if len(list) == 0 {
		m.config.require("fullatt_block_indexes")
		return 0
	}
	every := list[0] + 1
	for i, n := range list {
		if n != math.Trunc(n) || n < 0 || i > 0 && n-list[i-1] != every {
			m.config.fail("%sfullatt_block_indexes: %v, want every %v", m.config.path, list, every)
			return 0
		}
	}
	return uint32(every)
}

// deepstackName puts the number of a layer for that of the merger which reads it.
func deepstackName(m *mapping, name string) string {
	rest, ok := strings.CutPrefix(name, "visual.deepstack_merger_list.")
	number, rest, _ := strings.Cut(rest, ".")
	list := m.config.numbers("deepstack_visual_indexes")
	if k, err := strconv.Atoi(number); ok && err == nil && k >= 0 && k < len(list) {
		return fmt.Sprintf("visual.deepstack.%v.%s", list[k], rest)
	}
	return name
}

// deep is the place of a layer in deepstack_visual_indexes, -1 if it is not there.
func (m *mapping) deep(layer int) int {
	for i, n := range m.config.numbers("deepstack_visual_indexes") {
		if n == float64(layer) {
			return i
		}
	}
	return -1
}
