package hf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
)

func TestOpenRemoteReadsHeadersAlone(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s)
	ck, err := c.OpenRemote(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if ck.Name != "tiny" || ck.Repo != repo || ck.Revision != "main" || ck.Commit != s.Commit(repo) || ck.Dir != "" || len(ck.Tensors) != 3 {
		t.Errorf("got %+v", ck)
	}
	var weights int64
	for _, r := range s.Requests() {
		if r.Content {
			weights += r.Sent
		}
	}
	if most := int64(3 * headSize); weights > most {
		t.Errorf("%d bytes of weights were sent, want at most %d", weights, most)
	}
	if b, err := ck.ReadFile("config.json"); err != nil || string(b) != tiny()["config.json"] {
		t.Errorf("config.json: %q, %v", b, err)
	}
	for _, name := range []string{"none.json", "images/logo.png"} {
		if _, err := ck.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want fs.ErrNotExist", name, err)
		}
	}
	if _, err := ck.ReadFile("../../refs/main"); err == nil {
		t.Error("read a file above the model's folder")
	}

	// Weights can be read all the same, also when connections break.
	a, _ := ck.Tensor("a")
	p := make([]byte, 600_000)
	s.Times(1, hubtest.Fault{CutAfter: 100_000}, isWeights)
	if n, err := a.ReadAt(p, 100_000); n != len(p) || err != nil {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	if string(p) != strings.Repeat("a", len(p)) {
		t.Error("other bytes were read")
	}
	if n, err := a.ReadAt(p, 699_999); n != 1 || err != io.EOF {
		t.Errorf("at the end: got %d, %v; want 1, io.EOF", n, err)
	}
	ck.Close()
	if _, err := a.ReadAt(p, 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: got %v, want fs.ErrClosed", err)
	}
}

func TestOpenRemoteOfALongHeader(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 3000 {
		names = append(names, fmt.Sprintf("model.layers.%d.self_attn.q_proj.weight", i))
	}
	files := map[string]string{"config.json": "{}", singleFile: weights(1000, names...)}
	s := newHub(t, files)
	ck, err := newClient(t, s).OpenRemote(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if len(ck.Tensors) != len(names) {
		t.Errorf("%d tensors, want %d", len(ck.Tensors), len(names))
	}
	n := 0
	for _, r := range s.Requests() {
		if r.Content {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d requests for one header, want 2", n)
	}
}

func TestOpenRemoteOfACompleteModelReadsTheCache(t *testing.T) {
	s := newHub(t, tiny())
	c := newClient(t, s)
	dir := download(t, c)
	s.Requests()
	ck, err := c.OpenRemote(t.Context(), hubRef(""))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if ck.Dir != dir || ck.Revision != "main" {
		t.Errorf("got %+v", ck)
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("asked %d times, want once, for the commit", n)
	}
}

func TestOpenRemoteOfABrokenHeader(t *testing.T) {
	files := big()
	files[singleFile] = "<html>not weights, but long enough</html>"
	_, err := newClient(t, newHub(t, files)).OpenRemote(t.Context(), hubRef(""))
	if err == nil || !strings.Contains(err.Error(), `model "org/tiny": model.safetensors: header of`) {
		t.Errorf("got %v", err)
	}
}
