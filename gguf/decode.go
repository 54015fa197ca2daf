package gguf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
)

// decoder reads a header front to back in chunks, and never allocates for more than the file still holds.
// The first failure sticks: from then on every read gives zeros, so that callers check once per item.
type decoder struct {
	r    *bufio.Reader
	pos  int64 // of the next byte
	size int64 // of the file
	err  error
}

// chunk is how much is read from the file at once: few reads for a large vocabulary, little waste for a small header.
const chunk = 256 << 10

func newDecoder(r io.ReaderAt, size int64) *decoder {
	return &decoder{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), int(min(size, chunk))), size: size}
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *decoder) remaining() int64 { return d.size - d.pos }

// need fails unless the file has n more bytes, and tells whether all is well.
func (d *decoder) need(n int64, what string) bool {
	if d.err == nil && n > d.remaining() {
		d.fail("%s at byte %d needs %d bytes, the file has %d left: %w", what, d.pos, n, d.remaining(), ErrTruncated)
	}
	return d.err == nil
}

// peek returns the next n bytes, at most a chunk, and moves past them. The slice holds until the next read.
// It is nil after a failure.
func (d *decoder) peek(n int, what string) []byte {
	if !d.need(int64(n), what) {
		return nil
	}
	b, err := d.r.Peek(n)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		d.fail("%s at byte %d: %w", what, d.pos, err)
		return nil
	}
	d.r.Discard(n) // can't fail: the bytes are buffered
	d.pos += int64(n)
	return b
}

func (d *decoder) u8(what string) uint8 {
	if b := d.peek(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16(what string) uint16 {
	if b := d.peek(2, what); b != nil {
		return le.Uint16(b)
	}
	return 0
}

func (d *decoder) u32(what string) uint32 {
	if b := d.peek(4, what); b != nil {
		return le.Uint32(b)
	}
	return 0
}

func (d *decoder) u64(what string) uint64 {
	if b := d.peek(8, what); b != nil {
		return le.Uint64(b)
	}
	return 0
}

// count reads a number of items that take at least width bytes each, and fails if the file can't hold them.
func (d *decoder) count(what string, width int64) int {
	n := d.u64(what)
	if d.err == nil && n > uint64(d.remaining()/width) {
		d.fail("%s says %d of at least %d bytes each, the file has %d bytes left: %w", what, n, width, d.remaining(), ErrTruncated)
	}
	if d.err == nil && n > maxLen {
		d.fail("%s says %d, at most %d are allowed", what, n, maxLen)
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *decoder) string(what string) string {
	n := d.count(what, 1)
	if n <= d.r.Size() {
		return string(d.peek(n, what))
	}
	var s []byte
	for n > 0 && d.err == nil {
		b := d.peek(min(n, d.r.Size()), what)
		s = append(s, b...)
		n -= len(b)
	}
	return string(s)
}

// value reads a value of the given type.
func (d *decoder) value(typ ValueType, depth int) any {
	switch typ {
	case TypeUint8:
		return d.u8("value")
	case TypeInt8:
		return int8(d.u8("value"))
	case TypeUint16:
		return d.u16("value")
	case TypeInt16:
		return int16(d.u16("value"))
	case TypeUint32:
		return d.u32("value")
	case TypeInt32:
		return int32(d.u32("value"))
	case TypeUint64:
		return d.u64("value")
	case TypeInt64:
		return int64(d.u64("value"))
	case TypeFloat32:
		return math.Float32frombits(d.u32("value"))
	case TypeFloat64:
		return math.Float64frombits(d.u64("value"))
	case TypeBool:
		return d.u8("value") != 0
	case TypeString:
		return d.string("string")
	case TypeArray:
		return d.array(depth + 1)
	}
	d.fail("value type %d, want 0 to %d", uint32(typ), uint32(TypeFloat64))
	return nil
}

// array reads an array: the type of its values, their number, and the values.
func (d *decoder) array(depth int) any {
	typ := ValueType(d.u32("type of array"))
	const what = "length of array"
	switch typ {
	case TypeUint8:
		return numbers(d, d.count(what, 1), 1, func(b []byte) uint8 { return b[0] })
	case TypeInt8:
		return numbers(d, d.count(what, 1), 1, func(b []byte) int8 { return int8(b[0]) })
	case TypeUint16:
		return numbers(d, d.count(what, 2), 2, le.Uint16)
	case TypeInt16:
		return numbers(d, d.count(what, 2), 2, func(b []byte) int16 { return int16(le.Uint16(b)) })
	case TypeUint32:
		return numbers(d, d.count(what, 4), 4, le.Uint32)
	case TypeInt32:
		return numbers(d, d.count(what, 4), 4, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case TypeUint64:
		return numbers(d, d.count(what, 8), 8, le.Uint64)
	case TypeInt64:
		return numbers(d, d.count(what, 8), 8, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case TypeFloat32:
		return numbers(d, d.count(what, 4), 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case TypeFloat64:
		return numbers(d, d.count(what, 8), 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case TypeBool:
		return numbers(d, d.count(what, 1), 1, func(b []byte) bool { return b[0] != 0 })
	case TypeString:
		return items(d, d.count(what, 8), func() string { return d.string("string") })
	case TypeArray:
		if depth >= maxDepth {
			d.fail("arrays nested deeper than %d", maxDepth)
			return nil
		}
		return Array(items(d, d.count(what, 12), func() any { return d.array(depth + 1) }))
	}
	d.fail("array of value type %d, want 0 to %d", uint32(typ), uint32(TypeFloat64))
	return nil
}

// firstAlloc is the most values that an array gets room for before any of them is read: a length is
// believed no faster than bytes arrive, whatever size the file is said to have.
const firstAlloc = 1 << 16

// numbers reads n values of width bytes each.
func numbers[T any](d *decoder, n, width int, one func([]byte) T) []T {
	values := make([]T, 0, min(n, firstAlloc))
	for n > 0 && d.err == nil {
		k := min(n, d.r.Size()/width)
		b := d.peek(k*width, "array")
		for ; len(b) >= width; b = b[width:] {
			values = append(values, one(b))
		}
		n -= k
	}
	return values
}

// items reads n values of varying length.
func items[T any](d *decoder, n int, one func() T) []T {
	values := make([]T, 0, min(n, firstAlloc))
	for i := 0; i < n && d.err == nil; i++ {
		values = append(values, one())
		if d.err != nil {
			d.err = fmt.Errorf("item %d of %d: %w", i, n, d.err)
		}
	}
	return values
}
