// Package hf knows everything about Hugging Face: how a model is named, where the Hub and its cache keep
// it, and how a folder of config, tokenizer and weights reads as one value.
package hf

import "github.com/nexus-quant/nexus-quant/hf/safetensors"

// Checkpoint is a model in Hugging Face layout, in a folder or on the Hub. Small files are read whole,
// weights on demand.
type Checkpoint struct {
	Name     string                // last element of the repository id or of the folder's path: names outputs
	Repo     string                // "org/name" of a Hub model, else ""
	Revision string                // as asked for: "main"; "" for a folder
	Commit   string                // the commit that Revision was resolved to; "" for a folder
	Dir      string                // the local folder that holds the files; "" where only headers were fetched
	Tensors  []*safetensors.Tensor // sorted by name; names are unique

	files fileReader
}

// fileReader opens the checkpoint's small files by name.
type fileReader interface {
	// ReadFile returns a file of the model. The error is fs.ErrNotExist where the model has no such file.
	ReadFile(name string) ([]byte, error)
}

// ReadFile returns the content of one of the model's small files (config.json, tokenizer.model, README.md).
// errors.Is(err, fs.ErrNotExist) where the model has no such file.
func (c *Checkpoint) ReadFile(name string) ([]byte, error) { return c.files.ReadFile(name) }
