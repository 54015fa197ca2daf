package quant

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Imatrix is an importance matrix: for each column of a weight matrix, how much errors in it matter.
// A nil matrix, and one without weights as a filter may leave it, count as none at all.
type Imatrix struct {
	File     string   // the path as given: goes into the metadata of outputs
	Datasets []string // the texts it was computed from
	Chunks   int64    // the number of chunks of them; 0 where the file doesn't say

	// Weights is the mean square of each input of a tensor, by the tensor's name: one run of ne[0]
	// values for each of its ne[2] experts, in their order. A 2D tensor has one run.
	Weights map[string][]float32
}

// ReadImatrix reads an importance matrix in either format of llama.cpp: a GGUF file, or the older .dat file.
// Values are normalised as llama-quantize's load_imatrix does, to the bit. Weights may hold values that
// are not finite: a filter may yet remove them, and [Imatrix.For] refuses the rest.
func ReadImatrix(path string) (*Imatrix, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	if !info.Mode().IsRegular() { // before it is opened: a pipe would wait for a writer
		return nil, fmt.Errorf("imatrix %s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	defer file.Close()
	m, err := readImatrix(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("imatrix %s: %w", path, err)
	}
	m.File = path
	return m, nil
}

// readImatrix tells the formats apart by GGUF's magic, which as the older format's number of entries
// would be a billion.
func readImatrix(r io.ReaderAt, size int64) (*Imatrix, error) {
	f, err := gguf.Read(r, size)
	if errors.Is(err, gguf.ErrNotGGUF) {
		return readLegacyImatrix(r, size)
	}
	if err != nil {
		return nil, err
	}
	return readGGUFImatrix(f, r)
}

// Suffixes of the two tensors that a GGUF imatrix has for each tensor of the model.
const (
	suffixSums   = ".in_sum2" // sums of squares: [columns, experts]
	suffixCounts = ".counts"  // how many rows went into them: [1, experts]
)

func readGGUFImatrix(f *gguf.File, r io.ReaderAt) (*Imatrix, error) {
	m := &Imatrix{Weights: map[string][]float32{}}
	if err := m.readKeys(&f.Metadata); err != nil {
		return nil, err
	}
	read := func(t gguf.TensorInfo) ([]float32, error) {
		if t.Type != gguf.F32 {
			return nil, fmt.Errorf("tensor %q: type %s, want f32", t.Name, t.Type)
		}
		return readFloats(io.NewSectionReader(r, f.DataOffset+t.Offset, t.Size), t.Size/4)
	}
	counts := map[string]gguf.TensorInfo{}
	for _, t := range f.Tensors {
		if name, ok := strings.CutSuffix(t.Name, suffixCounts); ok {
			counts[name] = t
		}
	}
	for _, t := range f.Tensors {
		name, ok := strings.CutSuffix(t.Name, suffixSums)
		if !ok {
			continue
		}
		if _, ok := counts[name]; !ok {
			return nil, fmt.Errorf("tensor %q: there is no %q beside it", t.Name, name+suffixCounts)
		}
		c, err := read(counts[name])
		if err != nil {
			return nil, err
		}
		sums, err := read(t)
		if err != nil {
			return nil, err
		}
		if err := normalise(sums, c); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		m.Weights[name] = sums
		delete(counts, name)
	}
	for name := range counts {
		return nil, fmt.Errorf("tensor %q: there is no %q beside it", name+suffixCounts, name+suffixSums)
	}
	if len(m.Weights) == 0 {
		return nil, fmt.Errorf("no tensor named *%s: not an importance matrix", suffixSums)
	}
	return m, nil
}

// readKeys takes what llama-quantize insists on from the metadata.
func (m *Imatrix) readKeys(meta *gguf.Metadata) error {
	if kind, ok := meta.String("general.type"); ok && kind != "imatrix" {
		return fmt.Errorf("general.type is %q, want \"imatrix\"", kind)
	}
	for _, key := range []string{"imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"} {
		v, ok := meta.Get(key)
		if !ok {
			return fmt.Errorf("key %q is missing: not an importance matrix", key)
		}
		if n, ok := v.(uint32); key != "imatrix.datasets" && (!ok || n > math.MaxInt32) {
			return fmt.Errorf("key %q: %v, want a uint32 up to %d", key, v, math.MaxInt32)
		}
	}
	m.Datasets, _ = meta.Strings("imatrix.datasets")
	m.Chunks, _ = meta.Int("imatrix.chunk_count")
	return nil
}

// normalise divides the sums of each expert by its count, in place. An expert that never ran gets ones.
func normalise(sums, counts []float32) error {
	if len(sums) == 0 || len(counts) == 0 || len(sums)%len(counts) != 0 {
		return fmt.Errorf("%d values for %d counts", len(sums), len(counts))
	}
	columns := len(sums) / len(counts)
	for i, c := range counts {
		if !(c >= 0 && c < 1<<62) {
			return fmt.Errorf("count %d is %v, want a number of rows", i, c)
		}
		expert := sums[i*columns : (i+1)*columns]
		count := float32(math.Round(float64(c))) // the loader keeps counts as integers (lround)
		for j := range expert {
			if count > 0 {
				expert[j] /= count
			} else {
				expert[j] = 1
			}
		}
	}
	return nil
}

// readLegacyImatrix reads the format before GGUF: int32 number of entries; per entry int32 length and
// bytes of the name, int32 number of calls, int32 number of values, the values, float32, already
// divided by the count and multiplied with the calls; at the end, as far as they are there, int32
// number of chunks, int32 length and bytes of the dataset's name. (common_imatrix_load_legacy)
func readLegacyImatrix(r io.ReaderAt, size int64) (*Imatrix, error) {
	d := &legacyReader{r: io.NewSectionReader(r, 0, size), left: size}
	m := &Imatrix{Weights: map[string][]float32{}}
	n := d.int32("number of entries")
	const minEntry = 4 + 1 + 4 + 4 + 4
	if d.err == nil && (n < 1 || n > d.left/minEntry) {
		return nil, fmt.Errorf("neither GGUF nor the older format: %d entries in %d bytes", n, size)
	}
	for i := int64(0); i < n && d.err == nil; i++ {
		name := string(d.bytes(d.int32("length of name"), "name"))
		calls := d.int32("number of calls")
		values := d.floats(d.int32("number of values"))
		switch {
		case d.err != nil:
			return nil, fmt.Errorf("entry %d of %d: %w", i+1, n, d.err)
		case name == "" || strings.IndexByte(name, 0) >= 0:
			return nil, fmt.Errorf("entry %d of %d: name %q", i+1, n, name)
		case len(values) == 0:
			return nil, fmt.Errorf("entry %q: no values", name)
		case m.Weights[name] != nil:
			return nil, fmt.Errorf("entry %q: there are two of that name", name)
		}
		if calls > 0 {
			for j := range values {
				values[j] /= float32(calls)
			}
		}
		m.Weights[name] = values
	}
	if d.err == nil && d.left > 0 {
		m.Chunks = d.int32("number of chunks")
	}
	if d.err == nil && d.left > 0 {
		name, _, _ := bytes.Cut(d.bytes(d.int32("length of dataset"), "dataset"), []byte{0})
		if len(name) > 0 {
			m.Datasets = []string{string(name)}
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	return m, nil
}

// legacyReader reads front to back, no further than the file's end. The first failure sticks.
type legacyReader struct {
	r    io.Reader
	left int64
	err  error
}

func (d *legacyReader) bytes(n int64, what string) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > d.left {
		d.err = fmt.Errorf("%s: %d bytes, the file has %d left", what, n, d.left)
		return nil
	}
	b := make([]byte, n)
	if _, d.err = io.ReadFull(d.r, b); d.err != nil {
		d.err = fmt.Errorf("%s: %w", what, d.err)
		return nil
	}
	d.left -= n
	return b
}

func (d *legacyReader) int32(what string) int64 {
	b := d.bytes(4, what)
	if d.err != nil {
		return 0
	}
	return int64(int32(binary.LittleEndian.Uint32(b)))
}

func (d *legacyReader) floats(n int64) []float32 {
	if d.err == nil && (n < 0 || n > d.left/4) {
		d.err = fmt.Errorf("%d values, the file has %d bytes left", n, d.left)
	}
	if d.err != nil {
		return nil
	}
	var values []float32
	if values, d.err = readFloats(d.r, n); d.err == nil {
		d.left -= 4 * n
	}
	return values
}

// readFloats reads n values; the caller has made sure that the file can hold them.
func readFloats(r io.Reader, n int64) ([]float32, error) {
	values := make([]float32, n)
	buf := make([]byte, 4*min(n, 16<<10))
	for todo := values; len(todo) > 0; {
		b := buf[:min(len(buf), 4*len(todo))]
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		for i := range len(b) / 4 {
			todo[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		todo = todo[len(b)/4:]
	}
	return values, nil
}

// Empty tells whether there are no weights: llama-quantize then works as if no matrix had been given.
func (m *Imatrix) Empty() bool { return m == nil || len(m.Weights) == 0 }

// Filter drops the tensors whose name contains one of exclude, then, if include isn't empty, those whose
// name contains none of include: --exclude-weights and --include-weights of llama-quantize.
func (m *Imatrix) Filter(include, exclude []string) {
	contains := func(name string, parts []string) bool {
		for _, p := range parts {
			if strings.Contains(name, p) {
				return true
			}
		}
		return false
	}
	for name := range m.Weights {
		if contains(name, exclude) || len(include) > 0 && !contains(name, include) {
			delete(m.Weights, name)
		}
	}
}

// For returns the weights of a tensor of the given shape (columns first): shape[0] values for each of
// its shape[2] experts, or nil if there are none for it. It is an error if their number is another, but
// for token embeddings, whose weights are ignored then, and if one of them is not finite.
func (m *Imatrix) For(name string, shape []int64) ([]float32, error) {
	if m.Empty() {
		return nil, nil
	}
	w, ok := m.Weights[name]
	if !ok {
		return nil, nil
	}
	columns, experts := int64(1), int64(1)
	if len(shape) > 0 {
		columns = shape[0]
	}
	if len(shape) > 2 {
		experts = shape[2]
	}
	if want, err := gguf.Elements([]int64{columns, experts}); err != nil || int64(len(w)) != want {
		if name == "token_embd.weight" || name == "per_layer_token_embd.weight" {
			return nil, nil
		}
		return nil, fmt.Errorf("tensor %q: %d importance weights, %d columns x %d experts need %d", name, len(w), columns, experts, want)
	}
	for i, v := range w {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("tensor %q: importance weight %d is %v", name, i, v)
		}
	}
	return w, nil
}

// KVs returns the keys that llama-quantize adds to a file made with this matrix, in its order; none if no
// weights are left. Texts end after 127 bytes, as there.
func (m *Imatrix) KVs() []gguf.KV {
	if m.Empty() {
		return nil
	}
	text := func(s string) string { return s[:min(len(s), 127)] }
	kvs := []gguf.KV{{Key: "quantize.imatrix.file", Value: text(m.File)}}
	if len(m.Datasets) > 0 {
		kvs = append(kvs, gguf.KV{Key: "quantize.imatrix.dataset", Value: text(m.Datasets[0])})
	}
	kvs = append(kvs, gguf.KV{Key: "quantize.imatrix.entries_count", Value: uint32(len(m.Weights))})
	if m.Chunks > 0 {
		kvs = append(kvs, gguf.KV{Key: "quantize.imatrix.chunks_count", Value: uint32(m.Chunks)})
	}
	return kvs
}
