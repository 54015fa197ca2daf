//go:build linux

package quant

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// counter is a file that counts how often it is read from.
type counter struct {
	*os.File
	reads, bytes atomic.Int64
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.reads.Add(1)
	c.bytes.Add(int64(len(p)))
	return c.File.ReadAt(p, off)
}

// BenchmarkReadExperts reads experts as the pipeline does, slab by slab on two goroutines, from a file of some 100 MB that
// the system has in memory or has not. Throughput is that of what the output gets; reads and the bytes that they
// asked for are counted.
func BenchmarkReadExperts(b *testing.B) {
	const e = 2
	view := func(first int64, rows []arch.Dim, cols ...arch.Dim) arch.View {
		return arch.View{First: first, Rows: rows, Cols: cols}
	}
	const in, ff = 2880, 2880 // GPT-OSS
	const wide, half = 5120, 4096
	for _, c := range []struct {
		name  string
		shape []int64 // of the output
		size  int64   // bytes of the source
		part  func(f *counter, size int64) arch.Part
	}{
		{"gpt-oss gate", []int64{in, ff, e}, e * in * 2 * ff * 2, func(f *counter, size int64) arch.Part {
			return arch.Part{Source: safetensors.NewTensor("w", safetensors.BF16, []int64{e, in, 2 * ff}, "file", f, 0, size),
				View: view(0, []arch.Dim{{N: e, Stride: in * 2 * ff}, {N: ff, Stride: 2}}, arch.Dim{N: in, Stride: 2 * ff})}
		}},
		{"gpt-oss down", []int64{ff, in, 2 * e}, 2 * e * in * ff * 2, func(f *counter, size int64) arch.Part {
			return arch.Part{Source: safetensors.NewTensor("w", safetensors.BF16, []int64{2 * e, ff, in}, "file", f, 0, size),
				View: view(0, []arch.Dim{{N: 2 * e, Stride: in * ff}, {N: in, Stride: 1}}, arch.Dim{N: ff, Stride: in})}
		}},
		{"llama4 gate", []int64{wide, half}, wide * 2 * half * 2, func(f *counter, size int64) arch.Part {
			return arch.Part{Source: safetensors.NewTensor("w", safetensors.BF16, []int64{1, wide, 2 * half}, "file", f, 0, size),
				View: view(0, []arch.Dim{{N: 1, Stride: wide * 2 * half}, {N: half, Stride: 1}}, arch.Dim{N: wide, Stride: 2 * half})}
		}},
		{"gpt-oss mxfp4 gate", []int64{in, ff, 12}, 12 * 2 * ff * in / 32 * 17, func(f *counter, size int64) arch.Part {
			const n = in / 32
			blocks := int64(12 * 2 * ff * n)
			return arch.Part{Source: safetensors.NewTensor("w", safetensors.U8, []int64{12, 2 * ff, n, 16}, "file", f, 0, 16*blocks),
				Exponents: safetensors.NewTensor("s", safetensors.U8, []int64{12, 2 * ff, n}, "file", f, 16*blocks, blocks),
				View:      view(0, []arch.Dim{{N: 12, Stride: 2 * ff * n}, {N: ff, Stride: 2 * n}}, arch.Dim{N: n, Stride: 1})}
		}},
		{"gpt-oss bias", []int64{ff, 128}, 128 * 2 * ff * 2, func(f *counter, size int64) arch.Part {
			return arch.Part{Source: safetensors.NewTensor("w", safetensors.BF16, []int64{128, 2 * ff}, "file", f, 0, size),
				View: view(0, []arch.Dim{{N: 128, Stride: 2 * ff}}, arch.Dim{N: ff, Stride: 2})}
		}},
	} {
		path := filepath.Join(b.TempDir(), "experts")
		file, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		f := &counter{File: file}
		chunk := make([]byte, 1<<20)
		for i := range chunk {
			chunk[i] = byte(i * 7)
		}
		for left := c.size; left > 0; left -= min(left, 1<<20) {
			if _, err := f.Write(chunk[:min(left, 1<<20)]); err != nil {
				b.Fatal(err)
			}
		}
		f.Sync()
		s, err := fromCheckpoint(arch.Tensor{Shape: c.shape, Type: gguf.F32, Parts: []arch.Part{c.part(f, c.size)}})
		if err != nil {
			b.Fatal(err)
		}
		t := &Tensor{source: s}
		rows := slabRows(t, slabElements)
		rows *= s.panelSlabs(rows, maxPanel)
		for _, cold := range []bool{false, true} {
			name := c.name + "/in memory"
			if cold {
				name = c.name + "/on disk"
			}
			b.Run(name, func(b *testing.B) {
				b.SetBytes(s.stored())
				f.reads.Store(0)
				f.bytes.Store(0)
				before := cpuTime(b)
				for b.Loop() {
					if cold {
						b.StopTimer()
						if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
					var next atomic.Int64
					var wait sync.WaitGroup
					for range 2 {
						wait.Go(func() {
							raw := make([]byte, rows*s.stride)
							for {
								first := next.Add(rows) - rows
								if first >= s.rows {
									return
								}
								if err := s.read(raw, first, min(rows, s.rows-first)); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wait.Wait()
				}
				b.ReportMetric((cpuTime(b)-before)/float64(b.N)*1e3, "cpu-ms/op")
				b.ReportMetric(float64(f.reads.Load())/float64(b.N), "reads/op")
				b.ReportMetric(float64(f.bytes.Load())/float64(b.N)/float64(s.stored()), "read/wanted")
			})
		}
		f.Close()
	}
}

// cpuTime is what the process has used of the cores, in seconds: on a shared machine it says more than the clock.
func cpuTime(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
