//go:build interop

package interop

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// TestAdaptersDoWhatMergingDoes loads the files of adapters beside their models in libllama, and compares what they say with
// what models say that the adapters are merged into.
func TestAdaptersDoWhatMergingDoes(t *testing.T) {
	lib := library(t)
	ran := 0
	for _, test := range []struct {
		kind    archtest.Kind
		targets []string
		change  func(a *archtest.Adapter)
	}{
		{archtest.Llama2, []string{"_proj", "embed_tokens", "lm_head"}, nil},
		{archtest.Mistral, []string{"q_proj", "k_proj"}, func(a *archtest.Adapter) { a.Config["use_rslora"] = true }},
		{archtest.Qwen3, []string{"_proj"}, func(a *archtest.Adapter) { a.Config["alpha_pattern"] = map[string]any{"q_proj": 3, "down_proj": 32} }},
		{"tiny-gemma2", []string{"_proj"}, nil},
		{"tiny-gpt2", []string{"c_attn", "c_proj", "c_fc"}, (*archtest.Adapter).Swap},
		{"tiny-gptneox", []string{"query_key_value", "dense"}, nil},
		{"tiny-internlm2", []string{"wqkv", "wo"}, nil},
		{"tiny-phi-mini", []string{"_proj"}, nil},
		{"tiny-qwen3moe", []string{"_proj"}, nil},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			root := t.TempDir()
			c := archtest.New(test.kind)
			a := archtest.NewAdapter(c, 8, test.targets...)
			if test.change != nil {
				test.change(a)
			}
			model, dir := filepath.Join(root, "tiny"), filepath.Join(root, "style")
			c.Write(t, model)
			a.Write(t, dir)
			base, err := hf.OpenDir(model)
			if err != nil {
				t.Fatal(err)
			}
			defer base.Close()
			ck, err := hf.OpenAdapterDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			adapter, err := arch.ReadAdapter(ck)
			if err != nil {
				t.Fatal(err)
			}
			o := quant.PlanOptions{Recipes: presetsNamed("F32")}
			file := func(typ string, m *quant.Model, err error) string {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				return makeFiles(t, m, root, o)[typ]
			}
			m, err := quant.FromCheckpoint(base, arch.Options{})
			plain := file("F32", m, err)
			m, err = quant.FromCheckpoint(base, arch.Options{Merge: adapter})
			merged := file("F32", m, err)
			m, err = quant.FromAdapter(adapter, base, arch.Options{})
			apart := file("lora-F32", m, err)

			logits := func(path, adapter string) [][]float32 {
				t.Helper()
				m, err := lib.Load(path)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				if adapter != "" {
					if err := m.Adapt(adapter); err != nil {
						t.Fatal(err)
					}
				}
				tokens, err := m.Tokenize("the quick brown fox", true)
				if err != nil {
					t.Fatal(err)
				}
				rows, err := m.Logits(tokens)
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			want, got, without := logits(merged, ""), logits(plain, apart), logits(plain, "")
			if off, effect := distance(got, want), distance(without, want); off > 1e-3 || effect < 50*off {
				t.Errorf("logits of model and adapter are %g from those of the merged model, those without it %g", off, effect)
			}
			ran++
		})
	}
	fmt.Printf("%s: %d adapters did what merging them does\n", t.Name(), ran)
}

// distance is the largest difference, in parts of the largest value.
func distance(a, b [][]float32) float64 {
	diff, top := 0.0, 0.0
	for i := range b {
		for k, v := range b[i] {
			diff = max(diff, math.Abs(float64(a[i][k]-v)))
			top = max(top, math.Abs(float64(v)))
		}
	}
	return diff / top
}
