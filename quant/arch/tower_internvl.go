package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// internvlTower is InternViT, whose layers scale what they add (InternVisionModel in conversion/internvl.py). Its class is
// that of vision_config. The biggest has norms for queries and keys and no biases in any norm.
var internvlTower = &family{
	name:    "clip",
	classes: []string{"InternVisionModel"},
	rules: rulesOf([]rule{
		{"vision_model.embeddings.class_embedding", "v.class_embd", shape(one, one, hidden), needed, nil},
		{"vision_model.embeddings.position_embedding", "v.position_embd.weight", shape(one, sum(patches, one), hidden), needed, nil},
	}, biased(needed, []rule{
		{"vision_model.embeddings.patch_embedding.weight", "v.patch_embd.weight", shape(hidden, channels, patchSize, patchSize), needed, nil},
	}), internLayers(), biased(needed, []rule{
		{"mlp1.0.weight", "mm.model.mlp.0.weight", vector(shuffled), needed, nil},
		{"mlp1.1.weight", "mm.model.mlp.1.weight", matrix(textHidden, shuffled), needed, nil},
		{"mlp1.3.weight", "mm.model.mlp.3.weight", matrix(textHidden, textHidden), needed, nil},
	})),
	forced: map[string]gguf.Type{"v.position_embd.weight": gguf.F32},
	prepare: func(c *config) {
		for _, key := range []string{"image_size", "patch_size"} {
			if list, ok := c.doc[key].([]any); ok && len(list) > 0 {
				c.doc[key] = list[0]
			}
		}
		top := &config{doc: c.root, err: c.err}
		ratio := top.number("downsample_ratio")
		if ratio <= 0 || ratio > 1 {
			c.fail("downsample_ratio: %v, want more than 0 and 1 at most", c.root["downsample_ratio"])
			return
		}
		c.doc["scale_factor"] = float64(int64(1 / ratio))
	},
	params: func(m *mapping, set func(string, any)) error {
		c, root := m.config, m.vision.root
		set("projector_type", "internvl")
		set("vision.attention.layer_norm_epsilon", c.float("layer_norm_eps"))
		m.activation(set)
		set("vision.projector.scale_factor", uint32(c.count("scale_factor")))
		for _, k := range []string{"min", "max"} {
			if n := root.integer(k + "_dynamic_patch"); n > 0 {
				set("vision.preproc_"+k+"_tiles", uint32(n))
			}
		}
		return nil
	},
}

func internLayers() []rule {
	const from, to = "vision_model.encoder.layers.{i}.", "v.blk.{i}."
	list := biased(optional, rulesOf([]rule{
		{from + "norm1.weight", to + "ln1.weight", vector(hidden), needed, nil},
		{from + "norm2.weight", to + "ln2.weight", vector(hidden), needed, nil},
	}, splitQKV(from+"attn.qkv", to), []rule{
		{from + "attn.proj.weight", to + "attn_out.weight", matrix(hidden, hidden), needed, nil},
		{from + "mlp.fc1.weight", to + "ffn_up.weight", matrix(ff, hidden), needed, nil},
		{from + "mlp.fc2.weight", to + "ffn_down.weight", matrix(hidden, ff), needed, nil},
	}))
	for i, r := range list { // all but norms and queries have biases
		if strings.HasSuffix(r.from, ".bias") && !strings.Contains(r.from, ".norm") && !strings.Contains(r.from, "qkv") {
			list[i].presence = needed
		}
	}
	return append(list,
		rule{from + "attn.q_norm.weight", to + "attn_q_norm.weight", vector(hidden), optional, nil},
		rule{from + "attn.k_norm.weight", to + "attn_k_norm.weight", vector(hidden), optional, nil},
		rule{from + "ls1", to + "ls1.weight", vector(hidden), needed, nil},
		rule{from + "ls2", to + "ls2.weight", vector(hidden), needed, nil},
	)
}
