package arch_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/kernels"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// The golden texts hold what llama.cpp 0.5.0's converter (convert_hf_to_gguf.py --outtype f32) writes for the
// same checkpoints: keys, their types, values and order, tensors and their order, and the float32 values by
// hash. They were compared with its files when they were made, bit by bit. UPDATE_GOLDEN=1 writes them anew.
func TestMapWritesWhatTheConverterWrites(t *testing.T) {
	t.Parallel()
	for _, k := range slices.Concat(archtest.Kinds(), archtest.Silent()) {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), string(k))
			archtest.Write(t, dir, k)
			m := mapDir(t, dir)
			compareGolden(t, string(k), m)
			if m.Tower != nil {
				compareGolden(t, string(k)+"-mmproj", m.Tower)
			}
		})
	}
	t.Run("nexus-tiny-llama", func(t *testing.T) {
		t.Parallel()
		compareGolden(t, "nexus-tiny-llama", mapDir(t, "../../testdata/nexus-tiny-llama"))
	})
}

func mapDir(t *testing.T, dir string) *arch.Model {
	t.Helper()
	c, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	m, err := arch.Map(c, arch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compareGolden(t *testing.T, name string, m *arch.Model) {
	t.Helper()
	got := describe(t, m)
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// describe writes a model down, one line for each key and tensor.
func describe(t *testing.T, m *arch.Model) string {
	t.Helper()
	var b strings.Builder
	for _, kv := range m.Metadata.All() {
		fmt.Fprintf(&b, "%s %s\n", kv.Key, describeValue(kv.Value))
	}
	for _, w := range m.Warnings {
		fmt.Fprintf(&b, "warning %s\n", w)
	}
	if m.TowerErr != nil {
		fmt.Fprintf(&b, "no tower: %v\n", m.TowerErr)
	}
	for _, d := range m.Dropped {
		fmt.Fprintf(&b, "dropped %s\n", d)
	}
	for _, x := range m.Tensors {
		fmt.Fprintf(&b, "tensor %s %v %s", x.Name, x.Shape, x.Type)
		if m.Arch == "clip" {
			fmt.Fprintf(&b, " (%s)", map[arch.Follow]string{arch.FollowFile: "follows", arch.FollowNone: "always", arch.FollowF16: "or f16"}[x.Follow])
		}
		for _, p := range x.Parts {
			fmt.Fprintf(&b, " <- %s %s", p.Source.Name, p.Source.DType)
			if v := p.View; !v.Whole() {
				fmt.Fprintf(&b, " from %d rows %v columns %v", v.First, v.Rows, v.Cols)
			}
			if p.Exponents != nil {
				fmt.Fprintf(&b, " * 2^%s", p.Exponents.Name)
			}
			if p.Factors != nil {
				fmt.Fprintf(&b, " times %v", p.Factors)
			}
			if p.Scale != nil {
				fmt.Fprintf(&b, " * %s per %d x %d", p.Scale.Tensor.Name, p.Scale.Block[0], p.Scale.Block[1])
			}
		}
		if x.Op != arch.Keep {
			fmt.Fprintf(&b, " then %s", map[arch.Op]string{arch.AddOne: "+1", arch.NegExp: "-exp"}[x.Op])
		}
		if x.Zeros > 0 {
			fmt.Fprintf(&b, " then %d rows of zeros", x.Zeros)
		}
		h := sha256.New()
		if err := binary.Write(h, binary.LittleEndian, values(t, x)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, " #%x\n", h.Sum(nil)[:6])
	}
	return b.String()
}

func describeValue(v any) string {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Slice || r.Len() <= 8 {
		return fmt.Sprintf("%T %#v", v, v)
	}
	h := sha256.New()
	for i := range r.Len() {
		fmt.Fprintf(h, "%v\x00", r.Index(i))
	}
	return fmt.Sprintf("%T of %d, first %#v, #%x", v, r.Len(), r.Slice(0, 4), h.Sum(nil)[:6])
}

// values reads a tensor's values in the order of the output: the plainest reading of View, Scale and Op.
func values(t *testing.T, x arch.Tensor) []float32 {
	t.Helper()
	if len(x.Parts) == 0 {
		return x.Const
	}
	var out []float32
	for _, p := range x.Parts {
		if p.Exponents != nil {
			out = append(out, packedFloats(t, p)...)
			continue
		}
		v := floats(t, p.Source)
		if s := p.Scale; s != nil {
			columns := p.Source.Shape[len(p.Source.Shape)-1]
			scales := floats(t, s.Tensor)
			across := (columns + s.Block[1] - 1) / s.Block[1]
			for i := range v {
				r, c := int64(i)/columns, int64(i)%columns
				v[i] *= scales[r/s.Block[0]*across+c/s.Block[1]]
			}
		}
		for _, f := range p.Factors {
			for i := range v {
				v[i] *= f
			}
			if p.Source.DType == safetensors.F16 {
				roundToHalf(t, v)
			}
		}
		if p.View.Whole() {
			out = append(out, v...)
			continue
		}
		for _, at := range places(p.View) {
			out = append(out, v[at])
		}
	}
	out = append(out, make([]float32, x.Zeros*x.Shape[0])...)
	half := x.Parts[0].Source.DType == safetensors.F16
	for i := range out {
		switch x.Op {
		case arch.AddOne:
			out[i]++
		case arch.NegExp:
			out[i] = -arch.Exp(out[i])
		default:
			continue
		}
		if half {
			roundToHalf(t, out[i:i+1])
		}
	}
	return out
}

func roundToHalf(t *testing.T, x []float32) {
	t.Helper()
	b := make([]byte, 2*len(x))
	if err := kernels.Quantize(gguf.F16, b, x, len(x), nil); err != nil {
		t.Fatal(err)
	}
	kernels.F16ToF32(x, b)
}

// places lists what a view has, in its order.
func places(v arch.View) []int64 {
	list := []int64{v.First}
	for _, d := range append(slices.Clone(v.Rows), v.Cols...) {
		var next []int64
		for _, at := range list {
			for i := range d.N {
				next = append(next, at+i*d.Stride)
			}
		}
		list = next
	}
	return list
}

// packedFloats reads MXFP4 weights as transformers does: the even ones in the low nibbles, times a power of two.
func packedFloats(t *testing.T, p arch.Part) []float32 {
	t.Helper()
	numbers := [16]float64{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}
	raw, exponents := bytesOf(t, p.Source), bytesOf(t, p.Exponents)
	list := places(p.View)
	if p.View.Whole() {
		list = places(arch.View{Rows: []arch.Dim{{N: int64(len(exponents)), Stride: 1}}})
	}
	var out []float32
	for _, block := range list {
		for i := range 32 {
			q := raw[16*block+int64(i/2)] >> (i % 2 * 4) & 15
			out = append(out, float32(math.Ldexp(numbers[q], int(exponents[block])-127)))
		}
	}
	return out
}

func bytesOf(t *testing.T, s *safetensors.Tensor) []byte {
	t.Helper()
	raw := make([]byte, s.Size)
	if _, err := s.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return raw
}

func floats(t *testing.T, s *safetensors.Tensor) []float32 {
	t.Helper()
	raw := bytesOf(t, s)
	v := make([]float32, s.Size/s.DType.Size())
	switch s.DType {
	case safetensors.F32:
		kernels.F32FromBytes(v, raw)
	case safetensors.F16:
		kernels.F16ToF32(v, raw)
	case safetensors.BF16:
		kernels.BF16ToF32(v, raw)
	case safetensors.F8E4M3:
		kernels.F8E4M3ToF32(v, raw)
	default:
		t.Fatalf("tensor %q: no decoder for %s", s.Name, s.DType)
	}
	return v
}

// The factors are the bits that PyTorch gave for rope_theta 500000: Llama 3.1 8B (head_dim 128, factor 8) and
// Llama 3.2 1B (head_dim 64, factor 32).
func TestLlama3RopeFactorsHaveThePyTorchBits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		headDim int
		factor  float64
		first   int // index of the first factor above 1
		bits    []uint32
	}{
		{128, 8, 29, []uint32{0x3f9a8ed5, 0x3fc6d64a, 0x4001af1d, 0x402c732e, 0x406bcace, 0x40a83c06, 0x41000000}},
		{64, 32, 15, []uint32{0x3fd35ec2, 0x4052b46f, 0x411aaaee, 0x42000000}},
	} {
		c := archtest.New(archtest.Llama3)
		c.Config["head_dim"] = tc.headDim
		c.Config["num_attention_heads"], c.Config["num_key_value_heads"] = 256/tc.headDim, 128/tc.headDim
		rope := c.Config["rope_scaling"].(map[string]any)
		rope["factor"], rope["original_max_position_embeddings"] = tc.factor, 8192
		dir := t.TempDir()
		c.Write(t, dir)
		m := mapDir(t, dir)
		factors := m.Tensors[0]
		if factors.Name != "rope_freqs.weight" || len(factors.Const) != tc.headDim/2 {
			t.Fatalf("first tensor: %q with %d values", factors.Name, len(factors.Const))
		}
		for i, f := range factors.Const {
			want := uint32(0x3f800000)
			if k := i - tc.first; k >= 0 {
				want = tc.bits[min(k, len(tc.bits)-1)]
			}
			if got := math.Float32bits(f); got != want {
				t.Errorf("head_dim %d, factor %d: bits %#x, want %#x", tc.headDim, i, got, want)
			}
		}
	}
}
