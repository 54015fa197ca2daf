package hf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// modelCache is one model's folder in the Hugging Face cache, in huggingface_hub's layout:
//
//	models--org--name/refs/main              the commit, without a newline
//	models--org--name/blobs/<etag>           contents: sha256 of a large file, git's sha1 of a small one
//	models--org--name/snapshots/<commit>/... links to ../../blobs/<etag>
//	.locks/models--org--name/<etag>.lock     held while a blob is written
type modelCache struct {
	root     string // the cache's folder
	repo     string // checked by checkRepo
	symlinks bool
}

func (m modelCache) dir() string { return repoDir(m.root, m.repo) }

// repoDir is a model's folder. A repository id has no "--", so that it can stand for the slash.
func repoDir(root, repo string) string {
	return filepath.Join(root, "models--"+strings.ReplaceAll(repo, "/", "--"))
}

// blob is where a content lies. etag has only hexadecimal digits, see listing.
func (m modelCache) blob(etag string) string { return filepath.Join(m.dir(), "blobs", etag) }

func (m modelCache) snapshot(commit string) string {
	return filepath.Join(m.dir(), "snapshots", commit)
}

func (m modelCache) refPath(revision string) string {
	return filepath.Join(m.dir(), "refs", filepath.FromSlash(revision))
}

func (m modelCache) lockPath(etag string) string {
	return filepath.Join(repoDir(filepath.Join(m.root, ".locks"), m.repo), etag+".lock")
}

// commit says which commit a revision was when it was last seen, or false.
func (m modelCache) commit(revision string) (string, bool) {
	if isCommit(revision) {
		return revision, true
	}
	f, err := os.Open(m.refPath(revision))
	if err != nil {
		return "", false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 64))
	commit := strings.TrimSpace(string(data))
	return commit, err == nil && isCommit(commit)
}

// open opens the snapshot of a revision if all of its weights are there.
func (m modelCache) open(revision string) (*Checkpoint, error) {
	commit, ok := m.commit(revision)
	if !ok {
		return nil, fs.ErrNotExist
	}
	dir := m.snapshot(commit)
	if _, err := os.Stat(dir); err != nil {
		return nil, fs.ErrNotExist
	}
	c, err := OpenDir(dir)
	if err != nil {
		return nil, err
	}
	c.Revision = revision
	return c, nil
}

// complete says whether a file of the snapshot is there with the right size.
func (m modelCache) complete(commit, file string, size int64) bool {
	info, err := os.Stat(m.file(commit, file))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

func (m modelCache) file(commit, file string) string {
	return filepath.Join(m.snapshot(commit), filepath.FromSlash(file))
}

// cacheTag marks the cache for backup programs: https://bford.info/cachedir/
const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of Hugging Face models.\n"

// create makes the folders.
func (m modelCache) create() error {
	for _, dir := range []string{filepath.Join(m.dir(), "blobs"), filepath.Join(m.dir(), "snapshots"), filepath.Dir(m.lockPath("x"))} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(m.root, "CACHEDIR.TAG"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(cacheTag)
	return errors.Join(err, f.Close())
}

// setRef records what a branch or tag is now.
func (m modelCache) setRef(revision, commit string) error {
	if revision == commit {
		return nil
	}
	path := m.refPath(revision)
	if old, err := os.ReadFile(path); err == nil && string(old) == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return replace(path, func(temp string) error { return os.WriteFile(temp, []byte(commit), 0o666) })
}

// link makes the snapshot's file point to the blob. Where the system has no symbolic links the blob itself goes
// there, as huggingface_hub does it.
func (m modelCache) link(commit, file, etag string) error {
	path, blob := m.file(commit, file), m.blob(etag)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(path), blob)
	if err != nil {
		return err
	}
	if old, err := os.Readlink(path); err == nil && old == target {
		return nil
	}
	return replace(path, func(temp string) error {
		if m.symlinks && os.Symlink(target, temp) == nil {
			return nil
		}
		return os.Rename(blob, temp)
	})
}

// replace lets write make a new file beside path and puts it in path's place in one step.
func replace(path string, write func(temp string) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".nexus-quant-*")
	if err != nil {
		return err
	}
	name := temp.Name()
	// only the unused name is wanted: a link can't be made where a file is
	if err := errors.Join(temp.Close(), os.Remove(name)); err != nil {
		return err
	}
	if err := write(name); err != nil {
		os.Remove(name)
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.Rename(name, path); err != nil {
		os.Remove(name)
		return err
	}
	return nil
}
