//go:build (amd64 || arm64) && !purego

package kernels

import "math/bits"

// affineLanes is the workspace of affine32 and its kin: two sets of 8 groups. The assembly knows the fields' places and
// the size of it all.
type affineLanes struct {
	x, w       [32][2][8]float32
	_          [32][2][8]float32 // levels of the scale that is being tried
	scale, min [2][8]float32     // the result: scale and, as the reference has it, -min
	wonScale   [2][8]float32     // the inverse scale and the min that led to the best levels
	wonMin     [2][8]float32
	_          [7][2][8]float32 // what the search does not keep in registers
}

// numerators are those of the inverse scales that a grid tries.
type numerators [37]float32

func (g *grid) numerators(nmax int32) (n numerators) {
	for i := range g.last + 1 {
		n[i] = g.first + float32(g.step*float32(i)) + float32(nmax)
	}
	return n
}

var (
	q4KNums        = q4KGrid.numerators(15)
	q5KNums        = q5KGrid.numerators(31)
	weighted15Nums = weightedGrid.numerators(15)
	weighted31Nums = weightedGrid.numerators(31)
)

// affineKind is what tells Q4_K and Q5_K apart.
type affineKind struct {
	size     int // of a block
	nmax     int32
	plain    *grid
	nums     *numerators
	weighted *numerators
	topLevel uint8 // see storeScalesWeighted
	fifth    bool  // the levels have five bits
}

var (
	kindQ4K = affineKind{q4KSize, 15, &q4KGrid, &q4KNums, &weighted15Nums, 255, false}
	kindQ5K = affineKind{q5KSize, 31, &q5KGrid, &q5KNums, &weighted31Nums, 63, true}
)

// affinePair is what a search works on: up to 32 groups.
type affinePair [2]affineLanes

// set gives the lanes and the set in them of groups 8*s to 8*s+7.
func (p *affinePair) set(s int) (l *affineLanes, set int) { return &p[s/2], s % 2 }

func (k *affineKind) quantize(dst []byte, src []float32, wide bool) {
	var room onLine[affinePair]
	p := room.start()
	var b affineBlock
	for len(src) >= 256 {
		n := min(4, len(src)/256)
		for i := range n {
			l, s := p.set(i)
			transpose32(&l.x[0][s][0], &src[256*i])
			magnitudes32(&l.w[0][s][0], &l.x[0][s][0])
		}
		bad := p.search32(k.nums, k.plain, k.nmax, n > 2, wide)
		for i := range n {
			x, block := src[:256], dst[:k.size]
			l, s := p.set(i)
			b.scales, b.mins = l.scale[s], l.min[s]
			for m := uint8(bad >> (8 * i)); m != 0; m &= m - 1 {
				b.fitPlainGroup(k.plain, k.nmax, x, bits.TrailingZeros8(m))
			}
			b.storeScalesPlain(block)
			for m := b.requantizeSIMD(k.nmax, x, block); m != 0; m &= m - 1 {
				b.fitPlainGroup(k.plain, k.nmax, x, bits.TrailingZeros8(m))
			}
			k.pack(block, &b.levels)
			src, dst = src[256:], dst[k.size:]
		}
	}
}

// affineBatch is what up to 8 super-blocks need between the search of their groups and that of the scale of scales.
type affineBatch struct {
	sums                       [8]float32 // of squares
	weights                    [8][]float32
	scales, mins, groupWeights [8][8]float32
}

func (k *affineKind) quantizeWeighted(dst []byte, src, weights []float32, wide bool) {
	var room onLine[affinePair]
	p := room.start()
	var b affineBlock
	var batch affineBatch
	var scales, mins superLanes
	at := 0 // of the next super-block's weights
	for len(src) >= 256 {
		blocks := min(8, len(src)/256)
		sumSquaresBlocks(&batch.sums, src)
		for first := 0; first < blocks; first += 4 {
			n := min(4, blocks-first)
			for i := first; i < first+n; i++ {
				batch.weights[i] = weights[at : at+256]
				at = (at + 256) % len(weights)
				batch.sums[i] = float32(2 * batch.sums[i] / 256)
				l, s := p.set(i - first)
				transpose32(&l.x[0][s][0], &src[256*i])
				transpose32(&l.w[0][s][0], &batch.weights[i][0])
				importanceLanes(&l.w[0][s][0], &l.x[0][s][0], &batch.groupWeights[i][0], 32, batch.sums[i])
			}
			bad := p.search32(k.weighted, &weightedGrid, k.nmax, n > 2, wide)
			for i := first; i < first+n; i++ {
				l, s := p.set(i - first)
				batch.scales[i], batch.mins[i] = l.scale[s], l.min[s]
				for m := uint8(bad >> (8 * (i - first))); m != 0; m &= m - 1 {
					j := bits.TrailingZeros8(m)
					b.fitWeightedGroup(k.nmax, src[256*i:], batch.weights[i], batch.sums[i], j)
					batch.scales[i][j], batch.mins[i][j] = b.scales[j], b.mins[j]
				}
			}
		}
		transpose8Dense(&scales.w[0][0], &batch.groupWeights[0][0])
		mins.w = scales.w
		bad := scales.fit8(&batch.scales, &superNums63) | mins.fit8(&batch.mins, &superNums63)
		for i := range blocks {
			x, block := src[:256], dst[:k.size]
			if bad>>i&1 != 0 {
				b.scales, b.mins, b.groupWeights = batch.scales[i], batch.mins[i], batch.groupWeights[i]
				b.storeScalesWeighted(block, k.topLevel)
			} else {
				d, m := scales.take(i, b.scaleQ[:]), mins.take(i, b.minQ[:])
				b.storeScales(block, d, m)
			}
			for m := b.requantizeSIMD(k.nmax, x, block); m != 0; m &= m - 1 {
				b.fitWeightedGroup(k.nmax, x, batch.weights[i], batch.sums[i], bits.TrailingZeros8(m))
			}
			k.pack(block, &b.levels)
			src, dst = src[256:], dst[k.size:]
		}
	}
}

// pack stores the levels behind the 16 bytes of scales.
func (k *affineKind) pack(block []byte, levels *[256]uint8) {
	if k.fifth {
		packHigh(block[16:48], levels, 4)
	}
	packHalves(block[k.size-128:], levels)
}

// sumSquaresBlocks is sumSquares of the next super-blocks, up to 8 of them.
func sumSquaresBlocks(sums *[8]float32, src []float32) {
	if len(src) >= 8*256 {
		sumSquares8(&sums[0], &src[0], 4*256, 256)
		return
	}
	for s := range len(src) / 256 {
		sums[s] = sumSquares(src[256*s:][:256])
	}
}

// requantizeSIMD is requantize. The result has a bit for each group whose scale came out as 0: it must be given the
// levels of its search.
func (b *affineBlock) requantizeSIMD(nmax int32, x []float32, block []byte) (dead uint8) {
	d, m := groupScales(block)
	for j, v := range d {
		if v == 0 {
			dead |= 1 << j
		}
	}
	requantize32(&b.levels[0], &x[0], &d[0], &m[0], 8, 0, nmax)
	return dead
}
