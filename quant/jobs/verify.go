package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/registry"
)

// Verification is what reading a registered file again came to.
type Verification struct {
	Path  string `json:"path"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Verify reads the files of a model again: size, header, finite scales and SHA-256 must be what was registered.
func (s *Service) Verify(ctx context.Context, id string, report func(Progress)) ([]Verification, error) {
	store, err := s.registry()
	if err != nil {
		return nil, err
	}
	files, err := filesOf(store, id)
	if err != nil {
		return nil, err
	}
	var list []Verification
	for i, m := range files {
		v, err := verifyFile(ctx, m, func(done, total int64) {
			if report != nil {
				report(Progress{Stage: Verifying, Item: filepath.Base(m.Path), ItemsDone: i, Items: len(files), BytesDone: done, BytesTotal: total})
			}
		})
		if err != nil {
			return list, err
		}
		list = append(list, v)
	}
	return list, nil
}

// verifyFile reads one file again. The error is that it was not read to its end because ctx ended.
func verifyFile(ctx context.Context, m registry.Model, report func(done, total int64)) (Verification, error) {
	v := Verification{Path: m.Path}
	sum, err := quant.Reread(ctx, m.Path, report)
	switch {
	case errors.Is(err, context.Canceled):
		return v, err
	case errors.Is(err, fs.ErrNotExist):
		v.Error = "the file is not there"
	case err != nil:
		v.Error = err.Error()
	case m.SHA256 != "" && sum != m.SHA256:
		v.Error = fmt.Sprintf("SHA-256 is %s, registered was %s", sum, m.SHA256)
	default:
		v.OK = true
	}
	return v, nil
}

// VerifyRun is a verification of a model that goes on in the background, or the last one.
type VerifyRun struct {
	ID             string       `json:"id"` // of the model
	Status         string       `json:"status" enum:"none,running,completed,cancelled"`
	OK             bool         `json:"ok"` // completed, and every file is what was registered
	Files          []VerifyFile `json:"files"`
	BytesDone      int64        `json:"bytes_done"`
	BytesTotal     int64        `json:"bytes_total"`
	BytesPerSecond float64      `json:"bytes_per_second"`
	ETASeconds     float64      `json:"eta_seconds"`
	Started        *time.Time   `json:"started_at"`
	Ended          *time.Time   `json:"completed_at"`
}

// The states of a VerifyRun.
const (
	VerifyNone      = "none" // nobody asked for one since the program was started
	VerifyRunning   = "running"
	VerifyCompleted = "completed"
	VerifyCancelled = "cancelled"
)

// VerifyFile is one file of a VerifyRun.
type VerifyFile struct {
	Path       string  `json:"path"`
	FileName   string  `json:"filename"`
	Type       string  `json:"quantization"`
	Status     string  `json:"status" enum:"pending,running,ok,failed"`
	Error      *string `json:"error"`
	BytesDone  int64   `json:"bytes_done"`
	BytesTotal int64   `json:"bytes_total"`
}

// verifiers are the verifications of a process, the last one of each model.
type verifiers struct {
	mu    sync.Mutex
	of    map[string]*verifier
	disks sync.Mutex // held by the one that reads: two at once would be no quicker
}

// verifier is one verification.
type verifier struct {
	cancel context.CancelFunc

	mu      sync.Mutex
	run     VerifyRun
	changed chan struct{} // closed at the next change
	told    time.Time
	rate    Rate
}

// StartVerification reads the files of a model again in the background. One that goes on already is returned.
func (s *Service) StartVerification(id string) (VerifyRun, error) {
	store, err := s.registry()
	if err != nil {
		return VerifyRun{}, err
	}
	files, err := filesOf(store, id)
	if err != nil {
		return VerifyRun{}, err
	}
	id = files[0].ID
	s.verifying.mu.Lock()
	defer s.verifying.mu.Unlock()
	if v := s.verifying.of[id]; v != nil {
		if run, _ := v.state(); run.Status == VerifyRunning {
			return run, nil
		}
	}
	now := time.Now().UTC()
	ctx, cancel := context.WithCancel(context.Background()) // it outlives the request
	v := &verifier{cancel: cancel, changed: make(chan struct{}), run: VerifyRun{ID: id, Status: VerifyRunning, Started: &now, Files: []VerifyFile{}}}
	for _, m := range files {
		v.run.Files = append(v.run.Files, VerifyFile{Path: m.Path, FileName: filepath.Base(m.Path), Type: m.FileType, Status: "pending", BytesTotal: m.Bytes})
		v.run.BytesTotal += m.Bytes
	}
	if s.verifying.of == nil {
		s.verifying.of = map[string]*verifier{}
	}
	s.verifying.of[id] = v
	go func() {
		defer cancel()
		s.verifying.disks.Lock()
		defer s.verifying.disks.Unlock()
		v.work(ctx, files)
	}()
	run, _ := v.state()
	return run, nil
}

// Verification says how far the last verification of a model is; changed is closed at its next change.
func (s *Service) Verification(id string) (run VerifyRun, changed <-chan struct{}, err error) {
	v, id, err := s.verifier(id)
	if err != nil {
		return VerifyRun{}, nil, err
	}
	if v == nil {
		return VerifyRun{ID: id, Status: VerifyNone, Files: []VerifyFile{}}, nil, nil
	}
	run, changed = v.state()
	return run, changed, nil
}

// CancelVerification ends a verification that goes on, and returns when it has ended.
func (s *Service) CancelVerification(id string) (VerifyRun, error) {
	v, id, err := s.verifier(id)
	if err != nil {
		return VerifyRun{}, err
	}
	if v == nil {
		return VerifyRun{}, &ConflictError{fmt.Errorf("model %q: is not being verified", id)}
	}
	if run, _ := v.state(); run.Status != VerifyRunning {
		return run, &ConflictError{fmt.Errorf("model %q: its verification is %s", id, run.Status)}
	}
	v.cancel()
	v.finish(context.Canceled) // one that waits for its turn needs no turn to end
	run, _ := v.state()
	return run, nil
}

// verifier is the last verification of a model, nil where there is none.
func (s *Service) verifier(id string) (*verifier, string, error) {
	store, err := s.registry()
	if err != nil {
		return nil, id, err
	}
	files, err := filesOf(store, id)
	if err != nil {
		return nil, id, err
	}
	id = files[0].ID
	s.verifying.mu.Lock()
	defer s.verifying.mu.Unlock()
	return s.verifying.of[id], id, nil
}

func (v *verifier) state() (VerifyRun, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	run := v.run
	run.Files = slices.Clone(run.Files)
	return run, v.changed
}

// change changes the state, unless it is final, and tells those who wait.
func (v *verifier) change(fn func(r *VerifyRun)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.run.Status != VerifyRunning {
		return
	}
	fn(&v.run)
	v.told = time.Now()
	close(v.changed)
	v.changed = make(chan struct{})
}

// progress is change for what happens often.
func (v *verifier) progress(fn func(r *VerifyRun)) {
	v.mu.Lock()
	quiet := time.Since(v.told) < tellEvery
	v.mu.Unlock()
	if !quiet {
		v.change(fn)
	}
}

func (v *verifier) work(ctx context.Context, files []registry.Model) {
	var before int64
	for i, m := range files {
		if ctx.Err() != nil {
			break
		}
		v.change(func(r *VerifyRun) { r.Files[i].Status = "running" })
		out, err := verifyFile(ctx, m, func(done, total int64) {
			v.progress(func(r *VerifyRun) {
				done = min(done, m.Bytes) // the file may have grown
				r.Files[i].BytesDone, r.BytesDone = done, before+done
				rate, left := v.rate.Add(time.Now(), r.BytesDone, r.BytesTotal)
				r.BytesPerSecond, r.ETASeconds = rate, left.Seconds()
			})
		})
		if err != nil {
			break
		}
		before += m.Bytes
		v.change(func(r *VerifyRun) {
			f := &r.Files[i]
			if f.Status = "ok"; !out.OK {
				f.Status, f.Error = "failed", &out.Error
			}
			f.BytesDone, r.BytesDone = m.Bytes, before
		})
	}
	v.finish(ctx.Err())
}

// finish writes down how it ended.
func (v *verifier) finish(err error) {
	v.change(func(r *VerifyRun) {
		now := time.Now().UTC()
		r.Ended, r.BytesPerSecond, r.ETASeconds = &now, 0, 0
		if err != nil {
			r.Status = VerifyCancelled
			for i := range r.Files {
				if f := &r.Files[i]; f.Status == "running" {
					f.Status = "pending"
				}
			}
			return
		}
		r.Status = VerifyCompleted
		r.OK = !slices.ContainsFunc(r.Files, func(f VerifyFile) bool { return f.Status != "ok" })
	})
}
