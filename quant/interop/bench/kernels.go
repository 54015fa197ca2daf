//go:build interop

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

const (
	// 1 MiB of float32, as much as a worker of the pipeline has at a time
	rows    = 64
	columns = 4096
	// each party works for about this long in every round
	turn = 40 * time.Millisecond
)

// trained makes rows that look like trained weights: normal, each row with its own width, now and then an outlier.
func trained(n int) []float32 {
	r := rand.New(rand.NewPCG(11, 13))
	x := make([]float32, n)
	width := 0.02
	for i := range x {
		if i%columns == 0 {
			width = 0.02 * math.Exp(0.3*r.NormFloat64())
		}
		x[i] = float32(r.NormFloat64() * width)
		if r.IntN(1024) == 0 {
			x[i] *= 8
		}
	}
	return x
}

// party is one implementation of one kernel.
type party struct {
	name  string
	run   func() error
	times int       // runs in a turn
	speed []float64 // weights per second, one for each round
}

// measure lets the parties take turns.
func measure(parties []*party, units float64, rounds int) error {
	for _, p := range parties {
		start := time.Now()
		if err := p.run(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		p.times = max(1, int(turn/max(1, time.Since(start))))
	}
	for range rounds {
		for _, p := range parties {
			start := time.Now()
			for range p.times {
				if err := p.run(); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
			}
			p.speed = append(p.speed, units*float64(p.times)/time.Since(start).Seconds())
		}
	}
	return nil
}

// ratio is the median over the rounds of how many times faster p is than q.
func (p *party) ratio(q *party) float64 {
	list := make([]float64, len(p.speed))
	for i := range list {
		list[i] = p.speed[i] / q.speed[i]
	}
	return median(list)
}

func benchKernels(lib *oracle.Lib, rounds int, only string) error {
	x := trained(rows * columns)
	weights := make([]float32, columns)
	r := rand.New(rand.NewPCG(5, 7))
	for i := range weights {
		weights[i] = float32(r.ExpFloat64())
	}
	impls := kernels.Impls()
	fmt.Print("One thread, M weights/s; the ratio is the fastest of ours to llama.cpp.\n\n| type | weights |")
	for _, im := range impls {
		fmt.Printf(" %s |", im.Name())
	}
	fmt.Print(" llama.cpp | ratio |\n|---|---|" + strings.Repeat("---|", len(impls)+2) + "\n")
	for _, info := range gguf.Types() {
		t := info.Type
		if !kernels.CanQuantize(t) || t == gguf.F32 || only != "" && !strings.Contains(","+only+",", ","+info.Name+",") {
			continue
		}
		for _, w := range [][]float32{nil, weights} {
			label := "plain"
			if w != nil {
				if label = "imatrix"; !kernels.UsesWeights(t) {
					continue
				}
			}
			parties, err := quantizers(lib, t, x, w)
			if err != nil {
				return err
			}
			if err := measure(parties, float64(len(x)), rounds); err != nil {
				return err
			}
			row(info.Name, label, parties)
		}
	}
	fmt.Print("\nBack to float32.\n\n| type | |" + strings.Repeat(" |", len(impls)) + " llama.cpp | ratio |\n|---|---|" + strings.Repeat("---|", len(impls)+2) + "\n")
	for _, info := range gguf.Types() {
		t := info.Type
		if !kernels.CanDequantize(t) || t == gguf.F32 || only != "" && !strings.Contains(","+only+",", ","+info.Name+",") {
			continue
		}
		parties, err := dequantizers(lib, t, x)
		if err != nil {
			return err
		}
		if err := measure(parties, float64(len(x)), rounds); err != nil {
			return err
		}
		row(info.Name, "", parties)
	}
	fmt.Println()
	return nil
}

func row(name, label string, parties []*party) {
	fmt.Printf("| %s | %s |", name, label)
	for _, p := range parties {
		fmt.Printf(" %.1f |", median(append([]float64(nil), p.speed...))/1e6)
	}
	n := len(parties)
	fmt.Printf(" %.1f |\n", parties[n-2].ratio(parties[n-1]))
}

func quantizers(lib *oracle.Lib, t gguf.Type, x, w []float32) ([]*party, error) {
	size, err := gguf.TensorSize(t, []int64{columns, rows})
	if err != nil {
		return nil, err
	}
	dst := make([]byte, size)
	var parties []*party
	for _, im := range kernels.Impls() {
		parties = append(parties, &party{name: im.Name(), run: func() error { return im.Quantize(t, dst, x, columns, w) }})
	}
	return append(parties, &party{name: "llama.cpp", run: func() error { return lib.QuantizeInto(t, dst, x, rows, columns, w) }}), nil
}

func dequantizers(lib *oracle.Lib, t gguf.Type, x []float32) ([]*party, error) {
	size, err := gguf.TensorSize(t, []int64{columns, rows})
	if err != nil {
		return nil, err
	}
	src, dst := make([]byte, size), make([]float32, len(x))
	if err := kernels.Quantize(t, src, x, columns, nil); err != nil {
		return nil, err
	}
	var parties []*party
	for _, im := range kernels.Impls() {
		parties = append(parties, &party{name: im.Name(), run: func() error { return im.Dequantize(t, dst, src) }})
	}
	return append(parties, &party{name: "llama.cpp", run: func() error { return lib.DequantizeInto(t, dst, src) }}), nil
}
