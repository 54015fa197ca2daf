//go:build arm64 && !purego

package kernels

// accelerated returns the implementation beside the reference: every CPU that Go makes programs for has NEON.
func accelerated() []*Impl { return []*Impl{simd("neon", false)} }

// NEON has vectors of 4 floats, so that a set of 8 lanes is two of them. There is one width.

func (p *affinePair) search32(nums *numerators, g *grid, nmax int32, second, _ bool) (bad uint32) {
	steps := int(g.last) + 1
	bad = affine32(&p[0], &nums[0], steps, float32(nmax))
	if second {
		bad |= affine32(&p[1], &nums[0], steps, float32(nmax)) << 16
	}
	return bad
}

func (p *affinePair) search16abs(second, _ bool) (bad uint32) {
	steps := int(q2KGrid.last) + 1
	bad = affine16abs(&p[0], &q2KNums[0], steps, 3)
	if second {
		bad |= affine16abs(&p[1], &q2KNums[0], steps, 3) << 16
	}
	return bad
}

func (p *affinePair) search16(second, _ bool) (bad uint32) {
	steps := int(weightedGrid.last) + 1
	bad = affine16(&p[0], &weighted3Nums[0], steps, 3)
	if second {
		bad |= affine16(&p[1], &weighted3Nums[0], steps, 3) << 16
	}
	return bad
}

func (l *symmetricLanes) search16(n *symmetricNumerators, nmax int32, _ bool) (odd uint32) {
	return symmetric16(l, &n[0], len(n)/2, float32(-nmax), float32(nmax-1))
}

func (l *symmetricLanes) search32(n *symmetricNumerators, nmax int32, _ bool) (odd uint32) {
	return symmetric32(l, &n[0], len(n)/2, float32(-nmax), float32(nmax-1))
}

func searchRefined(l *[2]refineLanes, blocks int, _ bool) (bad uint32) {
	for i := range blocks {
		bad |= refine16(&l[i]) << (16 * i)
	}
	return bad
}

func quantizeQ4_0SIMD(dst []byte, src []float32, _ bool) {
	stream(dst, src, q4_0Size, 8, q4_0Blocks, quantizeQ4_0)
}

func quantizeQ4_1SIMD(dst []byte, src []float32, _ bool) {
	stream(dst, src, q4_1Size, 8, q4_1Blocks, quantizeQ4_1)
}

func quantizeQ5_0SIMD(dst []byte, src []float32, _ bool) {
	stream(dst, src, q5_0Size, 8, q5_0Blocks, quantizeQ5_0)
}

func quantizeQ5_1SIMD(dst []byte, src []float32, _ bool) {
	stream(dst, src, q5_1Size, 8, q5_1Blocks, quantizeQ5_1)
}
