// Package archtest makes small checkpoints in Hugging Face layout for tests: real shapes, real tokenizers
// trained on a few lines of text, and random weights that are the same on every run. Rows of the named
// kinds are multiples of 256 long, so that every block type applies; those of the many others are narrower.
package archtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Kind is one of the checkpoints that Write makes.
type Kind string

// The checkpoints.
const (
	Llama2  Kind = "tiny-llama2"  // SentencePiece, untied, F32, _name_or_path
	Llama3  Kind = "tiny-llama3"  // BPE, tied, BF16, rope scaling of type llama3, biases
	Mistral Kind = "tiny-mistral" // SentencePiece, F16, head_dim given, two shards
	Qwen2   Kind = "tiny-qwen2"   // BPE, tied, BF16, biases, yarn
	Qwen3   Kind = "tiny-qwen3"   // BPE, BF16, q/k norms, named chat templates
	FP8     Kind = "tiny-fp8"     // Qwen3 in FP8 with a scale for each block of 128 x 128
)

// Silent lists the checkpoints that libllama generates nothing from as it does from those of Kinds: it makes embeddings of
// texts with those of Encoders and reads a text before it writes with those of Translators.
func Silent() []Kind {
	return slices.Concat(Encoders(), Translators())
}

// Encoders lists the checkpoints that make embeddings.
func Encoders() []Kind { return names(encoderKinds) }

// Translators lists the checkpoints with an encoder and a decoder.
func Translators() []Kind { return names(translatorKinds) }

func names(kinds []kind) []Kind {
	var list []Kind
	for _, k := range kinds {
		list = append(list, k.name)
	}
	return list
}

// Kinds lists the checkpoints that libllama loads and generates from.
func Kinds() []Kind {
	return append([]Kind{Llama2, Llama3, Mistral, Qwen2, Qwen3, FP8}, names(kinds)...)
}

// Sizes of the checkpoints above.
const (
	Layers = 2
	Hidden = 256
	FF     = 512
	Heads  = 4
	KV     = 2
	Vocab  = 512
)

// Checkpoint is a checkpoint before it is written, so that a test can break it.
type Checkpoint struct {
	Config  map[string]any
	Tensors []Tensor
	Files   map[string][]byte // tokenizer files, model card and the like
	Shards  int               // 0: one model.safetensors

	dtype  string // of the tensors that are added
	layers int    // that each makes tensors for; 0: Layers
}

// Write makes a checkpoint in dir, which is created.
func Write(t testing.TB, dir string, k Kind) { t.Helper(); New(k).Write(t, dir) }

// New makes a checkpoint of one kind.
func New(k Kind) *Checkpoint {
	c := &Checkpoint{Files: map[string][]byte{}}
	c.Config = map[string]any{
		"num_hidden_layers": Layers, "hidden_size": Hidden, "intermediate_size": FF,
		"num_attention_heads": Heads, "num_key_value_heads": KV, "vocab_size": Vocab,
		"max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
		"bos_token_id": 1, "eos_token_id": 2,
	}
	set := func(key string, value any) { c.Config[key] = value }
	w := weights{headDim: Hidden / Heads, dtype: "BF16"}
	switch k {
	case Llama2:
		set("architectures", []string{"LlamaForCausalLM"})
		set("_name_or_path", "test-org/Tiny-2M-chat-v1.5")
		w.dtype, w.head, w.rotary = "F32", true, true
		c.sentencePiece()
	case Llama3:
		set("architectures", []string{"LlamaForCausalLM"})
		set("tie_word_embeddings", true)
		set("rope_theta", 500000.0)
		set("rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
			"high_freq_factor": 4.0, "original_max_position_embeddings": 64})
		set("bos_token_id", 500)
		set("eos_token_id", []int{501, 502})
		w.bias = []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"}
		c.llama3BPE()
	case Mistral:
		set("architectures", []string{"MistralForCausalLM"})
		set("head_dim", 128)
		set("sliding_window", 128)
		w.dtype, w.head, w.headDim = "F16", true, 128
		c.Shards = 2
		c.sentencePiece()
	case Qwen2:
		set("architectures", []string{"Qwen2ForCausalLM"})
		set("tie_word_embeddings", true)
		set("rope_theta", 1000000)
		set("rope_scaling", map[string]any{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64})
		w.bias = []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}
		c.qwenBPE()
	case Qwen3, FP8:
		set("architectures", []string{"Qwen3ForCausalLM"})
		set("head_dim", 128)
		delete(c.Config, "rope_theta")
		set("rope_parameters", map[string]any{"rope_theta": 1000000, "rope_type": "default"})
		w.head, w.headDim, w.headNorm = true, 128, true
		if w.fp8 = k == FP8; w.fp8 {
			set("quantization_config", map[string]any{"quant_method": "fp8", "fmt": "e4m3",
				"activation_scheme": "dynamic", "weight_block_size": []int{128, 128}})
		}
		c.qwenBPE()
		c.namedTemplates()
	default:
		list := slices.Concat(kinds, encoderKinds, translatorKinds)
		i := slices.IndexFunc(list, func(x kind) bool { return x.name == k })
		if i < 0 {
			panic(fmt.Sprintf("archtest: no kind %q", k))
		}
		list[i].make(c)
	}
	c.Files["generation_config.json"] = []byte(`{"temperature": 0.6, "top_k": 20, "top_p": 0.95, "do_sample": true}`)
	c.Files["README.md"] = []byte(card)
	if c.Tensors == nil {
		c.Tensors = w.tensors()
	}
	return c
}

const card = `---
license: apache-2.0
language:
- en
- no
base_model: test-org/Tiny-Base-2M
datasets:
- test-org/lines
pipeline_tag: text-generation
tags: [tiny, test]
---
# A tiny model
`

// Write writes the files into dir, which is created.
func (c *Checkpoint) Write(t testing.TB, dir string) {
	t.Helper()
	files := maps.Clone(c.Files)
	config, err := json.MarshalIndent(c.Config, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	files["config.json"] = config
	if c.Shards == 0 {
		files["model.safetensors"] = encode(c.Tensors)
	} else {
		c.shard(files)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shard cuts the tensors into files with an index.
func (c *Checkpoint) shard(files map[string][]byte) {
	weightMap := map[string]string{}
	per := (len(c.Tensors) + c.Shards - 1) / c.Shards
	for i := range c.Shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, c.Shards)
		part := c.Tensors[i*per : min((i+1)*per, len(c.Tensors))]
		files[name] = encode(part)
		for _, t := range part {
			weightMap[t.Name] = name
		}
	}
	index, _ := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": weightMap})
	files["model.safetensors.index.json"] = index
}

// Drop removes the tensors whose names have the suffix.
func (c *Checkpoint) Drop(suffix string) {
	c.Tensors = slices.DeleteFunc(c.Tensors, func(t Tensor) bool { return strings.HasSuffix(t.Name, suffix) })
}
