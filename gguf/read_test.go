package gguf

import (
	"bytes"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// raw writes headers that no layout would: numbers as they come, strings with their length.
type raw struct{ bytes.Buffer }

func (r *raw) put(values ...any) *raw {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			r.Write(appendString(nil, v))
		case []byte:
			r.Write(v)
		case uint8:
			r.WriteByte(v)
		case uint32:
			r.Write(le.AppendUint32(nil, v))
		case uint64:
			r.Write(le.AppendUint64(nil, v))
		case int:
			r.Write(le.AppendUint64(nil, uint64(v)))
		case ValueType:
			r.Write(le.AppendUint32(nil, uint32(v)))
		case Type:
			r.Write(le.AppendUint32(nil, uint32(v)))
		default:
			panic(v)
		}
	}
	return r
}

func header(tensors, kvs int) *raw {
	return new(raw).put([]byte("GGUF"), uint32(3), tensors, kvs)
}

// tensor adds one description.
func (r *raw) tensor(name string, typ Type, offset int, shape ...int) *raw {
	r.put(name, uint32(len(shape)))
	for _, n := range shape {
		r.put(n)
	}
	return r.put(typ, offset)
}

// data pads to the data section and adds n bytes.
func (r *raw) data(n int) []byte {
	r.Write(make([]byte, pad(int64(r.Len()), DefaultAlignment)-int64(r.Len())+int64(n)))
	return r.Bytes()
}

func TestReadRefuses(t *testing.T) {
	tests := []struct {
		rule string
		file []byte
		want string
	}{
		{"empty file", nil, "not a GGUF file: 0 bytes"},
		{"three bytes", []byte("GGU"), "not a GGUF file: 3 bytes"},
		{"another format", []byte("PK\x03\x04................"), `not a GGUF file: starts with "PK\x03\x04", want "GGUF"`},
		{"nothing after the magic", []byte("GGUF"), "version at byte 4 needs 4 bytes, the file has 0 left"},
		{"version 0", new(raw).put([]byte("GGUF"), uint32(0), 0, 0).Bytes(), "version 0, want 2 or 3"},
		{"version 1", new(raw).put([]byte("GGUF"), uint32(1), uint32(0), uint32(0)).Bytes(), "version 1, want 2 or 3"},
		{"version of the future", new(raw).put([]byte("GGUF"), uint32(4), 0, 0).Bytes(), "version 4, want 2 or 3"},
		{"big-endian", new(raw).put([]byte("GGUF\x00\x00\x00\x03"), 0, 0).Bytes(), "version 0x3000000: the file is big-endian"},
		{"counts cut off", header(0, 0).Bytes()[:20], "number of keys at byte 16 needs 8 bytes, the file has 4 left"},
		{"more tensors than bytes", header(1<<60, 0).Bytes(), "number of tensors says 1152921504606846976 of at least 25 bytes each, the file has 8 bytes left"},
		{"negative number of tensors", header(-1, 0).Bytes(), "number of tensors says 18446744073709551615"},
		{"more keys than bytes", header(0, 2).put("k", TypeUint8, uint8(1)).Bytes(), "number of keys says 2 of at least 14 bytes each, the file has 14 bytes left"},
		{"negative number of keys", header(0, -1).Bytes(), "number of keys says 18446744073709551615"},

		{"empty key", header(0, 1).put("", TypeUint32, uint32(1), 0).Bytes(), "key 0 of 1: name is empty"},
		{"key longer than the file", header(0, 1).put(uint64(1<<40), 0, 0).Bytes(), "key 0 of 1: key says 1099511627776 of at least 1 bytes each, the file has 16 bytes left"},
		{"same key twice", header(0, 2).put("k", TypeUint8, uint8(1), "k", TypeUint8, uint8(1)).Bytes(), `key "k": there are two of that name`},
		{"unknown value type", header(0, 1).put("k", ValueType(13), 0).Bytes(), `key "k": value type 13, want 0 to 12`},
		{"negative value type", header(0, 1).put("k", ValueType(math.MaxUint32), 0).Bytes(), `key "k": value type 4294967295, want 0 to 12`},
		{"unknown type of array", header(0, 1).put("k", TypeArray, ValueType(99), 0).Bytes(), `key "k": array of value type 99, want 0 to 12`},
		{"value cut off", header(0, 1).put("k", TypeUint64, uint32(1)).Bytes(), `key "k": value at byte 37 needs 8 bytes, the file has 4 left`},
		{"string longer than the file", header(0, 1).put("k", TypeString, uint64(10), []byte("short")).Bytes(), `key "k": string says 10 of at least 1 bytes each, the file has 5 bytes left`},
		{"array longer than the file", header(0, 1).put("k", TypeArray, TypeFloat32, 3, 0).Bytes(), `key "k": length of array says 3 of at least 4 bytes each, the file has 8 bytes left`},
		{"a billion strings in a hundred bytes", header(0, 1).put("k", TypeArray, TypeString, 1000000000, 0, 0, 0, 0, 0, 0).Bytes(), `key "k": length of array says 1000000000 of at least 8 bytes each, the file has 48 bytes left`},
		{"array length that overflows", header(0, 1).put("k", TypeArray, TypeUint64, uint64(1<<61+1), 0).Bytes(), `key "k": length of array says 2305843009213693953`},
		{"string in an array cut off", header(0, 1).put("k", TypeArray, TypeString, 2, "a", uint64(9)).Bytes(), `key "k": item 1 of 2: string says 9 of at least 1 bytes each, the file has 0 bytes left`},
		{"arrays nested too deep", header(0, 1).put("k", TypeArray).put(bytes.Repeat(new(raw).put(TypeArray, 1).Bytes(), 100)).Bytes(), "arrays nested deeper than 8"},

		{"alignment of another type", header(0, 1).put("general.alignment", TypeUint64, 32).Bytes(), `key "general.alignment": a uint64, want a uint32`},
		{"alignment 0", header(0, 1).put("general.alignment", TypeUint32, uint32(0)).Bytes(), `key "general.alignment": 0, want a power of two`},
		{"alignment 24", header(0, 1).put("general.alignment", TypeUint32, uint32(24)).Bytes(), `key "general.alignment": 24, want a power of two`},
		{"alignment that eats the disk", header(0, 1).put("general.alignment", TypeUint32, uint32(1<<31)).Bytes(), `key "general.alignment": 2147483648, want a power of two up to 1048576`},

		{"tensor without a name", header(1, 0).tensor("", F32, 0, 1).data(32), "tensor 0: name is empty"},
		{"name of 64 bytes", header(1, 0).tensor(strings.Repeat("n", 64), F32, 0, 1).data(32), "has 64 bytes, at most 63 fit"},
		{"name longer than the file", header(1, 0).put(uint64(1<<50), 0, 0, 0).Bytes(), "tensor 0: name says 1125899906842624"},
		{"NUL in a name", header(1, 0).tensor("a\x00b", F32, 0, 1).data(32), `tensor 0: name "a\x00b" holds a NUL byte`},
		{"same name twice", header(2, 0).tensor("t", F32, 0, 1).tensor("t", F32, 32, 1).data(64), `tensor "t": tensors 0 and 1 have that name`},
		{"five dimensions", header(1, 0).tensor("t", F32, 0, 1, 1, 1, 1, 1).data(32), `tensor "t": 5 dimensions, at most 4 are allowed`},
		{"four billion dimensions", header(1, 0).put("t", uint32(math.MaxUint32), F32, 0, 0).data(32), `tensor "t": 4294967295 dimensions, at most 4 are allowed`},
		{"negative dimension", header(1, 0).tensor("t", F32, 0, 4, -1).data(32), `tensor "t": dimension 1 is 18446744073709551615`},
		{"dimensions that overflow", header(1, 0).tensor("t", F32, 0, 1<<40, 1<<40).data(32), `tensor "t": shape [1099511627776 1099511627776]: element count overflows`},
		{"bytes that overflow", header(1, 0).tensor("t", F32, 0, 1<<62).data(32), `tensor "t": 4611686018427387904 columns of f32: size overflows`},
		{"withdrawn type", header(1, 0).tensor("t", Type(31), 0, 32).data(32), `tensor "t": unknown tensor type 31`},
		{"type of the future", header(1, 0).tensor("t", Type(43), 0, 32).data(32), `tensor "t": unknown tensor type 43`},
		{"columns that are no multiple of the block", header(1, 0).tensor("t", Q4K, 0, 100, 2).data(512), `tensor "t": 100 columns, q4_K needs a multiple of 256`},
		{"offset beyond int64", header(1, 0).put("t", uint32(1), 1, F32, uint64(1<<63)).data(32), `tensor "t": offset 9223372036854775808`},
		{"description cut off", header(2, 0).tensor("t", F32, 0, 1).put("tensor", uint32(1), 1, F32).Bytes(), `tensor "tensor": offset at byte 87 needs 8 bytes, the file has 0 left`},

		{"unaligned tensor", header(2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 4, 1).data(64), `tensor "b": offset 4 is no multiple of the alignment, 32`},
		{"overlapping tensors", header(2, 0).tensor("a", F32, 0, 32).tensor("b", F32, 64, 1).data(256), `tensor "b": offset 64 overlaps the tensor before it, want 128`},
		{"gap between tensors", header(2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 64, 1).data(256), `tensor "b": offset 64 leaves a gap, want 32`},
		{"gap before the first tensor", header(1, 0).tensor("a", F32, 32, 1).data(256), `tensor "a": offset 32 leaves a gap, want 0`},
		{"tensors in another order than their data", header(2, 0).tensor("a", F32, 32, 1).tensor("b", F32, 0, 1).data(256), `tensor "a": offset 32 leaves a gap, want 0`},
		{"no data section", header(1, 0).tensor("a", F32, 0, 1).Bytes(), `data section starts at byte 64, the file has 57`},
		{"weights cut off", header(1, 0).tensor("a", F32, 0, 8).data(31), `tensor "a": needs 32 bytes from byte 64 on, the file has 31 there`},
		{"second tensor missing", header(2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 32, 1).data(4), `tensor "b": needs 4 bytes from byte 128 on, the file has 0 there`},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			_, err := read(tt.file)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestReadTakes(t *testing.T) {
	tests := []struct {
		rule string
		file []byte
		want []TensorInfo
	}{
		{"no keys and no tensors", header(0, 0).Bytes(), []TensorInfo{}},
		{"version 2", new(raw).put([]byte("GGUF"), uint32(2), 1, 0).tensor("t", F32, 0, 2).data(8), []TensorInfo{{"t", []int64{2}, F32, 0, 8, false}}},
		{"last tensor without padding", header(1, 0).tensor("t", F32, 0, 1).data(4), []TensorInfo{{"t", []int64{1}, F32, 0, 4, false}}},
		{"bytes after the last tensor", header(1, 0).tensor("t", F32, 0, 1).data(1000), []TensorInfo{{"t", []int64{1}, F32, 0, 4, false}}},
		{"no dimensions are one value", header(1, 0).tensor("t", F32, 0).data(32), []TensorInfo{{"t", []int64{1}, F32, 0, 4, false}}},
		{"no elements", header(2, 0).tensor("t", F32, 0, 0, 3).tensor("u", F32, 0, 1).data(32), []TensorInfo{{"t", []int64{0, 3}, F32, 0, 0, false}, {"u", []int64{1}, F32, 0, 4, false}}},
		{"an alignment of its own", header(2, 1).put("general.alignment", TypeUint32, uint32(8)).tensor("t", F32, 0, 1).tensor("u", F32, 8, 1).data(64), []TensorInfo{{"t", []int64{1}, F32, 0, 4, false}, {"u", []int64{1}, F32, 8, 4, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			f, err := read(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, f.Tensors); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	whole := golden(t)
	end := len(whole) - 30 // the padding of the last tensor
	for n := range end {
		if _, err := read(whole[:n]); err == nil {
			t.Errorf("first %d bytes of %d: no error", n, len(whole))
		}
	}
	if _, err := read(whole[:end]); err != nil {
		t.Errorf("without the last padding: %v", err)
	}
}

func TestStringsAndArraysLongerThanAChunk(t *testing.T) {
	var meta Metadata
	meta.Set("string", strings.Repeat("0123456789", chunk/7))
	meta.Set("numbers", make([]uint16, chunk+5))
	meta.Set("after", uint8(7))
	l, err := NewLayout(&meta, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := read(l.Header())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(meta.All(), f.Metadata.All()); diff != "" {
		t.Error(diff)
	}
}

// shrunk is a file that is shorter than it was said to be.
type shrunk struct{ io.ReaderAt }

func TestSizeIsNotBelievedBeforeBytesArrive(t *testing.T) {
	b := header(0, 1).put("k", TypeArray, TypeUint64, 1<<29, 0).Bytes()
	got := allocated(func() {
		_, err := Read(shrunk{bytes.NewReader(b)}, 1<<40)
		if err == nil || !strings.Contains(err.Error(), io.ErrUnexpectedEOF.Error()) {
			t.Errorf("got %v, want an unexpected end", err)
		}
	})
	if got > 4<<20 {
		t.Errorf("allocated %d bytes for a file of %d", got, len(b))
	}
}

// allocated is the number of bytes that f asks the heap for.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
