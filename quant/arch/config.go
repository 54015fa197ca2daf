package arch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// config is config.json: an object whose values are asked for one by one. A key whose value is null counts
// as absent, as it does for transformers. The first thing that is wrong is kept in err.
type config struct {
	file string // for messages; "" is config.json
	path string // of this object within the file, for messages: "" or "rope_scaling."
	doc  map[string]any
	root map[string]any // what the file holds, where doc is its text_config
	err  *error
}

// readRoot reads config.json as it is.
func readRoot(read func(string) ([]byte, error)) (*config, error) {
	data, err := read("config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("config.json is missing: without it the architecture is unknown: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	doc, err := parseJSONObject(data)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return &config{doc: doc, root: doc, err: new(error)}, nil
}

// readConfig reads config.json as the text model sees it: what its text_config has comes first.
func readConfig(read func(string) ([]byte, error)) (*config, error) {
	c, err := readRoot(read)
	if err != nil {
		return nil, err
	}
	doc := c.doc
	nested := "text_config"
	if c.has("llm_config") { // InternVL's name for it
		nested = "llm_config"
	}
	if text := c.object(nested); len(text.doc) > 0 && *c.err == nil { // of models that also see or hear
		for key, v := range textDefaults[text.text("model_type")] {
			text.or(key, v)
		}
		for key, v := range doc {
			if old, ok := text.doc[key]; !ok || key == "architectures" && old == nil {
				text.doc[key] = v
			}
		}
		return &config{doc: text.doc, root: doc, err: c.err}, nil
	}
	return c, *c.err
}

// firstOf is the first of the names that the config has a value for, even null, and the first of all if there is none.
func (c *config) firstOf(names []string) string {
	for _, name := range names {
		if _, ok := c.doc[name]; ok {
			return name
		}
	}
	return names[0]
}

// or puts a value where the config has none: what transformers' configuration class has as its default.
func (c *config) or(key string, v any) {
	if _, ok := c.doc[key]; !ok {
		c.doc[key] = v
	}
}

// parseJSONObject reads a JSON object with its numbers kept as they are written. Python also writes NaN and
// Infinity, which JSON has no words for: they are read as null.
func parseJSONObject(data []byte) (map[string]any, error) {
	doc, err := decodeObject(data)
	if err != nil {
		if fixed, ok := withoutPythonNumbers(data); ok {
			return decodeObject(fixed)
		}
	}
	return doc, err
}

func decodeObject(data []byte) (map[string]any, error) {
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more after the JSON object")
	}
	if doc == nil {
		return nil, errors.New("want a JSON object, got null")
	}
	return doc, nil
}

// withoutPythonNumbers puts null for NaN and Infinity outside of strings, and tells whether there were any.
func withoutPythonNumbers(data []byte) ([]byte, bool) {
	var out []byte
	found, inString := false, false
	for i := 0; i < len(data); i++ {
		if data[i] == '"' {
			inString = !inString
		}
		if inString && data[i] == '\\' && i+1 < len(data) {
			out = append(out, data[i], data[i+1])
			i++
			continue
		}
		word := ""
		for _, w := range []string{"NaN", "-Infinity", "Infinity"} {
			if !inString && bytes.HasPrefix(data[i:], []byte(w)) {
				word = w
				break
			}
		}
		if word == "" {
			out = append(out, data[i])
			continue
		}
		out, found = append(out, "null"...), true
		i += len(word) - 1
	}
	return out, found
}

func (c *config) fail(format string, args ...any) {
	if *c.err == nil {
		*c.err = fmt.Errorf("%s: %s", cmp.Or(c.file, "config.json"), fmt.Sprintf(format, args...))
	}
}

func (c *config) has(key string) bool { return c.doc[key] != nil }

// object is a nested object; an empty one if absent.
func (c *config) object(key string) *config {
	sub := &config{file: c.file, path: c.path + key + ".", doc: map[string]any{}, err: c.err}
	switch x := c.doc[key].(type) {
	case nil:
	case map[string]any:
		sub.doc = x
	default:
		c.fail("%s%s: want an object", c.path, key)
	}
	return sub
}

// require notes an error if the key is absent.
func (c *config) require(key string) bool {
	if !c.has(key) {
		c.fail("%s%s is missing", c.path, key)
		return false
	}
	return true
}

// number is a number; 0 if absent or wrong.
func (c *config) number(key string) float64 {
	switch x := c.doc[key].(type) {
	case nil:
	case float64: // a default
		return x
	case json.Number:
		f, err := strconv.ParseFloat(x.String(), 64)
		if err == nil && !math.IsInf(f, 0) {
			return f
		}
		c.fail("%s%s: %s, want a number", c.path, key, x)
	default:
		c.fail("%s%s: want a number", c.path, key)
	}
	return 0
}

// count is a required integer from 1 to 2^31-1.
func (c *config) count(key string) int64 {
	if !c.require(key) {
		return 0
	}
	return c.countOr(key, 0)
}

// countOr is an integer from 1 to 2^31-1, otherwise if absent.
func (c *config) countOr(key string, otherwise int64) int64 {
	if !c.has(key) {
		return otherwise
	}
	n := c.number(key)
	if n != math.Trunc(n) || n < 1 || n > math.MaxInt32 {
		c.fail("%s%s: %v, want an integer from 1 to %d", c.path, key, c.doc[key], math.MaxInt32)
		return 0
	}
	return int64(n)
}

// integer is an integer from 0 to 2^31-1; 0 if absent.
func (c *config) integer(key string) int64 {
	n := c.number(key)
	if n != math.Trunc(n) || n < 0 || n > math.MaxInt32 {
		c.fail("%s%s: %v, want an integer from 0 to %d", c.path, key, c.doc[key], math.MaxInt32)
		return 0
	}
	return int64(n)
}

// strings is a list of strings; nil if absent.
func (c *config) strings(key string) []string {
	if !c.has(key) {
		return nil
	}
	list, ok := c.doc[key].([]any)
	out := make([]string, len(list))
	for i := range list {
		if out[i], ok = list[i].(string); !ok {
			break
		}
	}
	if !ok {
		c.fail("%s%s: want a list of strings", c.path, key)
		return nil
	}
	return out
}

// numbers is a list of numbers; nil if absent.
func (c *config) numbers(key string) []float64 {
	if !c.has(key) {
		return nil
	}
	list, ok := c.doc[key].([]any)
	if !ok {
		c.fail("%s%s: want a list of numbers", c.path, key)
	}
	out := make([]float64, len(list))
	for i := range list {
		one := &config{file: c.file, path: c.path + key + " ", doc: map[string]any{strconv.Itoa(i): list[i]}, err: c.err}
		one.require(strconv.Itoa(i))
		out[i] = one.number(strconv.Itoa(i))
	}
	return out
}

// float is a required number.
func (c *config) float(key string) float32 {
	if !c.require(key) {
		return 0
	}
	return float32(c.number(key))
}

// text is a string; "" if absent.
func (c *config) text(key string) string {
	switch x := c.doc[key].(type) {
	case nil:
		return ""
	case string:
		return x
	}
	c.fail("%s%s: want a string", c.path, key)
	return ""
}

// flag is a boolean; false if absent.
func (c *config) flag(key string) bool {
	switch x := c.doc[key].(type) {
	case nil:
		return false
	case bool:
		return x
	}
	c.fail("%s%s: want true or false", c.path, key)
	return false
}

// class is the name of the model's class: the first of architectures, of the text_config's where it has some.
func (c *config) class() (string, error) {
	list, _ := c.doc["architectures"].([]any)
	if len(list) > 0 {
		if s, ok := list[0].(string); ok && s != "" {
			return s, nil
		}
	}
	if t, ok := c.doc["model_type"].(string); ok {
		return "", fmt.Errorf("config.json: architectures is missing (model_type is %q): supported are %s", t, strings.Join(classes(), ", "))
	}
	return "", fmt.Errorf("config.json: architectures is missing: supported are %s", strings.Join(classes(), ", "))
}
