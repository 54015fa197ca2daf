//go:build unix

package cmd

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

const hubModel = "nexus/tiny-llama"

// hub serves the shipped model as the Hub would, to processes whose cache and registry are in a folder of their own.
type hub struct {
	*hubtest.Server
	t    *testing.T
	home string
}

func newHub(t *testing.T) *hub {
	return &hub{hubtest.New(t, map[string]fs.FS{hubModel: os.DirFS(tinyLlama(t))}), t, t.TempDir()}
}

// run runs nexus-quant against the Hub.
func (h *hub) run(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	c := process(args...)
	c.Env = append(c.Env, "HF_HUB_OFFLINE=", "HF_ENDPOINT="+h.URL, "HF_HOME="+filepath.Join(h.home, "hf"), "NEXUS_QUANT_HOME="+filepath.Join(h.home, "nq"), "HF_TOKEN=")
	if len(args) > 0 && args[0] == "offline" {
		c.Args = append(c.Args[:1], args[1:]...)
		c.Env = append(c.Env, "HF_HUB_OFFLINE=1")
	}
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr, c.Dir = &out, &errs, h.home
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	c.Wait()
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func (h *hub) sent() (bytes int64) {
	for _, r := range h.Requests() {
		bytes += r.Sent
	}
	return bytes
}

func TestHubModelEndToEnd(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	// estimate reads headers, not weights
	code, stdout, stderr := h.run("estimate", hubModel, "-t", "Q4_K_M,Q8_0", "--json")
	if code != 0 {
		t.Fatalf("estimate: %d %s", code, stderr)
	}
	var e jobs.Estimate
	if err := json.Unmarshal([]byte(stdout), &e); err != nil {
		t.Fatal(err)
	}
	if n := h.sent(); n > 1<<20 {
		t.Errorf("estimate fetched %d bytes", n)
	}
	if e.Commit != h.Commit(hubModel) || e.DownloadBytes < 13<<20 || e.PeakDiskBytes != e.DownloadBytes+e.OutputBytes {
		t.Errorf("estimate: %s", stdout)
	}
	// the run: what a local run of the same folder makes, but for the names of the source
	code, _, stderr = h.run("quantize", hubModel+"@main", "-t", "Q4_K_M,Q8_0", "-o", "out", "--provenance")
	if code != 0 {
		t.Fatalf("quantize: %d %s", code, stderr)
	}
	for _, o := range e.Outputs {
		info, err := os.Stat(filepath.Join(h.home, "out", o.FileName))
		if err != nil || info.Size() != o.Bytes {
			t.Errorf("%s: %v, estimated %d bytes", o.FileName, err, o.Bytes)
		}
	}
	if _, stdout, _ = h.run("inspect", "out/tiny-llama-Q4_K_M.gguf"); !strings.Contains(stdout, h.Commit(hubModel)) || !strings.Contains(stdout, hubModel) {
		t.Errorf("the source is not recorded: %s", stdout)
	}
	statement, err := os.ReadFile(filepath.Join(h.home, "out", "tiny-llama-Q4_K_M.gguf.provenance.json"))
	if err != nil || !bytes.Contains(statement, []byte(h.ETag(hubModel, "model-00001-of-00002.safetensors"))) {
		t.Errorf("the provenance does not name the weights: %v %s", err, statement)
	}
	h.Requests()
	// again: nothing is fetched; offline: nobody is asked
	if code, _, stderr = h.run("quantize", "hf://"+hubModel+"@"+h.Commit(hubModel), "-t", "Q6_K", "-o", "out"); code != 0 {
		t.Fatalf("again: %d %s", code, stderr)
	}
	if n := h.sent(); n > 64<<10 {
		t.Errorf("the second run fetched %d bytes", n)
	}
	if code, _, stderr = h.run("offline", "quantize", hubModel, "-t", "Q5_K_M", "-o", "out"); code != 0 {
		t.Fatalf("offline: %d %s", code, stderr)
	}
	if n := len(h.Requests()); n > 0 {
		t.Errorf("offline made %d requests", n)
	}
}

func TestHubRefusals(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	check := func(what string, wantCode int, wantText, wantHint string, args ...string) {
		t.Helper()
		code, _, stderr := h.run(args...)
		if code != wantCode || !strings.Contains(stderr, wantText) || !strings.Contains(stderr, "hint:") || !strings.Contains(stderr, wantHint) {
			t.Errorf("%s: exit code %d, want %d with %q and hint %q: %s", what, code, wantCode, wantText, wantHint, stderr)
		}
	}
	check("unknown model", 5, "nexus/nothing", "spelling", "quantize", "nexus/nothing", "-t", "Q4_K_M")
	check("unknown revision", 5, "nosuch", "", "quantize", hubModel+"@nosuch", "-t", "Q4_K_M")
	check("offline, not in the cache", 1, hubModel, "HF_HUB_OFFLINE", "offline", "quantize", hubModel, "-t", "Q4_K_M")
	h.RequireToken("hf_right")
	h.Gate(hubModel)
	check("gated", 4, hubModel, "HF_TOKEN", "quantize", hubModel, "-t", "Q4_K_M")
	if left, _ := filepath.Glob(filepath.Join(h.home, "*.gguf*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A download that breaks off is gone on with by the same command.
func TestHubThatBreaksOff(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	weights := func(r *http.Request) bool {
		return r.Header.Get("Range") != "" || strings.Contains(r.URL.Path, ".safetensors")
	}
	h.Times(3, hubtest.Fault{CutAfter: 100 << 10}, weights)
	h.Times(2, hubtest.Fault{Status: http.StatusServiceUnavailable}, weights)
	if code, _, stderr := h.run("quantize", hubModel, "-t", "Q4_K_M", "-o", "out"); code != 0 {
		t.Fatalf("%d %s", code, stderr)
	}
}

// Ctrl-C stops a download within a second; the same command goes on with it.
func TestInterruptedDownload(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.Inject(func(r *http.Request) *hubtest.Fault {
		if r.Host != h.ContentHost() {
			return nil
		}
		return &hubtest.Fault{Delay: 150 * time.Millisecond}
	})
	c := process("quantize", hubModel, "-t", "Q4_K_M", "-o", "out", "--json")
	c.Env = append(c.Env, "HF_HUB_OFFLINE=", "HF_ENDPOINT="+h.URL, "HF_HOME="+filepath.Join(h.home, "hf"), "NEXUS_QUANT_HOME="+filepath.Join(h.home, "nq"), "HF_TOKEN=")
	c.Dir = h.home
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// in the middle of the download
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(h.home, "hf", "hub", "models--nexus--tiny-llama", "blobs", "*incomplete*")); len(found) > 0 {
			break
		}
	}
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	c.Process.Signal(os.Interrupt)
	c.Wait()
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v to stop", took)
	}
	if code := c.ProcessState.ExitCode(); code != exitCancelled {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	h.Inject(func(*http.Request) *hubtest.Fault { return nil })
	if code, _, stderr := h.run("quantize", hubModel, "-t", "Q4_K_M", "-o", "out"); code != 0 {
		t.Fatalf("again: %d %s", code, stderr)
	}
	if _, stdout, _ := h.run("jobs", "--json"); !strings.Contains(stdout, `"total": 1,`) || !strings.Contains(stdout, `"attempts": 2`) {
		t.Errorf("not the same job: %s", stdout)
	}
}
