package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

const eventsType = "text/event-stream"

type (
	ResumeAfter struct {
		LastEventID string `header:"Last-Event-ID" maxLength:"32" doc:"Go on after this event; browsers send it by themselves"`
		After       string `query:"after" maxLength:"32" doc:"The same, for clients that can't set headers"`
	}
	jobEventsInput struct {
		JobID
		ResumeAfter
	}
)

const eventsDescription = "Server-sent events: snapshot, progress, output, state and log, each with an id. A client that comes " +
	"back with the last id that it saw goes on without a gap. A comment comes every 15 seconds when nothing else does. A client " +
	"that reads too slowly gets the event reconnect and the end of the stream."

func (a *API) registerEvents() {
	describe := func(op huma.Operation) huma.Operation {
		op.Description = eventsDescription
		op.Responses = map[string]*huma.Response{"200": {Description: "A stream of events", Content: map[string]*huma.MediaType{eventsType: {}}}}
		return op
	}
	huma.Register(a.huma, describe(operation(http.MethodGet, jobsPath+"/{id}/events", "job-events", tagJobs, "Follow a job", 404, 503)),
		func(_ context.Context, in *jobEventsInput) (*huma.StreamResponse, error) {
			job, err := a.service.Job(in.ID)
			if err != nil {
				return nil, fail(err)
			}
			return a.stream(job.ID, in.ResumeAfter)
		})
	huma.Register(a.huma, describe(operation(http.MethodGet, quantizePath+"/events", "all-events", tagJobs, "Follow all jobs", 503)),
		func(_ context.Context, in *ResumeAfter) (*huma.StreamResponse, error) { return a.stream("", *in) })
}

// after is the number of the last event that the client has; one that can't be read means that it has none.
func (in ResumeAfter) after() uint64 {
	for _, s := range []string{in.LastEventID, in.After} {
		if n, err := strconv.ParseUint(s, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

const (
	maxStreams = 4096            // open at once; one more is refused
	retryAfter = 2 * time.Second // what clients are told to wait before they come back
)

// stream answers with the events of a job, or of all jobs if id is empty.
func (a *API) stream(id string, in ResumeAfter) (*huma.StreamResponse, error) {
	return a.events(func(ctx context.Context, s *stream) error { return s.run(ctx, id, in.after()) })
}

// events answers with a stream that run fills until it returns.
func (a *API) events(run func(ctx context.Context, s *stream) error) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		if a.metrics.streams.Add(1) > maxStreams {
			a.metrics.streams.Add(-1)
			w.Header().Set("Retry-After", "10")
			WriteError(w, r, &Error{Status: http.StatusServiceUnavailable, Detail: "too many event streams are open"})
			return
		}
		defer a.metrics.streams.Add(-1)
		h := w.Header()
		h.Set("Content-Type", eventsType)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // or nginx holds events back
		if r.Method == http.MethodHead {
			return
		}
		s := &stream{api: a, w: w, rc: http.NewResponseController(w), beat: time.NewTicker(a.options.heartbeat)}
		defer s.beat.Stop()
		s.end(run(r.Context(), s))
	}}, nil
}

// stream is one reader of events.
type stream struct {
	api  *API
	w    http.ResponseWriter
	rc   *http.ResponseController
	beat *time.Ticker
	buf  bytes.Buffer
	last uint64 // the last event that was sent
}

// errClosed ends the streams of a server that stops.
var errClosed = errors.New("the server stops")

// run writes events until the client goes, the service has no more, or the server stops.
func (s *stream) run(ctx context.Context, id string, after uint64) error {
	s.last = after
	fmt.Fprintf(&s.buf, "retry: %d\n\n", retryAfter.Milliseconds())
	if id != "" && after == 0 {
		if err := s.snapshot(ctx, id); err != nil {
			return err
		}
	}
	if err := s.flush(); err != nil {
		return err
	}
	t := s.api.topics.join(id, s.last)
	defer s.api.topics.leave(id, t)
	place, ok := t.locate(s.last)
	if id == "" && s.last == 0 {
		place, ok = t.now(), true // whatever comes from now on
	}
	if !ok {
		var err error
		if place, err = s.catchUp(ctx, t, id); err != nil {
			return err
		}
	}
	fresh := s.last == 0
	for {
		list, next, wake, over, err := t.read(place)
		if over {
			return err
		}
		place = next
		for _, e := range list {
			if fresh = fresh || e.seq > s.last; fresh { // the first ones may have been caught up on
				s.add(e)
			}
		}
		if len(list) > 0 {
			if err := s.flush(); err != nil {
				return err
			}
			continue
		}
		if err := s.wait(ctx, wake); err != nil {
			return err
		}
	}
}

// snapshot sends the state of a job with the number of the event that it holds.
func (s *stream) snapshot(ctx context.Context, id string) error {
	for e, err := range s.api.service.Events(ctx, id, 0) {
		if err != nil {
			return err
		}
		s.add(wire(e))
		break
	}
	return nil
}

// settled is how long nothing comes when a reader that catches up has all there is.
const settled = time.Second

// catchUp sends what a client missed that the topic does not hold any more, from the service itself, until the topic
// holds the rest. It returns the place to go on from.
func (s *stream) catchUp(ctx context.Context, t *topic, id string) (place int, err error) {
	place = t.now() // when all that was before has been sent, the rest is from here on
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	missed := make(chan entry)
	var end error // set before missed is closed
	go func() {
		defer close(missed)
		defer s.api.topics.recovered(&end)
		for e, err := range s.api.service.Events(ctx, id, s.last) {
			if err != nil {
				end = err
				return
			}
			select {
			case missed <- wire(e):
			case <-ctx.Done():
				return
			}
		}
	}()
	idle := time.NewTimer(settled)
	defer idle.Stop()
	for {
		select {
		case e, more := <-missed:
			if !more {
				return place, end
			}
			s.add(e)
			if err := s.flush(); err != nil {
				return place, err
			}
			if place, ok := t.locate(s.last); ok {
				return place, nil
			}
			idle.Reset(settled)
		case <-idle.C:
			return place, nil
		case <-ctx.Done():
			return place, ctx.Err()
		case <-s.api.closing:
			return place, errClosed
		}
	}
}

// wait returns when there may be something to send.
func (s *stream) wait(ctx context.Context, wake <-chan struct{}) error {
	for {
		select {
		case <-wake:
			return nil
		case <-s.beat.C:
			s.buf.WriteString(": still here\n\n")
			if err := s.flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.api.closing:
			return errClosed
		}
	}
}

func (s *stream) add(e entry) {
	s.buf.Write(e.text)
	s.last = e.seq
}

// flush sends the buffer. A client whose connection takes nothing for so long is dead.
func (s *stream) flush() error {
	err := s.rc.SetWriteDeadline(time.Now().Add(s.api.options.patience))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	s.buf.Reset()
	s.beat.Reset(s.api.options.heartbeat)
	return s.rc.Flush()
}

// end tells the client why there is no more, where it does not know.
func (s *stream) end(err error) {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return
	case jobs.ClassOf(err) == jobs.NotFound, errors.Is(err, errSlow), errors.Is(err, errClosed):
	default:
		s.api.options.Log("events: %v", err)
	}
	reason, _ := json.Marshal(map[string]string{"reason": err.Error()})
	s.buf.Reset()
	fmt.Fprintf(&s.buf, "event: reconnect\ndata: %s\n\n", reason)
	_ = s.flush() // fails where the connection was the cause
}
