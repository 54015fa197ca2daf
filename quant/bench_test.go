package quant

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// BenchmarkCoder is what a worker does with a slab of BF16: decode, look for NaN, quantize, check, and with measuring
// compare the result with the source.
func BenchmarkCoder(b *testing.B) {
	const cols, rows = 4096, 64
	x := make([]float32, cols*rows)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(r.NormFloat64() * 0.02)
	}
	path := writeModel(b, llamaMetadata(1), []testTensor{{"blk.0.ffn_up.weight", []int64{cols, rows}, gguf.BF16, x}})
	p := mustPlan(b, openModel(b, path), PlanOptions{Recipes: recipes(b, "Q4_K_M")})
	t := &p.Tensors[0]
	raw := make([]byte, t.SourceBytes)
	if err := t.source.read(raw, 0, rows); err != nil {
		b.Fatal(err)
	}
	for _, typ := range []gguf.Type{gguf.Q8_0, gguf.Q4K, gguf.Q6K} {
		for _, measure := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/measure=%v", typ, measure), func(b *testing.B) {
				c := newCoder(sizing{values: cols * rows}, RunOptions{Measure: measure})
				buf := make([]byte, 4*cols*rows)
				b.SetBytes(4 * cols * rows)
				for b.Loop() {
					var dev deviation
					if err := c.take(t, raw, 0, rows); err != nil {
						b.Fatal(err)
					}
					if _, err := c.make(typ, buf, &dev); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
