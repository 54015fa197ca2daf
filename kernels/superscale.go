package kernels

// superScale packs the non-negative scales x of a super-block into levels 0..nmax with a scale of their own, under the
// weights w of their groups: a coarse search over nine scales, then up to five rounds of moving one level at a time.
// It is make_qp_quants. Levels are bytes there too: a negative x wraps.
func superScale(nmax int32, x, w []float32, levels []uint8) float32 {
	w, levels = w[:len(x)], levels[:len(x)]
	var top float32
	for _, v := range x {
		// ggml's MAX(top, v): what doesn't compare is taken.
		if !(top > v) {
			top = v
		}
	}
	if top < epsilon {
		clear(levels)
		return 0
	}
	iscale := float32(nmax) / top
	scale := 1 / iscale
	var best float32
	for i, v := range x {
		diff := v - float32(scale*float32(uint8(nearestInt(iscale*v))))
		best += float32(float32(w[i]*diff) * diff)
	}
	for step := int32(-4); step <= 4; step++ {
		if step == 0 {
			continue
		}
		is := (float32(0.1*float32(step)) + float32(nmax)) / top
		s := 1 / is
		var loss float32
		for i, v := range x {
			l := min(nmax, nearestInt(is*v))
			diff := v - float32(s*float32(l))
			loss += float32(float32(w[i]*diff) * diff)
		}
		if loss < best {
			best, iscale = loss, is
		}
	}
	var sumLX, sumL2 float32
	for i, v := range x {
		l := min(nmax, nearestInt(iscale*v))
		levels[i] = uint8(l)
		sumLX += float32(float32(w[i]*v) * float32(l))
		sumL2 += float32(float32(w[i]*float32(l)) * float32(l))
	}
	for range 5 {
		changed := false
		for i, v := range x {
			old := float32(levels[i])
			slx := sumLX - float32(float32(w[i]*v)*old)
			sl2 := sumL2 - float32(float32(w[i]*old)*old)
			if !(slx > 0 && sl2 > 0) {
				continue
			}
			level := min(nmax, nearestInt(float32(v*sl2)/slx))
			l := float32(level)
			if l == old {
				continue
			}
			slx += float32(float32(w[i]*v) * l)
			sl2 += float32(float32(w[i]*l) * l)
			if float32(float32(slx*slx)*sumL2) > float32(float32(sumLX*sumLX)*sl2) {
				levels[i], sumLX, sumL2 = uint8(level), slx, sl2
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
