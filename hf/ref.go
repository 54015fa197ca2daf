package hf

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Kind says what a Ref names.
type Kind int

// The kinds of references.
const (
	Hub    Kind = iota // a repository on the Hub
	Folder             // a local folder in Hugging Face layout
	File               // a local .gguf file
)

// Ref names a model.
type Ref struct {
	Kind     Kind
	Repo     string // of a Hub model: "org/name", or "name" of the oldest ones
	Revision string // of a Hub model: branch, tag or commit; "" for its main branch
	Path     string // of a folder or file, "~" expanded
	Adapter  bool   // its LoRA adapter is meant, not a whole model
}

// String gives the reference in the form that ParseRef reads.
func (r Ref) String() string {
	switch {
	case r.Kind != Hub:
		return r.Path
	case r.Revision != "":
		return r.Repo + "@" + r.Revision
	}
	return r.Repo
}

// refForms ends every message about a reference that can't be read.
const refForms = "org/name, org/name@revision, hf://org/name@revision, https://huggingface.co/org/name, ./folder or file.gguf"

// ParseRef reads a reference to a model:
//
//	org/name, name               Hub id
//	org/name@revision            at a branch, tag or commit
//	hf://org/name@revision
//	https://huggingface.co/org/name[/tree/revision]
//	folder                       if it exists, or begins with "/", "." or "~"
//	file.gguf
//
// A local path that exists goes before a Hub id of the same spelling. Whether a path that is local by its
// form exists, is found when it is opened.
func ParseRef(s string) (Ref, error) {
	if rest, ok := strings.CutPrefix(s, "hf://"); ok {
		return parseHub(s, strings.TrimPrefix(rest, "models/"))
	}
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return parseURL(s)
	}
	if s == "" {
		return Ref{}, badRef(s, errors.New("is empty"))
	}
	path, err := expandHome(s)
	if err != nil {
		return Ref{}, badRef(s, err)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return Ref{Kind: Folder, Path: path}, nil
	case isGGUF(path):
		return Ref{Kind: File, Path: path}, nil
	case err == nil && strings.HasSuffix(path, ".safetensors"):
		return Ref{}, badRef(s, fmt.Errorf("is one file of a model: name its folder, %s", filepath.Dir(path)))
	case err == nil:
		return Ref{}, badRef(s, errors.New("is a file, but not .gguf"))
	case strings.HasPrefix(s, ".") || path != s || filepath.IsAbs(path):
		return Ref{Kind: Folder, Path: path}, nil
	}
	return parseHub(s, s)
}

func isGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

func expandHome(s string) (string, error) {
	if s != "~" && !strings.HasPrefix(s, "~/") {
		return s, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, s[1:]), nil
}

func parseURL(s string) (Ref, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Ref{}, badRef(s, errors.New("is not a URL"))
	}
	if u.Host != "huggingface.co" && u.Host != "hf.co" {
		return Ref{}, badRef(s, errors.New("is not on huggingface.co"))
	}
	repo, revision, tree := strings.Cut(strings.Trim(u.Path, "/"), "/tree/")
	if tree {
		repo += "@" + revision
	}
	return parseHub(s, repo)
}

// parseHub reads "org/name@revision", which stands within s.
func parseHub(s, id string) (Ref, error) {
	repo, revision, pinned := strings.Cut(id, "@")
	if err := checkRepo(repo); err != nil {
		return Ref{}, badRef(s, err)
	}
	if pinned {
		if err := checkRevision(revision); err != nil {
			return Ref{}, badRef(s, err)
		}
	}
	return Ref{Kind: Hub, Repo: repo, Revision: revision}, nil
}

// checkRepo holds a repository id against the Hub's rules (validate_repo_id of huggingface_hub). They also
// make it safe as part of a path in the cache.
func checkRepo(repo string) error {
	org, name, ok := strings.Cut(repo, "/")
	if !ok {
		org, name = "x", org
	}
	allowed := func(part string) bool {
		for _, r := range part {
			if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r)) {
				return false
			}
		}
		return part != "" && !strings.Contains(part, "--") && !strings.Contains(part, "..") &&
			!strings.ContainsAny(part[:1]+part[len(part)-1:], ".-")
	}
	if !allowed(org) || !allowed(name) || len(repo) > 96 || strings.HasSuffix(name, ".git") {
		return errors.New("is neither a local path nor a Hub id")
	}
	if ok && (org == "datasets" || org == "spaces") {
		return fmt.Errorf("names one of the Hub's %s, want a model", org)
	}
	return nil
}

// checkRevision refuses what can't be a branch, tag or commit, and what could leave the cache's folder:
// the revision is a path below refs/ there.
func checkRevision(revision string) error {
	if checkName(revision) != nil || strings.ContainsAny(revision, " ~^?*[\x7f") || strings.HasSuffix(revision, ".lock") {
		return fmt.Errorf("has %q for a revision, want a branch, tag or commit", revision)
	}
	for _, r := range revision {
		if r < ' ' {
			return fmt.Errorf("has %q for a revision, want a branch, tag or commit", revision)
		}
	}
	return nil
}

// RefError says why a reference can't be read.
type RefError struct {
	Ref string
	Err error
}

func (e *RefError) Error() string { return fmt.Sprintf("model %q %v", e.Ref, e.Err) }

// Unwrap gives the reason.
func (e *RefError) Unwrap() error { return e.Err }

// Hint lists the forms.
func (e *RefError) Hint() string { return "a model is named as " + refForms }

func badRef(s string, err error) error { return &RefError{Ref: s, Err: err} }
