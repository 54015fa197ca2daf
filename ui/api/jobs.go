package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

const (
	tagJobs     = "Jobs"
	tagPlan     = "Planning"
	tagRegistry = "Registry"
	tagFiles    = "Files"

	jobsPath = base + "/quantize/jobs"
)

// body is an answer that is nothing but a body.
type body[T any] struct{ Body T }

func answer[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, fail(err)
	}
	return &body[T]{v}, nil
}

// Inputs that several operations share.
type (
	JobID struct {
		ID string `path:"id" maxLength:"64" doc:"Id of a job, or the beginning of one"`
	}
	none struct{}
)

// operation is the common part of registrations; refusals are the statuses that it may end with.
func operation(method, path, id, tag, summary string, refusals ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, Errors: refusals,
		MaxBodyBytes: maxBody, BodyReadTimeout: bodyTime,
	}
}

// The limits of a request's body.
const (
	maxBody  = 1 << 20 // bytes
	bodyTime = 20 * time.Second
)

func (a *API) registerJobs() {
	s := a.service

	op := operation(http.MethodPost, jobsPath, "create-job", tagJobs, "Create a job", 400, 422, 424, 507)
	op.Description = "All that can be known beforehand is checked before the answer: the model, the types, the disk."
	op.DefaultStatus = http.StatusCreated
	huma.Register(a.huma, op, func(ctx context.Context, in *struct{ Body createBody }) (*created, error) {
		job, err := s.Submit(ctx, in.Body.spec())
		if err != nil {
			return nil, failAs(err, http.StatusNotFound, http.StatusBadRequest)
		}
		return &created{Location: jobsPath + "/" + job.ID, Body: job}, nil
	})

	huma.Register(a.huma, operation(http.MethodGet, jobsPath, "list-jobs", tagJobs, "List jobs, newest first", 422),
		func(_ context.Context, in *listInput) (*body[jobs.JobList], error) {
			return answer(s.Jobs(jobs.JobFilter{Status: in.Status, Search: in.Search, Limit: in.Limit, Offset: in.Offset}))
		})

	huma.Register(a.huma, operation(http.MethodGet, jobsPath+"/{id}", "get-job", tagJobs, "Show a job", 404),
		func(_ context.Context, in *JobID) (*body[jobs.Job], error) { return answer(s.Job(in.ID)) })

	op = operation(http.MethodDelete, jobsPath+"/{id}", "delete-job", tagJobs, "Delete a job that has ended", 404, 409)
	op.DefaultStatus = http.StatusNoContent
	huma.Register(a.huma, op, func(ctx context.Context, in *deleteJob) (*none, error) {
		if _, err := s.Delete(ctx, in.ID, in.Files); err != nil {
			return nil, fail(err)
		}
		return nil, nil
	})

	huma.Register(a.huma, operation(http.MethodPost, jobsPath+"/{id}/cancel", "cancel-job", tagJobs, "Cancel a job for good", 400, 404),
		func(ctx context.Context, in *JobID) (*body[cancelled], error) {
			job, err := s.Cancel(ctx, in.ID)
			if err != nil {
				return nil, failAs(err, http.StatusConflict, http.StatusBadRequest)
			}
			return &body[cancelled]{cancelled{"cancelled", job.ID}}, nil
		})

	op = operation(http.MethodPost, jobsPath+"/{id}/resume", "resume-job", tagJobs, "Go on with a job that was interrupted", 404, 409)
	op.Description = "It goes on at the last finished tensor."
	huma.Register(a.huma, op, func(ctx context.Context, in *JobID) (*body[jobs.Job], error) { return answer(s.Resume(ctx, in.ID)) })

	huma.Register(a.huma, operation(http.MethodPost, jobsPath+"/{id}/retry", "retry-job", tagJobs, "Start a job that has ended once more", 404, 409),
		func(ctx context.Context, in *struct {
			JobID
			Force bool `query:"force" doc:"Make the outputs anew whose files are there; each takes its file's place when it is whole"`
		}) (*body[jobs.Job], error) {
			return answer(s.Retry(ctx, in.ID, in.Force))
		})

	op = operation(http.MethodPost, jobsPath+"/{id}/move", "move-job", tagJobs, "Give a queued job another place in the queue", 404, 409, 422)
	op.Description = "Priorities follow: of as few jobs as possible."
	huma.Register(a.huma, op, func(ctx context.Context, in *moveInput) (*body[jobs.Job], error) {
		return answer(s.Move(ctx, in.ID, in.Body.To))
	})

	huma.Register(a.huma, operation(http.MethodGet, quantizePath+"/queue", "list-queue", tagJobs, "List the queued jobs in the order in which they will start"),
		func(context.Context, *none) (*body[queue], error) {
			list, err := s.Queue()
			return answer(queue{list, len(list)}, err)
		})

	op = operation(http.MethodGet, jobsPath+"/{id}/logs", "get-job-logs", tagJobs, "Read the log of a job, as NDJSON", 404)
	op.Responses = map[string]*huma.Response{"200": {Description: "One JSON object a line, oldest first", Content: map[string]*huma.MediaType{ndjsonType: {}}}}
	huma.Register(a.huma, op, a.logs)
}

type created struct {
	Location string `header:"Location" doc:"Where the job is"`
	Body     jobs.Job
}

type listInput struct {
	Status []string `query:"status" maxItems:"16" enum:"queued,downloading,preparing,quantizing,completed,failed,cancelled,interrupted" doc:"One state, or several with commas between"`
	Search string   `query:"search" maxLength:"200" doc:"In name, source, architecture and types"`
	Limit  int      `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	Offset int      `query:"offset" default:"0" minimum:"0"`
}

type moveInput struct {
	JobID
	Body struct {
		To string `json:"to" enum:"first,earlier,later,last" doc:"By one place, or to an end of the queue"`
	}
}

type queue struct {
	Jobs  []jobs.Job `json:"jobs"`
	Total int        `json:"total"`
}

type deleteJob struct {
	JobID
	Files bool `query:"files" doc:"Delete the files that it made too"`
}

type cancelled struct {
	Status string `json:"status" enum:"cancelled"`
	JobID  string `json:"job_id"`
}

const ndjsonType = "application/x-ndjson"

type logsInput struct {
	JobID
	Tail int `query:"tail" default:"0" minimum:"0" maximum:"1000000" doc:"Only so many of the last lines; 0: all"`
}

func (a *API) logs(_ context.Context, in *logsInput) (*huma.StreamResponse, error) {
	lines, err := a.service.Log(in.ID, in.Tail)
	if err != nil {
		return nil, fail(err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", ndjsonType)
		w.Header().Set("Cache-Control", "no-store")
		var b bytes.Buffer
		for _, line := range lines {
			b.Write(line)
			b.WriteByte('\n')
			if b.Len() > 1<<16 {
				if _, err := w.Write(b.Bytes()); err != nil {
					return
				}
				b.Reset()
			}
		}
		_, _ = w.Write(b.Bytes())
	}}, nil
}
