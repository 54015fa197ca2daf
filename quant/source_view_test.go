package quant

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// counted is an F32 tensor whose values are first, first+1, …
func counted(first float32, shape ...int64) *safetensors.Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = first + float32(i)
	}
	return stored(safetensors.F32, shape, floatBytes(x...))
}

// wantRows reads a tensor in pieces of every size and compares it.
func wantRows(t *testing.T, x arch.Tensor, want ...float32) {
	t.Helper()
	s, err := fromCheckpoint(x)
	if err != nil {
		t.Fatal(err)
	}
	for n := int64(1); n <= s.rows; n++ {
		if got := rowsOf(t, s, n); !slices.Equal(got, want) {
			t.Fatalf("in pieces of %d: got %v, want %v", n, got, want)
		}
	}
}

func TestPartsFollowOneAnother(t *testing.T) {
	t.Parallel()
	wantRows(t, arch.Tensor{Shape: []int64{2, 2, 3}, Parts: []arch.Part{{Source: counted(0, 2, 2)}, {Source: counted(10, 2, 2)}, {Source: counted(20, 2, 2)}}},
		0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23)
	wantRows(t, arch.Tensor{Shape: []int64{3}, Parts: []arch.Part{{Source: counted(0, 1)}, {Source: counted(7, 2)}}}, 0, 7, 8)
}

func TestRowsOfZerosFollowThePartsInEveryFormat(t *testing.T) {
	t.Parallel()
	wantRows(t, arch.Tensor{Shape: []int64{2, 4}, Parts: []arch.Part{{Source: counted(1, 2, 2)}}, Zeros: 2}, 1, 2, 3, 4, 0, 0, 0, 0)
	half := stored(safetensors.BF16, []int64{1, 2}, []byte{0x80, 0x3f, 0x00, 0x40})
	wantRows(t, arch.Tensor{Shape: []int64{2, 2}, Parts: []arch.Part{{Source: half}}, Zeros: 1}, 1, 2, 0, 0)
	for _, n := range []int64{-1, 1 << 62} {
		if _, err := fromCheckpoint(arch.Tensor{Shape: []int64{2, 4}, Parts: []arch.Part{{Source: counted(1, 2, 2)}}, Zeros: n}); err == nil {
			t.Errorf("%d rows of zeros are taken", n)
		}
	}
}

// One part of F32 values and one of F16, whose products are rounded after each factor: 1.0009765625 * 3 is 3.0029296875,
// which lies between 3.001953125 and 3.00390625 and goes to the even one.
func TestFactorsMultiplyTheirPartsOneByOne(t *testing.T) {
	t.Parallel()
	wantRows(t, arch.Tensor{Shape: []int64{2, 2}, Parts: []arch.Part{
		{Source: counted(1, 1, 2), Factors: []float32{2, 0.5, 3}}, {Source: counted(10, 1, 2)},
	}}, 3, 6, 10, 11)
	half := stored(safetensors.F16, []int64{1, 2}, []byte{0x01, 0x3c, 0x00, 0x40})
	wantRows(t, arch.Tensor{Shape: []int64{2, 1}, Parts: []arch.Part{{Source: half, Factors: []float32{3}}}}, 3.00390625, 6)
}

func TestViewsTakePartOfATensor(t *testing.T) {
	t.Parallel()
	row := []arch.Dim{{N: 2, Stride: 1}}
	fused := counted(0, 2, 3, 2) // two experts of three rows of two
	wantRows(t, arch.Tensor{Shape: []int64{2, 2, 2}, Parts: []arch.Part{{Source: fused, View: arch.View{First: 2, Rows: []arch.Dim{{N: 2, Stride: 6}, {N: 2, Stride: 2}}, Cols: row}}}},
		2, 3, 4, 5, 8, 9, 10, 11)
	wantRows(t, arch.Tensor{Shape: []int64{2, 3}, Parts: []arch.Part{ // the last row, then the first two
		{Source: fused, View: arch.View{First: 10, Rows: []arch.Dim{{N: 1, Stride: 2}}, Cols: row}},
		{Source: fused, View: arch.View{First: 0, Rows: []arch.Dim{{N: 2, Stride: 2}}, Cols: row}}}},
		10, 11, 0, 1, 2, 3)
	wantRows(t, arch.Tensor{Shape: []int64{4, 2}, Parts: []arch.Part{{Source: counted(0, 2, 4), View: arch.View{ // columns 2, 3, 0, 1
		Rows: []arch.Dim{{N: 2, Stride: 4}}, Cols: []arch.Dim{{N: 2, Stride: 1}, {N: 2, Stride: 2}}}}}},
		0, 2, 1, 3, 4, 6, 5, 7)
	wantRows(t, arch.Tensor{Shape: []int64{2}, Parts: []arch.Part{{Source: counted(0, 4), View: arch.View{First: 1, Rows: []arch.Dim{{N: 2, Stride: 2}}, Cols: []arch.Dim{{N: 1, Stride: 1}}}}}}, 1, 3)
}

func TestTransposedViewsGatherColumns(t *testing.T) {
	t.Parallel()
	wantRows(t, arch.Tensor{Shape: []int64{3, 2, 2}, Parts: []arch.Part{{Source: counted(0, 2, 3, 2), View: arch.View{
		Rows: []arch.Dim{{N: 2, Stride: 6}, {N: 2, Stride: 1}}, Cols: []arch.Dim{{N: 3, Stride: 2}}}}}},
		0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11)
	wantRows(t, arch.Tensor{Shape: []int64{2, 2}, Parts: []arch.Part{{Source: counted(0, 2, 4), View: arch.View{First: 1, // every other column from the second on
		Rows: []arch.Dim{{N: 2, Stride: 2}}, Cols: []arch.Dim{{N: 2, Stride: 4}}}}}},
		1, 5, 3, 7)
}

func TestScalesStayWithTheirValuesUnderAView(t *testing.T) {
	t.Parallel()
	ones := make([]byte, 16)
	for i := range ones {
		ones[i] = 0x38 // 1.0 in E4M3
	}
	part := func(first float32, v arch.View) arch.Part {
		return arch.Part{Source: stored(safetensors.F8E4M3, []int64{4, 4}, ones), View: v,
			Scale: &arch.Scale{Tensor: counted(first, 2, 2), Block: [2]int64{2, 3}}} // blocks 2 x 3: the last column has its own
	}
	wantRows(t, arch.Tensor{Shape: []int64{4, 4}, Parts: []arch.Part{
		part(1, arch.View{First: 4, Rows: []arch.Dim{{N: 2, Stride: 4}}, Cols: []arch.Dim{{N: 4, Stride: 1}}}),    // rows 1 and 2
		part(10, arch.View{First: 2, Rows: []arch.Dim{{N: 2, Stride: 1}}, Cols: []arch.Dim{{N: 4, Stride: 4}}})}}, // columns 2 and 3 as rows
		1, 1, 1, 2, 3, 3, 3, 4, 10, 10, 12, 12, 11, 11, 13, 13)
}

func TestOpsChangeValues(t *testing.T) {
	t.Parallel()
	part := []arch.Part{{Source: stored(safetensors.F32, []int64{2}, floatBytes(0.5, -1))}}
	wantRows(t, arch.Tensor{Shape: []int64{2}, Parts: part, Op: arch.AddOne}, 1.5, 0)
	wantRows(t, arch.Tensor{Shape: []int64{2}, Parts: part, Op: arch.NegExp}, -arch.Exp(0.5), -arch.Exp(-1))
	// 1 + 2^-11 is a float32 but no F16, and PyTorch adds in F16
	wantRows(t, arch.Tensor{Shape: []int64{2}, Parts: []arch.Part{{Source: stored(safetensors.F16, []int64{2}, []byte{0x00, 0x10, 0x00, 0x38})}}, Op: arch.AddOne}, 1, 1.5)
	s, err := fromCheckpoint(arch.Tensor{Shape: []int64{2}, Parts: part, Op: arch.AddOne})
	if err != nil || s.direct {
		t.Errorf("changed values are copied: %v, %v", s.direct, err)
	}
}

func TestViewsBeyondTheirSourceAreRefused(t *testing.T) {
	t.Parallel()
	cols := []arch.Dim{{N: 2, Stride: 1}}
	for name, tc := range map[string]struct {
		x    arch.Tensor
		want string
	}{
		"a row too far":       {arch.Tensor{Shape: []int64{2, 2}, Parts: []arch.Part{{Source: counted(0, 2, 2), View: arch.View{First: 2, Rows: []arch.Dim{{N: 2, Stride: 2}}, Cols: cols}}}}, "view"},
		"before the start":    {arch.Tensor{Shape: []int64{2, 1}, Parts: []arch.Part{{Source: counted(0, 2, 2), View: arch.View{First: -2, Rows: []arch.Dim{{N: 1, Stride: 2}}, Cols: cols}}}}, "view"},
		"a stride too large":  {arch.Tensor{Shape: []int64{2, 2}, Parts: []arch.Part{{Source: counted(0, 2, 2), View: arch.View{Rows: []arch.Dim{{N: 2, Stride: math.MaxInt64}}, Cols: cols}}}}, "view"},
		"more than there are": {arch.Tensor{Shape: []int64{2, 8}, Parts: []arch.Part{{Source: counted(0, 2, 2), View: arch.View{Rows: []arch.Dim{{N: 8, Stride: 0}}, Cols: cols}}}}, "view"},
		"other columns":       {arch.Tensor{Shape: []int64{2, 2}, Parts: []arch.Part{{Source: counted(0, 2, 3), View: arch.View{Rows: []arch.Dim{{N: 2, Stride: 3}}, Cols: []arch.Dim{{N: 3, Stride: 1}}}}}}, "in rows of 2"},
		"too few rows":        {arch.Tensor{Shape: []int64{2, 4}, Parts: []arch.Part{{Source: counted(0, 2, 2)}, {Source: counted(0, 1, 2)}}}, "give 3 rows"},
		"two formats":         {arch.Tensor{Shape: []int64{2, 2}, Parts: []arch.Part{{Source: counted(0, 1, 2)}, {Source: stored(safetensors.F16, []int64{1, 2}, make([]byte, 4))}}}, "dtype F16, but the part before it has F32"},
		"an unknown op":       {arch.Tensor{Shape: []int64{2, 2}, Type: gguf.F32, Op: 99, Parts: []arch.Part{{Source: counted(0, 2, 2)}}}, "operation 99 is unknown"},
	} {
		if _, err := fromCheckpoint(tc.x); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}
