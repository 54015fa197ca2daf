//go:build interop

package interop

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
	"github.com/nexus-quant/nexus-quant/kernels/kerneltest"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

var (
	update   = flag.Bool("update", false, "write kernels/testdata/golden.txt anew from the libraries")
	elements = flag.Int("elements", 1<<20, "values per type, with and without weights, beside the adversarial rows")
)

func library(t *testing.T) *oracle.Lib {
	t.Helper()
	lib, err := oracle.Default()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// tally counts what was compared for one type.
type tally struct{ elements, blocks, mismatches int }

func (n *tally) compare(t *testing.T, typ gguf.Type, name string, got, want []byte) {
	t.Helper()
	size := int(typ.BlockSize())
	n.blocks += len(want) / size
	n.elements += len(want) / size * int(typ.BlockLen())
	if bytes.Equal(got, want) {
		return
	}
	for i := 0; i < len(want); i += size {
		if !bytes.Equal(got[i:i+size], want[i:i+size]) {
			if n.mismatches++; n.mismatches <= 3 {
				t.Errorf("%s: block %d\n got %x\nwant %x", name, i/size, got[i:i+size], want[i:i+size])
			}
		}
	}
}

func types(t *testing.T, run func(t *testing.T, typ gguf.Type, n *tally)) {
	for _, info := range gguf.Types() {
		if kernels.CanQuantize(info.Type) {
			t.Run(info.Name, func(t *testing.T) {
				var n tally
				run(t, info.Type, &n)
				fmt.Printf("%-28s %-5s %10d values %8d blocks %d mismatches\n", t.Name(), info.Name, n.elements, n.blocks, n.mismatches)
			})
		}
	}
}

// rowLengths are row lengths in blocks of the type: one block, an odd number, and that of a real model.
func rowLengths(typ gguf.Type) []int {
	b := int(typ.BlockLen())
	if b == 1 {
		return []int{1, 33, 1000}
	}
	return []int{b, 3 * b, 2048}
}

func TestQuantizeEqualsLibrary(t *testing.T) {
	lib := library(t)
	types(t, func(t *testing.T, typ gguf.Type, n *tally) {
		check := func(c kerneltest.Case) {
			rows := len(c.Src) / c.Cols
			want, err := lib.Quantize(typ, c.Src, rows, c.Cols, c.Importance)
			if err != nil {
				t.Fatal(err)
			}
			for _, im := range kernels.Impls() {
				got := make([]byte, len(want))
				if err := im.Quantize(typ, got, c.Src, c.Cols, c.Importance); err != nil {
					t.Fatal(err)
				}
				n.compare(t, typ, fmt.Sprintf("%s: %s, weights %s, %d rows of %d", im.Name(), c.Values, c.Weights, rows, c.Cols), got, want)
			}
		}
		for _, cols := range rowLengths(typ) {
			for _, values := range kerneltest.Values {
				for _, weights := range kerneltest.Weights {
					check(kerneltest.New(values, weights, 2, cols))
				}
			}
		}
		// The kinds that look like real weights, in bulk.
		for _, values := range kerneltest.Values[:4] {
			for _, weights := range kerneltest.Weights[:2] {
				for done := 0; done < *elements/4; done += 64 * 2048 {
					c := kerneltest.New(values, weights, 64, 2048)
					if done > 0 {
						r := kerneltest.Rand(done)
						values.Fill(&r, c.Src)
						if c.Importance != nil {
							weights.Fill(&r, c.Importance)
						}
					}
					check(c)
				}
			}
		}
	})
}

// TestQuantizeNotFiniteEqualsLibrary holds the package's promise on NaN and Inf: a block is valid or not as the library
// has it, and a valid one has its bytes.
func TestQuantizeNotFiniteEqualsLibrary(t *testing.T) {
	lib := library(t)
	types(t, func(t *testing.T, typ gguf.Type, n *tally) {
		valid := 0
		check := func(c kerneltest.Case) {
			want, err := lib.Quantize(typ, c.Src, len(c.Src)/c.Cols, c.Cols, c.Importance)
			if err != nil {
				t.Fatal(err)
			}
			for _, im := range kernels.Impls() {
				got := make([]byte, len(want))
				if err := im.Quantize(typ, got, c.Src, c.Cols, c.Importance); err != nil {
					t.Fatal(err)
				}
				size := int(typ.BlockSize())
				for i := 0; i < len(want); i += size {
					g, w := got[i:i+size], want[i:i+size]
					if kernels.Validate(typ, w) != nil && kernels.Validate(typ, g) != nil {
						n.blocks++
						continue
					}
					valid++
					n.compare(t, typ, im.Name()+": "+c.Values+", weights "+c.Weights, g, w)
				}
			}
		}
		cols := rowLengths(typ)[1]
		for _, values := range kerneltest.NotFinite {
			for _, weights := range kerneltest.Weights {
				check(kerneltest.New(values, weights, 50, cols))
			}
		}
		for _, values := range kerneltest.Values[:2] {
			for _, weights := range kerneltest.NotFinite {
				check(kerneltest.New(values, weights, 10, cols))
			}
		}
		if valid < 100 {
			t.Errorf("%d valid blocks are too few to compare", valid)
		}
	})
}

func TestDequantizeEqualsLibrary(t *testing.T) {
	lib := library(t)
	types(t, func(t *testing.T, typ gguf.Type, n *tally) {
		check := func(name string, data []byte) {
			values := len(data) / int(typ.BlockSize()) * int(typ.BlockLen())
			want, err := lib.Dequantize(typ, data, values)
			if err != nil {
				t.Fatal(err)
			}
			for _, im := range kernels.Impls() {
				got := make([]float32, values)
				if err := im.Dequantize(typ, got, data); err != nil {
					t.Fatal(err)
				}
				n.elements += values
				n.blocks += values / int(typ.BlockLen())
				for i := range got {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
						if n.mismatches++; n.mismatches <= 3 {
							t.Errorf("%s: %s: value %d is %x, want %x", im.Name(), name, i, math.Float32bits(got[i]), math.Float32bits(want[i]))
						}
					}
				}
			}
		}
		random := make([]byte, 4096*int(typ.BlockSize()))
		r := kerneltest.Rand(1)
		for i := range random {
			random[i] = byte(r.Uint64())
		}
		check("random bytes", random)
		for _, values := range kerneltest.Values {
			c := kerneltest.New(values, kerneltest.Weights[0], 2, 2048)
			data, err := lib.Quantize(typ, c.Src, 2, 2048, nil)
			if err != nil {
				t.Fatal(err)
			}
			check(values.Name, data)
		}
	})
}

func TestValidateEqualsLibrary(t *testing.T) {
	lib := library(t)
	types(t, func(t *testing.T, typ gguf.Type, n *tally) {
		r := kerneltest.Rand(2)
		size := int(typ.BlockSize())
		// Five blocks of which at times one byte has all its upper bits set, which is Inf or NaN where a scale lies.
		for range 40 {
			data := make([]byte, 5*size)
			for i := range data {
				data[i] = byte(r.Uint64()) &^ 0x44
			}
			i := r.N(len(data))
			if r.N(2) == 0 {
				i = []int{0, 1, 2, 3, size - 4, size - 3, size - 2, size - 1}[r.N(8)]
				i = max(0, i) % size
			}
			data[i] |= 0x7c
			if i > 0 {
				data[i-1] |= 0xc0
			}
			n.blocks += 5
			n.elements += 5 * int(typ.BlockLen())
			if err := kernels.Validate(typ, data); (err == nil) != lib.Valid(typ, data) {
				n.mismatches++
				t.Errorf("byte %d of block %d is %#x: Validate says %v, the library disagrees", i%size, i/size, data[i], err)
			}
		}
	})
}

// TestGoldenVectorsAreCurrent compares the committed vectors with the libraries, or writes them.
func TestGoldenVectorsAreCurrent(t *testing.T) {
	lib := library(t)
	var text bytes.Buffer
	for _, info := range gguf.Types() {
		if !kernels.CanQuantize(info.Type) {
			continue
		}
		valid := func(block []byte) bool { return lib.Valid(info.Type, block) }
		for _, c := range kerneltest.Golden(int(info.BlockLen)) {
			blocks, err := lib.Quantize(info.Type, c.Src, len(c.Src)/c.Cols, c.Cols, c.Importance)
			if err != nil {
				t.Fatal(err)
			}
			values, err := lib.Dequantize(info.Type, blocks, len(c.Src))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&text, kerneltest.GoldenLine(info.Name, info.BlockSize, c, blocks, values, valid))
		}
	}
	path := filepath.Join("..", "..", "kernels", "testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, text.Bytes()) {
		t.Error("kernels/testdata/golden.txt is not what the libraries give: run `make golden`")
	}
}
