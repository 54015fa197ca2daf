//go:build (amd64 || arm64) && !purego

package kernels

// legacyKind is what tells Q4_0, Q4_1, Q5_0 and Q5_1 apart under importance weights. 8 blocks of a row fill the lanes of
// a set; what is left of a row goes to the reference.
type legacyKind struct {
	size  int // of a block. The nibbles are its last 16 bytes, the fifth bits the 4 before them
	nmax  int32
	fifth bool // the levels have five bits
	// nums is what symmetric32 needs, grid what affine32 does, for the types with a minimum.
	nums *symmetricNumerators
	grid *numerators
	// rest is the reference, for a part of a row with mean square sigma2.
	rest func(dst []byte, src, weights []float32, sigma2 float32)
}

var (
	kindQ4_0 = legacyKind{size: q4_0Size, nmax: 8, nums: &symmetricNums8, rest: packQ4_0Weighted}
	kindQ5_0 = legacyKind{size: q5_0Size, nmax: 16, fifth: true, nums: &symmetricNums16, rest: packQ5_0Weighted}
	kindQ4_1 = legacyKind{size: q4_1Size, nmax: 15, grid: &weighted15Nums, rest: packQ4_1Weighted}
	kindQ5_1 = legacyKind{size: q5_1Size, nmax: 31, fifth: true, grid: &weighted31Nums, rest: packQ5_1Weighted}
)

func (k *legacyKind) quantize(dst []byte, src, weights []float32, wide bool) {
	var sums [8]float32
	var symmetricRoom onLine[symmetricLanes]
	var affineRoom onLine[affinePair]
	symmetric, affine := symmetricRoom.start(), affineRoom.start()
	cols := len(weights)
	for row := 0; len(src) > 0; row++ {
		if row&7 == 0 {
			if len(src) >= 8*cols {
				sumSquares8(&sums[0], &src[0], 4*cols, cols)
			} else {
				for i := range len(src) / cols {
					sums[i] = sumSquares(src[i*cols:][:cols])
				}
			}
		}
		sigma2 := sums[row&7] / float32(cols)
		w := weights
		for len(w) > 0 {
			n := len(w) / 256
			switch {
			case n == 0:
				n = len(w)
				k.rest(dst, src[:n], w, sigma2)
			case k.grid != nil:
				n = min(4, n) * 256
				k.affine(affine, dst, src[:n], w[:n], sigma2, wide)
			default:
				n = min(2, n) * 256
				k.symmetric(symmetric, dst, src[:n], w[:n], sigma2, wide)
			}
			src, w, dst = src[n:], w[n:], dst[n/32*k.size:]
		}
	}
}

// symmetric makes the 8 or 16 blocks of src.
func (k *legacyKind) symmetric(l *symmetricLanes, dst []byte, src, w []float32, sigma2 float32, wide bool) {
	var sums, zero [8]float32
	for s := range len(src) / 256 {
		transpose32(&l.x[0][s][0], &src[256*s])
		transpose32(&l.w[0][s][0], &w[256*s])
		importanceLanes(&l.w[0][s][0], &l.x[0][s][0], &sums[0], 32, sigma2)
	}
	odd := l.search32(k.nums, k.nmax, wide)
	var levels [256]uint8
	for s := range len(src) / 256 {
		levels32(&levels[0], &src[256*s], &l.wonScale[s][0], &zero[0], 8, -k.nmax, k.nmax-1)
		for j := range 8 {
			at := 8*s + j
			block := dst[at*k.size:][:k.size]
			v := (*[32]uint8)(levels[32*j:])
			switch bad, flat := odd>>at&1 != 0, odd>>(16+at)&1 != 0; {
			case bad:
				k.rest(block, src[32*at:][:32], w[32*at:][:32], sigma2)
				continue
			case flat:
				clear(v[:])
			}
			storeF16(block, l.scale[s][j])
			k.pack(block, v)
		}
	}
}

// affine makes the blocks of src, 8 to 32 of them.
func (k *legacyKind) affine(p *affinePair, dst []byte, src, w []float32, sigma2 float32, wide bool) {
	var sums [8]float32
	for i := range len(src) / 256 {
		l, s := p.set(i)
		transpose32(&l.x[0][s][0], &src[256*i])
		transpose32(&l.w[0][s][0], &w[256*i])
		importanceLanes(&l.w[0][s][0], &l.x[0][s][0], &sums[0], 32, sigma2)
	}
	bad := p.search32(k.grid, &weightedGrid, k.nmax, len(src) > 512, wide)
	var levels [256]uint8
	for i := range len(src) / 256 {
		l, s := p.set(i)
		// Equal values have an infinite inverse scale here and the levels 0 by it, as they should.
		levels32(&levels[0], &src[256*i], &l.wonScale[s][0], &l.wonMin[s][0], 8, 0, k.nmax)
		for j := range 8 {
			at := 8*i + j
			block := dst[at*k.size:][:k.size]
			if bad>>at&1 != 0 {
				k.rest(block, src[32*at:][:32], w[32*at:][:32], sigma2)
				continue
			}
			storeF16(block, l.scale[s][j])
			storeF16(block[2:], -l.min[s][j])
			k.pack(block, (*[32]uint8)(levels[32*j:]))
		}
	}
}

func (k *legacyKind) pack(block []byte, levels *[32]uint8) {
	if k.fifth {
		packFifthBits(block[k.size-20:], levels)
	}
	packNibbles(block[k.size-16:], levels)
}
