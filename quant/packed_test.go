package quant

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// filesOf quantizes a checkpoint under a name and returns the files' bytes by their types.
func filesOf(t *testing.T, c *archtest.Checkpoint, name string, o RunOptions, types ...string) (map[string][]byte, *Model) {
	t.Helper()
	return filesWith(t, c, name, arch.Options{}, o, types...)
}

// filesWith is filesOf with options for the mapping.
func filesWith(t *testing.T, c *archtest.Checkpoint, name string, mapping arch.Options, o RunOptions, types ...string) (map[string][]byte, *Model) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	c.Write(t, dir)
	ck, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	m, err := FromCheckpoint(ck, mapping)
	if err != nil {
		t.Fatal(err)
	}
	o.Dir = t.TempDir()
	p := mustPlan(t, m, PlanOptions{Recipes: recipes(t, types...)})
	results, err := Run(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, r := range results {
		if files[r.Type], err = os.ReadFile(r.Path); err != nil {
			t.Fatal(err)
		}
	}
	return files, m
}

// TestPackedCheckpointGivesTheFilesOfWhatItStandsFor quantizes checkpoints that are quantized already, and the same
// weights in F32.
func TestPackedCheckpointGivesTheFilesOfWhatItStandsFor(t *testing.T) {
	t.Parallel()
	for _, packing := range archtest.Packings() {
		t.Run(packing, func(t *testing.T) {
			t.Parallel()
			c := archtest.New(archtest.Mistral) // permutes rows
			plain := c.Pack(packing)
			got, m := filesOf(t, c, "tiny", RunOptions{Threads: 2}, "F32")
			want, _ := filesOf(t, plain, "tiny", RunOptions{}, "F32")
			for typ, b := range want {
				if !bytes.Equal(got[typ], b) {
					t.Errorf("%s: differs from the file of the plain weights", typ)
				}
			}
			warned := slices.ContainsFunc(m.Warnings, func(s string) bool { return strings.Contains(s, "quantized already") })
			if warned == (packing == "bitnet") { // which was trained so
				t.Errorf("warnings: %q", m.Warnings)
			}
		})
	}
}
