//go:build (amd64 || arm64) && !purego

package kernels

func compareSIMD(x, y []float32) Difference {
	var l differenceLanes
	n := len(x) &^ (compareLanes - 1)
	if n > 0 {
		compareBlocks(&l, &x[0], &y[0], n)
	}
	l.add(x[n:], y[n:])
	return l.fold()
}
