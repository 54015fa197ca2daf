package hf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRef(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("USERPROFILE", dir)
	for _, d := range []string{"org/local", "plain", "odd@name"} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("org/model.gguf", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		in   string
		want Ref
	}{
		{"org/name", Ref{Kind: Hub, Repo: "org/name"}},
		{"meta-llama/Llama-2-7b-hf", Ref{Kind: Hub, Repo: "meta-llama/Llama-2-7b-hf"}},
		{"Qwen/Qwen2.5-0.5B", Ref{Kind: Hub, Repo: "Qwen/Qwen2.5-0.5B"}},
		{"gpt2", Ref{Kind: Hub, Repo: "gpt2"}},
		{"org/name@main", Ref{Kind: Hub, Repo: "org/name", Revision: "main"}},
		{"org/name@refs/pr/1", Ref{Kind: Hub, Repo: "org/name", Revision: "refs/pr/1"}},
		{"hf://org/name", Ref{Kind: Hub, Repo: "org/name"}},
		{"hf://models/org/name@v1.0", Ref{Kind: Hub, Repo: "org/name", Revision: "v1.0"}},
		{"hf://org/local@0123456789abcdef0123456789abcdef01234567", Ref{Kind: Hub, Repo: "org/local", Revision: "0123456789abcdef0123456789abcdef01234567"}},
		{"https://huggingface.co/org/name", Ref{Kind: Hub, Repo: "org/name"}},
		{"https://huggingface.co/org/name/", Ref{Kind: Hub, Repo: "org/name"}},
		{"https://hf.co/org/name/tree/refs%2Fpr%2F1", Ref{Kind: Hub, Repo: "org/name", Revision: "refs/pr/1"}},
		{"https://huggingface.co/org/name/tree/main?x=1#y", Ref{Kind: Hub, Repo: "org/name", Revision: "main"}},
		{"https://huggingface.co/gpt2", Ref{Kind: Hub, Repo: "gpt2"}},
		{"org/local", Ref{Kind: Folder, Path: "org/local"}},
		{"plain", Ref{Kind: Folder, Path: "plain"}},
		{"odd@name", Ref{Kind: Folder, Path: "odd@name"}},
		{"./none", Ref{Kind: Folder, Path: "./none"}},
		{"../none", Ref{Kind: Folder, Path: "../none"}},
		{".", Ref{Kind: Folder, Path: "."}},
		{dir, Ref{Kind: Folder, Path: dir}},
		{"~", Ref{Kind: Folder, Path: dir}},
		{"~/plain", Ref{Kind: Folder, Path: filepath.Join(dir, "plain")}},
		{"org/model.gguf", Ref{Kind: File, Path: "org/model.gguf"}},
		{"none.GGUF", Ref{Kind: File, Path: "none.GGUF"}},
	} {
		got, err := ParseRef(test.in)
		if err != nil {
			t.Errorf("ParseRef(%q): %v", test.in, err)
		} else if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("ParseRef(%q) (-want +got):\n%s", test.in, d)
		} else if got.Kind == Hub && got.Repo != "org/local" {
			if again, err := ParseRef(got.String()); err != nil || again != got {
				t.Errorf("ParseRef(%q) = %v, %v; want %v", got.String(), again, err, got)
			}
		}
	}
}

func TestParseRefRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"model.safetensors", "notes.txt"} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string]string{
		"":                                    "is empty",
		"org/name/extra":                      "neither a local path nor a Hub id",
		"org//name":                           "neither",
		"org/":                                "neither",
		"or g/name":                           "neither",
		"org/na..me":                          "neither",
		"org/na--me":                          "neither",
		"org/-name":                           "neither",
		"org/name.git":                        "neither",
		"hf://../name":                        "neither",
		"hf://org/..":                         "neither",
		"hf://":                               "neither",
		"org/" + strings.Repeat("n", 100):     "neither",
		"org/näme":                            "neither",
		"org/name@":                           `"" for a revision`,
		"org/name@../../x":                    `"../../x" for a revision`,
		"org/name@a/../../x":                  "for a revision",
		"org/name@a b":                        "for a revision",
		"org/name@a\nb":                       "for a revision",
		"org/name@/abs":                       "for a revision",
		"hf://datasets/name":                  "Hub's datasets",
		"https://example.com/org/name":        "is not on huggingface.co",
		"https://huggingface.co/org/name/x":   "neither",
		"https://huggingface.co.evil.org/o/n": "is not on huggingface.co",
		"https://huggingface.co/%zz":          "is not a URL",
		"model.safetensors":                   "name its folder",
		"notes.txt":                           "not .gguf",
	} {
		ref, err := ParseRef(in)
		if err == nil {
			t.Errorf("ParseRef(%q) = %v", in, ref)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRef(%q): got %q, want it to contain %q", in, err, want)
		}
		if h, ok := err.(interface{ Hint() string }); !ok || !strings.Contains(h.Hint(), "org/name@revision") {
			t.Errorf("ParseRef(%q): the hint doesn't list the forms", in)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"org/name@main", "hf://org/name@refs/pr/1", "https://huggingface.co/o/n/tree/x", "hf://../..@..", "~", "a@\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseRef(s)
		if err != nil || ref.Kind != Hub {
			return
		}
		root := filepath.Join("cache", "hub")
		for _, path := range []string{repoDir(root, ref.Repo), filepath.Join(root, "refs", filepath.FromSlash(ref.Revision))} {
			if !strings.HasPrefix(filepath.Clean(path), root+string(filepath.Separator)) {
				t.Errorf("%q leads to %s, outside the cache", s, path)
			}
		}
	})
}
