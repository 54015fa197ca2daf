package quant

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// smallDisk mounts a file system of so many bytes. It needs a machine where the test may mount.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("can't mount a small file system here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	return dir
}

func TestFullDiskIsFoundBeforeTheWork(t *testing.T) {
	dir := smallDisk(t, "256k")
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 2, false)), PlanOptions{Recipes: recipes(t, "Q8_0")})
	worked := false
	_, err := Run(t.Context(), p, RunOptions{Dir: dir, Progress: func(Progress) { worked = true }})
	var full *DiskError
	if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want a DiskError", err)
	}
	if worked {
		t.Error("weights were read although the disk was too small")
	}
	if left := names(dir); len(left) > 0 {
		t.Errorf("left behind %v", left)
	}
}

func TestUnwritableFolderIsAnError(t *testing.T) {
	dir := smallDisk(t, "1m")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("can't make it read-only here: %v", err)
	}
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: recipes(t, "Q8_0")})
	_, err := Run(t.Context(), p, RunOptions{Dir: dir})
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "model-Q8_0.gguf") {
		t.Errorf("got %v, want the file named", err)
	}
}

func TestLeftoverPartialIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model-Q8_0.gguf.partial"), make([]byte, 9<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: recipes(t, "Q8_0")})
	results, err := Run(t.Context(), p, RunOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(results[0].Path)
	if err != nil || info.Size() != p.Outputs[0].Bytes() || len(names(dir)) != 1 {
		t.Errorf("got %v %v %v", info, err, names(dir))
	}
}

func TestFullDiskInTheMiddleKeepsTheWork(t *testing.T) {
	dir := smallDisk(t, "4m")
	path := smallModel(t, gguf.F32, 4, false)
	p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q8_0")})
	if p.Outputs[0].Bytes() > 3<<20 {
		t.Fatalf("the output has %d bytes, too many for this test", p.Outputs[0].Bytes())
	}
	want, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	// the disk fills up although room was reserved: as if the reserved blocks were lost to another file
	var filler *os.File
	_, err = Run(t.Context(), p, RunOptions{Dir: dir, Threads: 1, Progress: func(g Progress) {
		if filler == nil && g.TensorsDone >= 5 {
			time.Sleep(commitEvery + commitEvery/2) // let a commit pass
			f, err := os.OpenFile(filepath.Join(dir, "model-Q8_0.gguf.partial"), os.O_RDWR, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			at := p.Outputs[0].Layout.Offset(len(p.Tensors) / 2)
			if err := syscall.Fallocate(int(f.Fd()), 0x3, at&^4095, p.Outputs[0].Bytes()-at); err != nil { // punch a hole
				t.Error(err)
			}
			filler, _ = os.Create(filepath.Join(dir, "filler"))
			for {
				if _, err := filler.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}
	}})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want no space left", err)
	}
	filler.Close()
	os.Remove(filler.Name())
	got, err := Run(t.Context(), p, RunOptions{Dir: dir, Resume: ResumeOnly})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].SHA256 != want[0].SHA256 || got[0].Resumed == 0 {
		t.Errorf("resumed %d tensors, same bytes: %v", got[0].Resumed, got[0].SHA256 == want[0].SHA256)
	}
}
