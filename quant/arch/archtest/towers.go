package archtest

import (
	"fmt"
	"strings"
)

// Sizes of the towers: small images of few patches.
const (
	seen      = 64 // width of an encoder
	seenDeep  = 72 // of its feed-forward networks, whose rows are no multiple of 32
	patch     = 4
	imageSide = 32
	perSide   = imageSide / patch
)

// vision gives the config a vision_config.
func (c *Checkpoint) vision(pairs ...any) {
	v := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i].(string)] = pairs[i+1]
	}
	c.Config["vision_config"] = v
}

// preprocessor writes how images are prepared.
func (c *Checkpoint) preprocessor(mean, std string, more string) {
	c.Files["preprocessor_config.json"] = fmt.Appendf(nil, `{"image_mean": %s, "image_std": %s%s}`, mean, std, more)
}

// under renames the text model's tensors: model. becomes prefix, and what stands beside it comes under other.
func (c *Checkpoint) under(prefix, other string) {
	for i, t := range c.Tensors {
		if rest, ok := strings.CutPrefix(t.Name, "model."); ok {
			c.Tensors[i].Name = prefix + rest
		} else {
			c.Tensors[i].Name = other + t.Name
		}
	}
}

// withBias makes a weight and the bias of its rows.
func (c *Checkpoint) withBias(name string, shape ...int64) {
	c.each(0, name+".weight", shape...)
	c.each(0, name+".bias", shape[0])
}

// siglip makes an encoder of CLIP's kind without what stands before its layers.
func (c *Checkpoint) clipLayers(prefix string) {
	layer := prefix + "{i}."
	c.withBias(layer+"layer_norm1", seen)
	c.withBias(layer+"layer_norm2", seen)
	for _, p := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
		c.withBias(layer+"self_attn."+p, seen, seen)
	}
	c.withBias(layer+"mlp.fc1", seenDeep, seen)
	c.withBias(layer+"mlp.fc2", seen, seenDeep)
}

func (c *Checkpoint) siglip(prefix string) {
	c.withBias(prefix+"embeddings.patch_embedding", seen, 3, patch, patch)
	c.add(prefix+"embeddings.position_embedding.weight", perSide*perSide, seen)
	c.clipLayers(prefix + "encoder.layers.")
	c.withBias(prefix+"post_layernorm", seen)
}

// gemma3Vision nests the config and the names, and has a SigLIP encoder. The key image_seq_length makes the projector pool
// two by two patches, where Gemma's own models pool four by four.
func (c *Checkpoint) gemma3Vision() {
	c.gemma3()
	c.nest("Gemma3ForConditionalGeneration")
	c.vision("model_type", "siglip_vision_model", "hidden_size", seen, "intermediate_size", seenDeep, "num_hidden_layers", Layers, "num_attention_heads", Heads,
		"image_size", imageSide, "patch_size", patch, "vision_use_head", false)
	c.set("model_type", "gemma3", "mm_tokens_per_image", 16)
	c.under("language_model.model.", "language_model.")
	c.siglip("vision_tower.vision_model.")
	c.add("multi_modal_projector.mm_input_projection_weight", seen, width)
	c.add("multi_modal_projector.mm_soft_emb_norm.weight", seen)
	c.preprocessor("[0.5, 0.5, 0.5]", "[0.5, 0.5, 0.5]", `, "image_seq_length": 256`)
	c.Files["processor_config.json"] = []byte(`{"image_seq_length": 16, "processor_class": "Gemma3Processor"}`)
}
