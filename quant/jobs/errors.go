package jobs

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/registry"
)

// Class sorts errors by what a caller does about them. The command line turns them into exit codes.
type Class int

// The classes of errors.
const (
	Failed      Class = iota // none of the others
	BadRequest               // wrong in itself, whatever the model
	Unsupported              // the model or the type can't be handled
	NoAccess                 // a login or an accepted licence is needed
	NotFound                 // no such model, revision or file
	NoResources              // not enough disk or memory
	Cancelled                // the caller stopped it
	Conflict                 // something is not in a state for it: still running, already ended
	Forbidden                // outside the folders that may be touched
	Unavailable              // the Hub can't be reached
	Damaged                  // a local model's files are not what they should be
)

// ClassOf sorts an error. It is the one place that does.
func ClassOf(err error) Class {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrInterrupted):
		return Cancelled
	case isA[*quant.PresetError](err), isA[*quant.ImatrixError](err), isA[*quant.TowerPresetError](err), isA[*quant.NoTowerError](err), isA[*arch.UnsupportedError](err), isA[*arch.QuantizedError](err), isA[*arch.AdapterError](err), errors.Is(err, hf.ErrNoWeights):
		return Unsupported
	case isA[*UsageError](err), isA[FieldErrors](err), errors.Is(err, registry.ErrAmbiguous):
		return BadRequest
	case isA[*ConflictError](err), isA[*FinishedError](err), isA[*quant.ExistsError](err), isA[*quant.BusyError](err):
		return Conflict
	case isA[*ForbiddenError](err):
		return Forbidden
	case errors.Is(err, hf.ErrGated), errors.Is(err, hf.ErrUnauthorized):
		return NoAccess
	case errors.Is(err, hf.ErrNotFound), errors.Is(err, hf.ErrRevision), errors.Is(err, registry.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, hf.ErrOffline), isA[net.Error](err):
		return Unavailable
	case isA[*DamagedError](err):
		return Damaged
	case isA[*DiskError](err), isA[*quant.DiskError](err), isA[*quant.MemoryError](err):
		return NoResources
	}
	return Failed
}

func isA[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

// HintOf says what to do about an error, "" where there is nothing to say.
func HintOf(err error) string {
	var name *gguf.UnknownNameError
	if errors.As(err, &name) { // it carries the nearest right name itself
		switch name.Kind {
		case "tensor type":
			return "tensor types: " + strings.Join(TensorTypes(), " ")
		case "pre-tokenizer":
			return "llama.cpp has: " + strings.Join(PreTokenizers(), " ")
		}
		return "nexus-quant types lists them all"
	}
	for err != nil {
		var h interface {
			error
			Hint() string
		}
		if !errors.As(err, &h) {
			return ""
		}
		if hint := h.Hint(); hint != "" {
			return hint
		}
		err = errors.Unwrap(h)
	}
	return ""
}

// TensorTypes lists the types that a tensor can be given.
func TensorTypes() []string { return quant.WritableTypes() }
