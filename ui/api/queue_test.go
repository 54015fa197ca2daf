package api

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func TestTheQueueIsReordered(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil) // without a worker, so that jobs stay queued
	a, b := s.create("Q8_0"), s.create("Q4_0")
	order := func() string {
		var q queue
		s.want(http.StatusOK, &q, "GET", quantizePath+"/queue", "")
		var list []string
		for _, j := range q.Jobs {
			list = append(list, j.ID)
		}
		return strings.Join(list, " ")
	}
	if got := order(); got != a.ID+" "+b.ID {
		t.Fatalf("got %s", got)
	}
	var moved jobs.Job
	s.want(http.StatusOK, &moved, "POST", jobsPath+"/"+b.ID+"/move", `{"to":"first"}`)
	if got := order(); got != b.ID+" "+a.ID || moved.ID != b.ID || moved.Priority <= 0 {
		t.Errorf("got %s, priority %d", got, moved.Priority)
	}
	s.want(http.StatusNotFound, nil, "POST", jobsPath+"/ffffffff/move", `{"to":"first"}`)
	r := s.want(http.StatusUnprocessableEntity, nil, "POST", jobsPath+"/"+b.ID+"/move", `{"to":"away"}`)
	if got := fields(t, r); len(got) != 1 || got[0] != "body.to enum" {
		t.Errorf("got %q", got)
	}
	s.want(http.StatusOK, nil, "POST", jobsPath+"/"+b.ID+"/cancel", "")
	s.want(http.StatusConflict, nil, "POST", jobsPath+"/"+b.ID+"/move", `{"to":"last"}`)
}

func TestAVerificationIsFollowed(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.work()
	made := *s.finished(s.create("Q8_0").ID).Outputs[0].Path
	path := registryPath + "/models/nexus-tiny-llama/verification"
	var run jobs.VerifyRun
	s.want(http.StatusOK, &run, "GET", path, "")
	if run.Status != jobs.VerifyNone {
		t.Errorf("before: %+v", run)
	}
	s.want(http.StatusConflict, nil, "POST", path+"/cancel", "")
	s.want(http.StatusAccepted, &run, "POST", path, "")
	if run.Status != jobs.VerifyRunning || len(run.Files) != 1 || run.Files[0].Path != made {
		t.Errorf("started: %+v", run)
	}
	stream := s.follow(path+"/events", 0)
	var last event
	for e, ok := stream.next(); ok; e, ok = stream.next() {
		last = e
	}
	stream.close()
	if last.kind != "verification" || !strings.Contains(last.data, `"status":"completed","ok":true`) {
		t.Errorf("the last event is %+v", last)
	}
	if err := os.Truncate(made, 1_000_000); err != nil {
		t.Fatal(err)
	}
	s.want(http.StatusAccepted, nil, "POST", path, "")
	stream = s.follow(path+"/events", 0)
	for e, ok := stream.next(); ok; e, ok = stream.next() {
		last = e
	}
	stream.close()
	if !strings.Contains(last.data, `"ok":false`) || !strings.Contains(last.data, "cut off") {
		t.Errorf("of a truncated file: %+v", last)
	}
	for _, tt := range [][2]string{{"GET", ""}, {"POST", ""}, {"POST", "/cancel"}, {"GET", "/events"}} {
		s.want(http.StatusNotFound, nil, tt[0], registryPath+"/models/org/nothing/verification"+tt[1], "")
	}
}
