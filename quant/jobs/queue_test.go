package jobs

import (
	"slices"
	"testing"
)

func TestTheQueueIsReordered(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	name := map[string]string{}
	var first string
	for _, n := range []string{"a", "b", "c"} {
		sp := spec(t, "Q8_0")
		sp.Name, sp.Config.Force = n, true
		job, err := s.Submit(t.Context(), sp)
		if err != nil {
			t.Fatal(err)
		}
		name[job.ID] = n
		if first == "" {
			first = job.ID
		}
	}
	check := func(want ...string) {
		t.Helper()
		queue, err := s.Queue()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range queue {
			got = append(got, name[j.ID])
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	check("a", "b", "c")
	for _, tt := range []struct {
		to   string
		want []string
	}{
		{MoveLater, []string{"b", "a", "c"}}, {MoveLast, []string{"b", "c", "a"}}, {MoveLater, []string{"b", "c", "a"}},
		{MoveEarlier, []string{"b", "a", "c"}}, {MoveFirst, []string{"a", "b", "c"}}, {MoveEarlier, []string{"a", "b", "c"}},
	} {
		if _, err := s.Move(t.Context(), first, tt.to); err != nil {
			t.Fatal(err)
		}
		check(tt.want...)
	}
	if _, err := s.Move(t.Context(), first, "away"); ClassOf(err) != BadRequest {
		t.Errorf("got %v", err)
	}
	if _, err := s.Cancel(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	check("b", "c")
	if _, err := s.Move(t.Context(), first, MoveFirst); ClassOf(err) != Conflict {
		t.Errorf("a cancelled job: got %v", err)
	}
}
