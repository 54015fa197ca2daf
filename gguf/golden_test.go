package gguf

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden is a file that ggml wrote (see testdata/README.md).
func golden(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/ggml.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(b []byte) (*File, error) { return Read(bytes.NewReader(b), int64(len(b))) }

var goldenKVs = []KV{
	{"general.architecture", "golden"},
	{"v.u8", uint8(200)},
	{"v.i8", int8(-100)},
	{"v.u16", uint16(60000)},
	{"v.i16", int16(-30000)},
	{"v.u32", uint32(4000000000)},
	{"v.i32", int32(-2000000000)},
	{"v.u64", uint64(18000000000000000000)},
	{"v.i64", int64(-9000000000000000000)},
	{"v.f32", float32(1.5)},
	{"v.f64", -0.1},
	{"v.bool", true},
	{"v.str", "grüß"},
	{"v.empty", ""},
	{"a.u8", []uint8{1, 2, 255}},
	{"a.i8", []int8{-1, 2}},
	{"a.u16", []uint16{1, 65535}},
	{"a.i16", []int16{-1, 5}},
	{"a.u32", []uint32{7, 4294967295}},
	{"a.i32", []int32{-7}},
	{"a.u64", []uint64{1, 2}},
	{"a.i64", []int64{-1}},
	{"a.f32", []float32{0.5, -2}},
	{"a.f64", []float64{0.25}},
	{"a.bool", []bool{true, false, true}},
	{"a.str", []string{"one", "", "three"}},
	{"a.none", []float32{}},
	{"a.nostr", []string{}},
}

var goldenTensors = []TensorInfo{
	{"vector", []int64{3}, F32, 0, 12, false},
	{"trailing_ones", []int64{4, 2, 1, 1}, F16, 32, 16, false},
	{"one_inside", []int64{4, 1, 2, 1}, BF16, 64, 16, false},
	{"four", []int64{2, 1, 1, 3}, I8, 96, 6, false},
	{"blocks", []int64{64, 2}, Q4_0, 128, 72, false},
	{"single", []int64{1}, F32, 224, 4, false},
	{"a_name_of_sixty_three_bytes_which_is_the_most_that_ggml_can_use", []int64{1}, F64, 256, 8, false},
	{"nothing", []int64{0, 5}, F32, 288, 0, false},
	{"last", []int64{32}, Q8_0, 288, 34, false},
}

func TestReadsWhatGGMLWrote(t *testing.T) {
	f, err := read(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenKVs, f.Metadata.All()); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	want := append([]TensorInfo(nil), goldenTensors...)
	want[1].Shape = []int64{4, 2} // ggml doesn't store dimensions of 1 at the end
	want[2].Shape = []int64{4, 1, 2}
	if diff := cmp.Diff(want, f.Tensors); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if f.Version != 3 || f.Alignment != 32 {
		t.Errorf("version %d, alignment %d, want 3 and 32", f.Version, f.Alignment)
	}
}

// TestLaysOutWhatGGMLWrote builds the file anew, data and all.
func TestLaysOutWhatGGMLWrote(t *testing.T) {
	var meta Metadata
	for _, kv := range goldenKVs {
		meta.Set(kv.Key, kv.Value)
	}
	l, err := NewLayout(&meta, goldenTensors)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, l.Size())
	copy(got, l.Header())
	for i, tensor := range l.Tensors() {
		data := got[l.Offset(i):][:tensor.Size]
		for j := range data {
			data[j] = byte(7*j + len(tensor.Name))
		}
	}
	if !bytes.Equal(got, golden(t)) {
		t.Errorf("differs from ggml's file; header:\n%q\nwant:\n%q", l.Header(), golden(t)[:l.DataOffset()])
	}
}

func TestTypeTableIsGGMLs(t *testing.T) {
	want, err := os.ReadFile("testdata/types.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for n := range Type(64) {
		if info, ok := n.Info(); ok {
			fmt.Fprintln(&got, uint32(n), info.Name, info.BlockLen, info.BlockSize)
		}
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-ggml +here):\n%s", diff)
	}
}

// TestRealVocabulariesComeBackAsTheyWere needs a folder of vocab-only GGUF files, such as llama.cpp's models folder.
func TestRealVocabulariesComeBackAsTheyWere(t *testing.T) {
	dir := os.Getenv("NEXUS_QUANT_TESTDATA_VOCABS")
	if dir == "" {
		t.Skip("NEXUS_QUANT_TESTDATA_VOCABS names no folder of vocabularies")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if len(files) == 0 {
		t.Fatalf("no .gguf file in %s", dir)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := read(b)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		l, err := NewLayout(&f.Metadata, f.Tensors)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		// Without tensors the file may end before the padding.
		if !bytes.Equal(l.Header()[:f.DataOffset], b[:f.DataOffset]) {
			t.Errorf("%s: header changed", path)
		}
	}
}
