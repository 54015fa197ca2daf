package quant

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

// openAdapter writes an adapter and reads it.
func openAdapter(t *testing.T, a *archtest.Adapter, dir string) (*arch.Adapter, error) {
	t.Helper()
	a.Write(t, dir)
	c, err := hf.OpenAdapterDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return arch.ReadAdapter(c)
}

// TestMergedAdapterGivesTheFilesOfWhatItMakes merges adapters as they are read, and compares with the files of weights that
// they were added to before.
func TestMergedAdapterGivesTheFilesOfWhatItMakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind    archtest.Kind
		rank    int64
		targets []string
		pack    string
		swapped bool
		rs      bool
		scale   float32
	}{
		"permuted rows":     {kind: archtest.Llama2, rank: 8, targets: []string{"_proj", "lm_head"}, scale: 2},
		"shards of F16":     {kind: archtest.Mistral, rank: 5, targets: []string{"q_proj", "v_proj"}, scale: 2},
		"rank-stabilised":   {kind: archtest.Qwen3, rank: 4, targets: []string{"_proj"}, rs: true, scale: 4},
		"tied embedding":    {kind: archtest.Qwen2, rank: 3, targets: []string{"embed_tokens", "o_proj"}, scale: 2},
		"some experts":      {kind: "tiny-qwen3moe", rank: 4, targets: []string{"experts.1."}, scale: 2},
		"swapped":           {kind: "tiny-gpt2", rank: 6, targets: []string{"c_attn", "c_proj"}, swapped: true, scale: 2},
		"packed":            {kind: archtest.Llama3, rank: 7, targets: []string{"_proj"}, pack: "gptq-4", scale: 2},
		"FP8 with scales":   {kind: archtest.FP8, rank: 4, targets: []string{"0.self_attn.k_proj", "down_proj"}, scale: 2},
		"experts in FP8":    {kind: "tiny-deepseek3-fp8", rank: 4, targets: []string{"experts.1.gate_proj"}, scale: 2},
		"beside MXFP4":      {kind: "tiny-gpt-oss", rank: 4, targets: []string{"q_proj", "o_proj"}, scale: 2},
		"packed, by blocks": {kind: archtest.Mistral, rank: 4, targets: []string{"_proj"}, pack: "nf4", scale: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := archtest.New(test.kind)
			a := archtest.NewAdapter(c, test.rank, test.targets...)
			if len(a.Tensors) == 0 {
				t.Fatal("no targets")
			}
			if a.Config["use_rslora"] = test.rs; test.swapped {
				a.Swap()
			}
			plain := c
			if test.pack != "" {
				plain = c.Pack(test.pack)
			}
			adapter, err := openAdapter(t, a, filepath.Join(t.TempDir(), "style"))
			if err != nil {
				t.Fatal(err)
			}
			got, m := filesWith(t, c, "tiny", arch.Options{Merge: adapter}, RunOptions{Threads: 3}, "F32", "Q4_0")
			want, _ := filesOf(t, a.Merged(plain, test.scale), "tiny", RunOptions{}, "F32", "Q4_0")
			base, _ := filesOf(t, plain, "tiny", RunOptions{}, "F32")
			if m.Name != "tiny-style" || m.memory == 0 {
				t.Errorf("model %q takes %d bytes to merge", m.Name, m.memory)
			}
			for typ, b := range want {
				if !bytes.Equal(got[typ], b) {
					t.Errorf("%s: differs from the file of the merged weights", typ)
				}
			}
			if bytes.Equal(got["F32"], base["F32"]) {
				t.Error("the adapter changed nothing")
			}
		})
	}
}

// TestInterruptedMergeGoesOn goes on with the adapter that it began with, and with no other.
func TestInterruptedMergeGoesOn(t *testing.T) {
	t.Parallel()
	c := archtest.New(archtest.Llama2)
	a := archtest.NewAdapter(c, 4, "_proj")
	root := t.TempDir()
	c.Write(t, filepath.Join(root, "tiny"))
	plan := func() *Plan {
		t.Helper()
		ck, err := hf.OpenDir(filepath.Join(root, "tiny"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ck.Close() })
		ac, err := hf.OpenAdapterDir(filepath.Join(root, "style"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ac.Close() })
		adapter, err := arch.ReadAdapter(ac)
		if err != nil {
			t.Fatal(err)
		}
		m, err := FromCheckpoint(ck, arch.Options{Merge: adapter})
		if err != nil {
			t.Fatal(err)
		}
		return mustPlan(t, m, PlanOptions{Recipes: recipes(t, "Q4_K_M")})
	}
	a.Write(t, filepath.Join(root, "style"))
	want, err := Run(t.Context(), plan(), RunOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := plan()
	if _, err := interruptAt(t, p, RunOptions{Dir: dir, Threads: 2}, p.SourceBytes()); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	changed := copyDir(t, dir)
	got, err := Run(t.Context(), plan(), RunOptions{Dir: dir, Resume: ResumeOnly})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].SHA256 != want[0].SHA256 || got[0].Resumed == 0 {
		t.Errorf("%d tensors were there already, and the bytes are %s, want %s", got[0].Resumed, got[0].SHA256, want[0].SHA256)
	}

	a.Config["lora_alpha"] = 8.5
	a.Write(t, filepath.Join(root, "style"))
	results, err := Run(t.Context(), plan(), RunOptions{Dir: changed, Resume: ResumeOnly})
	var differs *ChangedError
	if err == nil && len(results) > 0 {
		err = results[0].Err
	}
	if !errors.As(err, &differs) || !strings.Contains(err.Error(), "adapter_") {
		t.Errorf("with another strength: %v", err)
	}
}

// TestMergingStaysWithinTheBudget plans with an adapter whose matrices alone are more than is allowed.
func TestMergingStaysWithinTheBudget(t *testing.T) {
	t.Parallel()
	c := archtest.New(archtest.Qwen3)
	adapter, err := openAdapter(t, archtest.NewAdapter(c, 4096, "up_proj"), filepath.Join(t.TempDir(), "wide"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tiny")
	c.Write(t, dir)
	ck, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	need := func(o arch.Options) int64 {
		m, err := FromCheckpoint(ck, o)
		if err != nil {
			t.Fatal(err)
		}
		n, err := mustPlan(t, m, PlanOptions{Recipes: recipes(t, "Q8_0")}).PeakMemory(RunOptions{Threads: 1, MaxMemory: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if more := need(arch.Options{Merge: adapter}) - need(arch.Options{}); more < 3*4096*archtest.Hidden*4 {
		t.Errorf("merging counts %d bytes, three matrices have %d", more, 3*4096*archtest.Hidden*4)
	}
}
