package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
	"github.com/nexus-quant/nexus-quant/registry"
)

func TestWrongFieldsAreNamed(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	const good = `"name":"n","source_model":"a/b","output_formats":["gguf"],"gguf_quant_types":["Q4_K_M"]`
	for _, tt := range []struct {
		name, body string
		want       []string
	}{
		{"no body", ``, []string{"body missing"}},
		{"no JSON", `{"name":`, []string{"body json_invalid"}},
		{"not an object", `[]`, []string{"body dict_type"}},
		{"two values", `{` + good + `}{}`, []string{"body json_invalid"}},
		{"nothing in it", `{}`, []string{"body.name missing", "body.output_formats missing", "body.source_model missing"}},
		{"no name", `{"name":"","source_model":"a/b","output_formats":["gguf"],"gguf_quant_types":["Q4_K_M"]}`, []string{"body.name string_too_short"}},
		{"a name of blanks", `{"name":" ","source_model":"a/b","output_formats":["gguf"],"gguf_quant_types":["Q4_K_M"]}`, []string{"body.name value_error"}},
		{"no formats", `{"name":"n","source_model":"a/b","output_formats":[]}`, []string{"body.output_formats too_short"}},
		{"an unknown format", `{"name":"n","source_model":"a/b","output_formats":["exl2"]}`, []string{"body.output_formats.0 enum"}},
		{"gguf without types", `{"name":"n","source_model":"a/b","output_formats":["gguf"]}`, []string{"body.gguf_quant_types value_error"}},
		{"an unknown type", `{"name":"n","source_model":"a/b","output_formats":["gguf"],"gguf_quant_types":["Q4_K_X"]}`, []string{"body.gguf_quant_types enum"}},
		{"an unknown source", `{` + good + `,"source_type":"ftp"}`, []string{"body.source_type enum"}},
		{"a field that isn't one", `{` + good + `,"quant_types":[]}`, []string{"body.quant_types extra_forbidden"}},
		{"another spelling", `{` + good + `,"Priority":1}`, []string{"body.Priority extra_forbidden"}},
		{"an option that isn't one", `{` + good + `,"config":{"use_gpu":true}}`, []string{"body.config.use_gpu extra_forbidden"}},
		{"an option that can't be honoured", `{` + good + `,"config":{"keep_intermediate":true}}`, []string{"body.config.keep_intermediate value_error"}},
		{"an option of the wrong type", `{` + good + `,"config":{"threads":"four","pure":1}}`, []string{"body.config.pure bool_type", "body.config.threads int_type"}},
		{"a rule without a type", `{` + good + `,"config":{"tensor_types":[{"pattern":"x"}]}}`, []string{"body.config.tensor_types.0.type missing"}},
		{"a rule that is no expression", `{` + good + `,"config":{"tensor_types":[{"pattern":"x","type":"q8_0"},{"pattern":"a(b","type":"q8_0"}]}}`, []string{"body.config.tensor_types.1 value_error"}},
		{"types of tensors that aren't any", `{` + good + `,"config":{"output_tensor_type":"q9","token_embedding_type":"Q4_K_M"}}`, []string{"body.config.output_tensor_type enum", "body.config.token_embedding_type enum"}},
		{"a negative number", `{` + good + `,"config":{"threads":-1}}`, []string{"body.config.threads greater_than_equal"}},
	} {
		r := s.want(http.StatusUnprocessableEntity, nil, "POST", jobsPath, tt.body)
		got := fields(t, r)
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for query, want := range map[string]string{
		jobsPath + "?limit=0":                          "query.limit greater_than_equal",
		jobsPath + "?limit=1001":                       "query.limit less_than_equal",
		jobsPath + "?limit=ten":                        "query.limit int_parsing",
		jobsPath + "?offset=-1":                        "query.offset greater_than_equal",
		jobsPath + "?status=running":                   "query.status.0 enum",
		quantizePath + "/models/inspect":               "query.source missing",
		registryPath + "/models?limit=5000":            "query.limit less_than_equal",
		registryPath + "/recommendations?vram_gb=many": "query.vram_gb float_parsing",
	} {
		if got := fields(t, s.want(http.StatusUnprocessableEntity, nil, "GET", query, "")); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
	}
	if got := fields(t, s.want(http.StatusUnprocessableEntity, nil, "POST", registryPath+"/models/a/b/rating", `{"rating":6}`)); !slices.Equal(got, []string{"body.rating less_than_equal"}) {
		t.Errorf("rating: got %v", got)
	}
	var many strings.Builder
	for i := range 10000 {
		many.WriteString(`,"x` + strconv.Itoa(i) + `":1`)
	}
	if got := fields(t, s.want(http.StatusUnprocessableEntity, nil, "POST", jobsPath, `{`+good+many.String()+`}`)); len(got) != maxFieldErrors {
		t.Errorf("%d errors, want %d", len(got), maxFieldErrors)
	}
}

func TestUnknownNamesAreNotFound(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	const id = "/0b0b0b0b-0000-4000-8000-000000000000"
	for _, at := range []string{
		"GET " + jobsPath + id, "DELETE " + jobsPath + id, "POST " + jobsPath + id + "/cancel", "POST " + jobsPath + id + "/resume",
		"POST " + jobsPath + id + "/retry", "GET " + jobsPath + id + "/outputs", "GET " + jobsPath + id + "/outputs/x/download",
		"GET " + jobsPath + id + "/events", "GET " + jobsPath + id + "/logs",
		"GET " + registryPath + "/models/a/b", "DELETE " + registryPath + "/models/a/b", "GET " + registryPath + "/models/a/b/variants",
		"GET " + registryPath + "/models/a/b/rating", "GET " + quantizePath + "/models/inspect?source=no/body", "GET /api/v2/quantize/jobs",
		"GET /api/v1/registry/models/a/b/c/d", "GET /",
	} {
		method, path, _ := strings.Cut(at, " ")
		r := s.want(http.StatusNotFound, nil, method, path, "")
		var e struct{ Detail string }
		if err := json.Unmarshal([]byte(r.body), &e); err != nil || e.Detail == "" {
			t.Errorf("%s: %q, %v", at, r.body, err)
		}
	}
	s.want(http.StatusNotFound, nil, "POST", registryPath+"/models/a/b/rating", `{"rating":3}`)
	job := s.create("Q8_0")
	s.want(http.StatusNotFound, nil, "GET", jobsPath+"/"+job.ID+"/outputs/nothing/download", "")
	s.want(http.StatusConflict, nil, "GET", jobsPath+"/"+job.ID+"/outputs/"+job.ID+"-gguf-Q8_0/download", "")
}

func TestMethodsThatAPathDoesNotHave(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for at, allow := range map[string]string{
		"PUT " + jobsPath:                     "GET, HEAD, POST",
		"GET " + quantizePath + "/estimate":   "POST",
		"POST " + registryPath + "/stats":     "GET, HEAD",
		"DELETE " + jobsPath + "/some/cancel": "POST",
	} {
		method, path, _ := strings.Cut(at, " ")
		if r := s.want(http.StatusMethodNotAllowed, nil, method, path, ""); r.header.Get("Allow") != allow {
			t.Errorf("%s: Allow %q, want %q", at, r.header.Get("Allow"), allow)
		}
	}
}

// post is the body of a job of a source.
func post(source string) string {
	return `{"name":"n","source_model":` + quote(source) + `,"output_formats":["gguf"],"gguf_quant_types":["Q8_0"]}`
}

func TestWhatCanNotEndWellIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.hub.RequireToken("a token that nobody has")
	s.hub.Gate(gatedModel)
	outside := t.TempDir()
	link := filepath.Join(s.out, "link")
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(outside, os.DirFS(tinyLlama(t))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, body string
		status     int
		want       string // in the detail
	}{
		{"a licence that must be accepted", post(gatedModel), 424, gatedModel},
		{"a format that is not there yet", `{"name":"n","source_model":"a/b","output_formats":["gptq"]}`, 400, "gptq"},
		{"a folder outside the allowed ones", post(outside), 403, "outside"},
		{"a link to a folder outside", post(link), 403, "outside"},
		{"outputs outside", strings.TrimSuffix(post(tinyLlama(t)), "}") + `,"output_dir":` + quote(outside) + `}`, 403, "outside"},
		{"a matrix outside", strings.TrimSuffix(post(tinyLlama(t)), "}") + `,"config":{"imatrix_file":"/etc/passwd"}}`, 403, "outside"},
		{"a source of another kind", strings.TrimSuffix(post(tinyLlama(t)), "}") + `,"source_type":"gguf"}`, 400, "local"},
	} {
		var e struct{ Detail string }
		s.want(tt.status, &e, "POST", jobsPath, tt.body)
		if !strings.Contains(e.Detail, tt.want) {
			t.Errorf("%s: %q does not name %q", tt.name, e.Detail, tt.want)
		}
	}
	var list jobs.JobList
	s.want(http.StatusOK, &list, "GET", jobsPath, "")
	if list.Total != 0 {
		t.Errorf("%d jobs were made", list.Total)
	}
	s.want(http.StatusForbidden, nil, "GET", quantizePath+"/models/inspect?source="+outside, "")
}

func TestAModelThatIsNotThereIsABadRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for _, path := range []string{jobsPath, quantizePath + "/estimate"} {
		var e struct{ Detail string }
		s.want(http.StatusBadRequest, &e, "POST", path, post("no/body"))
		if !strings.Contains(e.Detail, "no/body") {
			t.Errorf("%s: %q", path, e.Detail)
		}
	}
}

func TestAnotherOwnersJobIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	job := s.create("Q8_0")
	store, err := registry.Open(s.home)
	if err != nil {
		t.Fatal(err)
	}
	self, err := registry.Self()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Claim(job.ID, self); err != nil {
		t.Fatal(err)
	}
	at := jobsPath + "/" + job.ID
	s.want(http.StatusConflict, nil, "DELETE", at, "")
	s.want(http.StatusConflict, nil, "POST", at+"/resume", "")
	s.want(http.StatusConflict, nil, "POST", at+"/retry", "")
	s.want(http.StatusOK, nil, "GET", at, "")
}

// failing is a service whose Submit, EstimateSpec and Stats fail.
type failing struct {
	Service
	err error
}

func (f failing) Submit(context.Context, jobs.Spec) (jobs.Job, error) { return jobs.Job{}, f.err }
func (f failing) EstimateSpec(context.Context, jobs.Spec) (*jobs.Estimate, error) {
	return nil, f.err
}
func (f failing) Stats() (jobs.Stats, error) { panic("a bug with a secret") }
func (f failing) Health() jobs.Health        { return jobs.Health{Status: "degraded", Error: f.err.Error()} }

func TestADiskThatIsTooSmall(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(s Service) Service {
		return failing{s, &jobs.DiskError{Dir: "/data", Need: 3e9, Free: 1e9}}
	})
	var e struct{ Detail, Hint string }
	s.want(http.StatusInsufficientStorage, &e, "POST", jobsPath, post("a/b"))
	if !strings.Contains(e.Detail, "3.00 GB") || !strings.Contains(e.Hint, "2.00 GB") {
		t.Errorf("got %+v", e)
	}
}

func TestAPanicIsNotShown(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(s Service) Service { return failing{s, errors.New("x")} })
	if r := s.want(http.StatusInternalServerError, nil, "GET", registryPath+"/stats", ""); strings.Contains(r.body, "secret") {
		t.Errorf("shows %s", r.body)
	}
	s.want(http.StatusOK, nil, "GET", jobsPath, "") // and the server lives
}

func TestMonitorsSeeWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(s Service) Service { return failing{s, errors.New("the disk is gone")} })
	if r := s.want(http.StatusServiceUnavailable, nil, "GET", "/healthz", ""); !strings.Contains(r.body, "the disk is gone") {
		t.Errorf("says %s", r.body)
	}
}

func TestProblemDetailsForThoseWhoAsk(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", jobsPath + "/00", "", 404}, {"GET", "/nowhere", "", 404}, {"PUT", jobsPath, "", 405}, {"POST", jobsPath, "{}", 422},
	} {
		var p problem
		r := s.want(tt.status, &p, tt.method, tt.path, tt.body, "Accept", "application/problem+json, application/json")
		if ct := r.header.Get("Content-Type"); ct != problemType {
			t.Errorf("%s: %s", tt.path, ct)
		}
		if p.Status != tt.status || p.Type != "about:blank" || p.Title != http.StatusText(tt.status) || p.Detail == "" {
			t.Errorf("%s: %+v", tt.path, p)
		}
		if tt.status == 422 && len(p.Errors) != 3 {
			t.Errorf("errors %+v", p.Errors)
		}
	}
}

func TestBodiesThatAreNotJSON(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.want(http.StatusUnsupportedMediaType, nil, "POST", jobsPath, "name=n", "Content-Type", "application/x-www-form-urlencoded")
	s.want(http.StatusRequestEntityTooLarge, nil, "POST", jobsPath, `{"name":"`+strings.Repeat("x", maxBody)+`"}`)
}
