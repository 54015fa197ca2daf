package forward

import "math"

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func silu(x float64) float64 { return x * sigmoid(x) }

func relu(x float64) float64 { return max(x, 0) }

func relu2(x float64) float64 { return relu(x) * relu(x) }

// gelu is the exact one.
func (m *model) gelu(x float64) float64 {
	if m.deviations.TanhGELU {
		return m.geluTanh(x)
	}
	return x / 2 * (1 + math.Erf(x/math.Sqrt2))
}

// geluTanh is what comes close to it.
func (m *model) geluTanh(x float64) float64 {
	if m.deviations.HalfGELU && math.Abs(x) < 10 {
		return half(geluTanh(half(x)))
	}
	return geluTanh(x)
}

func geluTanh(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// half rounds to the nearest number that F16 has, bfloat to the nearest that BF16 has.
func half(x float64) float64 { return rounded(x, 10, -14) }

func bfloat(x float64) float64 { return rounded(x, 7, -126) }

// rounded leaves that many bits of the mantissa. Numbers with exponents below least have fewer.
func rounded(x float64, bits, least int) float64 {
	_, exponent := math.Frexp(x)
	step := math.Ldexp(1, max(exponent-1, least)-bits)
	return math.RoundToEven(x/step) * step
}

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// gated multiplies what comes through the gate with what goes up.
func gated(gate fn, act func(float64) float64, up, down fn) fn {
	return func(x vec) vec { return down(product(mapped(gate(x), act), up(x))) }
}

// plain has no gate.
func plain(up fn, act func(float64) float64, down fn) fn {
	return func(x vec) vec { return down(mapped(up(x), act)) }
}

// mlp is the gated network with the usual names.
func (m *model) mlp(p string, act func(float64) float64) fn {
	return gated(m.linear(p+"gate_proj"), act, m.linear(p+"up_proj"), m.linear(p+"down_proj"))
}

// fusedMLP has gate and up in one matrix, in that order.
func (m *model) fusedMLP(gateUp, down string, act func(float64) float64) fn {
	f := m.linear(gateUp)
	d := m.linear(down)
	return func(x vec) vec {
		y := f(x)
		n := len(y) / 2
		return d(product(mapped(y[:n], act), y[n:]))
	}
}
