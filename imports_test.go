package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nexus-quant/nexus-quant"

// layers says which of the project's packages each package may import. A package that is missing here fails the test:
// say where it belongs before anything builds on it.
var layers = map[string][]string{
	"":                     {"cmd"},
	"cmd":                  {"quant/jobs", "ui", "ui/tui"},
	"gguf":                 {},
	"kernels":              {"gguf"},
	"kernels/kerneltest":   {"gguf"},
	"hf":                   {"hf/safetensors", "hf/torchfile"},
	"hf/safetensors":       {},
	"hf/torchfile":         {"hf/safetensors"},
	"hf/tokenizer":         {"hf"},
	"hf/hubtest":           {"hf"},
	"registry":             {},
	"quant":                {"gguf", "hf", "hf/safetensors", "kernels", "quant/arch"},
	"quant/dequant":        {"hf/safetensors", "kernels"},
	"quant/arch":           {"gguf", "hf", "hf/safetensors", "hf/tokenizer", "quant/dequant"},
	"quant/arch/archtest":  {"gguf", "hf", "hf/safetensors", "hf/tokenizer", "quant/arch"},
	"quant/jobs":           {"gguf", "hf", "quant", "quant/arch", "registry"},
	"ui":                   {"ui/api", "ui/web"},
	"ui/api":               {"quant/jobs"},
	"ui/web":               {},
	"ui/tui":               {"quant/jobs", "ui/tui/quiet"},
	"ui/tui/quiet":         {},
	"quant/interop":        {},
	"quant/interop/oracle": {"gguf"},
	"quant/interop/bench":  {"gguf", "kernels", "quant", "quant/interop/oracle"},

	"quant/interop/forward": {"hf", "hf/safetensors"},
}

// outside says which packages may use a library that only one place should know.
var outside = map[string][]string{
	"github.com/schollz/progressbar/v3":             {"cmd"},
	"github.com/spf13/cobra":                        {"cmd"},
	"github.com/charmbracelet/bubbletea":            {"ui/tui"},
	"github.com/charmbracelet/lipgloss":             {"ui/tui"},
	"github.com/charmbracelet/x/ansi":               {"ui/tui"},
	"github.com/muesli/termenv":                     {"ui/tui"},
	"go.etcd.io/bbolt":                              {"registry"},
	"google.golang.org/protobuf/encoding/protowire": {"hf/tokenizer", "quant/arch/archtest"},
	"github.com/ebitengine/purego":                  {"quant/interop/oracle"},
}

func TestImportsFollowTheLayers(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-tags", "interop", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, ok := layers[name]
		if !ok {
			t.Errorf("package %s stands in no layer: add it to the table in this test", name)
		}
		for _, imp := range p.Imports {
			if in, own := strings.CutPrefix(imp, module+"/"); own && !slices.Contains(allowed, in) {
				t.Errorf("package %s imports %s, it may import %v", name, in, allowed)
			}
			if owners, ok := outside[imp]; ok && !slices.Contains(owners, name) {
				t.Errorf("package %s imports %s, only %v may", name, imp, owners)
			}
			if name == "gguf" && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
				t.Errorf("package gguf imports %s: it uses the standard library only", imp)
			}
		}
	}
}
