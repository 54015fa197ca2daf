package quant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// testTensor is a tensor of a GGUF file that a test makes.
type testTensor struct {
	name  string
	shape []int64
	typ   gguf.Type
	x     []float32
}

// writeModel makes a GGUF file of the given tensors and returns its path.
func writeModel(t testing.TB, meta gguf.Metadata, tensors []testTensor) string {
	t.Helper()
	infos := make([]gguf.TensorInfo, len(tensors))
	for i, tt := range tensors {
		infos[i] = gguf.TensorInfo{Name: tt.name, Shape: tt.shape, Type: tt.typ}
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	file := make([]byte, l.Size())
	copy(file, l.Header())
	for i, tt := range tensors {
		size, err := gguf.TensorSize(tt.typ, tt.shape)
		if err != nil {
			t.Fatal(err)
		}
		if err := kernels.Quantize(tt.typ, file[l.Offset(i):][:size], tt.x, int(tt.shape[0]), nil); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "model-F32.gguf")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// smallModel is a llama of a few layers, random weights, wide enough for every block size.
func smallModel(t *testing.T, typ gguf.Type, layers int, tied bool) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(layers)))
	tensor := func(name string, typ gguf.Type, shape ...int64) testTensor {
		n, _ := gguf.Elements(shape)
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64() * 0.02)
		}
		return testTensor{name, shape, typ, x}
	}
	list := []testTensor{tensor("token_embd.weight", typ, 256, 96), tensor("output_norm.weight", gguf.F32, 256)}
	if !tied {
		list = append(list, tensor("output.weight", typ, 256, 96))
	}
	for i := range layers {
		for _, w := range []struct {
			name       string
			cols, rows int64
		}{
			{"attn_q", 256, 256}, {"attn_k", 256, 64}, {"attn_v", 256, 64}, {"attn_output", 256, 256},
			{"ffn_gate", 256, 512}, {"ffn_up", 256, 512}, {"ffn_down", 512, 256},
		} {
			list = append(list, tensor(fmt.Sprintf("blk.%d.%s.weight", i, w.name), typ, w.cols, w.rows))
		}
		list = append(list, tensor(fmt.Sprintf("blk.%d.attn_norm.weight", i), gguf.F32, 256))
	}
	return writeModel(t, llamaMetadata(layers), list)
}

func llamaMetadata(layers int) gguf.Metadata {
	var m gguf.Metadata
	m.Set("general.architecture", "llama")
	m.Set("llama.block_count", uint32(layers))
	m.Set("llama.attention.head_count", uint32(8))
	m.Set("llama.attention.head_count_kv", uint32(2))
	m.Set("general.file_type", uint32(0))
	m.Set("llama.context_length", uint32(512))
	return m
}

func openModel(t testing.TB, path string) *Model {
	t.Helper()
	r, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	m, err := FromGGUF(r, gguf.TrimType(filepath.Base(path)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func recipes(t testing.TB, names ...string) []Recipe {
	t.Helper()
	var list []Recipe
	for _, name := range names {
		p, err := ParsePreset(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Recipe{Preset: p})
	}
	return list
}

func mustPlan(t testing.TB, m *Model, o PlanOptions) *Plan {
	t.Helper()
	p, err := NewPlan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// wantData is what every tensor of an output should hold, computed the plain way: whole tensors, one thread.
func wantData(t *testing.T, path string, out *Output, p *Plan) [][]byte {
	t.Helper()
	r, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	byName := map[string]int{}
	for i, info := range r.Tensors {
		byName[info.Name] = i
	}
	var list [][]byte
	for i, pt := range p.Tensors {
		info := r.Tensors[byName[pt.Name]]
		raw := make([]byte, info.Size)
		if _, err := r.ReadTensorAt(byName[pt.Name], raw, 0); err != nil {
			t.Fatal(err)
		}
		if out.Types[i] == info.Type {
			list = append(list, raw)
			continue
		}
		x := make([]float32, pt.Elements)
		if err := kernels.Dequantize(info.Type, x, raw); err != nil {
			t.Fatal(err)
		}
		size, err := gguf.TensorSize(out.Types[i], pt.Shape)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, size)
		if err := kernels.Quantize(out.Types[i], b, x, int(pt.Shape[0]), nil); err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

func TestRunWritesEveryOutputInOnePass(t *testing.T) {
	t.Parallel()
	path := smallModel(t, gguf.F32, 4, false)
	var all []string
	for _, p := range Presets() {
		if p.Name != "Q2_K_S" { // needs an importance matrix
			all = append(all, p.Name)
		}
	}
	p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, all...)})
	dir := t.TempDir()
	results, err := Run(t.Context(), p, RunOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i, res := range results {
		data, err := os.ReadFile(res.Path)
		if err != nil {
			t.Fatal(err)
		}
		out := &p.Outputs[i]
		if int64(len(data)) != out.Bytes() || res.Bytes != out.Bytes() {
			t.Errorf("%s: %d bytes, planned %d", res.Path, len(data), out.Bytes())
		}
		for j, want := range wantData(t, path, out, p) {
			at := out.Layout.Offset(j)
			if !bytes.Equal(data[at:at+int64(len(want))], want) {
				t.Errorf("%s: tensor %s differs", res.Type, p.Tensors[j].Name)
			}
		}
	}
}

func TestRunDoesNotDependOnThreadsOrMemory(t *testing.T) {
	t.Parallel()
	path := smallModel(t, gguf.BF16, 3, true)
	var want map[string]string
	for _, o := range []RunOptions{{Threads: 1}, {Threads: 7}, {Threads: 3, MaxMemory: baseMemory + 3<<20}} {
		p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q4_K_M", "Q5_K_M", "Q8_0")})
		o.Dir = t.TempDir()
		results, err := Run(t.Context(), p, o)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range results {
			got[r.Type] = r.SHA256
			if r.SHA256 == "" {
				t.Errorf("%s: no hash", r.Type)
			}
		}
		if want == nil {
			want = got
		}
		for typ, sum := range want {
			if got[typ] != sum {
				t.Errorf("threads %d: %s differs", o.Threads, typ)
			}
		}
	}
}

func TestProgressNeverGoesBackAndEndsAtTheTotal(t *testing.T) {
	t.Parallel()
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 2, false)), PlanOptions{Recipes: recipes(t, "Q4_0", "Q8_0")})
	last := map[Phase]Progress{}
	_, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir(), Progress: func(g Progress) {
		if g.BytesDone < last[g.Phase].BytesDone || g.TensorsDone < last[g.Phase].TensorsDone {
			t.Errorf("%s went back from %d to %d bytes", g.Phase, last[g.Phase].BytesDone, g.BytesDone)
		}
		last[g.Phase] = g
	}})
	if err != nil {
		t.Fatal(err)
	}
	q := last[Quantizing]
	if q.BytesDone != q.BytesTotal || q.BytesTotal != p.Model.SourceBytes() || q.TensorsDone != len(p.Tensors) {
		t.Errorf("quantizing ended at %+v", q)
	}
	if v := last[Verifying]; v.TensorsDone != v.Tensors || v.BytesDone == 0 {
		t.Errorf("verifying ended at %+v", v)
	}
}

func TestFailedRunLeavesNoFile(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]float32{"NaN": float32(math.NaN()), "+Inf": float32(math.Inf(1)), "-Inf": float32(math.Inf(-1))} {
		x := make([]float32, 256*8)
		x[3*256+17] = bad
		path := writeModel(t, llamaMetadata(1), []testTensor{{"blk.0.ffn_up.weight", []int64{256, 8}, gguf.F32, x}})
		for _, typ := range []string{"Q4_K_M", "F32"} {
			p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, typ)})
			dir := t.TempDir()
			_, err := Run(t.Context(), p, RunOptions{Dir: dir})
			var nf *NonFiniteError
			if !errors.As(err, &nf) || nf.Tensor != "blk.0.ffn_up.weight" || nf.Row != 3 || nf.Col != 17 {
				t.Fatalf("%s as %s: got %v, want the weight named", name, typ, err)
			}
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v: does not say %s", err, name)
			}
			if left := names(dir); len(left) > 0 {
				t.Errorf("%s: left behind %v", name, left)
			}
		}
	}
}

func TestNonFiniteWeightsCanBeKeptAsLlamaKeepsThem(t *testing.T) {
	t.Parallel()
	x := make([]float32, 256*2)
	for i := range x {
		x[i] = float32(i%13) - 6
	}
	x[40] = float32(math.NaN())
	path := writeModel(t, llamaMetadata(1), []testTensor{{"blk.0.ffn_up.weight", []int64{256, 2}, gguf.F32, x}})
	p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "F32")})
	if _, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir(), NonFinite: KeepNonFinite}); err != nil {
		t.Errorf("F32: %v", err)
	}
	x[40] = float32(math.Inf(1)) // makes the scale infinite: refused all the same
	path = writeModel(t, llamaMetadata(1), []testTensor{{"blk.0.ffn_up.weight", []int64{256, 2}, gguf.F32, x}})
	p = mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q8_0")})
	_, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir(), NonFinite: KeepNonFinite})
	var be *BlockError
	if !errors.As(err, &be) {
		t.Errorf("Q8_0 of an infinite weight: got %v, want a BlockError", err)
	}
}

// What can't be read as numbers goes to the outputs as it is.
func TestForeignTensorsAreCopied(t *testing.T) {
	t.Parallel()
	infos := []gguf.TensorInfo{
		{Name: "blk.0.ffn_gate_tid2eid.weight", Shape: []int64{8, 4}, Type: gguf.I32},
		{Name: "blk.0.ffn_up.weight", Shape: []int64{256, 2}, Type: gguf.F32},
		{Name: "blk.0.attn_norm.weight", Shape: []int64{256}, Type: gguf.IQ2XS},
	}
	meta := llamaMetadata(1)
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	file := make([]byte, l.Size())
	copy(file, l.Header())
	for i := range 128 {
		file[l.Offset(0)+int64(i)] = 0xff // NaN, if it were a float
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	p := mustPlan(t, openModel(t, path), PlanOptions{Recipes: recipes(t, "Q8_0")})
	results, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	out, err := gguf.Open(results[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for i, info := range out.Tensors {
		if info.Type == gguf.I32 {
			b := make([]byte, info.Size)
			if _, err := out.ReadTensorAt(i, b, 0); err != nil || !bytes.Equal(b, bytes.Repeat([]byte{0xff}, 128)) {
				t.Errorf("%s: %x %v", info.Name, b, err)
			}
		}
	}
}

func TestExistingFilesAreKeptWithoutForce(t *testing.T) {
	t.Parallel()
	m := openModel(t, smallModel(t, gguf.F32, 1, false))
	p := mustPlan(t, m, PlanOptions{Recipes: recipes(t, "Q8_0")})
	dir := t.TempDir()
	path := filepath.Join(dir, "model-Q8_0.gguf")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), p, RunOptions{Dir: dir})
	var exists *ExistsError
	if !errors.As(err, &exists) {
		t.Fatalf("got %v, want ExistsError", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" || len(names(dir)) != 1 {
		t.Errorf("the file was touched: %q, %v", b, names(dir))
	}
	if _, err := Run(t.Context(), p, RunOptions{Dir: dir, Force: true}); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); int64(len(b)) != p.Outputs[0].Bytes() {
		t.Errorf("--force did not replace the file")
	}
}

// A file that takes the name while the run goes on is not replaced either.
func TestFileThatAppearsMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: recipes(t, "Q8_0")})
	dir := t.TempDir()
	path := filepath.Join(dir, "model-Q8_0.gguf")
	_, err := Run(t.Context(), p, RunOptions{Dir: dir, Progress: func(Progress) { os.WriteFile(path, []byte("mine"), 0o644) }})
	var exists *ExistsError
	if !errors.As(err, &exists) {
		t.Fatalf("got %v, want ExistsError", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Errorf("the file was touched: %q", b)
	}
	// the work is not lost: with --force nothing has to be computed again
	results, err := Run(t.Context(), p, RunOptions{Dir: dir, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Resumed != len(p.Tensors) || len(names(dir)) != 1 {
		t.Errorf("%d of %d tensors were kept, %v", results[0].Resumed, len(p.Tensors), names(dir))
	}
}

func TestTwoRunsDontWriteTheSameFile(t *testing.T) {
	t.Parallel()
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: recipes(t, "Q8_0")})
	dir := t.TempDir()
	var second error
	tried := false
	_, err := Run(t.Context(), p, RunOptions{Dir: dir, Progress: func(Progress) {
		if !tried {
			tried = true
			_, second = Run(t.Context(), p, RunOptions{Dir: dir})
		}
	}})
	if err != nil {
		t.Errorf("first: %v", err)
	}
	var busy *BusyError
	if !errors.As(second, &busy) {
		t.Errorf("second: got %v, want BusyError", second)
	}
}

func TestCancelLeavesNoFile(t *testing.T) {
	t.Parallel()
	for _, phase := range []Phase{Quantizing, Verifying} {
		p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 2, false)), PlanOptions{Recipes: recipes(t, "Q8_0", "Q4_K_M")})
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, p, RunOptions{Dir: dir, Progress: func(g Progress) {
			if g.Phase == phase {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", phase, err)
		}
		if left := names(dir); len(left) > 0 {
			t.Errorf("%s: left behind %v", phase, left)
		}
	}
}

func TestTooLittleMemoryIsRefusedBeforeWork(t *testing.T) {
	t.Parallel()
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: recipes(t, "Q8_0")})
	dir := t.TempDir()
	_, err := Run(t.Context(), p, RunOptions{Dir: dir, MaxMemory: 1 << 20})
	var mem *MemoryError
	if !errors.As(err, &mem) || mem.Need <= 1<<20 {
		t.Fatalf("got %v, want MemoryError", err)
	}
	if _, err := Run(t.Context(), p, RunOptions{Dir: dir, MaxMemory: mem.Need}); err != nil {
		t.Errorf("with what the error asks for: %v", err)
	}
}

// A bit that flips on the disk, between the writing of a tensor and the end of the run, is found.
func TestVerifyFindsAFlippedBit(t *testing.T) {
	t.Parallel()
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: recipes(t, "Q8_0")})
	for _, at := range []int64{p.Outputs[0].Layout.Offset(3) + 100, p.Outputs[0].Layout.Offset(len(p.Tensors)-1) + 7, p.Outputs[0].Bytes() - 1} {
		dir := t.TempDir()
		// all tensors are written and recorded, and the run is stopped before it is over
		if _, err := interruptAt(t, p, RunOptions{Dir: dir}, p.Model.SourceBytes()); err == nil {
			t.Fatal("not interrupted")
		}
		f, err := os.OpenFile(filepath.Join(dir, "model-Q8_0.gguf.partial"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0x10
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
		f.Close()
		_, err = Run(t.Context(), p, RunOptions{Dir: dir})
		var ve *VerifyError
		if !errors.As(err, &ve) {
			t.Errorf("byte %d: got %v, want VerifyError", at, err)
		}
		if left := names(dir); len(left) > 0 {
			t.Errorf("byte %d: left behind %v", at, left)
		}
	}
}

func TestOverridesApplyInOrder(t *testing.T) {
	t.Parallel()
	r := recipes(t, "Q4_K_M")
	r[0].Overrides = []Override{{regexp.MustCompile(`attn_v`), gguf.Q8_0}, {regexp.MustCompile(`attn`), gguf.Q5K}}
	p := mustPlan(t, openModel(t, smallModel(t, gguf.F32, 1, false)), PlanOptions{Recipes: r})
	for i, pt := range p.Tensors {
		want, ok := map[string]gguf.Type{"blk.0.attn_v.weight": gguf.Q8_0, "blk.0.attn_q.weight": gguf.Q5K, "blk.0.attn_norm.weight": gguf.F32}[pt.Name]
		if got := p.Outputs[0].Types[i]; ok && got != want {
			t.Errorf("%s: got %s, want %s", pt.Name, got, want)
		}
	}
}
