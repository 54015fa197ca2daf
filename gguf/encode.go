package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

var le = binary.LittleEndian

// encodeHeader gives the bytes of a file up to, and without, the padding before the data section
// (gguf_write_out of ggml).
func encodeHeader(meta *Metadata, tensors []TensorInfo) ([]byte, error) {
	b := append([]byte(nil), magic...)
	b = le.AppendUint32(b, Version)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(meta.Len()))
	for _, kv := range meta.All() {
		if kv.Key == "" {
			return nil, errors.New("key is empty")
		}
		var err error
		b = appendString(b, kv.Key)
		if b, err = appendTyped(b, kv.Value, 0); err != nil {
			return nil, fmt.Errorf("key %q: %w", kv.Key, err)
		}
	}
	for _, t := range tensors {
		b = appendTensor(b, t)
	}
	return b, nil
}

// appendTensor writes a tensor's description. Trailing dimensions of 1 are left out, as ggml_n_dims does,
// unless they are asked for.
func appendTensor(b []byte, t TensorInfo) []byte {
	shape := t.Shape
	for !t.Ones && len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	b = appendString(b, t.Name)
	b = le.AppendUint32(b, uint32(len(shape)))
	for _, d := range shape {
		b = le.AppendUint64(b, uint64(d))
	}
	b = le.AppendUint32(b, uint32(t.Type))
	return le.AppendUint64(b, uint64(t.Offset))
}

// appendTyped writes the type of v, then v.
func appendTyped(b []byte, v any, depth int) ([]byte, error) {
	typ, err := valueType(v)
	if err != nil {
		return nil, err
	}
	b = le.AppendUint32(b, uint32(typ))
	switch x := v.(type) {
	case uint8:
		return append(b, x), nil
	case int8:
		return append(b, byte(x)), nil
	case uint16:
		return le.AppendUint16(b, x), nil
	case int16:
		return le.AppendUint16(b, uint16(x)), nil
	case uint32:
		return le.AppendUint32(b, x), nil
	case int32:
		return le.AppendUint32(b, uint32(x)), nil
	case uint64:
		return le.AppendUint64(b, x), nil
	case int64:
		return le.AppendUint64(b, uint64(x)), nil
	case float32:
		return le.AppendUint32(b, math.Float32bits(x)), nil
	case float64:
		return le.AppendUint64(b, math.Float64bits(x)), nil
	case bool:
		return appendBool(b, x), nil
	case string:
		if len(x) > maxLen {
			return nil, fmt.Errorf("a string of %d bytes, at most %d can be read back", len(x), maxLen)
		}
		return appendString(b, x), nil
	}
	return appendArray(b, v, depth)
}

// appendArray writes the values of an array after their type and number.
func appendArray(b []byte, v any, depth int) ([]byte, error) {
	switch x := v.(type) {
	case []uint8:
		return appendValues(b, TypeUint8, x, func(b []byte, v uint8) []byte { return append(b, v) })
	case []int8:
		return appendValues(b, TypeInt8, x, func(b []byte, v int8) []byte { return append(b, byte(v)) })
	case []uint16:
		return appendValues(b, TypeUint16, x, le.AppendUint16)
	case []int16:
		return appendValues(b, TypeInt16, x, func(b []byte, v int16) []byte { return le.AppendUint16(b, uint16(v)) })
	case []uint32:
		return appendValues(b, TypeUint32, x, le.AppendUint32)
	case []int32:
		return appendValues(b, TypeInt32, x, func(b []byte, v int32) []byte { return le.AppendUint32(b, uint32(v)) })
	case []uint64:
		return appendValues(b, TypeUint64, x, le.AppendUint64)
	case []int64:
		return appendValues(b, TypeInt64, x, func(b []byte, v int64) []byte { return le.AppendUint64(b, uint64(v)) })
	case []float32:
		return appendValues(b, TypeFloat32, x, func(b []byte, v float32) []byte { return le.AppendUint32(b, math.Float32bits(v)) })
	case []float64:
		return appendValues(b, TypeFloat64, x, func(b []byte, v float64) []byte { return le.AppendUint64(b, math.Float64bits(v)) })
	case []bool:
		return appendValues(b, TypeBool, x, appendBool)
	case []string:
		for i, s := range x {
			if len(s) > maxLen {
				return nil, fmt.Errorf("item %d has %d bytes, at most %d can be read back", i, len(s), maxLen)
			}
		}
		return appendValues(b, TypeString, x, appendString)
	case Array:
		return appendNested(b, x, depth)
	}
	return nil, fmt.Errorf("no GGUF array type for a Go %T", v)
}

func appendNested(b []byte, x Array, depth int) ([]byte, error) {
	if depth++; depth >= maxDepth {
		return nil, fmt.Errorf("arrays nested deeper than %d", maxDepth)
	}
	b = le.AppendUint32(b, uint32(TypeArray))
	b = le.AppendUint64(b, uint64(len(x)))
	for i, v := range x {
		if typ, err := valueType(v); err != nil || typ != TypeArray {
			return nil, fmt.Errorf("item %d is a %T, want an array", i, v)
		}
		// The items' own type word says no more than "array" and is not stored: each starts with the
		// type of its values.
		var err error
		if b, err = appendArray(b, v, depth); err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
	}
	return b, nil
}

func appendValues[T any](b []byte, typ ValueType, values []T, one func([]byte, T) []byte) ([]byte, error) {
	if len(values) > maxLen {
		return nil, fmt.Errorf("an array of %d values, at most %d can be read back", len(values), maxLen)
	}
	b = le.AppendUint32(b, uint32(typ))
	b = le.AppendUint64(b, uint64(len(values)))
	for _, v := range values {
		b = one(b, v)
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(le.AppendUint64(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
