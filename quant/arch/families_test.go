package arch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

func TestMapNamesWhatIsWrongWithEncoders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule   string
		kind   archtest.Kind
		change func(*archtest.Checkpoint)
		want   string
	}{
		{"unknown context", "tiny-nomic-bert", set("n_positions", 4096), "n_positions 4096 with max_trained_positions 2048, want 8192 or 2048 with 2048"},
		{"causal", "tiny-nomic-bert", set("causal", true), "causal: true"},
		{"half of a head turned", "tiny-nomic-bert", set("rotary_emb_fraction", 0.5), "rotary_emb_fraction: 0.5, want 1"},
		{"scaled positions", "tiny-nomic-bert", set("rotary_emb_scale_base", 512), "rotary_emb_scale_base: 512, want null"},
		{"biases without experts", "tiny-nomic-bert", set("qkv_proj_bias", true), "qkv_proj_bias: true, want false"},
		{"experts with another activation", "tiny-nomic-bert-moe", set("activation_function", "swiglu"), `activation_function: "swiglu", want gelu`},
		{"an expert layer without router", "tiny-nomic-bert-moe", drop("encoder.layers.1.mlp.router.layer.weight"), `tensor "encoder.layers.1.mlp.router.layer.weight": missing`},
		{"a dense layer among experts", "tiny-nomic-bert-moe", add("encoder.layers.1.mlp.fc1.weight", "BF16", 96, 64), "no rule of the nomic-bert-moe architecture knows it"},
		{"labels with a gap", "tiny-bert-reranker", set("id2label", map[string]string{"0": "a", "2": "b"}), "id2label.1 is missing"},
		{"other labels than the head has", "tiny-bert-reranker", set("id2label", map[string]string{"0": "a", "1": "b", "2": "c"}), "config.json makes it [3]"},
		{"head of two layers, but the labels have no names", "tiny-distilbert-reranker", set("id2label", map[string]string{"0": "LABEL_0", "1": "LABEL_1"}), `both become "cls.weight"`},
		{"Jina's network missing", "tiny-jina2", drop("encoder.layer.1.mlp.gated_layers.weight"), `tensor "encoder.layer.1.mlp.gated_layers.weight": missing`},
		{"norm of the first layer", "tiny-modernbert", add("model.layers.0.attn_norm.weight", "BF16", 64), "no rule of the modern-bert architecture knows it"},
		{"adapters no strings", "tiny-jina3", set("lora_adaptations", []int{1}), "lora_adaptations: want a list of strings"},
		{"no embedding", "tiny-t5-encoder", drop("encoder.embed_tokens.weight"), `tensor "shared.weight": missing`},
		{"fewer decoder layers", "tiny-umt5", set("num_decoder_layers", 1), "no rule of the t5 architecture knows it"},
		{"more decoder layers", "tiny-t5-flan", set("num_decoder_layers", 2), `tensor "decoder.block.1.layer.0.SelfAttention.k.weight" and 13 more: missing`},
		{"too many decoder layers", "tiny-t5-flan", set("num_decoder_layers", 1<<30), "config.json: num_hidden_layers"},
		{"other buckets", "tiny-t5", set("relative_attention_num_buckets", 16), "config.json makes it [16 4]"},
		{"T5 without a vocabulary", "tiny-t5", func(c *archtest.Checkpoint) { delete(c.Files, "spiece.model") }, "no tokenizer.model, spiece.model or tokenizer.json"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			if _, err := mapChanged(t, tc.kind, arch.Options{}, tc.change); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestMapNamesWhatIsWrongWithExpertsAndFusedTensors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule   string
		kind   archtest.Kind
		change func(*archtest.Checkpoint)
		want   string
	}{
		{"one expert missing", "tiny-mixtral", drop("model.layers.1.block_sparse_moe.experts.3.w2.weight"), `tensor "model.layers.1.block_sparse_moe.experts.3.w2.weight": missing`},
		{"more experts than tensors", "tiny-mixtral", set("num_local_experts", 1<<30), "config.json: 1073741824 tensors"},
		{"fewer experts than tensors", "tiny-qwen3moe", set("num_experts", 3), `tensor "model.layers.0.mlp.experts.3.`},
		{"no experts", "tiny-qwen3moe", unset("num_experts"), "config.json: num_local_experts is missing"},
		{"experts apart and in one", "tiny-qwen3moe", add("model.layers.0.mlp.experts.down_proj", "BF16", 4, 64, 32), `both become "blk.0.ffn_down_exps.weight"`},
		{"half of a fused pair of names", "tiny-qwen3moe-fused", rename("model.layers.1.mlp.experts.down_proj", "model.layers.1.mlp.experts.0.down_proj.weight"), "missing from the checkpoint"},
		{"fused matrix of another width", "tiny-granitemoe", set("intermediate_size", 64), "config.json makes it [4 128 64]"},
		{"experts of two formats", "tiny-mixtral", func(c *archtest.Checkpoint) {
			c.Drop("model.layers.0.block_sparse_moe.experts.1.w1.weight")
			add("model.layers.0.block_sparse_moe.experts.1.w1.weight", "F32", 96, 64)(c)
		}, "dtype F32, but"},
		{"dense layer among experts", "tiny-deepseek3", set("first_k_dense_replace", 0), `no rule of the deepseek2 architecture knows it`},
		{"gating of an unknown kind", "tiny-deepseek3", set("scoring_func", "relu"), "config.json: scoring_func: relu, want softmax"},
		{"latent without its rank", "tiny-deepseek3", set("kv_lora_rank", 63), "config.json makes it [63]"},
		{"layer kinds too few", "tiny-qwen3next", set("layer_types", []string{"linear_attention"}), "layer_types has 1 entries"},
		{"layer kinds no strings", "tiny-qwen3next", set("layer_types", []int{1, 2}), "layer_types: want a list of strings"},
		{"value heads that do not divide", "tiny-qwen3next", set("linear_num_value_heads", 5), "is no multiple of linear_num_key_heads"},
		{"long factors too few", "tiny-phi-long", func(c *archtest.Checkpoint) {
			c.Config["rope_scaling"].(map[string]any)["long_factor"] = []float64{1}
		}, "long_factor has 1 values and short_factor 6, want 6"},
		{"long factors no numbers", "tiny-phi-long", func(c *archtest.Checkpoint) {
			c.Config["rope_scaling"].(map[string]any)["long_factor"] = []any{"a", 1, 2, 3, 4, 5}
		}, "want a number"},
		{"long factors of an unknown kind", "tiny-phi-long", func(c *archtest.Checkpoint) {
			c.Config["rope_scaling"].(map[string]any)["type"] = "linear"
		}, "want su, longrope or yarn"},
		{"text_config no object", "tiny-gemma3-vision", set("text_config", 7), "config.json: text_config: want an object"},
		{"packed experts without exponents", "tiny-gpt-oss-mxfp4", drop("model.layers.1.mlp.experts.down_proj_scales"), `tensor "model.layers.1.mlp.experts.down_proj_blocks" (model.safetensors): its scales are missing`},
		{"exponents without experts", "tiny-gpt-oss-mxfp4", drop("model.layers.1.mlp.experts.down_proj_blocks"), `scales "model.layers.1.mlp.experts.down_proj_blocks", which is missing`},
		{"packed experts of another type", "tiny-gpt-oss-mxfp4", retype("model.layers.0.mlp.experts.down_proj_blocks", "I8"), "dtype I8, packed weights are U8"},
		{"exponents of another type", "tiny-gpt-oss-mxfp4", retype("model.layers.0.mlp.experts.down_proj_scales", "I8"), `of I8, "model.layers.0.mlp.experts.down_proj_blocks" needs [4 64 1] of U8`},
		{"packed rows of another width", "tiny-gpt-oss-mxfp4", set("intermediate_size", 64), "config.json makes it [4 64 2 16]"},
		{"packed experts that nothing announces", "tiny-gpt-oss-mxfp4", unset("quantization_config"), `no rule of the gpt-oss architecture knows it`},
		{"GLM without its tokens", "tiny-glm4", func(c *archtest.Checkpoint) {
			c.Files["tokenizer.json"] = []byte(strings.ReplaceAll(string(c.Files["tokenizer.json"]), "|user|", "|yours|"))
		}, `no added token "<|user|>", which is this architecture's eot token`},
		{"Gemma without tokenizer.model", "tiny-gemma", func(c *archtest.Checkpoint) { delete(c.Files, "tokenizer.model") }, "no tokenizer.model, which this architecture needs"},
		{"streams that llama.cpp doesn't know", "tiny-gemma3n", inText("altup_num_inputs", 3), "config.json: altup_num_inputs: 3, llama.cpp knows 4"},
		{"layers of several widths", "tiny-gemma3n", inText("intermediate_size", []int{96, 64}), "config.json: intermediate_size: 96 and 64"},
		{"no widths", "tiny-gemma3n", inText("intermediate_size", []int{}), "config.json: intermediate_size: an empty list"},
		{"fewer tokens than embeddings of layers", "tiny-gemma3n", inText("vocab_size", 400), "config.json makes it [400 64]"},
		{"one stream missing", "tiny-gemma3n", drop("model.language_model.altup_projections.1.weight"), `tensor "model.altup_projections.1.weight": missing`},
		{"positions of another kind", "tiny-gemma4", func(c *archtest.Checkpoint) {
			c.Config["text_config"].(map[string]any)["rope_parameters"].(map[string]any)["full_attention"].(map[string]any)["rope_type"] = "yarn"
		}, `want proportional`},
		{"layer kinds too many", "tiny-gemma4", inText("layer_types", []string{"a", "b", "c", "d", "e"}), "layer_types: 5 entries, want one for each of 4 layers"},
		{"layer that is no number", "tiny-gemma4", inText("per_layer_config", map[string]any{"x": 1}), `per_layer_config: "x", want the number of a layer`},
		{"multipliers too few", "tiny-falcon-h1", set("ssm_multipliers", []float64{1}), "config.json: ssm_multipliers: 1 numbers, want 2 or more"},
		{"multiplier missing", "tiny-falcon-h1", unset("key_multiplier"), "config.json: key_multiplier is missing"},
		{"activation that isn't silu", "tiny-falcon-h1", set("hidden_act", "gelu"), `config.json: hidden_act: "gelu", llama.cpp knows silu`},
		{"pattern too short", "tiny-nemotron-h", set("hybrid_override_pattern", "M-*"), "hybrid_override_pattern or layers_block_type: 3 layers, num_hidden_layers is 4"},
		{"layer of an unknown kind", "tiny-nemotron-h-moe", set("layers_block_type", []string{"mamba", "moe", "attention", "magic"}), `layers_block_type: "magic"`},
		{"activation of EXAONE that isn't silu", "tiny-exaone", set("activation_function", "gelu"), `config.json: activation_function: "gelu", llama.cpp knows silu`},
		{"Hunyuan stretched from another base", "tiny-hunyuan", set("rope_theta", 20000.0), "rope_theta 20000 and max_position_embeddings 32768"},
		{"long factors of MiniCPM too few", "tiny-minicpm", func(c *archtest.Checkpoint) {
			c.Config["rope_scaling"].(map[string]any)["short_factor"] = []float64{1}
		}, "long_factor has 8 values and short_factor 1, want 8"},
		{"MiniCPM without its scale", "tiny-minicpm", unset("scale_depth"), "config.json: scale_depth is missing"},
		{"a head that is normalised", "tiny-bailingmoe", set("norm_head", true), "config.json: norm_head"},
		{"dense layers before Ling's", "tiny-bailingmoe", set("first_k_dense_replace", 1), "config.json: first_k_dense_replace: 1"},
		{"rotary size missing", "tiny-minimax-m2", unset("rotary_dim"), "config.json: rotary_dim is missing"},
		{"both spellings of ERNIE", "tiny-ernie", add("model.layers.0.self_attn.qkv_proj.weight", "BF16", 256, 64), `both become "blk.0.attn_`},
		{"ranks of Kimi that aren't there", "tiny-kimi-k2", func(c *archtest.Checkpoint) { delete(c.Files, "tiktoken.model") }, "neither tokenizer.model nor tokenizer.json"},
		{"blocks too few", "tiny-deci", set("block_configs", []any{}), "config.json: block_configs: 0 entries, want one for each of 4 layers"},
		{"blocks that are no objects", "tiny-deci", set("block_configs", []any{1, 2, 3, 4}), "config.json: block_configs: want objects"},
		{"a block of another width", "tiny-deci", func(c *archtest.Checkpoint) {
			c.Config["block_configs"].([]any)[0].(map[string]any)["ffn"] = map[string]any{"ffn_mult": 9}
		}, "config.json makes it [64 512]"},
		{"a block beyond all bounds", "tiny-deci", func(c *archtest.Checkpoint) {
			c.Config["block_configs"].([]any)[0].(map[string]any)["ffn"] = map[string]any{"ffn_mult": 1e300}
		}, "block_configs: ffn_mult"},
		{"no number of tokens to pick", "tiny-deepseek32", unset("index_topk"), "config.json: index_topk is missing"},
		{"two predictors of EXAONE", "tiny-exaone-moe", set("num_nextn_predict_layers", 2), "num_nextn_predict_layers: 2, want 1 or none"},
		{"DBRX without its attention", "tiny-dbrx", set("attn_config", map[string]any{"kv_n_heads": 2, "rope_theta": 1e4}), "config.json: attn_config.clip_qkv is missing"},
		{"an eos token that is none", "tiny-kimi-linear", func(c *archtest.Checkpoint) {
			c.Files["tokenizer_config.json"] = []byte(`{"eos_token": "<nothing>"}`)
		}, `tokenizer_config.json: eos_token "<nothing>" is no special token`},
		{"experts that are always asked, summed up", "tiny-cohere2moe", set("shared_expert_combination_strategy", "sum"), `shared_expert_combination_strategy: "sum"`},
		{"predictors of Command R", "tiny-cohere2moe", set("num_nextn_predict_layers", 1), "config.json: num_nextn_predict_layers: 1"},
		{"small experts missing", "tiny-grovemoe", drop("model.layers.1.mlp.chunk_experts.1.up_proj.weight"), "missing from the checkpoint"},
		{"Hunyuan's layers not alike", "tiny-hunyuan-moe", set("moe_topk", []int{2, 3}), "config.json: moe_topk: 2 and 3"},
		{"Hunyuan's layers without experts", "tiny-hunyuan-moe", unset("num_shared_expert"), "config.json: num_shared_expert: want a list of numbers"},
		{"a number of an activation missing", "tiny-apertus", drop("model.layers.1.mlp.act_fn.beta"), `tensor "model.layers.1.mlp.act_fn.beta": missing`},
		{"a number of an activation that is two", "tiny-apertus", func(c *archtest.Checkpoint) {
			drop("model.layers.0.mlp.act_fn.eps")(c)
			add("model.layers.0.mlp.act_fn.eps", "BF16", 2)(c)
		}, "want one number in F32 or BF16"},
		{"two predictors", "tiny-nemotron-h-moe", set("num_nextn_predict_layers", 2), "num_nextn_predict_layers: 2, llama.cpp knows one"},
		{"vocabulary beyond InternLM's pieces", "tiny-internlm2", func(c *archtest.Checkpoint) {
			set("vocab_size", 5000)(c)
			for _, name := range []string{"model.tok_embeddings.weight", "output.weight"} {
				c.Drop(name)
				add(name, "BF16", 5000, 64)(c)
			}
		}, "pieces, but vocab_size is 5000"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			_, err := mapChanged(t, tc.kind, arch.Options{}, tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestWhatIsLeftOutIsNamedWithItsReason(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind archtest.Kind
		want string
	}{
		{"tiny-gemma", "lm_head.weight (the embedding once more)"},
		{"tiny-gemma3-vision", "multi_modal_projector.mm_input_projection_weight (sees or hears: goes to the mmproj file)"},
		{"tiny-qwen35moe", "model.visual.blocks.0.attn.qkv.weight (sees or hears, which is not for the text model)"},
		{"tiny-deepseek3", "model.layers.2.eh_proj.weight (predicts more tokens at once, which llama.cpp does not load)"},
		{"tiny-ernie-moe", "model.mtp_block.0.input_layernorm.weight (predicts more tokens at once, which llama.cpp does not load)"},
		{"tiny-grovemoe", "model.layers.0.mlp.expert_bias (not used by the model)"},
		{"tiny-apertus", "model.layers.0.mlp.act_fn.alpha_p (a number of the activation, kept in the metadata)"},
		{"tiny-chatglm", "transformer.rotary_pos_emb.inv_freq (computed, not needed)"},
		{"tiny-gptneox", "gpt_neox.layers.0.attention.masked_bias (computed, not needed)"},
	} {
		m, err := mapChanged(t, tc.kind, arch.Options{}, func(*archtest.Checkpoint) {})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(m.Dropped, tc.want) {
			t.Errorf("%s: dropped %q, want %q", tc.kind, m.Dropped, tc.want)
		}
	}
}

// A tower that can't be mapped says why, and the text model is there all the same.
func TestATowerNamesWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	vision := func(key string, value any) func(*archtest.Checkpoint) {
		return func(c *archtest.Checkpoint) { c.Config["vision_config"].(map[string]any)[key] = value }
	}
	file := func(name, text string) func(*archtest.Checkpoint) {
		return func(c *archtest.Checkpoint) { c.Files[name] = []byte(text) }
	}
	for _, tc := range []struct {
		rule   string
		kind   archtest.Kind
		change func(*archtest.Checkpoint)
		want   string
	}{
		{"no family", "tiny-gemma3-vision", unset("vision_config"), "39 tensors see or hear, in a way that is not supported"},
		{"a tensor missing", "tiny-gemma3-vision", drop("post_layernorm.bias"), `tensor "vision_tower.vision_model.post_layernorm.bias": missing`},
		{"a tensor too many", "tiny-gemma3-vision", add("vision_tower.vision_model.more", "BF16", 4), `"vision_tower.vision_model.more" (model.safetensors): no rule of the clip architecture knows it`},
		{"a layer too many", "tiny-gemma3-vision", vision("num_hidden_layers", 1), "no rule of the clip architecture knows it"},
		{"layers beyond the tensors", "tiny-gemma3-vision", vision("num_hidden_layers", 1<<20), "num_hidden_layers 1048576, but"},
		{"another width", "tiny-gemma3-vision", vision("hidden_size", 32), "config.json makes it [32"},
		{"another image", "tiny-gemma3-vision", vision("image_size", 64), "shape [64 64], config.json makes it [256 64]"},
		{"no patches", "tiny-gemma3-vision", vision("patch_size", 0), "config.json: vision_config.patch_size: 0, want"},
		{"heads that do not divide", "tiny-gemma3-vision", vision("num_attention_heads", 5), "vision_config.hidden_size 64 is no multiple of num_attention_heads 5"},
		{"no means", "tiny-gemma3-vision", file("preprocessor_config.json", `{"image_std": [1, 1, 1]}`), "preprocessor_config.json: image_mean is missing"},
		{"means no numbers", "tiny-gemma3-vision", file("preprocessor_config.json", `{"image_std": [1, 1, 1], "image_mean": [1, "x"]}`), "want a number"},
		{"one frame at a time", "tiny-qwen2vl", func(c *archtest.Checkpoint) {
			drop("patch_embed.proj.weight")(c)
			add("visual.patch_embed.proj.weight", "BF16", 96, 3, 1, 4, 4)(c)
		}, "shape [96 3 1 4 4], config.json makes it [96 3 2 4 4]"},
		{"another Qwen's class", "tiny-qwen2vl", set("model_type", "qwen3_vl"), `config.json: model_type: "qwen3_vl", want qwen2_vl`},
		{"windows of no pattern", "tiny-qwen2.5vl", vision("fullatt_block_indexes", []int{1, 2}), "vision_config.fullatt_block_indexes: [1 2], want every 2"},
		{"no windows", "tiny-qwen2.5vl", vision("fullatt_block_indexes", nil), "vision_config.fullatt_block_indexes is missing"},
		{"an inner layer beyond the last", "tiny-qwen3vl", vision("deepstack_visual_indexes", []int{3}), "no rule of the clip architecture knows it"},
		{"fewer inner layers than tensors", "tiny-qwen3vl", vision("deepstack_visual_indexes", []int{}), `"model.visual.deepstack_merger_list.0.linear_fc1.bias"`},
		{"no token for the end of a row", "tiny-pixtral", func(c *archtest.Checkpoint) {
			c.Files["tokenizer.json"] = []byte(strings.ReplaceAll(string(c.Files["tokenizer.json"]), "IMG_BREAK", "IMG_OTHER"))
		}, `no added token "[IMG_BREAK]"`},
		{"a token beyond the vocabulary", "tiny-pixtral", file("tokenizer_config.json", `{"added_tokens_decoder": {"512": {"content": "[IMG_BREAK]"}}}`), "vocab_size 512, but the token [IMG_BREAK] is 512"},
		{"a token that is no number", "tiny-pixtral", file("tokenizer_config.json", `{"added_tokens_decoder": {"0": {"content": "[IMG_BREAK]"}}}`), `"0" is no number of a token`},
		{"another activation", "tiny-pixtral", vision("hidden_act", "relu"), `vision_config.hidden_act: "relu", want silu or gelu`},
		{"an encoder of another make", "tiny-pixtral", vision("model_type", "mllama"), "tensors see or hear, in a way that is not supported"},
		{"no number of merged patches", "tiny-mistral3", set("spatial_merge_size", "x"), "config.json: spatial_merge_size: want a number"},
		{"no JSON", "tiny-gemma3-vision", file("processor_config.json", `{`), "processor_config.json: unexpected EOF"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			m, err := mapChanged(t, tc.kind, arch.Options{}, tc.change)
			if err != nil {
				t.Fatal(err)
			}
			if m.Tower != nil || m.TowerErr == nil || !strings.Contains(m.TowerErr.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", m.TowerErr, tc.want)
			}
		})
	}
}

// A model whose config speaks of images, but whose weights don't see, takes text alone and is as it should be.
func TestAConfigAloneMakesNoTower(t *testing.T) {
	t.Parallel()
	m, err := mapChanged(t, "tiny-gemma3-vision", arch.Options{}, func(c *archtest.Checkpoint) {
		c.Tensors = slices.DeleteFunc(c.Tensors, func(x archtest.Tensor) bool { return !strings.HasPrefix(x.Name, "language_model.") })
	})
	if err != nil || m.Tower != nil || m.TowerErr != nil {
		t.Errorf("got a tower %v, %v, %v", m.Tower != nil, m.TowerErr, err)
	}
}

// Each expert of an FP8 checkpoint keeps its own scales.
func TestStackedExpertsKeepTheirScales(t *testing.T) {
	t.Parallel()
	m, err := mapChanged(t, "tiny-qwen3moe", arch.Options{}, func(c *archtest.Checkpoint) {
		quantized("fp8", "weight_block_size", []int{128, 128})(c)
		for i, x := range c.Tensors {
			if strings.Contains(x.Name, ".experts.") {
				c.Tensors[i].DType, c.Tensors[i].Data = "F8_E4M3", make([]byte, x.Shape[0]*x.Shape[1])
				add(x.Name+"_scale_inv", "F32", 1, 1)(c)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	x := find(t, m, "blk.1.ffn_up_exps.weight")
	if len(x.Parts) != 4 {
		t.Fatalf("%d parts, want 4", len(x.Parts))
	}
	for i, p := range x.Parts {
		if p.Scale == nil || p.Scale.Tensor.Name != p.Source.Name+"_scale_inv" {
			t.Errorf("part %d: scale %+v", i, p.Scale)
		}
	}
}

// inText sets a key of the text_config.
func inText(key string, v any) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) { c.Config["text_config"].(map[string]any)[key] = v }
}

// Layers whose sizes the config states one by one are found.
func TestGemma4ReadsTheConfigOfEachLayer(t *testing.T) {
	t.Parallel()
	m, err := mapChanged(t, "tiny-gemma4-moe", arch.Options{}, func(c *archtest.Checkpoint) {
		inText("global_head_dim", nil)(c)
		inText("num_global_key_value_heads", nil)(c)
		inText("per_layer_config", map[string]any{"0": map[string]any{"head_dim": 32, "num_key_value_heads": 2}, "1": map[string]any{"head_dim": 64, "num_key_value_heads": 1}})(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := m.Metadata.Get("gemma4.attention.key_length"); got != uint32(64) {
		t.Errorf("key_length %v, want 64", got)
	}
	if got, _ := m.Metadata.Get("gemma4.attention.head_count_kv"); !slices.Equal(got.([]int32), []int32{2, 1}) {
		t.Errorf("head_count_kv %v, want [2 1]", got)
	}
}

// An embedding model's dense layers are named, since its vectors come without them.
func TestDenseLayersBehindAModelWarn(t *testing.T) {
	t.Parallel()
	m, err := mapChanged(t, "tiny-embeddinggemma", arch.Options{}, func(*archtest.Checkpoint) {})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(m.Warnings, func(s string) bool { return strings.Contains(s, "dense layers in 2_Dense are left out") }) {
		t.Errorf("warnings %q", m.Warnings)
	}
}

// A trunk needs no head though the config doesn't tie one, and keeps one that is there.
func TestTrunksGoWithoutAHead(t *testing.T) {
	t.Parallel()
	for kind, class := range map[archtest.Kind]string{archtest.Llama2: "LlamaModel", archtest.Qwen3: "Qwen3Model"} {
		m, err := mapChanged(t, kind, arch.Options{}, func(c *archtest.Checkpoint) {
			set("architectures", []string{class})(c)
			drop("lm_head.weight")(c)
			for i := range c.Tensors {
				c.Tensors[i].Name = strings.TrimPrefix(c.Tensors[i].Name, "model.")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(m.Tensors, func(x arch.Tensor) bool { return x.Name == "output.weight" }) {
			t.Errorf("%s has a head", class)
		}
	}
}
