package kernels

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels/kerneltest"
)

// TestGolden compares every type, in every implementation, with testdata/golden.txt, which llama.cpp 0.5.0's own library
// wrote.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, c := range reference {
		info, _ := c.typ.Info()
		cases := kerneltest.Golden(int(info.BlockLen))
		valid := func(block []byte) bool { return Validate(c.typ, block) == nil }
		if len(lines) < len(cases) {
			t.Fatalf("testdata/golden.txt has too few lines for %s", info.Name)
		}
		for _, im := range Impls() {
			t.Run(info.Name+"/"+im.Name(), func(t *testing.T) {
				for i, in := range cases {
					blocks, values := roundTrip(t, im, c.typ, in)
					if got := kerneltest.GoldenLine(info.Name, info.BlockSize, in, blocks, values, valid); got != lines[i] {
						t.Errorf("\n got %s\nwant %s", got, lines[i])
					}
				}
			})
		}
		lines = lines[len(cases):]
	}
	if len(lines) != 0 {
		t.Errorf("testdata/golden.txt has %d lines more, the first is %s", len(lines), lines[0])
	}
}

func roundTrip(t testing.TB, im *Impl, typ gguf.Type, c kerneltest.Case) ([]byte, []float32) {
	t.Helper()
	size, err := typ.RowSize(int64(len(c.Src)))
	if err != nil {
		t.Fatal(err)
	}
	blocks, values := make([]byte, size), make([]float32, len(c.Src))
	if err := im.Quantize(typ, blocks, c.Src, c.Cols, c.Importance); err != nil {
		t.Fatal(err)
	}
	if err := im.Dequantize(typ, values, blocks); err != nil {
		t.Fatal(err)
	}
	return blocks, values
}

// TestImplsAgree compares every implementation with the reference, on all kinds of input and on shapes that leave rests:
// an odd number of blocks, rows of one block, rows that are no multiple of 256.
func TestImplsAgree(t *testing.T) {
	kinds := append(kerneltest.Values[:len(kerneltest.Values):len(kerneltest.Values)], kerneltest.NotFinite...)
	weights := append(kerneltest.Weights[:len(kerneltest.Weights):len(kerneltest.Weights)], kerneltest.NotFinite...)
	for _, im := range Impls()[1:] {
		for _, c := range reference {
			t.Run(im.Name()+"/"+c.typ.String(), func(t *testing.T) {
				t.Parallel()
				b := int(c.typ.BlockLen())
				shapes := [][2]int{{1, b}, {3, b}, {9, b}, {1, 9 * b}, {2, 17 * b}, {37, b}}
				for i, v := range kinds {
					for j, w := range weights {
						shape := shapes[(i+j)%len(shapes)]
						compareImpls(t, im, c.typ, kerneltest.New(v, w, shape[0], shape[1]))
					}
					for _, shape := range shapes {
						compareImpls(t, im, c.typ, kerneltest.New(v, kerneltest.Weights[0], shape[0], shape[1]))
					}
				}
			})
		}
	}
}

// compareImpls wants equal bytes; among blocks that are not valid the sign and payload of a NaN may differ.
func compareImpls(t *testing.T, im *Impl, typ gguf.Type, in kerneltest.Case) {
	t.Helper()
	want, wantValues := roundTrip(t, generic, typ, in)
	got, _ := roundTrip(t, im, typ, in)
	size, n := int(typ.BlockSize()), int(typ.BlockLen())
	for i := range len(want) / size {
		g, w := got[i*size:][:size], want[i*size:][:size]
		if !bytes.Equal(g, w) && !(Validate(typ, g) != nil && Validate(typ, w) != nil) {
			t.Fatalf("%s, weights %s, %d values in rows of %d: block %d\n got %x\nwant %x", in.Values, in.Weights, len(in.Src), in.Cols, i, g, w)
		}
	}
	gotValues := make([]float32, len(wantValues))
	if err := im.Dequantize(typ, gotValues, want); err != nil {
		t.Fatal(err)
	}
	for i, g := range gotValues {
		if w := wantValues[i]; math.Float32bits(g) != math.Float32bits(w) && (g == g || w == w) {
			t.Fatalf("%s: block %d holds %v at %d, want %v", in.Values, i/n, g, i%n, w)
		}
	}
}

func TestChoose(t *testing.T) {
	if im, err := choose("generic"); err != nil || im != Impls()[0] || im.Name() != "generic" {
		t.Errorf("generic: %v, %v", im, err)
	}
	if im, err := choose(""); err != nil || im != Impls()[len(Impls())-1] {
		t.Errorf("nothing asked for: %v, %v", im, err)
	}
	if _, err := choose("abacus"); err == nil || !strings.Contains(err.Error(), Env+"=abacus: this machine has the kernels [generic") {
		t.Errorf("abacus: %v", err)
	}
}

// TestTableFitsTypes checks the reference against gguf's table: known types, scales inside the block.
func TestTableFitsTypes(t *testing.T) {
	for i, c := range reference {
		info, ok := c.typ.Info()
		if !ok || generic.find(c.typ) != &generic.codecs[i] {
			t.Errorf("row %d: %s is unknown or stands there twice", i, c.typ)
		}
		if c.quantize == nil || c.dequantize == nil {
			t.Errorf("%s: a function is missing", c.typ)
		}
		if info.Quantized && len(c.scales) == 0 {
			t.Errorf("%s: no scale to validate", c.typ)
		}
		for _, at := range c.scales {
			if at < 0 || at+2 > int(info.BlockSize) {
				t.Errorf("%s: scale at %d, block of %d bytes", c.typ, at, info.BlockSize)
			}
		}
	}
	for typ, size := range map[gguf.Type]int64{gguf.Q4_0: q4_0Size, gguf.Q4_1: q4_1Size, gguf.Q5_0: q5_0Size,
		gguf.Q5_1: q5_1Size, gguf.Q8_0: q8_0Size, gguf.Q2K: q2KSize, gguf.Q3K: q3KSize, gguf.Q4K: q4KSize,
		gguf.Q5K: q5KSize, gguf.Q6K: q6KSize, gguf.MXFP4: mxfp4Size} {
		if typ.BlockSize() != size {
			t.Errorf("%s: block of %d bytes here, %d in the table of types", typ, size, typ.BlockSize())
		}
	}
}

// TestErrorBudget bounds the root mean square error of ordinary weights, relative to theirs: a block type that loses more
// has a wrong layout or search, whatever it is compared with. The budgets are 5 % above what the types reach.
func TestErrorBudget(t *testing.T) {
	for typ, budget := range map[gguf.Type]float64{
		gguf.F32: 0, gguf.F16: 2.2e-4, gguf.BF16: 1.75e-3,
		gguf.Q4_0: 0.09, gguf.Q4_1: 0.081, gguf.Q5_0: 0.045, gguf.Q5_1: 0.04, gguf.Q8_0: 0.0057,
		gguf.Q2K: 0.31, gguf.Q3K: 0.16, gguf.Q4K: 0.075, gguf.Q5K: 0.038, gguf.Q6K: 0.019,
		gguf.MXFP4: 0.12,
	} {
		for _, weights := range []kerneltest.Kind{kerneltest.Weights[0], kerneltest.Weights[2]} {
			c := kerneltest.New(kerneltest.Values[0], weights, 16, 1024)
			_, got := roundTrip(t, generic, typ, c)
			var lost, all float64
			for i, v := range c.Src {
				lost += math.Pow(float64(v)-float64(got[i]), 2)
				all += float64(v) * float64(v)
			}
			if rel := math.Sqrt(lost / all); rel > budget {
				t.Errorf("%s, weights %s: relative error %.5f, budget %.5f", typ, weights.Name, rel, budget)
			}
		}
	}
}

func TestQuantizeRefuses(t *testing.T) {
	for _, c := range []struct {
		name           string
		typ            gguf.Type
		dst, src, cols int
		weights        []float32
		want           string
	}{
		{"a type without kernels", gguf.I32, 4, 1, 1, nil, "type i32: no quantizer"},
		{"an unknown type", 99, 4, 1, 1, nil, "type(99)"},
		{"rows of no columns", gguf.Q8_0, 34, 32, 0, nil, "no whole rows of 0"},
		{"negative columns", gguf.Q8_0, 34, 32, -32, nil, "no whole rows of -32"},
		{"a last row that is cut", gguf.Q8_0, 34, 48, 32, nil, "48 values of q8_0 are no whole rows of 32"},
		{"rows that cut a block", gguf.Q4K, 144, 96, 96, nil, "96 columns, q4_K needs a multiple of 256"},
		{"too little room", gguf.Q8_0, 67, 64, 32, nil, "room for 67"},
		{"too much room", gguf.Q8_0, 102, 64, 32, nil, "room for 102"},
		{"weights of another width", gguf.Q4_0, 18, 32, 32, make([]float32, 31), "31 importance weights for rows of 32"},
		{"no weights, but not nil", gguf.Q4_0, 18, 32, 32, []float32{}, "0 importance weights"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := bytes.Repeat([]byte{0xaa}, c.dst)
			err := Quantize(c.typ, dst, make([]float32, c.src), c.cols, c.weights)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if !bytes.Equal(dst, bytes.Repeat([]byte{0xaa}, c.dst)) {
				t.Error("the destination was written to")
			}
		})
	}
	if err := Quantize(gguf.Q8_0, make([]byte, 34), make([]float32, 32), 32, make([]float32, 5)); err != nil {
		t.Errorf("a type that ignores weights looks at them: %v", err)
	}
	if err := Quantize(gguf.Q4K, nil, nil, 256, nil); err != nil {
		t.Errorf("no rows at all: %v", err)
	}
}

func TestDequantizeRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		typ      gguf.Type
		dst, src int
		want     string
	}{
		{"a type without kernels", gguf.Q8K, 256, 292, "type q8_K: no dequantizer"},
		{"half a block", gguf.Q8_0, 16, 17, "16 columns, q8_0 needs a multiple of 32"},
		{"too few bytes", gguf.Q8_0, 64, 34, "64 values of q8_0 take 68 bytes, got 34"},
		{"too many bytes", gguf.Q6K, 256, 420, "take 210 bytes, got 420"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Dequantize(c.typ, make([]float32, c.dst), make([]byte, c.src))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestValidateFindsTheBlock(t *testing.T) {
	for _, c := range reference {
		info, _ := c.typ.Info()
		size := int(info.BlockSize)
		data := make([]byte, 7*size)
		if err := Validate(c.typ, data); err != nil {
			t.Errorf("%s: zeros: %v", c.typ, err)
		}
		places := c.scales
		if places == nil { // F32 and BF16: the upper half of the number
			places = []int{size - 2}
		}
		for _, at := range places {
			clear(data)
			data[5*size+at], data[5*size+at+1] = 0xff, 0xff
			data[6*size+at], data[6*size+at+1] = 0xff, 0xff
			var bad *NotFiniteError
			if err := Validate(c.typ, data); !errors.As(err, &bad) || bad.Block != 5 || bad.Value == bad.Value {
				t.Errorf("%s: NaN at byte %d of block 5: %v", c.typ, at, err)
			}
		}
		if err := Validate(c.typ, make([]byte, 2*size-1)); size > 1 && err == nil {
			t.Errorf("%s: a cut block passes", c.typ)
		}
	}
	if err := Validate(gguf.I8, nil); err == nil {
		t.Error("a type without kernels passes")
	}
	err := &NotFiniteError{gguf.Q4K, 17, float32(math.Inf(1))}
	if got := err.Error(); got != "q4_K scale of block 17 is +Inf" {
		t.Error(got)
	}
}

func TestNoAllocations(t *testing.T) {
	for _, im := range Impls() {
		x := make([]float32, 100)
		if n := testing.AllocsPerRun(3, func() { im.Compare(x, x); im.Finite(x) }); n != 0 {
			t.Errorf("%s: %v allocations in Compare or Finite", im.Name(), n)
		}
		for _, c := range reference {
			in := kerneltest.New(kerneltest.Values[0], kerneltest.Weights[1], 4, 512)
			size, _ := c.typ.RowSize(int64(len(in.Src)))
			blocks, values := make([]byte, size), make([]float32, len(in.Src))
			for _, w := range [][]float32{nil, in.Importance} {
				if n := testing.AllocsPerRun(3, func() {
					if im.Quantize(c.typ, blocks, in.Src, in.Cols, w) != nil || im.Dequantize(c.typ, values, blocks) != nil ||
						Validate(c.typ, blocks) != nil {
						t.Error("failed")
					}
				}); n != 0 {
					t.Errorf("%s, %s, weights %v: %v allocations", im.Name(), c.typ, w != nil, n)
				}
			}
		}
	}
}

// FuzzQuantizeRoundTrip feeds any bits, as values and as weights, to every type in every implementation: nothing may
// panic, blocks of finite ordinary values are valid, valid blocks hold finite values, and all implementations agree.
func FuzzQuantizeRoundTrip(f *testing.F) {
	f.Add(uint32(gguf.Q4K), []byte{0, 0, 0x80, 0x3f}, false)
	f.Add(uint32(gguf.Q4_0), []byte{0, 0, 0xc0, 0x7f, 1, 0, 0, 0}, true)
	f.Add(uint32(gguf.Q6K), bytes.Repeat([]byte{0xff, 0xff, 0x7f, 0x7f, 0, 0, 0, 0x80}, 40), true)
	f.Add(uint32(gguf.Q8_0), bytes.Repeat([]byte{1, 2, 3, 0x34, 5, 6, 7, 0xb3}, 16), false)
	f.Fuzz(func(t *testing.T, number uint32, raw []byte, weighted bool) {
		typ := reference[number%uint32(len(reference))].typ
		in := kerneltest.Case{Values: "fuzzed", Weights: "fuzzed", Cols: 3 * int(max(typ.BlockLen(), 16))}
		in.Src = make([]float32, 3*in.Cols)
		for i := range in.Src {
			if 4*i+4 <= len(raw) {
				in.Src[i] = loadF32(raw[4*i:])
			} else if i > 0 && len(raw) > 0 {
				in.Src[i] = in.Src[i-1] * float32(int8(raw[i%len(raw)])) / 100
			}
		}
		ordinary := Finite(in.Src) < 0 && !weighted
		for _, v := range in.Src {
			ordinary = ordinary && abs(v) < 60000 && (typ != gguf.MXFP4 || v == 0 || abs(v) > 0x1p-125) // below, the exponent wraps to NaN's
		}
		if weighted {
			in.Importance = in.Src[:in.Cols]
		}
		blocks, values := roundTrip(t, generic, typ, in)
		invalid := Validate(typ, blocks)
		if ordinary && invalid != nil {
			t.Errorf("finite values below the largest half make %v", invalid)
		}
		if i := Finite(values); invalid == nil && typ.Quantized() && i >= 0 {
			t.Errorf("valid blocks hold %v at %d", values[i], i)
		}
		for _, im := range Impls()[1:] {
			compareImpls(t, im, typ, in)
		}
	})
}

func BenchmarkQuantize(b *testing.B) {
	for _, im := range Impls() {
		for _, c := range im.codecs {
			for _, weights := range kerneltest.Weights[:2] {
				if weights.Fill != nil && c.quantizeWeighted == nil {
					continue
				}
				b.Run(c.typ.String()+"/weights="+strings.ReplaceAll(weights.Name, " ", "-")+"/"+im.Name(), func(b *testing.B) {
					in := kerneltest.New(kerneltest.Values[0], weights, 8, 4096)
					size, _ := c.typ.RowSize(int64(len(in.Src)))
					dst := make([]byte, size)
					b.SetBytes(int64(4 * len(in.Src)))
					for b.Loop() {
						if err := im.Quantize(c.typ, dst, in.Src, in.Cols, in.Importance); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(len(in.Src))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mweights/s")
				})
			}
		}
	}
}

func BenchmarkDequantize(b *testing.B) {
	for _, im := range Impls() {
		for _, c := range im.codecs {
			b.Run(c.typ.String()+"/"+im.Name(), func(b *testing.B) {
				blocks, values := roundTrip(b, im, c.typ, kerneltest.New(kerneltest.Values[0], kerneltest.Weights[0], 8, 4096))
				b.SetBytes(int64(4 * len(values)))
				for b.Loop() {
					if err := im.Dequantize(c.typ, values, blocks); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
