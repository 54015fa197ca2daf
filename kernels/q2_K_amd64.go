//go:build amd64 && !purego

package kernels

import "math/bits"

var (
	q2KNums       = q2KGrid.numerators(3)
	weighted3Nums = weightedGrid.numerators(3)
)

// load16 lays the 16 groups of a super-block side by side.
func (l *affineLanes) load16(x []float32) {
	transpose16(&l.x[0][0][0], &x[0])
	transpose16(&l.x[1][0][0], &x[128])
}

func quantizeQ2KAVX2(dst []byte, src []float32) {
	var l affineLanes
	var s q2KBlock
	for ; len(src) >= 256; src, dst = src[256:], dst[q2KSize:] {
		x, block := src[:256], dst[:q2KSize]
		l.load16(x)
		absoluteLanes(&l.w[0][0][0], &l.x[0][0][0], 16)
		absoluteLanes(&l.w[1][0][0], &l.x[1][0][0], 16)
		bad := affine16abs(&l, &q2KNums[0], int(q2KGrid.last)+1, 3)
		s.take(&l)
		for m := uint16(bad); m != 0; m &= m - 1 {
			s.fitPlainGroup(x, bits.TrailingZeros16(m))
		}
		for m := s.requantizeAVX2(block, x, superScalePlain(s.scales[:], s.scaleQ[:]), superScalePlain(s.mins[:], s.minQ[:])); m != 0; m &= m - 1 {
			s.fitPlainGroup(x, bits.TrailingZeros16(m))
		}
		packPairs(block[16:80], &s.levels)
	}
}

func quantizeQ2KWeightedAVX2(dst []byte, src, weights []float32) {
	if !plainWeights(weights) {
		quantizeQ2KWeighted(dst, src, weights)
		return
	}
	var l affineLanes
	var s q2KBlock
	var sums [8]float32
	for i, at := 0, 0; len(src) >= 256; i, src, dst = i+1, src[256:], dst[q2KSize:] {
		if i&7 == 0 {
			sumSquaresBlocks(&sums, src)
		}
		sigma2 := float32(sums[i&7] / 256)
		x, w, block := src[:256], weights[at:][:256], dst[:q2KSize]
		at = (at + 256) % len(weights)
		l.load16(x)
		for h := range 2 {
			transpose16(&l.w[h][0][0], &w[128*h])
			importanceLanes(&l.w[h][0][0], &l.x[h][0][0], &s.groupWeights[8*h], 16, sigma2)
		}
		bad := affine16(&l, &weighted3Nums[0], int(weightedGrid.last)+1, 3)
		s.take(&l)
		for m := uint16(bad); m != 0; m &= m - 1 {
			s.fitWeightedGroup(x, w, sigma2, bits.TrailingZeros16(m))
		}
		d := superScale(15, s.scales[:], s.groupWeights[:], s.scaleQ[:])
		low := superScale(15, s.mins[:], s.groupWeights[:], s.minQ[:])
		for m := s.requantizeAVX2(block, x, d, low); m != 0; m &= m - 1 {
			s.fitWeightedGroup(x, w, sigma2, bits.TrailingZeros16(m))
		}
		packPairs(block[16:80], &s.levels)
	}
}

func (s *q2KBlock) take(l *affineLanes) {
	for h := range 2 {
		copy(s.scales[8*h:], l.scale[h][:])
		copy(s.mins[8*h:], l.min[h][:])
	}
}

// requantizeAVX2 stores the scales and rounds x anew to what they have become. The result has a bit for each group whose
// scale came out as 0: it must be given the levels of its search.
func (s *q2KBlock) requantizeAVX2(block []byte, x []float32, scale, low float32) (dead uint16) {
	d, m := s.storeScales(block, scale, low)
	for j, v := range d {
		if v == 0 {
			dead |= 1 << j
		}
	}
	requantize16(&s.levels[0], &x[0], &d[0], &m[0], 16, 0, 3)
	return dead
}
