package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// tinyLlama is the trained model that the repository ships.
func tinyLlama(t testing.TB) string {
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "nexus-tiny-llama"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The names under which the shipped model lies on the Hub of the tests.
const (
	hubModel   = "meta-llama/Llama-2-7b-hf" // as in the old client's requests
	gatedModel = "nexus/gated"
)

// server is the interface to a real service with a registry and folders of its own, and a Hub.
type server struct {
	*httptest.Server
	t       testing.TB
	service *jobs.Service
	api     *API
	home    string // folder of the registry
	out     string // folder of the outputs
	hub     *hubtest.Server
}

// newServer starts one without a worker. wrap may put something between the interface and the service.
func newServer(t testing.TB, wrap func(Service) Service) *server {
	t.Helper()
	dir := t.TempDir()
	files := os.DirFS(tinyLlama(t))
	s := &server{t: t, home: filepath.Join(dir, "state"), out: filepath.Join(dir, "out"), hub: hubtest.New(t, map[string]fs.FS{hubModel: files, gatedModel: files})}
	env := map[string]string{
		"NEXUS_QUANT_HOME": s.home, "QUANTIZATION_OUTPUT_DIR": s.out, "MODELS_DIR": filepath.Dir(tinyLlama(t)),
		"HF_HOME": filepath.Join(dir, "hf"), "HF_ENDPOINT": s.hub.URL,
	}
	var err error
	if s.service, err = jobs.Open(func(name string) string { return env[name] }, "test"); err != nil {
		t.Fatal(err)
	}
	var service Service = s.service
	if wrap != nil {
		service = wrap(service)
	}
	s.api = New(service, Options{Version: "test", Log: t.Logf})
	s.Server = httptest.NewServer(s.api)
	t.Cleanup(func() { s.api.Close(); s.Server.Close() })
	return s
}

// work runs the service's worker until the test ends.
func (s *server) work() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.service.Work(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// call sends a request; headers are pairs of names and values.
func (s *server) call(method, path, body string, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// want sends a request that must end with a status, and decodes the answer into v unless it is nil.
func (s *server) want(status int, v any, method, path, body string, headers ...string) reply {
	s.t.Helper()
	r := s.call(method, path, body, headers...)
	if r.status != status {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.body)
	}
	if v != nil {
		dec := json.NewDecoder(strings.NewReader(r.body))
		if err := dec.Decode(v); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, r.body)
		}
	}
	return r
}

// create makes a job of the shipped model.
func (s *server) create(types ...string) jobs.Job {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"name": "test", "source_model": tinyLlama(s.t), "output_formats": []string{"gguf"}, "gguf_quant_types": types})
	if err != nil {
		s.t.Fatal(err)
	}
	var job jobs.Job
	s.want(http.StatusCreated, &job, "POST", jobsPath, string(body))
	return job
}

// finished waits until a job has ended well.
func (s *server) finished(id string) jobs.Job {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var job jobs.Job
		s.want(http.StatusOK, &job, "GET", jobsPath+"/"+id, "")
		switch job.Status {
		case "completed":
			return job
		case "failed", "cancelled":
			s.t.Fatalf("job is %s: %v", job.Status, *job.Error)
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("job is still %s", job.Status)
		}
	}
}

// fields lists the fields of a 422 as "body.config.threads int_type".
func fields(t testing.TB, r reply) []string {
	t.Helper()
	var e struct {
		Detail []struct {
			Loc  []any
			Type string
		}
	}
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	var list []string
	for _, d := range e.Detail {
		var b bytes.Buffer
		for i, part := range d.Loc {
			if i > 0 {
				b.WriteByte('.')
			}
			text, _ := json.Marshal(part)
			b.WriteString(strings.Trim(string(text), `"`))
		}
		list = append(list, b.String()+" "+d.Type)
	}
	return list
}
