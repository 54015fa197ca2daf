package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

type outputList struct {
	JobID     string        `json:"job_id"`
	Outputs   []jobs.Output `json:"outputs"`
	Total     int           `json:"total"`
	Completed int           `json:"completed"`
}

type outputInput struct {
	JobID
	OutputID string `path:"output_id" maxLength:"200"`
}

func (a *API) registerOutputs() {
	huma.Register(a.huma, operation(http.MethodGet, jobsPath+"/{id}/outputs", "list-outputs", tagJobs, "List the outputs of a job", 404),
		func(_ context.Context, in *JobID) (*body[outputList], error) {
			job, err := a.service.Job(in.ID)
			if err != nil {
				return nil, fail(err)
			}
			list := outputList{JobID: job.ID, Outputs: job.Outputs, Total: len(job.Outputs)}
			for _, o := range job.Outputs {
				if o.Status == "completed" {
					list.Completed++
				}
			}
			return &body[outputList]{list}, nil
		})

	huma.Register(a.huma, operation(http.MethodGet, jobsPath+"/{id}/outputs/{output_id}/provenance", "get-provenance", tagJobs, "Show the statement of origin of an output, where its job wrote one", 404, 409),
		func(_ context.Context, in *outputInput) (*body[json.RawMessage], error) {
			return answer(a.service.Provenance(in.ID, in.OutputID))
		})

	op := operation(http.MethodGet, jobsPath+"/{id}/outputs/{output_id}/download", "download-output", tagJobs, "Download an output", 404, 409)
	op.Description = "Ranges and If-None-Match work; the ETag is the SHA-256 of the file."
	op.Responses = map[string]*huma.Response{
		"200": {Description: "The file", Content: map[string]*huma.MediaType{binaryType: {}}},
		"206": {Description: "A range of the file", Content: map[string]*huma.MediaType{binaryType: {}}},
	}
	huma.Register(a.huma, op, a.download)
}

const binaryType = "application/octet-stream"

func (a *API) download(_ context.Context, in *outputInput) (*huma.StreamResponse, error) {
	out, err := a.service.Output(in.ID, in.OutputID)
	if err != nil {
		return nil, fail(err)
	}
	if out.Status != "completed" || out.Path == nil {
		return nil, &Error{Status: http.StatusConflict, Detail: "output " + out.ID + ": is " + out.Status + ", not finished"}
	}
	f, info, err := openFile(*out.Path)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer f.Close()
		r, w := humago.Unwrap(ctx)
		h := w.Header()
		h.Set("Content-Type", binaryType)
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": filepath.Base(*out.Path)}))
		h.Set("Cache-Control", "private, no-cache")
		if out.SHA256 != nil {
			h.Set("ETag", `"`+*out.SHA256+`"`)
		}
		http.ServeContent(&patient{w, http.NewResponseController(w), stalledDownload}, r, "", info.ModTime(), f)
	}}, nil
}

// openFile opens a finished file; one that was moved or deleted since is not found.
func openFile(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &Error{Status: http.StatusNotFound, Detail: filepath.Base(path) + ": the file is no longer there"}
	}
	if err != nil {
		return nil, nil, fail(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(filepath.Base(path) + ": is no file")
	}
	if err != nil {
		f.Close()
		return nil, nil, fail(err)
	}
	return f, info, nil
}

// stalledDownload is how long a client may take for one piece of a download.
const stalledDownload = time.Minute

// patient gives each piece of a long answer its own time, where the server's deadline is for all of it.
type patient struct {
	http.ResponseWriter
	rc   *http.ResponseController
	wait time.Duration
}

// piece is small enough for a slow line within the time, and large enough for sendfile to be worth it.
const piece = 1 << 20

func (w *patient) Write(b []byte) (int, error) {
	if err := w.rc.SetWriteDeadline(time.Now().Add(w.wait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom sends a file piece by piece without copying it through this process.
func (w *patient) ReadFrom(r io.Reader) (n int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	for limited.N > 0 && err == nil {
		if err := w.rc.SetWriteDeadline(time.Now().Add(w.wait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return n, err
		}
		part := &io.LimitedReader{R: limited.R, N: min(piece, limited.N)}
		want := part.N
		var m int64
		m, err = io.Copy(w.ResponseWriter, part)
		n += m
		limited.N -= m
		if m < want {
			return n, err
		}
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *patient) Unwrap() http.ResponseWriter { return w.ResponseWriter }
