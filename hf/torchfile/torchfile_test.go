package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

func open(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(b []byte) ([]*safetensors.Tensor, error) {
	return ReadHeader(bytes.NewReader(b), int64(len(b)), "model.bin")
}

// TestFilesOfPyTorchHoldWhatTheirSafetensorsTwinHolds reads files that PyTorch wrote (testdata/make.py): transposed and
// strided views, shared storages, parameters, all formats.
func TestFilesOfPyTorchHoldWhatTheirSafetensorsTwinHolds(t *testing.T) {
	twin := open(t, "tensors.safetensors")
	want, _, err := safetensors.ReadHeader(bytes.NewReader(twin), int64(len(twin)), "tensors.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tensors.bin", "legacy.bin"} {
		got, err := read(open(t, name))
		if err != nil {
			t.Fatal(name, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d tensors, want %d", name, len(got), len(want))
		}
		for i, w := range want {
			g := got[i]
			if g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) || g.Size != w.Size || g.File != "model.bin" {
				t.Errorf("%s: got %s %s %v of %d bytes, want %s %s %v of %d", name, g.Name, g.DType, g.Shape, g.Size, w.Name, w.DType, w.Shape, w.Size)
				continue
			}
			wantBytes := make([]byte, w.Size)
			if _, err := w.ReadAt(wantBytes, 0); err != nil && w.Size > 0 {
				t.Fatal(err)
			}
			for from := range max(1, w.Size) { // every part of every tensor
				for to := from; to <= w.Size; to++ {
					p := make([]byte, to-from)
					if _, err := g.ReadAt(p, from); err != nil && len(p) > 0 || !bytes.Equal(p, wantBytes[from:to]) {
						t.Fatalf("%s: %s: bytes %d to %d are %x, want %x; %v", name, w.Name, from, to, p, wantBytes[from:to], err)
					}
				}
			}
			if n, err := g.ReadAt(make([]byte, 1), w.Size); n != 0 || err != io.EOF {
				t.Errorf("%s: %s: read behind its end: %d, %v", name, w.Name, n, err)
			}
		}
	}
}

// countingReader notes which bytes are read.
type countingReader struct {
	*bytes.Reader
	n int
}

func (r *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	r.n += n
	return n, err
}

func TestHeaderIsReadWithoutTheWeights(t *testing.T) {
	b := archive(program(tensorOf("w", "1000000", "1000000")), map[string]int{"0": 4_000_000})
	r := &countingReader{Reader: bytes.NewReader(b)}
	if _, err := ReadHeader(r, int64(len(b)), "model.bin"); err != nil {
		t.Fatal(err)
	}
	if r.n > 200_000 {
		t.Errorf("read %d bytes of %d", r.n, len(b))
	}
}

// The words of pickles that follow are those of Python's pickletools.

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func number(s string) string { // LONG1 of 8 bytes
	n := int64(0)
	for _, c := range strings.TrimPrefix(s, "-") {
		n = n*10 + int64(c-'0')
	}
	if strings.HasPrefix(s, "-") {
		n = -n
	}
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func tupleOf(items ...string) string { return "(" + strings.Join(items, "") + "t" }

func storageOf(class, key, values string) string {
	return tupleOf(text("storage"), "c"+class+"\n", text(key), text("cpu"), number(values)) + "Q"
}

const float = "torch\nFloatStorage"

func rebuild(storage, offset, shape, strides string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n" + tupleOf(storage, offset, shape, strides, "\x89", "ccollections\nOrderedDict\n)R") + "R"
}

// tensorOf is an entry of a dictionary: a vector in storage 0.
func tensorOf(name, n, values string) string {
	return text(name) + rebuild(storageOf(float, "0", values), number("0"), tupleOf(number(n)), tupleOf(number("1")))
}

// program is the pickle of a dictionary.
func program(entries ...string) string { return "\x80\x02}(" + strings.Join(entries, "") + "u." }

// archive is a file of torch.save with storages of so many bytes.
func archive(pickle string, storages map[string]int) []byte {
	return zipOf(func(w *zip.Writer, put func(name string, data []byte)) {
		put("m/data.pkl", []byte(pickle))
		for key, n := range storages {
			put("m/data/"+key, make([]byte, n))
		}
	})
}

func zipOf(fill func(w *zip.Writer, put func(name string, data []byte))) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	fill(w, func(name string, data []byte) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			panic(err)
		}
	})
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// legacy is a file of the old format with pickles of the system, the tensors and the keys, and what follows.
func legacy(system, object, keys, data string) []byte {
	return []byte(legacyMagic + legacyProtocol + system + object + keys + data)
}

const (
	noSystem = "\x80\x02}."
	count2   = "\x02\x00\x00\x00\x00\x00\x00\x00"
)

func keys(list ...string) string {
	s := "\x80\x02]("
	for _, k := range list {
		s += text(k)
	}
	return s + "e."
}

var good = program(tensorOf("w", "2", "2"))

// broken has one file for each rule.
func broken() []struct {
	name, want string
	file       []byte
} {
	one := map[string]int{"0": 8}
	vector := func(storage, offset, shape, strides string) []byte {
		return archive(program(text("w")+rebuild(storage, offset, shape, strides)), one)
	}
	f8 := storageOf(float, "0", "2")
	cut := archive(good, one)
	return []struct {
		name, want string
		file       []byte
	}{
		{"empty", "not a PyTorch file", nil},
		{"text", "not a PyTorch file", []byte("hello, world")},
		{"safetensors", "not a PyTorch file", []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}")},
		{"archive cut", "zip archive:", cut[:len(cut)-30]},
		{"archive without pickle", "no data.pkl", zipOf(func(_ *zip.Writer, put func(string, []byte)) { put("m/x", nil) })},
		{"two pickles", "want one pickle", zipOf(func(_ *zip.Writer, put func(string, []byte)) {
			put("a/data.pkl", []byte(good))
			put("b/data.pkl", []byte(good))
		})},
		{"a name twice", `"m/data/0" is there twice`, zipOf(func(_ *zip.Writer, put func(string, []byte)) {
			put("m/data.pkl", []byte(good))
			put("m/data/0", make([]byte, 8))
			put("m/data/0", make([]byte, 8))
		})},
		{"big-endian", `byteorder is "big"`, zipOf(func(_ *zip.Writer, put func(string, []byte)) {
			put("m/data.pkl", []byte(good))
			put("m/byteorder", []byte("big"))
		})},
		{"pickle compressed", "is compressed", zipOf(func(w *zip.Writer, _ func(string, []byte)) {
			f, _ := w.Create("m/data.pkl")
			io.WriteString(f, good)
		})},
		{"pickle too long", "more than 8388608 is not read", zipOf(func(_ *zip.Writer, put func(string, []byte)) {
			put("m/data.pkl", make([]byte, maxPickle+1))
		})},

		{"runs a program", `calls for "posix.system"`, archive("\x80\x02cposix\nsystem\n"+text("id")+"\x85R.", nil)},
		{"runs a program, new words", `calls for "builtins.eval"`, archive("\x80\x04"+text("builtins")+text("eval")+"\x93"+text("1")+"\x85R.", nil)},
		{"makes an object", `calls for "torch.nn.modules.linear.Linear"`, archive("\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81.", nil)},
		{"a function that looks like ours", `calls for "torch._utils._rebuild_qtensor"`, archive("\x80\x02ctorch._utils\n_rebuild_qtensor\n)R.", nil)},
		{"a function named with a number", "names a function with the value 1", archive("\x80\x04K\x01K\x02\x93.", nil)},
		{"calls a class of storages", "calls torch.FloatStorage", archive("\x80\x02c"+float+"\n)R.", nil)},
		{"calls without a tuple", "with a dictionary", archive("\x80\x02ccollections\nOrderedDict\n}R.", nil)},
		{"old way to a function", "instruction 0x69", archive("\x80\x02(iposix\nsystem\n.", nil)},
		{"extension registry", "instruction 0x82", archive("\x80\x02\x82\x01.", nil)},
		{"state of a tensor", "sets the state of a tensor", archive("\x80\x02"+rebuild(f8, number("0"), tupleOf(number("2")), tupleOf(number("1")))+"}b.", one)},
		{"a name without end", "longer than 256 bytes", archive("\x80\x02c"+strings.Repeat("a", 300), nil)},

		{"protocol of the future", "pickle protocol 9", archive("\x80\x09}.", nil)},
		{"pickle cut", "ends early", archive(good[:len(good)-10], one)},
		{"text longer than the pickle", "ends early: wants 4294967295 bytes", archive("\x80\x02X\xff\xff\xff\xff.", nil)},
		{"nothing to take", "takes a value where there is none", archive("\x80\x02R.", nil)},
		{"takes below a mark", "takes a value where there is none", archive("\x80\x02}(s.", nil)},
		{"no mark", "a mark where there is none", archive("\x80\x02}u.", nil)},
		{"keeps nothing", "keeps a value where there is none", archive("\x80\x02q\x01.", nil)},
		{"takes what was not kept", "takes value 7", archive("\x80\x02h\x07.", nil)},
		{"values left over", "values left over", archive("\x80\x02}}.", nil)},
		{"odd items", "puts 1 keys and values", archive("\x80\x02}(K\x01u.", nil)},
		{"appends to a dictionary", "appends to a dictionary", archive("\x80\x02}(K\x01e.", nil)},
		{"long number", "a number of 9 bytes", archive("\x80\x02\x8a\x09123456789.", nil)},
		{"too many values", "more than 65536 values at once", archive("\x80\x02"+strings.Repeat("N", maxDepth+1)+".", nil)},
		{"too many marks", "more than 65536 marks at once", archive("\x80\x02"+strings.Repeat("(", maxDepth+1)+".", nil)},

		{"not a dictionary", "holds a list, want a dictionary", archive("\x80\x02].", nil)},
		{"key is a number", "a key is the value 1", archive("\x80\x02}(K\x01N"+"u.", nil)},
		{"value is no tensor", `"epoch" is the value 3, want a tensor`, archive(program(text("epoch")+"K\x03"), nil)},
		{"nested", `"model" is a dictionary`, archive(program(text("model")+"}"), nil)},
		{"same tensor twice", `tensor "w": there twice`, archive(program(tensorOf("w", "2", "2"), tensorOf("w", "2", "2")), one)},
		{"pairs that are none", "want a pair", archive("\x80\x02ccollections\nOrderedDict\n](K\x01e\x85R.", nil)},

		{"persistent id of something else", "want that of a storage", archive("\x80\x02"+text("module")+"Q.", nil)},
		{"storage of an unknown class", `calls for "torch.QInt8Storage"`, archive(program(text("w")+rebuild(storageOf("torch\nQInt8Storage", "0", "2"), number("0"), tupleOf(number("2")), tupleOf(number("1")))), one)},
		{"storage of a function", "persistent id of a storage", archive(program(text("w")+rebuild(storageOf("collections\nOrderedDict", "0", "2"), number("0"), tupleOf(number("2")), tupleOf(number("1")))), one)},
		{"storage of fewer than no values", "persistent id of a storage", vector(storageOf(float, "0", "-2"), number("0"), tupleOf(number("2")), tupleOf(number("1")))},
		{"storage missing", `no "m/data/0" in the archive`, archive(good, nil)},
		{"storage too short", `storage "0": 4 bytes, 2 values of float32 need 8`, archive(good, map[string]int{"0": 4})},
		{"storage too long", `storage "0": 12 bytes`, archive(good, map[string]int{"0": 12})},
		{"storage overflows", "larger than any file", vector(storageOf(float, "0", "9223372036854775807"), number("0"), tupleOf(number("2")), tupleOf(number("1")))},
		{"storage with two classes", "and before it was", archive(program(tensorOf("a", "2", "2"), text("b")+rebuild(storageOf("torch\nIntStorage", "0", "2"), number("0"), tupleOf(number("2")), tupleOf(number("1")))), one)},

		{"offset negative", "offset is the value -1", vector(f8, number("-1"), tupleOf(number("2")), tupleOf(number("1")))},
		{"offset behind the storage", "offset is the value 3", vector(f8, number("3"), tupleOf(number("1")), tupleOf(number("1")))},
		{"one value behind the storage", "one value from 2 on", vector(f8, number("2"), ")", ")")},
		{"shape beyond the storage", "storage \"0\" has 2 values", vector(f8, number("1"), tupleOf(number("2")), tupleOf(number("1")))},
		{"shape overflows", "storage \"0\" has 2 values", vector(f8, number("0"), tupleOf(number("4294967296"), number("4294967296")), tupleOf(number("0"), number("0")))},
		{"values again and again", "storage \"0\" has 2 values", vector(f8, number("0"), tupleOf(number("2"), number("2")), tupleOf(number("0"), number("1")))},
		{"stride overflows", "storage \"0\" has 2 values", vector(f8, number("0"), tupleOf(number("2")), tupleOf(number("9223372036854775807")))},
		{"stride negative", "the value -1, want a whole number", vector(f8, number("1"), tupleOf(number("2")), tupleOf(number("-1")))},
		{"shape of texts", "want a whole number", vector(f8, number("0"), tupleOf(text("2")), tupleOf(number("1")))},
		{"shape is a list", "a list, want a tuple", vector(f8, number("0"), "]", ")")},
		{"fewer strides", "shape [2] with strides []", vector(f8, number("0"), tupleOf(number("2")), ")")},
		{"many dimensions", "more than 8 dimensions", vector(f8, number("0"), tupleOf(slices.Repeat([]string{"K\x01"}, 9)...), ")")},
		{"no storage", "nothing, want a storage", vector("N", number("0"), ")", ")")},
		{"few arguments", "0 arguments, want 4", archive("\x80\x02ctorch._utils\n_rebuild_tensor\n)R.", nil)},
		{"parameter of nothing", "no argument", archive("\x80\x02ctorch._utils\n_rebuild_parameter\n)R.", nil)},
		{"parameter of a text", `the text "x", want a tensor`, archive("\x80\x02ctorch._utils\n_rebuild_parameter\n"+text("x")+"\x85R.", nil)},
		{"format of a class that has its own", "want one of bytes", archive(program(text("w")+"ctorch._utils\n_rebuild_tensor_v3\n"+tupleOf(f8, "K\x00", ")", ")", "\x89", "N", "ctorch\nfloat8_e5m2\n")+"R"), one)},

		{"old, cut", "read the version", []byte(legacyMagic)},
		{"old, another version", "is not of version 1001", []byte(legacyMagic + "\x80\x02M\xe8\x03." + noSystem)},
		{"old, big-endian", "big-endian machine", legacy("\x80\x02}("+text("little_endian")+"\x89u.", good, keys("0"), count2+"12345678")},
		{"old, system runs a program", "pickle of the system: at byte 23: calls for", legacy("\x80\x02cposix\nsystem\n)R.", good, keys("0"), "")},
		{"old, tensors run a program", `calls for "posix.system"`, legacy(noSystem, "\x80\x02cposix\nsystem\n)R.", keys("0"), "")},
		{"old, keys are no list", "want a list", legacy(noSystem, good, "\x80\x02}.", count2+"12345678")},
		{"old, a key too many", `storage "1" belongs to no tensor`, legacy(noSystem, good, keys("0", "1"), count2+"12345678")},
		{"old, a key missing", `storage "0" is missing`, legacy(noSystem, good, keys(), "")},
		{"old, data cut", "file is truncated", legacy(noSystem, good, keys("0"), count2+"1234567")},
		{"old, data too long", "storages end at byte", legacy(noSystem, good, keys("0"), count2+"123456789")},
		{"old, larger than the file", "file is truncated", legacy(noSystem, program(tensorOf("w", "2", "2000")), keys("0"), count2)},
	}
}

func TestBrokenFileIsRefused(t *testing.T) {
	if _, err := read(archive(good, map[string]int{"0": 8})); err != nil {
		t.Fatal("the file that the others are made from:", err)
	}
	if _, err := read(legacy(noSystem, good, keys("0"), count2+"12345678")); err != nil {
		t.Fatal("the old file that the others are made from:", err)
	}
	for _, test := range broken() {
		t.Run(test.name, func(t *testing.T) {
			_, err := read(test.file)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "model.bin: ") {
				t.Errorf("got %q, want it to begin with the file and contain %q", err, test.want)
			}
		})
	}
}

// TestWhatOnlyShowsWithTheWeightsIsRefusedThen has files whose directory is right and whose data is not.
func TestWhatOnlyShowsWithTheWeightsIsRefusedThen(t *testing.T) {
	compressed := zipOf(func(w *zip.Writer, put func(string, []byte)) {
		put("m/data.pkl", []byte(good))
		f, _ := w.Create("m/data/0")
		f.Write(make([]byte, 8))
	})
	noHeader := archive(good, map[string]int{"0": 8})
	at := bytes.LastIndex(noHeader[:bytes.Index(noHeader, []byte("PK\x01\x02"))], []byte("PK\x03\x04"))
	noHeader[at] = 'X'
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"compressed":         {compressed, "is compressed"},
		"no header":          {noHeader, "not a valid zip file"},
		"old, another count": {legacy(noSystem, good, keys("0"), "\x03\x00\x00\x00\x00\x00\x00\x00"+"12345678"), "3 values, its tensors speak of 2"},
	} {
		tensors, err := read(test.file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 2 {
			if _, err := tensors[0].ReadAt(make([]byte, 8), 0); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `tensor "w" in model.bin`) {
				t.Errorf("%s: got %v, want it to name the tensor and contain %q", name, err, test.want)
			}
		}
	}
}

func TestCodeErrorSaysWhatToDo(t *testing.T) {
	_, err := read(archive("\x80\x02cposix\nsystem\n)R.", nil))
	var code *CodeError
	if !errors.As(err, &code) || code.Name != "posix.system" || !strings.Contains(code.Hint(), "safetensors") {
		t.Errorf("got %v", err)
	}
}

// TestNewFormatsAreNamedByTheirTensors reads what PyTorch 2.1 and later write for FP8: a storage of bytes.
func TestNewFormatsAreNamedByTheirTensors(t *testing.T) {
	file := archive(program(text("w")+"ctorch._utils\n_rebuild_tensor_v3\n"+
		tupleOf(storageOf("torch.storage\nUntypedStorage", "0", "8"), "K\x02", tupleOf("K\x03", "K\x02"), tupleOf("K\x02", "K\x01"), "\x89", "N", "ctorch\nfloat8_e4m3fn\n", "}")+"R"), map[string]int{"0": 8})
	tensors, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	if x := tensors[0]; x.DType != safetensors.F8E4M3 || !slices.Equal(x.Shape, []int64{3, 2}) || x.Size != 6 {
		t.Errorf("got %s %v of %d bytes", x.DType, x.Shape, x.Size)
	}
}

func FuzzReadHeader(f *testing.F) {
	for _, test := range broken() {
		if len(test.file) < 1<<16 {
			f.Add(test.file)
		}
	}
	f.Add(archive(good, map[string]int{"0": 8}))
	f.Add(legacy(noSystem, good, keys("0"), count2+"12345678"))
	f.Add(open(f, "tensors.bin"))
	f.Add(open(f, "legacy.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, err := read(b)
		if err != nil {
			return
		}
		for _, x := range tensors {
			if x.Size > int64(len(b)) {
				t.Fatalf("tensor %q: %d bytes in a file of %d", x.Name, x.Size, len(b))
			}
			x.ReadAt(make([]byte, x.Size), 0)
		}
	})
}

// FuzzPickle runs the interpreter alone, which the checksums of archives would keep a fuzzer from.
func FuzzPickle(f *testing.F) {
	for _, test := range broken() {
		if r, err := zip.NewReader(bytes.NewReader(test.file), int64(len(test.file))); err == nil && len(test.file) < 1<<16 {
			for _, m := range r.File {
				if file, err := m.Open(); err == nil && strings.HasSuffix(m.Name, ".pkl") {
					p, _ := io.ReadAll(file)
					f.Add(p)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		storages := map[string]*storage{}
		m := machine{in: stream{r: bytes.NewReader(b), end: int64(len(b))}}
		m.storage = func(key string, typ storageType, values int64) (*storage, error) {
			s := &storage{key: key, typ: typ, values: values, data: bytes.NewReader(make([]byte, 64))}
			return shared(storages, s, 64)
		}
		top, err := m.run()
		if err != nil {
			return
		}
		tensors, _ := tensorsOf(top, "model.bin")
		for _, x := range tensors {
			if x.Size > 64 {
				t.Fatalf("tensor %q: %d bytes in a storage of 64", x.Name, x.Size)
			}
			if n, err := x.ReadAt(make([]byte, x.Size), 0); int64(n) != x.Size {
				t.Fatalf("tensor %q: read %d of %d bytes: %v", x.Name, n, x.Size, err)
			}
		}
	})
}
