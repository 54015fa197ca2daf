package web

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestEveryViewIsTheSamePage(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	page := Handler(`1.2 "<test>"`, NeedsToken)
	for _, route := range Routes {
		mux.Handle(route, page)
	}
	for _, target := range []string{"/", "/quantization", "/jobs", "/jobs/3ef62cdc", "/registry", "/registry/org/name", "/inspect?path=/a.gguf", "/settings"} {
		r := get(t, mux, target)
		b, _ := io.ReadAll(r.Body)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: got %d %s", target, r.StatusCode, r.Header.Get("Content-Type"))
		}
		if !strings.Contains(string(b), `content="1.2 &#34;&lt;test&gt;&#34;"`) {
			t.Errorf("%s: the page does not hold the version, escaped", target)
		}
		if !strings.Contains(string(b), `name="nexus-quant-access" content="token"`) {
			t.Errorf("%s: the page does not say who is let in", target)
		}
	}
	if r := get(t, mux, "/favicon.ico"); r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("/favicon.ico: got %d %s", r.StatusCode, r.Header.Get("Content-Type"))
	}
	for _, target := range []string{"/jobs/a/b", "/static/", "/static/nothing.js", "/static/vendor/README.md", "/static/vendor/preact.d.ts", "/web.go", "/static/../web.go"} {
		if r := get(t, page, target); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", target, r.StatusCode)
		}
	}
}

func TestFilesCarryTypeTagAndPolicy(t *testing.T) {
	t.Parallel()
	h := Handler("test", ThisMachine)
	for name, f := range h.(handler) {
		r := get(t, h, name)
		b, _ := io.ReadAll(r.Body)
		if string(b) != string(f.plain) && name != "/static/index.html" {
			t.Errorf("%s: got other bytes than the file's", name)
		}
		if r.Header.Get("Content-Type") != mediaTypes[path.Ext(name)] || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: headers are %v", name, r.Header)
		}
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy is %q", name, csp)
		}
		etag := r.Header.Get("ETag")
		if again := get(t, h, name, "If-None-Match", `"other", W/`+etag); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: got %d for its own tag, want 304", name, again.StatusCode)
		}
		if other := get(t, h, name, "If-None-Match", `"other"`); other.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d for another tag, want 200", name, other.StatusCode)
		}
	}
}

func TestGzipIsOnlyForThoseWhoTakeIt(t *testing.T) {
	t.Parallel()
	h := Handler("test", ThisMachine)
	const name = "/static/vendor/preact.js"
	plain, _ := io.ReadAll(get(t, h, name).Body)
	for accept, want := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "identity": false, "": false} {
		r := get(t, h, name, "Accept-Encoding", accept)
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip %v, want %v", accept, got, want)
			continue
		}
		var body io.Reader = r.Body
		if want {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if b, _ := io.ReadAll(body); string(b) != string(plain) {
			t.Errorf("Accept-Encoding %q: other bytes", accept)
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary", accept)
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Handler("test", ThisMachine).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("got %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	w = httptest.NewRecorder()
	Handler("test", ThisMachine).ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: got %d with %d bytes, length %q", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

// TestThePageIsLight holds the promise that the first load is below 150 KB over the wire.
func TestThePageIsLight(t *testing.T) {
	t.Parallel()
	total := 0
	for name, f := range Handler("test", ThisMachine).(handler) {
		if path.Ext(name) != ".txt" {
			total += min(len(f.plain), len(f.small)+len(f.plain)*btoi(f.small == nil))
		}
	}
	if total > 150_000 {
		t.Errorf("the page takes %d bytes over the wire, want at most 150000", total)
	}
	t.Logf("%d bytes over the wire", total)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestThePolicyIsKept looks for what the policy would refuse, and for what would need the network.
func TestThePolicyIsKept(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<\s]|<style|\sstyle=["']|\son[a-z]+=["']|javascript:`)
	elsewhere := regexp.MustCompile(`(?:src|href|from|import)\s*[=( ]\s*["'](?:https?:)?//`)
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "static/vendor/") {
			return err
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		if m := inline.Find(b); m != nil && path.Ext(name) == ".html" {
			t.Errorf("%s: %q is refused by the policy", name, m)
		}
		if m := elsewhere.Find(b); m != nil {
			t.Errorf("%s: %q loads from another place", name, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryImportIsThere follows the imports of all modules: a wrong path would only show in a browser.
func TestEveryImportIsThere(t *testing.T) {
	t.Parallel()
	h := Handler("test", ThisMachine).(handler)
	imports := regexp.MustCompile(`(?m)^import[^"]*"(\.[^"]+)"`) // types in comments are none
	links := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
	preloaded := map[string]bool{}
	for _, m := range links.FindAllSubmatch(h["/static/index.html"].plain, -1) {
		preloaded[string(m[1])] = true
		if h[string(m[1])] == nil {
			t.Errorf("index.html names %s, which is not there", m[1])
		}
	}
	for name, f := range h {
		if path.Ext(name) != ".js" || strings.Contains(name, "/vendor/") {
			continue
		}
		if !preloaded[name] {
			t.Errorf("index.html does not preload %s: the browser would find it late", name)
		}
		for _, m := range imports.FindAllSubmatch(f.plain, -1) {
			if to := path.Join(path.Dir(name), string(m[1])); h[to] == nil {
				t.Errorf("%s imports %s, which is not there", name, to)
			}
		}
	}
}

// TestTheVendoredFileIsWhatItsReadmeSays holds the hash and the versions against the record, and the record against
// the versions that npm is asked for.
func TestTheVendoredFileIsWhatItsReadmeSays(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	code, readme := read("static/vendor/preact.js"), string(read("static/vendor/README.md"))
	sum := sha256.Sum256(code)
	if want := fmt.Sprintf("| preact.js | %d | %s |", len(code), hex.EncodeToString(sum[:])); !strings.Contains(readme, want) {
		t.Errorf("vendor/README.md has no line %q: make vendor-ui writes both", want)
	}
	var manifest struct{ DevDependencies map[string]string }
	if err := json.Unmarshal(read("../e2e/package.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	licences := string(read("static/vendor/LICENSES.txt"))
	for _, name := range []string{"preact", "htm", "@preact/signals"} {
		version := manifest.DevDependencies[name]
		if !strings.Contains(readme, "| "+name+" | "+version+" | ") || !strings.Contains(licences, name+" "+version+"\n") {
			t.Errorf("vendor does not record %s %s with its licence: make vendor-ui writes it", name, version)
		}
	}
}
