package hf

import "errors"

var (
	// ErrGated is returned when the Hub knows the model but asks for an accepted licence first.
	ErrGated = errors.New("model is gated")
	// ErrUnauthorized is returned when the Hub refuses the token, or the lack of one.
	ErrUnauthorized = errors.New("not authorized")
	// ErrNotFound is returned when a model, or a file of it, doesn't exist or isn't visible to the token.
	ErrNotFound = errors.New("not found")
	// ErrRevision is returned when the model exists, but not the branch, tag or commit.
	ErrRevision = errors.New("no such revision")
	// ErrOffline is returned when the network may not be used, or can't be reached, and the cache lacks the model.
	ErrOffline = errors.New("offline")
	// ErrNoWeights is returned when a model has no weights that this program reads.
	ErrNoWeights = errors.New("no weights")
	// ErrIncomplete is returned when a model's files contradict each other: a shard or a tensor is missing or too many.
	ErrIncomplete = errors.New("model is incomplete")
	// ErrCorrupt is returned when downloaded bytes twice differ from the checksum that the Hub states.
	ErrCorrupt = errors.New("checksum mismatch")
)

// Error is a failure with a way out: what happened, and what to do about it.
type Error struct {
	Kind    error  // one of the package's Err values
	Message string // subject first: `model "org/name" is gated: ...`
	Cause   error  // may be nil

	hint string
}

// Error says what happened.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Hint says what to do about it, "" where there is nothing to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives the kind and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Cause != nil {
		return []error{e.Kind, e.Cause}
	}
	return []error{e.Kind}
}
