package hf

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// maxSmallFile bounds what is read whole into memory. The largest tokenizer.json in use have 35 MB.
const maxSmallFile = 256 << 20

// OpenDir opens a model in a local folder: config, tokenizer files and weights in one model.safetensors, in the shards of
// model.safetensors.index.json, or in the same of PyTorch (pytorch_model.bin). All headers are read and checked, no weights. A snapshot of
// the Hugging Face cache is such a folder too: its links are followed, and its path gives Repo and Commit.
// Close the checkpoint after use.
func OpenDir(dir string) (*Checkpoint, error) { return openDir(dir, false) }

// OpenAdapterDir opens a LoRA adapter in a local folder as OpenDir does a model.
func OpenAdapterDir(dir string) (*Checkpoint, error) { return openDir(dir, true) }

func openDir(dir string, adapter bool) (*Checkpoint, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Name: filepath.Base(abs), Dir: abs, files: folder(abs)}
	who := fmt.Sprintf("model %q", dir)
	if repo, commit, ok := parseSnapshotPath(abs); ok {
		c.Repo, c.Commit = repo, commit
		c.Name = repo[strings.LastIndexByte(repo, '/')+1:]
		who = fmt.Sprintf("model %q", repo)
	}
	weights, err := findWeights(who, c.files, adapter)
	if err != nil {
		return nil, err
	}
	headers := map[string][]*safetensors.Tensor{}
	for _, shard := range weights.shards {
		f, size, err := folder(abs).open(shard)
		if err == nil {
			c.closers = append(c.closers, f)
			headers[shard], err = readTensors(f, size, shard)
		}
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("%s: %w", who, err)
		}
	}
	if c.Tensors, err = weights.collect(who, headers); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// folder reads the files of a model folder by their slash-separated names. A name can't lead out of the
// folder; a symbolic link can, since the cache's snapshots are made of links and people link their weights.
type folder string

// has reports whether the file exists. A dangling link doesn't: an interrupted download leaves such.
func (d folder) has(name string) bool {
	if checkName(name) != nil {
		return false
	}
	info, err := os.Stat(filepath.Join(string(d), filepath.FromSlash(name)))
	return err == nil && info.Mode().IsRegular()
}

// names lists the files at the folder's top.
func (d folder) names() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if d.has(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// open opens a file and gives its size. Only regular files are opened: a pipe would block for ever.
func (d folder) open(name string) (*os.File, int64, error) {
	if err := checkName(name); err != nil {
		return nil, 0, err
	}
	full := filepath.Join(string(d), filepath.FromSlash(name))
	info, err := os.Stat(full)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: %w: not a regular file", full, fs.ErrInvalid)
	}
	f, err := os.Open(full)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// ReadFile reads a small file whole.
func (d folder) ReadFile(name string) ([]byte, error) {
	f, size, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxSmallFile {
		return nil, fmt.Errorf("%s: %d bytes, more than %d is not read into memory", name, size, int64(maxSmallFile))
	}
	return io.ReadAll(io.LimitReader(f, maxSmallFile))
}

// parseSnapshotPath takes ".../models--org--name/snapshots/<commit>" apart.
func parseSnapshotPath(abs string) (repo, commit string, ok bool) {
	snapshots, commit := filepath.Split(abs)
	snapshots = filepath.Clean(snapshots)
	if filepath.Base(snapshots) != "snapshots" || !isCommit(commit) {
		return "", "", false
	}
	id, ok := strings.CutPrefix(filepath.Base(filepath.Dir(snapshots)), "models--")
	if !ok || id == "" {
		return "", "", false
	}
	return strings.Replace(id, "--", "/", 1), commit, true
}
