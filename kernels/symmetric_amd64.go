//go:build amd64 && !purego

package kernels

import "math/bits"

// symmetricLanes is the workspace of symmetric32 and symmetric16: two sets of 8 groups. The assembly knows the fields'
// places.
type symmetricLanes struct {
	x, w     [32][2][8]float32
	_        [32][2][8]float32 // products of x and w
	scale    [2][8]float32
	wonScale [2][8]float32 // the inverse scale that led to the best levels
}

// symmetricNumerators are those of the inverse scales that symmetricScale tries.
type symmetricNumerators [19]float32

// search16 and search32 try the numerators on the groups of 16 or 32 values in the lanes.

func (l *symmetricLanes) search16(n *symmetricNumerators, nmax int32, wide bool) (odd uint32) {
	if wide {
		return symmetric16Wide(l, &n[0], len(n)/3, float32(-nmax), float32(nmax-1))
	}
	return symmetric16(l, &n[0], len(n)/2, float32(-nmax), float32(nmax-1))
}

func (l *symmetricLanes) search32(n *symmetricNumerators, nmax int32, wide bool) (odd uint32) {
	if wide {
		return symmetric32Wide(l, &n[0], len(n)/3, float32(-nmax), float32(nmax-1))
	}
	return symmetric32(l, &n[0], len(n)/2, float32(-nmax), float32(nmax-1))
}

func newSymmetricNumerators(nmax int32) (n symmetricNumerators) {
	n[0] = float32(-nmax)
	i := 1
	for step := int32(-9); step <= 9; step++ {
		if step != 0 {
			n[i] = -(float32(nmax) + float32(0.1*float32(step)))
			i++
		}
	}
	return n
}

var (
	symmetricNums4  = newSymmetricNumerators(4)
	symmetricNums8  = newSymmetricNumerators(8)
	symmetricNums16 = newSymmetricNumerators(16)
	symmetricNums32 = newSymmetricNumerators(32)
)

func (l *symmetricLanes) load16(x []float32) {
	transpose16(&l.x[0][0][0], &x[0])
	transpose16(&l.x[0][1][0], &x[128])
}

func quantizeQ6KSIMD(dst []byte, src []float32, wide bool) {
	var room onLine[symmetricLanes]
	l := room.start()
	var levels [256]uint8
	for ; len(src) >= 256; src, dst = src[256:], dst[q6KSize:] {
		x := src[:256]
		l.load16(x)
		squaresLanes(&l.w[0][0][0], &l.x[0][0][0], 32)
		l.finishQ6K(dst[:q6KSize], x, nil, &levels, wide)
	}
}

func quantizeQ6KWeightedSIMD(dst []byte, src, weights []float32, wide bool) {
	var room onLine[symmetricLanes]
	l := room.start()
	var levels [256]uint8
	for at := 0; len(src) >= 256; src, dst = src[256:], dst[q6KSize:] {
		x, w := src[:256], weights[at:][:256]
		at = (at + 256) % len(weights)
		l.load16(x)
		transpose16(&l.w[0][0][0], &w[0])
		transpose16(&l.w[0][1][0], &w[128])
		l.finishQ6K(dst[:q6KSize], x, w, &levels, wide)
	}
}

// finishQ6K makes a block once x and the weights stand in the lanes. w nil stands for x[i]^2.
func (l *symmetricLanes) finishQ6K(block []byte, x, w []float32, levels *[256]uint8, wide bool) {
	group := func(j int) float32 {
		if w == nil {
			return symmetricScale(32, x[16*j:16*j+16], nil, levels[16*j:16*j+16])
		}
		return symmetricScale(32, x[16*j:16*j+16], w[16*j:16*j+16], levels[16*j:16*j+16])
	}
	bad := l.search16(&symmetricNums32, 32, wide)
	var scales, d, zero [16]float32
	copy(scales[:8], l.scale[0][:])
	copy(scales[8:], l.scale[1][:])
	for m := uint16(bad); m != 0; m &= m - 1 {
		j := bits.TrailingZeros16(m)
		scales[j] = group(j)
	}
	if !storeScalesQ6K(block, &scales, &d) {
		return
	}
	requantize16(&levels[0], &x[0], &d[0], &zero[0], 16, -32, 31)
	for j, v := range d {
		if v == 0 {
			group(j)
		}
	}
	packQ6K(block, levels)
}

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

// searchRefined refines the levels of the groups in the lanes of one or two super-blocks.
func searchRefined(l *[2]refineLanes, blocks int, wide bool) (bad uint32) {
	if wide {
		return refine16Wide(l)
	}
	for i := range blocks {
		bad |= refine16(&l[i]) << (16 * i)
	}
	return bad
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
