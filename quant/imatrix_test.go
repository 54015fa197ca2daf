package quant

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// floats is a tensor of a test's imatrix file.
type floats struct {
	name   string
	shape  []int64
	values []float32
}

var imatrixKeys = []gguf.KV{
	{Key: "general.type", Value: "imatrix"},
	{Key: "imatrix.datasets", Value: []string{"calibration.txt", "more.txt"}},
	{Key: "imatrix.chunk_count", Value: uint32(125)},
	{Key: "imatrix.chunk_size", Value: uint32(512)},
}

// ggufImatrix makes a file as llama-imatrix writes it.
func ggufImatrix(t testing.TB, keys []gguf.KV, tensors ...floats) []byte {
	t.Helper()
	var meta gguf.Metadata
	for _, kv := range keys {
		meta.Set(kv.Key, kv.Value)
	}
	infos := make([]gguf.TensorInfo, len(tensors))
	for i, f := range tensors {
		infos[i] = gguf.TensorInfo{Name: f.name, Shape: f.shape, Type: gguf.F32}
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, l.Size())
	copy(b, l.Header())
	for i, f := range tensors {
		if _, err := binary.Encode(b[l.Offset(i):], binary.LittleEndian, f.values); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// legacy writes the older format: int32, float32 and strings with their length.
func legacy(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(int32(v)))
		case float32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		case string:
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
		case []byte:
			b = append(b, v...)
		default:
			panic(v)
		}
	}
	return b
}

func parseImatrix(b []byte) (*Imatrix, error) {
	return readImatrix(bytes.NewReader(b), int64(len(b)))
}

// bits makes differences in the last place visible.
func bits(values []float32) []uint32 {
	out := make([]uint32, len(values))
	for i, v := range values {
		out[i] = math.Float32bits(v)
	}
	return out
}

// The numbers under test are those that common_imatrix_load and load_imatrix of llama.cpp 0.5.0 give for the same files.
func TestImatrixIsNormalisedAsLlamaQuantizeDoes(t *testing.T) {
	tests := []struct {
		rule string
		file []byte
		want map[string][]uint32
	}{
		{"sums over their count", ggufImatrix(t, imatrixKeys,
			floats{"blk.0.attn_q.weight.in_sum2", []int64{4, 1}, []float32{1, 10, 0.1, 12345.678}},
			floats{"blk.0.attn_q.weight.counts", []int64{1, 1}, []float32{3}}),
			map[string][]uint32{"blk.0.attn_q.weight": {0x3eaaaaab, 0x40555555, 0x3d088889, 0x458099cf}}},
		{"a count for each expert, ones for those that never ran", ggufImatrix(t, imatrixKeys,
			floats{"blk.0.ffn_up_exps.weight.counts", []int64{1, 5}, []float32{7, 0, 0.4, 2.5, 16777216}},
			floats{"blk.0.ffn_up_exps.weight.in_sum2", []int64{2, 5}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}),
			map[string][]uint32{"blk.0.ffn_up_exps.weight": {0x3e124925, 0x3e924925, 0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000, 0x40155555, 0x402aaaab, 0x35100000, 0x35200000}}},
		{"the older format, over its number of calls", legacy(2, "a", 3, 3, float32(1), float32(10), float32(0.1), "b", 16777217, 1, float32(5)),
			map[string][]uint32{"a": {0x3eaaaaab, 0x40555555, 0x3d088889}, "b": {0x34a00000}}},
		{"the older format without calls", legacy(2, "a", 0, 1, float32(0.1), "b", -4, 1, float32(0.1)),
			map[string][]uint32{"a": {0x3dcccccd}, "b": {0x3dcccccd}}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			m, err := parseImatrix(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]uint32{}
			for name, w := range m.Weights {
				got[name] = bits(w)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestImatrixSaysWhatItWasMadeFrom(t *testing.T) {
	entry := []any{1, "a", 1, 1, float32(1)}
	tests := []struct {
		rule     string
		file     []byte
		datasets []string
		chunks   int64
	}{
		{"GGUF", ggufImatrix(t, imatrixKeys, floats{"a.in_sum2", []int64{1}, []float32{1}}, floats{"a.counts", []int64{1}, []float32{1}}), []string{"calibration.txt", "more.txt"}, 125},
		{"older format without an end", legacy(entry...), nil, 0},
		{"older format with chunks", legacy(append(entry, 44)...), nil, 44},
		{"older format with a dataset", legacy(append(entry, 44, "wiki.txt")...), []string{"wiki.txt"}, 44},
		{"older format with an empty dataset", legacy(append(entry, 44, "")...), nil, 44},
		{"older format with a NUL behind the dataset", legacy(append(entry, 44, "wiki.txt\x00\x00")...), []string{"wiki.txt"}, 44},
		{"older format with more behind it", legacy(append(entry, 44, "wiki.txt", 1, 2, 3)...), []string{"wiki.txt"}, 44},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			m, err := parseImatrix(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.Datasets, tt.datasets) || m.Chunks != tt.chunks {
				t.Errorf("datasets %q, chunks %d, want %q and %d", m.Datasets, m.Chunks, tt.datasets, tt.chunks)
			}
		})
	}
}

func TestImatrixRefuses(t *testing.T) {
	sums := floats{"a.in_sum2", []int64{4}, []float32{1, 2, 3, 4}}
	counts := func(values ...float32) floats { return floats{"a.counts", []int64{1, int64(len(values))}, values} }
	without := func(key string, replacement ...gguf.KV) []gguf.KV {
		keys := slices.DeleteFunc(slices.Clone(imatrixKeys), func(kv gguf.KV) bool { return kv.Key == key })
		return append(keys, replacement...)
	}
	nan := float32(math.NaN())
	tests := []struct {
		rule string
		file []byte
		want string
	}{
		{"a model", ggufImatrix(t, without("general.type", gguf.KV{Key: "general.type", Value: "model"}), sums, counts(1)), `general.type is "model", want "imatrix"`},
		{"no datasets", ggufImatrix(t, without("imatrix.datasets"), sums, counts(1)), `key "imatrix.datasets" is missing`},
		{"no number of chunks", ggufImatrix(t, without("imatrix.chunk_count"), sums, counts(1)), `key "imatrix.chunk_count" is missing`},
		{"no size of chunks", ggufImatrix(t, without("imatrix.chunk_size"), sums, counts(1)), `key "imatrix.chunk_size" is missing`},
		{"number of chunks as text", ggufImatrix(t, without("imatrix.chunk_count", gguf.KV{Key: "imatrix.chunk_count", Value: "9"}), sums, counts(1)), `key "imatrix.chunk_count": 9, want a uint32`},
		{"number of chunks beyond int32", ggufImatrix(t, without("imatrix.chunk_count", gguf.KV{Key: "imatrix.chunk_count", Value: uint32(1 << 31)}), sums, counts(1)), `key "imatrix.chunk_count": 2147483648, want a uint32 up to 2147483647`},
		{"no tensors", ggufImatrix(t, imatrixKeys), "no tensor named *.in_sum2"},
		{"sums without counts", ggufImatrix(t, imatrixKeys, sums), `tensor "a.in_sum2": there is no "a.counts" beside it`},
		{"counts without sums", ggufImatrix(t, imatrixKeys, sums, counts(1), floats{"b.counts", []int64{1}, []float32{1}}), `tensor "b.counts": there is no "b.in_sum2" beside it`},
		{"sums of another type", retype(t, ggufImatrix(t, imatrixKeys, sums, counts(1)), "a.in_sum2"), `tensor "a.in_sum2": type i32, want f32`},
		{"counts of another type", retype(t, ggufImatrix(t, imatrixKeys, sums, counts(1)), "a.counts"), `tensor "a.counts": type i32, want f32`},
		{"counts that don't divide the sums", ggufImatrix(t, imatrixKeys, sums, counts(1, 1, 1)), `tensor "a.in_sum2": 4 values for 3 counts`},
		{"more counts than sums", ggufImatrix(t, imatrixKeys, sums, counts(1, 1, 1, 1, 1)), `tensor "a.in_sum2": 4 values for 5 counts`},
		{"no counts at all", ggufImatrix(t, imatrixKeys, sums, floats{"a.counts", []int64{0}, nil}), `tensor "a.in_sum2": 4 values for 0 counts`},
		{"no sums at all", ggufImatrix(t, imatrixKeys, floats{"a.in_sum2", []int64{0}, nil}, counts(1)), `tensor "a.in_sum2": 0 values for 1 counts`},
		{"negative count", ggufImatrix(t, imatrixKeys, sums, counts(1, -2)), `tensor "a.in_sum2": count 1 is -2`},
		{"count that is no number", ggufImatrix(t, imatrixKeys, sums, counts(nan)), `tensor "a.in_sum2": count 0 is NaN`},
		{"count beyond all rows", ggufImatrix(t, imatrixKeys, sums, counts(1e30)), `tensor "a.in_sum2": count 0 is 1e+30`},
		{"GGUF cut off", ggufImatrix(t, imatrixKeys, sums, counts(1))[:300], "the file has"},

		{"empty file", nil, "number of entries: 4 bytes, the file has 0 left"},
		{"text", []byte("this is a letter, not a matrix"), "neither GGUF nor the older format"},
		{"no entries", legacy(0), "neither GGUF nor the older format: 0 entries in 4 bytes"},
		{"negative number of entries", legacy(-1, "a", 1, 1, float32(1)), "neither GGUF nor the older format: -1 entries"},
		{"more entries than bytes", legacy(2, "a", 1, 1, float32(1)), "2 entries in 21 bytes"},
		{"entry cut off", legacy(2, "a", 1, 3, float32(1), float32(1), float32(1), 10, []byte("ten_bytes_\x01")), "entry 2 of 2: number of calls: 4 bytes, the file has 1 left"},
		{"negative length of name", legacy(1, -1, 1, 1, 1, 1), "entry 1 of 1: name: -1 bytes"},
		{"name longer than the file", legacy(1, 1<<30, 1, 1, 1, 1), "entry 1 of 1: name: 1073741824 bytes, the file has 16 left"},
		{"empty name", legacy(1, "", 1, 1, float32(1), 0), `entry 1 of 1: name ""`},
		{"NUL in a name", legacy(1, "a\x00b", 1, 1, float32(1)), `entry 1 of 1: name "a\x00b"`},
		{"same name twice", legacy(2, "a", 1, 1, float32(1), "a", 1, 1, float32(1)), `entry "a": there are two of that name`},
		{"no values", legacy(1, "a", 1, 0, 0), `entry "a": no values`},
		{"negative number of values", legacy(1, "a", 1, -5, 0), "entry 1 of 1: -5 values"},
		{"more values than bytes", legacy(1, "a", 1, 1<<30, 0), "entry 1 of 1: 1073741824 values, the file has 4 bytes left"},
		{"number of chunks cut off", append(legacy(1, "a", 1, 1, float32(1)), 7), "number of chunks: 4 bytes, the file has 1 left"},
		{"dataset cut off", legacy(1, "a", 1, 1, float32(1), 7, 100, []byte("wiki")), "dataset: 100 bytes, the file has 4 left"},
		{"negative length of dataset", legacy(1, "a", 1, 1, float32(1), 7, -1), "dataset: -1 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			_, err := parseImatrix(tt.file)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// retype makes an i32 tensor of an f32 one, in the header's bytes.
func retype(t *testing.T, file []byte, name string) []byte {
	at := bytes.Index(file, []byte(name))
	dims := int(binary.LittleEndian.Uint32(file[at+len(name):]))
	typ := file[at+len(name)+4+8*dims:]
	if got := gguf.Type(binary.LittleEndian.Uint32(typ)); got != gguf.F32 {
		t.Fatalf("%s: found type %s", name, got)
	}
	binary.LittleEndian.PutUint32(typ, uint32(gguf.I32))
	return file
}

func TestImatrixFilter(t *testing.T) {
	all := []string{"blk.0.attn_q.weight", "blk.0.ffn_up.weight", "blk.1.attn_q.weight", "output.weight"}
	tests := []struct {
		rule             string
		include, exclude []string
		want             []string
	}{
		{"no patterns keep all", nil, nil, all},
		{"exclude", nil, []string{"attn_q"}, []string{"blk.0.ffn_up.weight", "output.weight"}},
		{"several to exclude", nil, []string{"blk.0.", "output"}, []string{"blk.1.attn_q.weight"}},
		{"include", []string{"attn_q"}, nil, []string{"blk.0.attn_q.weight", "blk.1.attn_q.weight"}},
		{"several to include", []string{"ffn_up", "output"}, nil, []string{"blk.0.ffn_up.weight", "output.weight"}},
		{"exclude comes before include", []string{"attn_q"}, []string{"blk.1"}, []string{"blk.0.attn_q.weight"}},
		{"parts of names, not patterns", []string{"attn_.", "*"}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			m := &Imatrix{Weights: map[string][]float32{}}
			for _, name := range all {
				m.Weights[name] = []float32{1}
			}
			m.Filter(tt.include, tt.exclude)
			var got []string
			for name := range m.Weights {
				got = append(got, name)
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestImatrixFor(t *testing.T) {
	six := []float32{1, 2, 3, 4, 5, 6}
	m := &Imatrix{Weights: map[string][]float32{
		"w": six, "token_embd.weight": six, "per_layer_token_embd.weight": six,
		"nan": {1, float32(math.NaN())}, "inf": {float32(math.Inf(-1)), 1},
	}}
	tests := []struct {
		rule  string
		name  string
		shape []int64
		want  []float32
		err   string
	}{
		{"columns of a matrix", "w", []int64{6, 100}, six, ""},
		{"columns of a vector", "w", []int64{6}, six, ""},
		{"columns of each expert", "w", []int64{2, 100, 3}, six, ""},
		{"the fourth dimension doesn't count", "w", []int64{2, 100, 3, 9}, six, ""},
		{"none for this tensor", "v", []int64{6, 100}, nil, ""},
		{"token embeddings that fit", "token_embd.weight", []int64{6, 9}, six, ""},
		{"token embeddings that don't", "token_embd.weight", []int64{9, 6}, nil, ""},
		{"embeddings per layer that don't fit", "per_layer_token_embd.weight", []int64{9, 6}, nil, ""},
		{"another number of columns", "w", []int64{5, 100}, nil, `tensor "w": 6 importance weights, 5 columns x 1 experts need 5`},
		{"another number of experts", "w", []int64{6, 100, 8}, nil, `tensor "w": 6 importance weights, 6 columns x 8 experts need 48`},
		{"a number of columns that overflows", "w", []int64{1 << 62, 1, 8}, nil, `tensor "w": 6 importance weights`},
		{"not a number", "nan", []int64{2, 2}, nil, `tensor "nan": importance weight 1 is NaN`},
		{"infinite", "inf", []int64{2, 2}, nil, `tensor "inf": importance weight 0 is -Inf`},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := m.For(tt.name, tt.shape)
			if fmt.Sprint(err) != tt.err && (tt.err != "" || err != nil) && !strings.HasPrefix(fmt.Sprint(err), tt.err+",") {
				t.Errorf("got %v, want %s", err, tt.err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestImatrixKVs(t *testing.T) {
	w := map[string][]float32{"a": {1}, "b": {2}}
	long := strings.Repeat("x", 130)
	tests := []struct {
		rule string
		m    Imatrix
		want []gguf.KV
	}{
		{"all of them", Imatrix{File: "dir/m.gguf", Datasets: []string{"wiki.txt", "more.txt"}, Chunks: 125, Weights: w}, []gguf.KV{
			{Key: "quantize.imatrix.file", Value: "dir/m.gguf"}, {Key: "quantize.imatrix.dataset", Value: "wiki.txt"},
			{Key: "quantize.imatrix.entries_count", Value: uint32(2)}, {Key: "quantize.imatrix.chunks_count", Value: uint32(125)}}},
		{"nothing known", Imatrix{File: "m", Weights: w}, []gguf.KV{
			{Key: "quantize.imatrix.file", Value: "m"}, {Key: "quantize.imatrix.entries_count", Value: uint32(2)}}},
		{"long texts end after 127 bytes", Imatrix{File: long, Datasets: []string{long}, Weights: w}, []gguf.KV{
			{Key: "quantize.imatrix.file", Value: long[:127]}, {Key: "quantize.imatrix.dataset", Value: long[:127]},
			{Key: "quantize.imatrix.entries_count", Value: uint32(2)}}},
		{"negative number of chunks", Imatrix{File: "m", Chunks: -1, Weights: w}, []gguf.KV{
			{Key: "quantize.imatrix.file", Value: "m"}, {Key: "quantize.imatrix.entries_count", Value: uint32(2)}}},
		{"no weights left", Imatrix{File: "m", Chunks: 3}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.m.KVs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoImatrixGivesNothing(t *testing.T) {
	filtered := &Imatrix{File: "m", Weights: map[string][]float32{"a": {1}}}
	filtered.Filter(nil, []string{""})
	for _, m := range []*Imatrix{nil, {}, filtered} {
		w, err := m.For("a", []int64{1})
		if !m.Empty() || w != nil || err != nil || m.KVs() != nil {
			t.Errorf("%+v: weights %v, %v, keys %v", m, w, err, m.KVs())
		}
	}
}

func TestReadImatrixNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.dat")
	if err := os.WriteFile(path, legacy(1, "a", 2, 1, float32(1)), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := ReadImatrix(path)
	if err != nil {
		t.Fatal(err)
	}
	if m.File != path || m.Weights["a"][0] != 0.5 {
		t.Errorf("got %+v", m)
	}
	for _, bad := range []string{dir, filepath.Join(dir, "none.gguf")} {
		if _, err := ReadImatrix(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

// FuzzReadImatrix holds that no input panics, and that no more weights come out than bytes went in.
func FuzzReadImatrix(f *testing.F) {
	f.Add(ggufImatrix(f, imatrixKeys, floats{"a.in_sum2", []int64{2, 2}, []float32{1, 2, 3, 4}}, floats{"a.counts", []int64{1, 2}, []float32{1, 0}}))
	f.Add(legacy(2, "a", 3, 2, float32(1), float32(2), "b", 1, 1, float32(5), 44, "wiki.txt"))
	f.Add(legacy(1<<30, "a", 1<<30, 1<<30))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseImatrix(b)
		if err != nil {
			return
		}
		n := 0
		for name, w := range m.Weights {
			if len(w) == 0 {
				t.Errorf("entry %q has no weights", name)
			}
			n += 4 * len(w)
		}
		if n == 0 || n > len(b) {
			t.Errorf("%d bytes of weights from a file of %d", n, len(b))
		}
	})
}
