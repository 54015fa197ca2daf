package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/registry"
)

// tinyLlama is the trained model that the repository ships.
func tinyLlama(t testing.TB) string {
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "nexus-tiny-llama"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newService is a service with a registry and an output folder of its own, which may read the shipped model.
func newService(t testing.TB, env map[string]string) *Service {
	t.Helper()
	home := t.TempDir()
	all := map[string]string{
		"NEXUS_QUANT_HOME": filepath.Join(home, "state"), "QUANTIZATION_OUTPUT_DIR": filepath.Join(home, "out"),
		"MODELS_DIR": filepath.Dir(tinyLlama(t)), "HF_HOME": filepath.Join(home, "hf"), "HF_HUB_OFFLINE": "1",
	}
	for k, v := range env {
		all[k] = v
	}
	s, err := Open(func(name string) string { return all[name] }, "test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func spec(t testing.TB, types ...string) Spec {
	return Spec{Name: "test", SourceModel: tinyLlama(t), Formats: []string{"gguf"}, Types: types}
}

// work runs the service's worker until the test ends.
func work(t testing.TB, s *Service) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Work(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// waitFor polls a job until it has ended.
func waitFor(t testing.TB, s *Service, id string) Job {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		j, err := s.Job(id)
		if err != nil {
			t.Fatal(err)
		}
		if registry.State(j.Status).Ended() {
			return j
		}
	}
	t.Fatalf("job %s did not end", id)
	return Job{}
}

func TestSubmittedJobRunsToItsEnd(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	work(t, s)
	job, err := s.Submit(t.Context(), spec(t, "Q4_K_M", "Q8_0"))
	if err != nil {
		t.Fatal(err)
	}
	if job.Status != "queued" || job.TotalOutputs != 2 || len(job.Estimate) == 0 || *job.DiskGB <= 0 {
		t.Errorf("submitted: %+v", job)
	}
	progress := 0.0
	states := map[string]bool{}
	for e, err := range s.Events(t.Context(), job.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		var data struct {
			Status   string
			Progress float64
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatalf("%s: %v", e.Data, err)
		}
		if e.Type == "progress" {
			if data.Progress < progress {
				t.Errorf("progress fell from %v to %v", progress, data.Progress)
			}
			progress = data.Progress
		}
		states[data.Status] = true
		if registry.State(data.Status).Ended() && e.Type == "state" {
			break
		}
	}
	if !states["completed"] || !states["quantizing"] || progress == 0 {
		t.Errorf("events: %v, progress %v", states, progress)
	}
	done := waitFor(t, s, job.ID)
	if done.Status != "completed" || done.Progress != 100 || done.Completed != 2 || done.Ended == nil || done.BytesDone != done.BytesTotal {
		t.Errorf("done: %+v", done)
	}
	for _, o := range done.Outputs {
		info, err := os.Stat(*o.Path)
		if err != nil || info.Size() != *o.Size || o.SHA256 == nil || o.RMSE == nil || *o.RMSE <= 0 {
			t.Errorf("output %+v: %v", o, err)
		}
		if sum, err := hashFile(*o.Path); err != nil || sum != *o.SHA256 {
			t.Errorf("%s: hash %s, registered %s", *o.Path, sum, *o.SHA256)
		}
	}
	if m, err := s.Model("nexus-tiny-llama"); err != nil || len(m.Variants) != 2 || m.Variants[0].Type != "Q8_0" {
		t.Errorf("model: %+v %v", m, err)
	}
	if lines, err := s.Log(job.ID, 0); err != nil || len(lines) < 4 {
		t.Errorf("log: %d lines, %v", len(lines), err)
	}
}

func TestWrongSpecsNameTheirFields(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	negative := -1
	for name, c := range map[string]struct {
		change func(*Spec)
		field  string
	}{
		"no name":        {func(s *Spec) { s.Name = " " }, "name"},
		"no model":       {func(s *Spec) { s.SourceModel = "" }, "source_model"},
		"no formats":     {func(s *Spec) { s.Formats = nil }, "output_formats"},
		"unknown format": {func(s *Spec) { s.Formats = []string{"exl2"} }, "output_formats"},
		"no types":       {func(s *Spec) { s.Types = nil }, "gguf_quant_types"},
		"unknown type":   {func(s *Spec) { s.Types = []string{"Q4KM"} }, "gguf_quant_types"},
		"source type":    {func(s *Spec) { s.SourceType = "s3" }, "source_type"},
		"threads":        {func(s *Spec) { s.Config.Threads = -1 }, "config.threads"},
		"imatrix":        {func(s *Spec) { s.Config.UseImatrix = true }, "config.imatrix_file"},
		"group size":     {func(s *Spec) { s.Config.GroupSize = &negative }, "config.group_size"},
	} {
		sp := spec(t, "Q4_K_M")
		c.change(&sp)
		_, err := s.Submit(t.Context(), sp)
		var bad FieldErrors
		if !errors.As(err, &bad) || len(bad) != 1 || strings.Join(bad[0].Loc, ".") != "body."+c.field {
			t.Errorf("%s: got %v, want a fault of %s", name, err, c.field)
		}
	}
	sp := spec(t, "Q4_K_M")
	sp.Formats = []string{"gguf", "awq"}
	if _, err := s.Submit(t.Context(), sp); ClassOf(err) != BadRequest || !strings.Contains(err.Error(), "awq") {
		t.Errorf("awq: %v", err)
	}
	sp = spec(t, "Q4_K_M")
	sp.SourceType = "gguf"
	if _, err := s.Submit(t.Context(), sp); ClassOf(err) != BadRequest {
		t.Errorf("a folder as gguf: %v", err)
	}
}

func TestPathsOutsideTheAllowedFoldersAreRefused(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	if err := os.CopyFS(filepath.Join(outside, "model"), os.DirFS(tinyLlama(t))); err != nil {
		t.Fatal(err)
	}
	models := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(models, "link")); err != nil {
		t.Fatal(err)
	}
	s := newService(t, map[string]string{"MODELS_DIR": models})
	for name, change := range map[string]func(*Spec){
		"model":             func(sp *Spec) { sp.SourceModel = filepath.Join(outside, "model") },
		"through a link":    func(sp *Spec) { sp.SourceModel = filepath.Join(models, "link", "model") },
		"through dots":      func(sp *Spec) { sp.SourceModel = models + "/../" + filepath.Base(outside) + "/model" },
		"output folder":     func(sp *Spec) { sp.SourceModel, sp.OutputDir = "org/name", outside },
		"importance matrix": func(sp *Spec) { sp.SourceModel, sp.Config.ImatrixFile = "org/name", "/etc/passwd" },
	} {
		sp := spec(t, "Q4_K_M")
		change(&sp)
		_, err := s.Submit(t.Context(), sp)
		var forbidden *ForbiddenError
		if !errors.As(err, &forbidden) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want ForbiddenError", name, err)
		}
	}
	s.settings.AllowPaths = []string{outside}
	sp := spec(t, "Q4_K_M")
	sp.SourceModel = filepath.Join(outside, "model")
	if _, err := s.Submit(t.Context(), sp); err != nil {
		t.Errorf("an allowed path: %v", err)
	}
}

func TestQueuedJobIsCancelledAtOnce(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	job, err := s.Submit(t.Context(), spec(t, "Q4_K_M"))
	if err != nil {
		t.Fatal(err)
	}
	if job, err = s.Cancel(t.Context(), job.ID[:9]); err != nil || job.Status != "cancelled" {
		t.Fatalf("%+v %v", job, err)
	}
	if _, err := s.Cancel(t.Context(), job.ID); ClassOf(err) != Conflict {
		t.Errorf("twice: %v", err)
	}
	if _, err := s.Resume(t.Context(), job.ID); ClassOf(err) != Conflict {
		t.Errorf("resume a cancelled job: %v", err)
	}
	if _, err := s.Cancel(t.Context(), "00000000"); ClassOf(err) != NotFound {
		t.Errorf("unknown: %v", err)
	}
	if job, err = s.Retry(t.Context(), job.ID, false); err != nil || job.Status != "queued" {
		t.Errorf("retry: %+v %v", job, err)
	}
	work(t, s)
	if job = waitFor(t, s, job.ID); job.Status != "completed" {
		t.Errorf("after the retry: %+v", job)
	}
}

func TestInterruptedForegroundJobIsTakenUpByTheSameRequest(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	request := func() *Request {
		return &Request{Model: tinyLlama(t), Types: []string{"Q6_K"}, Dir: t.TempDir() + "/../out"}
	}
	first := request()
	ctx, cancel := context.WithCancelCause(t.Context())
	watch := &interrupter{after: 1, cancel: func() { cancel(ErrInterrupted) }}
	if _, err := s.Quantize(ctx, first, watch); ClassOf(err) != Cancelled {
		t.Fatalf("got %v, want an interruption", err)
	}
	list, err := s.Jobs(JobFilter{})
	if err != nil || len(list.Jobs) != 1 || list.Jobs[0].Status != "interrupted" || !list.Jobs[0].Resumable {
		t.Fatalf("%+v %v", list, err)
	}
	again := *first
	result, err := s.Quantize(t.Context(), &again, Silent{})
	if err != nil {
		t.Fatal(err)
	}
	if result.Job != list.Jobs[0].ID {
		t.Errorf("another job: %s, want %s", result.Job, list.Jobs[0].ID)
	}
	if list, _ = s.Jobs(JobFilter{}); len(list.Jobs) != 1 || list.Jobs[0].Status != "completed" || list.Jobs[0].Attempts != 2 {
		t.Errorf("%+v", list)
	}
}

// A context that is cancelled without a word ends the job for good, with nothing left.
func TestCancelledContextCancelsTheJob(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Quantize(ctx, &Request{Model: tinyLlama(t), Types: []string{"Q6_K"}, Dir: dir}, &interrupter{after: 1, cancel: cancel}); ClassOf(err) != Cancelled {
		t.Fatalf("got %v", err)
	}
	list, err := s.Jobs(JobFilter{})
	if err != nil || len(list.Jobs) != 1 || list.Jobs[0].Status != "cancelled" || list.Jobs[0].Resumable {
		t.Errorf("%+v %v", list, err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// interrupter cancels after so many calls of Progress.
type interrupter struct {
	Silent
	after  int
	cancel func()
}

func (i *interrupter) Progress(Progress) {
	if i.after--; i.after == 0 {
		i.cancel()
	}
}

func TestDeletingAJobLeavesItsFilesUnlessAsked(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	run := func(typ string) (id, path string) {
		r, err := s.Quantize(t.Context(), &Request{Model: tinyLlama(t), Types: []string{typ}, Dir: s.settings.OutputDir}, Silent{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Job, r.Outputs[0].Path
	}
	id, path := run("Q8_0")
	if _, err := s.Delete(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
	id, path = run("Q4_0")
	freed, err := s.Delete(t.Context(), id, true)
	if err != nil || freed < 3<<20 {
		t.Errorf("freed %d, %v", freed, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
	if m, err := s.Model("nexus-tiny-llama"); err != nil || len(m.Variants) != 1 {
		t.Errorf("%+v %v", m, err)
	}
	if _, err := os.Stat(filepath.Join(tinyLlama(t), "config.json")); err != nil {
		t.Errorf("the source was touched: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(env map[string]string) (Settings, error) {
		return LoadSettings(func(name string) string {
			if name == "NEXUS_QUANT_HOME" {
				return home
			}
			return env[name]
		})
	}
	write(`{"output_dir": "/data", "threads": 3, "max_memory": "2GiB"}`)
	s, err := load(map[string]string{"QUANTIZATION_OUTPUT_DIR": "/env"})
	if err != nil || s.OutputDir != "/env" || s.Threads != 3 || s.MaxMemory != 2<<30 || s.Addr != DefaultAddr {
		t.Errorf("%+v %v", s, err)
	}
	for _, e := range s.Explain() {
		want := map[string]string{"output_dir": "environment QUANTIZATION_OUTPUT_DIR", "threads": "file " + s.File, "addr": "default"}[e.Name]
		if want != "" && e.Origin != want {
			t.Errorf("%s: from %q, want %q", e.Name, e.Origin, want)
		}
	}
	for _, bad := range []string{`{"threds": 3}`, `{"max_memory": "lots"}`, `{`, `[]`} {
		write(bad)
		if _, err := load(nil); ClassOf(err) != BadRequest || !strings.Contains(err.Error(), "config.json") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	write(`{}`)
	if _, err := load(map[string]string{"NEXUS_QUANT_THREADS": "none"}); ClassOf(err) != BadRequest {
		t.Errorf("threads none: %v", err)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"1073741824": 1 << 30, "512MiB": 512 << 20, "2GB": 2e9, "1.5g": 3 << 29, "8 GiB": 8 << 30, "100b": 100} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("%q: got %d %v, want %d", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "-1", "lots", "1e30GB", "NaN", "GiB", "0"} {
		if n, err := ParseSize(bad); err == nil {
			t.Errorf("%q: accepted as %d", bad, n)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 4_331_744: "4.33 MB", 999_999_999: "1.00 GB", 13_477_381_280: "13.48 GB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestMemoryNeedCountsTheCache(t *testing.T) {
	t.Parallel()
	// Llama 3 8B: 32 layers, 8 heads of 128 for keys and values: 128 KiB a position in F16
	m := registry.Model{Bytes: 5 << 30, ContextLength: 131072, Hyper: registry.Hyper{Layers: 32, KVHeadsTotal: 32 * 8, HeadDimK: 128, HeadDimV: 128, Embedding: 4096}}
	if got := need(m, 8192) - need(m, 4096); got != 4096*128<<10 {
		t.Errorf("4096 more positions take %d bytes, want %d", got, 4096*128<<10)
	}
	if need(m, 0) != need(m, 8192) {
		t.Error("the default context is not 8192")
	}
}
