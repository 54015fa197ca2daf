package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

const filesPath = base + "/files"

type filesInput struct {
	Search string `query:"search" maxLength:"200" doc:"Words that the path holds, in any order and case"`
	Limit  int    `query:"limit" default:"200" minimum:"1" maximum:"10000"`
}

type fileInput struct {
	Path string `query:"path" required:"true" minLength:"1" maxLength:"4096" doc:"Of a GGUF file; any shard of a split one"`
}

func (a *API) registerFiles() {
	s := a.service
	op := operation(http.MethodGet, filesPath, "list-files", tagFiles, "List GGUF files, latest first", 422)
	op.Description = "What lies below the allowed folders. Of a split model the first shard stands for all."
	huma.Register(a.huma, op, func(ctx context.Context, in *filesInput) (*body[jobs.FileList], error) {
		return answer(s.GGUFFiles(ctx, in.Search, in.Limit))
	})
	op = operation(http.MethodGet, filesPath+"/inspect", "inspect-file", tagFiles, "Show metadata and tensors of a GGUF file", 400, 403, 404, 422)
	op.Description = "Only the header is read. Of long arrays the first eight values are given."
	huma.Register(a.huma, op, func(_ context.Context, in *fileInput) (*body[*jobs.Inspection], error) {
		return answer(s.InspectFile(in.Path))
	})
}
