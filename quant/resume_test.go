package quant

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// interruptAt runs a plan and interrupts it when so many bytes of the source are done.
func interruptAt(t *testing.T, p *Plan, o RunOptions, at int64) ([]Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	o.Progress = func(g Progress) {
		if g.Phase == Quantizing && g.BytesDone >= at {
			cancel(ErrInterrupted)
		}
	}
	return Run(ctx, p, o)
}

func TestInterruptedRunGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	path := smallModel(t, gguf.BF16, 4, false)
	o := PlanOptions{Recipes: recipes(t, "Q4_K_M", "Q8_0", "Q6_K")}
	whole, err := Run(t.Context(), mustPlan(t, openModel(t, path), o), RunOptions{Dir: t.TempDir(), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	total := openModel(t, path).SourceBytes()
	for _, share := range []float64{0, 0.1, 0.5, 0.9, 1} {
		dir := t.TempDir()
		p := mustPlan(t, openModel(t, path), o)
		_, err := interruptAt(t, p, RunOptions{Dir: dir, Threads: 2}, int64(share*float64(total)))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("at %v: got %v", share, err)
		}
		for _, name := range names(dir) {
			if !strings.HasSuffix(name, ".partial") && !strings.HasSuffix(name, ".partial.journal") {
				t.Errorf("at %v: left %s", share, name)
			}
		}
		// other threads, other slabs: the bytes are the same
		results, err := Run(t.Context(), p, RunOptions{Dir: dir, Threads: 3, MaxMemory: baseMemory + 3<<20, Resume: ResumeOnly})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.SHA256 != whole[i].SHA256 {
				t.Errorf("at %v: %s differs from an undisturbed run", share, r.Type)
			}
			if share == 1 && r.Resumed == 0 {
				t.Errorf("at %v: %s began anew", share, r.Type)
			}
		}
		if left := names(dir); len(left) != 3 {
			t.Errorf("at %v: left %v", share, left)
		}
	}
}

// copyDir is what a power cut would leave: the files as they are at this moment.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestTornJournalIsCutOff(t *testing.T) {
	t.Parallel()
	path := smallModel(t, gguf.F32, 2, false)
	o := PlanOptions{Recipes: recipes(t, "Q4_0")}
	p := mustPlan(t, openModel(t, path), o)
	want, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := interruptAt(t, p, RunOptions{Dir: dir}, p.Model.SourceBytes()); err == nil {
		t.Fatal("not interrupted")
	}
	journal, err := os.ReadFile(filepath.Join(dir, "model-Q4_0.gguf.partial.journal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{0, 1, 40, len(journal) / 3, len(journal) / 2, len(journal) - 1} {
		broken := copyDir(t, dir)
		if err := os.WriteFile(filepath.Join(broken, "model-Q4_0.gguf.partial.journal"), journal[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Run(t.Context(), p, RunOptions{Dir: broken})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got[0].SHA256 != want[0].SHA256 {
			t.Errorf("cut at %d: other bytes", cut)
		}
	}
	// a flipped bit in the middle: what stands behind it is not believed
	flipped := bytes.Clone(journal)
	flipped[len(flipped)/2] ^= 1
	broken := copyDir(t, dir)
	if err := os.WriteFile(filepath.Join(broken, "model-Q4_0.gguf.partial.journal"), flipped, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Run(t.Context(), p, RunOptions{Dir: broken})
	if err != nil || got[0].SHA256 != want[0].SHA256 || got[0].Resumed >= len(p.Tensors) {
		t.Errorf("flipped: %v %+v", err, got)
	}
}

func TestChangedSourceOrRecipeIsNoticed(t *testing.T) {
	t.Parallel()
	path := smallModel(t, gguf.F32, 2, false)
	dir := t.TempDir()
	p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q4_0")})
	if _, err := interruptAt(t, p, RunOptions{Dir: dir}, p.Model.SourceBytes()); err == nil {
		t.Fatal("not interrupted")
	}
	pure := recipes(t, "Q4_0")
	pure[0].Pure = true
	other := mustPlan(t, openModel(t, path), PlanOptions{Recipes: pure})
	_, err := Run(t.Context(), other, RunOptions{Dir: copyDir(t, dir), Resume: ResumeOnly})
	var changed *ChangedError
	if !errors.As(err, &changed) || !strings.Contains(err.Error(), "options") {
		t.Errorf("other recipe: got %v, want ChangedError", err)
	}
	now := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	touched := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q4_0")})
	kept := copyDir(t, dir)
	_, err = Run(t.Context(), touched, RunOptions{Dir: kept, Resume: ResumeOnly})
	if !errors.As(err, &changed) || !strings.Contains(err.Error(), "model-F32.gguf") {
		t.Errorf("changed source: got %v, want the file named", err)
	}
	if len(names(kept)) != 2 {
		t.Errorf("a refusal threw the work away: %v", names(kept))
	}
	// without ResumeOnly the run starts anew
	results, err := Run(t.Context(), touched, RunOptions{Dir: dir})
	if err != nil || results[0].Resumed != 0 {
		t.Errorf("start anew: %v, %+v", err, results)
	}
}

// One output whose blocks overflow does not stop the others.
func TestOneFailingOutputDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	x := make([]float32, 256*4)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	x[300] = 3e38 // beyond half precision: no scale of Q8_0 can hold it, BF16 can
	path := writeModel(t, llamaMetadata(1), []testTensor{{"blk.0.ffn_up.weight", []int64{256, 4}, gguf.F32, x}})
	p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q8_0", "BF16")})
	dir := t.TempDir()
	results, err := Run(t.Context(), p, RunOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var block *BlockError
	if !errors.As(results[0].Err, &block) || results[1].Err != nil {
		t.Errorf("got %v and %v, want only Q8_0 to fail", results[0].Err, results[1].Err)
	}
	if left := names(dir); len(left) != 1 || left[0] != "model-BF16.gguf" {
		t.Errorf("left %v", left)
	}
}

// brokenDisk fails from some byte on, as a disk with a bad sector does.
type brokenDisk struct {
	io.ReaderAt
	from int64
}

func (d *brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > d.from {
		return 0, &fs.PathError{Op: "read", Path: "model.safetensors", Err: syscall.EIO}
	}
	return d.ReaderAt.ReadAt(p, off)
}

func TestReadErrorKeepsTheWork(t *testing.T) {
	t.Parallel()
	path := smallModel(t, gguf.F32, 4, false)
	want, err := Run(t.Context(), mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q8_0", "Q4_0")}), RunOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m := openModel(t, path)
	bad := m.tensors[len(m.tensors)/2]
	bad.source.data = &brokenDisk{bad.source.data, bad.source.stored() / 2}
	_, err = Run(t.Context(), mustPlan(t, m, PlanOptions{Recipes: recipes(t, "Q8_0", "Q4_0")}), RunOptions{Dir: dir, Threads: 1})
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), bad.name) {
		t.Fatalf("got %v, want the tensor named", err)
	}
	got, err := Run(t.Context(), mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q8_0", "Q4_0")}), RunOptions{Dir: dir, Resume: ResumeOnly})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got[i].SHA256 != want[i].SHA256 || got[i].Resumed == 0 {
			t.Errorf("%s: resumed %d tensors, same bytes: %v", got[i].Type, got[i].Resumed, got[i].SHA256 == want[i].SHA256)
		}
	}
}

func TestFidelityIsMeasured(t *testing.T) {
	t.Parallel()
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: recipes(t, "F32", "Q8_0", "Q2_K")})
	results, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir(), Measure: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, t2 := range p.Tensors {
		exact, fine, coarse := results[0].Fidelity[i], results[1].Fidelity[i], results[2].Fidelity[i]
		if exact.RMSE != 0 || exact.Max != 0 || exact.Cosine != 1 {
			t.Errorf("%s as F32: %+v", t2.Name, exact)
		}
		if len(t2.Shape) < 2 {
			continue
		}
		if !(fine.RMSE > 0 && fine.RMSE < coarse.RMSE && coarse.RMSE < 0.02 && fine.Max >= fine.RMSE) {
			t.Errorf("%s: Q8_0 %+v, Q2_K %+v", t2.Name, fine, coarse)
		}
		if !(coarse.Cosine < fine.Cosine && fine.Cosine < 1 && coarse.Cosine > 0.9) {
			t.Errorf("%s: Q8_0 %+v, Q2_K %+v", t2.Name, fine, coarse)
		}
	}
}

func TestDeviationSums(t *testing.T) {
	t.Parallel()
	x, y := []float32{3, 0, 4, 0, 1, 2}, []float32{3, 0, 0, 0, 1, 0}
	f := deviationOf(x, y).fidelity()
	if want := math.Sqrt(20.0 / 6); math.Abs(f.RMSE-want) > 1e-12 || f.Max != 4 {
		t.Errorf("got %+v, want RMSE %v and max 4", f, want)
	}
	if want := 10 / math.Sqrt(30*10); math.Abs(f.Cosine-want) > 1e-12 {
		t.Errorf("cosine %v, want %v", f.Cosine, want)
	}
	if f := deviationOf(make([]float32, 5), make([]float32, 5)).fidelity(); f.Cosine != 1 || f.RMSE != 0 {
		t.Errorf("zeros: %+v", f)
	}
}

func FuzzJournal(f *testing.F) {
	line, _ := appendLine(nil, journalHead{Version: 1, Plan: "x", Source: []SourceFile{{Name: "a", Bytes: 1, Version: "b"}}})
	line, _ = appendLine(line, tensorRecord{Tensor: 3, Rows: 2, Sums: []uint32{1, 2, 3}})
	f.Add(line)
	f.Add(line[:len(line)-3])
	f.Add([]byte("{}\t00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, records, size, err := readJournal(bytes.NewReader(b), 5)
		if size > int64(len(b)) {
			t.Errorf("%d bytes of %d", size, len(b))
		}
		for _, r := range records {
			if err != nil || r.Tensor >= 5 || r.Rows <= 0 {
				t.Errorf("%+v %v", r, err)
			}
		}
	})
}
