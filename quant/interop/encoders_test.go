//go:build interop

package interop

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

// TestEncodersEqualLlamas makes every file type of the models that make embeddings and of those with an encoder before the
// decoder, as TestWholeFilesEqualLlamas does of the others, and runs them: finite numbers that change with the text.
func TestEncodersEqualLlamas(t *testing.T) {
	lib := library(t)
	compared, ran := 0, 0
	for _, k := range slices.Concat(archtest.Encoders(), archtest.Translators()) {
		t.Run(string(k), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), string(k))
			archtest.Write(t, dir, k)
			work := t.TempDir()
			sources := makeFiles(t, checkpoint(t, dir), work, quant.PlanOptions{Recipes: presetsNamed("F32")})
			o := quant.PlanOptions{Recipes: presets("Q2_K_S")}
			direct := makeFiles(t, checkpoint(t, dir), t.TempDir(), o)
			for _, r := range o.Recipes {
				typ := r.Preset.Name
				want := filepath.Join(t.TempDir(), typ+".gguf")
				if err := lib.QuantizeFile(sources["F32"], want, uint32(r.Preset.FileType), oracle.Options{}); err != nil {
					t.Fatal(err)
				}
				if sameFile(t, typ, direct[typ], want) {
					compared++
				}
			}
			translator := slices.Contains(archtest.Translators(), k)
			for _, typ := range []string{"F32", "Q4_K_M"} {
				runEncoder(t, lib, direct[typ], translator)
				ran++
			}
		})
	}
	fmt.Printf("%s: %d whole files equal to llama.cpp's, %d of them run\n", t.Name(), compared, ran)
}

// runEncoder loads a file in libllama and runs two texts.
func runEncoder(t *testing.T, lib *oracle.Lib, path string, translator bool) {
	t.Helper()
	m, err := lib.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pooling := oracle.PoolMean
	if hasTensor(t, path, "cls.output.weight") {
		pooling = oracle.PoolRank
	}
	var results [2][]float32
	for i, text := range []string{"the quick brown fox", "numbers such as 1 22 333 stand between words"} {
		tokens, err := m.Tokenize(text, true)
		if err != nil {
			t.Fatal(err)
		}
		if translator {
			var wrote []int32
			wrote, results[i], err = m.Translate(tokens, 8)
			if err == nil && len(wrote) == 0 {
				t.Errorf("%s: wrote nothing", path)
			}
		} else {
			results[i], err = m.Embed(tokens, pooling)
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for _, x := range slices.Concat(results[0], results[1]) {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			t.Fatalf("%s: embedding has %v", path, x)
		}
	}
	if slices.Equal(results[0], results[1]) {
		t.Errorf("%s: two texts give the same result", path)
	}
}

func hasTensor(t *testing.T, path, name string) bool {
	t.Helper()
	r, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return slices.ContainsFunc(r.Tensors, func(x gguf.TensorInfo) bool { return x.Name == name })
}
