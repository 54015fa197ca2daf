package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// file puts a safetensors file together from its header and data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range data {
		b = append(b, byte(i))
	}
	return b
}

func read(b []byte) ([]*Tensor, map[string]string, error) {
	return ReadHeader(bytes.NewReader(b), int64(len(b)), "model.safetensors")
}

func TestReadHeader(t *testing.T) {
	tensors, meta, err := read(file(`{"__metadata__":{"format":"pt"},`+
		`"w":{"dtype":"F32","shape":[2,3],"data_offsets":[2,26],"note":{"a":[1,{}]}},`+
		`"b":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},`+
		`"none":{"dtype":"F16","shape":[0,7],"data_offsets":[26,26]},`+
		`"e":{"dtype":"F8_E8M0","shape":[4],"data_offsets":[26,30]},`+
		`"nibbles":{"dtype":"F4","shape":[3,2],"data_offsets":[30,33]}}   `, 33))
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Name  string
		DType DType
		Shape []int64
		Size  int64
		First byte
	}
	var got []row
	for _, x := range tensors {
		var p [1]byte
		if n, err := x.ReadAt(p[:], 0); n == 0 && (x.Size > 0 || err != io.EOF) {
			t.Errorf("%s: %v", x.Name, err)
		}
		got = append(got, row{x.Name, x.DType, x.Shape, x.Size, p[0]})
	}
	want := []row{
		{"b", BF16, []int64{}, 2, 0},
		{"e", F8E8M0, []int64{4}, 4, 26},
		{"nibbles", "F4", []int64{3, 2}, 3, 30},
		{"none", F16, []int64{0, 7}, 0, 0},
		{"w", F32, []int64{2, 3}, 24, 2},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("tensors (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"format": "pt"}, meta); d != "" {
		t.Errorf("metadata (-want +got):\n%s", d)
	}
}

func TestEmptyHeaderHasNoTensors(t *testing.T) {
	tensors, meta, err := read(file(`{}`, 0))
	if err != nil || len(tensors) != 0 || meta != nil {
		t.Errorf("got %v, %v, %v", tensors, meta, err)
	}
}

// broken has one file for each rule of the format.
var broken = []struct {
	name, want string
	file       []byte
}{
	{"empty file", "file has 0 bytes", nil},
	{"length cut", "file has 7 bytes", make([]byte, 7)},
	{"header length beyond 100 MB", "header of 100000001 bytes, the format allows", binary.LittleEndian.AppendUint64(nil, 100_000_001)},
	{"header length with the top bit set", "the format allows 100000000", binary.LittleEndian.AppendUint64(nil, 1<<63|2)},
	{"header length beyond the file", "file is truncated", append(binary.LittleEndian.AppendUint64(nil, 50), "{}"...)},
	{"header of no byte", "doesn't begin with '{'", file(``, 0)},
	{"space before the brace", "doesn't begin with '{'", file(` {}`, 0)},
	{"array on top", "doesn't begin with '{'", file(`[]`, 0)},
	{"not UTF-8", "not UTF-8", file("{\"a\xff\":1}", 0)},
	{"JSON cut", "JSON ends early", file(`{"a":{"dtype":"U8"`, 0)},
	{"not JSON", "not JSON", file(`{"a":nope}`, 0)},
	{"text after the header", "after the closing", file(`{}{}`, 0)},
	{"same tensor twice", `key "a" appears twice`, file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1)},
	{"same tensor twice, once escaped", `key "a" appears twice`, file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1)},
	{"same field twice", `key "shape" appears twice`, file(`{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}`, 1)},
	{"metadata twice", `key "__metadata__" appears twice`, file(`{"__metadata__":{},"__metadata__":{}}`, 0)},
	{"metadata with a number", `key "x": got 1, want a string`, file(`{"__metadata__":{"x":1}}`, 0)},
	{"metadata of a list", `want '{'`, file(`{"__metadata__":[]}`, 0)},
	{"tensor is a number", `tensor "a": got 1, want '{'`, file(`{"a":1}`, 0)},
	{"no dtype", "needs dtype, shape and data_offsets", file(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1)},
	{"unknown dtype", `tensor "a": dtype "F7" is not known`, file(`{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}`, 1)},
	{"shape negative", `got -1, want a whole number`, file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1)},
	{"shape fractional", `got 1.0, want a whole number`, file(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1)},
	{"shape of text", `got "1", want a whole number`, file(`{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1)},
	{"shape null", `want '['`, file(`{"a":{"dtype":"U8","shape":null,"data_offsets":[0,1]}}`, 1)},
	{"shape overflows", "larger than any file", file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0)},
	{"shape overflows to the right size", "larger than any file", file(`{"a":{"dtype":"U8","shape":[4611686018427387905,4],"data_offsets":[0,4]}}`, 4)},
	{"half a byte", "not whole bytes", file(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1)},
	{"one offset", "1 numbers, want 2", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1)},
	{"offset beyond int64", "want a whole number", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,9223372036854775808]}}`, 1)},
	{"offsets backwards", "run backwards", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1)},
	{"size differs from shape", "data_offsets span 3 bytes, shape [2] of U16 needs 4", file(`{"a":{"dtype":"U16","shape":[2],"data_offsets":[0,3]}}`, 3)},
	{"overlap", `tensor "b": bytes 1 to 3 overlap`, file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3)},
	{"same bytes twice", "overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2)},
	{"hole", `tensor "b": starts at byte 3, the tensor before ends at 2`, file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4)},
	{"first tensor not at 0", "a hole", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2)},
	{"data cut", "file is truncated", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 3)},
	{"bytes behind the last tensor", "1 bytes belong to no tensor", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 5)},
	{"deep nesting", "nested deeper than 16", file(`{"a":{"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}}`, 0)},
}

func TestBrokenFileIsRefused(t *testing.T) {
	for _, test := range broken {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := read(test.file)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "model.safetensors: ") {
				t.Errorf("got %q, want it to begin with the file and contain %q", err, test.want)
			}
		})
	}
}

func TestReadAtStaysInsideTheTensor(t *testing.T) {
	b := file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, 8)
	tensors, _, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	a := tensors[0]
	for _, test := range []struct {
		off, length int64
		want        []byte
		err         error
	}{
		{0, 4, []byte{0, 1, 2, 3}, nil},
		{1, 2, []byte{1, 2}, nil},
		{2, 4, []byte{2, 3}, io.EOF},
		{4, 1, []byte{}, io.EOF},
		{1 << 62, 1, []byte{}, io.EOF},
		{4, 0, []byte{}, nil},
	} {
		p := make([]byte, test.length)
		n, err := a.ReadAt(p, test.off)
		if err != test.err || !bytes.Equal(p[:n], test.want) {
			t.Errorf("ReadAt(%d bytes, %d) = %v, %v; want %v, %v", test.length, test.off, p[:n], err, test.want, test.err)
		}
	}
	if _, err := a.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("negative offset accepted")
	}
}

func TestReadAtNamesTensorAndFileWhenTheFileShrank(t *testing.T) {
	b := file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4)
	tensors, _, err := ReadHeader(bytes.NewReader(b[:len(b)-2]), int64(len(b)), "model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	n, err := tensors[0].ReadAt(make([]byte, 4), 0)
	if n != 2 || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), `tensor "a" in model.safetensors: read 2 of 4 bytes`) {
		t.Errorf("got %d, %v", n, err)
	}
}

func FuzzReadHeader(f *testing.F) {
	for _, test := range broken {
		f.Add(test.file)
	}
	f.Add(file(`{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}`, 24))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, _, err := read(b)
		if err != nil {
			return
		}
		// Accepted tensors cover the data exactly and can all be read.
		total := int64(0)
		for i, x := range tensors {
			if i > 0 && tensors[i-1].Name >= x.Name {
				t.Errorf("tensor %q after %q", x.Name, tensors[i-1].Name)
			}
			if n, err := x.ReadAt(make([]byte, x.Size), 0); int64(n) != x.Size && x.Size > 0 {
				t.Errorf("tensor %q: %d of %d bytes: %v", x.Name, n, x.Size, err)
			}
			total += x.Size
		}
		if base := 8 + int64(binary.LittleEndian.Uint64(b)); base+total != int64(len(b)) {
			t.Errorf("tensors take %d bytes, file has %d after its header", total, int64(len(b))-base)
		}
	})
}
