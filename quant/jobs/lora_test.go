package jobs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/registry"
)

const hubAdapter = "nexus/style"

// adapted writes a small model and an adapter for it, and the model with the adapter merged.
func adapted(t *testing.T) (model, adapter, merged string) {
	t.Helper()
	root := t.TempDir()
	c := archtest.New(archtest.Llama2)
	a := archtest.NewAdapter(c, 4, "q_proj", "down_proj")
	model, adapter, merged = filepath.Join(root, "tiny"), filepath.Join(root, "style"), filepath.Join(root, "tiny-style")
	c.Write(t, model)
	a.Write(t, adapter)
	a.Merged(c, 2).Write(t, merged)
	return model, adapter, merged
}

// dataOf are the bytes behind the headers of files, which hold the models' names.
func dataOf(files map[string][]byte) map[string][]byte {
	for name, b := range files {
		files[name] = b[len(b)-1<<20:]
	}
	return files
}

// TestAdapterOfTheHubIsMerged takes model and adapter from a folder or from the Hub.
func TestAdapterOfTheHubIsMerged(t *testing.T) {
	t.Parallel()
	model, adapter, merged := adapted(t)
	hub := hubtest.New(t, map[string]fs.FS{"nexus/tiny": os.DirFS(model), hubAdapter: os.DirFS(adapter)})
	s := hubService(t, hub)
	want := dataOf(made(t, s, &Request{Model: merged, Types: []string{"Q8_0"}}))
	for _, r := range []Request{
		{Model: model, MergeLora: adapter},
		{Model: model, MergeLora: hubAdapter},
		{Model: "nexus/tiny", MergeLora: hubAdapter + "@main"},
		{Model: "tiny", MergeLora: "style", Base: filepath.Dir(model)},
	} {
		r.Types = []string{"Q8_0"}
		e, err := s.Estimate(t.Context(), &r)
		if err != nil {
			t.Fatalf("%s and %s: %v", r.Model, r.MergeLora, err)
		}
		sameFiles(t, dataOf(made(t, s, &r)), want)
		if again, err := s.Estimate(t.Context(), &r); err != nil || again.DownloadBytes != 0 {
			t.Errorf("%s and %s: %d bytes to fetch at first, %d when they were there; %v", r.Model, r.MergeLora, e.DownloadBytes, again.DownloadBytes, err)
		}
	}
}

// TestAdapterIsWhereItMayBe asks for adapters that a request can't have.
func TestAdapterIsWhereItMayBe(t *testing.T) {
	t.Parallel()
	model, adapter, _ := adapted(t)
	s := newService(t, nil)
	spec := Spec{Name: "x", SourceModel: hubModel, Formats: []string{"gguf"}, Types: []string{"Q8_0"}, OutputDir: s.settings.OutputDir, Config: Config{MergeLora: adapter}}
	var forbidden *ForbiddenError
	if _, err := s.Submit(t.Context(), spec); !errors.As(err, &forbidden) {
		t.Errorf("an adapter outside the allowed folders: %v", err)
	}
	for want, r := range map[string]Request{
		"no adapter: neither adapter_model.safetensors": {Model: model, MergeLora: model},
		"is an adapter (LoRA), not a whole model":       {Model: adapter},
		"is a GGUF file, and an adapter is merged":      {Model: "x.gguf", MergeLora: adapter},
		"is a GGUF file, want an adapter":               {Model: model, MergeLora: "x.gguf"},
	} {
		r.Types = []string{"Q8_0"}
		if _, err := s.Estimate(t.Context(), &r); err == nil || !strings.Contains(err.Error(), want) || HintOf(err) == "" {
			t.Errorf("got %v (hint %q), want %q", err, HintOf(err), want)
		}
	}
}

// TestAdapterBecomesAFile makes the file of an adapter, of whose model no weights are fetched.
func TestAdapterBecomesAFile(t *testing.T) {
	t.Parallel()
	model, adapter, _ := adapted(t)
	hub := hubtest.New(t, map[string]fs.FS{"nexus/tiny": os.DirFS(model), hubAdapter: os.DirFS(adapter)})
	s := hubService(t, hub)
	want := made(t, s, &Request{Model: adapter, LoraBase: model, Types: []string{"F16,Q8_0"}})
	if len(want) != 2 || want["style-Q8_0.gguf"] == nil {
		t.Fatalf("made %d files", len(want))
	}
	sameFiles(t, made(t, s, &Request{Model: adapter, LoraBase: "nexus/tiny", Types: []string{"F16,Q8_0"}}), want)
	got := made(t, s, &Request{Model: hubAdapter, LoraBase: "nexus/tiny", Types: []string{"Q8_0"}})
	tail := func(b []byte) string { return string(b[len(b)-8000:]) } // the header names the repository
	if len(got) != 1 || tail(got["style-Q8_0.gguf"]) != tail(want["style-Q8_0.gguf"]) {
		t.Error("the adapter of the Hub gives another file")
	}
	if name := "models--nexus--tiny"; !fetchedNothing(t, filepath.Join(s.hub.CacheDir(), name)) {
		t.Errorf("weights of %s were fetched", name)
	}

	// it is no model that could be run
	if list, err := s.Recommendations(0, 1<<40, 0); err != nil || len(list) != 0 {
		t.Errorf("recommended are %v; %v", list, err)
	}
	models, err := s.Models(ModelFilter{})
	if err != nil || len(models.Models) == 0 {
		t.Fatal(models, err)
	}
	path := models.Models[0].Variants[0].Path
	if _, err := s.RunnersFor(path, 0); err == nil || !strings.Contains(err.Error(), "is an adapter") {
		t.Errorf("a runner for %s: %v", path, err)
	}
	left := Request{LoraBase: model, Types: []string{"F16,Q8_0"}}.without([]registry.Output{{Type: "lora-F16", State: registry.OutputCompleted}, {Type: "lora-Q8_0"}})
	if len(left.Types) != 1 || left.Types[0] != "Q8_0" {
		t.Errorf("left are %v", left.Types)
	}

	for want, r := range map[string]Request{
		"type Q4_K_M is not for files of adapters": {Types: []string{"Q4_K_M"}},
		"no adapter: neither adapter_model":        {Model: model},
		"pure: not for the file of an adapter":     {Pure: true},
		"merge-lora: not for the file":             {MergeLora: adapter},
		"base: x.gguf is a GGUF file":              {LoraBase: "x.gguf"},
		"base: y.gguf is a GGUF file":              {Model: "y.gguf"},
	} {
		if r.Model == "" {
			r.Model = adapter
		}
		if r.LoraBase == "" {
			r.LoraBase = model
		}
		if r.Types == nil {
			r.Types = []string{"F16"}
		}
		if _, err := s.Estimate(t.Context(), &r); err == nil || !strings.Contains(err.Error(), want) || HintOf(err) == "" {
			t.Errorf("got %v (hint %q), want %q", err, HintOf(err), want)
		}
	}
}

// fetchedNothing tells whether a model's folder in the cache has no weights.
func fetchedNothing(t *testing.T, dir string) bool {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "snapshots")); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", "*.safetensors"))
	return err == nil && len(found) == 0
}
