package jobs

import (
	"math"
	"testing"
)

// The deviations that are told before a run are those of a run on the project's own small model.
func TestExpectedDeviationsAreThoseOfTheSmallModel(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	var names []string
	want := map[string]float64{}
	for _, info := range s.GGUFTypes() {
		if info.Deviation != nil && *info.Deviation > 0 {
			names = append(names, info.Value)
			want[info.Value] = *info.Deviation
		}
	}
	if len(names) < 12 {
		t.Fatalf("only %v have a deviation", names)
	}
	if _, err := s.Quantize(t.Context(), &Request{Model: tinyLlama(t), Types: names, Dir: s.settings.OutputDir}, Silent{}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Variants("nexus-tiny-llama")
	if err != nil || len(list) != len(names) {
		t.Fatalf("%d files, %v", len(list), err)
	}
	for _, v := range list {
		if got := math.Sqrt(1 - *v.Cosine**v.Cosine); math.Abs(got/want[v.Type]-1) > 0.02 {
			t.Errorf("%s: deviation %.4f, the table says %.4f", v.Type, got, want[v.Type])
		}
	}
}
