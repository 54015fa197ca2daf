package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

const registryPath = base + "/registry"

type ModelID struct {
	ID string `path:"id" maxLength:"400" doc:"Id of a model; it may hold one slash"`
}

// routes gives each operation on a model a second path, so that the slash in an id like org/name may stand as it is or
// as %2F. Only a model that is called "variants" or "rating" needs the latter.
type routes struct{ *http.ServeMux }

const modelPath = registryPath + "/models/{id}"

func (m routes) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.ServeMux.HandleFunc(pattern, h)
	if method, rest, ok := strings.Cut(pattern, modelPath); ok {
		m.ServeMux.HandleFunc(method+registryPath+"/models/{org}/{name}"+rest, func(w http.ResponseWriter, r *http.Request) {
			r.SetPathValue("id", r.PathValue("org")+"/"+r.PathValue("name"))
			h(w, r)
		})
	}
}

type modelsInput struct {
	Limit        int    `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	Offset       int    `query:"offset" default:"0" minimum:"0"`
	Search       string `query:"search" maxLength:"200"`
	Architecture string `query:"architecture" maxLength:"100"`
	FitsBytes    int64  `query:"fits_bytes" default:"0" minimum:"0" doc:"Only models with a variant that needs no more memory; 0: all"`
}

type modelFiles struct {
	ModelID
	Files bool `query:"files" doc:"Delete the files too; the source is never touched"`
}

type variantList struct {
	ID       string         `json:"id"`
	Variants []jobs.Variant `json:"variants"`
	Total    int            `json:"total"`
}

type variantInput struct {
	Ref string `query:"ref" required:"true" minLength:"1" maxLength:"4096" doc:"Path, file name or ID:TYPE of a registered file"`
}

type ratingBody struct {
	Rating  int      `json:"rating" minimum:"1" maximum:"5"`
	Variant string   `json:"variant,omitempty" maxLength:"255" doc:"The file that is rated"`
	Notes   string   `json:"notes,omitempty" maxLength:"10000"`
	Tags    []string `json:"tags,omitempty" maxItems:"50"`
}

type rateInput struct {
	ModelID
	Body ratingBody
}

type recommendInput struct {
	VRAM    float64 `query:"vram_gb" default:"0" minimum:"0" maximum:"1000000" doc:"GB of graphics memory"`
	RAM     float64 `query:"ram_gb" default:"0" minimum:"0" maximum:"1000000" doc:"GB of main memory"`
	Context int64   `query:"context" default:"4096" minimum:"1" maximum:"100000000" doc:"Tokens"`
}

type recommendationList struct {
	Recommendations []jobs.Recommendation `json:"recommendations"`
}

func (a *API) registerRegistry() {
	s := a.service
	huma.Register(a.huma, operation(http.MethodGet, registryPath+"/stats", "registry-stats", tagRegistry, "Sum up the registry"),
		func(context.Context, *none) (*body[jobs.Stats], error) { return answer(s.Stats()) })
	huma.Register(a.huma, operation(http.MethodGet, registryPath+"/models", "list-models", tagRegistry, "List models", 422),
		func(_ context.Context, in *modelsInput) (*body[jobs.ModelList], error) {
			return answer(s.Models(jobs.ModelFilter{Limit: in.Limit, Offset: in.Offset, Search: in.Search, Architecture: in.Architecture, FitsBytes: in.FitsBytes}))
		})
	huma.Register(a.huma, operation(http.MethodGet, registryPath+"/recommendations", "recommend", tagRegistry, "Say which files fit a machine, best first", 422),
		func(_ context.Context, in *recommendInput) (*body[recommendationList], error) {
			const gb = 1e9
			list, err := s.Recommendations(int64(in.VRAM*gb), int64(in.RAM*gb), in.Context)
			return answer(recommendationList{list}, err)
		})

	huma.Register(a.huma, operation(http.MethodGet, modelPath, "get-model", tagRegistry, "Show a model", 404),
		func(_ context.Context, in *ModelID) (*body[jobs.Model], error) { return answer(s.Model(in.ID)) })
	op := operation(http.MethodDelete, modelPath, "delete-model", tagRegistry, "Take a model out of the registry", 404, 409)
	op.DefaultStatus = http.StatusNoContent
	huma.Register(a.huma, op, func(ctx context.Context, in *modelFiles) (*none, error) {
		if err := s.DeleteModel(ctx, in.ID, in.Files); err != nil {
			return nil, fail(err)
		}
		return nil, nil
	})
	huma.Register(a.huma, operation(http.MethodGet, modelPath+"/variants", "list-variants", tagRegistry, "List the files of a model", 404),
		func(_ context.Context, in *ModelID) (*body[variantList], error) {
			list, err := s.Variants(in.ID)
			return answer(variantList{in.ID, list, len(list)}, err)
		})
	huma.Register(a.huma, operation(http.MethodGet, registryPath+"/variant", "get-variant", tagRegistry, "Show one file of a model, tensor by tensor", 404, 422),
		func(_ context.Context, in *variantInput) (*body[jobs.Variant], error) {
			_, v, err := s.Variant(in.Ref)
			return answer(v, err)
		})
	huma.Register(a.huma, operation(http.MethodGet, modelPath+"/rating", "get-rating", tagRegistry, "Show what was thought of a model", 404),
		func(_ context.Context, in *ModelID) (*body[jobs.Rating], error) { return answer(s.Rating(in.ID)) })
	huma.Register(a.huma, operation(http.MethodPost, modelPath+"/rating", "rate-model", tagRegistry, "Rate a model", 404, 422),
		func(_ context.Context, in *rateInput) (*body[jobs.Rating], error) {
			return answer(s.Rate(in.ID, jobs.Rating{Rating: in.Body.Rating, Variant: in.Body.Variant, Notes: in.Body.Notes, Tags: in.Body.Tags}))
		})
}
