package kernels

// Searches for a scale of levels that lie on both sides of zero: x = scale * (level - nmax).

// epsilon is the magnitude below which a group counts as all zeros (GROUP_MAX_EPS).
const epsilon = 1e-15

// symmetricScale finds levels 0..2*nmax-1 and their scale such that the weighted square error is small, by trying 19
// scales around the one that maps the largest value to -nmax. w nil stands for x[i]^2.
// It is make_qx_quants with rmse_type 1. A group of zeros gives level 0 (not nmax) and scale 0.
func symmetricScale(nmax int32, x, w []float32, levels []uint8) float32 {
	levels = levels[:len(x)]
	top := largest(x)
	if abs(top) < epsilon {
		clear(levels)
		return 0
	}
	iscale := float32(-nmax) / top
	sumLX, sumL2 := symmetricSums(nmax, iscale, x, w)
	symmetricLevels(nmax, iscale, x, levels)
	var scale float32
	if sumL2 != 0 {
		scale = sumLX / sumL2
	}
	best := scale * sumLX
	for step := int32(-9); step <= 9; step++ {
		if step == 0 {
			continue
		}
		iscale = -(float32(nmax) + float32(0.1*float32(step))) / top
		sumLX, sumL2 = symmetricSums(nmax, iscale, x, w)
		if sumL2 > 0 && float32(sumLX*sumLX) > float32(best*sumL2) {
			symmetricLevels(nmax, iscale, x, levels)
			scale = sumLX / sumL2
			best = scale * sumLX
		}
	}
	return scale
}

// symmetricSums gives the weighted sums of level*x and level^2 at one inverse scale.
func symmetricSums(nmax int32, iscale float32, x, w []float32) (sumLX, sumL2 float32) {
	if w == nil {
		for _, v := range x {
			l := float32(max(-nmax, min(nmax-1, nearestInt(iscale*v))))
			vw := float32(v * v)
			sumLX += float32(float32(vw*v) * l)
			sumL2 += float32(float32(vw*l) * l)
		}
		return sumLX, sumL2
	}
	w = w[:len(x)]
	for i, v := range x {
		l := float32(max(-nmax, min(nmax-1, nearestInt(iscale*v))))
		sumLX += float32(float32(w[i]*v) * l)
		sumL2 += float32(float32(w[i]*l) * l)
	}
	return sumLX, sumL2
}

func symmetricLevels(nmax int32, iscale float32, x []float32, levels []uint8) {
	levels = levels[:len(x)]
	for i, v := range x {
		levels[i] = uint8(nmax + max(-nmax, min(nmax-1, nearestInt(iscale*v))))
	}
}

// refinedScale finds levels 0..2*nmax-1 and their scale by moving one level at a time, up to five rounds, while the
// error under weights x[i]^2 falls. It is make_q3_quants with do_rmse.
func refinedScale(nmax int32, x []float32, levels []uint8) float32 {
	levels = levels[:len(x)]
	top := largest(x)
	if abs(top) < epsilon {
		clear(levels)
		return 0
	}
	iscale := float32(-nmax) / top
	sumLX, sumL2 := symmetricSums(nmax, iscale, x, nil)
	symmetricLevels(nmax, iscale, x, levels)
	for range 5 {
		changed := false
		for i, v := range x {
			old := float32(int32(levels[i]) - nmax)
			w := float32(v * v)
			slx := sumLX - float32(float32(w*v)*old)
			if !(slx > 0) {
				continue
			}
			sl2 := sumL2 - float32(float32(w*old)*old)
			level := max(-nmax, min(nmax-1, nearestInt(float32(v*sl2)/slx)))
			l := float32(level)
			if l == old {
				continue
			}
			slx += float32(float32(w*v) * l)
			sl2 += float32(float32(w*l) * l)
			if sl2 > 0 && float32(float32(slx*slx)*sumL2) > float32(float32(sumLX*sumLX)*sl2) {
				levels[i], sumLX, sumL2 = uint8(level+nmax), slx, sl2
				changed = true
			}
		}
		if !changed {
			break
		}
	}
	if sumL2 > 0 {
		return sumLX / sumL2
	}
	return 0
}
