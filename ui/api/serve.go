package api

import (
	"io"
	"net/http"
	"runtime/debug"
)

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom keeps sendfile within reach of downloads.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// crashed answers for a handler that panicked: the client learns that it did, the log learns where.
func (a *API) crashed(w *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler {
		panic(v)
	}
	a.options.Log("%s %s: panic: %v\n%s", r.Method, r.URL.Path, v, debug.Stack())
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer has begun: cut it off, so that it can't pass for a whole one
	}
	WriteError(w, r, &Error{Status: http.StatusInternalServerError, Detail: "internal error; the server's log has the cause"})
}

// unrouted answers for a path or a method that no operation has.
func (a *API) unrouted(w *recorder, r *http.Request) {
	h, _ := a.mux.Handler(r) // the mux's own answer: it knows which methods the path has
	var probe refusal
	h.ServeHTTP(&probe, r)
	if allow := probe.Header().Get("Allow"); probe.status == http.StatusMethodNotAllowed && allow != "" {
		w.Header().Set("Allow", allow)
		WriteError(w, r, &Error{Status: probe.status, Detail: "method not allowed", Hint: "this path has " + allow})
		return
	}
	WriteError(w, r, &Error{Status: http.StatusNotFound, Detail: "not found", Hint: "/docs lists the paths"})
}

// refusal takes in what the mux would answer.
type refusal struct {
	header http.Header
	status int
}

func (w *refusal) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}
func (w *refusal) Write(b []byte) (int, error) { return len(b), nil }
func (w *refusal) WriteHeader(status int)      { w.status = status }
