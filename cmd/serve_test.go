//go:build unix

package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// serverProcess is a running nexus-quant serve.
type serverProcess struct {
	*exec.Cmd
	t    *testing.T
	url  string
	errs bytes.Buffer
}

// startServer starts one with a home and an output folder, and waits until it listens.
func startServer(t *testing.T, home, out string, args ...string) *serverProcess {
	t.Helper()
	s := &serverProcess{Cmd: process(append([]string{"serve", "--addr", "127.0.0.1:0", "--json"}, args...)...), t: t}
	s.Env = append(s.Env, "NEXUS_QUANT_HOME="+home, "QUANTIZATION_OUTPUT_DIR="+out, "MODELS_DIR="+filepath.Dir(tinyLlama(t)))
	s.Stderr = &s.errs
	stdout, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill() })
	var line serving
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&line); err != nil {
		s.Wait()
		t.Fatalf("%v: %s", err, s.errs.String())
	}
	if line.Type != "serving" || line.PID != s.Process.Pid {
		t.Errorf("printed %+v", line)
	}
	s.url = line.URL
	return s
}

// stop asks the server to end, and tells how long it took.
func (s *serverProcess) stop() time.Duration {
	s.t.Helper()
	start := time.Now()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		s.t.Errorf("%v: %s", err, s.errs.String())
	}
	return time.Since(start)
}

// post creates a job.
func (s *serverProcess) post(model string, types ...string) jobs.Job {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"name": "test", "source_model": model, "output_formats": []string{"gguf"}, "gguf_quant_types": types})
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.url+"/api/v1/quantize/jobs", "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		s.t.Fatalf("status %d, %v: %s", resp.StatusCode, err, text)
	}
	var job jobs.Job
	if err := json.Unmarshal(text, &job); err != nil {
		s.t.Fatal(err)
	}
	return job
}

// until waits for a state of a job.
func (s *serverProcess) until(id, what string, reached func(jobs.Job) bool) jobs.Job {
	s.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(s.url + "/api/v1/quantize/jobs/" + id)
		if err != nil {
			s.t.Fatal(err)
		}
		var job jobs.Job
		err = json.NewDecoder(resp.Body).Decode(&job)
		resp.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		if reached(job) {
			return job
		}
		if job.Status == "failed" {
			s.t.Fatalf("job failed: %s", *job.Error)
		}
	}
	s.t.Fatalf("job %s is not %s", id, what)
	return jobs.Job{}
}

// TestAServerThatIsStoppedLosesNoWork stops a server while a job runs, and lets the next one finish it.
func TestAServerThatIsStoppedLosesNoWork(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("quantizes 512 MiB twice")
	}
	home, out := t.TempDir(), t.TempDir()
	model := bigModel(t, 512<<20)
	first := startServer(t, home, out, "--allow-path", filepath.Dir(model))
	job := first.post(model, "Q4_K_M", "Q8_0")
	first.until(job.ID, "under way", func(j jobs.Job) bool { return j.Status == "quantizing" && j.BytesDone > 0 })
	if took := first.stop(); took > 3*time.Second {
		t.Errorf("took %v to stop", took)
	}
	stdout, _ := outputIn(t, home, "jobs", "show", job.ID, "--json")
	var kept jobs.Job
	if err := json.Unmarshal([]byte(stdout), &kept); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if kept.Status != "interrupted" && kept.Status != "queued" || !kept.Resumable && kept.Status != "queued" {
		t.Fatalf("left as %s", kept.Status)
	}
	second := startServer(t, home, out, "--allow-path", filepath.Dir(model))
	resp, err := http.Post(second.url+"/api/v1/quantize/jobs/"+job.ID+"/resume", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	done := second.until(job.ID, "completed", func(j jobs.Job) bool { return j.Status == "completed" })
	second.stop()
	want := filepath.Join(t.TempDir(), "undisturbed")
	output(t, "quantize", model, "-t", "Q4_K_M,Q8_0", "-o", want)
	for _, o := range done.Outputs {
		if a, b := hash(t, *o.Path), hash(t, filepath.Join(want, filepath.Base(*o.Path))); a != b {
			t.Errorf("%s is %s, undisturbed it is %s", o.Type, a, b)
		}
	}
}

// outputIn runs nexus-quant with a home of its own.
func outputIn(t *testing.T, home string, args ...string) (stdout, stderr string) {
	t.Helper()
	c := process(args...)
	c.Env = append(c.Env, "NEXUS_QUANT_HOME="+home)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	if err := c.Run(); err != nil {
		t.Fatalf("nexus-quant %s: %v\n%s", strings.Join(args, " "), err, e.String())
	}
	return o.String(), e.String()
}

func TestTheSecondServerIsToldOfTheFirst(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := startServer(t, home, home)
	c := process("serve", "--addr", strings.TrimPrefix(s.url, "http://"))
	c.Env = append(c.Env, "NEXUS_QUANT_HOME="+home)
	text, _ := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(text), "another nexus-quant serve") {
		t.Errorf("exit code %d: %s", code, text)
	}
	s.stop()
}
