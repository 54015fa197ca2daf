package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// source is a model that was found, with its weights within reach or, of a Hub model, only their headers.
type source struct {
	*quant.Model
	kind  Kind
	ref   hf.Ref
	lora  *adapter // that is merged into it; nil for none
	paths []string // local files or folder that weights are read from; none for a Hub model
	close func() error
}

// Kind says where a model comes from.
type Kind string

// The kinds of source, as the HTTP API names them.
const (
	HuggingFace Kind = "huggingface"
	Local       Kind = "local"
	GGUF        Kind = "gguf"
)

// resolve says what a request's model is.
func (s *Service) resolve(r *Request) (hf.Ref, error) {
	ref, err := r.ref(r.Model)
	if err != nil {
		return ref, err
	}
	ref.Adapter = r.LoraBase != ""
	if r.Revision != "" {
		if ref.Kind != hf.Hub {
			return ref, usage("revision %q: only a Hub model has revisions, %s is local", r.Revision, r.Model)
		}
		ref.Revision = r.Revision
	}
	return ref, nil
}

// ref says what a name in the request means.
func (r *Request) ref(name string) (hf.Ref, error) {
	if r.Base != "" {
		// a relative path is one of the folder that the request came from
		if _, err := os.Stat(r.path(name)); err == nil {
			name = r.path(name)
		}
	}
	ref, err := hf.ParseRef(name)
	if err != nil {
		return ref, badRef(err)
	}
	return ref, nil
}

// badRef is an error of the request, unless it is that a file is not there.
func badRef(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &UsageError{Err: err}
}

func kindOf(ref hf.Ref) Kind {
	switch ref.Kind {
	case hf.File:
		return GGUF
	case hf.Folder:
		return Local
	}
	return HuggingFace
}

// open finds the model of a request without fetching weights.
func (s *Service) open(ctx context.Context, r *Request) (*source, error) {
	ref, err := s.resolve(r)
	if err != nil {
		return nil, err
	}
	if err := checkPreTokenizer(r, ref); err != nil {
		return nil, err
	}
	if kindOf(ref) == GGUF {
		if r.LoraBase != "" {
			return nil, noAdapter("base", r.Model)
		}
		if r.MergeLora != "" {
			return nil, &UsageError{Err: fmt.Errorf("merge-lora: %s is a GGUF file, and an adapter is merged into a model in Hugging Face layout", r.Model), hint: "name the Hub id or the folder that the file was made from"}
		}
		return openGGUF(ref)
	}
	c, err := s.openCheckpoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	if r.LoraBase != "" {
		return s.fromAdapter(ctx, c, ref, r)
	}
	lora, err := s.openLora(ctx, r)
	if err != nil {
		c.Close()
		return nil, err
	}
	return fromCheckpoint(c, ref, r, lora)
}

// checkPreTokenizer refuses a name that llama.cpp doesn't have before anything is fetched.
func checkPreTokenizer(r *Request, ref hf.Ref) error {
	switch name := r.PreTokenizer; {
	case name == "":
		return nil
	case !slices.Contains(PreTokenizers(), name):
		return &UsageError{Err: &gguf.UnknownNameError{Kind: "pre-tokenizer", Name: name, Suggestion: gguf.Nearest(name, PreTokenizers())}}
	case ref.Kind == hf.File:
		return &UsageError{Err: fmt.Errorf("pre-tokenizer %q: a GGUF file has its own", name), hint: "change it with --override-kv tokenizer.ggml.pre=str:" + name}
	}
	return nil
}

// PreTokenizers lists the names that a request can give to a pre-tokenizer.
func PreTokenizers() []string { return arch.PreTokenizers() }

// openCheckpoint opens a model or an adapter in Hugging Face layout without fetching weights.
func (s *Service) openCheckpoint(ctx context.Context, ref hf.Ref) (*hf.Checkpoint, error) {
	switch {
	case ref.Kind == hf.Hub:
		return s.hub.OpenRemote(ctx, ref)
	case ref.Adapter:
		c, err := hf.OpenAdapterDir(ref.Path)
		return c, damaged(ref.Path, err)
	}
	c, err := hf.OpenDir(ref.Path)
	return c, damaged(ref.Path, err)
}

// fromCheckpoint maps a model, which it closes if it fails.
func fromCheckpoint(c *hf.Checkpoint, ref hf.Ref, r *Request, lora *adapter) (*source, error) {
	src := &source{kind: kindOf(ref), ref: ref, lora: lora, close: func() error { return errors.Join(c.Close(), lora.close()) }}
	o := arch.Options{Pre: r.PreTokenizer}
	if lora != nil {
		o.Merge = lora.Adapter
	}
	var err error
	if src.Model, err = quant.FromCheckpoint(c, o); err != nil {
		src.close()
		return nil, err
	}
	if src.kind == Local {
		src.paths = []string{ref.Path}
	}
	return src, nil
}

func openGGUF(ref hf.Ref) (*source, error) {
	f, err := gguf.Open(ref.Path)
	if err != nil {
		return nil, damaged(ref.Path, err)
	}
	m, err := quant.FromGGUF(f, gguf.TrimType(filepath.Base(ref.Path)))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", ref.Path, err)
	}
	return &source{Model: m, kind: GGUF, ref: ref, paths: f.Paths, close: f.Close}, nil
}
