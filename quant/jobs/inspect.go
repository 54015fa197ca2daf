package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/quant"
)

// Inspection is what can be said of a model or file from its headers.
type Inspection struct {
	Model         string        `json:"model"`
	Kind          Kind          `json:"source_type"`
	Commit        string        `json:"commit,omitempty"`
	Architecture  string        `json:"architecture"`
	FileType      string        `json:"file_type,omitempty"` // of a GGUF file
	Parameters    int64         `json:"parameters"`
	Bytes         int64         `json:"bytes"` // of all tensors
	BitsPerWeight float64       `json:"bits_per_weight"`
	ContextLength int64         `json:"context_length,omitempty"`
	Recommended   []string      `json:"recommended_types"`
	Metadata      []MetaEntry   `json:"metadata"` // as a GGUF file holds it
	Histogram     []TypeCount   `json:"types"`
	Tensors       []TensorEntry `json:"tensors"`           // of a GGUF file as they lie in it
	Dropped       []string      `json:"dropped,omitempty"` // source tensors that GGUF has no place for
	Files         []FilePart    `json:"files,omitempty"`   // of a GGUF model: one, or its shards
}

// FilePart is one file of a GGUF model.
type FilePart struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// MetaEntry is a key of the metadata. Of long arrays and texts only the start is given.
type MetaEntry struct {
	Key    string `json:"key"`
	Type   string `json:"type"`
	Length int    `json:"length,omitempty"` // of an array, and of a text that is cut, in bytes
	Value  any    `json:"value"`
}

// TensorEntry is a tensor: its shape has columns first, as in GGUF.
type TensorEntry struct {
	Name     string  `json:"name"`
	Shape    []int64 `json:"shape"`
	Type     string  `json:"type"`
	Elements int64   `json:"elements"`
	Bytes    int64   `json:"bytes"`
	Role     string  `json:"role"`
	File     int     `json:"file"`             // place in files, of a GGUF model
	Offset   *int64  `json:"offset,omitempty"` // of its first byte in that file
}

// TypeCount sums up the tensors of one type.
type TypeCount struct {
	Type     string `json:"type"`
	Tensors  int    `json:"tensors"`
	Elements int64  `json:"elements"`
	Bytes    int64  `json:"bytes"`
}

// Inspect reads the headers of a model or file.
func (s *Service) Inspect(ctx context.Context, r *Request) (*Inspection, error) {
	if r.Model == "" {
		return nil, &UsageError{Err: errors.New("no model given"), hint: "name a Hub id, a folder or a .gguf file"}
	}
	if ref, err := s.resolve(r); err == nil && kindOf(ref) == GGUF {
		return inspectGGUF(ref.Path)
	}
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer src.close()
	in := &Inspection{Model: src.Name, Kind: src.kind, Commit: src.Commit, Dropped: src.Dropped}
	if src.kind == HuggingFace {
		in.Model = src.Repo
	}
	for _, t := range src.Tensors() {
		in.Tensors = append(in.Tensors, TensorEntry{Name: t.Name, Shape: t.Shape, Type: t.Format, Elements: t.Elements, Bytes: t.SourceBytes, Role: t.Role.String()})
	}
	in.sumUp(&src.Metadata)
	return in, nil
}

// inspectGGUF reads the header of a GGUF file, or of all shards of a split one.
func inspectGGUF(path string) (*Inspection, error) {
	r, err := gguf.Open(path)
	if err != nil {
		return nil, damaged(path, err)
	}
	defer r.Close()
	in := &Inspection{Model: filepath.Base(path), Kind: GGUF}
	for _, p := range r.Paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		in.Files = append(in.Files, FilePart{p, info.Size()})
	}
	for i, t := range r.Tensors {
		n, err := gguf.Elements(t.Shape)
		if err != nil {
			return nil, damaged(path, err)
		}
		file, at := r.Place(i)
		in.Tensors = append(in.Tensors, TensorEntry{t.Name, t.Shape, t.Type.String(), n, t.Size, quant.RoleOf(t.Name).String(), file, &at})
	}
	if ft, ok := r.Metadata.Int("general.file_type"); ok {
		in.FileType = gguf.FileType(ft).String()
	}
	in.Commit, _ = r.Metadata.String(quant.KeySourceCommit)
	in.sumUp(&r.Metadata)
	return in, nil
}

// sumUp fills in what follows from the tensors and the metadata.
func (in *Inspection) sumUp(meta *gguf.Metadata) {
	in.Architecture, _ = meta.String("general.architecture")
	counts := map[string]*TypeCount{}
	for _, t := range in.Tensors {
		c := counts[t.Type]
		if c == nil {
			c = &TypeCount{Type: t.Type}
			counts[t.Type] = c
		}
		c.Tensors++
		c.Elements += t.Elements
		c.Bytes += t.Bytes
		in.Parameters += t.Elements
		in.Bytes += t.Bytes
	}
	for _, c := range counts {
		in.Histogram = append(in.Histogram, *c)
	}
	slices.SortFunc(in.Histogram, func(a, b TypeCount) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Type, b.Type))
	})
	if in.Parameters > 0 {
		in.BitsPerWeight = 8 * float64(in.Bytes) / float64(in.Parameters)
	}
	in.Recommended = quant.Recommend(in.Parameters)
	in.ContextLength, _ = meta.Int(in.Architecture + ".context_length")
	in.Metadata = make([]MetaEntry, 0, meta.Len())
	for _, kv := range meta.All() {
		in.Metadata = append(in.Metadata, metaEntry(kv))
	}
}

// How much of an array and of a text an inspection gives.
const (
	shownElements = 8
	shownText     = 16 << 10 // bytes
)

func metaEntry(kv gguf.KV) MetaEntry {
	v := reflect.ValueOf(kv.Value)
	e := MetaEntry{Key: kv.Key, Type: v.Kind().String(), Value: shown(v)}
	switch {
	case v.Kind() == reflect.Slice:
		e.Type, e.Length = fmt.Sprintf("[]%s", v.Type().Elem().Kind()), v.Len()
	case v.Kind() == reflect.String && v.Len() > shownText:
		e.Length = v.Len()
	}
	return e
}

// shown is what JSON can hold of a value, and what fits.
func shown(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Interface:
		return shown(v.Elem())
	case reflect.Slice:
		short := make([]any, 0, shownElements)
		for i := range min(v.Len(), shownElements) {
			short = append(short, shown(v.Index(i))) // a []byte would print as base64
		}
		return short
	case reflect.String:
		if s := v.String(); len(s) > shownText {
			return strings.ToValidUTF8(s[:shownText], "")
		}
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprint(f)
		}
	}
	return v.Interface()
}
