//go:build (amd64 || arm64) && !purego

package kernels

import "math/bits"

func quantizeQ3KWeightedSIMD(dst []byte, src, weights []float32, wide bool) {
	var room, superRoom onLine[symmetricLanes]
	l, super := room.start(), superRoom.start()
	var s q3KBlock
	var sums [16]float32
	var scales, groupWeights [16][16]float32
	var rowWeights [16][]float32
	for at := 0; len(src) >= 256; {
		blocks := min(16, len(src)/256)
		for i := range blocks {
			if i&7 == 0 {
				sumSquaresBlocks((*[8]float32)(sums[i:]), src[256*i:])
			}
			sums[i] = float32(2 * sums[i] / 256)
			x, w := src[256*i:][:256], weights[at:][:256]
			at = (at + 256) % len(weights)
			rowWeights[i] = w
			l.load16(x)
			for h := range 2 {
				transpose16(&l.w[0][h][0], &w[128*h])
				importanceLanes(&l.w[0][h][0], &l.x[0][h][0], &groupWeights[i][8*h], 16, sums[i])
			}
			bad := l.search16(&symmetricNums4, 4, wide)
			copy(scales[i][:8], l.scale[0][:])
			copy(scales[i][8:], l.scale[1][:])
			for m := uint16(bad); m != 0; m &= m - 1 {
				j := bits.TrailingZeros16(m)
				s.fitWeightedGroup(x, w, sums[i], j)
				scales[i][j] = s.scales[j]
			}
		}
		// The scales of 16 super-blocks are 16 groups of 16 values, to be packed in the same way.
		for h := range 2 {
			transpose16(&super.x[0][h][0], &scales[8*h][0])
			transpose16(&super.w[0][h][0], &groupWeights[8*h][0])
		}
		odd := super.search16(&symmetricNums32, 32, wide)
		for i := range blocks {
			x, block := src[:256], dst[:q3KSize]
			scale := super.scale[i/8][i%8]
			switch bad, flat := odd>>i&1 != 0, odd>>(16+i)&1 != 0; {
			case bad:
				scale = symmetricScale(32, scales[i][:], groupWeights[i][:], s.scaleQ[:])
			case flat:
				clear(s.scaleQ[:])
			default:
				symmetricLevels(32, super.wonScale[i/8][i%8], scales[i][:], s.scaleQ[:])
			}
			d := s.storeScales(block, scale)
			var zero [16]float32
			requantize16(&s.levels[0], &x[0], &d[0], &zero[0], 16, -4, 3)
			for j, v := range d {
				if v == 0 {
					s.fitWeightedGroup(x, rowWeights[i], sums[i], j)
				}
			}
			s.pack(block)
			src, dst = src[256:], dst[q3KSize:]
		}
	}
}

// refineLanes is the workspace of refine16: two sets of 8 groups. The assembly knows the fields' places.
type refineLanes struct {
	x     [16][2][8]float32
	_     [3][16][2][8]float32 // x^2, x^3 and the levels
	scale [2][8]float32
}

func quantizeQ3KSIMD(dst []byte, src []float32, wide bool) {
	var room onLine[[2]refineLanes]
	l := room.start()
	var s q3KBlock
	var zero [16]float32
	for len(src) >= 256 {
		blocks := min(2, len(src)/256)
		for i := range blocks {
			transpose16(&l[i].x[0][0][0], &src[256*i])
			transpose16(&l[i].x[0][1][0], &src[256*i+128])
		}
		bad := searchRefined(l, blocks, wide)
		for i := range blocks {
			x, block := src[:256], dst[:q3KSize]
			copy(s.scales[:8], l[i].scale[0][:])
			copy(s.scales[8:], l[i].scale[1][:])
			for m := uint16(bad >> (16 * i)); m != 0; m &= m - 1 {
				s.fitPlainGroup(x, bits.TrailingZeros16(m))
			}
			d := s.storeScales(block, s.superScalePlain())
			requantize16(&s.levels[0], &x[0], &d[0], &zero[0], 16, -4, 3)
			for j, v := range d {
				if v == 0 {
					s.fitPlainGroup(x, j)
				}
			}
			s.pack(block)
			src, dst = src[256:], dst[q3KSize:]
		}
	}
}
