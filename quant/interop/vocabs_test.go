//go:build interop

package interop

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/quant/interop/oracle"
)

// vocabsEnv names the folder with llama.cpp's real vocabularies, ggml-vocab-*.gguf with texts (.inp) and their ids (.out).
// Without it they are looked for in ../shared/vocabs beside the repository; where there are none, the test is skipped.
const vocabsEnv = "NEXUS_QUANT_VOCABS"

func vocabsDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(vocabsEnv)
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vocabs")
	}
	if _, err := os.Stat(filepath.Join(dir, "ggml-vocab-gpt-2.gguf")); err != nil {
		t.Skipf("no real vocabularies: set %s to a folder with llama.cpp's ggml-vocab-*.gguf", vocabsEnv)
	}
	return dir
}

// TestRealVocabulariesRoundTrip rebuilds the tokenizer files that a real vocabulary came from, puts them into a small
// checkpoint, converts it, and has libllama tokenize. The ids must be those that the vocabulary's authors expect.
func TestRealVocabulariesRoundTrip(t *testing.T) {
	lib := library(t)
	dir := vocabsDir(t)
	texts := readTexts(t, filepath.Join(dir, "ggml-vocab-gpt-2.gguf.inp"))
	checked := 0
	for _, tc := range []struct {
		name    string
		kind    archtest.Kind
		pre     string                                 // that the converter names
		rebuild func(*realVocab, *archtest.Checkpoint) // writes the tokenizer files
		same    bool                                   // types and scores are today's converter's as well
		unequal bool                                   // the form loses what the ids depend on: only the tokens are compared
	}{
		{"llama-spm", archtest.Llama2, "default", (*realVocab).sentencePiece, true, false},
		{"llama-spm", archtest.Llama2, "default", (*realVocab).sentencePieceJSON, false, true},
		{"phi-3", "tiny-phi-mini", "default", (*realVocab).sentencePiece, false, false},
		{"gpt-2", "tiny-gpt2", "gpt-2", (*realVocab).gpt2, true, false},
		{"llama-bpe", archtest.Llama3, "llama-bpe", (*realVocab).llama3, true, false},
		{"qwen2", archtest.Qwen2, "qwen2", (*realVocab).qwen2, false, false},
		{"bert-bge", "tiny-bert", "jina-v2-en", (*realVocab).wordPiece, true, false},
		{"nomic-bert-moe", "tiny-xlm-roberta", "default", (*realVocab).xlmModel, false, false},
		{"nomic-bert-moe", "tiny-nomic-bert-moe", "default", (*realVocab).xlmBoth, true, false},
		{"nomic-bert-moe", "tiny-xlm-roberta-json", "default", (*realVocab).xlmJSON, false, false},
		{"nomic-bert-moe", "tiny-t5-encoder", "default", (*realVocab).t5Model, false, false},
	} {
		t.Run(fmt.Sprintf("%s/%s", tc.name, tc.kind), func(t *testing.T) {
			path := filepath.Join(dir, "ggml-vocab-"+tc.name+".gguf")
			real := readVocab(t, path)
			c := archtest.New(tc.kind)
			real.grow(c)
			tc.rebuild(real, c)
			model := filepath.Join(t.TempDir(), string(tc.kind))
			c.Write(t, model)
			file := makeFiles(t, checkpoint(t, model), t.TempDir(), quant.PlanOptions{Recipes: presetsNamed("Q4_0")})["Q4_0"]

			got := readVocab(t, file)
			real.compare(t, got, tc.same)
			if got.pre != tc.pre {
				t.Errorf("pre-tokenizer %q, want %q", got.pre, tc.pre)
			}
			m, err := lib.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if tc.unequal {
				return
			}
			want := expectedIDs(t, lib, path, texts)
			for i, text := range texts {
				ids, err := m.Tokenize(text, false)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(ids, want[i]) {
					t.Errorf("%q: ids %v, want %v", text, ids, want[i])
				}
				checked++
			}
		})
	}
	fmt.Printf("%s: %d texts have the expected ids\n", t.Name(), checked)
}

// TestRealVocabulariesAreNamedAsTheConverterDoes holds the probe against names that only the ids of a text tell apart:
// these tokenizers split alike, and have the same tokens.
func TestRealVocabulariesAreNamedAsTheConverterDoes(t *testing.T) {
	dir := vocabsDir(t)
	for _, tc := range []struct {
		vocab, want string
		rebuild     func(*realVocab, *archtest.Checkpoint)
	}{
		{"gpt-2", "gpt-2", (*realVocab).gpt2},
		{"gpt-2", "phi-2", (*realVocab).phi2},
		{"llama-bpe", "llama-bpe", (*realVocab).llama3},
		{"llama-bpe", "smaug-bpe", (*realVocab).smaug},
		{"qwen2", "qwen2", (*realVocab).qwen2},
		{"qwen2", "deepseek-r1-qwen", (*realVocab).distilled},
	} {
		c := archtest.New(archtest.Qwen2)
		tc.rebuild(readVocab(t, filepath.Join(dir, "ggml-vocab-"+tc.vocab+".gguf")), c)
		v, err := tokenizer.Load(func(name string) ([]byte, error) {
			data, ok := c.Files[name]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return data, nil
		}, tokenizer.Options{Kind: tokenizer.BPEOnly})
		if err != nil {
			t.Errorf("%s: %v", tc.want, err)
		} else if v.Pre != tc.want {
			t.Errorf("%s: named %q", tc.want, v.Pre)
		}
	}
}

// readTexts reads the texts of an .inp file.
func readTexts(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	texts := strings.Split(string(data), "\n__ggml_vocab_test__\n")
	return texts[:len(texts)-1]
}

// expectedIDs are those of the .out file; of a vocabulary that has none, those that libllama gives for the file itself.
func expectedIDs(t *testing.T, lib *oracle.Lib, vocab string, texts []string) [][]int32 {
	t.Helper()
	want := make([][]int32, len(texts))
	data, err := os.ReadFile(vocab + ".out")
	if errors.Is(err, fs.ErrNotExist) {
		m, err := lib.LoadVocab(vocab)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for i, text := range texts {
			if want[i], err = m.Tokenize(text, false); err != nil {
				t.Fatal(err)
			}
		}
		return want
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) != len(texts) {
		t.Fatalf("%s.out: %d lines for %d texts", vocab, len(lines), len(texts))
	}
	for i, line := range lines {
		want[i] = []int32{}
		for _, field := range strings.Fields(line) {
			id, err := strconv.ParseInt(field, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			want[i] = append(want[i], int32(id))
		}
	}
	return want
}

// readVocab reads the vocabulary of a GGUF file.
func readVocab(t *testing.T, path string) *realVocab {
	t.Helper()
	r, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	v := &realVocab{}
	v.pre, _ = r.Metadata.String("tokenizer.ggml.pre")
	v.tokens, _ = r.Metadata.Strings("tokenizer.ggml.tokens")
	v.merges, _ = r.Metadata.Strings("tokenizer.ggml.merges")
	if x, ok := r.Metadata.Get("tokenizer.ggml.token_type"); ok {
		v.types, _ = x.([]int32)
	}
	if x, ok := r.Metadata.Get("tokenizer.ggml.scores"); ok {
		v.scores, _ = x.([]float32)
	}
	if x, ok := r.Metadata.Get("tokenizer.ggml.precompiled_charsmap"); ok {
		v.charsmap, _ = x.([]byte)
	}
	if len(v.tokens) == 0 || len(v.types) != len(v.tokens) {
		t.Fatalf("%s: %d tokens, %d types", path, len(v.tokens), len(v.types))
	}
	return v
}

// compare holds the vocabulary that came out against the real one. Older converters typed padding otherwise.
func (v *realVocab) compare(t *testing.T, got *realVocab, same bool) {
	t.Helper()
	wrong := 0
	for i, want := range v.tokens {
		padding := strings.HasPrefix(got.tokens[i], "[PAD") && got.types[i] == unused
		if padding && !same {
			continue
		}
		if got.tokens[i] != want || same && (got.types[i] != v.types[i] || v.scores != nil && got.scores[i] != v.scores[i]) {
			if wrong++; wrong <= 5 {
				t.Errorf("token %d: %q of type %d, want %q of type %d", i, got.tokens[i], got.types[i], want, v.types[i])
			}
		}
	}
	if wrong > 5 {
		t.Errorf("and %d more", wrong-5)
	}
	if !slices.Equal(got.merges, v.merges) {
		t.Errorf("merges differ: %d, want %d", len(got.merges), len(v.merges))
	}
}
