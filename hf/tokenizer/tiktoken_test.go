package tokenizer

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rankLines is a vocabulary of ranks: 256 bytes, then the words.
func rankLines(words ...string) string {
	var b strings.Builder
	for i := range 256 {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte{byte(i)}), i)
	}
	for i, w := range words {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(w)), 256+i)
	}
	return b.String()
}

// The merges of "abc" are "a" with "bc", since "bc" has the lower rank; "xyz" comes of no merge and gets none.
func TestRanksBecomeMerges(t *testing.T) {
	t.Parallel()
	files := map[string]any{
		"tiktoken.model":        rankLines("bc", " a", "abc", "xyz", "é"),
		"tokenizer_config.json": object{"added_tokens_decoder": object{"262": object{"content": "[EOS]", "special": true}, "7": object{"content": "no"}}},
		"config.json":           object{"eos_token_id": 262},
	}
	kimi := &Tiktoken{File: "tiktoken.model", Pre: "kimi-k2", Reserved: "<|reserved_token_%d|>"}
	v := mustLoad(t, files, Options{Kind: BPEOnly, Tiktoken: kimi, VocabSize: 600})
	if want := []string{"b c", "Ġ a", "a bc", "Ã ©"}; !slices.Equal(v.Merges, want) {
		t.Errorf("merges %q, want %q", v.Merges, want)
	}
	if want := []string{"bc", "Ġa", "abc", "xyz", "Ã©", "<|reserved_token_261|>", "[EOS]"}; !slices.Equal(v.Tokens[256:263], want) {
		t.Errorf("tokens %q, want %q", v.Tokens[256:263], want)
	}
	if v.Pre != "kimi-k2" || v.Tokens[261+257] != "<|reserved_token_518|>" || v.Types[261+257] != Control || v.Types[261+258] != Unused {
		t.Errorf("pre-tokenizer %q, last reserved token %q", v.Pre, v.Tokens[261+257])
	}
	if want := []SpecialToken{{"eos", 262}}; !slices.Equal(v.Special, want) {
		t.Errorf("special %v, want %v", v.Special, want)
	}
	delete(files, "config.json")
	files["qwen.tiktoken"] = rankLines("ab")
	v = mustLoad(t, files, Options{Kind: BPEOnly, Tiktoken: &Tiktoken{File: "qwen.tiktoken", Pre: "qwen2", FirstEnds: true, Special: []string{"<|endoftext|>", "<|im_start|>"}}})
	if want := []SpecialToken{{"bos", 257}, {"eos", 257}, {"unk", 257}}; !slices.Equal(v.Special, want) || len(v.Tokens) != 259 || v.Tokens[258] != "<|im_start|>" {
		t.Errorf("special %v, want %v; tokens %q", v.Special, want, v.Tokens[256:])
	}
	if v = mustLoad(t, files, Options{Kind: BPEOnly, Tiktoken: kimi, VocabSize: 300, Pre: "gpt-2"}); v.Pre != "gpt-2" {
		t.Errorf("pre-tokenizer %q, want gpt-2", v.Pre)
	}
}

func TestRanksNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ rule, data, want string }{
		{"no rank", "YQ==\n", "line 1: want a token in base64 and its rank"},
		{"no base64", "?? 0\n", "line 1: illegal base64"},
		{"an empty token", " 0\n", "line 1: a token of 0 bytes"},
		{"a token too long", base64.StdEncoding.EncodeToString(make([]byte, 600)) + " 0\n", "line 1: a token of 600 bytes, want 1 to 512"},
		{"a rank left out", "YQ== 0\nYg== 2\n", `line 2: rank "2", want 1`},
		{"a rank that is no number", "YQ== x\n", `line 1: rank "x", want 0`},
		{"a token twice", "YQ== 0\nYQ== 1\n", `line 2: token "a" is there twice`},
		{"nothing", "", "no tokens"},
		{"a line too long", strings.Repeat("A", 70000), "token too long"},
		{"more than the model has", rankLines(), "has 256 tokens and the model 0 special ones, but vocab_size is 200"},
	} {
		_, err := Load(from(map[string]any{"tiktoken.model": tc.data}), Options{Kind: BPEOnly, VocabSize: 200, Tiktoken: &Tiktoken{File: "tiktoken.model", Pre: "kimi-k2"}})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.rule, err, tc.want)
		}
	}
}

func FuzzRanks(f *testing.F) {
	f.Add([]byte(rankLines("ab", "abc")))
	f.Add([]byte("YQ== 0\n\nYg== 1\nYWI= 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Load(from(map[string]any{"x": data}), Options{Kind: BPEOnly, VocabSize: 4096, Tiktoken: &Tiktoken{File: "x", Pre: "qwen2", Reserved: "%d"}})
		if err != nil {
			return
		}
		if len(v.Tokens) != 4096 || len(v.Merges) > 4096 {
			t.Errorf("%d tokens, %d merges", len(v.Tokens), len(v.Merges))
		}
	})
}
