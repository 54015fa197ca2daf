//go:build amd64 && !purego

package kernels

import "golang.org/x/sys/cpu"

// accelerated returns the implementations beside the reference that this CPU can run.
func accelerated() []*Impl {
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasF16C {
		return nil
	}
	list := []*Impl{simd("avx2", false)}
	if x.HasAVX512F && x.HasAVX512DQ {
		im := simd("avx512", true)
		im.compare = compareWideSIMD
		list = append(list, im)
	}
	return list
}

// search32 fits groups of 32 values; the second lanes may be unused.
func (p *affinePair) search32(nums *numerators, g *grid, nmax int32, second, wide bool) (bad uint32) {
	steps := int(g.last) + 1
	if wide {
		return affine32Wide(p, &nums[0], steps, float32(nmax))
	}
	bad = affine32(&p[0], &nums[0], steps, float32(nmax))
	if second {
		bad |= affine32(&p[1], &nums[0], steps, float32(nmax)) << 16
	}
	return bad
}

// search16abs fits the groups of two super-blocks without weights, the second of which may be unused.
func (p *affinePair) search16abs(second, wide bool) (bad uint32) {
	steps := int(q2KGrid.last) + 1
	if wide {
		return affine16absWide(p, &q2KNums[0], steps, 3)
	}
	bad = affine16abs(&p[0], &q2KNums[0], steps, 3)
	if second {
		bad |= affine16abs(&p[1], &q2KNums[0], steps, 3) << 16
	}
	return bad
}

// search16 fits them under importance weights.
func (p *affinePair) search16(second, wide bool) (bad uint32) {
	steps := int(weightedGrid.last) + 1
	if wide {
		return affine16Wide(p, &weighted3Nums[0], steps, 3)
	}
	bad = affine16(&p[0], &weighted3Nums[0], steps, 3)
	if second {
		bad |= affine16(&p[1], &weighted3Nums[0], steps, 3) << 16
	}
	return bad
}

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

func quantizeQ4_0SIMD(dst []byte, src []float32, wide bool) {
	if wide {
		stream(dst, src, q4_0Size, 16, q4_0BlocksWide, quantizeQ4_0)
		return
	}
	stream(dst, src, q4_0Size, 8, q4_0Blocks, quantizeQ4_0)
}

func quantizeQ4_1SIMD(dst []byte, src []float32, wide bool) {
	if wide {
		stream(dst, src, q4_1Size, 16, q4_1BlocksWide, quantizeQ4_1)
		return
	}
	stream(dst, src, q4_1Size, 8, q4_1Blocks, quantizeQ4_1)
}

func quantizeQ5_0SIMD(dst []byte, src []float32, wide bool) {
	if wide {
		stream(dst, src, q5_0Size, 16, q5_0BlocksWide, quantizeQ5_0)
		return
	}
	stream(dst, src, q5_0Size, 8, q5_0Blocks, quantizeQ5_0)
}

func quantizeQ5_1SIMD(dst []byte, src []float32, wide bool) {
	if wide {
		stream(dst, src, q5_1Size, 16, q5_1BlocksWide, quantizeQ5_1)
		return
	}
	stream(dst, src, q5_1Size, 8, q5_1Blocks, quantizeQ5_1)
}

func compareWideSIMD(x, y []float32) Difference {
	var l differenceLanes
	n := len(x) &^ (compareLanes - 1)
	if n > 0 {
		compareBlocksWide(&l, &x[0], &y[0], n)
	}
	l.add(x[n:], y[n:])
	return l.fold()
}

// The functions with AVX-512, which stand in simd_amd64.s too: those of the searches do what their namesakes do for twice
// as many groups, or try three scales at a time.

//go:noescape
func affine32Wide(lanes *affinePair, nums *float32, steps int, nmax float32) uint32

//go:noescape
func affine16Wide(lanes *affinePair, nums *float32, steps int, nmax float32) uint32

//go:noescape
func affine16absWide(lanes *affinePair, nums *float32, steps int, nmax float32) uint32

//go:noescape
func symmetric32Wide(lanes *symmetricLanes, nums *float32, triples int, lo, hi float32) uint32

//go:noescape
func symmetric16Wide(lanes *symmetricLanes, nums *float32, triples int, lo, hi float32) uint32

//go:noescape
func refine16Wide(lanes *[2]refineLanes) uint32

// Those that make blocks take 16 at a time.
//
//go:noescape
func q4_0BlocksWide(dst *byte, src *float32, blocks int) int

//go:noescape
func q4_1BlocksWide(dst *byte, src *float32, blocks int) int

//go:noescape
func q5_0BlocksWide(dst *byte, src *float32, blocks int) int

//go:noescape
func q5_1BlocksWide(dst *byte, src *float32, blocks int) int

//go:noescape
func compareBlocksWide(lanes *differenceLanes, x, y *float32, n int)
