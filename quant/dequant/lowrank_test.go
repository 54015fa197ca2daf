package dequant

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

func floatTensor(name string, values []float32, shape ...int64) *safetensors.Tensor {
	b := make([]byte, 4*len(values))
	putFloats(b, values)
	return tensor(name, safetensors.F32, b, shape...)
}

// TestPartsOfMergedValuesCanBeRead reads every part of a weight of two rows with an adapter of rank 2.
func TestPartsOfMergedValuesCanBeRead(t *testing.T) {
	weight := tensor("w.weight", safetensors.BF16, []byte{0x80, 0x3f, 0x00, 0x40, 0x40, 0x40, 0x80, 0x3f, 0x00, 0x40, 0x40, 0x40}, 2, 3) // 1 2 3, 1 2 3
	a := []float32{1, 2, 3, 10, 20, 30}
	b := []float32{1, 0, 2, 1}
	for _, u := range []LowRank{
		{A: floatTensor("a", a, 2, 3), B: floatTensor("b", b, 2, 2), Scale: 0.5},
		{A: floatTensor("a", []float32{1, 2, 0, 1}, 2, 2), B: floatTensor("b", []float32{1, 10, 2, 20, 3, 30}, 3, 2), Scale: 0.5, Transposed: true},
	} {
		if err := u.Fit(weight); err != nil {
			t.Fatal(err)
		}
		var m Merger
		sum, err := m.Add(weight, u)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 24)
		putFloats(want, []float32{1.5, 3, 4.5, 7, 14, 21})
		for from := range want {
			for to := from; to <= len(want); to++ {
				p := make([]byte, to-from)
				if _, err := sum.ReadAt(p, int64(from)); err != nil || !bytes.Equal(p, want[from:to]) {
					t.Fatalf("transposed %v: bytes %d to %d: %x, want %x; %v", u.Transposed, from, to, p, want[from:to], err)
				}
			}
		}
	}
}

// TestMergedWeightThatEndsEarlyIsAnError cuts off each of the three tensors.
func TestMergedWeightThatEndsEarlyIsAnError(t *testing.T) {
	for cut := range 3 {
		list := []*safetensors.Tensor{floatTensor("w", make([]float32, 6), 2, 3), floatTensor("a", make([]float32, 6), 2, 3), floatTensor("b", make([]float32, 4), 2, 2)}
		list[cut] = safetensors.NewTensor("cut", safetensors.F32, list[cut].Shape, "x.safetensors", bytes.NewReader(make([]byte, 8)), 0, list[cut].Size)
		var m Merger
		sum, err := m.Add(list[0], LowRank{A: list[1], B: list[2], Scale: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sum.ReadAt(make([]byte, 24), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("tensor %d: got %v", cut, err)
		}
	}
}
