package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestOpenAPIIsReviewed keeps the description in the repository, so that a change to the interface is seen in a review.
func TestOpenAPIIsReviewed(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	r := s.want(http.StatusOK, nil, "GET", "/openapi.json", "")
	var got bytes.Buffer
	if err := json.Indent(&got, []byte(r.body), "", " "); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		a, b := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("%s:%d: got %s, want %s; go test ./ui/api -update writes it anew", golden, i+1, a[i], b[i])
			}
		}
		t.Fatalf("%s: got %d lines, want %d; go test ./ui/api -update writes it anew", golden, len(a), len(b))
	}
	if r := s.call("GET", "/openapi.json", "", "If-None-Match", r.header.Get("ETag")); r.status != http.StatusNotModified {
		t.Errorf("unchanged: status %d", r.status)
	}
}

// TestTheDescriptionIsWhole holds the description against the contract's list of operations.
func TestTheDescriptionIsWhole(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	var d struct {
		Paths map[string]map[string]struct {
			Summary   string
			Responses map[string]struct{ Content map[string]any }
		}
	}
	s.want(http.StatusOK, &d, "GET", "/openapi.json", "")
	for _, line := range strings.Split(`
post /api/v1/quantize/jobs 201 400 422 424 507
get /api/v1/quantize/jobs 200 422
get /api/v1/quantize/jobs/{id} 200 404
delete /api/v1/quantize/jobs/{id} 204 404 409
post /api/v1/quantize/jobs/{id}/cancel 200 400 404
post /api/v1/quantize/jobs/{id}/resume 200 404 409
post /api/v1/quantize/jobs/{id}/retry 200 404 409
get /api/v1/quantize/jobs/{id}/outputs 200 404
get /api/v1/quantize/jobs/{id}/outputs/{output_id}/download 200 206 404 409
get /api/v1/quantize/jobs/{id}/events 200 404
get /api/v1/quantize/jobs/{id}/logs 200 404
get /api/v1/quantize/events 200
post /api/v1/quantize/estimate 200 400 422 424
get /api/v1/quantize/formats 200
get /api/v1/quantize/formats/gguf/types 200
get /api/v1/quantize/models/inspect 200 404 424
get /api/v1/registry/stats 200
get /api/v1/registry/models 200
get /api/v1/registry/models/{id} 200 404
delete /api/v1/registry/models/{id} 204 404
get /api/v1/registry/models/{id}/variants 200 404
get /api/v1/registry/variant 200 404
get /api/v1/registry/models/{id}/rating 200 404
post /api/v1/registry/models/{id}/rating 200 404 422
get /api/v1/registry/recommendations 200
get /api/v1/quantize/jobs/{id}/outputs/{output_id}/provenance 200 404 409
get /api/v1/quantize/queue 200
post /api/v1/quantize/jobs/{id}/move 200 404 409 422
get /api/v1/registry/models/{id}/verification 200 404
post /api/v1/registry/models/{id}/verification 202 404
post /api/v1/registry/models/{id}/verification/cancel 200 404 409
get /api/v1/registry/models/{id}/verification/events 200 404
get /api/v1/files 200 422
get /api/v1/files/inspect 200 400 403 404 422`[1:], "\n") {
		word := strings.Fields(line)
		op, ok := d.Paths[word[1]][word[0]]
		if !ok || op.Summary == "" {
			t.Errorf("%s %s: not described", word[0], word[1])
		}
		for _, status := range word[2:] {
			r, ok := op.Responses[status]
			if !ok {
				t.Errorf("%s %s: no answer %s", word[0], word[1], status)
			}
			if _, ok := r.Content[problemType]; status >= "400" && !ok {
				t.Errorf("%s %s: %s without %s", word[0], word[1], status, problemType)
			}
		}
	}
}

func TestThePageNeedsNothingFromOutside(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	r := s.want(http.StatusOK, nil, "GET", "/docs", "")
	if found := regexp.MustCompile(`(?i)<script|<link|<img|(src|href)="?(https?:)?//|url\(|@import| on[a-z]+=|ZgotmplZ| style="`).FindString(r.body); found != "" {
		t.Errorf("holds %q", found)
	}
	policy := r.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "style-src 'sha256-") {
		t.Errorf("policy %q", policy)
	}
	style := r.body[strings.Index(r.body, "<style>")+len("<style>") : strings.Index(r.body, "</style>")]
	if style != docsStyle {
		t.Errorf("the style is not the one that the policy allows")
	}
	for _, text := range []string{"create-job", "GGUF", "/api/v1/registry/models/{id}", `id="CreateBody"`} {
		if !strings.Contains(r.body, text) {
			t.Errorf("does not show %s", text)
		}
	}
	for _, target := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(r.body, -1) {
		if !strings.Contains(r.body, `id="`+target[1]+`"`) {
			t.Errorf("links to %s, which is not there", target[1])
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.create("Q8_0")
	s.call("GET", jobsPath+"/nothing", "")
	s.call("BREW", "/anything-"+strings.Repeat("x", 100), "")
	r := s.want(http.StatusOK, nil, "GET", "/metrics", "")
	for _, line := range []string{
		`nexus_quant_jobs{status="queued"} 1`,
		`nexus_quant_http_request_seconds_count{method="POST",route="/api/v1/quantize/jobs",status="201"} 1`,
		`nexus_quant_http_request_seconds_count{method="GET",route="/api/v1/quantize/jobs/{id}",status="404"} 1`,
		`nexus_quant_http_request_seconds_count{method="other",route="none",status="404"} 1`,
		`nexus_quant_event_streams 0`,
	} {
		if !strings.Contains(r.body, line+"\n") {
			t.Errorf("no line %s in\n%s", line, r.body)
		}
	}
	form := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+)$`)
	types := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSuffix(r.body, "\n"), "\n") {
		if !form.MatchString(line) {
			t.Errorf("line %q", line)
		}
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if types[name] {
				t.Errorf("%s twice", name)
			}
			types[name] = true
		}
	}
	var h struct{ Status string }
	s.want(http.StatusOK, &h, "GET", "/healthz", "")
	if h.Status != "ok" {
		t.Errorf("health %+v", h)
	}
}
