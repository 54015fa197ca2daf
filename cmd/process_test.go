//go:build unix

package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func TestEstimateIsExactToTheByte(t *testing.T) {
	t.Parallel()
	types := ""
	for _, p := range jobs.Types() {
		if p.Name != "Q2_K_S" {
			types += p.Name + ","
		}
	}
	dir := t.TempDir()
	stdout, _ := output(t, "estimate", tinyLlama(t), "--types", types, "--json", "-o", dir)
	var e jobs.Estimate
	if err := json.Unmarshal([]byte(stdout), &e); err != nil {
		t.Fatal(err)
	}
	output(t, "quantize", tinyLlama(t), "--types", types, "-o", dir)
	if len(e.Outputs) != len(jobs.Types())-1 {
		t.Fatalf("%d outputs", len(e.Outputs))
	}
	for _, o := range e.Outputs {
		info, err := os.Stat(filepath.Join(dir, o.FileName))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Size() != o.Bytes {
			t.Errorf("%s: %d bytes, estimated %d", o.FileName, info.Size(), o.Bytes)
		}
	}
}

func TestResultAsJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stdout, stderr := output(t, "quantize", tinyLlama(t), "-t", "Q8_0", "-o", dir, "--json")
	var result struct {
		Type    string
		Outputs []struct {
			Type, Path, SHA256 string
			Bytes              int64
		}
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if result.Type != "result" || len(result.Outputs) != 1 || result.Outputs[0].Bytes == 0 || len(result.Outputs[0].SHA256) != 64 {
		t.Errorf("got %+v", result)
	}
	var event jobs.Progress
	for dec := json.NewDecoder(strings.NewReader(stderr)); dec.More(); {
		if err := dec.Decode(&event); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
	}
	if event.Stage != jobs.Verifying || event.BytesDone != event.BytesTotal {
		t.Errorf("progress ended at %+v", event)
	}
}

func TestInterruptStopsWithinASecondAndTheSameCommandGoesOn(t *testing.T) {
	t.Parallel()
	model, out := bigModel(t, 1<<30), t.TempDir()
	args := []string{"quantize", model, "-t", "Q4_K_M,Q8_0", "-o", out, "--json"}
	c := process(args...)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// a journal longer than its head has a finished tensor
	for journal := filepath.Join(out, "big-Q8_0.gguf.partial.journal"); ; time.Sleep(time.Millisecond) {
		if b, err := os.ReadFile(journal); err == nil && bytes.Count(b, []byte("\n")) > 1 || c.ProcessState != nil {
			break
		}
	}
	start := time.Now()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(stderr)
	c.Wait()
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v to stop", took)
	}
	if code := c.ProcessState.ExitCode(); code != exitCancelled {
		t.Errorf("exit code %d, want %d: %s", code, exitCancelled, text)
	}
	if !strings.Contains(string(text), "the same command goes on") {
		t.Errorf("does not say how to go on: %s", text)
	}
	left, _ := os.ReadDir(out)
	for _, e := range left {
		if !strings.Contains(e.Name(), ".partial") {
			t.Errorf("left %s under a final name", e.Name())
		}
	}
	stdout, _ := output(t, args...)
	if !strings.Contains(stdout, `"resumed_tensors"`) {
		t.Errorf("began anew: %s", stdout)
	}
	if left, _ := os.ReadDir(out); len(left) != 2 {
		t.Errorf("left %v", left)
	}
}

// A second Ctrl-C ends the process at once, also one that can't even say so: its terminal takes no more text, as after
// Ctrl-S. What was done by then is kept.
func TestSecondInterruptEndsAProcessThatIsStuckAndTheSameCommandGoesOn(t *testing.T) {
	t.Parallel()
	model, out := bigModel(t, 1<<30), t.TempDir()
	args := []string{"quantize", model, "-t", "Q4_K_M,Q8_0", "-o", out, "--progress", "none"}
	c := process(args...)
	c.Stderr = fullPipe(t)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	// a journal longer than its head has a finished tensor
	for journal := filepath.Join(out, "big-Q8_0.gguf.partial.journal"); ; time.Sleep(time.Millisecond) {
		if b, err := os.ReadFile(journal); err == nil && bytes.Count(b, []byte("\n")) > 1 {
			break
		}
	}
	go func() { ended <- c.Wait() }()
	signal := func() {
		if err := c.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	}
	signal()
	select {
	case <-ended:
		t.Fatal("it ended by itself: it was not stuck")
	case <-time.After(2 * sameSignal):
	}
	signal()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = c.Process.Kill()
		<-ended
		t.Fatal("the second Ctrl-C did not end it")
	}
	if code := c.ProcessState.ExitCode(); code != exitCancelled {
		t.Errorf("exit code %d, want %d", code, exitCancelled)
	}
	left, _ := os.ReadDir(out)
	for _, e := range left {
		if !strings.Contains(e.Name(), ".partial") {
			t.Errorf("left %s under a final name", e.Name())
		}
	}
	stdout, _ := output(t, append(args, "--json")...)
	if !strings.Contains(stdout, `"resumed_tensors"`) {
		t.Errorf("began anew: %s", stdout)
	}
}

// fullPipe is a pipe that takes no more bytes and that nobody reads.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		t.Fatal(err)
	}
	read, write := os.NewFile(uintptr(ends[0]), "read"), ends[1]
	syscall.CloseOnExec(ends[0])
	syscall.CloseOnExec(write)
	if err := syscall.SetNonblock(write, true); err != nil {
		t.Fatal(err)
	}
	for size := 4096; size > 0; {
		if _, err := syscall.Write(write, make([]byte, size)); err == syscall.EAGAIN {
			size /= 2
		} else if err != nil && err != syscall.EINTR {
			t.Fatal(err)
		}
	}
	if err := syscall.SetNonblock(write, false); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(write), "write")
	t.Cleanup(func() { read.Close(); f.Close() })
	return f
}

// Following the log of a finished job ends. Trying it again leaves its files as they are, makes those that are gone, and
// only with --force those that are damaged.
func TestRetryOfAFinishedJob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	output(t, "quantize", tinyLlama(t), "-t", "Q3_K_S", "-o", dir, "--name", "to be tried again")
	stdout, _ := output(t, "jobs", "list", "--json")
	var list jobs.JobList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list.Jobs, func(j jobs.Job) bool { return j.Name == "to be tried again" })
	if i < 0 {
		t.Fatal("the job is not in the list")
	}
	if log, _ := output(t, "jobs", "logs", "--follow", list.Jobs[i].ID); !strings.Contains(log, "completed") { // it ends
		t.Errorf("the log of a job that is over: %q", log)
	}
	path := filepath.Join(dir, filepath.Base(tinyLlama(t))+"-Q3_K_S.gguf")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id := list.Jobs[i].ID
	retried := func(args ...string) (string, int) {
		c := process(append([]string{"jobs", "retry", id}, args...)...)
		text, _ := c.CombinedOutput()
		return string(text), c.ProcessState.ExitCode()
	}
	same := func() bool {
		after, err := os.ReadFile(path)
		return err == nil && bytes.Equal(before, after)
	}
	if text, code := retried(); code != exitFailed || !strings.Contains(text, "--force makes them anew") || !same() {
		t.Errorf("exit code %d, the file is the same: %t; %s", code, same(), text)
	}
	damaged := bytes.Clone(before)
	damaged[len(damaged)-1] ^= 1
	if err := os.WriteFile(path, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if text, code := retried(); code != exitFailed || same() {
		t.Errorf("a damaged file without --force: exit code %d, replaced: %t; %s", code, same(), text)
	}
	if text, code := retried("--force"); code != exitOK || !same() {
		t.Errorf("a damaged file with --force: exit code %d, the file is the same: %t; %s", code, same(), text)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if text, code := retried(); code != exitOK || !same() {
		t.Errorf("a file that is gone: exit code %d, the file is the same: %t; %s", code, same(), text)
	}
}

// TestMemoryStaysWithinTheBudget quantizes a model many times larger than the memory allowed and asks the system what
// the process took at most.
func TestMemoryStaysWithinTheBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 1 GiB")
	}
	const budget = 128 << 20
	model, out := bigModel(t, 1<<30), t.TempDir()
	c := process("quantize", model, "-t", "Q4_K_M,Q5_K_M,Q8_0", "-o", out, "--max-memory", fmt.Sprint(budget), "--threads", "8")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	peak := c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	t.Logf("source 1024 MiB, budget %d MiB, peak %d MiB", budget>>20, peak>>20)
	if peak > budget {
		t.Errorf("peak memory %d MiB, allowed %d MiB", peak>>20, budget>>20)
	}
}
