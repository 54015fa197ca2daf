package forward

import (
	"cmp"
	"fmt"
	"slices"
)

// routing is how the experts that a position asks are chosen and weighed.
type routing struct {
	router  fn
	top     int                    // how many are chosen
	score   func(vec) vec          // of the router's numbers, before the choice; nil: the numbers themselves
	bias    vec                    // added to the scores for the choice alone
	groups  int                    // in which the experts stand; 0: none
	open    int                    // how many groups the chosen may stand in
	best    func(vec) float64      // what a group counts for
	after   func(vec) vec          // what makes weights of the scores of the chosen; nil: themselves
	scale   float64                // of the weights; 0: 1
	onInput bool                   // the weight multiplies what goes into the expert, not what comes out
	choose  func(vec) ([]int, vec) // in place of all of the above, of the router's numbers
}

func sigmoids(x vec) vec { return mapped(x, sigmoid) }

// normalized divides weights by their sum, which is never 0.
func normalized(x vec) vec {
	total := 1e-20
	for _, v := range x {
		total += v
	}
	return scaled(x, 1/total)
}

// largest are the places of the n largest values, the largest first.
func largest(x vec, n int) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(x[b], x[a]) })
	return order[:n]
}

// topTwo is the sum of the two largest.
func topTwo(x vec) float64 {
	l := largest(x, 2)
	return x[l[0]] + x[l[1]]
}

// pick returns the chosen experts and their weights.
func (r *routing) pick(x vec) ([]int, vec) {
	numbers := r.router(x)
	if r.choose != nil {
		return r.choose(numbers)
	}
	scores := numbers
	if r.score != nil {
		scores = r.score(numbers)
	}
	choice := scores
	if r.bias != nil {
		choice = sum(scores, r.bias)
	}
	allowed := make([]int, 0, len(choice))
	if r.groups > 1 {
		n := len(choice) / r.groups
		standing := make(vec, r.groups)
		for g := range standing {
			standing[g] = r.best(choice[g*n : (g+1)*n])
		}
		for _, g := range largest(standing, r.open) {
			for e := range n {
				allowed = append(allowed, g*n+e)
			}
		}
	} else {
		for e := range choice {
			allowed = append(allowed, e)
		}
	}
	slices.SortStableFunc(allowed, func(a, b int) int { return cmp.Compare(choice[b], choice[a]) })
	chosen := allowed[:r.top]
	weights := make(vec, r.top)
	for i, e := range chosen {
		weights[i] = scores[e]
	}
	if r.after != nil {
		weights = r.after(weights)
	}
	if r.scale != 0 {
		weights = scaled(weights, r.scale)
	}
	return chosen, weights
}

// experts asks those that are chosen, and shared at every position, if there is any.
func experts(r *routing, of []fn, shared fn) fn {
	return func(x vec) vec {
		chosen, weights := r.pick(x)
		out := make(vec, len(x))
		if shared != nil {
			out = shared(x)
		}
		for i, e := range chosen {
			if r.onInput {
				out = sum(out, of[e](scaled(x, weights[i])))
			} else {
				out = sum(out, scaled(of[e](x), weights[i]))
			}
		}
		return out
	}
}

// apart are gated experts that each have tensors of their own; pattern has a %d for the expert and %s for the part.
func (m *model) apart(n int, pattern string, act func(float64) float64, gate, up, down string) []fn {
	out := make([]fn, n)
	for e := range out {
		name := func(part string) string { return fmt.Sprintf(pattern, e, part) }
		out[e] = gated(m.linear(name(gate)), act, m.linear(name(up)), m.linear(name(down)))
	}
	return out
}

// together are gated experts in two tensors. transposed: their columns go first.
func (m *model) together(gateUp, down string, act func(float64) float64, transposed bool) []fn {
	in, back := m.weights.stack(gateUp, transposed), m.weights.stack(down, transposed)
	out := make([]fn, len(in))
	for e := range out {
		n := in[e].rows / 2
		out[e] = gated(in[e].cut(0, n).times, act, in[e].cut(n, n).times, back[e].times)
	}
	return out
}

// usualExperts are mlp.experts in either spelling.
func (m *model) usualExperts(p string, n int) []fn {
	if m.weights.has(p + "experts.gate_up_proj") {
		return m.together(p+"experts.gate_up_proj", p+"experts.down_proj", silu, false)
	}
	return m.apart(n, p+"experts.%d.%s", silu, "gate_proj", "up_proj", "down_proj")
}
