package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Metadata keys of a model that is split over several files.
const (
	keySplitNo      = "split.no"
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count"
)

// Reader gives the tensors of a model that lies in one file or is split over several.
// It may be used by several goroutines at once.
type Reader struct {
	Metadata Metadata     // the first file's, without split.*
	Tensors  []TensorInfo // of all files, in order; an Offset counts from the data section of its own file
	Paths    []string     // the files, in order
	Version  uint32       // of the format, in the first file
	Size     int64        // of all files, in bytes

	files []io.ReaderAt // per tensor: its data section
	homes []home        // per tensor
	close []io.Closer
}

// home is where a tensor lies.
type home struct {
	path  int   // in Paths
	start int64 // of its file's data section
}

// Open opens a GGUF file. Of a split model (NAME-00001-of-00003.gguf) any shard will do: all of them are
// opened, from the same folder, and checked against each other (split.no, split.count,
// split.tensors.count, no tensor twice). Errors name the file; where a shard is missing,
// errors.Is(err, fs.ErrNotExist).
func Open(path string) (*Reader, error) {
	file, header, err := openFile(path)
	if err != nil {
		return nil, err
	}
	paths, err := shardPaths(path, &header.Metadata)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &Reader{}
	if len(paths) == 1 {
		r.add(file, path, header)
	} else {
		file.Close() // it comes up again in its turn
		if err := r.addShards(paths); err != nil {
			r.Close()
			return nil, err
		}
	}
	for _, key := range []string{keySplitNo, keySplitCount, keySplitTensors} {
		r.Metadata.Delete(key)
	}
	return r, nil
}

// Close closes the files.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.close {
		errs = append(errs, c.Close())
	}
	r.close = nil
	return errors.Join(errs...)
}

// ReadTensorAt reads into p the bytes of tensor i from its byte off on. As with any io.ReaderAt, fewer
// bytes than len(p) come with an error, which is io.EOF at the tensor's end.
func (r *Reader) ReadTensorAt(i int, p []byte, off int64) (int, error) {
	t := &r.Tensors[i]
	return io.NewSectionReader(r.files[i], t.Offset, t.Size).ReadAt(p, off)
}

// Place says which of Paths tensor i lies in, and the byte of that file at which it begins.
func (r *Reader) Place(i int) (path int, offset int64) {
	return r.homes[i].path, r.homes[i].start + r.Tensors[i].Offset
}

func openFile(path string) (*os.File, *File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() { // before it is opened: a pipe would wait for a writer
		return nil, nil, fmt.Errorf("%s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	header, err := Read(file, info.Size())
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, header, nil
}

func (r *Reader) add(file *os.File, path string, f *File) {
	if len(r.Paths) == 0 {
		r.Metadata, r.Version = f.Metadata, f.Version
	}
	r.Size += f.Size
	data := io.NewSectionReader(file, f.DataOffset, f.Size-f.DataOffset)
	for _, t := range f.Tensors {
		r.Tensors = append(r.Tensors, t)
		r.files = append(r.files, data)
		r.homes = append(r.homes, home{len(r.Paths), f.DataOffset})
	}
	r.Paths = append(r.Paths, path)
	r.close = append(r.close, file)
}

// addShards opens the files of a split model and checks that they are its files, in order.
func (r *Reader) addShards(paths []string) error {
	seen := map[string]string{} // tensor name to path
	var total int64
	for i, path := range paths {
		file, f, err := openFile(path)
		if err != nil {
			return fmt.Errorf("shard %d of %d: %w", i+1, len(paths), err)
		}
		r.add(file, path, f)
		if err := checkShard(&f.Metadata, i, len(paths)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if i == 0 {
			var ok bool
			if total, ok = f.Metadata.Int(keySplitTensors); !ok {
				return fmt.Errorf("%s: no integer under %s", path, keySplitTensors)
			}
		}
		for _, t := range f.Tensors {
			if first, ok := seen[t.Name]; ok {
				return fmt.Errorf("%s: tensor %q is also in %s", path, t.Name, filepath.Base(first))
			}
			seen[t.Name] = path
		}
	}
	if int64(len(r.Tensors)) != total {
		return fmt.Errorf("%s: %d tensors in %d shards, %s says %d", paths[0], len(r.Tensors), len(paths), keySplitTensors, total)
	}
	return nil
}

// checkShard holds a file's own word on its place against the place it has. Only the first file must
// state the number of shards.
func checkShard(meta *Metadata, index, count int) error {
	if no, ok := meta.Int(keySplitNo); !ok {
		return fmt.Errorf("no integer under %s", keySplitNo)
	} else if no != int64(index) {
		return fmt.Errorf("%s is %d, want %d", keySplitNo, no, index)
	}
	if n, ok := meta.Int(keySplitCount); (ok || index == 0) && n != int64(count) {
		return fmt.Errorf("%s is %d, want %d", keySplitCount, n, count)
	}
	return nil
}

// shardPaths lists the files of the model that path is a shard of: path alone where the file says
// nothing of a split. The file's name and its metadata must agree.
func shardPaths(path string, meta *Metadata) ([]string, error) {
	count, ok := meta.Int(keySplitCount)
	if !ok || count <= 1 {
		return []string{path}, nil
	}
	dir, base := filepath.Split(path)
	prefix, no, named, ok := cutShard(trimGGUF(base))
	if !ok || base != ShardName(prefix, no, named) {
		return nil, fmt.Errorf("one of %d files of a split model: name must end in -00001-of-%05d.gguf", count, count)
	}
	if int64(named) != count {
		return nil, fmt.Errorf("%s is %d, but its name says %d", keySplitCount, count, named)
	}
	paths := make([]string, named)
	for i := range paths {
		paths[i] = dir + ShardName(prefix, i+1, named)
	}
	return paths, nil
}
