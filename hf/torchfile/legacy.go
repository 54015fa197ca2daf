package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// legacyMagic is the pickle of 0x1950a86a20f9469cfc6c, with which every file of torch.save before PyTorch 1.6 begins,
// and legacyProtocol that of the format's version, 1001.
const (
	legacyMagic    = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
	legacyProtocol = "\x80\x02M\xe9\x03."
)

// readLegacy reads the format before PyTorch 1.6 (torch/serialization.py, _legacy_save): pickles of a magic number, a
// version, the machine that wrote it, the object and the keys of the storages; then for each key the number of values
// in 8 bytes, and the values.
func readLegacy(r io.ReaderAt, size int64) (any, error) {
	version := make([]byte, len(legacyProtocol))
	if err := readFull(r, version, int64(len(legacyMagic))); err != nil {
		return nil, fmt.Errorf("read the version: %w", err)
	}
	if string(version) != legacyProtocol {
		return nil, errors.New("is not of version 1001 of torch.save's old format")
	}
	in := stream{r: r, at: int64(len(legacyMagic) + len(legacyProtocol)), end: size}

	machineInfo := machine{in: in.limited()}
	info, err := machineInfo.run()
	if err != nil {
		return nil, fmt.Errorf("pickle of the system: %w", err)
	}
	if d, ok := info.(*dict); ok {
		for _, e := range d.entries {
			if e.key == "little_endian" && e.value != true {
				return nil, errors.New("was written by a big-endian machine, only little-endian weights can be read")
			}
		}
	}
	in.at = machineInfo.in.at

	storages := map[string]*storage{}
	object := machine{in: in.limited()}
	object.storage = func(key string, typ storageType, values int64) (*storage, error) {
		s := &storage{key: key, typ: typ, values: values}
		n, err := s.bytes()
		if err != nil {
			return nil, err
		}
		if n > size {
			return nil, fmt.Errorf("storage %q: %d bytes, the file has %d: file is truncated", key, n, size)
		}
		return shared(storages, s, uint64(n))
	}
	top, err := object.run()
	if err != nil {
		return nil, fmt.Errorf("pickle of the tensors: %w", err)
	}
	in.at = object.in.at

	keys := machine{in: in.limited()}
	order, err := keys.run()
	if err != nil {
		return nil, fmt.Errorf("pickle of the keys: %w", err)
	}
	return top, place(storages, order, r, keys.in.at, size)
}

// place gives the storages their places in the file, one after the other from byte at on.
func place(storages map[string]*storage, order any, r io.ReaderAt, at, size int64) error {
	keys, ok := order.(*list)
	if !ok {
		return fmt.Errorf("pickle of the keys: holds %s, want a list", kindOf(order))
	}
	for _, k := range keys.items {
		key, _ := k.(string)
		s := storages[key]
		if s == nil {
			return fmt.Errorf("pickle of the keys: storage %q belongs to no tensor, or is there twice", fmt.Sprint(k))
		}
		delete(storages, key)
		n, err := s.bytes()
		if err != nil {
			return err
		}
		if n > size-at-8 {
			return fmt.Errorf("storage %q: %d bytes from %d on, the file has %d: file is truncated", key, n, at, size)
		}
		s.data = &legacyStorage{r: r, first: at, values: s.values, key: key}
		at += 8 + n
	}
	for key := range storages {
		return fmt.Errorf("pickle of the keys: storage %q is missing", key)
	}
	if at != size {
		return fmt.Errorf("storages end at byte %d, the file has %d", at, size)
	}
	return nil
}

// legacyStorage is the values of a storage, behind their number, which is checked when they are read for the first time.
type legacyStorage struct {
	r      io.ReaderAt
	first  int64
	values int64
	key    string

	once sync.Once
	err  error
}

func (s *legacyStorage) ReadAt(p []byte, off int64) (int, error) {
	s.once.Do(func() {
		var count [8]byte
		if s.err = readFull(s.r, count[:], s.first); s.err != nil {
			return
		}
		if n := binary.LittleEndian.Uint64(count[:]); n != uint64(s.values) {
			s.err = fmt.Errorf("storage %q: %d values, its tensors speak of %d", s.key, n, s.values)
		}
	})
	if s.err != nil {
		return 0, s.err
	}
	return s.r.ReadAt(p, s.first+8+off)
}
