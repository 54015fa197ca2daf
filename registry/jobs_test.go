package registry

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestCreateKeepsWhatItIsGiven(t *testing.T) {
	s := open(t)
	now := clock(s)
	want := Job{
		ID: NewID(), Name: "n", Description: "d", SourceModel: "org/model", SourceType: "huggingface", Revision: "main",
		Formats: []string{"gguf"}, Types: []string{"Q4_K_M"}, Request: []byte(`{"a":1}`), Estimate: []byte(`[2]`), Priority: 3,
		Outputs: []Output{{ID: "a", Format: "gguf", Type: "Q4_K_M", Path: "/m/a.gguf", BytesTotal: 9}},
		State:   Completed, Attempts: 7, CancelRequested: true, Progress: 50, // not for the caller to say
	}
	if _, err := s.Create(want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Job(want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "n" || got.Description != "d" || got.SourceModel != "org/model" || got.SourceType != "huggingface" ||
		got.Revision != "main" || string(got.Request) != `{"a":1}` || string(got.Estimate) != `[2]` || got.Priority != 3 ||
		!slices.Equal(got.Types, want.Types) || !slices.Equal(got.Formats, want.Formats) || got.Outputs[0].Path != "/m/a.gguf" {
		t.Errorf("got %+v", got)
	}
	if got.State != Queued || got.Attempts != 0 || got.CancelRequested || got.Progress != 0 || got.Owner != nil ||
		!got.Created.Equal(*now) || got.Created.Location() != time.UTC || got.Outputs[0].State != OutputPending {
		t.Errorf("got %+v", got)
	}
	_, err = s.Create(want)
	wantKind(t, err, ErrExists)
	for name, bad := range map[string]Job{
		"no source":      {},
		"ID is a path":   {ID: "../../../../../../../../../etc/passwd", SourceModel: "m"},
		"outputs repeat": {SourceModel: "m", Outputs: []Output{{ID: "a"}, {ID: "a"}}},
	} {
		if _, err := s.Create(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAJobIsFoundByTheBeginningOfItsID(t *testing.T) {
	s := open(t)
	for _, id := range []string{
		"aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002", "aabbbbbb-0000-4000-8000-000000000003",
	} {
		if _, err := s.Create(Job{ID: id, SourceModel: "m"}); err != nil {
			t.Fatal(err)
		}
	}
	for ref, want := range map[string]string{
		"aaaaaaaa-0000-4000-8000-000000000002": "aaaaaaaa-0000-4000-8000-000000000002",
		"aab":                                  "aabbbbbb-0000-4000-8000-000000000003",
		"AABB":                                 "aabbbbbb-0000-4000-8000-000000000003",
	} {
		if job, err := s.Job(ref); err != nil || job.ID != want {
			t.Errorf("%q: got %s, %v", ref, job.ID, err)
		}
	}
	for _, ref := range []string{"", "b", "aaaaaaaa-0000-4000-8000-0000000000020"} {
		_, err := s.Job(ref)
		wantKind(t, err, ErrNotFound)
	}
	_, err := s.Job("aaaa")
	wantKind(t, err, ErrAmbiguous)
	var e *Error
	if !errors.As(err, &e) || !slices.Equal(e.Candidates, []string{
		"aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"}) {
		t.Errorf("candidates %v", e.Candidates)
	}
}

func TestListsAreNewestFirstWithTheTrueTotal(t *testing.T) {
	s := open(t)
	now := clock(s)
	for i := range 300 { // more than one byte counts, so that keys of numbers must sort as numbers
		*now = now.Add(-time.Minute)
		job := Job{Name: fmt.Sprintf("Job %03d", i), SourceModel: "org/model"}
		if i%10 == 0 {
			job.SourceModel, job.Types = "Other/MODEL", []string{"Q4_K_M"}
		}
		if _, err := s.Create(job); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if _, err := s.ClaimNext(*self(t), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name        string
		filter      Filter
		first, last string
		n, total    int
	}{
		{"all", Filter{}, "Job 299", "Job 000", 300, 300},
		{"page", Filter{Limit: 10, Offset: 20}, "Job 279", "Job 270", 10, 300},
		{"last page", Filter{Limit: 10, Offset: 295}, "Job 004", "Job 000", 5, 300},
		{"behind the end", Filter{Limit: 10, Offset: 300}, "", "", 0, 300},
		{"one state", Filter{States: []State{Preparing}}, "Job 004", "Job 000", 5, 5},
		{"two states", Filter{States: []State{Preparing, Queued}, Limit: 1}, "Job 299", "Job 299", 1, 300},
		{"state that none has", Filter{States: []State{Completed}}, "", "", 0, 0},
		{"search in the source, any case", Filter{Search: "other/m", Limit: 2}, "Job 290", "Job 280", 2, 30},
		{"search in the types", Filter{Search: "q4_k"}, "Job 290", "Job 000", 30, 30},
		{"search in the name", Filter{Search: "job 29"}, "Job 299", "Job 290", 10, 10},
		{"search and state", Filter{Search: "other", States: []State{Preparing}}, "Job 000", "Job 000", 1, 1},
	} {
		jobs, total, err := s.Jobs(test.filter)
		if err != nil || total != test.total || len(jobs) != test.n {
			t.Errorf("%s: %d jobs of %d, %v; want %d of %d", test.name, len(jobs), total, err, test.n, test.total)
			continue
		}
		if test.n > 0 && (jobs[0].Name != test.first || jobs[test.n-1].Name != test.last) {
			t.Errorf("%s: from %s to %s, want from %s to %s", test.name, jobs[0].Name, jobs[test.n-1].Name, test.first, test.last)
		}
	}
	_, _, err := s.Jobs(Filter{States: []State{"bogus"}})
	wantKind(t, err, ErrInvalid)
}

func TestChangesTellEachChangeOnce(t *testing.T) {
	s := open(t)
	other, err := Open(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var seen uint64
	expect := func(what string, changed, deleted []string) {
		t.Helper()
		c, err := other.Changes(seen)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, j := range c.Jobs {
			ids = append(ids, j.ID)
		}
		if !slices.Equal(ids, changed) || !slices.Equal(c.Deleted, deleted) {
			t.Errorf("%s: changed %v, deleted %v; want %v, %v", what, ids, c.Deleted, changed, deleted)
		}
		seen = c.Version
	}
	expect("an empty store", nil, nil)
	a, b := claimed(t, s), claimed(t, s)
	expect("two new ones", []string{a.ID, b.ID}, nil)
	expect("nothing", nil, nil)
	edit(t, s, a, func(j *Job) { j.Step = "1" })
	edit(t, s, b, func(j *Job) { j.Step = "1" })
	a = edit(t, s, a, func(j *Job) { j.Step = "2" })
	expect("in the order of the last change, each once", []string{b.ID, a.ID}, nil)
	if v, err := other.Version(); err != nil || v != seen {
		t.Errorf("version %d, %v; want %d", v, err, seen)
	}
	if _, err := s.Release(a.ID, *a.Owner); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(a.ID); err != nil {
		t.Fatal(err)
	}
	expect("one deleted", nil, []string{a.ID})
	seen = 0
	expect("from the beginning", []string{b.ID}, []string{a.ID})
}

func TestOnlyTheLastDeletionsAreRemembered(t *testing.T) {
	s := open(t)
	const more = 3
	err := s.update(func(tx *tx) error {
		for i := range maxTombstones + more {
			job := Job{ID: NewID(), Number: uint64(i + 1), SourceModel: "m", State: Queued}
			if err := tx.putJob(nil, &job, s.utc(), true); err != nil {
				return err
			}
			if i < maxTombstones-1 {
				if err := tx.deleted.Put(number(job.Version), []byte(job.ID)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	jobs, _, err := s.Jobs(Filter{Limit: more})
	if err != nil {
		t.Fatal(err)
	}
	var last []string
	for _, j := range jobs {
		if _, err := s.Delete(j.ID); err != nil {
			t.Fatal(err)
		}
		last = append(last, j.ID)
	}
	c, err := s.Changes(0)
	if err != nil || len(c.Deleted) != maxTombstones || !slices.Equal(c.Deleted[maxTombstones-more:], last) {
		t.Errorf("%d deletions, %v; want %d, the latest at the end", len(c.Deleted), err, maxTombstones)
	}
}

func TestListOf10000JobsIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("a matter of speed")
	}
	s := open(t)
	fill(t, s, 10_000)
	best := time.Hour
	for range 5 {
		begin := time.Now()
		jobs, total, err := s.Jobs(Filter{Limit: 100, Search: "job"})
		if err != nil || len(jobs) != 100 || total != 10_000 {
			t.Fatalf("%d of %d, %v", len(jobs), total, err)
		}
		best = min(best, time.Since(begin))
	}
	if best > 20*time.Millisecond {
		t.Errorf("a page took %s, want less than 20 ms", best)
	}
}
