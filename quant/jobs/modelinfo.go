package jobs

import (
	"context"
	"errors"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// ModelInfo is what can be said of a source before a job is made of it.
type ModelInfo struct {
	Source        string   `json:"source"`
	SourceType    string   `json:"source_type"`
	Commit        *string  `json:"commit"`
	Architecture  string   `json:"architecture"`
	Parameters    int64    `json:"parameters"`
	DType         string   `json:"dtype"` // of most of the weights
	Bytes         int64    `json:"size_bytes"`
	ContextLength int64    `json:"context_length"`
	Gated         bool     `json:"gated"`
	Supported     bool     `json:"supported"`
	Reason        *string  `json:"reason"` // why it is not supported
	Recommended   []string `json:"recommended_types"`
}

// InspectModel says whether a source can be quantized. A model that can't, for a reason of its own, is no error.
func (s *Service) InspectModel(ctx context.Context, name, revision string) (*ModelInfo, error) {
	r := &Request{Model: strings.TrimSpace(name), Revision: revision}
	if r.Model == "" {
		var bad FieldErrors
		bad.add("source", "value_error", "must not be empty")
		return nil, bad
	}
	if err := s.allowed(r, ""); err != nil {
		return nil, err
	}
	info := &ModelInfo{Source: r.Model, Recommended: []string{}}
	if ref, err := s.resolve(r); err == nil {
		info.SourceType = string(kindOf(ref))
	}
	in, err := s.Inspect(ctx, r)
	if err != nil {
		var unsupported *arch.UnsupportedError
		var quantized *arch.QuantizedError
		switch {
		case errors.As(err, &unsupported), errors.As(err, &quantized), errors.Is(err, hf.ErrNoWeights):
		case errors.Is(err, hf.ErrGated):
			info.Gated = true
		default:
			return nil, err
		}
		info.Reason = optional(err.Error())
		return info, nil
	}
	info.Commit, info.Architecture, info.Parameters, info.Bytes = optional(in.Commit), in.Architecture, in.Parameters, in.Bytes
	info.ContextLength, info.Recommended, info.Supported = in.ContextLength, in.Recommended, true
	if len(in.Histogram) > 0 {
		info.DType = in.Histogram[0].Type
	}
	return info, nil
}

// Health is how the program is doing.
type Health struct {
	Status    string `json:"status"` // "ok", or "degraded" with Error
	Version   string `json:"version"`
	Running   int    `json:"running_jobs"`
	Queued    int    `json:"queued_jobs"`
	OutputDir string `json:"output_dir"`
	FreeBytes int64  `json:"free_disk_bytes"`
	DiskBytes int64  `json:"disk_bytes"` // of that disk, used and free; 0 if unknown
	Token     bool   `json:"hf_token"`   // whether there is one, never what it is
	Error     string `json:"error,omitempty"`

	Folders     []string `json:"folders"` // that requests may name files in
	ModelsDir   string   `json:"models_dir"`
	Threads     int      `json:"threads"` // of a job; 0: all cores
	MaxMemory   int64    `json:"max_memory_bytes"`
	Concurrency int      `json:"concurrency"` // jobs at once
}

// Health looks at the registry and the disk.
func (s *Service) Health() Health {
	h := Health{
		Status: "ok", Version: s.version, OutputDir: s.settings.OutputDir, Token: s.hub.HasToken(),
		Folders: s.settings.folders(), ModelsDir: s.settings.ModelsDir, Threads: s.settings.Threads, MaxMemory: s.settings.MaxMemory,
		Concurrency: s.settings.Concurrency,
	}
	free, _, err := freeBytes(s.settings.OutputDir)
	h.FreeBytes, h.DiskBytes = free, diskSize(s.settings.OutputDir)
	if err == nil {
		var st Stats
		if st, err = s.Stats(); err == nil {
			h.Queued = st.Jobs["queued"]
			h.Running = st.Jobs["downloading"] + st.Jobs["preparing"] + st.Jobs["quantizing"]
		}
	}
	if err != nil {
		h.Status, h.Error = "degraded", err.Error()
	}
	return h
}
