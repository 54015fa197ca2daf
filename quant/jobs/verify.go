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
		if err := keepVerified(store, m, v); err != nil {
			return list, fmt.Errorf("%s: read again, but the result could not be kept: %w", m.Path, err)
		}
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

// keepVerified records what reading a file again came to.
func keepVerified(store *registry.Store, m registry.Model, v Verification) error {
	return store.SetVerified(m.Path, m.SHA256, registry.Verified{At: time.Now(), OK: v.OK, Error: v.Error})
}

// VerifyRun is a verification of a model that goes on in the background, or what is known of the last ones of its files.
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
	VerifyNone      = "none" // no file was read again since it was made
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

	Ended *time.Time `json:"completed_at"` // when it was last read to its end
}

// verifyFileOf is a file with what is recorded of its last verification.
func verifyFileOf(m registry.Model) VerifyFile {
	f := VerifyFile{Path: m.Path, FileName: filepath.Base(m.Path), Type: m.FileType, Status: "pending", BytesTotal: m.Bytes}
	if v := m.Verified; v != nil {
		f.BytesDone, f.Ended, f.Error = m.Bytes, &v.At, optional(v.Error)
		if f.Status = "ok"; !v.OK {
			f.Status = "failed"
		}
	}
	return f
}

// recorded is what the records of files tell of their verifications, which may have been in other processes.
func recorded(files []registry.Model) VerifyRun {
	none := VerifyRun{ID: files[0].ID, Status: VerifyNone, Files: []VerifyFile{}}
	run := none
	run.OK = true
	for _, m := range files {
		f := verifyFileOf(m)
		run.Files = append(run.Files, f)
		run.BytesDone += f.BytesDone
		run.BytesTotal += f.BytesTotal
		run.OK = run.OK && f.Status == "ok"
		if f.Ended != nil {
			run.Status = VerifyCompleted
			if run.Ended == nil || f.Ended.After(*run.Ended) {
				run.Ended = f.Ended
			}
		}
	}
	if run.Status == VerifyNone {
		return none
	}
	return run
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
	unkept  bool          // a result could not be recorded: it is known here alone
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
		m.Verified = nil
		v.run.Files = append(v.run.Files, verifyFileOf(m))
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
		v.work(ctx, store, files)
	}()
	run, _ := v.state()
	return run, nil
}

// Verification says how far a verification of a model is that goes on, or what the last ones came to; changed is closed
// at the next change of one that goes on.
func (s *Service) Verification(id string) (run VerifyRun, changed <-chan struct{}, err error) {
	v, files, err := s.verifier(id)
	if err != nil {
		return VerifyRun{}, nil, err
	}
	if v == nil {
		return recorded(files), nil, nil
	}
	if run, changed = v.state(); run.Status == VerifyRunning {
		return run, changed, nil
	}
	if _, files, err = s.verifier(id); err != nil { // again: results are recorded before the end is told
		return VerifyRun{}, nil, err
	}
	known := recorded(files)
	later := known.Ended != nil && run.Ended != nil && known.Ended.After(*run.Ended) // by another process
	if v.unkeptResult() || run.Status == VerifyCancelled && !later {
		return run, changed, nil
	}
	return known, nil, nil
}

// CancelVerification ends a verification that goes on, and returns when it has ended.
func (s *Service) CancelVerification(id string) (VerifyRun, error) {
	v, files, err := s.verifier(id)
	if err != nil {
		return VerifyRun{}, err
	}
	if v == nil {
		return VerifyRun{}, &ConflictError{fmt.Errorf("model %q: is not being verified", files[0].ID)}
	}
	if run, _ := v.state(); run.Status != VerifyRunning {
		return run, &ConflictError{fmt.Errorf("model %q: its verification is %s", run.ID, run.Status)}
	}
	v.cancel()
	v.finish(context.Canceled) // one that waits for its turn needs no turn to end
	run, _ := v.state()
	return run, nil
}

// verifier is the last verification of a model in this process, nil where there is none, with the files of the name.
func (s *Service) verifier(id string) (*verifier, []registry.Model, error) {
	store, err := s.registry()
	if err != nil {
		return nil, nil, err
	}
	files, err := filesOf(store, id)
	if err != nil {
		return nil, nil, err
	}
	s.verifying.mu.Lock()
	defer s.verifying.mu.Unlock()
	return s.verifying.of[files[0].ID], files, nil
}

func (v *verifier) unkeptResult() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.unkept
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

func (v *verifier) work(ctx context.Context, store *registry.Store, files []registry.Model) {
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
		unkept := keepVerified(store, m, out) != nil
		m.Verified = &registry.Verified{At: time.Now().UTC(), OK: out.OK, Error: out.Error}
		v.change(func(r *VerifyRun) {
			r.Files[i], r.BytesDone = verifyFileOf(m), before
			v.unkept = v.unkept || unkept
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
