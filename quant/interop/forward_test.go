//go:build interop

package interop

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/quant/interop/forward"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

// forwardTokens is how many tokens are run: more than the windows of the small checkpoints have, and more than the length
// that their scaled ropes call the original one.
const forwardTokens = 72

// sequence is the tokens that are run.
func sequence() []int32 {
	tokens := make([]int32, forwardTokens)
	for i := range tokens {
		tokens[i] = int32(3 + (i*i*7+i*31)%380)
	}
	return tokens
}

// TestLogitsEqualOurForwardPass holds the logits that libllama computes from our F32 file of each kind against those that
// quant/interop/forward computes from the checkpoint, and looks at those of Q4_K_M.
func TestLogitsEqualOurForwardPass(t *testing.T) {
	lib := library(t)
	compared, exact, worst := 0, 0, 0.0
	for k := range notCompared {
		if !slices.Contains(slices.Concat(archtest.Kinds(), archtest.Encoders(), archtest.Translators()), k) {
			t.Errorf("%s is no kind: take it out of notCompared", k)
		}
	}
	for _, k := range archtest.Kinds() {
		t.Run(string(k), func(t *testing.T) {
			reason, excused := notCompared[k]
			if excused {
				t.Skip(reason)
			}
			dir := filepath.Join(t.TempDir(), string(k))
			sharpened(k).Write(t, dir)
			want := ourLogits(t, dir, deviationsOf(k))
			recipes := presetsNamed("F32", "Q4_K_M")
			for i := range recipes {
				recipes[i].AllowRequantize = k == "tiny-gpt-oss-mxfp4"
			}
			files := makeFiles(t, checkpoint(t, dir), t.TempDir(), quant.PlanOptions{Recipes: recipes})
			d := difference(want, llamaLogits(t, lib, files["F32"]))
			if tolerance := toleranceOf(k); d > tolerance || math.IsNaN(d) {
				t.Errorf("%s F32: logits differ by %.2g of their spread, more than %.2g", k, d, tolerance)
			}
			worst = max(worst, d)
			if d < 1e-4 {
				exact++
			}
			t.Logf("%s F32: largest difference %.2g of the spread", k, d)
			c := cosine(want, llamaLogits(t, lib, files["Q4_K_M"]))
			if !(c > 0.5) { // that of unrelated logits is about 0
				t.Errorf("%s Q4_K_M: the cosine between its logits and ours is %.3f", k, c)
			}
			compared++
		})
	}
	fmt.Printf("%s: logits of %d kinds equal ours, %d of them within 1e-4 of their spread, all within %.1g; %d kinds aren't compared\n",
		t.Name(), compared, exact, worst, len(notCompared))
}

// toleranceOf is the largest difference of logits, by their standard deviation. llama.cpp computes in float32: what its sums
// and exponentials round adds up to a few millionths for a layer, of which most kinds have two. GELU comes out of a table with F16
// arguments: where ours lies on the other side of a step than llama.cpp's, the result is off by up to a thousandth.
func toleranceOf(k archtest.Kind) float64 {
	switch {
	case k == "tiny-umt5", k == "tiny-gemma3n":
		return 1e-2 // two gated layers on either side; steps of BF16 beside those of the table
	case deviationsOf(k).HalfGELU:
		return 5e-3
	case deviationsOf(k).KeptBF16: // likewise
		return 1e-3
	case k == "tiny-deepseek2-lite", k == "tiny-baichuan":
		return 1e-3 // 27 and 32 layers
	}
	return 1e-4
}

// deviationsOf is what llama.cpp computes otherwise than the definition of a kind's architecture has it, which our pass
// follows for this kind.
func deviationsOf(k archtest.Kind) forward.Deviations {
	var d forward.Deviations
	switch k {
	case "tiny-gemma":
		d.HalfGELU = true
		d.HalfNorms = true // the converter's sums
	case "tiny-gemma3n":
		d.HalfGELU, d.AllSparse, d.SampleDeviation = true, true, true // libllama has ten sparse layers
		d.KeptBF16 = true                                             // llama-quantize doesn't touch AltUp and LAuReL
	case "tiny-gemma2", "tiny-gemma3", "tiny-gemma3-vision", "tiny-gemma4", "tiny-gemma4-moe", "tiny-phi2", "tiny-bloom", "tiny-starcoder", "tiny-codeshell", "tiny-gpt2":
		d.HalfGELU = true
	case "tiny-gptneox", "tiny-falcon", "tiny-falcon-40b", "tiny-mpt":
		d.HalfGELU, d.TanhGELU = true, true
	case "tiny-starcoder2":
		d.HalfGELU, d.NoWindow = true, true
	case "tiny-smallthinker":
		d.NoWindow = true // libllama has 4096 for all
	case "tiny-phimoe":
		d.PlainRouting, d.MeanKept = true, true // libllama runs it as Phi 3 with experts
	case "tiny-qwen2vl", "tiny-qwen2.5vl":
		d.NoEpsilon = true // libllama doesn't read the key: its case for Qwen2-VL fell through to another once
	case "tiny-mistral4":
		d.NoGrowth = true // the converter writes no key for it
	case "tiny-bamba":
		d.WholeHeads = true // the converter's permutation
	case "tiny-phi-mini":
		d.NoWindow = true // libllama warns that it is disabled
	case "tiny-exaone4":
		d.NoWindow = true // libllama looks for a window only in the model with 64 layers
	case "tiny-gpt-oss", "tiny-gpt-oss-mxfp4":
		d.TruncatedYarn = true
	case "tiny-grovemoe":
		d.SecondHand = true // libllama's graph
	case "tiny-dbrx":
		d.KeptBF16 = true // the converter keeps it
	case "tiny-bert", "tiny-xlm-roberta", "tiny-xlm-roberta-json", "tiny-xlm-reranker", "tiny-roberta", "tiny-roberta-reranker", "tiny-distilbert", "tiny-jina2", "tiny-jina3",
		"tiny-modernbert", "tiny-modernbert-reranker":
		d.HalfGELU, d.TanhGELU = true, true
	case "tiny-bert-reranker":
		d.HalfGELU, d.TanhGELU, d.NoPooler = true, true, true // the converter leaves it out
	case "tiny-distilbert-reranker":
		d.HalfGELU, d.TanhGELU, d.TanhHead = true, true, true
	case "tiny-nomic-bert-moe":
		d.HalfGELU, d.TanhGELU, d.NoExpertBias = true, true, true // the converter leaves it out
	case "tiny-jina2-code":
		d.HalfGELU, d.TanhGELU, d.GateFirst = true, true, true
	case "tiny-neobert":
		d.Thirds = true
	case "tiny-embeddinggemma", "tiny-t5-encoder", "tiny-t5-flan", "tiny-umt5":
		d.HalfGELU = true
	case "tiny-t5":
		d.Unscaled = true
	}
	return d
}

// notCompared are the kinds that have no forward pass of ours, or none that libllama could equal, and why.
var notCompared = map[archtest.Kind]string{
	"tiny-deepseek32": "no forward pass of the indexer that picks what is attended to",
	"tiny-glm-dsa":    "no forward pass of the indexer that picks what is attended to",
}

// normName tells the weights of norms, and the numbers that multiply whole layers.
var normName = regexp.MustCompile(`((?i:norm)\w*|norms\.\d+|\bln_\w+|\bemb_ln)\.weight$|\.gamma$|layer_scalar$|correct_output_scale$`)

// sharpened is a checkpoint whose weights are large enough that positions, masks and the choice of experts show in the
// logits: with those of archtest the scores of attention are all close to 0. Norms have weights about 1 whatever their name.
func sharpened(k archtest.Kind) *archtest.Checkpoint {
	c := archtest.New(k)
	by := float32(4)
	if slices.Contains(archtest.Kinds()[:6], k) || strings.HasPrefix(string(k), "tiny-gemma") {
		by = 2 // they are four times as wide, or stand behind norms that are about 2
	}
	for i, t := range c.Tensors {
		if strings.HasSuffix(t.Name, ".embed_tokens.weight") || t.Name == "shared.weight" {
			if first := slices.IndexFunc(c.Tensors, func(o archtest.Tensor) bool { return o.Name == "decoder.embed_tokens.weight" }); first >= 0 && first < i {
				copy(t.Data, c.Tensors[first].Data) // T5 stores the same three times
				continue
			}
		}
		if strings.HasSuffix(t.Name, "_scale_inv") {
			continue
		}
		by := by
		if strings.HasSuffix(t.Name, ".modality_router.weight") {
			by *= 32 // what it meets is divided by the width
		}
		change := func(v float32) float32 { return by * v }
		if normName.MatchString(t.Name) {
			change = func(v float32) float32 {
				if v < 0.5 {
					return 1 + v
				}
				return v
			}
		}
		switch t.DType {
		case "F32":
			for i := 0; i < len(t.Data); i += 4 {
				v := math.Float32frombits(binary.LittleEndian.Uint32(t.Data[i:]))
				binary.LittleEndian.PutUint32(t.Data[i:], math.Float32bits(change(v)))
			}
		case "BF16":
			for i := 0; i < len(t.Data); i += 2 {
				v := math.Float32frombits(uint32(binary.LittleEndian.Uint16(t.Data[i:])) << 16)
				binary.LittleEndian.PutUint16(t.Data[i:], uint16(math.Float32bits(change(v))>>16))
			}
		case "F16":
			for i := 0; i < len(t.Data); i += 2 {
				// all are numbers to be multiplied by a power of two, or norms that are about 1 already
				if bits := binary.LittleEndian.Uint16(t.Data[i:]); bits<<1 != 0 && !normName.MatchString(t.Name) {
					binary.LittleEndian.PutUint16(t.Data[i:], bits+uint16(by/2)<<10)
				}
			}
		}
	}
	return c
}

func ourLogits(t *testing.T, dir string, d forward.Deviations) [][]float64 {
	t.Helper()
	return ourPass(t, dir, d).Logits
}

func ourPass(t *testing.T, dir string, d forward.Deviations) forward.Pass {
	t.Helper()
	c, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pass, err := forward.Run(c, sequence(), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pass.Unread {
		t.Errorf("%s: our forward pass has no use for tensor %s", filepath.Base(dir), name)
	}
	return pass
}

func llamaLogits(t *testing.T, lib *oracle.Lib, path string) [][]float32 {
	t.Helper()
	m, err := lib.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	logits, err := m.Logits(sequence())
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// difference is the largest one, by the standard deviation of the logits that are wanted.
func difference(want [][]float64, got [][]float32) float64 {
	n, mean, square, largest := 0.0, 0.0, 0.0, 0.0
	for i, row := range want {
		for j, v := range row {
			n, mean, square = n+1, mean+v, square+v*v
			if d := math.Abs(v - float64(got[i][j])); d > largest || math.IsNaN(d) {
				largest = d
			}
		}
	}
	mean /= n
	return largest / math.Sqrt(square/n-mean*mean)
}

// cosine is that of the angle between all logits.
func cosine(want [][]float64, got [][]float32) float64 {
	ab, aa, bb := 0.0, 0.0, 0.0
	for i, row := range want {
		for j, v := range row {
			g := float64(got[i][j])
			ab, aa, bb = ab+v*g, aa+v*v, bb+g*g
		}
	}
	return ab / math.Sqrt(aa*bb)
}
