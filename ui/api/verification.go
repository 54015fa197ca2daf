package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

const verificationPath = modelPath + "/verification"

func (a *API) registerVerification() {
	s := a.service
	op := operation(http.MethodPost, verificationPath, "verify-model", tagRegistry, "Read a model's files again and compare them with what was registered", 404)
	op.Description = "Size, header, finite scales and SHA-256. It goes on in the background; one that goes on already is not started again."
	op.DefaultStatus = http.StatusAccepted
	huma.Register(a.huma, op, func(_ context.Context, in *ModelID) (*body[jobs.VerifyRun], error) {
		return answer(s.StartVerification(in.ID))
	})
	huma.Register(a.huma, operation(http.MethodGet, verificationPath, "get-verification", tagRegistry, "Show how far the last verification is, or what it came to", 404),
		func(_ context.Context, in *ModelID) (*body[jobs.VerifyRun], error) {
			run, _, err := s.Verification(in.ID)
			return answer(run, err)
		})
	huma.Register(a.huma, operation(http.MethodPost, verificationPath+"/cancel", "cancel-verification", tagRegistry, "Cancel a verification", 404, 409),
		func(_ context.Context, in *ModelID) (*body[jobs.VerifyRun], error) {
			return answer(s.CancelVerification(in.ID))
		})

	op = operation(http.MethodGet, verificationPath+"/events", "verification-events", tagRegistry, "Follow a verification", 404, 503)
	op.Description = "Server-sent events of the type verification, each with the whole state. The stream ends when the verification does."
	op.Responses = map[string]*huma.Response{"200": {Description: "A stream of events", Content: map[string]*huma.MediaType{eventsType: {}}}}
	huma.Register(a.huma, op, func(_ context.Context, in *ModelID) (*huma.StreamResponse, error) {
		if _, _, err := s.Verification(in.ID); err != nil {
			return nil, fail(err)
		}
		return a.events(func(ctx context.Context, st *stream) error { return st.verification(ctx, in.ID) })
	})
}

// verification writes the states of a model's verification until it has ended.
func (s *stream) verification(ctx context.Context, id string) error {
	for n := 1; ; n++ {
		run, changed, err := s.api.service.Verification(id)
		if err != nil {
			return err
		}
		data, err := json.Marshal(run)
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.buf, "id: %d\nevent: verification\ndata: %s\n\n", n, data)
		if err := s.flush(); err != nil {
			return err
		}
		if run.Status != jobs.VerifyRunning {
			return nil
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}
