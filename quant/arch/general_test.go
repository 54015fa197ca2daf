package arch

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
)

// The expectations of this file are what gguf-py of llama.cpp 0.5.0 answered.

func TestSplitIDFindsTheParts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		id         string
		parameters int64
		want       idParts
	}{
		{"meta-llama/Llama-3.1-8B-Instruct", 8e9, idParts{"Llama-3.1-8B-Instruct", "meta-llama", "Llama-3.1", "Instruct", "", "8B"}},
		{"Mistral-7B-Instruct-v0.2", 7e9, idParts{"Mistral-7B-Instruct-v0.2", "", "Mistral", "Instruct", "v0.2", "7B"}},
		{"Qwen/Qwen2.5-0.5B", 494e6, idParts{"Qwen2.5-0.5B", "Qwen", "Qwen2.5", "", "", "0.5B"}},
		{"org/Base-8x7b-chat-v1", 47e9, idParts{"Base-8x7b-chat-v1", "org", "Base", "chat", "v1", "8x7B"}},
		{"bigscience/bloom-7b1", 7e9, idParts{"bloom-7b1", "bigscience", "bloom", "", "", "7.1B"}},
		{"org/Foo-1_5B", 15e8, idParts{"Foo-1_5B", "org", "Foo", "", "", "1.5B"}},
		{"org/Phi-3-mini-128K-instruct", 38e8, idParts{"Phi-3-mini-128K-instruct", "org", "Phi-3", "128k-instruct", "", "mini"}}, // a context, no size
		{"org/Foo-small-8B", 8e9, idParts{"Foo-small-8B", "org", "Foo-small", "", "", "8B"}},
		{"org/Foo-small", 0, idParts{"Foo-small", "org", "Foo", "", "", "small"}},
		{"org/Foo-8B-8B-hf", 0, idParts{"Foo-8B-8B-hf", "org", "Foo", "hf", "", "8B"}},
		{"org/Foo-bf16-8B", 0, idParts{"Foo-bf16-8B", "org", "Foo", "", "", "8B"}},
		{"./Foo-8B", 0, idParts{"Foo-8B", "", "Foo", "", "", "8B"}},
		{"Foo", 0, idParts{"Foo", "", "", "", "", ""}}, // too ambiguous
		{"-Foo--8B-", 0, idParts{"-Foo--8B-", "", "Foo", "", "", "8B"}},
		{"A model of mine", 0, idParts{name: "A model of mine"}},
		{"", 0, idParts{}},
	} {
		if got := splitID(tc.id, tc.parameters); got != tc.want {
			t.Errorf("%q: got %+v, want %+v", tc.id, got, tc.want)
		}
	}
}

func TestTitled(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"meta-llama": "Meta Llama", "Llama-3.1-8B": "Llama 3.1 8B", "qwen2.5-v2": "Qwen2.5 v2", "DPO-x1b": "DPO X1B", "it's": "It'S", " -a- ": "A",
	} {
		if got := titled(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRoundedCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[float64]string{
		999: "1.0K", 8030261248: "8.0B", 494032768: "494M", 1e6: "1000K", 1000001: "1.0M", 12.5e9: "12B", 70553706496: "71B", 1.5e12: "1.5T", 6819072: "6.8M",
	} {
		if got := roundedCount(n); got != want {
			t.Errorf("%v: got %q, want %q", n, got, want)
		}
	}
}

// cardKeys are the general.* keys that a card gives to a folder "Foo-7B-Chat" of 7e9 parameters.
func cardKeys(t *testing.T, card string) map[string]any {
	t.Helper()
	var a author
	a.fromCard(parseModelCard(card), 7e9)
	a.fromID("Foo-7B-Chat", 7e9)
	var m gguf.Metadata
	a.write(&m)
	got := map[string]any{}
	for _, kv := range m.All() {
		got[strings.TrimPrefix(kv.Key, "general.")] = kv.Value
	}
	for key, value := range map[string]any{"name": "Foo 7B Chat", "finetune": "Chat", "basename": "Foo", "size_label": "7B"} {
		if got[key] == value {
			delete(got, key) // as the folder has it
		}
	}
	return got
}

func TestModelCard(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, card string
		want       map[string]any
	}{
		{"licence, languages, base model", "---\nlicense: llama3.2\nlanguage: [en, de]\nbase_model: meta-llama/Llama-3.2-1B\n---\n", map[string]any{
			"license": "llama3.2", "languages": []string{"en", "de"}, "base_model.count": uint32(1), "base_model.0.name": "Llama 3.2 1B",
			"base_model.0.organization": "Meta Llama", "base_model.0.repo_url": "https://huggingface.co/meta-llama/Llama-3.2-1B"}},
		{"several licences, other spellings", "---\nname: My Model\nmodel_creator: Someone\nversion: v2\nlicense:\n- mit\n- apache-2.0\nlicense_name: x\nlicense_link: https://e.org/l\nmodel_type: llama\n---\n", map[string]any{
			"name": "My Model", "author": "Someone", "version": "v2", "license": "mit,apache-2.0", "license.name": "x", "license.link": "https://e.org/l", "basename": "llama"}},
		{"base models of every kind", "---\nbase_model:\n- https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.2\n- https://example.org/a/b\n- name: Own\n  organization: Org\n  url: https://u\n- org/model/x\n---\n", map[string]any{
			"base_model.count": uint32(4), "base_model.0.name": "Mistral 7B Instruct v0.2", "base_model.0.version": "v0.2", "base_model.0.organization": "Mistralai",
			"base_model.0.repo_url": "https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.2", "base_model.1.repo_url": "https://example.org/a/b",
			"base_model.2.name": "Own", "base_model.2.organization": "Org", "base_model.2.url": "https://u",
			"base_model.3.name": "Model/X", "base_model.3.organization": "Org", "base_model.3.repo_url": "https://huggingface.co/org/model/x"}},
		{"data sets, tags, both kinds of languages", "---\ndatasets: a/wiki-2024\ntags: one\npipeline_tag: text-generation\nlanguages: [fr]\nlanguage: [en]\n---\n", map[string]any{
			"dataset.count": uint32(1), "dataset.0.name": "Wiki 2024", "dataset.0.version": "2024", "dataset.0.organization": "A",
			"dataset.0.repo_url": "https://huggingface.co/a/wiki-2024", "tags": []string{"one", "text-generation"}, "languages": []string{"fr", "en"}}},
		{"empty lists are counted", "---\nbase_model: []\ndatasets:\n---\n", map[string]any{"base_model.count": uint32(0), "dataset.count": uint32(0)}},
		{"everything else", "---\nurl: https://a\ndoi: 10/1\nuuid: u\nrepo_url: https://r\ndescription: d\norganization: o\nfinetune: f\nbasename: b\nsize_label: 9B\nauthor: A\n---\n", map[string]any{
			"source.url": "https://a", "source.doi": "10/1", "source.uuid": "u", "source.repo_url": "https://r", "description": "d", "organization": "o",
			"finetune": "f", "basename": "b", "size_label": "9B", "author": "A"}},
		{"Norwegian is no boolean", "---\nlanguage:\n- no\n---\n", map[string]any{"languages": []string{"no"}}},
		{"tabs become spaces", "---\na:\n\tb: c\nname: tab\n---\n", map[string]any{"name": "tab"}},
		{"lines end as on Windows", "---\r\nname: windows\r\n---\r\n", map[string]any{"name": "windows"}},
		{"front matter without an end", "---\nname: open\n", map[string]any{"name": "open"}},
		{"no front matter", "Text\n---\nname: x\n---\n", map[string]any{}},
		{"no YAML", "---\nname: tab\n\tx: 1\n", map[string]any{}},
		{"a list", "---\n- a\n---\n", map[string]any{}},
		{"empty file", "", map[string]any{}},
		{"aliases that multiply", "---\na: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ntags: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nname: x\n---\n", map[string]any{}},
	} {
		if diff := cmp.Diff(tc.want, cardKeys(t, tc.card)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.rule, diff)
		}
	}
}

func TestNameComesFromTheBestSource(t *testing.T) {
	t.Parallel()
	path, name, empty := "/home/me/models/x", "org/Other-3B", ""
	for _, tc := range []struct {
		rule    string
		repo    string
		config  *string
		options Options
		want    string
		org     string
	}{
		{"the folder", "", nil, Options{}, "Some Model", ""},
		{"config.json", "", &name, Options{}, "Other 3B", "Org"},
		{"not a path", "", &path, Options{}, "Some Model", ""},
		{"an empty name stays", "", &empty, Options{}, "", ""}, // as the converter has it
		{"the Hub id", "my-org/Some-Model", &name, Options{}, "my-org/Some-Model", "Org"},
		{"the Hub id's organization", "my-org/Some-Model", nil, Options{}, "my-org/Some-Model", "My Org"},
		{"the user", "my-org/Some-Model", &name, Options{Name: "Mine"}, "Mine", "Org"},
	} {
		dir := t.TempDir() + "/some-model"
		c := &hf.Checkpoint{Name: "some-model", Repo: tc.repo, Dir: dir}
		var m gguf.Metadata
		if err := generalFrom(&m, c, noFiles, tc.config, tc.options, 3e9, "3.0B"); err != nil {
			t.Fatal(err)
		}
		if got, _ := m.String("general.name"); got != tc.want {
			t.Errorf("%s: name %q, want %q", tc.rule, got, tc.want)
		}
		if got, _ := m.String("general.organization"); got != tc.org {
			t.Errorf("%s: organization %q, want %q", tc.rule, got, tc.org)
		}
	}
}

func noFiles(string) ([]byte, error) { return nil, fs.ErrNotExist }

func TestSamplingKeys(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, json string
		want       map[string]any
	}{
		{"all of them", `{"temperature":1,"top_k":64,"top_p":0.95,"min_p":0.1,"repetition_penalty":1.1,"mirostat":2,"mirostat_tau":5,"mirostat_eta":0.5,
			"xtc_probability":0.1,"xtc_threshold":0.2,"penalty_last_n":-1,"sequence":"k"}`, map[string]any{
			"temp": float32(1), "top_k": int32(64), "top_p": float32(0.95), "min_p": float32(0.1), "penalty_repeat": float32(1.1), "mirostat": int32(2),
			"mirostat_tau": float32(5), "mirostat_eta": float32(0.5), "xtc_probability": float32(0.1), "xtc_threshold": float32(0.2),
			"penalty_last_n": int32(-1), "sequence": "k"}},
		{"penalty_repeat goes first", `{"penalty_repeat":1.5,"repetition_penalty":1.1}`, map[string]any{"penalty_repeat": float32(1.5)}},
		{"nulls, texts and fractions are passed over", `{"temperature":null,"top_p":"0.9","top_k":1.5}`, map[string]any{}},
		{"no JSON", `{"temperature":`, map[string]any{}},
	} {
		var m gguf.Metadata
		if err := sampling(&m, func(string) ([]byte, error) { return []byte(tc.json), nil }); err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		for _, kv := range m.All() {
			got[strings.TrimPrefix(kv.Key, "general.sampling.")] = kv.Value
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.rule, diff)
		}
	}
}

func FuzzModelCard(f *testing.F) {
	f.Add("---\nlicense: mit\nbase_model:\n- a/b-7B\n- name: x\ntags: &t [a, *t]\n---\n")
	f.Add("---\n? [a]\n: b\nlanguage: no\n")
	f.Fuzz(func(t *testing.T, card string) {
		var a author
		a.fromCard(parseModelCard(card), 1e9)
		var m gguf.Metadata
		a.write(&m)
	})
}

func FuzzSplitID(f *testing.F) {
	f.Add("org/Base-8x7B-Instruct-v0.1", int64(7e9))
	f.Add("a-7b1-K-9", int64(1))
	f.Fuzz(func(t *testing.T, id string, parameters int64) {
		titled(splitID(id, parameters).name)
	})
}
