//go:build interop

package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

// prompts are tokenized and continued by every file.
var prompts = []string{
	"And the LORD said unto",
	"The function returns",
	"Hello, world!  Two spaces, 1234567890, ünïcödé, 日本語, emoji 🙂 and\ttabs\nand lines.",
}

// models are the checkpoints that whole files are compared for: the trained one that the repository ships, and a
// made-up one of each family.
func models(t *testing.T) map[string]string {
	list := map[string]string{"nexus-tiny-llama": filepath.Join("..", "..", "testdata", "nexus-tiny-llama")}
	for _, f := range archtest.Kinds() {
		dir := filepath.Join(t.TempDir(), string(f))
		archtest.Write(t, dir, f)
		list[string(f)] = dir
	}
	return list
}

func checkpoint(t *testing.T, dir string) *quant.Model {
	t.Helper()
	c, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	m, err := quant.FromCheckpoint(c, arch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ggufModel(t *testing.T, path string) *quant.Model {
	t.Helper()
	r, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	m, err := quant.FromGGUF(r, gguf.TrimType(filepath.Base(path)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// makeFiles runs a plan into dir and returns the paths by type.
func makeFiles(t *testing.T, m *quant.Model, dir string, o quant.PlanOptions) map[string]string {
	t.Helper()
	p, err := quant.NewPlan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	results, err := quant.Run(t.Context(), p, quant.RunOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for i, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		paths[r.Type] = r.Path
		if info, err := os.Stat(r.Path); err != nil || info.Size() != p.Outputs[i].Bytes() {
			t.Errorf("%s: size differs from the plan's %d: %v", r.Path, p.Outputs[i].Bytes(), err)
		}
	}
	return paths
}

func presets(skip ...string) []quant.Recipe {
	var list []quant.Recipe
	for _, p := range quant.Presets() {
		if !slices.Contains(skip, p.Name) {
			list = append(list, quant.Recipe{Preset: p})
		}
	}
	return list
}

// variant is a way to call both programs.
type variant struct {
	name     string
	recipe   func(*quant.Recipe)
	theirs   oracle.Options
	kvs      []gguf.KV
	files    []string // file types; all if empty
	weighted bool
	natural  bool // llama-quantize starts from a file in the checkpoint's own number format, else from F32
}

func variants() []variant {
	// types whose blocks fit every model here: llama.cpp aborts where a type that it is told to use does not
	q8, q5, f16 := gguf.Q8_0, gguf.Q5_1, gguf.F16
	return []variant{
		{name: "plain"},
		{name: "imatrix", weighted: true},
		{name: "pure", recipe: func(r *quant.Recipe) { r.Pure = true }, theirs: oracle.Options{Pure: true}, files: []string{"Q4_K_M", "Q3_K_L", "Q5_0"}},
		{name: "leave output", recipe: func(r *quant.Recipe) { r.LeaveOutput = true }, theirs: oracle.Options{LeaveOutput: true}, files: []string{"Q4_K_M"}, natural: true},
		{name: "output type", recipe: func(r *quant.Recipe) { r.OutputType, r.EmbeddingType = &q8, &q5 },
			theirs: oracle.Options{OutputType: &q8, EmbeddingType: &q5}, files: []string{"Q4_K_M", "Q2_K"}},
		{name: "tensor type", recipe: func(r *quant.Recipe) {
			r.Overrides = []quant.Override{{Pattern: regexp.MustCompile(`blk\.1\.ffn_.*`), Type: f16}, {Pattern: regexp.MustCompile("attn_v"), Type: q8}}
		}, theirs: oracle.Options{TensorTypes: []oracle.TensorType{{Pattern: `blk\.1\.ffn_.*`, Type: f16}, {Pattern: "attn_v", Type: q8}}}, files: []string{"Q4_K_S", "Q3_K_M"}},
		{name: "override kv", kvs: []gguf.KV{{Key: "general.name", Value: "Renamed"}, {Key: "my.number", Value: uint32(7)}, {Key: "my.float", Value: float32(0.25)}, {Key: "my.flag", Value: true}},
			theirs: oracle.Options{Overrides: []oracle.KV{{Key: "general.name", Value: "Renamed"}, {Key: "my.number", Value: int64(-7)}, {Key: "my.float", Value: 0.25}, {Key: "my.flag", Value: true}}},
			files:  []string{"Q8_0"}},
	}
}

// TestWholeFilesEqualLlamas makes every file type straight from a checkpoint, and by llama.cpp from our F32 or BF16
// file of it. The files must be the same from the first byte to the last.
func TestWholeFilesEqualLlamas(t *testing.T) {
	lib := library(t)
	compared, size := 0, int64(0)
	for name, dir := range models(t) {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			sources := makeFiles(t, checkpoint(t, dir), work, quant.PlanOptions{Recipes: presetsNamed("F32", "BF16", "F16")})
			packed := slices.ContainsFunc(checkpoint(t, dir).Tensors(), func(t quant.Tensor) bool { return t.Type.Quantized() })
			weights := writeImatrix(t, sources["F32"], filepath.Join(work, "imatrix.gguf"))
			for _, v := range variants() {
				t.Run(v.name, func(t *testing.T) {
					o := quant.PlanOptions{Recipes: presets("Q2_K_S"), Overrides: v.kvs}
					if len(v.files) > 0 {
						o.Recipes = presetsNamed(v.files...)
					}
					if v.weighted {
						o.Recipes = presets()
						o.Imatrix = weights.ours
						v.theirs.Imatrix = weights.theirs
						v.theirs.Overrides = append(v.theirs.Overrides, weights.keys...)
					}
					v.theirs.AllowRequantize = packed
					for i := range o.Recipes {
						o.Recipes[i].AllowRequantize = packed
						if v.recipe != nil {
							v.recipe(&o.Recipes[i])
						}
					}
					source := sources["F32"]
					if v.natural {
						natural := naturalType(checkpoint(t, dir))
						if natural == "" {
							t.Skip("matrices of several formats: no file type holds them all as they are")
						}
						source = sources[natural]
					}
					direct := makeFiles(t, checkpoint(t, dir), t.TempDir(), o)
					requantized := makeFiles(t, ggufModel(t, source), t.TempDir(), o)
					for _, r := range o.Recipes {
						typ := r.Preset.Name
						want := filepath.Join(t.TempDir(), typ+".gguf")
						if err := lib.QuantizeFile(source, want, uint32(r.Preset.FileType), v.theirs); err != nil {
							t.Fatal(err)
						}
						for how, got := range map[string]string{"from the checkpoint": direct[typ], "from the GGUF file": requantized[typ]} {
							if sameFile(t, fmt.Sprintf("%s %s", typ, how), got, want) {
								compared++
								info, _ := os.Stat(got)
								size += info.Size()
							}
						}
						if v.name == "plain" {
							sameText(t, lib, typ, direct[typ], want)
						}
					}
				})
			}
		})
	}
	fmt.Printf("%s: %d whole files, %.1f MB, equal to llama.cpp's\n", t.Name(), compared, float64(size)/1e6)
}

// naturalType is the file type that holds a model's matrices as they are, or "" if they are of several formats.
func naturalType(m *quant.Model) string {
	natural := ""
	for _, t := range m.Tensors() {
		if len(t.Shape) < 2 {
			continue
		}
		name := strings.ToUpper(t.Type.String())
		if natural != "" && natural != name {
			return ""
		}
		natural = name
	}
	return natural
}

func presetsNamed(names ...string) []quant.Recipe {
	var list []quant.Recipe
	for _, r := range presets() {
		if slices.Contains(names, r.Preset.Name) {
			list = append(list, r)
		}
	}
	return list
}

// sameFile compares two files and says what differs in their own terms.
func sameFile(t *testing.T, label, got, want string) bool {
	t.Helper()
	a, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) {
		return true
	}
	t.Errorf("%s: files differ", label)
	x, err := gguf.Open(got)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := gguf.Open(want)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	for i, kv := range y.Metadata.All() {
		if i >= x.Metadata.Len() || fmt.Sprint(x.Metadata.All()[i]) != fmt.Sprint(kv) {
			t.Logf("key %d: want %.200s", i, fmt.Sprint(kv))
			if i < x.Metadata.Len() {
				t.Logf("key %d: got  %.200s", i, fmt.Sprint(x.Metadata.All()[i]))
			}
		}
	}
	for i, tensor := range y.Tensors {
		if i >= len(x.Tensors) || x.Tensors[i].Name != tensor.Name || x.Tensors[i].Type != tensor.Type {
			t.Logf("tensor %d: want %s %s", i, tensor.Name, tensor.Type)
			continue
		}
		p, q := make([]byte, tensor.Size), make([]byte, tensor.Size)
		x.ReadTensorAt(i, p, 0)
		y.ReadTensorAt(i, q, 0)
		if !bytes.Equal(p, q) {
			t.Logf("tensor %s: data differs", tensor.Name)
		}
	}
	return false
}

// sameText loads both files in libllama and compares tokens and greedy continuations.
func sameText(t *testing.T, lib *oracle.Lib, typ, ours, theirs string) {
	t.Helper()
	var texts [2]string
	for i, path := range []string{ours, theirs} {
		m, err := lib.Load(path)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		var b strings.Builder
		for _, prompt := range prompts {
			tokens, err := m.Tokenize(prompt, true)
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			next, err := m.Greedy(tokens, 12)
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			fmt.Fprintln(&b, tokens, next)
		}
		m.Close()
		texts[i] = b.String()
	}
	if texts[0] != texts[1] {
		t.Errorf("%s: text differs\n got %s\nwant %s", typ, texts[0], texts[1])
	}
}

// importance is the same importance matrix for both programs.
type importance struct {
	ours   *quant.Imatrix
	theirs []oracle.Importance
	keys   []oracle.KV
}

// writeImatrix makes an importance matrix for every matrix of a model but the embedding, as llama-imatrix writes it.
func writeImatrix(t *testing.T, model, path string) importance {
	t.Helper()
	r, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var meta gguf.Metadata
	meta.Set("general.type", "imatrix")
	meta.Set("imatrix.datasets", []string{"calibration.txt"})
	meta.Set("imatrix.chunk_count", uint32(10))
	meta.Set("imatrix.chunk_size", uint32(512))
	rng := rand.New(rand.NewPCG(3, 9))
	var infos []gguf.TensorInfo
	var data [][]float32
	for _, info := range r.Tensors {
		if len(info.Shape) < 2 || info.Shape[1] == 1 || info.Name == "token_embd.weight" {
			continue
		}
		experts := int64(1) // each has weights of its own
		if len(info.Shape) > 2 {
			experts = info.Shape[2]
		}
		sums := make([]float32, info.Shape[0]*experts)
		for i := range sums {
			sums[i] = float32(rng.ExpFloat64() * 100)
			if rng.IntN(50) == 0 {
				sums[i] = 0
			}
		}
		counts := make([]float32, experts)
		for i := range counts {
			counts[i] = float32(37 + 5*i)
		}
		infos = append(infos, gguf.TensorInfo{Name: info.Name + ".in_sum2", Shape: []int64{info.Shape[0], experts}, Type: gguf.F32},
			gguf.TensorInfo{Name: info.Name + ".counts", Shape: []int64{1, experts}, Type: gguf.F32})
		data = append(data, sums, counts)
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	file := make([]byte, l.Size())
	copy(file, l.Header())
	for i, x := range data {
		putFloats(file[l.Offset(i):], x)
	}
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	var im importance
	if im.ours, err = quant.ReadImatrix(path); err != nil {
		t.Fatal(err)
	}
	for name, values := range im.ours.Weights {
		im.theirs = append(im.theirs, oracle.Importance{Name: name, Values: values})
	}
	// what llama-quantize itself adds, in its order
	im.keys = []oracle.KV{
		{Key: "quantize.imatrix.file", Value: path}, {Key: "quantize.imatrix.dataset", Value: "calibration.txt"},
		{Key: "quantize.imatrix.entries_count", Value: int64(len(im.theirs))}, {Key: "quantize.imatrix.chunks_count", Value: int64(10)},
	}
	if len(path) > 127 {
		im.keys[0].Value = path[:127]
	}
	return im
}

func putFloats(dst []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}
