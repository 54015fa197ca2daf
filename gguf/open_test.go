package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes a file whose tensors are all F32 vectors of 4, tensor i filled with the byte fill+i.
func write(t *testing.T, path string, meta *Metadata, fill byte, names ...string) {
	t.Helper()
	tensors := make([]TensorInfo, len(names))
	for i, name := range names {
		tensors[i] = TensorInfo{Name: name, Type: F32, Shape: []int64{4}}
	}
	l, err := NewLayout(meta, tensors)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, l.Size())
	copy(b, l.Header())
	for i := range names {
		for j := range l.Tensors()[i].Size {
			b[l.Offset(i)+j] = fill + byte(i)
		}
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func splitKeys(no, count, tensors any) *Metadata {
	return metadata("split.no", no, "split.count", count, "split.tensors.count", tensors)
}

// splitModel makes a good model of three files in dir, for tests to break.
func splitModel(t *testing.T) (dir string) {
	dir = t.TempDir()
	first := splitKeys(uint16(0), uint16(3), int32(4))
	first.Set("general.name", "split model")
	write(t, filepath.Join(dir, "m-00001-of-00003.gguf"), first, 0, "a")
	write(t, filepath.Join(dir, "m-00002-of-00003.gguf"), splitKeys(uint16(1), uint16(3), int32(4)), 10, "b", "c")
	write(t, filepath.Join(dir, "m-00003-of-00003.gguf"), splitKeys(uint16(2), uint16(3), int32(4)), 20, "d")
	return dir
}

func TestOpenFindsAllShardsFromAnyOfThem(t *testing.T) {
	dir := splitModel(t)
	for no := 1; no <= 3; no++ {
		r, err := Open(filepath.Join(dir, ShardName("m", no, 3)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var got []string
		for i, tensor := range r.Tensors {
			b := make([]byte, 16)
			if _, err := r.ReadTensorAt(i, b, 0); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(tensor.Name, b[0], b[15]))
			file, at := r.Place(i)
			if whole, err := os.ReadFile(r.Paths[file]); err != nil || !bytes.Equal(whole[at:at+16], b) {
				t.Errorf("from shard %d: %s is not at byte %d of %s", no, tensor.Name, at, r.Paths[file])
			}
		}
		if diff := cmp.Diff([]string{"a0 0", "b10 10", "c11 11", "d20 20"}, got); diff != "" {
			t.Errorf("from shard %d (-want +got):\n%s", no, diff)
		}
		if diff := cmp.Diff(metadata("general.name", "split model").All(), r.Metadata.All()); diff != "" {
			t.Errorf("from shard %d (-want +got):\n%s", no, diff)
		}
		if len(r.Paths) != 3 || filepath.Base(r.Paths[2]) != "m-00003-of-00003.gguf" {
			t.Errorf("from shard %d: paths %q", no, r.Paths)
		}
	}
}

func TestOpenRefusesBrokenSplits(t *testing.T) {
	tests := []struct {
		rule  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"missing shard", func(t *testing.T, dir string) { os.Remove(dir + "/m-00002-of-00003.gguf") },
			"shard 2 of 3: "},
		{"shards swapped", func(t *testing.T, dir string) {
			os.Rename(dir+"/m-00002-of-00003.gguf", dir+"/x")
			os.Rename(dir+"/m-00003-of-00003.gguf", dir+"/m-00002-of-00003.gguf")
			os.Rename(dir+"/x", dir+"/m-00003-of-00003.gguf")
		}, "m-00002-of-00003.gguf: split.no is 2, want 1"},
		{"shard of a model of other size", func(t *testing.T, dir string) {
			write(t, dir+"/m-00002-of-00003.gguf", splitKeys(uint16(1), uint16(4), int32(4)), 0, "b", "c")
		}, "m-00002-of-00003.gguf: split.count is 4, want 3"},
		{"shard that knows no place", func(t *testing.T, dir string) {
			write(t, dir+"/m-00002-of-00003.gguf", metadata(), 0, "b", "c")
		}, "m-00002-of-00003.gguf: no integer under split.no"},
		{"shard cut off", func(t *testing.T, dir string) { os.Truncate(dir+"/m-00003-of-00003.gguf", 170) },
			`shard 3 of 3: DIR/m-00003-of-00003.gguf: tensor "d": needs 16 bytes`},
		{"tensor in two shards", func(t *testing.T, dir string) {
			write(t, dir+"/m-00003-of-00003.gguf", splitKeys(uint16(2), uint16(3), int32(4)), 0, "b")
		}, `m-00003-of-00003.gguf: tensor "b" is also in m-00002-of-00003.gguf`},
		{"too few tensors", func(t *testing.T, dir string) {
			write(t, dir+"/m-00002-of-00003.gguf", splitKeys(uint16(1), uint16(3), int32(4)), 0, "b")
		}, "m-00001-of-00003.gguf: 3 tensors in 3 shards, split.tensors.count says 4"},
		{"number of tensors missing", func(t *testing.T, dir string) {
			write(t, dir+"/m-00001-of-00003.gguf", metadata("split.no", uint16(0), "split.count", uint16(3)), 0, "a")
		}, "m-00001-of-00003.gguf: no integer under split.tensors.count"},
		{"name says another count", func(t *testing.T, dir string) {
			write(t, dir+"/m-00001-of-00003.gguf", splitKeys(uint16(0), uint16(2), int32(1)), 0, "a")
		}, "m-00001-of-00003.gguf: split.count is 2, but its name says 3"},
		{"count that the name has no room for", func(t *testing.T, dir string) {
			write(t, dir+"/m-00001-of-00003.gguf", splitKeys(uint16(0), uint64(1<<40), int32(1)), 0, "a")
		}, "split.count is 1099511627776, but its name says 3"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			dir := splitModel(t)
			tt.spoil(t, dir)
			_, err := Open(filepath.Join(dir, "m-00001-of-00003.gguf"))
			want := strings.ReplaceAll(tt.want, "DIR", dir)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if missing := tt.rule == "missing shard"; errors.Is(err, fs.ErrNotExist) != missing {
				t.Errorf("errors.Is(err, fs.ErrNotExist) is %v", !missing)
			}
		})
	}
}

func TestOpenRefusesAShardUnderAnotherName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	write(t, path, splitKeys(uint16(0), uint16(3), int32(4)), 0, "a")
	_, err := Open(path)
	if err == nil || !strings.Contains(err.Error(), "one of 3 files of a split model: name must end in -00001-of-00003.gguf") {
		t.Errorf("got %v", err)
	}
}

func TestOpenTakesASplitOfOneForAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	write(t, path, splitKeys(uint16(0), uint16(1), int32(1)), 0, "a")
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Metadata.Len() != 0 || len(r.Tensors) != 1 || r.Version != 3 {
		t.Errorf("%d keys, %d tensors, version %d", r.Metadata.Len(), len(r.Tensors), r.Version)
	}
}

func TestOpenNamesWhatIsNoModel(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: got %v", err)
	}
	if _, err := Open(dir + "/none.gguf"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
	path := dir + "/text.gguf"
	os.WriteFile(path, []byte("hello"), 0o644)
	if _, err := Open(path); !errors.Is(err, ErrNotGGUF) || !strings.Contains(err.Error(), path) {
		t.Errorf("text: got %v", err)
	}
}

func TestReadTensorAtEndsWithTheTensor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	write(t, path, metadata(), 1, "a", "b")
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := make([]byte, 100)
	if n, err := r.ReadTensorAt(0, b, 6); n != 10 || err != io.EOF {
		t.Errorf("got %d bytes, %v, want 10 and EOF", n, err)
	}
	if _, err := r.ReadTensorAt(0, b, 16); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	if _, err := r.ReadTensorAt(0, b, -1); err == nil {
		t.Error("negative offset: no error")
	}
}
