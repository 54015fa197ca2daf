//go:build (amd64 || arm64) && !purego

package kernels

import (
	"unsafe"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// simd makes an implementation with the searches of width, one of those that the CPU has.
func simd(name string, wide bool) *Impl {
	weighted := func(f func([]byte, []float32, []float32, bool)) func(dst []byte, src, weights []float32) {
		return func(dst []byte, src, weights []float32) { f(dst, src, weights, wide) }
	}
	plain := func(f func([]byte, []float32, bool)) func(dst []byte, src []float32) {
		return func(dst []byte, src []float32) { f(dst, src, wide) }
	}
	im := faster(name, []codec{
		{typ: gguf.F32, quantize: quantizeF32SIMD, dequantize: dequantizeF32SIMD},
		{typ: gguf.F16, quantize: quantizeF16SIMD, dequantize: dequantizeF16SIMD},
		{typ: gguf.BF16, quantize: quantizeBF16SIMD, dequantize: dequantizeBF16SIMD},
		{typ: gguf.Q4_0, quantize: plain(quantizeQ4_0SIMD), quantizeWeighted: weighted(kindQ4_0.quantize), dequantize: dequantizeQ4_0SIMD},
		{typ: gguf.Q4_1, quantize: plain(quantizeQ4_1SIMD), quantizeWeighted: weighted(kindQ4_1.quantize), dequantize: dequantizeQ4_1SIMD},
		{typ: gguf.Q5_0, quantize: plain(quantizeQ5_0SIMD), quantizeWeighted: weighted(kindQ5_0.quantize), dequantize: dequantizeQ5_0SIMD},
		{typ: gguf.Q5_1, quantize: plain(quantizeQ5_1SIMD), quantizeWeighted: weighted(kindQ5_1.quantize), dequantize: dequantizeQ5_1SIMD},
		{typ: gguf.Q8_0, quantize: quantizeQ8_0SIMD, dequantize: dequantizeQ8_0SIMD},
		{typ: gguf.MXFP4, quantize: quantizeMXFP4SIMD, dequantize: dequantizeMXFP4SIMD},
		{typ: gguf.Q2K, quantize: plain(quantizeQ2KSIMD), quantizeWeighted: weighted(quantizeQ2KWeightedSIMD), dequantize: dequantizeQ2KSIMD},
		{typ: gguf.Q3K, quantize: plain(quantizeQ3KSIMD), quantizeWeighted: weighted(quantizeQ3KWeightedSIMD), dequantize: dequantizeQ3KSIMD},
		{typ: gguf.Q4K, quantize: plain(kindQ4K.quantize), quantizeWeighted: weighted(kindQ4K.quantizeWeighted), dequantize: dequantizeQ4KSIMD},
		{typ: gguf.Q5K, quantize: plain(kindQ5K.quantize), quantizeWeighted: weighted(kindQ5K.quantizeWeighted), dequantize: dequantizeQ5KSIMD},
		{typ: gguf.Q6K, quantize: plain(quantizeQ6KSIMD), quantizeWeighted: weighted(quantizeQ6KWeightedSIMD), dequantize: dequantizeQ6KSIMD},
	})
	im.finite = finiteSIMD
	im.compare = compareSIMD
	return im
}

// onLine is room for a T that starts at a cache line, so that no load crosses one.
type onLine[T any] struct {
	_     [64]byte
	value T
}

func (o *onLine[T]) start() *T {
	p := unsafe.Pointer(&o.value)
	return (*T)(unsafe.Add(p, -int(uintptr(p)&63)))
}

// The functions below stand in simd_amd64.s and simd_arm64.s, which _gen writes. "Lanes" are rows of 8 floats, each of
// which belongs to a group of values of its own: lanes[i][s][g] is value i of group g of set s.

//go:generate sh -c "cd _gen && go run . > ../simd_amd64.s.new && mv ../simd_amd64.s.new ../simd_amd64.s"
//go:generate sh -c "cd _gen && go run ./neon > ../simd_arm64.s.new && mv ../simd_arm64.s.new ../simd_arm64.s"

// transpose32 lays 8 groups of 32 values side by side in 32 vectors of dst, every other one.
//
//go:noescape
func transpose32(dst, src *float32)

// transpose16 lays 8 groups of 16 values side by side in 16 vectors of dst, every other one.
//
//go:noescape
func transpose16(dst, src *float32)

// transpose16Dense lays 8 groups of 16 values side by side in 16 vectors of dst.
//
//go:noescape
func transpose16Dense(dst, src *float32)

// transpose8Dense is an 8x8 transposition.
//
//go:noescape
func transpose8Dense(dst, src *float32)

// sumSquares8 is sumSquares of 8 rows of n values, n a multiple of 8, whose starts lie stride bytes apart.
//
//go:noescape
func sumSquares8(sums, src *float32, stride, n int)

// magnitudes32 fills 32 vectors of weights, every other one, with the root mean square of their group plus the magnitude of their value.
//
//go:noescape
func magnitudes32(w, x *float32)

// importanceLanes is importance on n vectors, every other one, n a multiple of 4, in place of w, with the sums of each lane.
//
//go:noescape
func importanceLanes(w, x, sums *float32, n int, sigma2 float32)

// affine32 is grid.fit for 16 groups of 32 values, affine16 and affine16abs for groups of 16, the latter with the
// absolute error. The result has a bit for each group that only the reference can do. See affineLanes.
//
//go:noescape
func affine32(lanes *affineLanes, nums *float32, steps int, nmax float32) uint32

//go:noescape
func affine16(lanes *affineLanes, nums *float32, steps int, nmax float32) uint32

//go:noescape
func affine16abs(lanes *affineLanes, nums *float32, steps int, nmax float32) uint32

// symmetric32 is symmetricScale for 16 groups of 32 values, symmetric16 for groups of 16. The result has a bit for each
// group that only the reference can do and, 16 places up, one for each group of zeros. See symmetricLanes.
//
//go:noescape
func symmetric32(lanes *symmetricLanes, nums *float32, pairs int, lo, hi float32) uint32

//go:noescape
func symmetric16(lanes *symmetricLanes, nums *float32, pairs int, lo, hi float32) uint32

// superScale8 is superScale for 8 super-blocks of 8 groups, superScale16 for such of 16. The result has a bit for each
// super-block that only the reference can do. See superLanes.
//
//go:noescape
func superScale8(lanes *superLanes, nums *float32, nmax float32) uint32

//go:noescape
func superScale16(lanes *superLanes, nums *float32, nmax float32) uint32

// refine16 is refinedScale with nmax 4 for 16 groups of 16 values. The result has a bit for each group that only the
// reference can do.
//
//go:noescape
func refine16(lanes *refineLanes) uint32

// absoluteLanes fills n vectors of weights, n a multiple of 4, with |x|.
//
//go:noescape
func absoluteLanes(w, x *float32, n int)

// squaresLanes fills n vectors of weights, n a multiple of 4, with x^2.
//
//go:noescape
func squaresLanes(w, x *float32, n int)

// requantize32 stores nearestInt((x+m)/d), clamped to lo..hi, less lo, for groups of 32 values with a d and an m each.
//
//go:noescape
func requantize32(levels *byte, x, d, m *float32, groups int, lo, hi int32)

// requantize16 does the same for groups of 16 values.
//
//go:noescape
func requantize16(levels *byte, x, d, m *float32, groups int, lo, hi int32)

// levels32 stores nearestInt((x-low)*scale), clamped to lo..hi, less lo, for groups of 32 values.
//
//go:noescape
func levels32(levels *byte, x, scale, low *float32, groups int, lo, hi int32)

// q4_0Blocks and its kin make blocks of 32 values, 8 at a time, and return how many: they stop before 8 among which there
// are NaN, Inf, or values so small that the inverse of their scale is no number.
//
//go:noescape
func q4_0Blocks(dst *byte, src *float32, blocks int) int

//go:noescape
func q4_1Blocks(dst *byte, src *float32, blocks int) int

//go:noescape
func q5_0Blocks(dst *byte, src *float32, blocks int) int

//go:noescape
func q5_1Blocks(dst *byte, src *float32, blocks int) int

// q8_0Blocks and mxfp4Blocks do the same, one block at a time.
//
//go:noescape
func q8_0Blocks(dst *byte, src *float32, blocks int) int

//go:noescape
func mxfp4Blocks(dst *byte, src *float32, blocks int) int

// The conversions take n values, a multiple of 8.
//
//go:noescape
func widenF16(dst *float32, src *byte, n int)

//go:noescape
func widenBF16(dst *float32, src *byte, n int)

// narrowBF16 and narrowF16 take n values, a multiple of 16. They stop before 16 with a NaN among them, and return how
// many they converted.
//
//go:noescape
func narrowBF16(dst *byte, src *float32, n int) int

//go:noescape
func narrowF16(dst *byte, src *float32, n int) int

// finiteBlocks looks at n values, a multiple of 32. It stops before 32 with a NaN or Inf among them, and returns how many
// it passed.
//
//go:noescape
func finiteBlocks(src *float32, n int) int

// compareBlocks is differenceLanes.add to lanes that are zero, of n values, a multiple of 16.
//
//go:noescape
func compareBlocks(lanes *differenceLanes, x, y *float32, n int)

// q4_0Expand and its kin unpack n blocks of 32 values.
//
//go:noescape
func q4_0Expand(dst *float32, src *byte, n int)

//go:noescape
func q4_1Expand(dst *float32, src *byte, n int)

//go:noescape
func q5_0Expand(dst *float32, src *byte, n int)

//go:noescape
func q5_1Expand(dst *float32, src *byte, n int)

//go:noescape
func q8_0Expand(dst *float32, src *byte, n int)

//go:noescape
func mxfp4Expand(dst *float32, src *byte, n int)

// q2KExpand and its kin unpack one super-block whose groups have the scales d and, for Q2_K, the mins m.
//
//go:noescape
func q2KExpand(dst *float32, block *byte, d, m *float32)

//go:noescape
func q3KExpand(dst *float32, block *byte, d, m *float32)

//go:noescape
func q6KExpand(dst *float32, block *byte, d, m *float32)

// q4KExpand and q5KExpand unpack n super-blocks.
//
//go:noescape
func q4KExpand(dst *float32, src *byte, n int)

//go:noescape
func q5KExpand(dst *float32, src *byte, n int)
