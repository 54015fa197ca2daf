package arch

import (
	"math"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// gemma3Tower is Gemma 3's SigLIP encoder (Gemma3VisionModel in conversion/gemma.py). The norm of the projector is stored
// less one, as those of the text model are; the encoder's are not.
var gemma3Tower = &family{
	name:    "clip",
	classes: []string{"Gemma3ForConditionalGeneration"},
	rules: rulesOf(siglip("vision_tower.vision_model."), []rule{
		{"multi_modal_projector.mm_input_projection_weight", "mm.input_projection.weight", matrix(hidden, textHidden), needed, nil},
		{"multi_modal_projector.mm_soft_emb_norm.weight", "mm.soft_emb_norm.weight", vector(hidden), needed, plusOne},
	}),
	filter: func(_ *mapping, name string) string {
		if strings.Contains(name, "vision_model.head.") {
			return "pools what the encoder sees, which the projector does not need"
		}
		return ""
	},
	defaults: siglipDefaults,
	forced: map[string]gguf.Type{
		"mm.input_projection.weight": gguf.F16,
		"v.patch_embd.weight":        gguf.F32, "v.position_embd.weight": gguf.F32,
	},
	params: func(m *mapping, set func(string, any)) error {
		c := m.config
		set("projector_type", "gemma3")
		set("vision.attention.layer_norm_epsilon", c.float("layer_norm_eps"))
		set("use_gelu", true)
		side := int64(math.Sqrt(float64(m.vision.pre.countOr("image_seq_length", 256))))
		if scale := c.count("image_size") / max(1, c.count("patch_size")) / max(1, side); scale > 0 && scale != 4 {
			set("vision.projector.scale_factor", uint32(scale))
		}
		return nil
	},
}

// siglipDefaults are what transformers' configuration class makes of a SigLIP encoder's config without a key.
var siglipDefaults = map[string]any{
	"hidden_size": 768.0, "intermediate_size": 3072.0, "num_hidden_layers": 12.0, "num_attention_heads": 12.0,
	"image_size": 224.0, "patch_size": 16.0, "layer_norm_eps": 1e-6,
}

// siglip are the rules of a SigLIP encoder, all of whose layers and norms have biases.
func siglip(from string) []rule {
	return rulesOf(
		biased(needed, []rule{{from + "embeddings.patch_embedding.weight", "v.patch_embd.weight", shape(hidden, channels, patchSize, patchSize), needed, nil}}),
		[]rule{{from + "embeddings.position_embedding.weight", "v.position_embd.weight", matrix(patches, hidden), needed, nil}},
		clipLayers(from+"encoder.layers.{i}."),
		biased(needed, []rule{{from + "post_layernorm.weight", "v.post_ln.weight", vector(hidden), needed, nil}}),
	)
}

// clipLayers are the layers of OpenAI's CLIP and of what was made after it.
func clipLayers(from string) []rule {
	const to = "v.blk.{i}."
	return biased(needed, []rule{
		{from + "layer_norm1.weight", to + "ln1.weight", vector(hidden), needed, nil},
		{from + "self_attn.q_proj.weight", to + "attn_q.weight", matrix(hidden, hidden), needed, nil},
		{from + "self_attn.k_proj.weight", to + "attn_k.weight", matrix(hidden, hidden), needed, nil},
		{from + "self_attn.v_proj.weight", to + "attn_v.weight", matrix(hidden, hidden), needed, nil},
		{from + "self_attn.out_proj.weight", to + "attn_out.weight", matrix(hidden, hidden), needed, nil},
		{from + "layer_norm2.weight", to + "ln2.weight", vector(hidden), needed, nil},
		{from + "mlp.fc1.weight", to + "ffn_up.weight", matrix(ff, hidden), needed, nil},
		{from + "mlp.fc2.weight", to + "ffn_down.weight", matrix(hidden, ff), needed, nil},
	})
}
