//go:build interop

package interop

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

// TestEmbeddingsEqualOurForwardPass is TestLogitsEqualOurForwardPass for models with an encoder: the vectors of all tokens, what
// is made of them for the whole text where the checkpoint says how, and the logits of a decoder behind it.
func TestEmbeddingsEqualOurForwardPass(t *testing.T) {
	lib := library(t)
	compared, pooled, ranked, written, worst := 0, 0, 0, 0, 0.0
	for _, k := range slices.Concat(archtest.Encoders(), archtest.Translators()) {
		t.Run(string(k), func(t *testing.T) {
			if reason, excused := notCompared[k]; excused {
				t.Skip(reason)
			}
			dir := filepath.Join(t.TempDir(), string(k))
			sharpened(k).Write(t, dir)
			want := ourPass(t, dir, deviationsOf(k))
			files := makeFiles(t, checkpoint(t, dir), t.TempDir(), quant.PlanOptions{Recipes: presetsNamed("F32", "Q4_K_M")})
			m, err := lib.Load(files["F32"])
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			hold := func(what string, want [][]float64, got [][]float32) {
				t.Helper()
				d := difference(want, got)
				if tolerance := toleranceOf(k); d > tolerance || math.IsNaN(d) {
					t.Errorf("%s F32: %s differ by %.2g of their spread, more than %.2g", k, what, d, tolerance)
				}
				worst = max(worst, d)
				t.Logf("%s F32: largest difference of %s %.2g of the spread", k, what, d)
			}
			vectors := want.Logits
			if want.Encoded != nil {
				vectors = want.Encoded
				logits, err := m.TranslationLogits(sequence(), sequence())
				if err != nil {
					t.Fatal(err)
				}
				hold("logits", want.Logits, logits)
				written++
			}
			hold("vectors of tokens", vectors, tokenVectors(t, m))
			if want.Pooled != nil {
				how, what := oracle.PoolModel, "vectors of texts"
				if hasTensor(t, files["F32"], "cls.output.weight") {
					how, what = oracle.PoolRank, "ranks"
					ranked++
				} else {
					pooled++
				}
				got, err := m.Embed(sequence(), how)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(want.Pooled) {
					t.Fatalf("%s: libllama gives %d numbers for the text, want %d", k, len(got), len(want.Pooled))
				}
				// beside the vectors of the tokens: a single rank has no spread of its own
				hold(what, append(slices.Clone(vectors), want.Pooled), append(tokenVectors(t, m), got))
			}
			small, err := lib.Load(files["Q4_K_M"])
			if err != nil {
				t.Fatal(err)
			}
			defer small.Close()
			if c := cosine(vectors, tokenVectors(t, small)); !(c > 0.5) {
				t.Errorf("%s Q4_K_M: the cosine between its vectors and ours is %.3f", k, c)
			}
			compared++
		})
	}
	fmt.Printf("%s: vectors of tokens of %d kinds equal ours, those of texts of %d, ranks of %d, logits of %d decoders, all within %.1g\n",
		t.Name(), compared, pooled, ranked, written, worst)
}

// tokenVectors are those that libllama makes of the sequence.
func tokenVectors(t *testing.T, m *oracle.Model) [][]float32 {
	t.Helper()
	flat, err := m.Embed(sequence(), oracle.PoolNone)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(flat, len(flat)/forwardTokens))
}
