package quant

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// TestGatheredValuesAreThoseOfTheView compares reads of random views, transposed ones and scattered ones among them, with
// a look-up of each value.
func TestGatheredValuesAreThoseOfTheView(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 4))
	kinds := map[string]int{}
	for range 400 {
		size := []int64{1, 2, 4, 8}[r.IntN(4)]
		matrices, rows, cols, every := 1+r.Int64N(3), 1+r.Int64N(70), 1+r.Int64N(70), 1+r.Int64N(3)
		var v arch.View
		values := matrices * rows * cols * every
		switch first := r.Int64N(every); r.IntN(3) {
		case 0: // columns first
			v = arch.View{First: first, Rows: []arch.Dim{{N: matrices, Stride: rows * cols * every}, {N: rows, Stride: every}}, Cols: []arch.Dim{{N: cols, Stride: rows * every}}}
		case 1: // every so many rows
			v = arch.View{First: first * cols, Rows: []arch.Dim{{N: matrices, Stride: rows * cols * every}, {N: rows, Stride: every * cols}}, Cols: []arch.Dim{{N: cols, Stride: 1}}}
		default: // every so many columns, the matrices mixed
			v = arch.View{First: first, Rows: []arch.Dim{{N: rows, Stride: cols * every}, {N: matrices, Stride: rows * cols * every}}, Cols: []arch.Dim{{N: cols, Stride: every}}}
		}
		data := make([]byte, values*size)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		p, err := newPiece(bytes.NewReader(data), size, values, cols, v)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case p.transposed():
			kinds["transposed"]++
		case p.scattered():
			kinds["scattered"]++
		}
		first := r.Int64N(p.rows)
		n := 1 + r.Int64N(p.rows-first)
		got := make([]byte, n*cols*size)
		if err := p.read(got, first, n); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for j := range cols {
				from := (v.First + at(v.Rows, first+i) + at(v.Cols, j)) * size
				if to := (i*cols + j) * size; !bytes.Equal(got[to:to+size], data[from:from+size]) {
					t.Fatalf("view %v, values of %d bytes, rows %d to %d: value %d of row %d differs", v, size, first, first+n-1, j, i)
				}
			}
		}
	}
	if kinds["transposed"] < 50 || kinds["scattered"] < 50 {
		t.Errorf("too few views of a kind: %v", kinds)
	}
}

// tally counts reads.
type tally struct {
	*bytes.Reader
	reads int
}

func (o *tally) ReadAt(p []byte, off int64) (int, error) {
	o.reads++
	return o.Reader.ReadAt(p, off)
}

func TestScatteredRowsAreReadInOneStretch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		view arch.View
		most int
	}{
		{"every other row", arch.View{First: 8, Rows: []arch.Dim{{N: 4, Stride: 1600}, {N: 100, Stride: 16}}, Cols: []arch.Dim{{N: 8, Stride: 1}}}, 1},
		{"every other value", arch.View{Rows: []arch.Dim{{N: 400, Stride: 16}}, Cols: []arch.Dim{{N: 8, Stride: 2}}}, 1},
		{"columns first", arch.View{Rows: []arch.Dim{{N: 4, Stride: 1600}, {N: 200, Stride: 1}}, Cols: []arch.Dim{{N: 8, Stride: 200}}}, 4},
		{"far apart", arch.View{Rows: []arch.Dim{{N: 4, Stride: 1600}}, Cols: []arch.Dim{{N: 8, Stride: 1}}}, 4},
	} {
		data := &tally{Reader: bytes.NewReader(make([]byte, 6400))}
		p, err := newPiece(data, 1, 6400, 8, c.view)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.read(make([]byte, p.rows*8), 0, p.rows); err != nil {
			t.Fatal(err)
		}
		if data.reads > c.most {
			t.Errorf("%s: %d reads for %d rows, want %d at most", c.name, data.reads, p.rows, c.most)
		}
	}
}

// TestPanelsDontShowInTheBytes runs a model with transposed experts with room for panels and without.
func TestPanelsDontShowInTheBytes(t *testing.T) {
	t.Parallel()
	const e, in, out = 3, 512, 288
	data := make([]byte, e*in*out*2)
	r := rand.New(rand.NewPCG(1, 3))
	for i := 0; i < len(data); i += 2 {
		data[i], data[i+1] = byte(r.Uint32()), 0x3c|byte(r.Uint32())&0x80
	}
	s, err := fromCheckpoint(arch.Tensor{Shape: []int64{in, out, e}, Type: gguf.BF16, Parts: []arch.Part{{Source: stored(safetensors.BF16, []int64{e, in, out}, data),
		View: arch.View{Rows: []arch.Dim{{N: e, Stride: in * out}, {N: out, Stride: 1}}, Cols: []arch.Dim{{N: in, Stride: out}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{Name: "experts", Metadata: llamaMetadata(1), tensors: []modelTensor{{shaped: shaped{name: "blk.0.ffn_up_exps.weight", shape: []int64{in, out, e}, typ: gguf.BF16}, source: s}}}
	p := mustPlan(t, m, PlanOptions{Recipes: recipes(t, "Q8_0", "BF16")})
	tight := p.sizeFor(2, minSlabElements, 0, false).memory()
	if n := s.panelSlabs(minSlabElements/in, maxPanel); n < 10 {
		t.Fatalf("%d slabs in a panel: nothing to test", n)
	}
	var files [2][]byte
	for i, limit := range []int64{tight, 0} {
		o := RunOptions{Dir: t.TempDir(), Threads: 2, MaxMemory: limit}
		if _, err := Run(t.Context(), p, o); err != nil {
			t.Fatal(err)
		}
		for k := range p.Outputs {
			b, err := os.ReadFile(o.Path(p, k))
			if err != nil {
				t.Fatal(err)
			}
			files[i] = append(files[i], b...)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the outputs differ")
	}
}
