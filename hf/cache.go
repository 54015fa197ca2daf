package hf

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The cache is laid out as huggingface_hub lays it out, so that both share it:
//
//	CACHEDIR.TAG
//	.locks/models--org--name/<etag>.lock
//	models--org--name/
//	    refs/<revision>                  the commit, without a newline
//	    blobs/<etag>                     a file's content
//	    snapshots/<commit>/<file>        relative link to ../../blobs/<etag>
//
// Beside a blob that is not complete lie our own <etag>.nexus-quant.incomplete and its journal. Elder versions
// of huggingface_hub go on at the end of a plain <etag>.incomplete, which would spoil a file with holes.

const partialSuffix = ".nexus-quant.incomplete"

func repoDir(cache, repo string) string {
	return filepath.Join(cache, "models--"+strings.ReplaceAll(repo, "/", "--"))
}

func (c *Client) snapshotDir(repo, commit string) string {
	return filepath.Join(repoDir(c.cache, repo), "snapshots", commit)
}

func (c *Client) blobPath(repo, etag string) string {
	return filepath.Join(repoDir(c.cache, repo), "blobs", etag)
}

func (c *Client) partialPath(repo, etag string) string {
	return c.blobPath(repo, etag) + partialSuffix
}

func (c *Client) lockPath(repo, etag string) string {
	return filepath.Join(c.cache, ".locks", filepath.Base(repoDir(c.cache, repo)), etag+".lock")
}

// makeCache makes the folders of a model and marks the cache for backup programs.
func (c *Client) makeCache(repo string) error {
	for _, dir := range []string{filepath.Join(repoDir(c.cache, repo), "blobs"), filepath.Dir(c.lockPath(repo, "x"))} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	tag := filepath.Join(c.cache, "CACHEDIR.TAG")
	if _, err := os.Stat(tag); errors.Is(err, fs.ErrNotExist) {
		// https://bford.info/cachedir/ states the signature. A cache without the tag works as well.
		_ = os.WriteFile(tag, []byte("Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of models from the Hugging Face Hub.\n"), 0o666)
	}
	return nil
}

// writeRef notes which commit a revision was when it was last looked up.
func (c *Client) writeRef(repo, revision, commit string) error {
	if revision == commit || c.readRef(repo, revision) == commit {
		return nil
	}
	path := filepath.Join(repoDir(c.cache, repo), "refs", filepath.FromSlash(revision))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	// By rename, because others may be reading it.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ref-*")
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(commit)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// readRef gives the commit that a revision was when it was last looked up, "" if it never was.
func (c *Client) readRef(repo, revision string) string {
	if isCommit(revision) {
		return revision
	}
	data, err := os.ReadFile(filepath.Join(repoDir(c.cache, repo), "refs", filepath.FromSlash(revision)))
	if err != nil || !isCommit(strings.TrimSpace(string(data))) {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// hasFile reports whether a file of a snapshot is in the cache, whole.
func (c *Client) hasFile(repo, commit string, f *remoteFile) bool {
	info, err := os.Stat(filepath.Join(c.snapshotDir(repo, commit), filepath.FromSlash(f.Name)))
	return err == nil && info.Mode().IsRegular() && info.Size() == f.Size
}

// hasBlob reports whether a content is in the cache, whole.
func (c *Client) hasBlob(repo string, f *remoteFile) bool {
	info, err := os.Stat(c.blobPath(repo, f.etag()))
	return err == nil && info.Mode().IsRegular() && info.Size() == f.Size
}

// linkFile makes the file of a snapshot point to its blob: by a relative symbolic link, else a hard link, else a copy.
func (c *Client) linkFile(repo, commit string, f *remoteFile) error {
	dir := c.snapshotDir(repo, commit)
	pointer := filepath.Join(dir, filepath.FromSlash(f.Name))
	blob := c.blobPath(repo, f.etag())
	if a, err := os.Stat(pointer); err == nil {
		if b, err := os.Stat(blob); err == nil && os.SameFile(a, b) {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(pointer), 0o777); err != nil {
		return err
	}
	if err := os.Remove(pointer); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if c.symlinks {
		target, err := filepath.Rel(filepath.Dir(pointer), blob)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, pointer); err == nil || errors.Is(err, fs.ErrExist) {
			return nil // another process was faster
		}
	}
	if err := os.Link(blob, pointer); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return copyFile(pointer, blob)
}

func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(dst), ".copy-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o644), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), dst)
	}
	if err != nil {
		os.Remove(out.Name())
	}
	return err
}

// cached finds a model in the cache without asking the Hub. The error says what is missing.
func (c *Client) cached(repo, revision string, adapter bool) (commit, dir string, err error) {
	who := "model " + strconv.Quote(repo)
	commit = c.readRef(repo, revision)
	if commit == "" {
		return "", "", &Error{Kind: ErrOffline, Message: who + ": revision " + strconv.Quote(revision) + " is not in the cache " + c.cache}
	}
	dir = c.snapshotDir(repo, commit)
	if _, err := os.Stat(dir); err != nil {
		return "", "", &Error{Kind: ErrOffline, Message: who + " is not in the cache " + c.cache}
	}
	config := "config.json"
	if adapter {
		config = AdapterConfig
	}
	if !folder(dir).has(config) {
		return "", "", &Error{Kind: ErrOffline, Message: who + " is in the cache without its " + config}
	}
	if _, err := findWeights(who, folder(dir), adapter); err != nil {
		return "", "", &Error{Kind: ErrOffline, Message: "the cache has only a part", Cause: err}
	}
	return commit, dir, nil
}
