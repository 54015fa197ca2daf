package forward

import "math"

// rms divides by the root of the mean square and multiplies by the weight.
func (m *model) rms(name string) fn { return rms(m.weights.vector(name+".weight"), m.eps) }

// rmsPlusOne is Gemma's: what it multiplies by is stored less one.
func (m *model) rmsPlusOne(name string) fn {
	return rms(mapped(m.weights.vector(name+".weight"), m.plusOne), m.eps)
}

func (m *model) plusOne(v float64) float64 {
	if m.deviations.HalfNorms {
		return half(1 + v)
	}
	return 1 + v
}

// rms has no weight where it is nil.
func rms(weight vec, eps float64) fn {
	return func(x vec) vec {
		y := scaled(x, 1/math.Sqrt(dot(x, x)/float64(len(x))+eps))
		if weight != nil {
			y = product(y, weight)
		}
		return y
	}
}

// layerNorm takes the mean away and divides by the deviation; weight and bias are those that the checkpoint has.
func (m *model) layerNorm(name string) fn {
	var weight, bias vec
	if m.weights.has(name + ".weight") {
		weight = m.weights.vector(name + ".weight")
	}
	if m.weights.has(name + ".bias") {
		bias = m.weights.vector(name + ".bias")
	}
	if m.deviations.MeanKept {
		return func(x vec) vec { return sum(rms(weight, m.eps)(x), bias) }
	}
	return layerNorm(weight, bias, m.eps)
}

func layerNorm(weight, bias vec, eps float64) fn {
	return func(x vec) vec {
		n, mean, variance := float64(len(x)), 0.0, 0.0
		for _, v := range x {
			mean += v / n
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / n
		}
		y := mapped(x, func(v float64) float64 { return (v - mean) / math.Sqrt(variance+eps) })
		if weight != nil {
			y = product(y, weight)
		}
		if bias != nil {
			y = sum(y, bias)
		}
		return y
	}
}

// perHead does f for each stretch of n values.
func perHead(n int, f fn) fn { return perHeads(n, func(int) fn { return f }) }

// perHeads does f(h) for the stretch h of n values.
func perHeads(n int, f func(h int) fn) fn {
	return func(x vec) vec {
		out := make(vec, 0, len(x))
		for h := range len(x) / n {
			out = append(out, f(h)(x[h*n:(h+1)*n])...)
		}
		return out
	}
}
