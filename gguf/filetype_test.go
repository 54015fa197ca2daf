package gguf

import (
	"errors"
	"strings"
	"testing"
)

func TestFileTypesParseByTheirOwnName(t *testing.T) {
	numbers := map[FileType]bool{}
	for _, typ := range FileTypes() {
		if numbers[typ] {
			t.Errorf("%s: number %d is in the table twice", typ, typ)
		}
		numbers[typ] = true
		for _, name := range []string{typ.String(), strings.ToLower(typ.String())} {
			if got, err := ParseFileType(name); err != nil || got != typ {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		}
	}
	if len(numbers) != 36 {
		t.Errorf("%d file types, llama.cpp 0.5.0 has 36", len(numbers))
	}
}

func TestParseFileTypeTakesWhatLlamaQuantizeTakes(t *testing.T) {
	for name, want := range map[string]FileType{
		"Q4_K": 15, "q5_k": 17, "Q3_K": 12, "15": 15, "0": FileF32, "38": FileMXFP4MoE, "iq4_nl": 25, "bf16": 32,
	} {
		if got, err := ParseFileType(name); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
}

func TestUnknownNamesSuggestTheNearest(t *testing.T) {
	for name, want := range map[string]string{
		"Q4KM": "Q4_K_M", "q4-k-m": "Q4_K_M", "Q4_K_L": "Q4_K_M", "Q4_K_XL": "Q4_K_M", "Q8": "Q8_0", "fp16": "F16",
		"Q6_K_M": "Q6_K", "IQ4": "IQ4_NL", "Q44_K_M": "Q4_K_M", "Q9_0": "Q8_0", "q4": "Q4_K_M", "Q3": "Q3_K_M", "int8": "", "mxfp4": "MXFP4_MOE",
		"": "", "banana": "", "4": "", "33": "", "99999999999999999999": "", strings.Repeat("Q4_K_M", 1000): "",
	} {
		_, err := ParseFileType(name)
		var unknown *UnknownNameError
		if !errors.As(err, &unknown) {
			t.Errorf("%q: got %v, want an UnknownNameError", name, err)
			continue
		}
		if unknown.Suggestion != want {
			t.Errorf("%q: suggests %q, want %q", name, unknown.Suggestion, want)
		}
	}
	_, err := ParseType("q4k")
	if err == nil || err.Error() != `unknown tensor type "q4k", did you mean q4_K?` {
		t.Errorf("got %v", err)
	}
	_, err = ParseType("Q4_K_M")
	if err == nil || err.Error() != `unknown tensor type "Q4_K_M", did you mean q4_K?` {
		t.Errorf("got %v", err)
	}
}

func TestTypesParseInAnyCase(t *testing.T) {
	for _, info := range Types() {
		for _, name := range []string{info.Name, strings.ToUpper(info.Name), strings.ToLower(info.Name)} {
			if got, err := ParseType(name); err != nil || got != info.Type {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		}
	}
}

func TestTrimType(t *testing.T) {
	for name, want := range map[string]string{
		"llama-7b-Q4_K_M.gguf":                 "llama-7b",
		"llama-7b.f16.gguf":                    "llama-7b",
		"llama-7b-BF16.GGUF":                   "llama-7b",
		"ggml-model-f32.gguf":                  "ggml-model",
		"llama-7b-fp16.gguf":                   "llama-7b",
		"llama-7b-q4_k.gguf":                   "llama-7b",
		"mistral-7b-v0.1.gguf":                 "mistral-7b-v0.1",
		"mistral-7b-v0.1.IQ2_XXS.gguf":         "mistral-7b-v0.1",
		"gpt-oss-MXFP4_MOE.gguf":               "gpt-oss",
		"big-BF16-00002-of-00003.gguf":         "big",
		"big-00002-of-00003.gguf":              "big",
		"big-00004-of-00003.gguf":              "big-00004-of-00003", // no shard has that number
		"big-0000x-of-00003.gguf":              "big-0000x-of-00003",
		"f16.gguf":                             "f16",
		"-f16.gguf":                            "-f16",
		".gguf":                                ".gguf",
		"":                                     "",
		"-00001-of-00001.gguf":                 "-00001-of-00001",
		"model":                                "model",
		"model-Q4_K_XL.gguf":                   "model-Q4_K_XL",
		"model-f16-Q8_0.gguf":                  "model-f16", // the last one only: the rest is its name
		"q4_0-experiment.gguf":                 "q4_0-experiment",
		"Qwen2.5-0.5B-Instruct-Q8_0.gguf.gguf": "Qwen2.5-0.5B-Instruct-Q8_0.gguf",
	} {
		if got := TrimType(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
