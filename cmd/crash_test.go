//go:build unix

package cmd

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// randomModel is a BF16 GGUF file of about so many weights.
func randomModel(t *testing.T, weights int64) string {
	t.Helper()
	const cols, layers = 1024, 12
	var meta gguf.Metadata
	meta.Set("general.architecture", "llama")
	meta.Set("llama.block_count", uint32(layers))
	var infos []gguf.TensorInfo
	for i := range layers {
		for _, name := range []string{"attn_v", "ffn_down", "ffn_up"} {
			infos = append(infos, gguf.TensorInfo{Name: fmt.Sprintf("blk.%d.%s.weight", i, name), Shape: []int64{cols, weights / cols / layers / 3}, Type: gguf.BF16})
		}
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 2))
	file := make([]byte, l.Size())
	copy(file, l.Header())
	for at := l.DataOffset(); at+2 <= l.Size(); at += 2 {
		binary.LittleEndian.PutUint16(file[at:], uint16(math.Float32bits(float32(r.NormFloat64()*0.02))>>16))
	}
	path := filepath.Join(t.TempDir(), "random-BF16.gguf")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// hashes are the SHA-256 of a result's outputs by type.
func hashes(t *testing.T, stdout string) map[string]string {
	t.Helper()
	var result struct {
		Outputs []struct{ Type, SHA256, Error string }
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	sums := map[string]string{}
	for _, o := range result.Outputs {
		sums[o.Type] = o.SHA256
	}
	return sums
}

// TestKilledJobsEndWithTheSameBytes kills a run of several outputs at random moments, sometimes several times, and goes
// on with the job. NEXUS_QUANT_CRASHES says how many runs are killed; make crash asks for 50.
func TestKilledJobsEndWithTheSameBytes(t *testing.T) {
	crashes, most := 2, 3 // kills of one job at most: plain tests should not take long
	weights := int64(8e6)
	if v := os.Getenv("NEXUS_QUANT_CRASHES"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		crashes, weights, most = n, 12e6, 1000
	} else if testing.Short() {
		t.Skip("takes some seconds")
	}
	model := randomModel(t, weights)
	types := "Q4_K_M,Q5_K_M,Q2_K"
	// the slow kernels, on one thread: there should be something to kill
	args := func(out string) []string {
		return []string{"quantize", model, "-t", types, "-o", out, "--json", "--threads", "1", "--progress", "none"}
	}
	slow := append(os.Environ(), mainEnv+"=1", "NEXUS_QUANT_KERNELS=generic")
	run := func(home string, args ...string) (string, error) {
		c := process(args...)
		c.Env = append(slow[:len(slow):len(slow)], "NEXUS_QUANT_HOME="+home)
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		err := c.Run()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, errs.String())
		}
		return out.String(), err
	}
	start := time.Now()
	stdout, err := run(t.TempDir(), args(t.TempDir())...)
	if err != nil {
		t.Fatal(err)
	}
	whole, want := time.Since(start), hashes(t, stdout)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	resumed, kills := 0, 0
	for i := range crashes {
		home, out, before := t.TempDir(), t.TempDir(), kills
		next := args(out)
		for {
			c := process(next...)
			c.Env = append(slow[:len(slow):len(slow)], "NEXUS_QUANT_HOME="+home)
			var done, errs bytes.Buffer
			c.Stdout, c.Stderr = &done, &errs
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if kills-before < most {
				time.Sleep(time.Duration(r.Float64() * float64(whole)))
				c.Process.Signal(syscall.SIGKILL)
			}
			err := c.Wait()
			if err == nil {
				stdout = done.String() // it was faster
				break
			}
			if !strings.Contains(err.Error(), "killed") {
				t.Fatalf("crash %d: %v: %s", i, err, errs.String())
			}
			kills++
			for _, name := range list(t, out) {
				if strings.HasSuffix(name, ".gguf") {
					// a file under its final name is whole
					if sum := hash(t, filepath.Join(out, name)); !strings.Contains(fmt.Sprint(want), sum) {
						t.Fatalf("crash %d: %s is not whole", i, name)
					}
				}
			}
			ids, err := run(home, "jobs", "--json")
			if err != nil {
				t.Fatal(err)
			}
			var jobs struct {
				Jobs []struct{ ID, Status string }
			}
			if err := json.Unmarshal([]byte(ids), &jobs); err != nil {
				t.Fatal(err)
			}
			if len(jobs.Jobs) == 0 {
				continue // killed before there was a job
			}
			if len(jobs.Jobs) != 1 {
				t.Fatalf("crash %d: %d jobs", i, len(jobs.Jobs))
			}
			if jobs.Jobs[0].Status == "completed" {
				stdout = ""
				break
			}
			next = []string{"jobs", "resume", jobs.Jobs[0].ID, "--json", "--progress", "none"}
		}
		if strings.Contains(stdout, "resumed_tensors") {
			resumed++
		}
		for typ, sum := range want {
			if got := hash(t, filepath.Join(out, "random-"+typ+".gguf")); got != sum {
				t.Errorf("crash %d: %s has other bytes than an undisturbed run", i, typ)
			}
		}
		if left := list(t, out); len(left) != len(want) {
			t.Errorf("crash %d: left %v", i, left)
		}
	}
	t.Logf("%d jobs killed %d times, %d of them went on with finished tensors at the end; an undisturbed run takes %v", crashes, kills, resumed, whole.Round(time.Millisecond))
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func hash(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
