// Package web is the page that people see in a browser: its files as they stand in static, and the handler that
// serves them. There is no build step; the one library that the page uses lies in static/vendor.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var files embed.FS

// Routes are the patterns of everything that the page answers: its files, and the addresses of its views, which all
// give index.html.
var Routes = []string{
	"GET /{$}", "GET /quantization", "GET /jobs", "GET /jobs/{id}", "GET /registry", "GET /registry/{id...}", "GET /inspect", "GET /settings",
	"GET /static/{file...}", "GET /favicon.ico",
}

// mediaTypes are the types of what is served; the system's own table is not asked. Other files of the folder are not
// part of the page.
var mediaTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// policy lets the page load what this server has and nothing else: no script or style within the HTML, no frame around
// it, no form that goes elsewhere.
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// file is a file of the page, ready to be sent.
type file struct {
	media        string
	plain, small []byte // small is gzip's, nil where that is no gain
	etag         string // of plain; the other one's has a suffix
}

type handler map[string]*file

// Access says who is let in, which the page shows.
type Access string

// Who is let in.
const (
	NeedsToken  Access = "token"
	ThisMachine Access = "local"
	Everybody   Access = "open"
)

// Handler serves the page. The version is the program's: the page compares it with the server's, to notice that it has
// become old.
func Handler(version string, access Access) http.Handler {
	h := handler{}
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		media := mediaTypes[path.Ext(name)]
		if err != nil || d.IsDir() || media == "" {
			return err
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		if name == "static/index.html" {
			b = bytes.ReplaceAll(b, []byte("{{version}}"), []byte(html.EscapeString(version)))
			b = bytes.ReplaceAll(b, []byte("{{access}}"), []byte(html.EscapeString(string(access))))
		}
		h["/"+name], err = newFile(media, b)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("embedded page: %v", err)) // of the program's own files
	}
	return h
}

func newFile(media string, b []byte) (*file, error) {
	sum := sha256.Sum256(b)
	f := &file{media: media, plain: b, etag: base64.RawURLEncoding.EncodeToString(sum[:12])}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if z.Len() < len(b) {
		f.small = z.Bytes()
	}
	return f, nil
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", policy)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f, ok := h[r.URL.Path], true
	if r.URL.Path == "/favicon.ico" { // asked for where no page names another icon: a picture, an answer in JSON
		f = h["/static/icon.svg"]
	} else if !strings.HasPrefix(r.URL.Path, "/static/") {
		f, ok = h["/static/index.html"], view(r.URL.Path)
	}
	if f == nil || !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	body, etag := f.plain, f.etag
	header.Set("Vary", "Accept-Encoding")
	if f.small != nil && takesGzip(r) {
		body, etag = f.small, f.etag+"-gzip"
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", f.media)
	header.Set("Cache-Control", "no-cache") // ask each time; the answer is mostly 304
	header.Set("ETag", `"`+etag+`"`)
	if matches(r.Header.Get("If-None-Match"), etag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

// view tells whether a path is one of the page's views.
func view(p string) bool {
	switch p {
	case "/", "/quantization", "/jobs", "/registry", "/inspect", "/settings":
		return true
	}
	job, of := strings.CutPrefix(p, "/jobs/")
	return of && job != "" && !strings.Contains(job, "/") || strings.HasPrefix(p, "/registry/")
}

// takesGzip tells whether the client accepts gzip. One that names it with weight 0 does not.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

// matches tells whether an If-None-Match header names the tag.
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == "*" || part == `"`+etag+`"` {
			return true
		}
	}
	return false
}
