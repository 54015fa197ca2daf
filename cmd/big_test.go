package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// bigModel is an F32 GGUF file of about size bytes that takes hardly any disk: its weights are a hole, which reads as
// zeros.
func bigModel(t *testing.T, size int64) string {
	t.Helper()
	var meta gguf.Metadata
	meta.Set("general.architecture", "llama")
	meta.Set("llama.block_count", uint32(4))
	var infos []gguf.TensorInfo
	rows := size / 4 / 4 / 4096
	for i := range 4 {
		infos = append(infos, gguf.TensorInfo{Name: fmt.Sprintf("blk.%d.ffn_up.weight", i), Shape: []int64{4096, rows}, Type: gguf.F32})
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "big-F32.gguf")
	if err := os.WriteFile(path, l.Header(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, l.Size()); err != nil {
		t.Fatal(err)
	}
	return path
}
