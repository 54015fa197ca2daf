package tui

import (
	"context"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Size is how big a file of a type is, or why there can be none.
type Size struct {
	Bytes int64
	Bits  float64 // per weight
	Err   error
}

// Sizes are the files that could be made of a model, and what each type would do to each of its tensors.
type Sizes struct {
	Of      map[string]Size
	Types   []string // the columns of Tensors
	Tensors []jobs.TensorEstimate
}

// estimate plans a request; it is jobs.Service.EstimateSpec.
type estimate func(context.Context, jobs.Spec) (*jobs.Estimate, error)

// sizesOf asks for the sizes of all types at once. A type that can't be made of the model fails the whole question, so
// after a failure the last type is asked for alone, the smallest, which needs an importance matrix, and then halves.
func sizesOf(ctx context.Context, ask estimate, spec jobs.Spec, types []string) Sizes {
	s := Sizes{Of: map[string]Size{}}
	var find func(types []string, cut int)
	find = func(types []string, cut int) {
		spec.Types = types
		e, err := ask(ctx, spec)
		if err == nil {
			s.add(e)
			return
		}
		if len(types) == 1 || ctx.Err() != nil {
			for _, t := range types {
				s.Of[t] = Size{Err: err}
			}
			return
		}
		find(types[:cut], max(1, cut/2))
		find(types[cut:], max(1, (len(types)-cut)/2))
	}
	if len(types) > 0 {
		find(types, max(1, len(types)-1))
	}
	return s
}

// add takes the answer for some of the types.
func (s *Sizes) add(e *jobs.Estimate) {
	for _, o := range e.Outputs {
		s.Of[o.Type] = Size{Bytes: o.Bytes, Bits: o.BitsPerWeight}
		s.Types = append(s.Types, o.Type)
	}
	if s.Tensors == nil {
		s.Tensors = e.Tensors
		return
	}
	for i := range s.Tensors {
		if i < len(e.Tensors) {
			s.Tensors[i].Types = append(s.Tensors[i].Types, e.Tensors[i].Types...)
		}
	}
}
