package hf

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// weights is a safetensors file with a byte tensor of length n for each name.
func weights(n int, names ...string) string {
	header := map[string]any{}
	for i, name := range names {
		header[name] = map[string]any{"dtype": "U8", "shape": []int{n}, "data_offsets": []int{i * n, (i + 1) * n}}
	}
	text, _ := json.Marshal(header)
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	b = append(b, text...)
	for i := range names {
		b = append(b, strings.Repeat(string(rune('a'+i%26)), n)...)
	}
	return string(b)
}

// index is a model.safetensors.index.json from pairs of tensor and shard.
func index(pairs ...string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	text, _ := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": m})
	return string(text)
}

func writeFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const shard1, shard2, shard3 = "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"

func TestOpenDir(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"single file": {"config.json": "{}", singleFile: weights(4, "a", "b", "c")},
		"sharded": {
			indexFile: index("a", shard2, "b", shard1, "c", shard3),
			shard1:    weights(4, "b"), shard2: weights(4, "a"), shard3: weights(4, "c"),
		},
		"shards below the folder": {
			indexFile:                index("a", "w/1.safetensors", "b", "w/1.safetensors", "c", "w/2.safetensors"),
			"w/1.safetensors":        weights(4, "a", "b"),
			"w/2.safetensors":        weights(4, "c"),
			"original/x.safetensors": "not looked at",
		},
		"single file goes before an index": {singleFile: weights(4, "a", "b", "c"), indexFile: index("z", shard1)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeFolder(t, files)
			c, err := OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.Name != "tiny" || c.Dir != dir || c.Repo != "" || len(c.Tensors) != 3 {
				t.Errorf("got %+v", c)
			}
			for _, name := range []string{"a", "b", "c"} {
				x, ok := c.Tensor(name)
				if !ok {
					t.Fatalf("tensor %q is not found", name)
				}
				p := make([]byte, 4)
				if _, err := x.ReadAt(p, 0); err != nil || !strings.Contains(files[x.File], string(p)) {
					t.Errorf("tensor %q: %q, %v", name, p, err)
				}
			}
			if _, ok := c.Tensor("nope"); ok {
				t.Error("found a tensor that isn't there")
			}
		})
	}
}

func TestOpenDirSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		kind  error
		want  string
	}{
		{"nothing", nil, ErrNoWeights, "no weights: neither model.safetensors nor model.safetensors.index.json"},
		{"broken PyTorch weights", map[string]string{"pytorch_model.bin": "x"}, nil, "pytorch_model.bin: begins neither as a zip archive"},
		{"PyTorch shards without index", map[string]string{"pytorch_model-00001-of-00002.bin": "x"}, ErrIncomplete, "no pytorch_model.bin.index.json"},
		{"PyTorch index of safetensors", map[string]string{torchIndexFile: index("a", shard1)}, nil, `shard "model-00001-of-00003.safetensors" is not a .bin file`},
		{"PyTorch shard missing", map[string]string{torchIndexFile: index("a", "pytorch_model-00001-of-00001.bin")}, ErrIncomplete, "shard pytorch_model-00001-of-00001.bin is missing"},
		{"adapter", map[string]string{"adapter_model.safetensors": "x"}, ErrNoWeights, "is an adapter"},
		{"consolidated layout", map[string]string{"consolidated.safetensors": "x"}, ErrNoWeights, "consolidated layout"},
		{"GGUF files", map[string]string{"m-Q4_K_M.gguf": "x"}, ErrNoWeights, "has GGUF files"},
		{"shards without index", map[string]string{shard1: weights(1, "a")}, ErrIncomplete, "no model.safetensors.index.json"},
		{"one shard missing", map[string]string{indexFile: index("a", shard1, "b", shard2, "c", shard3), shard1: weights(1, "a"), shard3: weights(1, "c")},
			ErrIncomplete, "shard model-00002-of-00003.safetensors is missing (2 of 3 present)"},
		{"two shards missing", map[string]string{indexFile: index("a", shard1, "b", shard2, "c", shard3), shard1: weights(1, "a")},
			ErrIncomplete, "shards model-00002-of-00003.safetensors and model-00003-of-00003.safetensors are missing (1 of 3 present)"},
		{"tensor missing from its shard", map[string]string{indexFile: index("a", shard1, "b", shard1), shard1: weights(1, "a")},
			ErrIncomplete, `tensor "b" is in model.safetensors.index.json, but not in shard model-00001-of-00003.safetensors`},
		{"tensor in another shard", map[string]string{indexFile: index("a", shard1, "b", shard2), shard1: weights(1, "a", "b"), shard2: weights(1, "b")},
			ErrIncomplete, `shard model-00001-of-00003.safetensors holds tensor "b", which model.safetensors.index.json has in model-00002-of-00003.safetensors`},
		{"tensor not in the index", map[string]string{indexFile: index("a", shard1), shard1: weights(1, "a", "b")},
			ErrIncomplete, `holds tensor "b", which model.safetensors.index.json doesn't list`},
		{"no tensor", map[string]string{singleFile: weights(1)}, ErrNoWeights, "weights hold no tensor"},
		{"broken shard", map[string]string{indexFile: index("a", shard1), shard1: "short"}, nil, "model-00001-of-00003.safetensors: file has 5 bytes"},
		{"index is not JSON", map[string]string{indexFile: "<html>"}, nil, "model.safetensors.index.json: "},
		{"index without weight_map", map[string]string{indexFile: "{}"}, nil, "weight_map is missing or empty"},
		{"shard above the folder", map[string]string{indexFile: index("a", "../x.safetensors")}, nil, `file name "../x.safetensors" leads out of the model's folder`},
		{"shard above the folder, hidden", map[string]string{indexFile: index("a", "w/../../x.safetensors")}, nil, "leads out of the model's folder"},
		{"shard with an absolute path", map[string]string{indexFile: index("a", "/etc/x.safetensors")}, nil, "leads out of the model's folder"},
		{"shard with a backslash", map[string]string{indexFile: index("a", `..\x.safetensors`)}, nil, "leads out of the model's folder"},
		{"shard on a drive", map[string]string{indexFile: index("a", `c:x.safetensors`)}, nil, "leads out of the model's folder"},
		{"shard of another kind", map[string]string{indexFile: index("a", "config.json")}, nil, `shard "config.json" is not a .safetensors file`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := writeFolder(t, test.files)
			c, err := OpenDir(dir)
			if err == nil {
				c.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %q, want it to name the folder and contain %q", err, test.want)
			}
			if test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("got %v, want it to be %v", err, test.kind)
			}
		})
	}
}

// torchModel is a model in two shards that PyTorch wrote, and the same as safetensors.
func torchModel(t *testing.T) (files map[string]string, twin string) {
	t.Helper()
	files = map[string]string{"config.json": "{}"}
	for _, name := range []string{torchIndexFile, "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", singleFile} {
		b, err := os.ReadFile(filepath.Join("torchfile", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	twin = files[singleFile]
	delete(files, singleFile)
	return files, twin
}

// sameTensors compares a checkpoint's tensors, values included, with those of a safetensors file.
func sameTensors(t *testing.T, c *Checkpoint, twin string) {
	t.Helper()
	want, err := OpenDir(writeFolder(t, map[string]string{singleFile: twin}))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if len(c.Tensors) != len(want.Tensors) {
		t.Fatalf("%d tensors, want %d", len(c.Tensors), len(want.Tensors))
	}
	for i, w := range want.Tensors {
		g := c.Tensors[i]
		a, b := make([]byte, w.Size), make([]byte, w.Size)
		_, err1 := w.ReadAt(a, 0)
		_, err2 := g.ReadAt(b, 0)
		if err1 != nil || err2 != nil || g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) || !bytes.Equal(a, b) {
			t.Errorf("got %s %s %v, want %s %s %v with the same values; %v, %v", g.Name, g.DType, g.Shape, w.Name, w.DType, w.Shape, err1, err2)
		}
	}
}

func TestOpenDirReadsShardsOfPyTorch(t *testing.T) {
	files, twin := torchModel(t)
	c, err := OpenDir(writeFolder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sameTensors(t, c, twin)
}

func TestSafetensorsGoBeforePyTorch(t *testing.T) {
	files, _ := torchModel(t)
	files["pytorch_model.bin"] = files["pytorch_model-00001-of-00002.bin"]
	files[indexFile] = index("a", shard1)
	files[shard1] = weights(1, "a")
	c, err := OpenDir(writeFolder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.Tensors) != 1 || c.Tensors[0].File != shard1 {
		t.Errorf("got %d tensors, the first of %s", len(c.Tensors), c.Tensors[0].File)
	}
}

func TestAbsentFolderIsNotExist(t *testing.T) {
	_, err := OpenDir(filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestOpenDirOfACacheSnapshotKnowsItsRepository(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	root := filepath.Join(t.TempDir(), "models--org--na-me")
	dir := filepath.Join(root, "snapshots", commit)
	for _, d := range []string{dir, filepath.Join(root, "blobs")} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"config.json": `{"a":1}`, singleFile: weights(2, "x")} {
		blob := "etag-" + name
		if err := os.WriteFile(filepath.Join(root, "blobs", blob), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..", "..", "blobs", blob), filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	c, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Repo != "org/na-me" || c.Name != "na-me" || c.Commit != commit || c.Revision != "" {
		t.Errorf("got %+v", c)
	}
	if b, err := c.ReadFile("config.json"); string(b) != `{"a":1}` {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestReadFile(t *testing.T) {
	dir := writeFolder(t, map[string]string{singleFile: weights(1, "a"), "config.json": "{}", "sub/x.json": "1"})
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), []byte("s"), 0o666); err != nil {
		t.Fatal(err)
	}
	big, err := os.Create(filepath.Join(dir, "big.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(big.Truncate(maxSmallFile+1), big.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := c.ReadFile("sub/x.json"); err != nil || string(b) != "1" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := c.ReadFile("none.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: got %v, want fs.ErrNotExist", err)
	}
	for _, name := range []string{"../secret", "/etc/passwd", "sub/../../secret", "", ".", "sub", "big.json"} {
		if b, err := c.ReadFile(name); err == nil {
			t.Errorf("read %d bytes of %q", len(b), name)
		}
	}
}

func TestTensorsCantBeReadAfterClose(t *testing.T) {
	c, err := OpenDir(writeFolder(t, map[string]string{singleFile: weights(1, "a")}))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tensors[0].ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v, want fs.ErrClosed", err)
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(index("a", shard1, "b", shard2)))
	f.Add([]byte(index("a", "../x.safetensors")))
	f.Add([]byte(`{"weight_map":{"a":null}}`))
	f.Add([]byte(`{"weight_map":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseIndex(data, ".safetensors")
		if err != nil {
			return
		}
		for _, shard := range l.shards {
			if !filepath.IsLocal(filepath.FromSlash(shard)) {
				t.Errorf("shard %q leads out of the folder", shard)
			}
		}
	})
}
