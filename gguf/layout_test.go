package gguf

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func metadata(kvs ...any) *Metadata {
	var m Metadata
	for i := 0; i < len(kvs); i += 2 {
		m.Set(kvs[i].(string), kvs[i+1])
	}
	return &m
}

func TestNewLayoutRefuses(t *testing.T) {
	one := func(name string, typ Type, shape ...int64) []TensorInfo {
		return []TensorInfo{{Name: name, Type: typ, Shape: shape}}
	}
	deep := Array{[]uint8{1}}
	for range 10 {
		deep = Array{deep}
	}
	tests := []struct {
		rule    string
		meta    *Metadata
		tensors []TensorInfo
		want    string
	}{
		{"empty key", metadata("", true), nil, "key is empty"},
		{"array of mixed values", metadata("k", Array{[]uint8{1}, "text"}), nil, `key "k": item 1 is a string, want an array`},
		{"array of a Go type without a name", metadata("k", Array{struct{}{}}), nil, `key "k": item 0 is a struct {}, want an array`},
		{"arrays nested too deep", metadata("k", deep), nil, "arrays nested deeper than 8"},
		{"alignment of another type", metadata("general.alignment", int32(64)), nil, `key "general.alignment": a int32, want a uint32`},
		{"alignment 0", metadata("general.alignment", uint32(0)), nil, "0, want a power of two"},
		{"alignment 48", metadata("general.alignment", uint32(48)), nil, "48, want a power of two"},
		{"alignment that eats the disk", metadata("general.alignment", uint32(1<<30)), nil, "want a power of two up to 1048576"},
		{"tensor without a name", metadata(), one("", F32, 1), "tensor 0: name is empty"},
		{"name of 64 bytes", metadata(), one(strings.Repeat("n", 64), F32, 1), "has 64 bytes, at most 63 fit"},
		{"NUL in a name", metadata(), one("a\x00", F32, 1), `tensor 0: name "a\x00" holds a NUL byte`},
		{"same name twice", metadata(), append(one("t", F32, 1), one("t", F32, 2)...), `tensor "t": there are two of that name`},
		{"no dimensions", metadata(), one("t", F32), `tensor "t": 0 dimensions, want 1 to 4`},
		{"five dimensions", metadata(), one("t", F32, 1, 1, 1, 1, 1), `tensor "t": 5 dimensions, want 1 to 4`},
		{"negative dimension", metadata(), one("t", F32, -1), `tensor "t": shape [-1]: negative dimension`},
		{"unknown type", metadata(), one("t", Type(5), 32), `tensor "t": unknown tensor type 5`},
		{"columns that are no multiple of the block", metadata(), one("blk.3.attn_q.weight", Q4K, 4097, 2), `tensor "blk.3.attn_q.weight": 4097 columns, q4_K needs a multiple of 256`},
		{"elements that overflow", metadata(), one("t", F32, 1<<32, 1<<32), `element count overflows`},
		{"bytes that overflow", metadata(), one("t", F32, 1<<61), `size overflows`},
		{"padding that overflows", metadata(), one("t", I8, math.MaxInt64), `tensor "t": size of the file overflows`},
		{"sum that overflows", metadata(), append(one("t", I8, math.MaxInt64-32), one("u", I8, 1)...), `tensor "u": size of the file overflows`},
		{"header that overflows", metadata(), one("t", I8, math.MaxInt64-32), "size of the file overflows"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			_, err := NewLayout(tt.meta, tt.tensors)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestLayoutHonoursAlignment(t *testing.T) {
	l, err := NewLayout(metadata("general.alignment", uint32(128)), []TensorInfo{
		{Name: "a", Type: F32, Shape: []int64{3}},
		{Name: "b", Type: F32, Shape: []int64{1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.DataOffset() != 128 || l.Offset(0) != 128 || l.Offset(1) != 256 || l.Size() != 384 || l.Alignment() != 128 {
		t.Errorf("data at %d, tensors at %d and %d, size %d, alignment %d", l.DataOffset(), l.Offset(0), l.Offset(1), l.Size(), l.Alignment())
	}
}

func TestTrailingOnesAreWrittenWhereTheyAreAskedFor(t *testing.T) {
	for _, ones := range []bool{false, true} {
		l, err := NewLayout(metadata(), []TensorInfo{{Name: "a", Type: F32, Shape: []int64{3, 1, 1}, Ones: ones}})
		if err != nil {
			t.Fatal(err)
		}
		name := append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, 'a')
		at := bytes.Index(l.Header(), name)
		if at < 0 {
			t.Fatal("the tensor's name is not in the header")
		}
		if got, want := l.Header()[at+len(name)], map[bool]byte{false: 1, true: 3}[ones]; got != want {
			t.Errorf("ones %v: %d dimensions, want %d", ones, got, want)
		}
	}
}

func TestLayoutLeavesItsInputAlone(t *testing.T) {
	in := []TensorInfo{{Name: "a", Type: F32, Shape: []int64{3}}, {Name: "b", Type: F32, Shape: []int64{3}, Offset: 5, Size: 7}}
	want := []TensorInfo{{Name: "a", Type: F32, Shape: []int64{3}}, {Name: "b", Type: F32, Shape: []int64{3}, Offset: 5, Size: 7}}
	l, err := NewLayout(metadata(), in)
	if err != nil {
		t.Fatal(err)
	}
	l.Tensors()[0].Shape[0] = 9
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNestedArraysComeBack(t *testing.T) {
	want := metadata(
		"empty", Array{},
		"numbers", Array{[]uint8{1, 2}, []uint8{}, []float32{0.5}},
		"deep", Array{Array{Array{[]string{"a", ""}}, Array{}}, []bool{true}},
	)
	l, err := NewLayout(want, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := read(l.Header())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.All(), f.Metadata.All()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
