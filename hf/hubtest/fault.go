package hubtest

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// Fault is what goes wrong with one answer. The zero value is no fault.
type Fault struct {
	Status     int               // answered instead of the right thing, with an empty body
	Header     map[string]string // added to the answer: Retry-After, X-Error-Code
	CutAfter   int64             // bytes of the body after which the connection breaks; 0 for none, -1 for at once
	StallAfter int64             // bytes of the body after which nothing more comes, until the client gives up; -1 for at once
	Corrupt    bool              // the first byte of the body is another one
	NoRanges   bool              // the whole file is sent, whatever part was asked for
	Truncate   int64             // bytes that the body is short of, with a Content-Length that agrees
	Delay      time.Duration     // before each 32 KB
}

// Inject sets what goes wrong from now on: choose is asked about each request, one at a time, and gives nil for those
// to be answered rightly.
func (s *Server) Inject(choose func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = choose
}

// Times injects a fault into the first n requests that match.
func (s *Server) Times(n int, fault Fault, match func(*http.Request) bool) {
	s.Inject(func(r *http.Request) *Fault {
		if n == 0 || !match(r) {
			return nil
		}
		n--
		return &fault
	})
}

func (f *Fault) serve(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
		return
	}
	if f.NoRanges {
		r.Header.Del("Range")
		w.Header().Set("Accept-Ranges", "none")
	}
	if f.CutAfter < 0 {
		panic(http.ErrAbortHandler)
	}
	if f.StallAfter < 0 {
		<-r.Context().Done()
		return
	}
	serve(&spoiler{ResponseWriter: w, fault: f, request: r}, r)
}

// spoiler is the body of an answer with a fault.
type spoiler struct {
	http.ResponseWriter
	fault   *Fault
	request *http.Request
	sent    int64
	length  int64
}

func (s *spoiler) WriteHeader(status int) {
	h := s.Header()
	s.length, _ = strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if s.fault.Truncate > 0 && s.length > s.fault.Truncate {
		s.length -= s.fault.Truncate
		h.Set("Content-Length", strconv.FormatInt(s.length, 10))
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *spoiler) Write(p []byte) (int, error) {
	f := s.fault
	done := 0
	for done < len(p) {
		b := p[done:min(done+32<<10, len(p))]
		if f.Delay > 0 {
			select {
			case <-time.After(f.Delay):
			case <-s.request.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		if f.Corrupt && s.sent == 0 {
			b = bytes.Clone(b)
			b[0] ^= 1
		}
		cut, stall := f.CutAfter > 0 && s.sent+int64(len(b)) > f.CutAfter, f.StallAfter > 0 && s.sent+int64(len(b)) > f.StallAfter
		switch {
		case cut:
			b = b[:f.CutAfter-s.sent]
		case stall:
			b = b[:f.StallAfter-s.sent]
		case f.Truncate > 0:
			b = b[:min(int64(len(b)), s.length-s.sent)]
		}
		if _, err := s.ResponseWriter.Write(b); err != nil {
			return done, err
		}
		s.sent += int64(len(b))
		if cut || stall {
			http.NewResponseController(s.ResponseWriter).Flush()
		}
		if stall {
			<-s.request.Context().Done()
		}
		if cut || stall {
			panic(http.ErrAbortHandler)
		}
		done = min(done+32<<10, len(p))
	}
	return done, nil
}

// serveBytes answers with a file or a range of it.
func serveBytes(w http.ResponseWriter, r *http.Request, f *file) {
	w.Header().Set("ETag", strconv.Quote(f.etag()))
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}
