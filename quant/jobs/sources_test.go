package jobs

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// torchModels writes the same small model twice: as PyTorch wrote it, in two shards of either format, and as safetensors.
func torchModels(t *testing.T) (bin, safe string) {
	t.Helper()
	c := archtest.New(archtest.Llama2)
	for key, v := range map[string]any{"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 64, "tie_word_embeddings": true} {
		c.Config[key] = v
	}
	root := t.TempDir()
	for kind, files := range map[string][]string{
		"bin":  {"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"},
		"safe": {"model.safetensors"},
	} {
		dir := filepath.Join(root, kind, "tiny-torch")
		c.Write(t, dir)
		if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			b, err := os.ReadFile(filepath.Join("..", "..", "hf", "torchfile", "testdata", name))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return filepath.Join(root, "bin", "tiny-torch"), filepath.Join(root, "safe", "tiny-torch")
}

// made quantizes a model and returns the files by their names; what was estimated must be what came out.
func made(t *testing.T, s *Service, r *Request) map[string][]byte {
	t.Helper()
	r.Dir = t.TempDir()
	e, err := s.Estimate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.Quantize(t.Context(), r, Silent{})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for i, o := range result.Outputs {
		b, err := os.ReadFile(o.Path)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(b)) != e.Outputs[i].Bytes {
			t.Errorf("%s: %d bytes, estimated were %d", o.Path, len(b), e.Outputs[i].Bytes)
		}
		files[filepath.Base(o.Path)] = b
	}
	return files
}

func sameFiles(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	for name, b := range want {
		if !bytes.Equal(got[name], b) {
			t.Errorf("%s: %d bytes that differ from the %d wanted", name, len(got[name]), len(b))
		}
	}
}

func TestPyTorchCheckpointGivesTheSameFilesAsSafetensors(t *testing.T) {
	t.Parallel()
	bin, safe := torchModels(t)
	types := []string{"F16", "Q8_0", "Q4_0"}
	s := newService(t, nil)
	sameFiles(t, made(t, s, &Request{Model: bin, Types: types}), made(t, s, &Request{Model: safe, Types: types}))

	const model = "org/tiny-torch"
	var files [2]map[string][]byte
	for i, dir := range []string{bin, safe} {
		hub := hubtest.New(t, map[string]fs.FS{model: os.DirFS(dir)})
		files[i] = made(t, hubService(t, hub), &Request{Model: model, Types: types})
		for name, b := range files[i] { // which records the commit
			files[i][name] = bytes.ReplaceAll(b, []byte(hub.Commit(model)), make([]byte, 40))
		}
	}
	sameFiles(t, files[0], files[1])
}
