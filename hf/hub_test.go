package hf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
)

const repo = "org/tiny"

// tiny is a sharded model with files that nobody needs.
func tiny() map[string]string {
	return map[string]string{
		"config.json":                          `{"model_type":"llama"}`,
		"generation_config.json":               `{}`,
		"tokenizer.model":                      "sentencepiece",
		"spiece.model":                         "pieces",
		"tokenizer_config.json":                `{"a":1}`,
		"README.md":                            "# tiny",
		"additional_chat_templates/tool.jinja": "{{ x }}",
		indexFile:                              index("a", shard1, "b", shard2, "c", shard3),
		shard1:                                 weights(700_000, "a"),
		shard2:                                 weights(300_000, "b"),
		shard3:                                 weights(10, "c"),
		"pytorch_model.bin":                    "pickle",
		"original/consolidated.safetensors":    "not needed",
		"consolidated.safetensors":             "not needed",
		"images/logo.png":                      "not needed",
	}
}

// needed are the files of tiny that a conversion reads.
var needed = []string{
	"README.md", "additional_chat_templates/tool.jinja", "config.json", "generation_config.json",
	shard1, shard2, shard3, indexFile, "spiece.model", "tokenizer.model", "tokenizer_config.json",
}

func asFS(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, content := range files {
		m[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return m
}

func newHub(t *testing.T, files map[string]string) *hubtest.Server {
	t.Helper()
	return hubtest.New(t, map[string]fs.FS{repo: asFS(files)})
}

// newClient is a client of the server with a cache of its own, which doesn't wait long.
func newClient(t *testing.T, s *hubtest.Server, env ...string) *Client {
	t.Helper()
	vars := map[string]string{"HF_ENDPOINT": s.URL, "HF_HOME": t.TempDir()}
	for i := 0; i < len(env); i += 2 {
		vars[env[i]] = env[i+1]
	}
	c := NewClient(func(name string) string { return vars[name] }, "test")
	c.backoff = time.Millisecond
	return c
}

func hubRef(revision string) Ref { return Ref{Kind: Hub, Repo: repo, Revision: revision} }

func isWeights(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/repos/") }

// checkSnapshot holds the folder of a download against the model.
func checkSnapshot(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, name := range needed {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || string(got) != files[name] {
			t.Errorf("%s: %d bytes, want %d; %v", name, len(got), len(files[name]), err)
		}
	}
}

// bodies is how many bytes of files the server sent.
func bodies(s *hubtest.Server) (n int64) {
	for _, r := range s.Requests() {
		if r.Content || strings.HasPrefix(r.Path, "/api/resolve-cache/") {
			n += r.Sent
		}
	}
	return n
}

func download(t *testing.T, c *Client) string {
	t.Helper()
	dir, _, err := c.Download(t.Context(), hubRef(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDownloadLaysTheCacheOutAsPythonReadsIt(t *testing.T) {
	s := newHub(t, tiny())
	s.Tag(repo, "refs/pr/1")
	c := newClient(t, s)
	commit := s.Commit(repo)
	for _, revision := range []string{"", "refs/pr/1", commit} {
		dir, got, err := c.Download(t.Context(), hubRef(revision), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got != commit || dir != filepath.Join(c.CacheDir(), "models--org--tiny", "snapshots", commit) {
			t.Fatalf("got %s, %s", dir, got)
		}
		checkSnapshot(t, dir, tiny())
	}

	// Every file of the cache, links with what they point to.
	var got []string
	root := c.CacheDir()
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if target, err := os.Readlink(path); err == nil {
			name += " -> " + target
		}
		got = append(got, filepath.ToSlash(name))
		return nil
	})
	want := []string{"CACHEDIR.TAG", "models--org--tiny/refs/main", "models--org--tiny/refs/refs/pr/1"}
	for _, name := range needed {
		etag := s.ETag(repo, name)
		want = append(want, ".locks/models--org--tiny/"+etag+".lock", "models--org--tiny/blobs/"+etag,
			"models--org--tiny/snapshots/"+commit+"/"+name+" -> "+strings.Repeat("../", 2+strings.Count(name, "/"))+"blobs/"+etag)
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("files of the cache (-want +got):\n%s", d)
	}
	for _, ref := range []string{"main", "refs/pr/1"} {
		if b, err := os.ReadFile(filepath.Join(root, "models--org--tiny", "refs", filepath.FromSlash(ref))); string(b) != commit {
			t.Errorf("refs/%s is %q, want the commit without a newline; %v", ref, b, err)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(root, "CACHEDIR.TAG")); !bytes.HasPrefix(b, []byte("Signature: 8a477f597d28d172789f06886806bc55\n")) {
		t.Errorf("CACHEDIR.TAG is %q", b)
	}
}

func TestSnapshotWithoutSymbolicLinks(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s, "HF_HUB_DISABLE_SYMLINKS", "1")
	dir := download(t, c)
	checkSnapshot(t, dir, tiny())
	info, err := os.Lstat(filepath.Join(dir, shard1))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("got %v, %v; want a regular file", info, err)
	}
}

func TestDownloadTakesOnlyWhatIsMissing(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s)
	if n := download(t, c); n == "" || bodies(s) == 0 {
		t.Fatal("nothing was sent the first time")
	}
	dir := download(t, c)
	if n := bodies(s); n != 0 {
		t.Errorf("%d bytes of files were sent for a complete snapshot", n)
	}

	// A new commit with one new file costs that file.
	files := tiny()
	files["README.md"] = "# tiny, the second"
	s.Set(repo, asFS(files))
	again := download(t, c)
	if again == dir {
		t.Error("the new commit is in the old one's folder")
	}
	checkSnapshot(t, again, files)
	if n := bodies(s); n != int64(len(files["README.md"])) {
		t.Errorf("%d bytes of files were sent, want the %d of README.md", n, len(files["README.md"]))
	}

	// A blob of the wrong size is not believed.
	if err := os.WriteFile(c.blobPath(repo, s.ETag(repo, shard2)), []byte("short"), 0o666); err != nil {
		t.Fatal(err)
	}
	checkSnapshot(t, download(t, c), files)
}

func TestProgressAddsUpAndNeverGoesBack(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s)
	s.Times(1, hubtest.Fault{Corrupt: true}, isWeights) // so that a file comes twice
	var last Progress
	_, _, err := c.Download(t.Context(), hubRef(""), func(p Progress) {
		if p.BytesDone < last.BytesDone || p.FilesDone < last.FilesDone || p.BytesDone > p.BytesTotal {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, name := range needed {
		total += int64(len(tiny()[name]))
	}
	if last.BytesDone != total || last.BytesTotal != total || last.FilesDone != len(needed) || last.Files != len(needed) {
		t.Errorf("ends with %+v, want %d bytes of %d files", last, total, len(needed))
	}
}

func TestNeeded(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s)
	shards := int64(len(tiny()[shard1]) + len(tiny()[shard2]) + len(tiny()[shard3]))
	fetch, total, err := c.Needed(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	if fetch != shards || total <= shards {
		t.Errorf("got %d of %d to fetch, want the %d of the shards", fetch, total, shards)
	}
	if n := bodies(s); n != total-shards {
		t.Errorf("%d bytes were sent, want the %d of the small files", n, total-shards)
	}
	download(t, c)
	if fetch, again, err := c.Needed(t.Context(), hubRef("")); fetch != 0 || again != total || err != nil {
		t.Errorf("after the download: got %d of %d, %v; want 0 of %d", fetch, again, err, total)
	}
}

func TestOfflineWorksFromTheCache(t *testing.T) {
	s := newHub(t, tiny())
	online := newClient(t, s)
	home := filepath.Dir(online.CacheDir())
	offline := newClient(t, s, "HF_HOME", home, "HF_HUB_OFFLINE", "1")

	_, _, err := offline.Download(t.Context(), hubRef(""), nil)
	checkError(t, err, ErrOffline, "HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE")

	// With the small files alone it is clear what is missing.
	ck, err := online.OpenRemote(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	ck.Close()
	_, _, err = offline.Download(t.Context(), hubRef(s.Commit(repo)), nil)
	checkError(t, err, ErrOffline, "(0 of 3 present)", "unset HF_HUB_OFFLINE")

	want := download(t, online)
	s.Requests()
	for _, revision := range []string{"", "main", s.Commit(repo)} {
		dir, commit, err := offline.Download(t.Context(), hubRef(revision), nil)
		if err != nil || dir != want || commit != s.Commit(repo) {
			t.Errorf("revision %q: got %s, %s, %v", revision, dir, commit, err)
		}
	}
	ck, err = offline.OpenRemote(t.Context(), hubRef("main"))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if ck.Dir != want || ck.Repo != repo || ck.Name != "tiny" || ck.Revision != "main" || ck.Commit != s.Commit(repo) {
		t.Errorf("got %+v", ck)
	}
	if fetch, total, err := offline.Needed(t.Context(), hubRef("")); fetch != 0 || total != 1_000_010 || err != nil {
		t.Errorf("Needed: got %d, %d, %v", fetch, total, err)
	}
	if _, _, err := offline.Download(t.Context(), hubRef("v2"), nil); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), `revision "v2" is not in the cache`) {
		t.Errorf("another revision: got %v", err)
	}
	if r := s.Requests(); len(r) > 0 {
		t.Errorf("offline, but asked %v", r)
	}
}

func TestUnreachableHubFallsBackToTheCache(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s)
	want := download(t, c)
	c.endpoint = "http://127.0.0.1:1"
	dir, commit, err := c.Download(t.Context(), hubRef(""), nil)
	if err != nil || dir != want || commit != s.Commit(repo) {
		t.Errorf("got %s, %s, %v", dir, commit, err)
	}
	_, _, err = c.Download(t.Context(), Ref{Kind: Hub, Repo: "org/other"}, nil)
	checkError(t, err, ErrOffline, `model "org/other": http://127.0.0.1:1 can't be reached`, "HTTPS_PROXY")
}

// checkError demands an error of a kind that says what happened and what to do.
func checkError(t *testing.T, err, kind error, message, hint string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want it to be %q", err, kind)
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got a %T", err)
	}
	if !strings.Contains(err.Error(), message) {
		t.Errorf("got %q, want it to contain %q", err, message)
	}
	if !strings.Contains(e.Hint(), hint) {
		t.Errorf("got the hint %q, want it to contain %q", e.Hint(), hint)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	const token = "hf_the_right_one"
	for name, test := range map[string]struct {
		token         string
		prepare       func(*hubtest.Server)
		ref           Ref
		kind          error
		message, hint string
	}{
		"no such model":                   {"", nil, Ref{Repo: "org/none"}, ErrNotFound, `model "org/none" doesn't exist on the Hub, or is private`, "a private model needs HF_TOKEN"},
		"no such model, with a token":     {token, nil, Ref{Repo: "org/none"}, ErrNotFound, "doesn't exist on the Hub", "check the spelling"},
		"no such revision":                {"", nil, hubRef("v9"), ErrRevision, `model "org/tiny" has no revision "v9"`, "/org/tiny/tree/main"},
		"gated, without a token":          {"", func(s *hubtest.Server) { s.Gate(repo) }, hubRef(""), ErrGated, `model "org/tiny" is gated`, "then set HF_TOKEN"},
		"gated, for this account":         {token, func(s *hubtest.Server) { s.Gate(repo); s.RequireToken("hf_x"); s.RequireToken("") }, hubRef(""), ErrGated, "is gated", "the token's account has no access yet"},
		"token that isn't valid":          {"hf_wrong", nil, hubRef(""), ErrUnauthorized, "the token is not valid", "/settings/tokens"},
		"token without the right to read": {"", func(s *hubtest.Server) { status(s, 403, "X-Error-Message", "no") }, hubRef(""), ErrUnauthorized, `access is refused: `, "needs the right"},
		"disabled":                        {"", func(s *hubtest.Server) { status(s, 403, "X-Error-Message", "Access to this resource is disabled.") }, hubRef(""), ErrNotFound, "is disabled on the Hub", ""},
		"too many requests":               {"", func(s *hubtest.Server) { status(s, 429, "Retry-After", "0") }, hubRef(""), errBusy, "too many requests", "HF_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHub(t, tiny())
			s.RequireToken(token)
			if test.prepare != nil {
				test.prepare(s)
			}
			c := newClient(t, s, "HF_TOKEN", test.token)
			test.ref.Kind = Hub
			_, err := c.OpenRemote(t.Context(), test.ref)
			checkError(t, err, test.kind, test.message, test.hint)
			if _, _, err := c.Download(t.Context(), test.ref, nil); !errors.Is(err, test.kind) {
				t.Errorf("Download: got %v", err)
			}
			if left := incomplete(c); len(left) > 0 {
				t.Errorf("left behind without a byte in it: %v", left)
			}
			if test.token != "" && strings.Contains(fmt.Sprintf("%v %+v %v", err, err, c), test.token) {
				t.Error("the token is printed")
			}
		})
	}
}

func status(s *hubtest.Server, status int, header, value string) {
	s.Inject(func(*http.Request) *hubtest.Fault {
		return &hubtest.Fault{Status: status, Header: map[string]string{header: value}}
	})
}

func TestOtherAnswersAreNotRepeated(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s)
	status(s, http.StatusTeapot, "X-Error-Message", `say "no"`)
	_, _, err := c.Download(t.Context(), hubRef(""), nil)
	if err == nil || !strings.Contains(err.Error(), `answered 418 I'm a teapot ("say \"no\"")`) {
		t.Errorf("got %v, want the foreign text quoted", err)
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestWeightsThatAreMissing(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"is an adapter":  {"adapter_config.json": "{}", "adapter_model.safetensors": "x"},
		"has GGUF files": {"x-Q4_K_M.gguf": "x"},
		"no weights":     {"config.json": "{}"},
	} {
		c := newClient(t, newHub(t, files))
		_, err := c.OpenRemote(t.Context(), hubRef(""))
		checkError(t, err, ErrNoWeights, want, "")
	}
	files := tiny()
	delete(files, shard2)
	c := newClient(t, newHub(t, files))
	_, _, err := c.Needed(t.Context(), hubRef(""))
	checkError(t, err, ErrIncomplete, "shard model-00002-of-00003.safetensors is missing (2 of 3 present)", "")
}

func TestTheTokenGoesToTheEndpointAlone(t *testing.T) {
	const token = "hf_secret"
	s := newHub(t, tiny())
	s.RequireToken(token)
	s.Gate(repo)
	c := newClient(t, s, "HF_TOKEN", token)
	download(t, c)
	hub, content := 0, 0
	for _, r := range s.Requests() {
		if r.UserAgent != "nexus-quant/test" {
			t.Errorf("%s: User-Agent %q", r.Path, r.UserAgent)
		}
		switch {
		case r.Content:
			content++
			if r.Authorization != "" {
				t.Errorf("%s: the content server got %q", r.Path, r.Authorization)
			}
		default:
			hub++
			if r.Authorization != "Bearer "+token {
				t.Errorf("%s: the Hub got %q", r.Path, r.Authorization)
			}
		}
	}
	if hub == 0 || content == 0 {
		t.Errorf("%d requests to the Hub, %d to the content server: nothing was tested", hub, content)
	}
}

func TestARenamedModelIsFollowed(t *testing.T) {
	s := newHub(t, tiny())
	s.Rename(repo, "org/big")
	c := newClient(t, s)
	dir := download(t, c)
	checkSnapshot(t, dir, tiny())
	if !strings.Contains(dir, "models--org--tiny") {
		t.Errorf("got %s, want it under the name that was asked for", dir)
	}
}

func TestOneElementIds(t *testing.T) {
	s := hubtest.New(t, map[string]fs.FS{"gpt2": asFS(map[string]string{"config.json": "{}", singleFile: weights(4, "a")})})
	c := newClient(t, s)
	dir, _, err := c.Download(t.Context(), Ref{Kind: Hub, Repo: "gpt2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ck, err := OpenDir(dir)
	if err != nil || ck.Repo != "gpt2" || ck.Name != "gpt2" {
		t.Errorf("got %+v, %v", ck, err)
	}
}

func TestHostileListingsAreRefused(t *testing.T) {
	const commit, sha = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"
	sibling := func(fields string) string {
		return `{"sha":"` + commit + `","siblings":[{"rfilename":"config.json",` + fields + `}]}`
	}
	for name, test := range map[string]struct{ listing, want string }{
		"not JSON":                 {"<html>", "invalid character"},
		"commit with a path":       {`{"sha":"../../../../etc"}`, "want a commit"},
		"commit missing":           {`{}`, "want a commit"},
		"checksum with a path":     {sibling(`"size":1,"blobId":"../../x"`), "no checksum"},
		"checksum missing":         {sibling(`"size":1`), "no checksum"},
		"LFS checksum with a path": {sibling(`"size":1,"lfs":{"sha256":"../x","size":1}`), "no checksum"},
		"size missing":             {sibling(`"blobId":"` + sha + `"`), "no size"},
		"size negative":            {sibling(`"size":-1,"blobId":"` + sha + `"`), "no size"},
		"file twice": {`{"sha":"` + commit + `","siblings":[{"rfilename":"config.json","size":1,"blobId":"` + sha + `"},` +
			`{"rfilename":"config.json","size":1,"blobId":"` + sha + `"}]}`, "is listed twice"},
	} {
		if info, err := parseListing([]byte(test.listing)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, %v, want an error with %q", name, info, err, test.want)
		}
	}
	for _, name := range []string{"../config.json", "/config.json", "a/../../config.json", `..\config.json`, "c:config.json", ""} {
		if wanted(name) {
			t.Errorf("file %q would be fetched", name)
		}
	}
}

func FuzzParseListing(f *testing.F) {
	f.Add([]byte(`{"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[{"rfilename":"config.json","size":1,"blobId":"0123456789abcdef0123456789abcdef01234567"}]}`))
	f.Add([]byte(`{"sha":"../x","siblings":[{"rfilename":"../config.json"}]}`))
	f.Add([]byte(`{"siblings":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseListing(data)
		if err != nil {
			return
		}
		for _, file := range append(l.Files, remoteFile{Name: "x", SHA1: l.Commit}) {
			for _, name := range []string{file.Name, file.etag()} {
				if !filepath.IsLocal(filepath.FromSlash(name)) {
					t.Errorf("%q leads out of the cache", name)
				}
			}
			if file.Size < 0 {
				t.Errorf("%s has %d bytes", file.Name, file.Size)
			}
		}
	})
}

func TestFilesThatAreNeeded(t *testing.T) {
	var got []string
	for name := range maps.Keys(tiny()) {
		if isSmall(name) {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	want := slices.DeleteFunc(slices.Clone(needed), func(name string) bool { return strings.HasSuffix(name, ".safetensors") })
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestOnlyHubRefsAreAsked(t *testing.T) {
	c := newClient(t, newHub(t, tiny()))
	for _, ref := range []Ref{{Kind: Folder, Path: "."}, {Kind: Hub, Repo: "../x"}, {Kind: Hub, Repo: repo, Revision: "../x"}} {
		if _, err := c.OpenRemote(context.Background(), ref); err == nil {
			t.Errorf("opened %v", ref)
		}
	}
}
