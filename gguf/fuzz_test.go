package gguf

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzRead holds three rules: no input panics; none makes Read allocate out of proportion to its size;
// and what is read can be written, and reads the same again.
func FuzzRead(f *testing.F) {
	f.Add(golden(f))
	f.Add(golden(f)[:900])
	f.Add(header(0, 0).Bytes())
	f.Add(header(0, 1).put("k", TypeArray, TypeArray, 2, TypeArray, 0, TypeString, 1, "s").Bytes())
	f.Add(header(0, 1).put("k", TypeArray, TypeString, 1000000000, 0, 0, 0, 0, 0, 0).Bytes())
	f.Add(header(2, 1).put("general.alignment", TypeUint32, uint32(8)).tensor("t", F32, 0, 1, 1).tensor("u", Q4_0, 8, 32).data(64))
	f.Fuzz(func(t *testing.T, b []byte) {
		var file *File
		var err error
		// The least that costs the most is an empty string or array, 8 bytes that become 16 to 48.
		bound := uint64(2*min(len(b), chunk) + 64*len(b) + 1<<16)
		if got := allocated(func() { file, err = read(b) }); got > bound {
			t.Errorf("allocated %d bytes for a file of %d", got, len(b))
		}
		if err != nil {
			return
		}
		l, err := NewLayout(&file.Metadata, file.Tensors)
		if err != nil {
			t.Fatalf("read, but can't be laid out: %v", err)
		}
		whole := append(bytes.Clone(l.Header()), make([]byte, l.Size()-l.DataOffset())...)
		again, err := read(whole)
		if err != nil {
			t.Fatalf("can't be read back: %v", err)
		}
		l2, err := NewLayout(&again.Metadata, again.Tensors)
		if err != nil || !bytes.Equal(l.Header(), l2.Header()) {
			t.Errorf("header changed, %v:\n%q\n%q", err, l.Header(), l2.Header())
		}
	})
}

// FuzzLayoutRoundTrip reads back what was laid out from any names, texts and dimensions.
func FuzzLayoutRoundTrip(f *testing.F) {
	f.Add("general.name", "tiny", "token_embd.weight", int64(256), int64(3), uint32(12), uint32(32))
	f.Add("k", "", "t", int64(0), int64(1), uint32(0), uint32(64))
	f.Add("general.alignment", "32", "t", int64(-1), int64(1<<62), uint32(2), uint32(3))
	f.Fuzz(func(t *testing.T, key, text, name string, cols, rows int64, typ, align uint32) {
		meta := metadata(key, text)
		meta.Set("texts", []string{text, key, ""})
		meta.Set("general.alignment", align)
		tensors := []TensorInfo{
			{Name: name, Type: Type(typ), Shape: []int64{cols, rows}},
			{Name: name + "2", Type: Type(typ), Shape: []int64{cols, 1, rows}},
		}
		l, err := NewLayout(meta, tensors)
		if err != nil || l.Size() > 1<<22 {
			return
		}
		got, err := read(append(bytes.Clone(l.Header()), make([]byte, l.Size()-l.DataOffset())...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(meta.All(), got.Metadata.All()); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
		for i, want := range l.Tensors() {
			g := got.Tensors[i]
			if g.Name != want.Name || g.Type != want.Type || g.Size != want.Size || got.DataOffset+g.Offset != l.Offset(i) {
				t.Errorf("tensor %d: got %+v, want %+v at %d", i, g, want, l.Offset(i))
			}
		}
	})
}

// vocabulary is metadata as large as that of a model of our day: 150,000 tokens.
func vocabulary() *Metadata {
	tokens := make([]string, 150_000)
	for i := range tokens {
		tokens[i] = strings.Repeat("tok", 1+i%4)
	}
	return metadata("tokenizer.ggml.tokens", tokens, "tokenizer.ggml.merges", tokens,
		"tokenizer.ggml.token_type", make([]int32, len(tokens)), "tokenizer.ggml.scores", make([]float32, len(tokens)))
}

func BenchmarkRead(b *testing.B) {
	l, err := NewLayout(vocabulary(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(l.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(l.Header()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewLayout(b *testing.B) {
	meta := vocabulary()
	b.ReportAllocs()
	for b.Loop() {
		l, err := NewLayout(meta, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(l.Size())
	}
}
