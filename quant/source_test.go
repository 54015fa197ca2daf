package quant

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// stored is a checkpoint tensor that holds the given bytes.
func stored(dtype safetensors.DType, shape []int64, data []byte) *safetensors.Tensor {
	return safetensors.NewTensor("w", dtype, shape, "model.safetensors", bytes.NewReader(data), 0, int64(len(data)))
}

func floatBytes(x ...float32) []byte {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// rowsOf reads all rows of a source in pieces of n.
func rowsOf(t *testing.T, s *source, n int64) []float32 {
	t.Helper()
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, s.rows*s.cols)
	for first := int64(0); first < s.rows; first += n {
		k := min(n, s.rows-first)
		raw := make([]byte, k*s.stride)
		if err := s.read(raw, first, k); err != nil {
			t.Fatal(err)
		}
		if err := s.toFloat(x[first*s.cols:(first+k)*s.cols], raw, first); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func TestPermuteInterleavesTheHalvesOfEachHead(t *testing.T) {
	t.Parallel()
	const heads, d, cols = 3, 4, 2
	var x []float32
	for r := range heads * d {
		x = append(x, float32(r), float32(r)+0.5)
	}
	s, err := fromCheckpoint(arch.Tensor{Name: "q", Shape: []int64{cols, heads * d}, Type: gguf.F32,
		Parts: []arch.Part{{Source: stored(safetensors.F32, []int64{heads * d, cols}, floatBytes(x...)),
			View: arch.View{Rows: []arch.Dim{{N: heads, Stride: d * cols}, {N: d / 2, Stride: cols}, {N: 2, Stride: d / 2 * cols}}, Cols: []arch.Dim{{N: cols, Stride: 1}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	// as reshape(heads, 2, d/2, cols).swapaxes(1, 2) of the converter puts them
	var want []float32
	for h := range heads {
		for i := range d / 2 {
			for half := range 2 {
				r := float32(h*d + half*d/2 + i)
				want = append(want, r, r+0.5)
			}
		}
	}
	for _, n := range []int64{1, 5, 12} {
		got := rowsOf(t, s, n)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("in pieces of %d: got %v, want %v", n, got, want)
			}
		}
	}
	bias, err := fromCheckpoint(arch.Tensor{Name: "b", Shape: []int64{4}, Type: gguf.F32,
		Parts: []arch.Part{{Source: stored(safetensors.F32, []int64{4}, floatBytes(0, 1, 2, 3)), View: arch.View{Rows: []arch.Dim{{N: 2, Stride: 1}, {N: 2, Stride: 2}}, Cols: []arch.Dim{{N: 1, Stride: 1}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, bias, 3); !slices.Equal(got, []float32{0, 2, 1, 3}) {
		t.Errorf("a bias: got %v", got)
	}
}

func TestScalesMultiplyTheirBlocks(t *testing.T) {
	t.Parallel()
	const rows, cols = 5, 7
	data := make([]byte, rows*cols)
	for i := range data {
		data[i] = 0x38 // 1.0 in E4M3
	}
	scales := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9} // 3 x 3 blocks of 2 x 3
	s, err := fromCheckpoint(arch.Tensor{Name: "w", Shape: []int64{cols, rows}, Type: gguf.F32,
		Parts: []arch.Part{{Source: stored(safetensors.F8E4M3, []int64{rows, cols}, data),
			Scale: &arch.Scale{Tensor: stored(safetensors.F32, []int64{3, 3}, floatBytes(scales...)), Block: [2]int64{2, 3}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{1, 2, 5} {
		got := rowsOf(t, s, n)
		for r := range rows {
			for c := range cols {
				if want := scales[r/2*3+c/3]; got[r*cols+c] != want {
					t.Errorf("in pieces of %d: row %d, column %d: got %v, want %v", n, r, c, got[r*cols+c], want)
				}
			}
		}
	}
	s.pieces[0].scale.Tensor = stored(safetensors.F32, []int64{2, 3}, floatBytes(1, 2, 3, 4, 5, 6))
	if err := s.prepare(); err == nil || !strings.Contains(err.Error(), "24") || !strings.Contains(err.Error(), "36") {
		t.Errorf("too few scales: got %v, want both sizes named", err)
	}
}

func TestSourceRefusesShapesThatDontFit(t *testing.T) {
	t.Parallel()
	part := stored(safetensors.F32, []int64{2, 2}, floatBytes(1, 2, 3, 4))
	for name, bad := range map[string]arch.Tensor{
		"too many rows":   {Shape: []int64{2, 3}, Parts: []arch.Part{{Source: part}}},
		"empty":           {Shape: []int64{0, 2}, Parts: []arch.Part{{Source: part}}},
		"constant length": {Shape: []int64{3}, Const: []float32{1}},
		"integers":        {Shape: []int64{4}, Parts: []arch.Part{{Source: stored(safetensors.I64, []int64{1}, make([]byte, 8))}}},
	} {
		if _, err := fromCheckpoint(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTruncatedSourceIsAnError(t *testing.T) {
	t.Parallel()
	short := safetensors.NewTensor("w", safetensors.F32, []int64{2, 2}, "model.safetensors", bytes.NewReader(floatBytes(1, 2)), 0, 16)
	s, err := fromCheckpoint(arch.Tensor{Name: "w", Shape: []int64{2, 2}, Type: gguf.F32, Parts: []arch.Part{{Source: short}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.read(make([]byte, 16), 0, 2); err == nil {
		t.Error("read beyond the end of the file")
	}
}
