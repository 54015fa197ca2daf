package kernels

// sumSquares adds x*x from left to right, one chain, as ggml does.
func sumSquares(x []float32) float32 {
	var sum float32
	for _, v := range x {
		sum += float32(v * v)
	}
	return sum
}

// sum adds from left to right.
func sum(x []float32) float32 {
	var s float32
	for _, v := range x {
		s += v
	}
	return s
}

// importance fills w with weights[i] * sqrt(sigma2 + x[i]^2): the error of a value counts by its importance, and more
// where the value stands out from the mean square sigma2.
func importance(w, weights, x []float32, sigma2 float32) {
	w, weights = w[:len(x)], weights[:len(x)]
	for i, v := range x {
		w[i] = weights[i] * sqrt(sigma2+float32(v*v))
	}
}

// magnitudes fills w with base + |x[i]|, the weights of the plain K types.
func magnitudes(w, x []float32, base float32) {
	w = w[:len(x)]
	for i, v := range x {
		w[i] = base + abs(v)
	}
}
