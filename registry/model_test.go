package registry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func put(tb testing.TB, s *Store, m Model) {
	tb.Helper()
	if err := s.PutModel(m); err != nil {
		tb.Fatal(err)
	}
}

func TestAModelComesBackAsItWasPut(t *testing.T) {
	s := open(t)
	ppl := 5.25
	want := Model{
		ID: "org/model", Path: "/models/a/../m.gguf", FileType: "Q4_K_M", Architecture: "llama", SourceModel: "org/model", Commit: "c0",
		Parameters: 7e9, ContextLength: 4096, Bytes: 4e9, BitsPerWeight: 4.85, SHA256: strings.Repeat("ab", 32), JobID: NewID(),
		RMSE: 0.01, Max: math.Inf(1), Cosine: 0.999, Perplexity: &ppl, KLD: new(float64),
		Hyper:   Hyper{Layers: 32, Embedding: 4096, KVHeads: 8, HeadDimK: 128, HeadDimV: 128, KVHeadsTotal: 256},
		Tensors: []TensorError{{Name: "output.weight", Type: "q6_K", RMSE: 0.002, Max: 0.1, Cosine: math.NaN()}},
	}
	*want.KLD = math.NaN()
	put(t, s, want)
	got, err := s.Model("/models/m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	if got.Path != "/models/m.gguf" || got.Created.IsZero() || got.Created.Location() != time.UTC || got.Max != 0 || got.KLD != nil ||
		got.Perplexity == nil || *got.Perplexity != ppl || got.Hyper != want.Hyper || got.SHA256 != want.SHA256 ||
		got.Parameters != want.Parameters || got.JobID != want.JobID || got.BitsPerWeight != want.BitsPerWeight {
		t.Errorf("got %+v", got)
	}
	if len(got.Tensors) != 1 || got.Tensors[0] != (TensorError{Name: "output.weight", Type: "q6_K", RMSE: 0.002, Max: 0.1}) {
		t.Errorf("tensors %+v", got.Tensors)
	}
	if list, _, err := s.Models(ModelFilter{}); err != nil || len(list) != 1 || list[0].Tensors != nil {
		t.Errorf("listed %+v, %v", list, err)
	}
	put(t, s, Model{ID: "org/model", Path: "/models/m.gguf"}) // made again, without figures
	if got, err := s.Model("/models/m.gguf"); err != nil || got.SHA256 != "" || len(got.Tensors) != 0 {
		t.Errorf("replaced: %+v, %v", got, err)
	}
	for name, bad := range map[string]Model{
		"relative path":    {ID: "a", Path: "m.gguf"},
		"no path":          {ID: "a"},
		"path no text":     {ID: "a", Path: "/m\xff.gguf"},
		"no ID":            {Path: "/m.gguf"},
		"ID with a NUL":    {ID: "a\x00b", Path: "/m.gguf"},
		"negative size":    {ID: "a", Path: "/m.gguf", Bytes: -1},
		"path like a book": {ID: "a", Path: "/" + strings.Repeat("x", 10_000)},
	} {
		if err := s.PutModel(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAModelAnswersToItsNames(t *testing.T) {
	s := open(t)
	for _, m := range []Model{
		{ID: "org/Llama", FileType: "Q4_K_M", Path: "/m/Llama-Q4_K_M.gguf", SHA256: "aa11"},
		{ID: "org/Llama", FileType: "Q8_0", Path: "/m/Llama-Q8_0.gguf", SHA256: "aa22"},
		{ID: "org/Qwen", FileType: "Q8_0", Path: "/m/Qwen.gguf", SHA256: "bb33"},
		{ID: "org/Qwen-long", FileType: "Q8_0", Path: "/m/Qwen-long.gguf", SHA256: "cc44"},
		{ID: "same", FileType: "Q8_0", Path: "/m/1/same.gguf", SHA256: "dd55"},
		{ID: "same", FileType: "Q8_0", Path: "/m/2/same.gguf", SHA256: "dd66"},
	} {
		put(t, s, m)
	}
	for ref, want := range map[string]string{
		"/m/Llama-Q8_0.gguf": "/m/Llama-Q8_0.gguf",
		"/m/1/../Qwen.gguf":  "/m/Qwen.gguf",
		"llama-q8_0":         "/m/Llama-Q8_0.gguf",
		"Llama-Q8_0.gguf":    "/m/Llama-Q8_0.gguf",
		"org/llama:q4_k_m":   "/m/Llama-Q4_K_M.gguf",
		"org/Llama:Q8":       "/m/Llama-Q8_0.gguf",
		"org/Qwen":           "/m/Qwen.gguf", // exact, though org/Qwen-long begins so
		"qwen":               "/m/Qwen.gguf",
		"org/qwen-":          "/m/Qwen-long.gguf",
		"aa2":                "/m/Llama-Q8_0.gguf",
		"/m/2/same.gguf":     "/m/2/same.gguf",
		"dd66":               "/m/2/same.gguf",
	} {
		if m, err := s.Model(ref); err != nil || m.Path != want {
			t.Errorf("%q: got %s, %v; want %s", ref, m.Path, err, want)
		}
	}
	for ref, want := range map[string][]string{
		"org/Llama": {"/m/Llama-Q4_K_M.gguf", "/m/Llama-Q8_0.gguf"},
		"aa":        {"/m/Llama-Q4_K_M.gguf", "/m/Llama-Q8_0.gguf"},
		"same":      {"/m/1/same.gguf", "/m/2/same.gguf"},
	} {
		_, err := s.Model(ref)
		var e *Error
		if !errors.Is(err, ErrAmbiguous) || !errors.As(err, &e) || !slices.Equal(e.Candidates, want) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	for _, ref := range []string{"", "nothing", "/m/nothing.gguf", "m/Qwen.gguf"} {
		_, err := s.Model(ref)
		wantKind(t, err, ErrNotFound)
	}
	if m, err := s.DeleteModel("qwen"); err != nil || m.Path != "/m/Qwen.gguf" {
		t.Errorf("deleted %s, %v", m.Path, err)
	}
	_, err := s.DeleteModel("/m/Qwen.gguf")
	wantKind(t, err, ErrNotFound)
}

func TestModelsAreNewestFirst(t *testing.T) {
	s := open(t)
	now := clock(s)
	for i := range 6 {
		arch := "llama"
		if i%2 == 1 {
			arch = "qwen2"
			*now = now.Add(time.Minute) // pairs share their time: the path decides
		}
		put(t, s, Model{ID: fmt.Sprintf("org/%s", arch), Path: fmt.Sprintf("/m/%d.gguf", i), Architecture: arch, SourceModel: "Source/X"})
	}
	for _, test := range []struct {
		name   string
		filter ModelFilter
		want   string
		total  int
	}{
		{"all", ModelFilter{}, "5 3 4 1 2 0", 6},
		{"page", ModelFilter{Offset: 1, Limit: 2}, "3 4", 6},
		{"behind the end", ModelFilter{Offset: 7}, "", 6},
		{"architecture", ModelFilter{Architecture: "llama"}, "4 2 0", 3},
		{"variants", ModelFilter{ID: "org/qwen2"}, "5 3 1", 3},
		{"ID is exact", ModelFilter{ID: "org/q"}, "", 0},
		{"search, any case", ModelFilter{Search: "source/x", Limit: 1}, "5", 6},
		{"search in the path", ModelFilter{Search: "/3.GG"}, "3", 1},
	} {
		list, total, err := s.Models(test.filter)
		var got []string
		for _, m := range list {
			got = append(got, strings.TrimSuffix(strings.TrimPrefix(m.Path, "/m/"), ".gguf"))
		}
		if err != nil || strings.Join(got, " ") != test.want || total != test.total {
			t.Errorf("%s: %v of %d, %v; want %s of %d", test.name, got, total, err, test.want, test.total)
		}
	}
}

func TestRatingsAreOneToFivePerVariant(t *testing.T) {
	s := open(t)
	for _, r := range []Rating{
		{ID: "org/m", Variant: "Q8_0", Rating: 5, Notes: "good", Tags: []string{"chat"}},
		{ID: "org/m", Variant: "Q2_K", Rating: 1},
		{ID: "org/m", Rating: 4},
		{ID: "org/m2", Rating: 3}, // begins the same
		{ID: "org/m", Variant: "Q2_K", Rating: 2, Notes: "second thought"},
	} {
		if _, err := s.PutRating(r); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Ratings("org/m")
	if err != nil || len(list) != 3 || list[0].Rating != 4 || list[1].Rating != 2 || list[2].Notes != "good" || list[2].Tags[0] != "chat" {
		t.Errorf("got %+v, %v", list, err)
	}
	if r, err := s.Rating("org/m", "Q2_K"); err != nil || r.Rating != 2 || r.Updated.IsZero() {
		t.Errorf("got %+v, %v", r, err)
	}
	_, err = s.Rating("org/m", "F16")
	wantKind(t, err, ErrNotFound)
	for _, bad := range []Rating{{ID: "a", Rating: 0}, {ID: "a", Rating: 6}, {Rating: 3}, {ID: "a\x00b", Rating: 3},
		{ID: "a", Rating: 3, Notes: strings.Repeat("x", 1<<17)}} {
		_, err := s.PutRating(bad)
		wantKind(t, err, ErrInvalid)
	}
}

func FuzzModelRecord(f *testing.F) {
	f.Add([]byte(`{"v":1,"id":"org/m","path":"/m.gguf","bytes":5,"hyper":{"layers":2}}`))
	f.Add([]byte(`{"v":1,"id":"org/m","path":"m.gguf"}`))
	f.Add([]byte(`{"v":9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeModel(data)
		if err == nil && (m.ID == "" || m.Bytes < 0 || m.Path == "") {
			t.Fatalf("read %+v", m)
		}
	})
}
