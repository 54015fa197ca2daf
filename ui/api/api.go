// Package api is the HTTP interface: each operation is one registration that calls one method of the service. The
// OpenAPI description, the checks of requests and the page to read come from the same types.
package api

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Service is what the interface needs of the program.
type Service interface {
	Submit(ctx context.Context, spec jobs.Spec) (jobs.Job, error)
	Job(id string) (jobs.Job, error)
	Jobs(f jobs.JobFilter) (jobs.JobList, error)
	Cancel(ctx context.Context, id string) (jobs.Job, error)
	Resume(ctx context.Context, id string) (jobs.Job, error)
	Retry(ctx context.Context, id string, force bool) (jobs.Job, error)
	Queue() ([]jobs.Job, error)
	Move(ctx context.Context, id, to string) (jobs.Job, error)
	Delete(ctx context.Context, id string, files bool) (freed int64, err error)
	Output(id, outputID string) (jobs.Output, error)
	Provenance(id, outputID string) (json.RawMessage, error)
	// Events yields what happens to a job, or to all if id is empty, after the event with that number, until ctx ends.
	Events(ctx context.Context, id string, after uint64) iter.Seq2[jobs.Event, error]
	Log(id string, tail int) ([]json.RawMessage, error)
	EstimateSpec(ctx context.Context, spec jobs.Spec) (*jobs.Estimate, error)
	InspectModel(ctx context.Context, source, revision string) (*jobs.ModelInfo, error)
	Formats() []jobs.FormatInfo
	GGUFTypes() []jobs.TypeInfo
	TensorTypes() []jobs.TensorTypeInfo
	GGUFFiles(ctx context.Context, search string, limit int) (jobs.FileList, error)
	InspectFile(path string) (*jobs.Inspection, error)
	Models(f jobs.ModelFilter) (jobs.ModelList, error)
	Model(id string) (jobs.Model, error)
	Variants(id string) ([]jobs.Variant, error)
	Variant(ref string) (jobs.Model, jobs.Variant, error)
	DeleteModel(ctx context.Context, id string, files bool) error
	StartVerification(id string) (jobs.VerifyRun, error)
	// Verification says how far it is; changed is closed when that is no longer so.
	Verification(id string) (run jobs.VerifyRun, changed <-chan struct{}, err error)
	CancelVerification(id string) (jobs.VerifyRun, error)
	Rate(id string, r jobs.Rating) (jobs.Rating, error)
	Rating(id string) (jobs.Rating, error)
	Recommendations(vramBytes, ramBytes, contextLength int64) ([]jobs.Recommendation, error)
	Stats() (jobs.Stats, error)
	Health() jobs.Health
}

// Options are what an interface is made with. The zero value works.
type Options struct {
	Version string
	Log     func(format string, args ...any) // for what an operator should know; nil drops it

	heartbeat time.Duration // of event streams; 0: 15 s
	patience  time.Duration // how long a reader of events may block; 0: 10 s
}

// API answers requests. It may be used by several goroutines at once.
type API struct {
	service Service
	options Options
	mux     *http.ServeMux
	huma    huma.API
	metrics *metrics
	spec    []byte // openapi.json

	topics  topics
	closing chan struct{}
	close   sync.Once
}

// base is where the operations of the contract lie.
const base = "/api/v1"

// New makes the interface to a service.
func New(service Service, o Options) *API {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.heartbeat == 0 {
		o.heartbeat = 15 * time.Second
	}
	if o.patience == 0 {
		o.patience = 10 * time.Second
	}
	a := &API{service: service, options: o, mux: http.NewServeMux(), metrics: newMetrics(), closing: make(chan struct{})}
	a.topics = topics{service: service, log: o.Log, open: map[string]*topic{}}
	setUpHuma()
	a.huma = humago.New(routes{a.mux}, huma.Config{
		OpenAPI: &huma.OpenAPI{
			Info: &huma.Info{
				Title: "nexus-quant", Version: o.Version,
				Description: "Turns Hugging Face models into quantized GGUF files. Sizes are bytes, GB is 10^9 bytes, times are RFC 3339 in UTC.",
				License:     &huma.License{Name: "MIT", Identifier: "MIT"},
			},
			Tags: []*huma.Tag{
				{Name: tagJobs, Description: "Jobs and the files that they make."},
				{Name: tagPlan, Description: "What can be made, and what it would take. Only headers are read."},
				{Name: tagRegistry, Description: "Finished models."},
				{Name: tagFiles, Description: "GGUF files below the allowed folders, whoever made them."},
			},
		},
		Formats:      map[string]huma.Format{jsonType: huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		Transformers: []huma.Transformer{errorForm},
	})
	a.registerJobs()
	a.registerOutputs()
	a.registerEvents()
	a.registerPlan()
	a.registerRegistry()
	a.registerVerification()
	a.registerFiles()
	a.describe()
	a.mux.HandleFunc("GET /healthz", a.health)
	a.mux.HandleFunc("GET /metrics", a.serveMetrics)
	return a
}

// setUpHuma sets what huma keeps in package variables: the form of errors, exact field names, lists without null.
var setUpHuma = sync.OnceFunc(func() {
	huma.NewError = refuse
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return refuse(status, msg, errs...)
	}
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
})

// Close ends the event streams. Clients come back to another process with the number of their last event.
func (a *API) Close() {
	a.close.Do(func() { close(a.closing) })
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	defer func() {
		if v := recover(); v != nil {
			a.crashed(rec, r, v)
		}
		a.metrics.add(r, rec.status, time.Since(start))
	}()
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if _, pattern := a.mux.Handler(r); pattern != "" {
		a.mux.ServeHTTP(rec, r)
		return
	}
	a.unrouted(rec, r)
}
