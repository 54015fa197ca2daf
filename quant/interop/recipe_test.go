//go:build interop

package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

// modelOf makes the tensors of a made-up model in file order.
func modelOf(f oracle.ModelFacts, cols, vocab int64, tied, fused bool) []oracle.Tensor {
	m := func(name string, shape ...int64) oracle.Tensor {
		t := oracle.Tensor{Name: name, Shape: [4]int64{1, 1, 1, 1}}
		copy(t.Shape[:], shape)
		return t
	}
	kv := max(1, cols/int64(f.Heads)*int64(f.KVHeads))
	list := []oracle.Tensor{}
	if !tied {
		list = append(list, m("output.weight", cols, vocab))
	}
	list = append(list, m("output_norm.weight", cols), m("token_embd.weight", cols, vocab))
	for i := range f.Layers {
		b := func(name string, shape ...int64) { list = append(list, m(fmt.Sprintf("blk.%d.%s", i, name), shape...)) }
		b("attn_k.bias", kv)
		b("attn_k.weight", cols, kv)
		b("attn_norm.weight", cols)
		b("attn_output.weight", cols, cols)
		b("attn_q.weight", cols, cols)
		if fused {
			b("attn_qkv.weight", cols, 3*cols)
		}
		b("attn_v.weight", cols, kv)
		ffn := int64(f.FFN)
		if f.Experts > 1 {
			e := int64(f.Experts)
			b("ffn_down_exps.weight", ffn, cols, e)
			b("ffn_gate_exps.weight", cols, ffn, e)
			b("ffn_gate_inp.weight", cols, e)
			b("ffn_up_exps.weight", cols, ffn, e)
		} else {
			b("ffn_down.weight", ffn, cols)
			b("ffn_gate.weight", cols, ffn)
			b("ffn_up.weight", cols, ffn)
		}
		b("ssm_conv1d.weight", 4, cols)
	}
	return list
}

// TestTypesEqualLlamas compares the choice of types with llama.cpp's own function: every file type, over models of
// many shapes, with and without each option.
func TestTypesEqualLlamas(t *testing.T) {
	lib := library(t)
	typ := func(t gguf.Type) *gguf.Type { return &t }
	options := map[string]oracle.Options{
		"plain":       {},
		"pure":        {Pure: true},
		"leave":       {LeaveOutput: true},
		"output":      {OutputType: typ(gguf.Q5K)},
		"embedding":   {EmbeddingType: typ(gguf.Q8_0)},
		"both":        {OutputType: typ(gguf.F16), EmbeddingType: typ(gguf.Q4_0)},
		"tensor type": {TensorTypes: []oracle.TensorType{{Pattern: "attn_v", Type: gguf.Q8_0}, {Pattern: `blk\.[02]\.ffn_.*`, Type: gguf.Q3K}, {Pattern: "attn_k", Type: gguf.F16}}},
		"named embed": {EmbeddingType: typ(gguf.Q8_0), TensorTypes: []oracle.TensorType{{Pattern: "token_embd", Type: gguf.Q3K}}},
	}
	archs := []string{"llama", "qwen2", "qwen3", "falcon", "gemma2", "phi3", "gpt-oss", "bailingmoe3"}
	r := rand.New(rand.NewPCG(7, 7))
	cases, compared := 0, 0
	for name, o := range options {
		for range 60 {
			f := oracle.ModelFacts{Arch: archs[r.IntN(len(archs))], Layers: []uint32{1, 2, 6, 16, 24, 32, 33, 48, 80}[r.IntN(9)], Heads: []uint32{8, 32, 64}[r.IntN(3)]}
			f.KVHeads = f.Heads / []uint32{1, 2, 4, 8}[r.IntN(4)]
			if r.IntN(3) == 0 {
				f.Experts = []uint32{4, 8, 64}[r.IntN(3)]
			}
			cols := []int64{256, 2048, 96, 64, 288, 100, 1024}[r.IntN(7)]
			f.FFN = []uint32{512, 1536, 160, 704}[r.IntN(4)]
			f.Embedding = uint32(cols)
			if f.Arch != "llama" && f.Layers == 80 {
				// llama_quant_model_from_metadata takes none but Llama's 80 layers for a 70B model; the loader takes
				// others too
				f.Layers = 40
			}
			tensors := modelOf(f, cols, 320, r.IntN(2) == 0, r.IntN(4) == 0)
			model := sparseModel(t, f, tensors)
			for _, p := range quant.Presets() {
				want, err := lib.Types(f, tensors, uint32(p.FileType), o)
				if err != nil {
					t.Fatal(err)
				}
				got, err := ourTypes(model, p, o)
				if err != nil {
					t.Fatalf("%s %+v %s: %v", name, f, p.Name, err)
				}
				for i := range want {
					if cols := tensors[i].Shape[0]; cols%want[i].BlockLen() != 0 && cols%got[i].BlockLen() == 0 {
						continue // an explicit type that doesn't fit: llama.cpp aborts on it, here it falls back
					}
					if got[i] != want[i] {
						t.Errorf("%s %+v %s: %s %v: got %s, want %s", name, f, p.Name, tensors[i].Name, tensors[i].Shape, got[i], want[i])
					}
				}
				cases++
				compared += len(want)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	t.Logf("%d models x options x file types, %d tensors, 0 differences", cases, compared)
}

// sparseModel is a file of the given tensors whose data takes no room: only headers are read for a plan.
func sparseModel(t *testing.T, f oracle.ModelFacts, tensors []oracle.Tensor) *quant.Model {
	t.Helper()
	var meta gguf.Metadata
	meta.Set("general.architecture", f.Arch)
	meta.Set(f.Arch+".block_count", f.Layers)
	meta.Set(f.Arch+".attention.head_count", f.Heads)
	meta.Set(f.Arch+".attention.head_count_kv", f.KVHeads)
	meta.Set(f.Arch+".expert_count", f.Experts)
	infos := make([]gguf.TensorInfo, len(tensors))
	for i, tt := range tensors {
		infos[i] = gguf.TensorInfo{Name: tt.Name, Shape: tt.Shape[:], Type: gguf.F32}
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, l.Header(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, l.Size()); err != nil {
		t.Fatal(err)
	}
	r, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	m, err := quant.FromGGUF(r, "model")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ourTypes is what a plan gives each tensor of the model, in file order.
func ourTypes(m *quant.Model, p quant.Preset, o oracle.Options) ([]gguf.Type, error) {
	recipe := quant.Recipe{Preset: p, Pure: o.Pure, LeaveOutput: o.LeaveOutput, OutputType: o.OutputType, EmbeddingType: o.EmbeddingType}
	for _, tt := range o.TensorTypes {
		recipe.Overrides = append(recipe.Overrides, quant.Override{Pattern: regexp.MustCompile(tt.Pattern), Type: tt.Type})
	}
	options := quant.PlanOptions{Recipes: []quant.Recipe{recipe}}
	if p.Name == "Q2_K_S" {
		options.Imatrix = &quant.Imatrix{Weights: map[string][]float32{"of another tensor": {1}}} // only lets it pass
	}
	plan, err := quant.NewPlan(m, options)
	if err != nil {
		return nil, err
	}
	return plan.Outputs[0].Types, nil
}
