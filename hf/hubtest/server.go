// Package hubtest is a Hugging Face Hub for tests: it speaks the API, redirects to a content server on another
// host as the real one does, and fails on demand.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a Hub with its models, on two hosts: the Hub itself and the content server that it redirects large
// files to. All methods may be called while it serves.
type Server struct {
	URL string // of the Hub: what HF_ENDPOINT is set to

	t       testing.TB
	content *httptest.Server

	mu       sync.Mutex
	models   map[string]*model
	renamed  map[string]string
	token    string
	fault    func(*http.Request) *Fault
	requests []Request
	serving  int // requests that are not answered to their end
	epoch    int // signed URLs of an elder epoch have expired
}

// Request is a request that the server has answered.
type Request struct {
	Content       bool   // to the content server, not to the Hub
	Path          string // decoded
	Range         string
	Authorization string
	UserAgent     string
	Sent          int64 // bytes of the body
}

type model struct {
	commit string
	refs   map[string]string // branch or tag to commit
	files  map[string]*file
	gated  bool
	before *model // its last commit before this one
}

type file struct {
	data   []byte
	blobID string // git's sha1, of the pointer if the file is large
	sha256 string // of a large file, else ""
}

// New starts a Hub with models by their ids ("org/name"), the files of each from a file system, such as os.DirFS of a
// folder or an fstest.MapFS. It ends with the test.
func New(t testing.TB, models map[string]fs.FS) *Server {
	t.Helper()
	s := &Server{t: t, models: map[string]*model{}, renamed: map[string]string{}}
	for id, files := range models {
		s.Set(id, files)
	}
	s.content = httptest.NewServer(s.handler(true, s.serveContent))
	hub := httptest.NewServer(s.handler(false, s.serveHub)) // it reads s.content
	t.Cleanup(s.content.Close)
	t.Cleanup(hub.Close)
	s.URL = hub.URL
	return s
}

// Set gives a model new files under a new commit, which its branch main is from now on. Earlier commits stay, by their
// hashes.
func (s *Server) Set(id string, files fs.FS) {
	s.t.Helper()
	m := &model{files: map[string]*file{}}
	sum := sha1.New()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		m.files[name] = newFile(name, data)
		fmt.Fprintf(sum, "%s %s\n", name, m.files[name].etag())
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	m.commit = hex.EncodeToString(sum.Sum(nil))
	m.refs = map[string]string{"main": m.commit}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.before = s.models[id]
	s.models[id] = m
}

// newFile stores weights, SentencePiece models and all that is large in LFS, as the Hub's .gitattributes have it.
func newFile(name string, data []byte) *file {
	f := &file{data: data}
	if !slices.Contains([]string{".safetensors", ".bin", ".model", ".gguf"}, path.Ext(name)) && len(data) < 10<<20 {
		f.blobID = gitSHA1(data)
		return f
	}
	sum := sha256.Sum256(data)
	f.sha256 = hex.EncodeToString(sum[:])
	f.blobID = gitSHA1(fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", f.sha256, len(data)))
	return f
}

func gitSHA1(data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

func (f *file) etag() string {
	if f.sha256 != "" {
		return f.sha256
	}
	return f.blobID
}

// Commit is what a model's branch main is now.
func (s *Server) Commit(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[id].commit
}

// ETag is the name of a file's content in the cache.
func (s *Server) ETag(id, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[id].files[name].etag()
}

// Tag names the model's present commit, as a tag or another branch does.
func (s *Server) Tag(id, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models[id].refs[name] = s.models[id].commit
}

// Rename moves a model; its old id redirects.
func (s *Server) Rename(old, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models[id] = s.models[old]
	delete(s.models, old)
	s.renamed[old] = id
}

// Gate lets the files of a model be read with the token alone (RequireToken), as those of a model whose licence must
// be accepted. Its description stays public.
func (s *Server) Gate(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models[id].gated = true
}

// RequireToken sets the one token that is valid.
func (s *Server) RequireToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Expire makes all signed URLs that were given out so far invalid.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
}

// Requests lists what was asked so far, and begins a new list. Requests under way are waited for, so that those that a
// client has left don't turn up later.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for deadline := time.Now().Add(5 * time.Second); s.serving > 0 && time.Now().Before(deadline); {
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		s.mu.Lock()
	}
	list := s.requests
	s.requests = nil
	return list
}

// ContentHost is the host and port of the content server.
func (s *Server) ContentHost() string { return strings.TrimPrefix(s.content.URL, "http://") }

// handler counts, notes and, if told to, spoils what serve answers.
func (s *Server) handler(content bool, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.serving++
		var fault *Fault
		if s.fault != nil {
			fault = s.fault(r)
		}
		s.mu.Unlock()
		c := &counter{ResponseWriter: w}
		defer func() { // also when a fault cuts the connection
			s.mu.Lock()
			s.serving--
			s.requests = append(s.requests, Request{
				Content: content, Path: r.URL.Path, Range: r.Header.Get("Range"),
				Authorization: r.Header.Get("Authorization"), UserAgent: r.UserAgent(), Sent: c.n,
			})
			s.mu.Unlock()
		}()
		if fault != nil {
			fault.serve(c, r, serve)
			return
		}
		serve(c, r)
	})
}

type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// refuse answers as the Hub does: the reason in headers, for people in the body.
func refuse(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": message})
}

// serveHub answers for huggingface.co.
func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	token := s.token
	s.mu.Unlock()
	authorization := r.Header.Get("Authorization")
	if token != "" && authorization != "" && authorization != "Bearer "+token {
		refuse(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return
	}
	authorized := token != "" && authorization == "Bearer "+token
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i, p := range parts {
		parts[i], _ = url.PathUnescape(p)
	}
	switch {
	// /api/models/<id>/revision/<revision>
	case len(parts) > 4 && parts[0] == "api" && parts[1] == "models" && parts[len(parts)-2] == "revision":
		s.describe(w, r, strings.Join(parts[2:len(parts)-2], "/"), parts[len(parts)-1])
	// /api/resolve-cache/models/<id>/<commit>/<file>
	case len(parts) > 5 && parts[0] == "api" && parts[1] == "resolve-cache":
		i := slices.IndexFunc(parts, func(p string) bool { return len(p) == 40 })
		if i < 0 {
			http.NotFound(w, r)
			return
		}
		if m, f := s.find(w, r, strings.Join(parts[3:i], "/"), parts[i], strings.Join(parts[i+1:], "/"), authorized); f != nil {
			w.Header().Set("X-Repo-Commit", m.commit)
			serveBytes(w, r, f)
		}
	// /<id>/resolve/<revision>/<file>
	case slices.Contains(parts, "resolve"):
		i := slices.Index(parts, "resolve")
		if len(parts) < i+3 {
			http.NotFound(w, r)
			return
		}
		s.resolve(w, r, strings.Join(parts[:i], "/"), parts[i+1], strings.Join(parts[i+2:], "/"), authorized)
	default:
		http.NotFound(w, r)
	}
}

// find finds a model at a revision and, unless name is "", a file; otherwise it answers why not.
func (s *Server) find(w http.ResponseWriter, r *http.Request, id, revision, name string, authorized bool) (*model, *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to, ok := s.renamed[id]; ok {
		http.Redirect(w, r, strings.Replace(r.URL.RequestURI(), id, to, 1), http.StatusTemporaryRedirect)
		return nil, nil
	}
	m := s.models[id]
	if m == nil {
		if r.Header.Get("Authorization") == "" { // the Hub doesn't tell strangers whether a private model exists
			refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
		} else {
			refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
		}
		return nil, nil
	}
	gated := m.gated
	for m != nil && revision != m.commit && m.refs[revision] == "" {
		if m = m.before; m != nil && m.refs[revision] != "" {
			m = nil // branches move on, only commits stay
		}
	}
	if m == nil {
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return nil, nil
	}
	if name == "" {
		return m, nil
	}
	if gated && !authorized {
		status := http.StatusUnauthorized
		if r.Header.Get("Authorization") != "" {
			status = http.StatusForbidden
		}
		refuse(w, status, "GatedRepo", "Access to model "+id+" is restricted.")
		return nil, nil
	}
	f := m.files[name]
	if f == nil {
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return nil, nil
	}
	return m, f
}

// describe answers model_info with files_metadata.
func (s *Server) describe(w http.ResponseWriter, r *http.Request, id, revision string) {
	m, _ := s.find(w, r, id, revision, "", false)
	if m == nil {
		return
	}
	siblings := []any{}
	s.mu.Lock()
	for name, f := range m.files {
		sibling := map[string]any{"rfilename": name}
		if r.URL.Query().Get("blobs") == "true" {
			sibling["size"], sibling["blobId"] = len(f.data), f.blobID
			if f.sha256 != "" {
				sibling["lfs"] = map[string]any{"sha256": f.sha256, "size": len(f.data), "pointerSize": 134}
			}
		}
		siblings = append(siblings, sibling)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	gated := any(false)
	if m.gated {
		gated = "manual"
	}
	json.NewEncoder(w).Encode(map[string]any{
		"_id": "0123456789abcdef01234567", "id": id, "modelId": id, "private": false, "gated": gated, "disabled": false,
		"tags": []string{"safetensors"}, "sha": m.commit, "siblings": siblings, "lastModified": "2026-01-01T00:00:00.000Z",
	})
}

// resolve answers with a redirect: of a small file within the Hub, of a large one to a signed URL elsewhere.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request, id, revision, name string, authorized bool) {
	m, f := s.find(w, r, id, revision, name, authorized)
	if f == nil {
		return
	}
	h := w.Header()
	h.Set("X-Repo-Commit", m.commit)
	h.Set("Accept-Ranges", "bytes")
	if f.sha256 == "" {
		h.Set("ETag", strconv.Quote(f.blobID))
		h.Set("Location", "/api/resolve-cache/models/"+id+"/"+m.commit+"/"+(&url.URL{Path: name}).EscapedPath())
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	h.Set("X-Linked-Size", strconv.Itoa(len(f.data)))
	h.Set("X-Linked-Etag", strconv.Quote(f.sha256))
	s.mu.Lock()
	h.Set("Location", fmt.Sprintf("%s/repos/%s?Expires=%d&Signature=secret-signature", s.content.URL, f.sha256, s.epoch))
	s.mu.Unlock()
	w.WriteHeader(http.StatusFound)
}

// serveContent answers for the content server, which knows contents by their checksum.
func (s *Server) serveContent(w http.ResponseWriter, r *http.Request) {
	f, valid := s.signed(r)
	switch {
	case !valid:
		http.Error(w, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", http.StatusForbidden)
	case f == nil:
		http.NotFound(w, r)
	default:
		serveBytes(w, r, f)
	}
}

func (s *Server) signed(r *http.Request) (f *file, valid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Query().Get("Expires") != strconv.Itoa(s.epoch) || r.URL.Query().Get("Signature") != "secret-signature" {
		return nil, false
	}
	for _, m := range s.models {
		for ; m != nil; m = m.before {
			for _, f := range m.files {
				if f.sha256 != "" && "/repos/"+f.sha256 == r.URL.Path {
					return f, true
				}
			}
		}
	}
	return nil, true
}
