package hf

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
)

func TestReadingATensorEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s := newHub(t, tiny())
	ctx, cancel := context.WithCancel(t.Context())
	ck, err := newClient(t, s).OpenRemote(ctx, hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	s.Inject(func(*http.Request) *hubtest.Fault { cancel(); return &hubtest.Fault{StallAfter: -1} })
	if _, err := ck.Tensors[0].ReadAt(make([]byte, 10), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRemoteHoldsShardsAgainstTheIndex(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(map[string]string){
		`tensor "b" is in model.safetensors.index.json, but not in shard ` + shard2:              func(f map[string]string) { f[shard2] = weights(1) },
		`shard ` + shard3 + ` holds tensor "z", which model.safetensors.index.json doesn't list`: func(f map[string]string) { f[shard3] = weights(1, "c", "z") },
		shard1 + `: header of 8319401308405526371 bytes, the format allows`:                      func(f map[string]string) { f[shard1] = "consists of text" },
		`file name "../` + shard1 + `" leads out of the model's folder`:                          func(f map[string]string) { f[indexFile] = index("a", "../"+shard1) },
		`tensors take 300000 bytes, the file has 299999: file is truncated`:                      func(f map[string]string) { f[shard2] = f[shard2][:len(f[shard2])-1] },
	} {
		files := tiny()
		change(files)
		ck, err := newClient(t, newHub(t, files)).OpenRemote(t.Context(), hubRef(""))
		if err == nil {
			ck.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), repo) {
			t.Errorf("got %v, want it to contain %q", err, want)
		}
	}
}

// TestLookingAtACommitDoesntHideAnOlderOneOffline plans with a new commit without downloading it.
func TestLookingAtACommitDoesntHideAnOlderOneOffline(t *testing.T) {
	t.Parallel()
	s := newHub(t, tiny())
	c := newClient(t, s)
	old := download(t, c)
	files := tiny()
	files[shard3] = weights(12, "c")
	s.Set(repo, asFS(files))
	ck, err := c.OpenRemote(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	ck.Close()
	offline := newClient(t, s, "HF_HOME", filepath.Dir(c.CacheDir()), "HF_HUB_OFFLINE", "1")
	if dir, _, err := offline.Download(t.Context(), hubRef(""), nil); dir != old {
		t.Errorf("got %s, %v; want %s", dir, err, old)
	}

	// Downloading the commit that a branch was found to be moves the branch.
	commit := s.Commit(repo)
	if _, _, err := c.Download(t.Context(), hubRef(commit), nil); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(repoDir(c.cache, repo), "refs", "main")); string(b) != commit {
		t.Errorf("refs/main is %q, want %q; %v", b, commit, err)
	}
}

// TestTheTokenStaysWithItsOrigin redirects to each kind of other place.
func TestTheTokenStaysWithItsOrigin(t *testing.T) {
	t.Parallel()
	const token = "hf_secret"
	var seen atomic.Pointer[http.Request]
	target := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen.Store(r) })
	plain := httptest.NewServer(target)
	defer plain.Close()
	secure := httptest.NewTLSServer(target)
	defer secure.Close()
	sameName := strings.Replace(plain.URL, "127.0.0.1", "localhost", 1)
	var to atomic.Value
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("the endpoint got %q", r.Header.Get("Authorization"))
		}
		http.Redirect(w, r, to.Load().(string), http.StatusFound)
	})
	httpHub, httpsHub := httptest.NewServer(redirect), httptest.NewTLSServer(redirect)
	defer httpHub.Close()
	defer httpsHub.Close()
	for _, test := range []struct {
		name, from, to string
		follows        bool
	}{
		{"another port", httpHub.URL, plain.URL, true},
		{"another name", httpHub.URL, sameName, true},
		{"http to https", httpHub.URL, secure.URL, true},
		{"https, another port", httpsHub.URL, secure.URL, true},
		{"https to http", httpsHub.URL, plain.URL, false},
	} {
		seen.Store(nil)
		to.Store(test.to)
		c := NewClient(func(name string) string {
			return map[string]string{"HF_ENDPOINT": test.from, "HF_TOKEN": token, "HF_HOME": t.TempDir()}[name]
		}, "test")
		c.http.Transport.(*authorizer).base.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		resp, err := c.get(t.Context(), test.from+"/x", "", 5*time.Second)
		if test.follows != (err == nil) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		r := seen.Load()
		if test.follows != (r != nil) {
			t.Errorf("%s: the target got %v", test.name, r)
		}
		if r != nil && (r.Header.Get("Authorization") != "" || r.Referer() != "") {
			t.Errorf("%s: the target got %v", test.name, r.Header)
		}
	}
}

// TestARefThatCantBeWrittenDoesNoHarm has a folder in the ref's place, as a branch v1/x leaves one for a branch v1. Of a
// cache on a read-only disk the same is true.
func TestARefThatCantBeWrittenDoesNoHarm(t *testing.T) {
	t.Parallel()
	s := newHub(t, tiny())
	c := newClient(t, s)
	want := download(t, c)
	s.Tag(repo, "v1")
	if err := os.MkdirAll(filepath.Join(repoDir(c.cache, repo), "refs", "v1", "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	if dir, _, err := c.Download(t.Context(), hubRef("v1"), nil); dir != want || err != nil {
		t.Errorf("got %s, %v", dir, err)
	}
}

// TestOpenRemoteReadsFilesOfPyTorch reads tensors of the Hub by ranges and then from the cache.
func TestOpenRemoteReadsFilesOfPyTorch(t *testing.T) {
	t.Parallel()
	files, twin := torchModel(t)
	c := newClient(t, newHub(t, files))
	ck, err := c.OpenRemote(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	sameTensors(t, ck, twin)

	dir, _, err := c.Download(t.Context(), hubRef(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	local, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	sameTensors(t, local, twin)
}

// TestOpenRemoteFetchesTheDirectoryOfAPyTorchFileAlone looks at a file with two megabytes of weights.
func TestOpenRemoteFetchesTheDirectoryOfAPyTorchFileAlone(t *testing.T) {
	t.Parallel()
	const values = 500_000
	number := "J" + string(binary.LittleEndian.AppendUint32(nil, values))
	pickle := "\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu" + number +
		"tQK\x00" + number + "\x85K\x01\x85\x89NtRs."
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for _, m := range []struct {
		name string
		data []byte
	}{{"m/data.pkl", []byte(pickle)}, {"m/data/0", make([]byte, 4*values)}, {"m/version", []byte("3")}} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: m.name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		f.Write(m.data)
	}
	w.Close()
	s := newHub(t, map[string]string{"config.json": "{}", singleTorchFile: file.String()})
	ck, err := newClient(t, s).OpenRemote(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if x := ck.Tensors[0]; x.Name != "w" || x.Size != 4*values {
		t.Errorf("got %q of %d bytes", x.Name, x.Size)
	}
	var asked []string
	for _, r := range s.Requests() {
		if r.Content && r.Range != "" {
			asked = append(asked, r.Range)
		}
	}
	if end := file.Len() - 1; !slices.Equal(asked, []string{"bytes=0-131071", fmt.Sprintf("bytes=%d-%d", end-131071, end)}) {
		t.Errorf("asked for %q", asked)
	}
}
