package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func TestAJobFromRequestToFile(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	r := s.want(http.StatusCreated, nil, "POST", jobsPath,
		`{"name":"mine","source_model":`+quote(tinyLlama(t))+`,"output_formats":["gguf"],"gguf_quant_types":["Q4_K_M","Q8_0"]}`)
	var job jobs.Job
	if err := json.Unmarshal([]byte(r.body), &job); err != nil {
		t.Fatal(err)
	}
	if got, want := r.header.Get("Location"), jobsPath+"/"+job.ID; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	if job.Status != "queued" || job.TotalOutputs != 2 || job.SourceType != "local" || job.Estimate == nil {
		t.Errorf("got %s", r.body)
	}
	s.work()
	job = s.finished(job.ID)
	if job.Progress != 100 || job.Completed != 2 || job.Started == nil || job.Ended == nil || job.Error != nil {
		t.Errorf("got %+v", job)
	}

	var list outputList
	s.want(http.StatusOK, &list, "GET", jobsPath+"/"+job.ID+"/outputs", "")
	if list.JobID != job.ID || list.Total != 2 || list.Completed != 2 || len(list.Outputs) != 2 {
		t.Errorf("outputs: %+v", list)
	}
	for _, o := range list.Outputs {
		if want := job.ID + "-gguf-" + o.Type; o.ID != want {
			t.Errorf("output %s, want %s", o.ID, want)
		}
		d := s.want(http.StatusOK, nil, "GET", jobsPath+"/"+job.ID+"/outputs/"+o.ID+"/download", "")
		sum := sha256.Sum256([]byte(d.body))
		if got := hex.EncodeToString(sum[:]); got != *o.SHA256 {
			t.Errorf("%s: downloaded %s, registered %s", o.ID, got, *o.SHA256)
		}
	}

	logs := s.want(http.StatusOK, nil, "GET", jobsPath+"/"+job.ID+"/logs", "")
	lines := strings.Split(strings.TrimSpace(logs.body), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line %q", line)
		}
	}
	if ct := logs.header.Get("Content-Type"); ct != ndjsonType || len(lines) < 2 {
		t.Errorf("log of %d lines, %s", len(lines), ct)
	}
	tail := s.want(http.StatusOK, nil, "GET", jobsPath+"/"+job.ID+"/logs?tail=1", "")
	if got := strings.TrimSpace(tail.body); got != lines[len(lines)-1] {
		t.Errorf("tail %q, want %q", got, lines[len(lines)-1])
	}

	path := *list.Outputs[0].Path
	s.want(http.StatusNoContent, nil, "DELETE", jobsPath+"/"+job.ID+"?files=true", "")
	s.want(http.StatusNotFound, nil, "GET", jobsPath+"/"+job.ID, "")
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s: is still there", path)
	}
	if _, err := os.Stat(filepath.Join(tinyLlama(t), "config.json")); err != nil {
		t.Error(err)
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// TestOldClientsRequests sends what the clients of the system that this one replaces send.
func TestOldClientsRequests(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"create": 201, "create-nulls": 201, "create-config": 201, "estimate": 200} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, nil)
			body, err := os.ReadFile(filepath.Join("testdata", "old-client", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			if name == "estimate" {
				var e jobs.Estimate
				s.want(status, &e, "POST", quantizePath+"/estimate", string(body))
				if e.Count != 1 || e.Breakdown["gguf"] == nil || e.Warnings == nil || e.DownloadBytes == 0 {
					t.Errorf("got %+v", e)
				}
				return
			}
			var job jobs.Job
			s.want(status, &job, "POST", jobsPath, string(body))
			if job.SourceModel != hubModel || job.SourceType != "huggingface" || job.Status != "queued" {
				t.Errorf("got %+v", job)
			}
			if name == "create-nulls" && (len(job.Formats) != 1 || !slices.Equal(job.Types, []string{"Q4_K_M", "Q8_0"})) {
				t.Errorf("duplicates stay: %v, %v", job.Formats, job.Types)
			}
		})
	}
}

// oldJobFields are the fields that the old clients read.
var oldJobFields = strings.Fields(`id name description source_model source_type model_architecture output_formats gguf_quant_types
	gptq_bits awq_bits config status progress current_step total_outputs completed_outputs outputs created_at started_at
	completed_at error estimated_disk_gb estimated_time_minutes`)

func TestAJobHasEveryFieldOfTheContract(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	job := s.create("Q4_K_M")
	var got map[string]any
	s.want(http.StatusOK, &got, "GET", jobsPath+"/"+job.ID, "")
	for _, name := range append(oldJobFields, "revision", "commit", "bytes_done", "bytes_total", "bytes_per_second", "eta_seconds", "estimate") {
		if _, ok := got[name]; !ok {
			t.Errorf("no field %q", name)
		}
	}
	output := got["outputs"].([]any)[0].(map[string]any)
	for _, name := range strings.Fields(`id format quant_type file_path file_size status progress error created_at completed_at sha256 bits_per_weight rmse perplexity`) {
		if _, ok := output[name]; !ok {
			t.Errorf("no field %q of an output", name)
		}
	}
	if at, _ := got["created_at"].(string); !strings.HasSuffix(at, "Z") {
		t.Errorf("created_at %q is not in UTC", at)
	} else if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
		t.Error(err)
	}
}

func TestListsSayHowManyThereAre(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	var ids []string
	for range 3 {
		ids = append(ids, s.create("Q8_0").ID)
	}
	s.want(http.StatusOK, nil, "POST", jobsPath+"/"+ids[0]+"/cancel", "")
	for _, tt := range []struct {
		query string
		total int
		ids   []string
	}{
		{"", 3, []string{ids[2], ids[1], ids[0]}},
		{"?limit=1", 3, []string{ids[2]}},
		{"?limit=1&offset=1", 3, []string{ids[1]}},
		{"?offset=7", 3, nil},
		{"?status=queued", 2, []string{ids[2], ids[1]}},
		{"?status=queued,cancelled&limit=1000", 3, []string{ids[2], ids[1], ids[0]}},
		{"?status=failed", 0, nil},
		{"?search=no+such+job", 0, nil},
	} {
		var list jobs.JobList
		r := s.want(http.StatusOK, &list, "GET", jobsPath+tt.query, "")
		var got []string
		for _, j := range list.Jobs {
			got = append(got, j.ID)
		}
		if list.Total != tt.total || !slices.Equal(got, tt.ids) {
			t.Errorf("%q: total %d, %v; want %d, %v", tt.query, list.Total, got, tt.total, tt.ids)
		}
		if strings.Contains(r.body, `"jobs":null`) {
			t.Errorf("%q: no list: %s", tt.query, r.body)
		}
	}
}

func TestCancelRetryResume(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	job := s.create("Q8_0")
	at := jobsPath + "/" + job.ID
	var c map[string]string
	s.want(http.StatusOK, &c, "POST", at+"/cancel", "")
	if c["status"] != "cancelled" || c["job_id"] != job.ID {
		t.Errorf("got %v", c)
	}
	s.want(http.StatusBadRequest, nil, "POST", at+"/cancel", "")
	s.want(http.StatusConflict, nil, "POST", at+"/resume", "")
	s.want(http.StatusOK, &job, "POST", at+"/retry", "")
	if job.Status != "queued" {
		t.Errorf("is %s", job.Status)
	}
	s.want(http.StatusOK, &c, "POST", at+"/cancel", "{}") // some clients send a body where none is asked for
}

func TestDownloadInParts(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.work()
	job := s.finished(s.create("Q8_0").ID)
	at := jobsPath + "/" + job.ID + "/outputs/" + job.Outputs[0].ID + "/download"
	whole := s.want(http.StatusOK, nil, "GET", at, "")
	etag := `"` + *job.Outputs[0].SHA256 + `"`
	if whole.header.Get("ETag") != etag || whole.header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("headers %v", whole.header)
	}
	if got := whole.header.Get("Content-Disposition"); got != `attachment; filename=nexus-tiny-llama-Q8_0.gguf` {
		t.Errorf("Content-Disposition %q", got)
	}
	size := len(whole.body)
	const over = 3<<20 + 17 // more than one piece
	for _, tt := range []struct {
		name, part, cond string
		status           int
		want             string
	}{
		{"the beginning", "bytes=0-3", "", 206, "GGUF"},
		{"across pieces", "bytes=5-" + strconv.Itoa(over), "", 206, whole.body[5 : over+1]},
		{"from the middle", "bytes=" + strconv.Itoa(size-10) + "-", etag, 206, whole.body[size-10:]},
		{"the end", "bytes=-4", "", 206, whole.body[size-4:]},
		{"of another file", "bytes=0-3", `"other"`, 200, whole.body},
		{"behind the end", "bytes=" + strconv.Itoa(size) + "-", "", 416, ""},
	} {
		r := s.call("GET", at, "", "Range", tt.part, "If-Range", tt.cond)
		if tt.cond == "" {
			r = s.call("GET", at, "", "Range", tt.part)
		}
		if r.status != tt.status || tt.want != "" && r.body != tt.want {
			t.Errorf("%s: status %d, %d bytes; want %d, %d", tt.name, r.status, len(r.body), tt.status, len(tt.want))
		}
	}
	if r := s.call("GET", at, "", "If-None-Match", etag); r.status != http.StatusNotModified || r.body != "" {
		t.Errorf("unchanged: status %d", r.status)
	}
	if r := s.call("HEAD", at, ""); r.status != 200 || r.header.Get("Content-Length") != strconv.Itoa(size) || r.body != "" {
		t.Errorf("HEAD: %d, %v", r.status, r.header)
	}
	if err := os.Remove(*job.Outputs[0].Path); err != nil {
		t.Fatal(err)
	}
	s.want(http.StatusNotFound, nil, "GET", at, "")
}

func TestWhatCanBeMade(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	var formats []jobs.FormatInfo
	s.want(http.StatusOK, &formats, "GET", quantizePath+"/formats", "")
	available := map[string]bool{}
	for _, f := range formats {
		available[f.Format] = f.Available
	}
	if len(formats) != 3 || !available["gguf"] {
		t.Errorf("formats %+v", formats)
	}
	var types typeList
	s.want(http.StatusOK, &types, "GET", quantizePath+"/formats/gguf/types", "")
	if !slices.ContainsFunc(types.Types, func(t jobs.TypeInfo) bool {
		return t.Value == "Q4_K_M" && t.SizeFactor > 0.2 && t.SizeFactor < 0.4 && t.Bits > 4 && t.Description != ""
	}) {
		t.Errorf("types %+v", types)
	}
	var info jobs.ModelInfo
	s.want(http.StatusOK, &info, "GET", quantizePath+"/models/inspect?source="+hubModel, "")
	if info.Architecture != "llama" || !info.Supported || info.Commit == nil || *info.Commit != s.hub.Commit(hubModel) {
		t.Errorf("inspect %+v", info)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.work()
	var job jobs.Job
	s.want(http.StatusCreated, &job, "POST", jobsPath, `{"name":"hub","source_model":"`+hubModel+`","output_formats":["gguf"],"gguf_quant_types":["Q4_K_M","Q8_0"]}`)
	s.finished(job.ID)
	var list jobs.ModelList
	s.want(http.StatusOK, &list, "GET", registryPath+"/models", "")
	if list.Total != 1 || list.HasMore || len(list.Models) != 1 || list.Models[0].ID != hubModel {
		t.Fatalf("models %+v", list)
	}
	s.want(http.StatusOK, &list, "GET", registryPath+"/models?fits_bytes=1000", "")
	if list.Total != 0 || list.Models == nil {
		t.Errorf("nothing fits 1000 bytes, got %+v", list)
	}
	var stats jobs.Stats
	s.want(http.StatusOK, &stats, "GET", registryPath+"/stats", "")
	if stats.Models != 1 || stats.Variants != 2 {
		t.Errorf("stats %+v", stats)
	}
	var fits recommendationList
	s.want(http.StatusOK, &fits, "GET", registryPath+"/recommendations?vram_gb=8&context=2048", "")
	if len(fits.Recommendations) != 2 || fits.Recommendations[0].Variant.Type != "Q8_0" {
		t.Errorf("recommendations %+v", fits)
	}
	// the slash of an id may stand as it is or escaped
	for _, at := range []string{registryPath + "/models/" + hubModel, registryPath + "/models/meta-llama%2FLlama-2-7b-hf"} {
		var m jobs.Model
		s.want(http.StatusOK, &m, "GET", at, "")
		var variants variantList
		s.want(http.StatusOK, &variants, "GET", at+"/variants", "")
		if m.ID != hubModel || len(m.Variants) != 2 || variants.Total != 2 {
			t.Errorf("%s: %+v, %+v", at, m, variants)
		}
		for _, field := range strings.Fields(`filename path quantization size_bytes bits_per_weight sha256 vram_required_mb rmse perplexity kld created_at job_id missing`) {
			if r := s.call("GET", at+"/variants", ""); !strings.Contains(r.body, `"`+field+`":`) {
				t.Errorf("no field %q of a variant", field)
			}
		}
	}
	var one jobs.Variant
	s.want(http.StatusOK, &one, "GET", registryPath+"/variant?ref="+hubModel+":Q8_0", "")
	if one.Type != "Q8_0" || len(one.Tensors) == 0 || one.Tensors[0].Name == "" {
		t.Errorf("variant %q with %d tensors", one.Type, len(one.Tensors))
	}
	s.want(http.StatusNotFound, nil, "GET", registryPath+"/variant?ref=nothing", "")
	at := registryPath + "/models/" + hubModel
	s.want(http.StatusNotFound, nil, "GET", at+"/rating", "")
	var rating jobs.Rating
	s.want(http.StatusOK, &rating, "POST", at+"/rating", `{"rating":5,"notes":"good","tags":["small"]}`)
	s.want(http.StatusOK, &rating, "GET", registryPath+"/models/meta-llama%2FLlama-2-7b-hf/rating", "")
	if rating.Rating != 5 || rating.Notes != "good" || !slices.Equal(rating.Tags, []string{"small"}) {
		t.Errorf("rating %+v", rating)
	}
	s.want(http.StatusNoContent, nil, "DELETE", at, "")
	s.want(http.StatusNotFound, nil, "GET", at, "")
	if files, err := filepath.Glob(filepath.Join(s.out, "*.gguf")); err != nil || len(files) != 2 {
		t.Errorf("files left: %v, %v", files, err)
	}
}
