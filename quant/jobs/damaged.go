package jobs

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// DamagedError is returned for a local model whose files are not what they should be: of another format, cut off,
// contradicting themselves.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string {
	if text := e.Err.Error(); strings.Contains(text, e.Path) || strings.Contains(text, filepath.Base(e.Path)) {
		return text // it names the file, or the shard
	}
	return fmt.Sprintf("%s: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *DamagedError) Hint() string {
	switch {
	case errors.Is(e.Err, gguf.ErrNotGGUF):
		return "a GGUF file starts with the letters GGUF; a folder in Hugging Face's layout is named by the folder"
	case errors.Is(e.Err, gguf.ErrTruncated):
		return "the file ends before it should: fetch or copy it again, and compare its size with the original's"
	}
	return ""
}

// damaged marks what is wrong with a local model's files and has no class of its own.
func damaged(path string, err error) error {
	if err == nil || ClassOf(err) != Failed {
		return err
	}
	return &DamagedError{path, err}
}
