package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

func TestPatternsFindWhatOnigurumaFinds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, text string
		want          string // the pieces, matches in brackets
	}{
		{`\p{N}{1,3}`, "a12345", "a[123][45]"},
		{`\s+(?!\S)|\s+`, "a   b ", "a[  ][ ]b[ ]"},
		{`(?i:'s|'LL)`, "it'S I'll", "it['S] I['ll]"},
		{`'(?i:[sd])|x`, "'D'S'sX", "['D]['S]['s]X"},
		{`(?=(\d{3})+(?!\d))`, "1234567", "1[]234[]567"},
		{`\A\p{Nd}{1,2}(?=\p{Nd}{3}+\z)`, "12345678", "[12]345678"},
		{`\A\p{Nd}{1,2}(?=\p{Nd}{3}+\z)`, "123456", "123456"},
		{`\A\p{Nd}{3}|\G\p{Nd}{3}`, "1234567", "[123][456]7"},
		{`\p{Nd}{1,2}(?=(?>\p{Nd}{2})*(?:\P{Nd}|$))|\G\p{Nd}{2}`, "12345a", "[1][23][45]a"},
		{`\d{1,3}(?=(?:\d{3})*\b)`, "12345 1", "[12][345] [1]"},
		{` ?[^(\s|[.,!?]))]+`, "a (b|c.", "[a] ([b]|[c]."},
		{`[\p{Ll}\p{Lo}&&[^\p{Han}]]+`, "ab天c", "[ab]天[c]"},
		{`[^\r\n\p{L}]?+\p{L}+`, "-ab!\n", "[-ab]!\n"},
		{`a++b|a*+a`, "aaab aa", "[aaab] aa"},
		{`a+?|b{2,}`, "aab bbb", "[a][a]b [bbb]"},
		{`[一-龥぀-ゟ゠-ヿ]+`, "我の-a", "[我の]-a"},
		{`[\u4E00-\u9FFF]+|\-`, "天-", "[天][-]"},
		{`^.|\w$`, "ab\ncd", "[a][b]\n[c][d]"},
		{`[\p{P}!-/:-@\[-` + "`" + `{-~]`, "a`[", "a[`][[]"},
		{`(IMGIMG)((A|B){1,4})Z`, "xIMGIMGABZ", "x[IMGIMGABZ]"},
		{`\p{^L}\D\S\W`, "1a-- ", "[1a--] "},
		{`a|`, "ba", "[]b[a]"},
		{`\t\.\\`, "\t.\\", "[\t.\\]"},
	} {
		p, err := parsePattern(tc.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		fuel, got := matchFuel, ""
		all, ok := p.spans([]rune(tc.text), &fuel)
		for _, s := range all {
			if piece := string([]rune(tc.text)[s.from:s.to]); s.match {
				got += "[" + piece + "]"
			} else {
				got += piece
			}
		}
		if !ok || got != tc.want {
			t.Errorf("/%s/ in %q: %q, want %q", tc.pattern, tc.text, got, tc.want)
		}
	}
}

func TestBrokenPatternsAreRefused(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`(a`:                              "( without )",
		`a)`:                              "left over",
		`[a`:                              "[ without ]",
		`[a&&b`:                           "[ without ]",
		`[b-a]`:                           "a range that ends nowhere",
		`[a-\s]`:                          "a range that ends nowhere",
		`(?<=a)b`:                         "a group of an unknown kind",
		`a{2`:                             "{ without }",
		`a{3,2}`:                          "{3,2}",
		`a{9999}`:                         "{9999,}",
		`a{x}`:                            "invalid syntax",
		`\p{Nonsense}`:                    "is no category and no script",
		`\pL`:                             `\p without a name`,
		`\u12`:                            `\u without four digits`,
		`\u12xy`:                          "invalid syntax",
		`\q`:                              `\q means nothing here`,
		`a\`:                              `\ at its end`,
		strings.Repeat("(", 99):           "groups in each other",
		strings.Repeat("[", 99):           "classes in each other",
		strings.Repeat("a", maxPattern+1): "want 8192 at most",
	} {
		if _, err := parsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %s", pattern, err, want)
		}
	}
}

// A tokenizer.json is not trusted: an expression that would take for ever ends early, and deep ones take no stack.
func TestPatternsThatTakeForEverEnd(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{`(a*)*b`, `(a|a)*b`, `((a*)*)*b`, `(?:){1000}{1000}{1000}b`, strings.Repeat(`(a|a|)`, 99) + "b", strings.Repeat(`(|)`, 99) + "b"} {
		p, err := parsePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		fuel := matchFuel
		if _, ok := p.spans([]rune(strings.Repeat("a", 400)), &fuel); ok && fuel < 0 {
			t.Errorf("/%.20s/: out of fuel, and says that all is well", pattern)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, row := range preTable {
		for _, step := range row.steps {
			f.Add(strings.TrimSuffix(strings.TrimPrefix(step, "Split /"), "/"), "3 33 I've\n \n")
		}
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := parsePattern(pattern)
		if err != nil {
			return
		}
		runes, fuel, last := []rune(text), 1<<14, 0
		all, ok := p.spans(runes[:min(len(runes), 256)], &fuel)
		for _, s := range all {
			if s.from != last || s.to < s.from {
				t.Fatalf("span %+v behind %d", s, last)
			}
			last = s.to
		}
		if ok && last != min(len(runes), 256) {
			t.Fatalf("ends at %d of %d", last, len(runes))
		}
	})
}

// Every expression of the table is one that the probe can follow.
func TestTheTablesExpressionsAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, row := range preTable {
		for _, step := range row.steps {
			expr, ok := strings.CutPrefix(step, "Split /")
			if !ok || strings.HasSuffix(expr, "…") {
				continue
			}
			expr = expr[:strings.LastIndex(expr, "/")]
			if pieces, ok := preTokenize(probeText, []any{object{"type": "Split", "behavior": "Isolated", "pattern": object{"Regex": expr}}}); !ok || strings.Join(pieces, "") != probeText {
				t.Errorf("%s: /%s/ is not understood", row.name, expr)
			}
		}
	}
}

func TestStepsCutAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	splitBy := func(behavior string, invert bool) object {
		return object{"type": "Split", "pattern": object{"String": "."}, "behavior": behavior, "invert": invert}
	}
	for _, tc := range []struct {
		text  string
		steps []any
		want  string
	}{
		{"a..b.", []any{splitBy("Isolated", false)}, "a|.|.|b|."},
		{"a..b.", []any{splitBy("Removed", false)}, "a|b"},
		{"a..b.", []any{splitBy("Removed", true)}, ".|.|."},
		{"a..b.", []any{splitBy("Contiguous", false)}, "a|..|b|."},
		{"a..b.", []any{splitBy("MergedWithPrevious", false)}, "a.|.|b."},
		{"a..b.", []any{splitBy("MergedWithNext", false)}, "a|.|.b|."},
		{"a12", []any{object{"type": "Digits", "individual_digits": true}}, "a|1|2"},
		{"a12b", []any{object{"type": "Digits"}}, "a|12|b"},
		{"a,.b", []any{object{"type": "Punctuation"}}, "a|,|.|b"},
		{"a,.b", []any{object{"type": "Punctuation", "behavior": "Contiguous"}}, "a|,.|b"},
		{"I'm  ok", []any{object{"type": "ByteLevel"}}, "I|'m|Ġ|Ġok"},
		{"a b", []any{object{"type": "ByteLevel", "add_prefix_space": true, "use_regex": false}}, "ĠaĠb"},
		{"a", []any{object{"type": "Metaspace"}}, ""},
		{"a", []any{splitBy("Sideways", false)}, ""},
		{"a", []any{object{"type": "Split"}}, ""},
		{"a", []any{object{"type": "Split", "pattern": object{"Regex": "("}}}, ""},
	} {
		got, ok := preTokenize(tc.text, tc.steps)
		if strings.Join(got, "|") != tc.want || ok != (tc.want != "") {
			t.Errorf("%q by %v: %q, %t; want %q", tc.text, tc.steps, got, ok, tc.want)
		}
	}
}

// The hash is that of Python's sha256(str([15339, 1917]).encode()).
func TestIDsAreHashedAsPythonWritesThem(t *testing.T) {
	t.Parallel()
	if got, want := hashIDs([]int64{15339, 1917}), "63fce8eb07cd8c29d06b725558fac62258f35cf9005db237c75e1a43f029e874"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// alphabet is a tokenizer.json with the 256 signs of the byte-level alphabet as its tokens, and some more.
func alphabet(change obj, merges ...any) *loader {
	vocab := obj{}
	for b, r := range byteAlphabet {
		vocab[string(r)] = b
	}
	for i, m := range merges {
		vocab[strings.ReplaceAll(m.(string), " ", "")] = 256 + i
	}
	j := bpeJSON(change)
	j["model"] = obj{"type": "BPE", "vocab": vocab, "merges": merges}
	files, err := readFiles(from(map[string]any{"tokenizer.json": j, "tokenizer_config.json": change["config"]}))
	if err != nil {
		panic(err)
	}
	return &loader{files: files}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text   string
		change obj
		want   []int64
	}{
		{"abc", nil, []int64{258}},           // a b, then ab c, though b c comes last
		{"bc", nil, []int64{257}},            //
		{"abab", nil, []int64{259}},          //
		{"a b", nil, []int64{'a', ' ', 'b'}}, // no merge across pieces
		{"é", nil, []int64{0xc3, 0xa9}},      //
		{"a<s>b", obj{"added_tokens": arr{obj{"id": 300, "content": "<s>", "special": true}}}, []int64{'a', 300, 'b'}},
		{"a  b", obj{"added_tokens": arr{obj{"id": 300, "content": "  "}, obj{"id": 301, "content": "   "}}}, []int64{'a', 300, 'b'}},
		{"AB", obj{"normalizer": obj{"type": "Lowercase"}}, []int64{256}},
		{"a-c", obj{"normalizer": obj{"type": "Replace", "pattern": obj{"String": "-"}, "content": "b"}}, []int64{258}},
	} {
		got, ok := alphabet(tc.change, "a b", "b c", "ab c", "ab ab").encode(tc.text)
		if !ok || !slices.Equal(got, tc.want) {
			t.Errorf("%q: %v %t, want %v", tc.text, got, ok, tc.want)
		}
	}
	for _, change := range []obj{{"normalizer": obj{"type": "NFKC"}}, {"pre_tokenizer": obj{"type": "Metaspace"}}} {
		if _, ok := alphabet(change).encode("a"); ok {
			t.Errorf("%v is not known here", change)
		}
	}
}

// The converter's own answer goes before the definition's, and names tokenizers that have none.
func TestTheProbeGoesBeforeTheDefinition(t *testing.T) {
	t.Parallel()
	template := obj{"type": "TemplateProcessing", "single": arr{obj{"SpecialToken": obj{"id": "<s>"}}, obj{"Sequence": obj{"id": "A"}}, obj{"SpecialToken": obj{"id": "</s>"}}},
		"special_tokens": obj{"<s>": obj{"ids": arr{4}}, "</s>": obj{"ids": arr{5, 6}}}}
	for _, tc := range []struct {
		change        obj
		before, after []int64
	}{
		{nil, nil, nil},
		{obj{"post_processor": obj{"type": "ByteLevel"}}, nil, nil},
		{obj{"post_processor": template}, []int64{4}, []int64{5, 6}},
		{obj{"post_processor": obj{"type": "Sequence", "processors": arr{obj{"type": "ByteLevel"}, template}}}, []int64{4}, []int64{5, 6}},
		{obj{"post_processor": obj{"type": "RobertaProcessing", "cls": arr{"<s>", 4}, "sep": arr{"</s>", 2}}}, []int64{4}, []int64{2}},
		{obj{"config": obj{"add_bos_token": true, "bos_token": "<s>"}}, []int64{4}, nil},
	} {
		l := alphabet(tc.change, "a b")
		ids, ok := l.encode(probeText)
		if !ok {
			t.Fatalf("%v: not ok", tc.change)
		}
		known := map[string]string{hashIDs(slices.Concat(tc.before, ids, tc.after)): "pixtral"}
		if got := l.probe(known); got != "pixtral" {
			t.Errorf("%v: probed as %q", tc.change, got)
		}
		if got := l.probe(map[string]string{hashIDs(append(slices.Clone(ids), 99)): "pixtral"}); got != "" {
			t.Errorf("%v: probed as %q, which has other ids", tc.change, got)
		}
	}
}

func TestProbeNamesAreLibllamas(t *testing.T) {
	t.Parallel()
	for hash, name := range probeNames {
		if len(hash) != 64 || !slices.Contains(PreTokenizers(), name) {
			t.Errorf("%s: %q", hash, name)
		}
	}
}
