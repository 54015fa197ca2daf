package api

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func TestFilesAreListedAndInspected(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.work()
	made := *s.finished(s.create("Q8_0").ID).Outputs[0].Path
	var list jobs.FileList
	s.want(http.StatusOK, &list, "GET", filesPath+"?search=tiny+q8", "")
	if len(list.Files) != 1 || list.Files[0].Path != made || list.Total != 1 {
		t.Fatalf("got %+v", list)
	}
	inspect := func(path string) string { return filesPath + "/inspect?path=" + url.QueryEscape(path) }
	var in jobs.Inspection
	s.want(http.StatusOK, &in, "GET", inspect(made), "")
	if in.Architecture != "llama" || in.FileType != "Q8_0" || len(in.Tensors) != 57 || *in.Tensors[0].Offset == 0 {
		t.Errorf("got %s %s, %d tensors", in.Architecture, in.FileType, len(in.Tensors))
	}
	text := filepath.Join(s.out, "text.gguf")
	if err := os.WriteFile(text, []byte("this is no model"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{text: 400, s.out: 400, "/etc/hostname": 403, made + ".gone": 404, "": 422} {
		s.want(status, nil, "GET", inspect(path), "")
	}
	// the model of a job: a damaged file is no fault of the server
	s.want(http.StatusBadRequest, nil, "GET", quantizePath+"/models/inspect?source="+url.QueryEscape(text), "")
	s.want(http.StatusUnprocessableEntity, nil, "GET", filesPath+"?limit=0", "")
}
