//go:build (amd64 || arm64) && !purego

package kernels

import "math/bits"

var (
	q2KNums       = q2KGrid.numerators(3)
	weighted3Nums = weightedGrid.numerators(3)
)

// load16 lays the 16 groups of a super-block side by side.
func (l *affineLanes) load16(x []float32) {
	transpose16(&l.x[0][0][0], &x[0])
	transpose16(&l.x[0][1][0], &x[128])
}

func quantizeQ2KSIMD(dst []byte, src []float32, wide bool) {
	var room onLine[affinePair]
	p := room.start()
	var s q2KBlock
	for len(src) >= 256 {
		n := min(2, len(src)/256)
		for i := range n {
			l := &p[i]
			l.load16(src[256*i:])
			absoluteLanes(&l.w[0][0][0], &l.x[0][0][0], 32)
		}
		bad := p.search16abs(n > 1, wide)
		for i := range n {
			x, block := src[:256], dst[:q2KSize]
			s.take(&p[i])
			for m := uint16(bad >> (16 * i)); m != 0; m &= m - 1 {
				s.fitPlainGroup(x, bits.TrailingZeros16(m))
			}
			for m := s.requantizeSIMD(block, x, superScalePlain(s.scales[:], s.scaleQ[:]), superScalePlain(s.mins[:], s.minQ[:])); m != 0; m &= m - 1 {
				s.fitPlainGroup(x, bits.TrailingZeros16(m))
			}
			packPairs(block[16:80], &s.levels)
			src, dst = src[256:], dst[q2KSize:]
		}
	}
}

func quantizeQ2KWeightedSIMD(dst []byte, src, weights []float32, wide bool) {
	var room onLine[affinePair]
	p := room.start()
	var s q2KBlock
	var batch [8]struct {
		weights []float32
		sigma2  float32
	}
	var sums [8]float32
	var scaleRows, minRows, weightRows [8][16]float32
	var scales, mins superLanes
	for at := 0; len(src) >= 256; {
		blocks := min(8, len(src)/256)
		sumSquaresBlocks(&sums, src)
		for first := 0; first < blocks; first += 2 {
			n := min(2, blocks-first)
			for i := first; i < first+n; i++ {
				w, sigma2 := weights[at:][:256], float32(sums[i]/256)
				at = (at + 256) % len(weights)
				batch[i].weights, batch[i].sigma2 = w, sigma2
				l := &p[i-first]
				l.load16(src[256*i:])
				for h := range 2 {
					transpose16(&l.w[0][h][0], &w[128*h])
					importanceLanes(&l.w[0][h][0], &l.x[0][h][0], &weightRows[i][8*h], 16, sigma2)
				}
			}
			bad := p.search16(n > 1, wide)
			for i := first; i < first+n; i++ {
				s.take(&p[i-first])
				for m := uint16(bad >> (16 * (i - first))); m != 0; m &= m - 1 {
					s.fitWeightedGroup(src[256*i:][:256], batch[i].weights, batch[i].sigma2, bits.TrailingZeros16(m))
				}
				scaleRows[i], minRows[i] = s.scales, s.mins
			}
		}
		transpose16Dense(&scales.w[0][0], &weightRows[0][0])
		mins.w = scales.w
		bad := scales.fit16(&scaleRows, &superNums15) | mins.fit16(&minRows, &superNums15)
		for i := range blocks {
			x, block := src[:256], dst[:q2KSize]
			d, low := scales.take(i, s.scaleQ[:]), mins.take(i, s.minQ[:])
			if bad>>i&1 != 0 {
				d = superScale(15, scaleRows[i][:], weightRows[i][:], s.scaleQ[:])
				low = superScale(15, minRows[i][:], weightRows[i][:], s.minQ[:])
			}
			for m := s.requantizeSIMD(block, x, d, low); m != 0; m &= m - 1 {
				s.fitWeightedGroup(x, batch[i].weights, batch[i].sigma2, bits.TrailingZeros16(m))
			}
			packPairs(block[16:80], &s.levels)
			src, dst = src[256:], dst[q2KSize:]
		}
	}
}

func (s *q2KBlock) take(l *affineLanes) {
	for h := range 2 {
		copy(s.scales[8*h:], l.scale[h][:])
		copy(s.mins[8*h:], l.min[h][:])
	}
}

// requantizeSIMD stores the scales and rounds x anew to what they have become. The result has a bit for each group whose
// scale came out as 0: it must be given the levels of its search.
func (s *q2KBlock) requantizeSIMD(block []byte, x []float32, scale, low float32) (dead uint16) {
	d, m := s.storeScales(block, scale, low)
	for j, v := range d {
		if v == 0 {
			dead |= 1 << j
		}
	}
	requantize16(&s.levels[0], &x[0], &d[0], &m[0], 16, 0, 3)
	return dead
}
