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

	// of encoders with a merger.mlp.2 or a linear_2, since the converter takes that for the number of a layer
	deeper = 3
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
	c.layers = Layers
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

// clipMeans are OpenAI's means and deviations of the colours.
func (c *Checkpoint) clipMeans() {
	c.preprocessor("[0.48145466, 0.4578275, 0.40821073]", "[0.26862954, 0.26130258, 0.27577711]", "")
}

// Widths of Qwen's encoders, other than the text model's.
const (
	qwenSeen = 96
	merged   = 4 * qwenSeen
)

// qwenVision makes what the encoders of all Qwen models have, with or without biases in their norms.
func (c *Checkpoint) qwenVision(prefix string, norm func(name string, shape ...int64)) {
	c.layers = deeper
	c.add(prefix+"patch_embed.proj.weight", qwenSeen, 3, 2, patch, patch)
	norm(prefix+"blocks.{i}.norm1", qwenSeen)
	norm(prefix+"blocks.{i}.norm2", qwenSeen)
	c.withBias(prefix+"blocks.{i}.attn.qkv", 3*qwenSeen, qwenSeen)
	c.withBias(prefix+"blocks.{i}.attn.proj", qwenSeen, qwenSeen)
}

func (c *Checkpoint) weightAlone(name string, shape ...int64) { c.each(0, name+".weight", shape...) }

// qwenText makes a text model with positions in three dimensions.
func (c *Checkpoint) qwenText(class, modelType string) {
	c.class(class)
	c.set("model_type", modelType, "rope_theta", 1e6, "rope_scaling", map[string]any{"type": "mrope", "mrope_section": []int{2, 3, 3}})
	c.outer(false)
	c.norms()
	c.attention(width / Heads)
	c.attentionBiases(width / Heads)
	c.mlp()
	c.qwenBPE()
	c.clipMeans()
}

func (c *Checkpoint) qwen2vl() {
	c.qwenText("Qwen2VLForConditionalGeneration", "qwen2_vl")
	c.vision("depth", deeper, "embed_dim", qwenSeen, "hidden_size", width, "mlp_ratio", 2, "num_heads", Heads, "in_chans", 3,
		"patch_size", patch, "spatial_merge_size", 2, "spatial_patch_size", patch, "temporal_patch_size", 2)
	c.qwenVision("visual.", c.withBias)
	c.withBias("visual.blocks.{i}.mlp.fc1", 2*qwenSeen, qwenSeen)
	c.withBias("visual.blocks.{i}.mlp.fc2", qwenSeen, 2*qwenSeen)
	c.withBias("visual.merger.ln_q", qwenSeen)
	c.withBias("visual.merger.mlp.0", merged, merged)
	c.withBias("visual.merger.mlp.2", width, merged)
}

func (c *Checkpoint) qwen25vl() {
	c.qwenText("Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl")
	c.vision("depth", deeper, "hidden_act", "silu", "hidden_size", qwenSeen, "intermediate_size", seenDeep, "num_heads", Heads, "in_chans", 3,
		"out_hidden_size", width, "patch_size", patch, "spatial_merge_size", 2, "spatial_patch_size", patch, "temporal_patch_size", 2,
		"window_size", 4*patch, "fullatt_block_indexes", []int{2})
	c.qwenVision("visual.", c.weightAlone)
	c.withBias("visual.blocks.{i}.mlp.gate_proj", seenDeep, qwenSeen)
	c.withBias("visual.blocks.{i}.mlp.up_proj", seenDeep, qwenSeen)
	c.withBias("visual.blocks.{i}.mlp.down_proj", qwenSeen, seenDeep)
	c.weightAlone("visual.merger.ln_q", qwenSeen)
	c.withBias("visual.merger.mlp.0", merged, merged)
	c.withBias("visual.merger.mlp.2", width, merged)
}

// qwen3Vision makes the encoder of Qwen 3, whose last layer the text model is given too where deep is true.
func (c *Checkpoint) qwen3Vision(deep bool) {
	indexes := []int{}
	if deep {
		indexes = []int{1}
	}
	c.vision("deepstack_visual_indexes", indexes, "depth", deeper, "hidden_act", "gelu_pytorch_tanh", "hidden_size", qwenSeen, "in_channels", 3,
		"intermediate_size", seenDeep, "model_type", "qwen3_vl", "num_heads", Heads, "num_position_embeddings", perSide*perSide,
		"out_hidden_size", width, "patch_size", patch, "spatial_merge_size", 2, "temporal_patch_size", 2)
	const p = "model.visual."
	c.qwenVision(p, c.withBias)
	c.add(p+"patch_embed.proj.bias", qwenSeen)
	c.add(p+"pos_embed.weight", perSide*perSide, qwenSeen)
	c.withBias(p+"blocks.{i}.mlp.linear_fc1", seenDeep, qwenSeen)
	c.withBias(p+"blocks.{i}.mlp.linear_fc2", qwenSeen, seenDeep)
	c.withBias(p+"merger.norm", qwenSeen)
	c.withBias(p+"merger.linear_fc1", merged, merged)
	c.withBias(p+"merger.linear_fc2", width, merged)
	if deep {
		c.withBias(p+"deepstack_merger_list.0.norm", merged)
		c.withBias(p+"deepstack_merger_list.0.linear_fc1", merged, merged)
		c.withBias(p+"deepstack_merger_list.0.linear_fc2", width, merged)
	}
	c.preprocessor("[0.5, 0.5, 0.5]", "[0.5, 0.5, 0.5]", "")
}

func (c *Checkpoint) qwen3vl() {
	c.class("Qwen3VLForConditionalGeneration")
	c.set("model_type", "qwen3_vl_text", "head_dim", 32, "rope_theta", 5e6, "rope_scaling", map[string]any{"mrope_interleaved": true, "mrope_section": []int{6, 5, 5}, "rope_type": "default"})
	c.outer(false)
	c.norms()
	c.attention(32)
	c.headNorms(32)
	c.mlp()
	c.qwenBPE()
	c.nest("Qwen3VLForConditionalGeneration")
	c.set("model_type", "qwen3_vl")
	c.under("model.language_model.", "")
	c.qwen3Vision(true)
}

func (c *Checkpoint) qwen3vlmoe() {
	c.class("Qwen3VLMoeForConditionalGeneration")
	c.set("model_type", "qwen3_vl_moe_text", "num_experts", 4, "num_experts_per_tok", 2, "moe_intermediate_size", expert, "head_dim", 32, "norm_topk_prob", true, "rope_theta", 5e6,
		"rope_scaling", map[string]any{"mrope_interleaved": true, "mrope_section": []int{6, 5, 5}, "rope_type": "default"})
	c.outer(false)
	c.norms()
	c.attention(32)
	c.headNorms(32)
	c.each(0, "model.layers.{i}.mlp.gate.weight", 4, width)
	c.each(0, "model.layers.{i}.mlp.experts.gate_up_proj", 4, width, 2*expert)
	c.each(0, "model.layers.{i}.mlp.experts.down_proj", 4, expert, width)
	c.qwenBPE()
	c.nest("Qwen3VLMoeForConditionalGeneration")
	c.set("model_type", "qwen3_vl_moe")
	c.under("model.language_model.", "")
	c.qwen3Vision(true)
}

// pixtralVision makes Mistral's encoder, which merges two by two patches, with or without biases in its projector.
func (c *Checkpoint) pixtralVision(bias bool) {
	c.vision("model_type", "pixtral", "head_dim", seen/Heads, "hidden_act", "silu", "hidden_size", seen, "image_size", imageSide, "intermediate_size", seenDeep,
		"num_attention_heads", Heads, "num_channels", 3, "num_hidden_layers", deeper, "patch_size", patch, "rope_theta", 10000.0)
	c.layers = deeper
	c.add("vision_tower.patch_conv.weight", seen, 3, patch, patch)
	c.add("vision_tower.ln_pre.weight", seen)
	const layer = "vision_tower.transformer.layers.{i}."
	c.weightAlone(layer+"attention_norm", seen)
	c.weightAlone(layer+"ffn_norm", seen)
	for _, p := range []string{"q_proj", "k_proj", "v_proj", "o_proj"} {
		c.weightAlone(layer+"attention."+p, seen, seen)
	}
	c.weightAlone(layer+"feed_forward.gate_proj", seenDeep, seen)
	c.weightAlone(layer+"feed_forward.up_proj", seenDeep, seen)
	c.weightAlone(layer+"feed_forward.down_proj", seen, seenDeep)
	linear := c.weightAlone
	if bias {
		linear = c.withBias
	}
	linear("multi_modal_projector.linear_1", width, seen)
	linear("multi_modal_projector.linear_2", width, width)
	if !bias {
		c.set("spatial_merge_size", 2)
		c.add("multi_modal_projector.norm.weight", seen)
		c.add("multi_modal_projector.patch_merger.merging_layer.weight", seen, 4*seen)
	}
	c.clipMeans()
}

// pixtral is the first of Mistral's models that see.
func (c *Checkpoint) pixtral() {
	c.llamaLike("LlavaForConditionalGeneration", 32, false)
	c.set("head_dim", 32, "rope_theta", 1e9, "model_type", "mistral")
	c.nest("LlavaForConditionalGeneration")
	c.set("model_type", "llava")
	c.under("language_model.model.", "language_model.")
	c.pixtralVision(true)
	c.tekkenBPE("[IMG_BREAK]")
}

// smolvlm has patches of which two by two become one embedding.
func (c *Checkpoint) smolvlm() {
	c.llamaLike("VLlama3ForCausalLM", 32, false)
	c.set("head_dim", 32, "model_type", "llama", "rope_theta", 130000.0)
	c.nest("SmolVLMForConditionalGeneration")
	c.Config["text_config"].(map[string]any)["architectures"] = []string{"VLlama3ForCausalLM"}
	c.set("model_type", "smolvlm", "scale_factor", 2)
	c.vision("model_type", "smolvlm_vision", "hidden_size", seen, "intermediate_size", seenDeep, "num_hidden_layers", Layers, "num_attention_heads", Heads,
		"image_size", imageSide, "patch_size", patch, "layer_norm_eps", 1e-6)
	c.under("model.text_model.", "")
	c.siglip("model.vision_model.")
	c.add("model.connector.modality_projection.proj.weight", width, 4*seen)
	c.preprocessor("[0.5, 0.5, 0.5]", "[0.5, 0.5, 0.5]", `, "size": {"longest_edge": 64}`)
	c.llama3BPE()
}

// internvl has a text model in llm_config, and four layers, since the converter takes the 3 in mlp1.3 for one.
func (c *Checkpoint) internvl() {
	c.class("Qwen2ForCausalLM")
	c.set("model_type", "qwen2")
	c.outer(false)
	c.norms()
	c.attention(width / Heads)
	c.attentionBiases(width / Heads)
	c.mlp()
	c.nest("InternVLChatModel")
	c.Config["llm_config"] = c.Config["text_config"]
	c.Config["llm_config"].(map[string]any)["architectures"] = []string{"Qwen2ForCausalLM"}
	c.set("text_config", nil, "model_type", "internvl_chat", "downsample_ratio", 0.5, "min_dynamic_patch", 1, "max_dynamic_patch", 12, "hidden_size", width)
	const layers = 4
	c.vision("architectures", []string{"InternVisionModel"}, "model_type", "intern_vit_6b", "hidden_act", "gelu", "hidden_size", seen, "image_size", imageSide,
		"intermediate_size", seenDeep, "layer_norm_eps", 1e-6, "num_attention_heads", Heads, "num_hidden_layers", layers, "patch_size", patch)
	c.under("language_model.model.", "language_model.")
	c.layers = layers
	c.add("vision_model.embeddings.class_embedding", 1, 1, seen)
	c.add("vision_model.embeddings.position_embedding", 1, perSide*perSide+1, seen)
	c.withBias("vision_model.embeddings.patch_embedding", seen, 3, patch, patch)
	const layer = "vision_model.encoder.layers.{i}."
	c.withBias(layer+"norm1", seen)
	c.withBias(layer+"norm2", seen)
	c.withBias(layer+"attn.qkv", 3*seen, seen)
	c.withBias(layer+"attn.proj", seen, seen)
	c.withBias(layer+"mlp.fc1", seenDeep, seen)
	c.withBias(layer+"mlp.fc2", seen, seenDeep)
	c.each(0, layer+"ls1", seen)
	c.each(0, layer+"ls2", seen)
	c.withBias("mlp1.0", 4*seen)
	c.withBias("mlp1.1", width, 4*seen)
	c.withBias("mlp1.3", width, width)
	c.preprocessor("[0.485, 0.456, 0.406]", "[0.229, 0.224, 0.225]", "")
	c.qwenBPE()
}

// llava makes OpenAI's encoder, with one layer more than the projector reads; 1.6 cuts its images.
func (c *Checkpoint) llavaOf(class string) {
	c.llamaLike("LlamaForCausalLM", width/Heads, false)
	c.set("model_type", "llama", "rope_theta", nil)
	c.nest(class)
	c.Config["text_config"].(map[string]any)["architectures"] = []string{"LlamaForCausalLM"}
	c.vision("model_type", "clip_vision_model", "hidden_size", seen, "image_size", imageSide, "intermediate_size", seenDeep, "num_attention_heads", Heads,
		"num_hidden_layers", deeper, "patch_size", patch, "projection_dim", seen)
	c.set("model_type", "llava", "vision_feature_layer", -2, "vision_feature_select_strategy", "default")
	c.under("language_model.model.", "language_model.")
	c.layers = deeper
	const p = "vision_tower.vision_model."
	c.add(p+"embeddings.class_embedding", seen)
	c.add(p+"embeddings.patch_embedding.weight", seen, 3, patch, patch)
	c.add(p+"embeddings.position_embedding.weight", perSide*perSide+1, seen)
	c.withBias(p+"pre_layrnorm", seen)
	c.clipLayers(p + "encoder.layers.")
	c.withBias(p+"post_layernorm", seen)
	c.withBias("multi_modal_projector.linear_1", width, seen)
	c.withBias("multi_modal_projector.linear_2", width, width)
	c.clipMeans()
	c.sentencePiece()
}

func (c *Checkpoint) llava() { c.llavaOf("LlavaForConditionalGeneration") }

func (c *Checkpoint) llavaNext() {
	c.llavaOf("LlavaNextForConditionalGeneration")
	c.set("model_type", "llava_next", "image_grid_pinpoints", [][]int{{32, 64}, {64, 32}, {64, 64}})
	c.add("image_newline", width)
}
