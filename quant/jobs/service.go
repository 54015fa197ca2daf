package jobs

import (
	"context"
	"sync"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/registry"
)

// Service answers requests. It may be used by several goroutines at once, and by several processes that share a home.
type Service struct {
	hub      *hf.Client
	settings Settings
	version  string
	wake     chan struct{} // tells the worker of this process that there is something to do

	verifying verifiers

	once  sync.Once
	store *registry.Store
	err   error
}

// Open returns a service that works as the environment says: HF_TOKEN, HF_ENDPOINT, HF_HOME, NEXUS_QUANT_HOME, ...
// version is the program's. The registry is opened when it is first needed.
func Open(getenv func(string) string, version string) (*Service, error) {
	settings, err := LoadSettings(getenv)
	if err != nil {
		return nil, err
	}
	return &Service{hub: hf.NewClient(getenv, version), settings: settings, version: version, wake: make(chan struct{}, 1)}, nil
}

// Settings are what holds for this service.
func (s *Service) Settings() *Settings { return &s.settings }

// registry opens the store, once.
func (s *Service) registry() (*registry.Store, error) {
	s.once.Do(func() { s.store, s.err = registry.Open(s.settings.Home) })
	return s.store, s.err
}

// Types lists the file types that can be made, biggest first.
func Types() []quant.Preset { return quant.Presets() }

// Recommend names the types to offer first for a model of so many weights, best first.
func Recommend(weights int64) []string { return quant.Recommend(weights) }

// Stage names what a job is doing.
type Stage string

// The stages of a job, in order. A local model has no download.
const (
	Downloading Stage = "downloading"
	Quantizing  Stage = "quantizing"
	Verifying   Stage = "verifying"
)

// Progress tells how far a job is. Bytes never go back within a stage.
type Progress struct {
	Stage      Stage  `json:"stage"`
	Item       string `json:"item"` // file or tensor that was worked on last
	ItemsDone  int    `json:"items_done"`
	Items      int    `json:"items"`
	BytesDone  int64  `json:"bytes_done"`
	BytesTotal int64  `json:"bytes_total"`
}

// Observer follows a job. Its methods are called from one goroutine at a time.
type Observer interface {
	Planned(*Estimate)
	Progress(Progress)
	Started(id string) // the job has a number in the registry
	Note(text string)  // something worth saying that is no error
}

// Silent is an observer that looks away.
type Silent struct{}

// Planned does nothing.
func (Silent) Planned(*Estimate) {}

// Progress does nothing.
func (Silent) Progress(Progress) {}

// Started does nothing.
func (Silent) Started(string) {}

// Note does nothing.
func (Silent) Note(string) {}

// Result is what a finished job made.
type Result struct {
	Job      string         `json:"job,omitempty"`
	Model    string         `json:"model"`
	Commit   string         `json:"commit,omitempty"`
	Outputs  []OutputResult `json:"outputs"`
	Warnings []string       `json:"warnings,omitempty"`
}

// OutputResult is a file that was made, or why it was not.
type OutputResult struct {
	Type          string  `json:"type"`
	Path          string  `json:"path"`
	Bytes         int64   `json:"bytes"`
	BitsPerWeight float64 `json:"bits_per_weight"`
	SHA256        string  `json:"sha256,omitempty"`
	RMSE          float64 `json:"rmse,omitempty"`            // over all weights that were quantized
	Resumed       int     `json:"resumed_tensors,omitempty"` // that an earlier run had done
	Error         string  `json:"error,omitempty"`
}

// planned is a request with all that is known before a weight is read.
type planned struct {
	*source
	asked   quant.PlanOptions // what the plan was made of, importance weights included
	plan    *quant.Plan
	options quant.RunOptions
}

// plan opens the model and plans every output.
func (s *Service) plan(ctx context.Context, r *Request) (*planned, error) {
	o, err := r.planOptions()
	if err != nil {
		return nil, err
	}
	src, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	o = r.withTower(o, src.Model)
	src.Warnings = append(src.Warnings, r.textual(src.Model)...)
	p, err := quant.NewPlan(src.Model, o)
	if err != nil {
		src.close()
		return nil, err
	}
	return &planned{source: src, asked: o, plan: p, options: r.runOptions()}, nil
}
