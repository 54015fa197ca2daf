// Package hf knows everything about Hugging Face: how a model is named, where the Hub and its cache keep
// it, and how a folder of config, tokenizer and weights reads as one value.
//
// What comes from outside is checked before it is believed: names stay inside the model's folder, lengths
// inside the file, and no error ever shows the token.
package hf

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// Checkpoint is a model in Hugging Face layout, in a folder or on the Hub. Small files are read whole,
// weights on demand.
type Checkpoint struct {
	Name     string                // last element of the repository id or of the folder's path: names outputs
	Repo     string                // "org/name" of a Hub model, else ""
	Revision string                // as asked for: "main"; "" for a folder
	Commit   string                // the commit that Revision was resolved to; "" for a folder
	Dir      string                // the local folder that holds the files; "" where only headers were fetched
	Tensors  []*safetensors.Tensor // sorted by name; names are unique

	files   fileReader
	closers []io.Closer
}

// fileReader knows the model's files by their slash-separated names.
type fileReader interface {
	has(name string) bool
	names() ([]string, error) // of those at the top, for messages about what is there
	// ReadFile returns a file of the model. The error is fs.ErrNotExist where the model has no such file.
	ReadFile(name string) ([]byte, error)
}

// ReadFile returns the content of one of the model's small files (config.json, tokenizer.model, README.md).
// errors.Is(err, fs.ErrNotExist) where the model has no such file.
func (c *Checkpoint) ReadFile(name string) ([]byte, error) { return c.files.ReadFile(name) }

// Tensor returns the tensor of that name, or false.
func (c *Checkpoint) Tensor(name string) (*safetensors.Tensor, bool) {
	i, ok := slices.BinarySearchFunc(c.Tensors, name, func(t *safetensors.Tensor, name string) int {
		return strings.Compare(t.Name, name)
	})
	if !ok {
		return nil, false
	}
	return c.Tensors[i], true
}

// Close closes the files of the weights; the tensors can't be read any more.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.closers {
		errs = append(errs, f.Close())
	}
	c.closers = nil
	return errors.Join(errs...)
}
