package gguf

import (
	"fmt"
	"slices"
)

// KV is one entry of a file's metadata. Value holds one of:
//
//	uint8 int8 uint16 int16 uint32 int32 uint64 int64 float32 float64 bool string
//	a slice of one of these, or an Array of slices
type KV struct {
	Key   string
	Value any
}

// Array is an array of arrays, the one value that has no Go slice of its own: each item is a slice of one
// of KV's types or an Array.
type Array []any

// Metadata is the ordered list of a file's key/value pairs. Keys are unique.
// The zero value is empty and ready to use.
type Metadata struct{ kvs []KV }

// All returns the pairs in file order. The slice is the metadata's own: do not change it.
func (m *Metadata) All() []KV { return m.kvs }

// Len is the number of pairs.
func (m *Metadata) Len() int { return len(m.kvs) }

// Clone returns a copy whose list of pairs can be changed on its own; values are shared.
func (m *Metadata) Clone() Metadata { return Metadata{slices.Clone(m.kvs)} }

// Get returns the value of key.
func (m *Metadata) Get(key string) (any, bool) {
	if i := m.index(key); i >= 0 {
		return m.kvs[i].Value, true
	}
	return nil, false
}

// Set gives key a value: in its place where the key exists, else at the end.
// It panics on a Go type that GGUF has no name for, which is a mistake of the caller's.
func (m *Metadata) Set(key string, value any) {
	if _, err := valueType(value); err != nil {
		panic(fmt.Sprintf("gguf: key %q: %v", key, err))
	}
	if i := m.index(key); i >= 0 {
		m.kvs[i].Value = value
		return
	}
	m.kvs = append(m.kvs, KV{key, value})
}

// Append gives key a value and moves it to the end, as gguf_set_val_* of ggml does.
func (m *Metadata) Append(key string, value any) {
	m.Delete(key)
	m.Set(key, value)
}

// Delete removes key, if it is there.
func (m *Metadata) Delete(key string) {
	if i := m.index(key); i >= 0 {
		m.kvs = slices.Delete(slices.Clone(m.kvs), i, i+1)
	}
}

func (m *Metadata) index(key string) int {
	return slices.IndexFunc(m.kvs, func(kv KV) bool { return kv.Key == key })
}

// String returns the string stored under key, and false if there is none.
func (m *Metadata) String(key string) (string, bool) { return value[string](m, key) }

// Bool returns the boolean stored under key, and false if there is none.
func (m *Metadata) Bool(key string) (v, ok bool) { return value[bool](m, key) }

// Strings returns the array of strings stored under key.
func (m *Metadata) Strings(key string) ([]string, bool) { return value[[]string](m, key) }

// Int returns the integer stored under key, of whatever width, if it fits an int64.
func (m *Metadata) Int(key string) (int64, bool) {
	v, _ := m.Get(key)
	return AsInt(v)
}

// Float returns the number stored under key, of whatever type.
func (m *Metadata) Float(key string) (float64, bool) {
	v, _ := m.Get(key)
	switch x := v.(type) {
	case float32:
		return float64(x), true
	case float64:
		return x, true
	}
	n, ok := AsInt(v)
	return float64(n), ok
}

// AsInt widens any integer that metadata may hold; false for anything else and for a uint64 beyond int64.
func AsInt(v any) (int64, bool) {
	switch x := v.(type) {
	case uint8:
		return int64(x), true
	case int8:
		return int64(x), true
	case uint16:
		return int64(x), true
	case int16:
		return int64(x), true
	case uint32:
		return int64(x), true
	case int32:
		return int64(x), true
	case uint64:
		return int64(x), x <= 1<<63-1
	case int64:
		return x, true
	}
	return 0, false
}

func value[T any](m *Metadata, key string) (T, bool) {
	v, _ := m.Get(key)
	x, ok := v.(T)
	return x, ok
}
