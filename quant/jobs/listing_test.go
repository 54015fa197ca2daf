package jobs

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// writeGGUF writes a file of one tensor with the given metadata, and returns its bytes.
func writeGGUF(t testing.TB, path string, meta gguf.Metadata) []byte {
	t.Helper()
	l, err := gguf.NewLayout(&meta, []gguf.TensorInfo{{Name: "blk.0.attn_q.weight", Shape: []int64{32, 2}, Type: gguf.Q8_0}})
	if err != nil {
		t.Fatal(err)
	}
	b := append(l.Header(), make([]byte, l.Size()-int64(len(l.Header())))...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnyFileInAllowedFoldersCanBeInspected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newService(t, map[string]string{"MODELS_DIR": dir})
	var meta gguf.Metadata
	meta.Set("general.architecture", "strange")
	meta.Set("general.file_type", uint32(7))
	meta.Set("nan", float32(math.NaN()))
	meta.Set("tokens", slices.Repeat([]string{"a"}, 100))
	meta.Set("bytes", []uint8{1, 2})
	meta.Set("template", strings.Repeat("x", shownText+1))
	path := filepath.Join(dir, "sha256-0123") // as ollama names them
	b := writeGGUF(t, path, meta)
	in, err := s.InspectFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if in.Architecture != "strange" || in.FileType != "Q8_0" || in.Parameters != 64 || in.Bytes != 68 || len(in.Files) != 1 || in.Files[0].Bytes != int64(len(b)) {
		t.Errorf("got %+v", in)
	}
	if x := in.Tensors[0]; x.Type != "q8_0" || *x.Offset != int64(len(b))-96 || x.File != 0 || in.Histogram[0].Tensors != 1 {
		t.Errorf("tensor %+v, offset %d of %d", x, *x.Offset, len(b))
	}
	raw, err := json.Marshal(in) // which knows no NaN
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"value":"NaN"`, `"length":100,"value":["a","a","a","a","a","a","a","a"]`, `"value":[1,2]`, `"length":16385`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %.2000s", want, raw)
		}
	}
}

func TestFilesThatCanNotBeInspected(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	s := newService(t, map[string]string{"MODELS_DIR": dir})
	whole := writeGGUF(t, filepath.Join(elsewhere, "whole.gguf"), gguf.Metadata{})
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link.gguf")
	if err := os.Symlink(filepath.Join(elsewhere, "whole.gguf"), link); err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct {
		name, path string
		class      Class
		hint       string
	}{
		{"text", write("text.gguf", []byte("this is no model")), Damaged, "letters GGUF"},
		{"empty", write("empty.gguf", nil), Damaged, "letters GGUF"},
		{"cut in the header", write("header.gguf", whole[:40]), Damaged, "ends before it should"},
		{"cut in the weights", write("weights.gguf", whole[:len(whole)-40]), Damaged, "ends before it should"},
		{"not there", filepath.Join(dir, "nothing.gguf"), NotFound, ""},
		{"a folder", dir, BadRequest, "in it"},
		{"nothing", " ", BadRequest, ""},
		{"elsewhere", filepath.Join(elsewhere, "whole.gguf"), Forbidden, dir},
		{"up and out", filepath.Join(dir, "..", filepath.Base(elsewhere), "whole.gguf"), Forbidden, dir},
		{"a link to elsewhere", link, Forbidden, dir},
	} {
		_, err := s.InspectFile(tt.path)
		if err == nil || ClassOf(err) != tt.class || !strings.Contains(HintOf(err), tt.hint) {
			t.Errorf("%s: got %v, class %d, hint %q", tt.name, err, ClassOf(err), HintOf(err))
		}
	}
	var e *DamagedError
	if _, err := s.InspectModel(t.Context(), filepath.Join(dir, "text.gguf"), ""); !errors.As(err, &e) {
		t.Errorf("as the model of a job: got %v", err)
	}
}

func TestFilesAreListed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newService(t, map[string]string{"MODELS_DIR": dir})
	for _, name := range []string{"a.gguf", "deep/er/B.GGUF", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "readme.txt", ".hidden/c.gguf", "pipe.gguf/d.gguf"} {
		writeGGUF(t, filepath.Join(dir, name), gguf.Metadata{})
	}
	elsewhere := filepath.Join(t.TempDir(), "secret.gguf")
	writeGGUF(t, elsewhere, gguf.Metadata{})
	if err := os.Symlink(elsewhere, filepath.Join(dir, "secret.gguf")); err != nil {
		t.Skip(err)
	}
	list, err := s.GGUFFiles(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range list.Files {
		rel, _ := filepath.Rel(dir, f.Path)
		got = append(got, filepath.ToSlash(rel))
	}
	slices.Sort(got)
	if want := []string{"a.gguf", "deep/er/B.GGUF", "m-00001-of-00002.gguf", "pipe.gguf/d.gguf"}; !slices.Equal(got, want) || list.Total != 4 || list.Partial {
		t.Errorf("got %q, total %d", got, list.Total)
	}
	if list, _ = s.GGUFFiles(t.Context(), "ER deep", 0); len(list.Files) != 1 {
		t.Errorf("a search: got %v", list.Files)
	}
	if list, _ = s.GGUFFiles(t.Context(), "", 3); len(list.Files) != 3 || list.Total != 4 {
		t.Errorf("a limit: got %v", list)
	}
}
