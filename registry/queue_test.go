package registry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func ids(queue []Job) (list []string) {
	for _, j := range queue {
		list = append(list, j.ID)
	}
	return list
}

func TestAMovedJobIsTakenInItsTurn(t *testing.T) {
	s := open(t)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 12 {
		if _, err := s.Create(Job{Name: fmt.Sprint(i), SourceModel: "m", Priority: r.IntN(4) - 2}); err != nil {
			t.Fatal(err)
		}
	}
	queue, err := s.Queue()
	if err != nil {
		t.Fatal(err)
	}
	want := ids(queue)
	for range 300 {
		from, to := r.IntN(len(want)), r.IntN(len(want))
		id := want[from]
		before, _ := s.Queue()
		moved, err := s.Move(id, func(at, last int) int {
			if at != from || last != len(want)-1 {
				t.Fatalf("told place %d of %d, want %d of %d", at, last, from, len(want)-1)
			}
			return to
		})
		if err != nil || moved.ID != id {
			t.Fatal(moved.ID, err)
		}
		want = slices.Insert(slices.Delete(want, from, from+1), to, id)
		after, _ := s.Queue()
		if got := ids(after); !slices.Equal(got, want) {
			t.Fatalf("moved from %d to %d:\ngot  %v\nwant %v", from, to, got, want)
		}
		if from == to && !slices.EqualFunc(before, after, func(a, b Job) bool { return a.ID == b.ID && a.Version == b.Version }) {
			t.Fatal("a job that stays where it is changed something")
		}
	}
	self, _ := Self()
	for _, id := range want {
		job, err := s.ClaimNext(self, 0)
		if err != nil || job.ID != id {
			t.Fatalf("took %s, %v, want %s", job.ID, err, id)
		}
	}
	if _, err := s.Move(want[0], func(int, int) int { return 0 }); !errors.Is(err, ErrState) {
		t.Errorf("a running job was moved: %v", err)
	}
}

func TestPrioritiesStayWithinBounds(t *testing.T) {
	s := open(t)
	for i, p := range []int{maxPriority, maxPriority, -maxPriority, -maxPriority} {
		if _, err := s.Create(Job{Name: fmt.Sprint(i), SourceModel: "m", Priority: p}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for _, place := range []int{0, 99} {
			queue, _ := s.Queue()
			if _, err := s.Move(queue[1].ID, func(int, int) int { return place }); err != nil {
				t.Fatal(err)
			}
		}
	}
	queue, _ := s.Queue()
	for _, j := range queue {
		if j.Priority > maxPriority || j.Priority < -maxPriority {
			t.Errorf("priority %d", j.Priority)
		}
	}
	if _, err := s.Move("nothing", func(int, int) int { return 0 }); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
