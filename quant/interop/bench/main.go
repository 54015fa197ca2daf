//go:build interop

// Command bench compares the speed of nexus-quant with that of llama.cpp 0.5.0's own libraries, and prints tables in
// Markdown. Run it with `make bench`.
//
// Absolute speeds of shared machines drift, so that the runs of all parties are interleaved and the medians of their
// ratios, round by round, are the result.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

func main() {
	rounds := flag.Int("rounds", 7, "interleaved rounds of the kernels")
	runs := flag.Int("runs", 3, "interleaved rounds of whole runs; 0 for none")
	weights := flag.Int64("weights", 200e6, "weights of the model for whole runs")
	only := flag.String("types", "", "these types only, for example q4_K,q6_K")
	flag.Parse()
	if err := bench(*rounds, *runs, *weights, *only); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func bench(rounds, runs int, weights int64, only string) error {
	lib, err := oracle.Default()
	if err != nil {
		return err
	}
	fmt.Printf("CPU: %s, %d cores, %s\n\n", cpuName(), runtime.NumCPU(), runtime.Version())
	if err := benchKernels(lib, rounds, only); err != nil {
		return err
	}
	if runs > 0 {
		return benchRuns(lib, runs, weights)
	}
	return nil
}

func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), ":"))
		}
	}
	return runtime.GOARCH
}

// median of a list, which it sorts.
func median(list []float64) float64 {
	slices.Sort(list)
	n := len(list)
	if n == 0 {
		return 0
	}
	return (list[(n-1)/2] + list[n/2]) / 2
}
