package jobs

import (
	"testing"
)

func TestTheEstimateListsTensorsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	request := spec(t, "Q4_K_M", "Q8_0")
	e, err := s.EstimateSpec(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if e.Tensors != nil {
		t.Errorf("got %d tensors that nobody asked for", len(e.Tensors))
	}
	request.Tensors = true
	if e, err = s.EstimateSpec(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	seen, types := map[int]int{}, map[string][]string{}
	for _, tensor := range e.Tensors {
		if len(tensor.Types) != 2 || len(tensor.Shape) == 0 || tensor.Format == "" {
			t.Fatalf("got %+v", tensor)
		}
		types[tensor.Name] = tensor.Types
		if tensor.Layer != nil {
			seen[*tensor.Layer]++
		}
	}
	if len(e.Tensors) != 57 || len(seen) != 6 || seen[0] != 9 {
		t.Errorf("got %d tensors, layers %v, want 57 in 6 layers of 9", len(e.Tensors), seen)
	}
	if got := types["blk.0.attn_q.weight"]; got[0] != "q4_K" || got[1] != "q8_0" {
		t.Errorf("blk.0.attn_q.weight: got %v, want q4_K and q8_0", got)
	}
	if got := types["output_norm.weight"]; got[0] != "f32" || got[1] != "f32" {
		t.Errorf("output_norm.weight: got %v, want f32", got)
	}
}

func TestLayersAreReadFromNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"blk.0.attn_q.weight": 0, "blk.79.ffn_up.weight": 79, "output.weight": -1, "blk.x.y": -1, "blk.-1.y": -1, "blk": -1} {
		got := -1
		if n := layerOf(name); n != nil {
			got = *n
		}
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

func TestAModelShowsItsRating(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	if _, err := s.Quantize(t.Context(), &Request{Model: tinyLlama(t), Types: []string{"Q8_0"}, Dir: s.settings.OutputDir}, Silent{}); err != nil {
		t.Fatal(err)
	}
	m, err := s.Model("nexus-tiny-llama")
	if err != nil || m.Rating != nil {
		t.Fatalf("got %+v, %v, want no rating", m.Rating, err)
	}
	if _, err := s.Rate("nexus-tiny-llama", Rating{Rating: 4, Notes: "quick"}); err != nil {
		t.Fatal(err)
	}
	if m, err = s.Model("nexus-tiny-llama"); err != nil || m.Rating == nil || m.Rating.Rating != 4 || m.Rating.Notes != "quick" {
		t.Errorf("got %+v, %v, want the rating", m.Rating, err)
	}
	list, err := s.Models(ModelFilter{})
	if err != nil || len(list.Models) != 1 || list.Models[0].Rating == nil || list.Models[0].Rating.Rating != 4 {
		t.Errorf("got %+v, %v, want the rating in the list too", list.Models, err)
	}
}

func TestATypeThatNeedsAnImportanceMatrixIsNoFailureOfTheServer(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	_, err := s.EstimateSpec(t.Context(), spec(t, "Q2_K_S"))
	if err == nil || ClassOf(err) != Unsupported {
		t.Errorf("got %v of class %d, want Unsupported", err, ClassOf(err))
	}
}
