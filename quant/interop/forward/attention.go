package forward

import "math"

// attention is what a position reads of those before it.
type attention struct {
	q, k, v, o   fn // projections; o may be nil
	heads, kv    int
	dim          int  // of a head's query and key
	qNorm, kNorm fn   // of all heads in a row, before they are turned
	late         bool // the norms come after the turn
	rope         *rope
	scale        float64                    // of the scores; 0: one by the root of dim
	grow         func(position int) float64 // of the query
	softcap      float64
	window       int                       // how many positions are seen, the own one among them; 0: all
	chunk        int                       // positions see none of an earlier chunk; 0: no chunks
	sinks        vec                       // a score for each head that takes part in the softmax and gives nothing
	alibi        vec                       // what a score loses by a step of distance
	bias         func(h, i, j int) float64 // added to the score that the position i has for j
	reach        int                       // how far positions see to both sides; 0: to the ends
	gate         fn                        // multiplied to what the heads give, before o
	both         bool                      // later positions are seen too
	from         *attention                // the layer whose keys and values are read in place of own ones
	over         *[]vec                    // what keys and values are made of in place of the own positions
	keys, values []vec                     // of the last run
}

// usual is attention with the usual names, a rope of the whole head and what the config says of its sizes.
func (m *model) usual(p string) *attention { return m.usualBut(p, "o_proj") }

// usualBut has another name for what comes out.
func (m *model) usualBut(p, out string) *attention {
	return m.attentionOf(p+"q_proj", p+"k_proj", p+"v_proj", p+out)
}

func (m *model) attentionOf(q, k, v, o string) *attention {
	return &attention{q: m.linear(q), k: m.linear(k), v: m.linear(v), o: m.linear(o),
		heads: m.heads(), kv: m.keyHeads(), dim: m.headDim(), rope: m.rope(m.headDim()), both: m.both}
}

// window is the config's, of families that have one in all layers or in none.
func (m *model) window() int {
	if m.deviations.NoWindow {
		return 0
	}
	return m.intOr("sliding_window", 0)
}

// headNorms are norms of each head with the same weight.
func (a *attention) headNorms(q, k fn) { a.qNorm, a.kNorm = perHead(a.dim, q), perHead(a.dim, k) }

func (a *attention) mix(x []vec) []vec {
	queries := each(a.q)(x)
	for i := range x {
		queries[i] = a.prepare(queries[i], a.qNorm, i)
		if a.grow != nil {
			queries[i] = scaled(queries[i], a.grow(i))
		}
	}
	keys, values := a.remembered(x)
	out := a.read(queries, keys, values)
	for i := range out {
		if a.gate != nil {
			out[i] = product(out[i], a.gate(x[i]))
		}
		out[i] = then(a.o)(out[i])
	}
	return out
}

// remembered are the keys and values of all positions, which other layers may read.
func (a *attention) remembered(x []vec) (keys, values []vec) {
	if a.from != nil {
		return a.from.keys, a.from.values
	}
	if a.over != nil {
		x = *a.over
	}
	a.keys, a.values = each(a.k)(x), each(a.v)(x)
	for i := range x {
		a.keys[i] = a.prepare(a.keys[i], a.kNorm, i)
	}
	return a.keys, a.values
}

// prepare norms and turns the heads of a query or a key.
func (a *attention) prepare(x vec, norm fn, position int) vec {
	turn := perHead(a.dim, func(h vec) vec { return a.rope.turn(h, position) })
	if a.late {
		return then(turn, norm)(x)
	}
	return then(norm, turn)(x)
}

// read lets each head weigh the values by its scores.
func (a *attention) read(queries, keys, values []vec) []vec {
	scale := a.scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(a.dim))
	}
	out := make([]vec, len(queries))
	vdim := len(values[0]) / a.kv
	for i, q := range queries {
		out[i] = make(vec, 0, a.heads*vdim)
		for h := range a.heads {
			g := h * a.kv / a.heads
			scores := make(vec, len(keys))
			for j, k := range keys {
				if !a.sees(i, j) {
					scores[j] = math.Inf(-1)
					continue
				}
				s := scale * dot(q[h*a.dim:(h+1)*a.dim], k[g*a.dim:(g+1)*a.dim])
				if a.softcap != 0 {
					s = a.softcap * math.Tanh(s/a.softcap)
				}
				if a.alibi != nil {
					s -= a.alibi[h] * math.Abs(float64(i-j))
				}
				if a.bias != nil {
					s += a.bias(h, i, j)
				}
				scores[j] = s
			}
			if a.sinks != nil {
				scores = append(scores, a.sinks[h])
			}
			weights := softmax(scores)
			y := make(vec, vdim)
			for j, v := range values {
				for d := range y {
					y[d] += weights[j] * v[g*vdim+d]
				}
			}
			out[i] = append(out[i], y...)
		}
	}
	return out
}

func (a *attention) sees(i, j int) bool {
	switch {
	case j > i && !a.both:
		return false
	case a.reach > 0 && max(i-j, j-i) > a.reach:
		return false
	case a.window > 0 && i-j >= a.window:
		return false
	case a.chunk > 0 && i/a.chunk != j/a.chunk:
		return false
	}
	return true
}

func softmax(x vec) vec {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	total := 0.0
	out := mapped(x, func(v float64) float64 { v = math.Exp(v - top); total += v; return v })
	return scaled(out, 1/total)
}

// alibi is what the first heads of a power of two lose by a step, and those beyond it by steps in between.
func alibi(heads int, bias float64) vec {
	var out vec
	n := 1
	for 2*n <= heads {
		n *= 2
	}
	for h := range n {
		out = append(out, math.Pow(2, -bias*float64(h+1)/float64(n)))
	}
	for h := 0; len(out) < heads; h += 2 {
		out = append(out, math.Pow(2, -bias*float64(h+1)/float64(2*n)))
	}
	return out
}
