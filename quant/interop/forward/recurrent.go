package forward

import "math"

// convolution is a causal one along the positions, of each channel for itself, with a bias if there is one.
func (m *model) convolution(name string) mixer {
	kernel := m.weights.matrix(name + ".weight") // [channels, 1, taps], the last tap is the position's own
	var bias vec
	if m.weights.has(name + ".bias") {
		bias = m.weights.vector(name + ".bias")
	}
	return func(x []vec) []vec {
		out := make([]vec, len(x))
		for i := range x {
			out[i] = make(vec, kernel.rows)
			for c := range out[i] {
				for t, w := range kernel.row(c) {
					if j := i + t - kernel.columns + 1; j >= 0 {
						out[i][c] += w * x[j][c]
					}
				}
				if bias != nil {
					out[i][c] += bias[c]
				}
			}
		}
		return out
	}
}

// split cuts vectors into pieces of those lengths.
func split(x vec, lengths ...int) []vec {
	var out []vec
	for _, n := range lengths {
		out = append(out, x[:n])
		x = x[n:]
	}
	return out
}

// mamba1 is Mamba's first kind: a state of some numbers for each channel, whose decay depends on the input. Jamba norms what
// step, input and output are made of.
func (m *model) mamba1(p string, rank, states int) mixer {
	in, conv, proj, step, out := m.linear(p+"in_proj"), m.convolution(p+"conv1d"), m.linear(p+"x_proj"), m.linear(p+"dt_proj"), m.linear(p+"out_proj")
	decay := m.weights.matrix(p + "A_log")
	skip := m.weights.vector(p + "D")
	var norms [3]fn
	for i, name := range []string{"dt_layernorm", "b_layernorm", "c_layernorm"} {
		if m.weights.has(p + name + ".weight") {
			norms[i] = m.rms(p + name)
		}
	}
	return func(x []vec) []vec {
		both := each(in)(x)
		n := len(both[0]) / 2
		us := each(func(v vec) vec { return mapped(v, silu) })(conv(each(func(v vec) vec { return v[:n] })(both)))
		state := make([]vec, n)
		for c := range state {
			state[c] = make(vec, states)
		}
		result := make([]vec, len(x))
		for i, u := range us {
			s := split(proj(u), rank, states, states)
			dt := mapped(step(then(norms[0])(s[0])), softplus)
			b, c := then(norms[1])(s[1]), then(norms[2])(s[2])
			y := make(vec, n)
			for ch := range y {
				for k := range states {
					a := -math.Exp(decay.row(ch)[k])
					state[ch][k] = math.Exp(dt[ch]*a)*state[ch][k] + dt[ch]*b[k]*u[ch]
					y[ch] += state[ch][k] * c[k]
				}
				y[ch] = (y[ch] + skip[ch]*u[ch]) * silu(both[i][n+ch])
			}
			result[i] = out(y)
		}
		return result
	}
}

// ssd are the sizes of Mamba's second kind.
type ssd struct {
	heads, head, groups, states int
	before                      fn // of what goes in and what is made of it: Falcon H1's multipliers
	inBy                        float64
	late                        bool // the gate comes after the norm
}

// mamba2 has a matrix as the state of each head, and one decay for all of it.
func (m *model) mamba2(p string, s ssd) mixer {
	in, conv, out := m.linear(p+"in_proj"), m.convolution(p+"conv1d"), m.linear(p+"out_proj")
	bias, decay, skip := m.weights.vector(p+"dt_bias"), m.weights.vector(p+"A_log"), m.weights.vector(p+"D")
	n := s.heads * s.head
	var norm fn
	if m.weights.has(p + "norm.weight") {
		weight := m.weights.vector(p + "norm.weight")
		norm = func(x vec) vec { return product(perHead(n/s.groups, rms(nil, m.eps))(x), weight) }
	}
	return func(x []vec) []vec {
		var gates, mixed, steps []vec
		for _, v := range x {
			if s.inBy != 0 {
				v = scaled(v, s.inBy)
			}
			q := split(then(in, s.before)(v), n, n+2*s.groups*s.states, s.heads)
			gates, mixed, steps = append(gates, q[0]), append(mixed, q[1]), append(steps, q[2])
		}
		mixed = each(func(v vec) vec { return mapped(v, silu) })(conv(mixed))
		state := make([]vec, n)
		for c := range state {
			state[c] = make(vec, s.states)
		}
		result := make([]vec, len(x))
		for i := range x {
			q := split(mixed[i], n, s.groups*s.states, s.groups*s.states)
			dt := mapped(sum(steps[i], bias), softplus)
			y := make(vec, n)
			for c := range y {
				h := c / s.head
				g := h * s.groups / s.heads * s.states
				keep := math.Exp(-dt[h] * math.Exp(decay[h]))
				for k := range s.states {
					state[c][k] = keep*state[c][k] + dt[h]*q[1][g+k]*q[0][c]
					y[c] += state[c][k] * q[2][g+k]
				}
				y[c] += skip[h] * q[0][c]
			}
			gate := mapped(gates[i], silu)
			if s.late {
				y = product(then(norm)(y), gate)
			} else {
				y = then(norm)(product(y, gate))
			}
			result[i] = out(y)
		}
		return result
	}
}

// gatedConvolution is LFM2's: a short convolution between two gates.
func (m *model) gatedConvolution(p string) mixer {
	in, conv, out := m.linear(p+"in_proj"), m.convolution(p+"conv"), m.linear(p+"out_proj")
	n := m.width()
	return func(x []vec) []vec {
		gated, after := make([]vec, len(x)), make([]vec, len(x))
		for i, v := range x {
			s := split(in(v), n, n, n)
			gated[i], after[i] = product(s[0], s[2]), s[1]
		}
		y := conv(gated)
		for i := range y {
			y[i] = out(product(after[i], y[i]))
		}
		return y
	}
}

// memory is the state of some heads, key by value: it forgets, and learns the difference between a value and what it would have
// said.
type memory struct {
	values int
	state  [][]vec
}

func newMemory(heads, keys, values int) *memory {
	s := &memory{values, make([][]vec, heads)}
	for h := range s.state {
		for range keys {
			s.state[h] = append(s.state[h], make(vec, values))
		}
	}
	return s
}

// step is one position of the head h; keep says what is left at the place j of a key.
func (s *memory) step(h int, q, k, value vec, keep func(j int) float64, rate float64) vec {
	out := make(vec, s.values)
	for d := range out {
		known := 0.0
		for j, row := range s.state[h] {
			row[d] *= keep(j)
			known += row[d] * k[j]
		}
		for j, row := range s.state[h] {
			row[d] += k[j] * (value[d] - known) * rate
			out[d] += row[d] * q[j]
		}
	}
	return out
}

// unit makes vectors of length 1.
func unit(v vec) vec { return scaled(v, 1/math.Sqrt(dot(v, v)+1e-6)) }

// deltaNet is Qwen's linear attention.
func (m *model) deltaNet(p string) mixer {
	keys, values := m.int("linear_num_key_heads"), m.int("linear_num_value_heads")
	kd, vd := m.int("linear_key_head_dim"), m.int("linear_value_head_dim")
	ratio := values / keys
	var qkv, z, a, b fn
	if m.weights.has(p + "in_proj_qkvz.weight") {
		// what belongs to a key head stands together
		f, g := m.linear(p+"in_proj_qkvz"), m.linear(p+"in_proj_ba")
		take := func(f fn, size int, parts ...[2]int) fn {
			return func(x vec) vec {
				y := f(x)
				var out vec
				for _, part := range parts {
					for h := range keys {
						out = append(out, y[h*size+part[0]:h*size+part[0]+part[1]]...)
					}
				}
				return out
			}
		}
		size := 2*kd + 2*ratio*vd
		qkv = take(f, size, [2]int{0, kd}, [2]int{kd, kd}, [2]int{2 * kd, ratio * vd})
		z = take(f, size, [2]int{2*kd + ratio*vd, ratio * vd})
		b, a = take(g, 2*ratio, [2]int{0, ratio}), take(g, 2*ratio, [2]int{ratio, ratio})
	} else {
		qkv, z, a, b = m.linear(p+"in_proj_qkv"), m.linear(p+"in_proj_z"), m.linear(p+"in_proj_a"), m.linear(p+"in_proj_b")
	}
	conv, out := m.convolution(p+"conv1d"), m.linear(p+"out_proj")
	decay, bias := m.weights.vector(p+"A_log"), m.weights.vector(p+"dt_bias")
	norm := m.rms(p + "norm")
	unit := perHead(kd, unit)
	return func(x []vec) []vec {
		mixed := each(func(v vec) vec { return mapped(v, silu) })(conv(each(qkv)(x)))
		state := newMemory(values, kd, vd)
		result := make([]vec, len(x))
		for i, v := range x {
			s := split(mixed[i], keys*kd, keys*kd, values*vd)
			q, k := scaled(unit(s[0]), 1/math.Sqrt(float64(kd))), unit(s[1])
			gate, learn, step := mapped(z(v), silu), mapped(b(v), sigmoid), mapped(sum(a(v), bias), softplus)
			var y vec
			for h := range values {
				at := h / ratio * kd
				keep := math.Exp(-math.Exp(decay[h]) * step[h])
				o := state.step(h, q[at:at+kd], k[at:at+kd], s[2][h*vd:(h+1)*vd], func(int) float64 { return keep }, learn[h])
				y = append(y, product(norm(o), gate[h*vd:(h+1)*vd])...)
			}
			result[i] = out(y)
		}
		return result
	}
}
