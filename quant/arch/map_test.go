package arch_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// mapChanged maps a checkpoint of one kind after a change.
func mapChanged(t *testing.T, k archtest.Kind, o arch.Options, change func(*archtest.Checkpoint)) (*arch.Model, error) {
	t.Helper()
	c := archtest.New(k)
	change(c)
	dir := filepath.Join(t.TempDir(), string(k))
	c.Write(t, dir)
	opened, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return arch.Map(opened, o)
}

func set(key string, value any) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) { c.Config[key] = value }
}

func unset(key string) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) { delete(c.Config, key) }
}

func retype(name, dtype string) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) {
		for i := range c.Tensors {
			if c.Tensors[i].Name == name {
				c.Tensors[i].DType = dtype
			}
		}
	}
}

func drop(suffix string) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) { c.Drop(suffix) }
}

func add(name, dtype string, shape ...int64) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) {
		n := map[string]int64{"F32": 4, "BF16": 2, "I32": 4}[dtype]
		for _, d := range shape {
			n *= d
		}
		c.Tensors = append(c.Tensors, archtest.Tensor{Name: name, DType: dtype, Shape: shape, Data: make([]byte, n)})
	}
}

func rename(from, to string) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) {
		for i := range c.Tensors {
			if c.Tensors[i].Name == from {
				c.Tensors[i].Name = to
			}
		}
	}
}

func quantized(method string, more ...any) func(*archtest.Checkpoint) {
	q := map[string]any{"quant_method": method}
	for i := 0; i+1 < len(more); i += 2 {
		q[more[i].(string)] = more[i+1]
	}
	return set("quantization_config", q)
}

func TestMapNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule   string
		kind   archtest.Kind
		change func(*archtest.Checkpoint)
		want   string
	}{
		{"class unknown", archtest.Llama2, set("architectures", []string{"FooForCausalLM"}), `architecture "FooForCausalLM" is not supported`},
		{"class missing", archtest.Llama2, unset("architectures"), "architectures is missing: supported are LlamaForCausalLM"},
		{"layers missing", archtest.Llama2, unset("num_hidden_layers"), "config.json: num_hidden_layers is missing"},
		{"hidden_size null", archtest.Llama2, set("hidden_size", nil), "config.json: hidden_size is missing"},
		{"context missing", archtest.Llama2, unset("max_position_embeddings"), "config.json: max_position_embeddings is missing"},
		{"epsilon missing", archtest.Qwen2, unset("rms_norm_eps"), "config.json: rms_norm_eps is missing"},
		{"heads text", archtest.Qwen2, set("num_attention_heads", "4"), "config.json: num_attention_heads: want a number"},
		{"heads fraction", archtest.Qwen2, set("num_attention_heads", 4.5), "config.json: num_attention_heads: 4.5, want an integer"},
		{"layers huge", archtest.Qwen2, set("num_hidden_layers", 1<<31-1), "num_hidden_layers 2147483647, but the checkpoint has"},
		{"layers negative", archtest.Qwen2, set("num_hidden_layers", -1), "num_hidden_layers: -1, want an integer from 1"},
		{"key heads do not divide", archtest.Qwen2, set("num_key_value_heads", 3), "num_attention_heads 4 is no multiple of num_key_value_heads 3"},
		{"heads do not divide", archtest.Llama3, func(c *archtest.Checkpoint) { set("num_attention_heads", 3)(c); set("num_key_value_heads", 3)(c) }, "hidden_size 256 is no multiple of num_attention_heads 3"},
		{"head_dim huge", archtest.Llama3, set("head_dim", 1<<30), "config.json makes it [2147483648]"},
		{"head_dim odd", archtest.Mistral, set("head_dim", 127), "head_dim 127 is odd"},

		{"tensor unknown", archtest.Llama2, add("model.layers.0.self_attn.extra.weight", "F32", 2), `tensor "model.layers.0.self_attn.extra.weight" (model.safetensors): no rule of the llama architecture knows it`},
		{"tensor with a prefix", archtest.Llama2, rename("model.norm.weight", "x.model.norm.weight"), `tensor "x.model.norm.weight"`},
		{"layer beyond the config", archtest.Qwen2, set("num_hidden_layers", 1), `layer 1, but num_hidden_layers is 1`},
		{"layer number with a zero", archtest.Llama2, rename("model.layers.1.mlp.up_proj.weight", "model.layers.01.mlp.up_proj.weight"), `tensor "model.layers.01.mlp.up_proj.weight"`},
		{"layer missing", archtest.Llama2, set("num_hidden_layers", 3), `tensor "model.layers.2.input_layernorm.weight" and 8 more: missing`},
		{"tensor missing", archtest.Qwen3, drop("model.layers.1.self_attn.k_norm.weight"), `tensor "model.layers.1.self_attn.k_norm.weight": missing`},
		{"bias missing", archtest.Qwen2, drop("q_proj.bias"), `tensor "model.layers.0.self_attn.q_proj.bias" and 1 more: missing`},
		{"optional bias in one layer", archtest.Llama3, drop("model.layers.1.self_attn.o_proj.bias"), `tensor "model.layers.1.self_attn.o_proj.bias": missing`},
		{"head missing though untied", archtest.Mistral, drop("lm_head.weight"), `tensor "lm_head.weight": missing`},
		{"two tensors for one", archtest.Llama2, add("norm.weight", "F32", 256), `tensors "model.norm.weight" and "norm.weight" both become "output_norm.weight"`},
		{"shape", archtest.Llama2, set("intermediate_size", 768), `shape [256 512], config.json makes it [256 768]`},
		{"heads do not fit the tensor", archtest.Mistral, set("num_key_value_heads", 4), `self_attn.k_proj.weight" (model-00001-of-00002.safetensors): shape [256 256], config.json makes it [512 256]`},
		{"vocabulary does not fit the embedding", archtest.Qwen2, set("vocab_size", 600), `shape [512 256], config.json makes it [600 256]`},
		{"integers", archtest.Llama2, func(c *archtest.Checkpoint) { c.Drop("model.norm.weight"); add("model.norm.weight", "I32", 256)(c) }, `tensor "model.norm.weight" (model.safetensors): dtype I32 can't be converted`},

		{"unknown method", archtest.Llama2, quantized("hqq"), "quantized with hqq"},
		{"mxfp4", archtest.Llama2, quantized("mxfp4"), "quantized with mxfp4"},
		{"scale missing", archtest.FP8, drop("layers.0.mlp.up_proj.weight_scale_inv"), `tensor "model.layers.0.mlp.up_proj.weight" (model.safetensors): dtype F8_E4M3, but its scale is missing`},
		{"weight of a scale missing", archtest.FP8, drop("layers.0.mlp.up_proj.weight"), `scales "model.layers.0.mlp.up_proj.weight", which is missing`},
		{"too few scales", archtest.FP8, quantized("fp8", "weight_block_size", []int{64, 64}), "in blocks of 64 x 64 needs"},
		{"block not a pair", archtest.FP8, quantized("fp8", "weight_block_size", []int{128}), "weight_block_size: want [rows, columns]"},
		{"block of nothing", archtest.FP8, quantized("fp8", "weight_block_size", []int{0, 128}), "rows: 0, want an integer from 1"},
		{"scale of a wide weight", archtest.Qwen3, func(c *archtest.Checkpoint) {
			quantized("fp8")(c)
			add("lm_head.weight_scale_inv", "F32", 1)(c)
		}, `tensor "lm_head.weight" (model.safetensors): dtype BF16, but it has a scale "lm_head.weight_scale_inv"`},
		{"integer scale", archtest.FP8, func(c *archtest.Checkpoint) {
			c.Drop("layers.0.mlp.up_proj.weight_scale_inv")
			add("model.layers.0.mlp.up_proj.weight_scale_inv", "I32", 4, 2)(c)
		}, "dtype I32, want floating point"},

		{"rope not an object", archtest.Llama2, set("rope_scaling", "yarn"), "rope_scaling: want an object"},
		{"rope theta zero", archtest.Llama2, set("rope_theta", 0), "rope_theta: 0, want more than 0"},
		{"yarn without the original context", archtest.Qwen2, set("rope_scaling", map[string]any{"type": "yarn", "factor": 4.0}), "rope_scaling.original_max_position_embeddings is missing"},
		{"llama3 bands upside down", archtest.Llama3, set("rope_scaling", map[string]any{"rope_type": "llama3", "low_freq_factor": 4.0, "high_freq_factor": 4.0}), "want all above 0 and low below high"},

		{"no tokenizer", archtest.Qwen2, func(c *archtest.Checkpoint) { delete(c.Files, "tokenizer.json") }, "neither tokenizer.model nor tokenizer.json"},
		{"reranker", archtest.Qwen3, func(c *archtest.Checkpoint) { c.Files["README.md"] = []byte("# Qwen3-Reranker-0.6B\n") }, "a Qwen3 reranker"},
		{"pooling unknown", archtest.Qwen3, func(c *archtest.Checkpoint) {
			c.Files["modules.json"] = []byte(`[{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}]`)
			c.Files["1_Pooling/config.json"] = []byte(`{"pooling_mode":"weighted"}`)
		}, "pooling of an unknown kind"},
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

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	_, err := mapChanged(t, archtest.Llama2, arch.Options{}, set("architectures", []string{"Qwen4ForCausalLM"}))
	var unsupported *arch.UnsupportedError
	if !errors.As(err, &unsupported) || !strings.Contains(unsupported.Hint(), "Qwen3ForCausalLM") || !strings.Contains(unsupported.Hint(), "archs") {
		t.Errorf("unsupported class: %v", err)
	}
	_, err = mapChanged(t, archtest.Llama2, arch.Options{}, quantized("hqq"))
	var q *arch.QuantizedError
	if !errors.As(err, &q) || !strings.Contains(q.Hint(), "the model that it was made from") {
		t.Errorf("quantized checkpoint: %v", err)
	}
}

func find(t *testing.T, m *arch.Model, name string) arch.Tensor {
	t.Helper()
	i := slices.IndexFunc(m.Tensors, func(x arch.Tensor) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no tensor %q", name)
	}
	return m.Tensors[i]
}

// The converter writes output.weight wherever lm_head is stored, whatever tie_word_embeddings says.
func TestStoredHeadIsWrittenThoughTied(t *testing.T) {
	t.Parallel()
	m, err := mapChanged(t, archtest.Qwen2, arch.Options{}, add("lm_head.weight", "BF16", archtest.Vocab, archtest.Hidden))
	if err != nil {
		t.Fatal(err)
	}
	find(t, m, "output.weight")
}

func TestNamesWithoutModelPrefixAreKnown(t *testing.T) {
	t.Parallel()
	m, err := mapChanged(t, archtest.Qwen3, arch.Options{}, func(c *archtest.Checkpoint) {
		for i := range c.Tensors {
			c.Tensors[i].Name = strings.TrimPrefix(c.Tensors[i].Name, "model.")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	find(t, m, "blk.1.ffn_down.weight")
}

func TestFP8ScalesOfEveryShape(t *testing.T) {
	t.Parallel()
	const name = "model.layers.0.self_attn.q_proj.weight" // 512 x 256
	group := func(strategy string, more ...any) func(*archtest.Checkpoint) {
		w := map[string]any{"type": "float", "num_bits": 8, "strategy": strategy}
		for i := 0; i+1 < len(more); i += 2 {
			w[more[i].(string)] = more[i+1]
		}
		return quantized("compressed-tensors", "format", "float-quantized", "config_groups", map[string]any{"group_0": map[string]any{"weights": w}})
	}
	for _, tc := range []struct {
		rule   string
		config func(*archtest.Checkpoint)
		suffix string
		shape  []int64 // of the scale of a weight with the given rows; -1 stands for the rows
		want   [2]int64
	}{
		{"fp8, one for all", quantized("fp8"), "_scale_inv", []int64{}, [2]int64{512, 256}},
		{"fp8, vLLM's name", quantized("fp8"), "_scale", []int64{1}, [2]int64{512, 256}},
		{"compressed-tensors, per row", group("channel"), "_scale", []int64{-1, 1}, [2]int64{1, 256}},
		{"compressed-tensors, one for all", group("tensor"), "_scale", []int64{1}, [2]int64{512, 256}},
		{"compressed-tensors, blocks", group("block", "block_structure", []int{512, 512}), "_scale", []int64{1, 1}, [2]int64{512, 512}},
		{"fbgemm, per row", quantized("fbgemm_fp8"), "_scale", []int64{-1, 1}, [2]int64{1, 256}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			m, err := mapChanged(t, archtest.FP8, arch.Options{}, func(c *archtest.Checkpoint) {
				c.Drop("_scale_inv")
				for _, x := range slices.Clone(c.Tensors) {
					if x.DType == "F8_E4M3" {
						shape := slices.Clone(tc.shape)
						if len(shape) > 0 && shape[0] < 0 {
							shape[0] = x.Shape[0]
						}
						add(x.Name+tc.suffix, "F32", shape...)(c)
						add(strings.TrimSuffix(x.Name, "weight")+"input_scale", "F32", 1)(c)
					}
				}
				tc.config(c)
				if strings.HasPrefix(tc.rule, "fbgemm") {
					c.Drop(".input_scale")
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			x := find(t, m, "blk.0.attn_q.weight")
			if x.Parts[0].Scale == nil || x.Parts[0].Scale.Block != tc.want || x.Parts[0].Scale.Invert || x.Parts[0].Source.Name != name {
				t.Errorf("scale %+v, want blocks of %v", x.Parts[0].Scale, tc.want)
			}
			if x.Type != gguf.F32 {
				t.Errorf("type %s, want f32", x.Type)
			}
			if len(tc.rule) > 0 && !strings.HasPrefix(tc.rule, "fbgemm") && len(m.Dropped) != 14 {
				t.Errorf("%d tensors dropped, want the 14 input scales", len(m.Dropped))
			}
		})
	}
}

func TestParametersOfTheArchitecture(t *testing.T) {
	t.Parallel()
	yarn := map[string]any{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "extrapolation_factor": 1.0,
		"attn_factor": 1.25, "beta_fast": 32, "beta_slow": 1.0}
	pool := func(config string) func(*archtest.Checkpoint) {
		return func(c *archtest.Checkpoint) {
			c.Files["modules.json"] = []byte(`[{"type":"a.Transformer","path":""},{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}]`)
			c.Files["1_Pooling/config.json"] = []byte(config)
		}
	}
	for _, tc := range []struct {
		rule   string
		kind   archtest.Kind
		change func(*archtest.Checkpoint)
		want   map[string]any // nil: the key is absent
		warns  bool
	}{
		{"linear scaling", archtest.Llama2, set("rope_scaling", map[string]any{"type": "linear", "factor": 2}), map[string]any{
			"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(2)}, false},
		{"yarn with all it can have", archtest.Llama2, set("rope_scaling", yarn), map[string]any{
			"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4), "llama.rope.scaling.original_context_length": uint32(64),
			"llama.rope.scaling.yarn_ext_factor": float32(1), "llama.rope.scaling.yarn_attn_factor": float32(1.25),
			"llama.rope.scaling.yarn_beta_fast": float32(32), "llama.rope.scaling.yarn_beta_slow": float32(1)}, false},
		{"yarn's original context beside it", archtest.Llama2, func(c *archtest.Checkpoint) {
			set("rope_scaling", map[string]any{"type": "yarn", "factor": 4.0})(c)
			set("original_max_position_embeddings", 128)(c)
		}, map[string]any{"llama.rope.scaling.original_context_length": uint32(128)}, false},
		{"longrope", archtest.Llama2, set("rope_scaling", map[string]any{"type": "su", "factor": 2.0}), map[string]any{
			"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": nil}, false},
		{"dynamic changes nothing", archtest.Llama2, set("rope_scaling", map[string]any{"type": "dynamic", "factor": 2.0}), map[string]any{
			"llama.rope.scaling.type": nil}, false},
		{"unknown scaling warns", archtest.Llama2, set("rope_scaling", map[string]any{"type": "ntk", "factor": 2.0}), map[string]any{
			"llama.rope.scaling.type": nil}, true},
		{"llama3 scaling outside Llama warns", archtest.Qwen2, set("rope_scaling", map[string]any{"rope_type": "llama3"}), map[string]any{
			"qwen2.rope.scaling.type": nil}, true},
		{"theta absent", archtest.Llama2, unset("rope_theta"), map[string]any{"llama.rope.freq_base": float32(10000)}, false},
		{"theta within rope_parameters", archtest.Llama2, set("rope_parameters", map[string]any{"rope_theta": 500.0}), map[string]any{
			"llama.rope.freq_base": float32(500)}, false},
		{"parameters per kind of layer", archtest.Qwen3, set("rope_parameters", map[string]any{
			"full_attention": map[string]any{"rope_theta": 7.0}, "sliding_attention": map[string]any{"rope_theta": 5.0}}), map[string]any{
			"qwen3.rope.freq_base": float32(7), "qwen3.rope.freq_base_swa": float32(5)}, false},
		{"rope_parameters null hides rope_scaling", archtest.Llama2, func(c *archtest.Checkpoint) {
			set("rope_parameters", nil)(c)
			set("rope_scaling", map[string]any{"type": "linear", "factor": 2})(c)
		}, map[string]any{"llama.rope.scaling.type": nil}, false},
		{"key heads absent", archtest.Llama2, func(c *archtest.Checkpoint) {
			unset("num_key_value_heads")(c)
			for i, x := range c.Tensors {
				if strings.HasSuffix(x.Name, "k_proj.weight") || strings.HasSuffix(x.Name, "v_proj.weight") {
					c.Tensors[i].Shape = []int64{256, 256}
					c.Tensors[i].Data = append(x.Data, x.Data...)
				}
			}
		}, map[string]any{"llama.attention.head_count_kv": uint32(4)}, false},
		{"head_dim of Llama derived", archtest.Llama2, unset("none"), map[string]any{
			"llama.attention.key_length": uint32(64), "llama.attention.value_length": uint32(64), "llama.rope.dimension_count": uint32(64)}, false},
		{"head_dim of Qwen2 unknown", archtest.Qwen2, unset("none"), map[string]any{
			"qwen2.attention.key_length": nil, "qwen2.rope.dimension_count": nil, "qwen2.vocab_size": nil}, false},
		{"head_dim of Qwen2 given", archtest.Qwen2, set("head_dim", 64), map[string]any{"qwen2.attention.key_length": uint32(64)}, false},
		{"head_dim of Qwen3 absent is 128", archtest.Qwen3, unset("head_dim"), map[string]any{"qwen3.attention.key_length": uint32(128)}, false},
		{"not causal", archtest.Qwen2, set("is_causal", false), map[string]any{"qwen2.attention.causal": false}, false},
		{"pooling by the last token", archtest.Qwen3, pool(`{"pooling_mode_cls_token":false,"pooling_mode_lasttoken":true}`), map[string]any{
			"qwen3.pooling_type": uint32(3)}, false},
		{"pooling named", archtest.Qwen3, pool(`{"pooling_mode":"mean"}`), map[string]any{"qwen3.pooling_type": uint32(1)}, false},
		{"no modules.json", archtest.Qwen3, unset("none"), map[string]any{"qwen3.pooling_type": nil}, false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			m, err := mapChanged(t, tc.kind, arch.Options{}, tc.change)
			if err != nil {
				t.Fatal(err)
			}
			for key, want := range tc.want {
				if got, _ := m.Metadata.Get(key); got != want {
					t.Errorf("%s: got %v, want %v", key, got, want)
				}
			}
			if warned := len(m.Warnings) > 0; warned != tc.warns {
				t.Errorf("warnings %q, want some: %t", m.Warnings, tc.warns)
			}
		})
	}
}

func TestSupportedListsEveryFamily(t *testing.T) {
	t.Parallel()
	var got []string
	for _, info := range arch.Supported() {
		got = append(got, info.Arch)
		if len(info.Classes) == 0 {
			t.Errorf("%s: no classes", info.Arch)
		}
	}
	for _, want := range []string{"llama", "qwen2", "qwen3moe"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing from %v", want, got)
		}
	}
}
