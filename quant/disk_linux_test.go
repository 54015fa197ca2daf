package quant

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
