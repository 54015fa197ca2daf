package arch

import (
	"encoding/json"
	"strconv"
	"strings"
)

// llavaTower is OpenAI's CLIP with LLaVA's projector, which reads what comes out of the last layer but one. No class of
// llama.cpp's converter knows it any more: keys and tensors are those that its clip.cpp loads, and that the scripts in
// tools/mtmd/legacy-models wrote. LLaVA 1.6 cuts images into tiles, for which it has a grid and the end of a line.
var llavaTower = &family{
	name:    "clip",
	classes: []string{"LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration"},
	when:    encoderOf("clip_vision_model"),
	rules: rulesOf([]rule{
		{"vision_tower.vision_model.embeddings.class_embedding", "v.class_embd", vector(hidden), needed, nil},
		{"vision_tower.vision_model.embeddings.patch_embedding.weight", "v.patch_embd.weight", shape(hidden, channels, patchSize, patchSize), needed, nil},
		{"vision_tower.vision_model.embeddings.position_embedding.weight", "v.position_embd.weight", matrix(sum(patches, one), hidden), needed, nil},
		{"image_newline", "v.image_newline", vector(textHidden), optional, nil},
	}, biased(needed, []rule{
		{"vision_tower.vision_model.pre_layrnorm.weight", "v.pre_ln.weight", vector(hidden), needed, nil},
		{"multi_modal_projector.linear_1.weight", "mm.0.weight", matrix(textHidden, hidden), needed, nil},
		{"multi_modal_projector.linear_2.weight", "mm.2.weight", matrix(textHidden, textHidden), needed, nil},
	}), clipLayers("vision_tower.vision_model.encoder.layers.{i}.")),
	filter: func(m *mapping, name string) string {
		name = towerName(name)
		if strings.HasSuffix(name, ".embeddings.position_ids") {
			return "computed, not needed"
		}
		if strings.HasPrefix(name, "vision_tower.vision_model.post_layernorm.") {
			return afterProjector
		}
		rest, ok := strings.CutPrefix(name, "vision_tower.vision_model.encoder.layers.")
		number, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.ParseInt(number, 10, 64); ok && err == nil && n >= m.dims.layers && n < m.config.count("num_hidden_layers") {
			return afterProjector
		}
		return ""
	},
	defaults: map[string]any{
		"hidden_size": 768.0, "intermediate_size": 3072.0, "num_hidden_layers": 12.0, "num_attention_heads": 12.0,
		"image_size": 224.0, "patch_size": 32.0, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
	},
	adjust: func(m *mapping) {
		root := m.vision.root
		root.or("vision_feature_layer", -2.0)
		root.or("vision_feature_select_strategy", "default")
		layer := int64(root.number("vision_feature_layer"))
		if layer < 0 {
			layer += m.dims.layers + 1
		}
		if layer < 1 || layer > m.dims.layers {
			m.config.fail("vision_feature_layer: %v, want one of %d layers", root.doc["vision_feature_layer"], m.dims.layers)
		}
		if s := root.text("vision_feature_select_strategy"); s != "default" {
			m.config.fail("vision_feature_select_strategy: %q, want default", s)
		}
		m.dims.layers = layer
	},
	params: func(m *mapping, set func(string, any)) error {
		set("projector_type", "mlp")
		set("vision.attention.layer_norm_epsilon", m.config.float("layer_norm_eps"))
		switch a := m.config.text("hidden_act"); a {
		case "gelu", "quick_gelu":
			set("use_gelu", a == "gelu")
		default:
			m.config.fail("%shidden_act: %q, want gelu or quick_gelu", m.config.path, a)
		}
		set("vision.feature_layer", []int32{int32(m.dims.layers)})
		if grid := m.grid(); len(grid) > 0 {
			set("vision.image_grid_pinpoints", grid)
			set("vision.mm_patch_merge_type", "spatial_unpad")
		}
		return nil
	},
}

const afterProjector = "comes after the layer that the projector reads"

// grid lists the sizes that images are cut for, pair after pair; none for a model that does not cut them.
func (m *mapping) grid() []int32 {
	root := m.vision.root
	list, ok := root.doc["image_grid_pinpoints"].([]any)
	if !ok {
		return nil
	}
	var out []int32
	for _, pair := range list {
		two, _ := pair.([]any)
		for _, n := range two {
			number, _ := n.(json.Number)
			i, err := strconv.ParseInt(number.String(), 10, 32)
			if err != nil || i < 1 || len(two) != 2 {
				m.config.fail("image_grid_pinpoints: %v, want pairs of sizes", list)
				return nil
			}
			out = append(out, int32(i))
		}
	}
	return out
}
