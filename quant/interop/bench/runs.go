//go:build interop

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

// The whole run: a BF16 model in, Q4_K_M, Q5_K_M and Q8_0 out. llama.cpp converts once and quantizes three times; its
// converter is a Python program, so that the conversion is left out here, in llama.cpp's favour.
var runTypes = []string{"Q4_K_M", "Q5_K_M", "Q8_0"}

func benchRuns(lib *oracle.Lib, runs int, weights int64) error {
	dir, err := os.MkdirTemp("", "nexus-quant-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "model-BF16.gguf")
	if err := writeModel(source, weights); err != nil {
		return err
	}
	threads := runtime.NumCPU()
	ours := func(types ...string) (float64, error) {
		r, err := gguf.Open(source)
		if err != nil {
			return 0, err
		}
		defer r.Close()
		m, err := quant.FromGGUF(r, "ours")
		if err != nil {
			return 0, err
		}
		var o quant.PlanOptions
		for _, t := range types {
			p, err := quant.ParsePreset(t)
			if err != nil {
				return 0, err
			}
			o.Recipes = append(o.Recipes, quant.Recipe{Preset: p})
		}
		start := time.Now()
		p, err := quant.NewPlan(m, o)
		if err != nil {
			return 0, err
		}
		_, err = quant.Run(context.Background(), p, quant.RunOptions{Dir: dir, Threads: threads, Force: true})
		return time.Since(start).Seconds(), err
	}
	theirs := func(t string) (float64, error) {
		p, err := quant.ParsePreset(t)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		err = lib.QuantizeFile(source, filepath.Join(dir, "theirs.gguf"), uint32(p.FileType), oracle.Options{Threads: threads})
		return time.Since(start).Seconds(), err
	}
	var all, separate, peer []float64
	var one [3][]float64
	for range runs {
		s, err := ours(runTypes...)
		if err != nil {
			return err
		}
		all = append(all, s)
		sum, peerSum := 0.0, 0.0
		for i, t := range runTypes {
			if s, err = ours(t); err != nil {
				return err
			}
			one[i] = append(one[i], s)
			sum += s
			if s, err = theirs(t); err != nil {
				return err
			}
			peerSum += s
		}
		separate, peer = append(separate, sum), append(peer, peerSum)
	}
	var ratios, shared []float64
	for i := range all {
		ratios = append(ratios, peer[i]/all[i])
		shared = append(shared, separate[i]/all[i])
	}
	fmt.Printf("Whole runs of %.0f M weights in BF16, %d threads, seconds of wall time (ours are synced and read back).\n\n", float64(weights)/1e6, threads)
	fmt.Println("| run | seconds |\n|---|---|")
	for i, t := range runTypes {
		fmt.Printf("| ours, %s alone | %.2f |\n", t, median(one[i]))
	}
	fmt.Printf("| ours, all three in one pass | %.2f |\n", median(all))
	fmt.Printf("| ours, three runs after each other | %.2f (%.2fx) |\n", median(separate), median(shared))
	fmt.Printf("| llama.cpp, three runs after each other | %.2f (%.2fx) |\n", median(peer), median(ratios))
	return nil
}

// writeModel makes a llama of about so many weights in BF16.
func writeModel(path string, weights int64) error {
	const cols, ffn, kv, vocab = 2048, 5632, 512, 8192
	layer := int64(cols*(2*cols+2*kv) + 3*cols*ffn)
	layers := max(1, (weights-2*vocab*cols)/layer)
	var meta gguf.Metadata
	meta.Set("general.architecture", "llama")
	for key, v := range map[string]int64{"block_count": layers, "embedding_length": cols, "feed_forward_length": ffn, "context_length": 2048,
		"attention.head_count": 32, "attention.head_count_kv": 8} {
		meta.Set("llama."+key, uint32(v))
	}
	meta.Set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	var infos []gguf.TensorInfo
	add := func(name string, shape ...int64) {
		typ := gguf.BF16
		if len(shape) == 1 {
			typ = gguf.F32
		}
		infos = append(infos, gguf.TensorInfo{Name: name, Shape: shape, Type: typ})
	}
	add("token_embd.weight", cols, vocab)
	add("output.weight", cols, vocab)
	add("output_norm.weight", cols)
	for i := range layers {
		b := func(name string, shape ...int64) { add(fmt.Sprintf("blk.%d.%s.weight", i, name), shape...) }
		b("attn_norm", cols)
		b("attn_q", cols, cols)
		b("attn_k", cols, kv)
		b("attn_v", cols, kv)
		b("attn_output", cols, cols)
		b("ffn_norm", cols)
		b("ffn_gate", cols, ffn)
		b("ffn_up", cols, ffn)
		b("ffn_down", ffn, cols)
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(l.Size()); err != nil {
		return err
	}
	if _, err := f.WriteAt(l.Header(), 0); err != nil {
		return err
	}
	pool := make([]byte, 4<<20)
	for i, v := range trained(len(pool) / 2) {
		binary.LittleEndian.PutUint16(pool[2*i:], uint16(math.Float32bits(v)>>16))
	}
	for i, info := range l.Tensors() {
		if info.Type != gguf.BF16 {
			continue // zeros will do
		}
		for at := int64(0); at < info.Size; at += int64(len(pool)) {
			n := min(int64(len(pool)), info.Size-at)
			if _, err := f.WriteAt(pool[:n], l.Offset(i)+at); err != nil {
				return err
			}
		}
	}
	return f.Sync()
}
