package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	Tensors       []TensorEntry `json:"tensors"`
	Dropped       []string      `json:"dropped,omitempty"` // source tensors that GGUF has no place for
}

// MetaEntry is a key of the metadata. Of long arrays only the start is given.
type MetaEntry struct {
	Key    string `json:"key"`
	Type   string `json:"type"`
	Length int    `json:"length,omitempty"` // of an array
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
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer src.close()
	in := &Inspection{
		Model: src.Name, Kind: src.kind, Commit: src.Commit, Architecture: src.Arch(),
		Parameters: src.Parameters(), Bytes: src.SourceBytes(), Recommended: quant.Recommend(src.Parameters()), Dropped: src.Dropped,
	}
	if src.kind == HuggingFace {
		in.Model = src.Repo
	}
	if src.kind == GGUF {
		in.Model = filepath.Base(src.ref.Path)
		if ft, ok := src.Metadata.Int("general.file_type"); ok {
			in.FileType = gguf.FileType(ft).String()
		}
	}
	if in.Parameters > 0 {
		in.BitsPerWeight = 8 * float64(in.Bytes) / float64(in.Parameters)
	}
	in.ContextLength, _ = src.Metadata.Int(in.Architecture + ".context_length")
	for _, kv := range src.Metadata.All() {
		in.Metadata = append(in.Metadata, metaEntry(kv))
	}
	counts := map[string]*TypeCount{}
	for _, t := range src.Tensors() {
		in.Tensors = append(in.Tensors, TensorEntry{t.Name, t.Shape, t.Format, t.Elements, t.SourceBytes, t.Role.String()})
		c := counts[t.Format]
		if c == nil {
			c = &TypeCount{Type: t.Format}
			counts[t.Format] = c
		}
		c.Tensors++
		c.Elements += t.Elements
		c.Bytes += t.SourceBytes
	}
	for _, c := range counts {
		in.Histogram = append(in.Histogram, *c)
	}
	slices.SortFunc(in.Histogram, func(a, b TypeCount) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Type, b.Type))
	})
	return in, nil
}

// shownElements is how much of an array an inspection gives.
const shownElements = 8

func metaEntry(kv gguf.KV) MetaEntry {
	v := reflect.ValueOf(kv.Value)
	if v.Kind() != reflect.Slice {
		return MetaEntry{Key: kv.Key, Type: v.Kind().String(), Value: kv.Value}
	}
	e := MetaEntry{Key: kv.Key, Type: fmt.Sprintf("[]%s", v.Type().Elem().Kind()), Length: v.Len()}
	short := make([]any, 0, shownElements)
	for i := range min(v.Len(), shownElements) {
		short = append(short, v.Index(i).Interface()) // a []byte would print as base64
	}
	e.Value = short
	return e
}
