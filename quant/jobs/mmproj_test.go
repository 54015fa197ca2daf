package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/registry"
)

// seeing writes a small model that sees.
func seeing(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "tiny-gemma3-vision")
	archtest.Write(t, dir, "tiny-gemma3-vision")
	return dir
}

// outputs lists what a job made, type by type.
func outputs(j Job) []string {
	var list []string
	for _, o := range j.Outputs {
		list = append(list, o.Type+" "+o.Status)
	}
	return list
}

func TestAModelThatSeesGetsAnMmprojFile(t *testing.T) {
	t.Parallel()
	model := seeing(t)
	for _, tc := range []struct {
		mmproj string
		types  []string
		want   []string
	}{
		{"", []string{"Q8_0"}, []string{"Q8_0", "mmproj-F16"}},
		{"none", []string{"Q8_0"}, []string{"Q8_0"}},
		{"bf16,Q8_0", []string{"Q4_K_M"}, []string{"Q4_K_M", "mmproj-BF16", "mmproj-Q8_0"}},
		{"f32", nil, []string{"mmproj-F32"}},
	} {
		s := newService(t, nil)
		result, err := s.Quantize(t.Context(), &Request{Model: model, Types: tc.types, Mmproj: tc.mmproj, Dir: s.settings.OutputDir}, Silent{})
		if err != nil {
			t.Fatal(err)
		}
		var made, recorded []string
		for _, o := range result.Outputs {
			made = append(made, o.Type)
		}
		j, err := s.Job(result.Job)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range j.Outputs {
			if o.Status != "completed" || o.SHA256 == nil || o.Path == nil {
				t.Errorf("mmproj %q: job's output %+v", tc.mmproj, o)
			}
			recorded = append(recorded, o.Type)
		}
		if !slices.Equal(made, tc.want) || !slices.Equal(recorded, tc.want) {
			t.Errorf("mmproj %q: made %q, the job says %q, want %q", tc.mmproj, made, recorded, tc.want)
		}
		m, err := s.Model("tiny-gemma3-vision")
		if err != nil || m.Architecture != "gemma3" || len(m.Variants) != len(tc.want) {
			t.Errorf("mmproj %q: registered %+v, %v", tc.mmproj, m, err)
		}
		checks, err := s.Verify(t.Context(), "tiny-gemma3-vision", nil)
		if err != nil || len(checks) != len(tc.want) || slices.ContainsFunc(checks, func(v Verification) bool { return !v.OK }) {
			t.Errorf("mmproj %q: verified %+v, %v", tc.mmproj, checks, err)
		}
		fits, err := s.Recommendations(0, 64<<30, 0)
		if err != nil || slices.ContainsFunc(fits, func(r Recommendation) bool { return strings.HasPrefix(r.Variant.Type, "mmproj") }) {
			t.Errorf("mmproj %q: recommends %+v, %v", tc.mmproj, fits, err)
		}
	}
}

// Programs that run a model's file are given what it sees with too.
func TestAModelThatSeesIsRunWithItsMmprojFile(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	result, err := s.Quantize(t.Context(), &Request{Model: seeing(t), Types: []string{"Q8_0"}, Mmproj: "Q8_0,F16", Dir: s.settings.OutputDir}, Silent{})
	if err != nil {
		t.Fatal(err)
	}
	text, tower := result.Outputs[0].Path, result.Outputs[2].Path
	runners, err := s.RunnersFor(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{}
	for _, r := range runners {
		commands[r.Program] = r.String()
	}
	for _, name := range []string{"llama-server", "llama-mtmd-cli"} {
		if want := name + " -m " + text + " --mmproj " + tower; commands[name] != want {
			t.Errorf("got %q, want %q", commands[name], want)
		}
	}
	if named, err := s.RunnersFor("tiny-gemma3-vision", 0); err != nil || named[0].String() != runners[0].String() {
		t.Errorf("by the model's name: %v, %v", named, err)
	}
	if _, err := s.RunnersFor(tower, 0); ClassOf(err) != BadRequest || HintOf(err) == "" {
		t.Errorf("the mmproj file alone: got %v", err)
	}
	x, err := s.ExportOllama(text, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if file, _ := os.ReadFile(x.Path); string(file) != "FROM "+text+"\nFROM "+tower+"\n" {
		t.Errorf("Modelfile %q", file)
	}
	dir := t.TempDir()
	if x, err = s.ExportLMStudio(text, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(x.Path), filepath.Base(tower))); err != nil {
		t.Error(err)
	}
}

func TestTheEstimateCountsTheMmprojFile(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	r := &Request{Model: seeing(t), Types: []string{"Q8_0"}, Dir: s.settings.OutputDir}
	e, err := s.estimateOf(t.Context(), r, true)
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.Quantize(t.Context(), r, Silent{})
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for i, o := range result.Outputs {
		total += o.Bytes
		if e.Outputs[i].Bytes != o.Bytes || e.Outputs[i].Path != o.Path {
			t.Errorf("%s: estimated %+v, made %+v", o.Type, e.Outputs[i], o)
		}
	}
	if e.OutputBytes != total || len(e.Outputs) != 2 {
		t.Errorf("estimated %d bytes of %d files, made %d", e.OutputBytes, len(e.Outputs), total)
	}
	for _, tensor := range e.Tensors {
		if tower := !strings.HasPrefix(tensor.Name, "blk.") && !strings.Contains(tensor.Name, "token_embd") && !strings.HasPrefix(tensor.Name, "output"); len(tensor.Types) != 2 ||
			(tensor.Types[0] == "") != tower || (tensor.Types[1] == "") == tower {
			t.Errorf("%s: types %q", tensor.Name, tensor.Types)
		}
	}
}

func TestWrongMmprojRequests(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	for _, tc := range []struct {
		r    Request
		want string
	}{
		{Request{Model: tinyLlama(t), Types: []string{"Q8_0"}, Mmproj: "F16"}, "no mmproj file: it takes text alone"},
		{Request{Model: tinyLlama(t), Types: []string{"Q8_0"}, Mmproj: "Q4_K_M"}, "type Q4_K_M is not for mmproj files"},
		{Request{Model: tinyLlama(t), Mmproj: "none"}, "no types given"},
	} {
		_, err := s.Estimate(t.Context(), &tc.r)
		if err == nil || !strings.Contains(err.Error(), tc.want) || HintOf(err) == "" {
			t.Errorf("got %v, hint %q, want %s", err, HintOf(err), tc.want)
		}
	}
	bad := spec(t, "Q8_0")
	bad.Config.Mmproj = "Q9"
	var fields FieldErrors
	if _, err := s.EstimateSpec(t.Context(), bad); !errors.As(err, &fields) || strings.Join(fields[0].Loc, ".") != "body.config.mmproj" {
		t.Errorf("got %v, want an error of config.mmproj", err)
	}
}

// A job that was stopped goes on with what is left of it, whichever file that is.
func TestAnInterruptedJobGoesOnWithItsMmprojFile(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	r := Request{Model: seeing(t), Types: []string{"Q8_0"}, Dir: s.settings.OutputDir, Threads: 1}
	ctx, cancel := context.WithCancelCause(t.Context())
	w := &stopper{at: 0.7, stop: func() { cancel(ErrInterrupted) }}
	again := r
	if _, err := s.Quantize(ctx, &again, w); err == nil {
		t.Fatal("not interrupted")
	}
	j, err := s.Job(w.job)
	if err != nil || j.Status != "interrupted" || len(j.Outputs) != 2 {
		t.Fatalf("got %+v, %v", j, err)
	}
	result, err := s.Quantize(t.Context(), &r, Silent{})
	if err != nil {
		t.Fatal(err)
	}
	if j, err = s.Job(result.Job); err != nil || j.ID != w.job || !slices.Equal(outputs(j), []string{"Q8_0 completed", "mmproj-F16 completed"}) {
		t.Errorf("got job %s, %q, %v, want %s whole", j.ID, outputs(j), err, w.job)
	}
	for _, o := range j.Outputs {
		if info, err := os.Stat(*o.Path); err != nil || info.Size() != *o.Size {
			t.Errorf("%s: %v", o.Type, err)
		}
	}
}

// stopper stops a job when a share of its weights is done.
type stopper struct {
	Silent
	at   float64
	stop func()
	job  string
}

func (w *stopper) Started(id string) { w.job = id }
func (w *stopper) Progress(p Progress) {
	if p.Stage == Quantizing && float64(p.BytesDone) >= w.at*float64(p.BytesTotal) {
		w.stop()
	}
}

func TestWhatIsLeftOfARequest(t *testing.T) {
	t.Parallel()
	done, open := registry.OutputCompleted, registry.OutputPending
	for _, tc := range []struct {
		states []registry.OutputState // of Q8_0, Q4_K_M, mmproj-F16; fewer before the model was opened
		types  string
		mmproj string
	}{
		{[]registry.OutputState{open, open}, "Q8_0 Q4_K_M", ""},
		{[]registry.OutputState{done, open}, "Q4_K_M", ""},
		{[]registry.OutputState{done, open, open}, "Q4_K_M", "F16"},
		{[]registry.OutputState{done, done, open}, "", "F16"},
		{[]registry.OutputState{open, done, done}, "Q8_0", "none"},
	} {
		var list []registry.Output
		for i, state := range tc.states {
			list = append(list, registry.Output{Type: []string{"Q8_0", "Q4_K_M", "mmproj-F16"}[i], State: state})
		}
		left := Request{Types: []string{"Q8_0,Q4_K_M"}}.without(list)
		if strings.Join(left.Types, " ") != tc.types || left.Mmproj != tc.mmproj {
			t.Errorf("%v: left %q and mmproj %q, want %q and %q", tc.states, left.Types, left.Mmproj, tc.types, tc.mmproj)
		}
	}
	raw, _ := json.Marshal(Request{})
	if strings.Contains(string(raw), "Mmproj") {
		t.Error("a request that says nothing of it is no longer the same as one of an earlier version")
	}
	if _, tower := quant.CutTower("Q8_0"); tower {
		t.Error("Q8_0 is taken for a tower")
	}
}
