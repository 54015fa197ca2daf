package jobs

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
)

const hubModel = "nexus/tiny-llama"

// hubService is a service whose Hub is the given one.
func hubService(t *testing.T, hub *hubtest.Server) *Service {
	return newService(t, map[string]string{"HF_ENDPOINT": hub.URL, "HF_HUB_OFFLINE": ""})
}

func newHub(t *testing.T) *hubtest.Server {
	return hubtest.New(t, map[string]fs.FS{hubModel: os.DirFS(tinyLlama(t))})
}

// slowly makes the content server send at a pace that a test can interrupt.
func slowly(hub *hubtest.Server) {
	hub.Inject(func(r *http.Request) *hubtest.Fault {
		if r.Host != hub.ContentHost() {
			return nil
		}
		return &hubtest.Fault{Delay: 40 * time.Millisecond}
	})
}

// duringDownload calls f when the download is under way.
type duringDownload struct {
	Silent
	f func()
}

func (d *duringDownload) Progress(p Progress) {
	if p.Stage == Downloading && p.BytesDone > 1<<20 && d.f != nil {
		f := d.f
		d.f = nil
		go f()
	}
}

// A job keeps to the commit that it began with, even if its branch moves on while it is interrupted.
func TestJobKeepsToItsCommit(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	s := hubService(t, hub)
	commit := hub.Commit(hubModel)
	slowly(hub)
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &Request{Model: hubModel, Types: []string{"Q8_0"}, Dir: t.TempDir()}
	if _, err := s.Quantize(ctx, r, &duringDownload{f: func() { cancel(ErrInterrupted) }}); ClassOf(err) != Cancelled {
		t.Fatalf("got %v, want an interruption", err)
	}
	hub.Inject(func(*http.Request) *hubtest.Fault { return nil })
	other := fstest.MapFS{}
	if err := fs.WalkDir(os.DirFS(tinyLlama(t)), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(tinyLlama(t), path))
		if path == "generation_config.json" {
			b = []byte(`{"temperature": 0.1}`)
		}
		other[path] = &fstest.MapFile{Data: b}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	hub.Set(hubModel, other)
	list, err := s.Jobs(JobFilter{})
	if err != nil || len(list.Jobs) != 1 || *list.Jobs[0].Commit != commit || hub.Commit(hubModel) == commit {
		t.Fatalf("%+v %v", list, err)
	}
	result, err := s.ResumeHere(t.Context(), list.Jobs[0].ID, Silent{})
	if err != nil {
		t.Fatal(err)
	}
	if result.Commit != commit {
		t.Errorf("made from commit %s, began with %s", result.Commit, commit)
	}
}

func TestCancelInADownloadTakesEffectWithinASecondAndFreesTheDisk(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	s := hubService(t, hub)
	slowly(hub)
	var asked time.Time
	watch := &duringDownload{f: func() {
		asked = time.Now()
		list, err := s.Jobs(JobFilter{})
		if err == nil {
			_, err = s.Cancel(t.Context(), list.Jobs[0].ID)
		}
		if err != nil {
			t.Error(err)
		}
	}}
	_, err := s.Quantize(t.Context(), &Request{Model: hubModel, Types: []string{"Q8_0"}, Dir: t.TempDir()}, watch)
	if took := time.Since(asked); took > time.Second {
		t.Errorf("took %v", took)
	}
	if ClassOf(err) != Cancelled {
		t.Fatalf("got %v", err)
	}
	list, err := s.Jobs(JobFilter{})
	if err != nil || list.Jobs[0].Status != "cancelled" {
		t.Errorf("%+v %v", list.Jobs, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.hub.CacheDir(), "models--*", "blobs", "*incomplete*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestHubThatAnswersBadlyIsOutlasted(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]hubtest.Fault{
		"503": {Status: http.StatusServiceUnavailable},
		"429": {Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "0"}},
		"cut": {CutAfter: 200 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := newHub(t)
			s := hubService(t, hub)
			hub.Times(2, fault, func(r *http.Request) bool { return r.Host == hub.ContentHost() })
			if _, err := s.Quantize(t.Context(), &Request{Model: hubModel, Types: []string{"Q4_0"}, Dir: t.TempDir()}, Silent{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatTheLogSaysOfAFailure(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	s := hubService(t, hub)
	_, err := s.Quantize(t.Context(), &Request{Model: "nexus/nothing", Types: []string{"Q4_0"}, Dir: t.TempDir()}, Silent{})
	if ClassOf(err) != NotFound {
		t.Fatalf("got %v", err)
	}
	list, err := s.Jobs(JobFilter{Status: []string{"failed"}})
	if err != nil || len(list.Jobs) != 1 || list.Jobs[0].Error == nil || list.Jobs[0].Hint == nil || list.Jobs[0].Resumable {
		t.Fatalf("%+v %v", list, err)
	}
	lines, err := s.Log(list.Jobs[0].ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	said := false
	for _, line := range lines {
		var e struct{ Level, Msg string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		said = said || e.Level == "error" && e.Msg == *list.Jobs[0].Error
	}
	if !said {
		t.Errorf("the log does not hold the cause: %s", lines)
	}
}
