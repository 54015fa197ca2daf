package arch

import "math"

// Exp is e to the power of x in float32, bit for bit as PyTorch computes it on CPUs with AVX2 or AVX-512 where it is built
// without Intel's MKL: with SLEEF's vector function, whose error stays below one unit in the last place
// (Sleef_expf8_u10; N. Shibata and F. Petrogalli, SLEEF: A Portable Vectorized Library of C Standard Mathematical
// Functions, 2019). The argument is reduced by a multiple of ln 2 in two parts, exp(s) = 1 + s + s^2 P(s) with a polynomial
// of degree 5, and every product and sum in between is fused.
func Exp(x float32) float32 {
	const (
		log2e       = 1.442695040888963407359924681001892137426645954152985934135449406931
		ln2High     = 0.693145751953125
		ln2Low      = 1.428606765330187045e-06
		under, over = -104, 104 // 0 below and infinity above
	)
	switch {
	case x != x:
		return x
	case x < under:
		return 0
	case x > over:
		return float32(math.Inf(1))
	}
	q := float32(math.RoundToEven(float64(x * log2e)))
	s := fma32(q, -ln2High, x)
	s = fma32(q, -ln2Low, s)
	p := float32(0.000198527617612853646278381)
	for _, c := range [...]float32{0.00139304355252534151077271, 0.00833336077630519866943359, 0.0416664853692054748535156, 0.166666671633720397949219, 0.5} {
		p = fma32(p, s, c)
	}
	y := 1 + fma32(float32(s*s), p, s)
	// Twice half of the power, so that neither is beyond the range of a float32 where the result isn't.
	half := int(q) >> 1
	return float32(y*power2(half)) * power2(int(q)-half)
}

// power2 is 2^n for -126 <= n <= 127.
func power2(n int) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// fma32 is x*y + z, rounded once. The product of two float32 is exact in float64; the sum is rounded to odd there, after
// which rounding to float32 is right (S. Boldo and G. Melquiond, Emulation of FMA and correctly rounded sums, 2008).
func fma32(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	sum := p + c
	if math.IsInf(sum, 0) || sum != sum {
		return float32(sum)
	}
	b := sum - p
	rest := (p - (sum - b)) + (c - b) // what rounding took away
	if bits := math.Float64bits(sum); rest != 0 && bits&1 == 0 {
		if (rest > 0) == (sum > 0) {
			bits++
		} else {
			bits--
		}
		sum = math.Float64frombits(bits)
	}
	return float32(sum)
}
