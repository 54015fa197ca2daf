package arch

import (
	"bufio"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"testing"
)

func TestExpHasThePyTorchBits(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/exp.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, others := 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var x, want uint32
		if _, err := fmt.Sscanf(lines.Text(), "%x %x", &x, &want); err != nil {
			continue // a comment
		}
		v := math.Float32frombits(x)
		if got := Exp(v); math.Float32bits(got) != want && (got == got || want&0x7fffffff <= 0x7f800000) {
			t.Errorf("exp(%v): got %08x, want %08x", v, math.Float32bits(got), want)
		}
		if math.Float32bits(float32(math.Exp(float64(v)))) != want {
			others++
		}
		n++
	}
	if n < 150 || others < 50 {
		t.Errorf("%d values, %d of which the right exponential has other bits: too few", n, others)
	}
}

// TestFma32RoundsOnce compares with exact arithmetic, on sums that cancel and products that are far apart.
func TestFma32RoundsOnce(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 8))
	any := func() float32 {
		return math.Float32frombits(r.Uint32()&0x807fffff | uint32(100+r.IntN(50))<<23)
	}
	for range 20000 {
		x, y, z := any(), any(), any()
		if r.IntN(2) == 0 { // halfway cases: the product's rest decides
			z = float32(math.Ldexp(float64(x*y), r.IntN(60)-30))
		}
		p := new(big.Float).SetPrec(300).Mul(big.NewFloat(float64(x)), big.NewFloat(float64(y)))
		want, _ := p.Add(p, big.NewFloat(float64(z))).Float32()
		if got := fma32(x, y, z); got != want {
			t.Fatalf("%v * %v + %v: got %v, want %v", x, y, z, got, want)
		}
	}
}
