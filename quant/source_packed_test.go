package quant

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// packedPart is a stack of matrices in MXFP4 whose nibbles count up, and what their numbers are.
func packedPart(experts, rows, blocks int64) (arch.Part, []float32) {
	numbers := [16]float64{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}
	n := experts * rows * blocks
	nibbles, exponents := make([]byte, 16*n), make([]byte, n)
	var values []float32
	for b := range n {
		exponents[b] = byte(120 + b%9)
		for i := range int64(16) {
			q := 16*b + i
			nibbles[q] = byte(q*7 + q/16*3)
			for _, v := range []byte{nibbles[q] & 15, nibbles[q] >> 4} {
				values = append(values, float32(math.Ldexp(numbers[v], int(exponents[b])-127)))
			}
		}
	}
	return arch.Part{Source: stored(safetensors.U8, []int64{experts, rows, blocks, 16}, nibbles),
		Exponents: stored(safetensors.U8, []int64{experts, rows, blocks}, exponents)}, values
}

func TestPackedWeightsKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	part, values := packedPart(2, 6, 3)
	wantRows(t, arch.Tensor{Shape: []int64{96, 6, 2}, Type: gguf.MXFP4, Parts: []arch.Part{part}}, values...)
	var odd []float32
	for row := 1; row < 12; row += 2 {
		odd = append(odd, values[96*row:96*row+96]...)
	}
	part.View = arch.View{First: 3, Rows: []arch.Dim{{N: 2, Stride: 18}, {N: 3, Stride: 6}}, Cols: []arch.Dim{{N: 3, Stride: 1}}}
	wantRows(t, arch.Tensor{Shape: []int64{96, 3, 2}, Type: gguf.MXFP4, Parts: []arch.Part{part}}, odd...)
}

func TestPackedWeightsThatDontFitAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   string
		shape  []int64
		change func(*arch.Part)
		want   string
	}{
		{"rows that cut a block", []int64{48, 4}, func(*arch.Part) {}, "needs a multiple of 32"},
		{"rows of another length", []int64{128, 1}, func(*arch.Part) {}, "in rows of 128"},
		{"too few exponents", []int64{96, 2}, func(p *arch.Part) { p.Exponents = stored(safetensors.U8, []int64{5}, make([]byte, 5)) }, "and 5 of scales"},
		{"half a block", []int64{96, 2}, func(p *arch.Part) { p.Source = stored(safetensors.U8, []int64{95}, make([]byte, 95)) }, "95 bytes of blocks"},
		{"a view beyond the end", []int64{96, 2}, func(p *arch.Part) {
			p.View = arch.View{First: 1, Rows: []arch.Dim{{N: 2, Stride: 3}}, Cols: []arch.Dim{{N: 3, Stride: 1}}}
		}, "of 6 values"},
	} {
		part, _ := packedPart(1, 2, 3)
		c.change(&part)
		_, err := fromCheckpoint(arch.Tensor{Shape: c.shape, Type: gguf.MXFP4, Parts: []arch.Part{part}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.rule, err, c.want)
		}
	}
	part, _ := packedPart(1, 2, 3)
	if _, err := (packer{part.Source, part.Exponents}).ReadAt(make([]byte, 17), 16); err == nil {
		t.Error("half a block can be read")
	}
}

// TestPublishedMXFP4IsKept runs a checkpoint with packed experts: files of plain numbers and MXFP4_MOE hold the published
// numbers, anything else needs permission.
func TestPublishedMXFP4IsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archtest.Write(t, dir, "tiny-gpt-oss-mxfp4")
	c, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, err := FromCheckpoint(c, arch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan := mustPlan(t, m, PlanOptions{Recipes: recipes(t, "F32", "BF16", "MXFP4_MOE")})
	out := t.TempDir()
	if _, err := Run(t.Context(), plan, RunOptions{Dir: out}); err != nil {
		t.Fatal(err)
	}
	for i, o := range plan.Outputs {
		if n, _ := o.Metadata.Get("general.file_type"); n != uint32(gguf.FileMXFP4MoE) {
			t.Errorf("%s: general.file_type %d", o.Recipe.Preset.Name, n)
		}
		r, err := gguf.Open(RunOptions{Dir: out}.Path(plan, i))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		packed := 0
		for k, info := range r.Tensors {
			if info.Type != gguf.MXFP4 {
				continue
			}
			packed++
			got := make([]byte, info.Size)
			if _, err := r.ReadTensorAt(k, got, 0); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, info.Size)
			if err := plan.Tensors[k].source.read(want, 0, plan.Tensors[k].source.rows); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) || plan.Tensors[k].Name != info.Name {
				t.Errorf("%s: %s differs from the checkpoint's", o.Recipe.Preset.Name, info.Name)
			}
		}
		if packed != 6 {
			t.Errorf("%s: %d tensors in MXFP4, want 6", o.Recipe.Preset.Name, packed)
		}
	}
	_, err = NewPlan(m, PlanOptions{Recipes: recipes(t, "Q4_K_M")})
	var refused *RequantizeError
	if !errors.As(err, &refused) || !strings.Contains(refused.Hint(), "MXFP4_MOE") {
		t.Errorf("Q4_K_M: %v", err)
	}
	allowed := recipes(t, "F16", "Q4_K_M")
	for i := range allowed {
		allowed[i].AllowRequantize = true
	}
	for _, o := range mustPlan(t, m, PlanOptions{Recipes: allowed}).Outputs {
		if slices.Contains(o.Types, gguf.MXFP4) {
			t.Errorf("%s: tensors stay in MXFP4 although they may be requantized", o.Recipe.Preset.Name)
		}
	}
}
