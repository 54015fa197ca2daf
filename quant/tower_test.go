package quant

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// seeing opens a made-up checkpoint that sees or hears.
func seeing(t *testing.T, k archtest.Kind) *Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), string(k))
	archtest.Write(t, dir, k)
	return openCheckpoint(t, dir)
}

func openCheckpoint(t *testing.T, dir string) *Model {
	t.Helper()
	c, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	m, err := FromCheckpoint(c, arch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func towerRecipes(t *testing.T, names ...string) []Recipe {
	t.Helper()
	var list []Recipe
	for _, name := range names {
		p, err := ParseTowerPreset(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Recipe{Preset: p, Tower: true})
	}
	return list
}

// The golden text holds the SHA-256 of the whole files that llama.cpp 0.5.0's converter wrote for the same checkpoints
// (convert_hf_to_gguf.py --mmproj --outtype TYPE). -update writes ours, which then must be compared with its files anew.
func TestMmprojFilesEqualTheConverters(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, k := range archtest.Kinds() {
		m := seeing(t, k)
		if m.Tower == nil {
			continue
		}
		p := mustPlan(t, m, PlanOptions{Recipes: towerRecipes(t, "F32", "BF16", "F16", "Q8_0")})
		results, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			file, err := os.ReadFile(r.Path)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(file), filepath.Base(r.Path))
		}
	}
	path := filepath.Join("testdata", "mmproj.sha256")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// One plan holds both kinds of files, each with its own tensors, and the sizes are exact.
func TestTextAndTowerAreOnePlan(t *testing.T) {
	t.Parallel()
	m := seeing(t, "tiny-gemma3-vision")
	o := PlanOptions{Recipes: append(recipes(t, "Q8_0", "Q4_K_M"), towerRecipes(t, "F16", "Q8_0")...)}
	o.Overrides = []gguf.KV{{Key: "general.name", Value: "text alone"}}
	p := mustPlan(t, m, o)
	both, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir(), Threads: 2, Measure: true})
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	alone := map[string]string{}
	for _, part := range [][]Recipe{o.Recipes[:2], o.Recipes[2:]} {
		results, err := Run(t.Context(), mustPlan(t, m, PlanOptions{Recipes: part, Overrides: o.Overrides}), RunOptions{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			alone[r.Type] = r.SHA256
		}
	}
	for i, r := range both {
		made = append(made, filepath.Base(r.Path))
		if info, err := os.Stat(r.Path); err != nil || info.Size() != p.Outputs[i].Bytes() {
			t.Errorf("%s: planned %d bytes: %v", r.Path, p.Outputs[i].Bytes(), err)
		}
		if r.SHA256 != alone[r.Type] {
			t.Errorf("%s: other bytes than without the others", r.Type)
		}
		f, err := gguf.Open(r.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if name, _ := f.Metadata.String("general.name"); (name == "text alone") == p.Outputs[i].Recipe.Tower {
			t.Errorf("%s: general.name %q", r.Type, name)
		}
		if len(f.Tensors) != len(r.Tensors) || len(r.Fidelity) != len(r.Tensors) {
			t.Errorf("%s: %d tensors, %d in the result, %d compared", r.Type, len(f.Tensors), len(r.Tensors), len(r.Fidelity))
		}
	}
	if want := []string{"tiny-gemma3-vision-Q8_0.gguf", "tiny-gemma3-vision-Q4_K_M.gguf", "mmproj-tiny-gemma3-vision-F16.gguf", "mmproj-tiny-gemma3-vision-Q8_0.gguf"}; !slices.Equal(made, want) {
		t.Errorf("made %q, want %q", made, want)
	}
	if q := both[3].Overall(); q.RMSE == 0 || q.Cosine < 0.999 {
		t.Errorf("mmproj-Q8_0: %+v", q)
	}
}

func TestInterruptedRunWithATowerGoesOn(t *testing.T) {
	t.Parallel()
	m := seeing(t, "tiny-gemma3-vision")
	o := PlanOptions{Recipes: append(recipes(t, "Q8_0"), towerRecipes(t, "F16", "Q8_0")...)}
	whole, err := Run(t.Context(), mustPlan(t, m, o), RunOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, r := range whole {
		want[r.Type] = r.SHA256
	}
	resumed := map[string]int{}
	for _, share := range []float64{0.2, 0.6, 0.8, 1} {
		dir := t.TempDir()
		p := mustPlan(t, m, o)
		if _, err := interruptAt(t, p, RunOptions{Dir: dir, Threads: 1}, int64(share*float64(p.SourceBytes()))); err == nil {
			t.Fatalf("at %v: not interrupted", share)
		}
		// what is left may be asked for apart: the journals count the tensors of their own file
		for _, part := range [][]Recipe{o.Recipes[1:], o.Recipes[:1]} {
			results, err := Run(t.Context(), mustPlan(t, m, PlanOptions{Recipes: part}), RunOptions{Dir: dir, Resume: ResumeOnly})
			if err != nil {
				t.Fatalf("at %v: %v", share, err)
			}
			for _, r := range results {
				if r.SHA256 != want[r.Type] {
					t.Errorf("at %v: %s: other bytes", share, r.Type)
				}
				resumed[r.Type] += r.Resumed
			}
		}
	}
	for name := range maps.Keys(want) {
		if resumed[name] == 0 {
			t.Errorf("%s: never went on where it was: %v", name, resumed)
		}
	}
}

func TestWhyThereIsNoMmprojFile(t *testing.T) {
	t.Parallel()
	_, err := NewPlan(seeing(t, archtest.Qwen3), PlanOptions{Recipes: towerRecipes(t, "F16")})
	var none *NoTowerError
	if !errors.As(err, &none) || none.Err != nil || none.Hint() == "" {
		t.Errorf("text alone: got %v", err)
	}
	m := seeing(t, "tiny-qwen35moe")
	_, err = NewPlan(m, PlanOptions{Recipes: towerRecipes(t, "F16")})
	if !errors.As(err, &none) || none.Err == nil || !strings.Contains(err.Error(), "1 tensors see or hear") {
		t.Errorf("a tower that is not known: got %v", err)
	}
	if got := m.Textual(); !strings.HasSuffix(got, "the output takes text alone") {
		t.Errorf("got %q", got)
	}
	if got := seeing(t, archtest.Qwen3).Textual(); got != "" {
		t.Errorf("text alone: got %q", got)
	}
	for _, name := range []string{"Q4_K_M", "Q9"} {
		if _, err := ParseTowerPreset(name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
