package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// durations are the upper bounds of the histogram of answer times, in seconds.
var durations = [...]float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10}

// metrics counts what the interface does.
type metrics struct {
	started time.Time
	streams atomic.Int64 // open event streams

	mu       sync.Mutex
	requests map[requestKind]*requestCount
}

type requestKind struct {
	method, route string
	status        int
}

type requestCount struct {
	n       uint64
	seconds float64
	buckets [len(durations)]uint64
}

func newMetrics() *metrics {
	return &metrics{started: time.Now(), requests: map[requestKind]*requestCount{}}
}

// add notes an answer. Routes are the patterns of the mux and methods those that it knows, so that a client can't make
// the table grow.
func (m *metrics) add(r *http.Request, status int, took time.Duration) {
	_, route, _ := strings.Cut(r.Pattern, " ")
	kind := requestKind{"other", cmp.Or(route, "none"), cmp.Or(status, http.StatusOK)}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete:
		kind.method = r.Method
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.requests[kind]
	if c == nil {
		c = &requestCount{}
		m.requests[kind] = c
	}
	c.n++
	c.seconds += took.Seconds()
	for i, bound := range durations {
		if took.Seconds() <= bound {
			c.buckets[i]++
		}
	}
}

// write prints the counts in Prometheus's text format 0.0.4.
func (m *metrics) write(b *bytes.Buffer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kinds := slices.SortedFunc(maps.Keys(m.requests), func(x, y requestKind) int {
		return cmp.Or(cmp.Compare(x.route, y.route), cmp.Compare(x.method, y.method), cmp.Compare(x.status, y.status))
	})
	head(b, "nexus_quant_http_request_seconds", "histogram", "Time to answer requests; of event streams and downloads, how long they lasted.")
	for _, k := range kinds {
		c := m.requests[k]
		labels := fmt.Sprintf("method=%q,route=%q,status=\"%d\"", k.method, k.route, k.status)
		for i, bound := range durations {
			fmt.Fprintf(b, "nexus_quant_http_request_seconds_bucket{%s,le=\"%s\"} %d\n", labels, number(bound), c.buckets[i])
		}
		fmt.Fprintf(b, "nexus_quant_http_request_seconds_bucket{%s,le=\"+Inf\"} %d\n", labels, c.n)
		fmt.Fprintf(b, "nexus_quant_http_request_seconds_sum{%s} %s\n", labels, number(c.seconds))
		fmt.Fprintf(b, "nexus_quant_http_request_seconds_count{%s} %d\n", labels, c.n)
	}
}

func head(b *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func gauge(b *bytes.Buffer, name, help string, v float64) {
	head(b, name, "gauge", help)
	fmt.Fprintf(b, "%s %s\n", name, number(v))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// states are the states of jobs, for the gauges.
var states = []string{"queued", "downloading", "preparing", "quantizing", "completed", "failed", "cancelled", "interrupted"}

func (a *API) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	head(&b, "nexus_quant_info", "gauge", "The program.")
	fmt.Fprintf(&b, "nexus_quant_info{version=%q,go=%q} 1\n", a.options.Version, runtime.Version())
	a.jobGauges(&b)
	gauge(&b, "nexus_quant_event_streams", "Event streams that are open.", float64(a.metrics.streams.Load()))
	a.metrics.write(&b)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	gauge(&b, "process_start_time_seconds", "When the process began, in seconds since 1970.", float64(a.metrics.started.UnixMilli())/1000)
	gauge(&b, "go_goroutines", "Goroutines.", float64(runtime.NumGoroutine()))
	gauge(&b, "go_memstats_heap_inuse_bytes", "Bytes of the heap in use.", float64(mem.HeapInuse))
	gauge(&b, "go_memstats_sys_bytes", "Bytes taken from the system.", float64(mem.Sys))
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

func (a *API) jobGauges(b *bytes.Buffer) {
	st, err := a.service.Stats()
	if err != nil { // a scrape tells what it can
		a.options.Log("metrics: %v", err)
		return
	}
	head(b, "nexus_quant_jobs", "gauge", "Jobs by state.")
	for _, state := range states {
		fmt.Fprintf(b, "nexus_quant_jobs{status=%q} %d\n", state, st.Jobs[state])
	}
	gauge(b, "nexus_quant_models", "Models in the registry.", float64(st.Models))
	gauge(b, "nexus_quant_model_files", "Files in the registry.", float64(st.Variants))
	gauge(b, "nexus_quant_model_bytes", "Bytes of the files in the registry.", float64(st.Bytes))
}

// health answers monitors: 200 while the service can do its work, 503 otherwise.
func (a *API) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Cache-Control", "no-store")
	h := a.service.Health()
	if h.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h)
}
