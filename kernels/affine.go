package kernels

// Searches for scale and minimum of levels that start at zero: x = scale*level + min, min <= 0.

// grid says which inverse scales a search tries: (first + step*i + nmax) / (max - min) for i in 0..last.
type grid struct {
	first, step float32
	last        int32
	absolute    bool // judge by weighted absolute instead of square error
}

// weightedGrid is the one that all types use under importance weights.
var weightedGrid = grid{-0.9, 0.05, 36, false}

// fit finds levels 0..nmax for x such that the error under the weights w is small, and returns scale and -min. For each
// inverse scale of the grid it rounds x to levels, solves for the best scale and min given those levels, and keeps the
// best. trial is room for as many levels as x has values.
//
// It is make_qkx2_quants and make_qkx3_quants, which differ in nothing that shows once the weights are given.
func (g *grid) fit(nmax int32, x, w []float32, levels, trial []uint8) (scale, negMin float32) {
	w, levels, trial = w[:len(x)], levels[:len(x)], trial[:len(x)]
	lo, hi := x[0], x[0]
	sumW := w[0]
	sumX := sumW * x[0]
	for i := 1; i < len(x); i++ {
		v := x[i]
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
		sumW += w[i]
		sumX += float32(w[i] * v)
	}
	if lo > 0 {
		lo = 0
	}
	if hi == lo {
		clear(levels)
		return 0, -lo
	}
	// A better fit moves the minimum, and with it the levels and the range of the steps that follow.
	iscale := float32(nmax) / (hi - lo)
	scale = 1 / iscale
	affineLevels(nmax, iscale, lo, x, levels)
	best := g.loss(scale, lo, x, w, levels)
	for i := range g.last + 1 {
		iscale = (g.first + float32(g.step*float32(i)) + float32(nmax)) / (hi - lo)
		affineLevels(nmax, iscale, lo, x, trial)
		var sumL, sumL2, sumXL float32
		for i, v := range x {
			l := float32(trial[i])
			wl := float32(w[i] * l)
			sumL += wl
			sumL2 += float32(wl * l)
			sumXL += float32(wl * v)
		}
		det := float32(sumW*sumL2) - float32(sumL*sumL)
		if !(det > 0) {
			continue
		}
		s := (float32(sumW*sumXL) - float32(sumX*sumL)) / det
		m := (float32(sumL2*sumX) - float32(sumL*sumXL)) / det
		if m > 0 {
			m = 0
			s = sumXL / sumL2
		}
		if loss := g.loss(s, m, x, w, trial); loss < best {
			copy(levels, trial)
			best, scale, lo = loss, s, m
		}
	}
	return scale, -lo
}

func affineLevels(nmax int32, iscale, low float32, x []float32, levels []uint8) {
	levels = levels[:len(x)]
	for i, v := range x {
		levels[i] = uint8(max(0, min(nmax, nearestInt(iscale*(v-low)))))
	}
}

func (g *grid) loss(scale, low float32, x, w []float32, levels []uint8) float32 {
	w, levels = w[:len(x)], levels[:len(x)]
	var total float32
	if g.absolute {
		for i, v := range x {
			diff := float32(scale*float32(levels[i])) + low - v
			total += float32(w[i] * abs(diff))
		}
		return total
	}
	for i, v := range x {
		diff := float32(scale*float32(levels[i])) + low - v
		total += float32(w[i] * float32(diff*diff))
	}
	return total
}
