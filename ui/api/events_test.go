package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// event is one that a client got.
type event struct {
	id   uint64
	kind string
	data string
}

// reader is a client of an event stream.
type reader struct {
	t    testing.TB
	resp *http.Response
	scan *bufio.Scanner
	stop context.CancelFunc
	// comments that came, the lines that clients pass over
	comments []string
}

// follow opens a stream; last is the id to go on after, 0 for none.
func (s *server) follow(path string, last uint64) *reader {
	s.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if last > 0 {
		r.Header.Set("Last-Event-ID", strconv.FormatUint(last, 10))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != eventsType || resp.Header.Get("X-Accel-Buffering") != "no" {
		s.t.Fatalf("status %d, %v", resp.StatusCode, resp.Header)
	}
	c := &reader{t: s.t, resp: resp, scan: bufio.NewScanner(resp.Body), stop: stop}
	c.scan.Buffer(nil, 1<<20)
	s.t.Cleanup(c.close)
	return c
}

func (c *reader) close() { c.stop(); c.resp.Body.Close() }

// next returns the next event; ok is false at the end of the stream.
func (c *reader) next() (e event, ok bool) {
	for c.scan.Scan() {
		name, value, _ := strings.Cut(c.scan.Text(), ": ")
		switch name {
		case "id":
			e.id, _ = strconv.ParseUint(value, 10, 64)
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if value != "" {
				c.comments = append(c.comments, value)
			} else if e.kind != "" {
				return e, true
			}
		}
	}
	return e, false
}

// must returns the next event, of which there must be one.
func (c *reader) must() event {
	c.t.Helper()
	e, ok := c.next()
	if !ok {
		c.t.Fatalf("the stream ended: %v", c.scan.Err())
	}
	return e
}

// untilDone reads until the job has ended.
func (c *reader) untilDone() (list []event) {
	for {
		e := c.must()
		list = append(list, e)
		var state struct{ Status string }
		if json.Unmarshal([]byte(e.data), &state) == nil && (e.kind == "state" || e.kind == "snapshot") && state.Status == "completed" {
			return list
		}
	}
}

func TestAStreamTellsAJobsWholeStory(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	job := s.create("Q4_K_M", "Q8_0")
	c := s.follow(jobsPath+"/"+job.ID+"/events", 0)
	first := c.must()
	var snapshot jobs.Job
	if err := json.Unmarshal([]byte(first.data), &snapshot); err != nil || first.kind != "snapshot" || snapshot.Status != "queued" || snapshot.ID != job.ID {
		t.Fatalf("began with %+v, %v", first, err)
	}
	s.work()
	list := c.untilDone()
	kinds := map[string]int{}
	last := first.id
	for _, e := range list {
		kinds[e.kind]++
		if e.id <= last && !(e.kind == "snapshot" && e.id == last) {
			t.Errorf("event %d after %d", e.id, last)
		}
		last = e.id
		var data struct {
			JobID string `json:"job_id"`
			ID    string `json:"id"`
		}
		if err := json.Unmarshal([]byte(e.data), &data); err != nil || data.JobID != job.ID && data.ID != job.ID {
			t.Errorf("event %d: %s, %v", e.id, e.data, err)
		}
	}
	for _, kind := range []string{"state", "output"} {
		if kinds[kind] == 0 {
			t.Errorf("no event %q among %v", kind, kinds)
		}
	}
}

// TestAReaderThatComesBackMissesNothing breaks the stream off after every event and goes on with the id of the last.
func TestAReaderThatComesBackMissesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	job := s.create("Q4_K_M", "Q8_0")
	path := jobsPath + "/" + job.ID + "/events"
	whole := s.follow(path, 0)
	first := whole.must()
	s.work()
	want := whole.untilDone()
	want = slices.DeleteFunc(want, func(e event) bool { return e.kind == "snapshot" })
	whole.close()

	start := want[0].id - 1
	if first.id < start {
		start = first.id
	}
	var got []event
	last := max(start, 1) // 0 would ask for a snapshot
	want = slices.DeleteFunc(want, func(e event) bool { return e.id <= last })
	for len(got) < len(want) {
		c := s.follow(path, last)
		for range 1 + len(got)%3 {
			if len(got) == len(want) {
				break
			}
			e := c.must()
			got, last = append(got, e), e.id
		}
		c.close()
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	// through the query too
	c := s.follow(path+"?after="+strconv.FormatUint(want[0].id, 10), 0)
	if e := c.must(); e != want[1] {
		t.Errorf("got %v, want %v", e, want[1])
	}
}

func TestAllJobsOnOneStream(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := s.follow(quantizePath+"/events", 0)
	time.Sleep(100 * time.Millisecond) // the service begins with what changes from now on
	one, two := s.create("Q8_0"), s.create("Q4_K_M")
	seen := map[string]uint64{}
	for len(seen) < 2 {
		e := c.must()
		var job jobs.Job
		if err := json.Unmarshal([]byte(e.data), &job); err != nil {
			t.Fatal(err)
		}
		seen[job.ID] = e.id
	}
	if seen[one.ID] == 0 || seen[two.ID] == 0 {
		t.Errorf("saw %v", seen)
	}
	// another reader goes on after the first of them
	again := s.follow(quantizePath+"/events", seen[one.ID])
	if e := again.must(); e.id != seen[two.ID] {
		t.Errorf("event %d, want %d", e.id, seen[two.ID])
	}
	s.want(http.StatusNoContent, nil, "DELETE", jobsPath+"/"+one.ID, "")
	if e := again.must(); e.kind != "state" || !strings.Contains(e.data, one.ID) || !strings.Contains(e.data, "deleted") {
		t.Errorf("got %+v", e)
	}
}

// scripted is a service whose events come from a test. Event n has the number n.
type scripted struct {
	Service
	send  chan int // ask for so many more
	opens atomic.Int32
	size  int // bytes of data of each event
}

func (s *scripted) Events(ctx context.Context, id string, after uint64) iter.Seq2[jobs.Event, error] {
	return func(yield func(jobs.Event, error) bool) {
		s.opens.Add(1)
		data := json.RawMessage(fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", s.size)))
		if id != "" && after == 0 {
			if !yield(jobs.Event{Seq: 1, JobID: id, Type: "snapshot", Data: data}, nil) {
				return
			}
			after = 1
		}
		for {
			select {
			case n := <-s.send:
				for range n {
					after++
					if !yield(jobs.Event{Seq: after, JobID: id, Type: "progress", Data: data}, nil) {
						return
					}
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// newScripted starts a server whose events the test sends.
func newScripted(t testing.TB, size int, heartbeat, patience time.Duration) (*server, *scripted) {
	script := &scripted{send: make(chan int), size: size}
	s := newServer(t, func(real Service) Service { script.Service = real; return script })
	s.api.options.heartbeat, s.api.options.patience = heartbeat, patience
	return s, script
}

func TestAQuietStreamBeats(t *testing.T) {
	t.Parallel()
	s, script := newScripted(t, 1, 20*time.Millisecond, time.Second)
	c := s.follow(quantizePath+"/events", 0)
	time.Sleep(150 * time.Millisecond)
	script.send <- 1
	c.must()
	if len(c.comments) < 2 {
		t.Errorf("comments %q", c.comments)
	}
}

func TestReadersShareOneSubscription(t *testing.T) {
	t.Parallel()
	s, script := newScripted(t, 1, time.Minute, time.Second)
	var readers []*reader
	for range 20 {
		readers = append(readers, s.follow(quantizePath+"/events", 0))
	}
	for s.api.metrics.streams.Load() < 20 || script.opens.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	script.send <- 3
	for i, c := range readers {
		for n := range uint64(3) {
			if e := c.must(); e.id != n+1 {
				t.Errorf("reader %d: event %d, want %d", i, e.id, n+1)
			}
		}
	}
	if n := script.opens.Load(); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
	for _, c := range readers {
		c.close()
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		s.api.topics.mu.Lock()
		open := len(s.api.topics.open)
		s.api.topics.mu.Unlock()
		if open == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the subscription stays open without readers")
		}
	}
}

// TestASlowReaderIsDropped has one reader that takes nothing and one that takes all.
func TestASlowReaderIsDropped(t *testing.T) {
	t.Parallel()
	s, script := newScripted(t, 50_000, time.Minute, 200*time.Millisecond)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s/events HTTP/1.1\r\nHost: localhost\r\n\r\n", quantizePath)
	quick := s.follow(quantizePath+"/events", 0)
	for s.api.metrics.streams.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	const events = 2 * ringSize // 25 MB: no socket holds that
	go func() {
		for range events / 8 {
			script.send <- 8
			time.Sleep(2 * time.Millisecond) // as fast as a reader that is well
		}
	}()
	start := time.Now()
	for n := range uint64(events) {
		if e := quick.must(); e.id != n+1 {
			t.Fatalf("the quick reader got event %d (%s %.80s), want %d", e.id, e.kind, e.data, n+1)
		}
	}
	t.Logf("the quick reader took %v", time.Since(start))
	for deadline := time.Now().Add(5 * time.Second); s.api.metrics.streams.Load() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the slow reader is still there")
		}
	}
}

// TestAReaderOvertakenByTheRingIsTold lets a reader pause while more happens than is kept.
func TestAReaderOvertakenByTheRingIsTold(t *testing.T) {
	t.Parallel()
	topic := &topic{wake: make(chan struct{})}
	for n := range uint64(ringSize + 1) {
		topic.add(entry{seq: n + 1})
	}
	if _, _, _, over, err := topic.read(0); !over || err != errSlow {
		t.Errorf("over %v, %v", over, err)
	}
	if _, ok := topic.locate(0); ok {
		t.Error("finds a place that is gone")
	}
	if place, ok := topic.locate(2); !ok || place != 2 {
		t.Errorf("place %d, %v", place, ok)
	}
	list, next, _, _, _ := topic.read(ringSize)
	if len(list) != 1 || list[0].seq != ringSize+1 || next != ringSize+1 {
		t.Errorf("got %v, %d", list, next)
	}
}

// TestCatchingUpMeetsTheLiveEvents resumes from before the ring while events go on.
func TestCatchingUpMeetsTheLiveEvents(t *testing.T) {
	t.Parallel()
	s, script := newScripted(t, 1, time.Minute, time.Second)
	live := s.follow(quantizePath+"/events", 5000) // the topic begins here
	for script.opens.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	go func() {
		for {
			select {
			case script.send <- 1: // to whichever subscription asks
				time.Sleep(time.Millisecond)
			case <-time.After(2 * time.Second):
				return
			}
		}
	}()
	for range 10 {
		live.must()
	}
	old := s.follow(quantizePath+"/events", 4990)
	for want := uint64(4991); want < 5030; want++ {
		if e := old.must(); e.id != want {
			t.Fatalf("event %d, want %d", e.id, want)
		}
	}
}

func TestAServerThatStopsEndsItsStreams(t *testing.T) {
	t.Parallel()
	s, _ := newScripted(t, 1, time.Minute, time.Second)
	c := s.follow(quantizePath+"/events", 0)
	s.api.Close()
	if e, ok := c.next(); !ok || e.kind != "reconnect" {
		t.Errorf("got %+v", e)
	}
	if rest, err := io.ReadAll(c.resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestTooManyStreamsAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := newScripted(t, 1, time.Minute, time.Second)
	s.api.metrics.streams.Store(maxStreams)
	if r := s.want(http.StatusServiceUnavailable, nil, "GET", quantizePath+"/events", ""); r.header.Get("Retry-After") == "" || r.header.Get("Content-Type") != jsonType {
		t.Errorf("headers %v", r.header)
	}
}

func TestAnEventIsOneLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ data, want string }{
		{"{\n \"text\": \"a\\nb\"\n}", `{"job_id":"j","text":"a\nb"}`},
		{`{}`, `{"job_id":"j"}`},
		{`{"a":1}` + "\n\nevent: evil", `{"job_id":"j"}`},
		{``, `{"job_id":"j"}`},
	} {
		got := string(wire(jobs.Event{Seq: 7, JobID: "j", Type: "log", Data: json.RawMessage(tt.data)}).text)
		if want := "id: 7\nevent: log\ndata: " + tt.want + "\n\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
