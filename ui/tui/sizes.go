package tui

import (
	"cmp"
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
	Err     error // why no type can be sized, whichever: an option is wrong, a file can't be read
}

// estimate plans a request; it is jobs.Service.EstimateSpec.
type estimate func(context.Context, jobs.Spec) (*jobs.Estimate, error)

// sizesOf asks for the sizes of all types at once. A type that can't be made of the model fails the whole question, so
// after a failure the last type is asked for alone, the smallest, which needs an importance matrix, and then halves.
// A failure that has nothing to do with types is the answer.
func sizesOf(ctx context.Context, ask estimate, spec jobs.Spec, types []string) Sizes {
	s := Sizes{Of: map[string]Size{}}
	spec.Config.Mmproj = "none" // the same whatever the type
	var find func(types []string, cut int)
	find = func(types []string, cut int) {
		spec.Types = types
		e, err := ask(ctx, spec)
		if err == nil {
			s.add(e)
			return
		}
		if c := jobs.ClassOf(err); c != jobs.Unsupported && c != jobs.Failed {
			s.Err = err
		}
		if s.Err != nil {
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
		s.Err = cmp.Or(s.Err, s.common(types))
	}
	return s
}

// common is the error of all types, where it is one and the same: it is not about them.
func (s *Sizes) common(types []string) error {
	first := s.Of[types[0]].Err
	for _, t := range types {
		if err := s.Of[t].Err; err == nil || err.Error() != first.Error() {
			return nil
		}
	}
	return first
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
