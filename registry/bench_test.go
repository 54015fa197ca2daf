package registry

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// busyJob is a claimed job of a usual size: six outputs, an estimate of 8 KB.
func busyJob(tb testing.TB, s *Store) Job {
	tb.Helper()
	job := Job{
		Name: "nightly", SourceModel: "meta-llama/Llama-2-7b-hf", SourceType: "huggingface",
		Formats: []string{"gguf"}, BytesTotal: 1 << 40,
		Request:  json.RawMessage(`{"source_model":"meta-llama/Llama-2-7b-hf"}`),
		Estimate: json.RawMessage(`{"text":"` + strings.Repeat("0123456789abcdef", 512) + `"}`),
		Owner:    self(tb),
	}
	for _, typ := range []string{"Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"} {
		job.Types = append(job.Types, typ)
		job.Outputs = append(job.Outputs, Output{ID: "o-" + typ, Format: "gguf", Type: typ, BytesTotal: 4 << 30})
	}
	job, err := s.Create(job)
	if err != nil {
		tb.Fatal(err)
	}
	return job
}

func self(tb testing.TB) *Owner {
	tb.Helper()
	o, err := Self()
	if err != nil {
		tb.Fatal(err)
	}
	return &o
}

func BenchmarkUpdate(b *testing.B) {
	s := open(b)
	job := busyJob(b, s)
	for b.Loop() {
		if _, err := s.Update(job.ID, *job.Owner, func(j *Job) error {
			j.BytesDone += 1 << 20
			j.Outputs[2].BytesDone += 1 << 20
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	s := open(b)
	job := busyJob(b, s)
	for b.Loop() {
		if _, err := s.Heartbeat(job.ID, *job.Owner); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJob(b *testing.B) {
	s := open(b)
	job := busyJob(b, s)
	for b.Loop() {
		if _, err := s.Job(job.ID[:8]); err != nil {
			b.Fatal(err)
		}
	}
}

// fill puts n queued jobs into the store in one transaction.
func fill(tb testing.TB, s *Store, n int) {
	tb.Helper()
	err := s.update(func(t *tx) error {
		for i := range n {
			job := Job{
				ID: NewID(), Number: uint64(i + 1), Name: fmt.Sprintf("job %d", i), SourceModel: "org/model",
				State: states[i%len(states)], Types: []string{"Q4_K_M", "Q8_0"}, Created: s.utc(),
				Request: json.RawMessage(`{"source_model":"org/model"}`), Outputs: []Output{{ID: "a", State: OutputFailed}, {ID: "b", State: OutputFailed}},
			}
			if job.State.Active() {
				job.State = Queued
			}
			if err := t.putJob(nil, &job, s.utc(), true); err != nil {
				return err
			}
		}
		return t.index.SetSequence(uint64(n))
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkJobsOf10000(b *testing.B) {
	s := open(b)
	fill(b, s, 10_000)
	for _, f := range []struct {
		name   string
		filter Filter
	}{
		{"page", Filter{Limit: 100}},
		{"state", Filter{States: []State{Queued}, Limit: 100}},
		{"search", Filter{Search: "JOB 77", Limit: 100}},
		{"last", Filter{Limit: 100, Offset: 9_900}},
	} {
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.Jobs(f.filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkClaimNextOf10000(b *testing.B) {
	s := open(b)
	fill(b, s, 10_000)
	o := *self(b)
	for b.Loop() {
		job, err := s.ClaimNext(o, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if job, err = s.Release(job.ID, *job.Owner); err == nil {
			_, err = s.Resume(job.ID)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkModelsOf2000(b *testing.B) {
	s := open(b)
	tensors := make([]TensorError, 300)
	for i := range 2000 {
		m := Model{ID: "org/model", Path: fmt.Sprintf("/models/%d.gguf", i), SHA256: strings.Repeat("a", 64)}
		if i < 20 {
			m.Tensors = tensors
		}
		record, _ := json.Marshal(modelRecord{recordVersion, m})
		if err := s.update(func(t *tx) error { return t.models.Put([]byte(m.Path), record) }); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, _, err := s.Models(ModelFilter{Limit: 100}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	log := newLog(b, open(b))
	for b.Loop() {
		if _, err := log.Append(Event{Type: "progress", Data: json.RawMessage(`{"bytes_done":1234567}`)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawTransaction is what bbolt itself takes for one write: the floor of Update.
func BenchmarkRawTransaction(b *testing.B) {
	s := open(b)
	for b.Loop() {
		if err := s.update(func(t *tx) error { return t.Bucket(bucketMeta).Put([]byte("x"), []byte("y")) }); err != nil {
			b.Fatal(err)
		}
	}
}
