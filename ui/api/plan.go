package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

const quantizePath = base + "/quantize"

type typeList struct {
	Types       []jobs.TypeInfo       `json:"types"`
	TensorTypes []jobs.TensorTypeInfo `json:"tensor_types" doc:"Of single tensors"`
}

type estimateInput struct {
	Tensors bool `query:"tensors" doc:"List the tensors too, with their types"`
	Body    estimateBody
}

type inspectInput struct {
	Source   string `query:"source" required:"true" minLength:"1" maxLength:"4096" doc:"Hub id, folder or GGUF file"`
	Revision string `query:"revision" maxLength:"255" doc:"Branch, tag or commit of a Hub model"`
}

func (a *API) registerPlan() {
	s := a.service
	op := operation(http.MethodPost, quantizePath+"/estimate", "estimate", tagPlan, "Say what a job would make and take", 400, 422, 424)
	op.Description = "Sizes are exact: they come from the headers of the model, not from its name."
	huma.Register(a.huma, op, func(ctx context.Context, in *estimateInput) (*body[*jobs.Estimate], error) {
		spec := in.Body.spec()
		spec.Tensors = in.Tensors
		e, err := s.EstimateSpec(ctx, spec)
		if err != nil {
			return nil, failAs(err, http.StatusNotFound, http.StatusBadRequest)
		}
		return &body[*jobs.Estimate]{e}, nil
	})
	huma.Register(a.huma, operation(http.MethodGet, quantizePath+"/formats", "list-formats", tagPlan, "List the output formats"),
		func(context.Context, *none) (*body[[]jobs.FormatInfo], error) { return answer(s.Formats(), nil) })
	huma.Register(a.huma, operation(http.MethodGet, quantizePath+"/formats/gguf/types", "list-gguf-types", tagPlan, "List the GGUF file types"),
		func(context.Context, *none) (*body[typeList], error) {
			return answer(typeList{s.GGUFTypes(), s.TensorTypes()}, nil)
		})
	huma.Register(a.huma, operation(http.MethodGet, quantizePath+"/models/inspect", "inspect-model", tagPlan, "Look at a model before using it", 400, 404, 422, 424),
		func(ctx context.Context, in *inspectInput) (*body[*jobs.ModelInfo], error) {
			return answer(s.InspectModel(ctx, in.Source, in.Revision))
		})
}
