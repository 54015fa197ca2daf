package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
)

// object is a JSON object whose shape is not ours to decide: the converter looks at it key by key.
type object = map[string]any

// files are the tokenizer files of a model, parsed as far as every step needs them.
type files struct {
	read          reader
	sentencePiece []byte         // tokenizer.model; nil if absent
	tokenizer     *tokenizerJSON // tokenizer.json; nil if absent
	config        object         // tokenizer_config.json; nil if absent
	specials      object         // special_tokens_map.json; nil if absent
	added         object         // added_tokens.json; nil if absent
	model         object         // config.json; nil if absent
}

func readFiles(read reader) (*files, error) {
	f := &files{read: read}
	var err error
	if f.sentencePiece, err = optional(read, "tokenizer.model"); err != nil {
		return nil, err
	}
	data, err := optional(read, "tokenizer.json")
	if err != nil {
		return nil, err
	}
	if data != nil {
		if f.tokenizer, err = parseTokenizerJSON(data); err != nil {
			return nil, fmt.Errorf("tokenizer.json: %w", err)
		}
	}
	for _, x := range []struct {
		name string
		dst  *object
	}{
		{"tokenizer_config.json", &f.config},
		{"special_tokens_map.json", &f.specials},
		{"added_tokens.json", &f.added},
		{"config.json", &f.model},
	} {
		if *x.dst, err = optionalObject(read, x.name); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// optional reads a file; nil if the model has none of that name.
func optional(read reader, name string) ([]byte, error) {
	data, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

func optionalObject(read reader, name string) (object, error) {
	data, err := optional(read, name)
	if data == nil || err != nil {
		return nil, err
	}
	o, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}

// parseObject reads a JSON object, with its numbers kept as they are written.
func parseObject(data []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more after the JSON object")
	}
	if o == nil {
		return nil, errors.New("want a JSON object, got null")
	}
	return o, nil
}

// parseID reads a token id as a JSON number or as a key of an object: an integer below 2^32.
func parseID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 0 || id > math.MaxUint32 {
		return 0, fmt.Errorf("token id %q, want an integer from 0 to %d", s, uint32(math.MaxUint32))
	}
	return id, nil
}

// dig follows keys through nested objects; nil where there is nothing.
func dig(v any, keys ...string) any {
	for _, k := range keys {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o[k]
	}
	return v
}

func str(v any) string       { s, _ := v.(string); return s }
func list(v any) []any       { l, _ := v.([]any); return l }
func isTrue(v any) bool      { b, _ := v.(bool); return b }
func typeOf(v any) string    { return str(dig(v, "type")) }
func sameText(a, b any) bool { x, ok := a.(string); y, ok2 := b.(string); return ok && ok2 && x == y }

// truthy is Python's notion of it, for what a tokenizer_config.json may hold in place of a token.
func truthy(v any) bool {
	switch x := v.(type) {
	case nil:
		return false
	case string:
		return x != ""
	case object:
		return len(x) > 0
	case bool:
		return x
	}
	return true
}

// content is the text of a token that is written as a string or as an object with a "content".
func content(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case object:
		s, ok := x["content"].(string)
		return s, ok
	}
	return "", false
}
