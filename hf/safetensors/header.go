package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the longest header that the format allows (MAX_HEADER_SIZE of the safetensors library).
const maxHeader = 100_000_000

// maxSkipDepth bounds the nesting of what a header may hold beside the known keys.
const maxSkipDepth = 16

// ReadHeader reads the header of the safetensors file r of size bytes and returns its tensors, sorted by
// name, and the texts of __metadata__ (nil where the header has none). The tensors read from r on demand.
// file names the file in messages.
//
// The rules are the format's (https://github.com/huggingface/safetensors#format) and are all checked: the
// header lies within the file and within 100 MB, begins with '{', is UTF-8 and JSON without a duplicate
// key; each tensor's byte range has exactly the length that dtype and shape ask for; the ranges lie one
// after another from 0 to the end of the file, without hole and overlap.
func ReadHeader(r io.ReaderAt, size int64, file string) ([]*Tensor, map[string]string, error) {
	header, err := readHeaderBytes(r, size)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	p := parser{dec: json.NewDecoder(bytes.NewReader(header))}
	p.dec.UseNumber()
	entries, meta, err := p.header()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: header: %w", file, err)
	}
	base := 8 + int64(len(header))
	if err := checkLayout(entries, size-base); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	tensors := make([]*Tensor, len(entries))
	for i, e := range entries {
		tensors[i] = NewTensor(e.name, e.dtype, e.shape, file, r, base+e.begin, e.end-e.begin)
	}
	slices.SortFunc(tensors, func(a, b *Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return tensors, meta, nil
}

func readHeaderBytes(r io.ReaderAt, size int64) ([]byte, error) {
	if size < 8 {
		return nil, fmt.Errorf("file has %d bytes, the length of a safetensors header takes 8", size)
	}
	var length [8]byte
	if err := readFull(r, length[:], 0); err != nil {
		return nil, fmt.Errorf("read header length: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, the format allows %d: not a safetensors file", n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("header of %d bytes, the file has %d after its length: file is truncated", n, size-8)
	}
	header := make([]byte, n)
	if err := readFull(r, header, 8); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if len(header) == 0 || header[0] != '{' {
		return nil, errors.New("header doesn't begin with '{': not a safetensors file")
	}
	if !utf8.Valid(header) {
		return nil, errors.New("header is not UTF-8")
	}
	return header, nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// entry is a tensor as the header states it; begin and end count from the first byte after the header.
type entry struct {
	name       string
	dtype      DType
	shape      []int64
	begin, end int64
}

// checkLayout demands that the entries fill data bytes in a row.
func checkLayout(entries []entry, data int64) error {
	for _, e := range entries {
		if err := e.checkSize(); err != nil {
			return fmt.Errorf("tensor %q: %w", e.name, err)
		}
	}
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for _, e := range sorted {
		if e.begin < at {
			return fmt.Errorf("tensor %q: bytes %d to %d overlap the tensor before, which ends at %d", e.name, e.begin, e.end, at)
		}
		if e.begin > at {
			return fmt.Errorf("tensor %q: starts at byte %d, the tensor before ends at %d: a hole", e.name, e.begin, at)
		}
		at = e.end
	}
	switch {
	case at > data:
		return fmt.Errorf("tensors take %d bytes, the file has %d: file is truncated", at, data)
	case at < data:
		return fmt.Errorf("tensors take %d bytes, the file has %d: %d bytes belong to no tensor", at, data, data-at)
	}
	return nil
}

func (e entry) checkSize() error {
	n := e.dtype.Bits()
	if n == 0 {
		return fmt.Errorf("dtype %q is not known, so its size can't be checked", string(e.dtype))
	}
	total := uint64(n)
	for _, dim := range e.shape {
		hi, lo := bits.Mul64(total, uint64(dim))
		if hi != 0 || lo > math.MaxInt64 {
			return fmt.Errorf("shape %v of %s is larger than any file", e.shape, e.dtype)
		}
		total = lo
	}
	if total%8 != 0 {
		return fmt.Errorf("shape %v of %s has %d bits, not whole bytes", e.shape, e.dtype, total)
	}
	if e.begin > e.end {
		return fmt.Errorf("data_offsets %d to %d run backwards", e.begin, e.end)
	}
	if got, want := e.end-e.begin, int64(total/8); got != want {
		return fmt.Errorf("data_offsets span %d bytes, shape %v of %s needs %d", got, e.shape, e.dtype, want)
	}
	return nil
}

// parser walks the header token by token, because decoding into a map would keep the last of two equal
// keys and hide the first.
type parser struct {
	dec *json.Decoder
}

func (p *parser) header() (entries []entry, meta map[string]string, err error) {
	err = p.object(func(key string) error {
		if key == "__metadata__" {
			meta = map[string]string{}
			return p.object(func(k string) error {
				v, err := p.text()
				meta[k] = v
				return named("key", k, err)
			})
		}
		e, err := p.entry(key)
		entries = append(entries, e)
		return named("tensor", key, err)
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, nil, errors.New("text after the closing '}'")
	}
	return entries, meta, nil
}

func named(what, name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, name, err)
	}
	return nil
}

func (p *parser) entry(name string) (entry, error) {
	e := entry{name: name}
	var offsets []int64
	var hasDType, hasShape, hasOffsets bool
	err := p.object(func(key string) error {
		var err error
		switch key {
		case "dtype":
			hasDType = true
			var text string
			text, err = p.text()
			e.dtype = DType(text)
		case "shape":
			hasShape = true
			e.shape, err = p.integers()
		case "data_offsets":
			hasOffsets = true
			offsets, err = p.integers()
			if err == nil && len(offsets) != 2 {
				err = fmt.Errorf("%d numbers, want 2", len(offsets))
			}
		default:
			err = p.skip() // the safetensors library ignores other keys
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	if !hasDType || !hasShape || !hasOffsets {
		return e, errors.New("needs dtype, shape and data_offsets")
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, nil
}

// object reads an object and calls value for each key; value must read the key's value.
func (p *parser) object(value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.dec.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("key %q appears twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p *parser) delim(want json.Delim) error {
	tok, err := p.token()
	if err != nil {
		return err
	}
	if tok != want {
		return fmt.Errorf("got %s, want '%v'", describe(tok), want)
	}
	return nil
}

func (p *parser) text() (string, error) {
	tok, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := tok.(string)
	if !ok {
		return "", fmt.Errorf("got %s, want a string", describe(tok))
	}
	return s, nil
}

// integers reads an array of whole numbers from 0 to 2^63-1, written in digits alone.
func (p *parser) integers() ([]int64, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	list := []int64{}
	for p.dec.More() {
		tok, err := p.token()
		if err != nil {
			return nil, err
		}
		number, _ := tok.(json.Number)
		n, err := strconv.ParseUint(string(number), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("got %s, want a whole number from 0 to 2^63-1", describe(tok))
		}
		list = append(list, int64(n))
	}
	return list, p.delim(']')
}

// skip reads over one value of any kind.
func (p *parser) skip() error {
	depth := 0
	for {
		tok, err := p.token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxSkipDepth {
			return fmt.Errorf("nested deeper than %d", maxSkipDepth)
		}
		if depth == 0 {
			return nil
		}
	}
}

func (p *parser) token() (json.Token, error) {
	tok, err := p.dec.Token()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("JSON ends early")
	}
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return tok, nil
}

func describe(tok json.Token) string {
	switch v := tok.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(v)
	case json.Delim:
		return "'" + v.String() + "'"
	}
	return fmt.Sprint(tok)
}
