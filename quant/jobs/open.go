package jobs

import (
	"context"
	"fmt"
	"path/filepath"

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

// open finds the model of a request without fetching weights.
func (s *Service) open(ctx context.Context, r *Request) (*source, error) {
	ref, err := hf.ParseRef(r.Model)
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	if r.Revision != "" {
		if ref.Kind != hf.Hub {
			return nil, usage("revision %q: only a Hub model has revisions, %s is local", r.Revision, r.Model)
		}
		ref.Revision = r.Revision
	}
	switch ref.Kind {
	case hf.File:
		return openGGUF(ref)
	case hf.Folder:
		c, err := hf.OpenDir(ref.Path)
		if err != nil {
			return nil, err
		}
		return fromCheckpoint(c, ref, Local, r)
	default:
		c, err := s.hub.OpenRemote(ctx, ref)
		if err != nil {
			return nil, err
		}
		return fromCheckpoint(c, ref, HuggingFace, r)
	}
}

func fromCheckpoint(c *hf.Checkpoint, ref hf.Ref, kind Kind, r *Request) (*source, error) {
	m, err := quant.FromCheckpoint(c, arch.Options{Pre: r.PreTokenizer})
	if err != nil {
		c.Close()
		return nil, err
	}
	src := &source{Model: m, kind: kind, ref: ref, close: c.Close}
	if kind == Local {
		src.paths = []string{ref.Path}
	}
	return src, nil
}

func openGGUF(ref hf.Ref) (*source, error) {
	f, err := gguf.Open(ref.Path)
	if err != nil {
		return nil, err
	}
	m, err := quant.FromGGUF(f, gguf.TrimType(filepath.Base(ref.Path)))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", ref.Path, err)
	}
	return &source{Model: m, kind: GGUF, ref: ref, paths: f.Paths, close: f.Close}, nil
}
