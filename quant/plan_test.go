package quant

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nexus-quant/nexus-quant/gguf"
)

var update = flag.Bool("update", false, "write the golden files of plans anew")

// shapedLike is a model with the tensors of a well-known one and no data: a plan reads none.
type shapedLike struct {
	arch                         string
	layers, cols, ffn, kv, vocab int64
	heads, kvHeads               uint32
	tied, biases                 bool
}

func (s shapedLike) write(t *testing.T) *Model {
	t.Helper()
	var meta gguf.Metadata
	meta.Set("general.architecture", s.arch)
	meta.Set(s.arch+".block_count", uint32(s.layers))
	meta.Set(s.arch+".attention.head_count", s.heads)
	meta.Set(s.arch+".attention.head_count_kv", s.kvHeads)
	var infos []gguf.TensorInfo
	add := func(name string, shape ...int64) {
		typ := gguf.BF16
		if len(shape) == 1 {
			typ = gguf.F32
		}
		infos = append(infos, gguf.TensorInfo{Name: name, Shape: shape, Type: typ})
	}
	add("token_embd.weight", s.cols, s.vocab)
	add("output_norm.weight", s.cols)
	if !s.tied {
		add("output.weight", s.cols, s.vocab)
	}
	for i := range s.layers {
		b := func(name string, shape ...int64) { add(fmt.Sprintf("blk.%d.%s", i, name), shape...) }
		b("attn_norm.weight", s.cols)
		b("attn_q.weight", s.cols, s.cols)
		b("attn_k.weight", s.cols, s.kv)
		b("attn_v.weight", s.cols, s.kv)
		if s.biases {
			b("attn_q.bias", s.cols)
		}
		b("attn_output.weight", s.cols, s.cols)
		b("ffn_norm.weight", s.cols)
		b("ffn_gate.weight", s.cols, s.ffn)
		b("ffn_up.weight", s.cols, s.ffn)
		b("ffn_down.weight", s.ffn, s.cols)
	}
	l, err := gguf.NewLayout(&meta, infos)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, l.Header(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, l.Size()); err != nil { // sparse: takes no room
		t.Fatal(err)
	}
	return openModel(t, path)
}

var known = map[string]shapedLike{
	"llama-2-7b":   {arch: "llama", layers: 32, cols: 4096, ffn: 11008, kv: 4096, vocab: 32000, heads: 32, kvHeads: 32},
	"llama-3-70b":  {arch: "llama", layers: 80, cols: 8192, ffn: 28672, kv: 1024, vocab: 128256, heads: 64, kvHeads: 8},
	"qwen2-0.5b":   {arch: "qwen2", layers: 24, cols: 896, ffn: 4864, kv: 128, vocab: 151936, heads: 14, kvHeads: 2, tied: true, biases: true},
	"llama-3.2-1b": {arch: "llama", layers: 16, cols: 2048, ffn: 8192, kv: 512, vocab: 128256, heads: 32, kvHeads: 8, tied: true},
}

// TestPlansOfKnownModels holds every file type's choices for models that people know to a text that is reviewed like
// code. llama.cpp's own choices for the same shapes are compared in quant/interop.
func TestPlansOfKnownModels(t *testing.T) {
	t.Parallel()
	for name, s := range known {
		m := s.write(t)
		var b strings.Builder
		for _, preset := range Presets() {
			p := mustPlan(t, m, PlanOptions{Recipes: []Recipe{{Preset: preset}}, Imatrix: imatrixFor(preset)})
			out := &p.Outputs[0]
			fmt.Fprintf(&b, "%s: %d bytes, %.4f bits/weight\n", preset.Name, out.Bytes(), p.BitsPerWeight(out))
			writeChoices(&b, p, out)
			for _, f := range out.Fallbacks[:min(2, len(out.Fallbacks))] {
				fmt.Fprintf(&b, "  fallback %s: %d columns, %s instead of %s, %d bytes more (%d in all)\n", f.Tensor, f.Columns, f.Got, f.Want, f.Extra, len(out.Fallbacks))
			}
		}
		path := filepath.Join("testdata", "plan-"+name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// imatrixFor lets file types pass that insist on importance weights.
func imatrixFor(p Preset) *Imatrix {
	if p.Name == "Q2_K_S" {
		return &Imatrix{Weights: map[string][]float32{"of another tensor": {1}}}
	}
	return nil
}

// writeChoices prints for each role which layers got which type: "attn_v q6_K 0-3 6 9".
func writeChoices(b *strings.Builder, p *Plan, out *Output) {
	layers := map[string][]int{}
	var order []string
	for i, t := range p.Tensors {
		if len(t.Shape) < 2 {
			continue
		}
		key := fmt.Sprintf("%s %s", t.Role, out.Types[i])
		if layers[key] == nil {
			order = append(order, key)
		}
		layers[key] = append(layers[key], layerOf(t.Name))
	}
	slices.Sort(order)
	for _, key := range order {
		fmt.Fprintf(b, "  %s", key)
		for _, r := range ranges(layers[key]) {
			fmt.Fprintf(b, " %s", r)
		}
		fmt.Fprintln(b)
	}
}

func ranges(list []int) []string {
	var out []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		switch {
		case list[i] < 0:
		case i == j:
			out = append(out, fmt.Sprint(list[i]))
		default:
			out = append(out, fmt.Sprintf("%d-%d", list[i], list[j]))
		}
		i = j + 1
	}
	return out
}

func TestTensorsStandInLlamasOrder(t *testing.T) {
	t.Parallel()
	got := []string{"blk.10.a", "token_embd.weight", "blk.2.b", "blk.2.a", "output.weight", "blk.x", "blk.1.z"}
	slices.SortFunc(got, byLayer)
	want := []string{"blk.x", "output.weight", "token_embd.weight", "blk.1.z", "blk.2.a", "blk.2.b", "blk.10.a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestQuantizedSourceIsRefusedWithoutPermission(t *testing.T) {
	t.Parallel()
	m := openModel(t, smallModel(t, gguf.Q8_0, 1, false))
	_, err := NewPlan(m, PlanOptions{Recipes: recipes(t, "Q4_K_M")})
	var re *RequantizeError
	if !errors.As(err, &re) || re.From != gguf.Q8_0 {
		t.Fatalf("got %v, want RequantizeError", err)
	}
	r := recipes(t, "Q4_K_M")
	r[0].AllowRequantize = true
	p := mustPlan(t, m, PlanOptions{Recipes: r})
	if _, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir()}); err != nil {
		t.Error(err)
	}
	// the same type is a copy, which loses nothing
	p = mustPlan(t, m, PlanOptions{Recipes: recipes(t, "Q8_0")})
	if _, err := Run(t.Context(), p, RunOptions{Dir: t.TempDir()}); err != nil {
		t.Error(err)
	}
}

func TestQ2KSNeedsAnImatrix(t *testing.T) {
	t.Parallel()
	m := openModel(t, smallModel(t, gguf.F32, 1, false))
	_, err := NewPlan(m, PlanOptions{Recipes: recipes(t, "Q2_K_S")})
	var ie *ImatrixError
	if !errors.As(err, &ie) {
		t.Errorf("got %v, want ImatrixError", err)
	}
}

func TestImatrixOfAnotherModelIsRefused(t *testing.T) {
	t.Parallel()
	m := openModel(t, smallModel(t, gguf.F32, 1, false))
	im := &Imatrix{Weights: map[string][]float32{"blk.0.attn_q.weight": make([]float32, 300)}}
	_, err := NewPlan(m, PlanOptions{Recipes: recipes(t, "Q4_K_M"), Imatrix: im})
	if err == nil || !strings.Contains(err.Error(), "300") || !strings.Contains(err.Error(), "256") {
		t.Errorf("got %v, want both sizes named", err)
	}
}

func TestMetadataMovesToTheEndAsLlamaWritesIt(t *testing.T) {
	t.Parallel()
	m := openModel(t, smallModel(t, gguf.F32, 1, false))
	p := mustPlan(t, m, PlanOptions{Recipes: recipes(t, "Q4_K_M"), Overrides: []gguf.KV{{Key: "llama.context_length", Value: uint32(9)}}})
	var keys []string
	for _, kv := range p.Outputs[0].Metadata.All() {
		keys = append(keys, kv.Key)
	}
	want := []string{"general.architecture", "llama.block_count", "llama.attention.head_count", "llama.attention.head_count_kv",
		"general.quantization_version", "general.file_type", "llama.context_length"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Error(diff)
	}
	if ft, _ := p.Outputs[0].Metadata.Int("general.file_type"); ft != 15 {
		t.Errorf("general.file_type %d, want 15", ft)
	}
}

// An override for a tensor that the model does not have is found out before the run.
func TestOverridesThatFitNothing(t *testing.T) {
	var recipe Recipe
	for _, rule := range []string{"attn_v=q8_0", "atn_v=q8_0"} {
		o, err := ParseOverride(rule)
		if err != nil {
			t.Fatal(err)
		}
		recipe.Overrides = append(recipe.Overrides, o)
	}
	p := Plan{Tensors: []Tensor{{Name: "blk.0.attn_v.weight"}}, Outputs: []Output{{Recipe: recipe}}}
	if got := p.Unmatched(); len(got) != 1 || got[0].Pattern.String() != "atn_v" {
		t.Errorf("got %v, want atn_v", got)
	}
	p.Outputs = nil // as in a job whose files are all there
	if got := p.Unmatched(); len(got) != 0 {
		t.Errorf("got %v of a plan without outputs", got)
	}
}

// A name that is suggested, or listed, is one that can be written.
func TestTensorTypesThatCanNotBeWritten(t *testing.T) {
	for name, want := range map[string]string{
		"bf61": `unknown tensor type "bf61", did you mean bf16?`,
		"f64":  "tensor type f64 can't be written",
		"i32":  "tensor type i32 can't be written",
		"q8_k": "tensor type q8_K can't be written",
		"zzzz": `unknown tensor type "zzzz"`,
	} {
		if _, err := ParseTensorType(name); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	for _, name := range WritableTypes() {
		if _, err := ParseTensorType(name); err != nil {
			t.Error(err)
		}
	}
}

func TestParseOverride(t *testing.T) {
	t.Parallel()
	o, err := ParseOverride(`BLK\.[0-9]+\.attn_v=Q8_0`)
	if err != nil {
		t.Fatal(err)
	}
	if o.Type != gguf.Q8_0 || !regexp.MustCompile(o.Pattern.String()).MatchString("blk.3.attn_v.weight") {
		t.Errorf("got %v %v", o.Pattern, o.Type)
	}
	for _, bad := range []string{"", "attn_v", "=q8_0", "attn_v=", "attn_v=q9_9", "(=q8_0"} {
		if _, err := ParseOverride(bad); err == nil {
			t.Errorf("%q: accepted", bad)
		} else if bad != "" && !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: the error does not name it: %v", bad, err)
		}
	}
}

func TestParsePreset(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"q4_k_m": "Q4_K_M", "Q4_K": "Q4_K_M", " bf16 ": "BF16", "Q5_K": "Q5_K_M"} {
		if p, err := ParsePreset(in); err != nil || p.Name != want {
			t.Errorf("%q: got %v %v, want %s", in, p.Name, err, want)
		}
	}
	_, err := ParsePreset("Q4KM")
	var name *gguf.UnknownNameError
	if !errors.As(err, &name) || name.Suggestion != "Q4_K_M" {
		t.Errorf("Q4KM: got %v, want a suggestion of Q4_K_M", err)
	}
	_, err = ParsePreset("IQ2_XXS")
	var pe *PresetError
	if !errors.As(err, &pe) {
		t.Errorf("IQ2_XXS: got %v, want PresetError", err)
	}
}
