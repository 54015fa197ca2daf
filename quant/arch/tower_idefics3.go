package arch

import "github.com/nexus-quant/nexus-quant/gguf"

// idefics3Tower is the SigLIP encoder of SmolVLM and Idefics 3, several of whose patches become one embedding
// (SmolVLMModel in conversion/smolvlm.py).
var idefics3Tower = &family{
	name:    "clip",
	classes: []string{"SmolVLMForConditionalGeneration", "Idefics3ForConditionalGeneration"},
	rules: rulesOf(siglip("vision_model."), []rule{
		{"connector.modality_projection.proj.weight", "mm.model.fc.weight", matrix(textHidden, shuffled), needed, nil},
	}),
	defaults: map[string]any{
		"hidden_size": 1152.0, "intermediate_size": 3072.0, "num_hidden_layers": 12.0, "num_attention_heads": 16.0,
		"image_size": 224.0, "patch_size": 32.0, "layer_norm_eps": 1e-6,
	},
	forced: map[string]gguf.Type{"v.patch_embd.weight": gguf.F32, "v.position_embd.weight": gguf.F32},
	prepare: func(c *config) { // stands beside vision_config
		if c.doc["scale_factor"] = c.root["scale_factor"]; !c.has("scale_factor") {
			c.doc["scale_factor"] = 2.0
		}
	},
	params: func(m *mapping, set func(string, any)) error {
		c := m.config
		set("projector_type", "idefics3")
		set("vision.attention.layer_norm_epsilon", c.float("layer_norm_eps"))
		set("vision.projector.scale_factor", uint32(c.count("scale_factor")))
		set("use_gelu", true)
		set("vision.preproc_image_size", uint32(m.vision.pre.object("size").countOr("longest_edge", c.count("image_size"))))
		return nil
	},
}

// shuffled is the width of the patches that become one embedding.
func shuffled(d dims) int64 {
	n := d.config.count("scale_factor")
	return d.hidden * n * n
}
