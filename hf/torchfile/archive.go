package torchfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
)

// readArchive reads the zip archive of PyTorch 1.6 and later (torch/serialization.py, _save):
//
//	NAME/data.pkl     the pickle
//	NAME/data/KEY     the bytes of each storage, not compressed
//	NAME/byteorder    "little" or "big"; missing in older files, which are little-endian
//
// Only the archive's directory and the pickle are read. Where exactly a storage's bytes begin is asked of the file when they
// are read for the first time, since each of them has a header of its own.
func readArchive(r io.ReaderAt, size int64) (any, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are compared, never opened
		return nil, fmt.Errorf("zip archive: %w", err)
	}
	files := map[string]*zip.File{}
	root, found := "", false
	for _, f := range archive.File {
		if files[f.Name] != nil {
			return nil, fmt.Errorf("zip archive: %q is there twice", f.Name)
		}
		files[f.Name] = f
		if dir, base := path.Split(f.Name); base == "data.pkl" && strings.Count(dir, "/") <= 1 {
			if found {
				return nil, fmt.Errorf("zip archive: %q and %q, want one pickle", root+base, f.Name)
			}
			root, found = dir, true
		}
	}
	if !found {
		return nil, errors.New("zip archive: no data.pkl: not a PyTorch file")
	}
	if f := files[root+"byteorder"]; f != nil {
		order := make([]byte, min(f.UncompressedSize64, 16))
		if err := readFull(&member{r: r, size: size, file: f}, order, 0); err != nil {
			return nil, err
		}
		if string(order) != "little" {
			return nil, fmt.Errorf("byteorder is %q, only little-endian weights can be read", order)
		}
	}
	pickle := &member{r: r, size: size, file: files[root+"data.pkl"]}
	if n := pickle.file.UncompressedSize64; n > maxPickle {
		return nil, fmt.Errorf("data.pkl: %d bytes, more than %d is not read", n, maxPickle)
	}
	storages := map[string]*storage{}
	m := machine{in: stream{r: pickle, end: int64(pickle.file.UncompressedSize64)}}
	m.storage = func(key string, typ storageType, values int64) (*storage, error) {
		f := files[root+"data/"+key]
		if f == nil {
			return nil, fmt.Errorf("storage %q: no %q in the archive", key, root+"data/"+key)
		}
		s := &storage{key: key, typ: typ, values: values, data: &member{r: r, size: size, file: f}}
		return shared(storages, s, f.UncompressedSize64)
	}
	top, err := m.run()
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	return top, nil
}

// shared returns the storage of s's key that was met before, or s; n is how many bytes the file has for it.
func shared(storages map[string]*storage, s *storage, n uint64) (*storage, error) {
	if want, err := s.bytes(); err != nil {
		return nil, err
	} else if n != uint64(want) {
		return nil, fmt.Errorf("storage %q: %d bytes, %d values of %s need %d", s.key, n, s.values, s.typ.name, want)
	}
	if old := storages[s.key]; old != nil {
		if old.values != s.values || old.typ != s.typ {
			return nil, fmt.Errorf("storage %q: %d values of %s, and before it was %d of %s", s.key, s.values, s.typ.name, old.values, old.typ.name)
		}
		return old, nil
	}
	storages[s.key] = s
	return s, nil
}

// member is the content of a file within the archive.
type member struct {
	r    io.ReaderAt
	size int64 // of the archive
	file *zip.File

	once  sync.Once
	first int64
	err   error
}

func (m *member) ReadAt(p []byte, off int64) (int, error) {
	m.once.Do(func() { m.first, m.err = m.locate() })
	if m.err != nil {
		return 0, m.err
	}
	n := int64(m.file.UncompressedSize64)
	if off < 0 || off > n {
		return 0, io.EOF
	}
	var end error
	if left := n - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	k, err := m.r.ReadAt(p, m.first+off)
	if k == len(p) {
		return k, end
	}
	return k, err
}

// locate finds where the content begins.
func (m *member) locate() (int64, error) {
	f := m.file
	if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 {
		return 0, fmt.Errorf("zip archive: %q is compressed, torch.save doesn't do that", f.Name)
	}
	if f.Flags&1 != 0 {
		return 0, fmt.Errorf("zip archive: %q is encrypted", f.Name)
	}
	first, err := f.DataOffset()
	if err != nil {
		return 0, fmt.Errorf("zip archive: %q: %w", f.Name, err)
	}
	if first < 0 || first > m.size || f.UncompressedSize64 > uint64(m.size-first) {
		return 0, fmt.Errorf("zip archive: %q: %d bytes from %d on, the file has %d: file is truncated", f.Name, f.UncompressedSize64, first, m.size)
	}
	return first, nil
}
