//go:build (amd64 || arm64) && !purego

package kernels

import "unsafe"

// blockKernel makes blocks of 32 values, some at a time, and returns how many it made: it stops before some among which
// one is out of the ordinary.
type blockKernel func(dst *byte, src *float32, blocks int) int

// stream makes blocks with a kernel, and those that it leaves with the reference, batch by batch.
func stream(dst []byte, src []float32, size, batch int, kernel blockKernel, reference func([]byte, []float32)) {
	for len(src) >= 32 {
		n := kernel(&dst[0], &src[0], len(src)/32)
		src, dst = src[32*n:], dst[size*n:]
		if n = min(batch, len(src)/32); n > 0 {
			reference(dst[:size*n], src[:32*n])
			src, dst = src[32*n:], dst[size*n:]
		}
	}
}

func quantizeQ8_0SIMD(dst []byte, src []float32) {
	stream(dst, src, q8_0Size, 1, q8_0Blocks, quantizeQ8_0)
}

func quantizeMXFP4SIMD(dst []byte, src []float32) {
	stream(dst, src, mxfp4Size, 1, mxfp4Blocks, quantizeMXFP4)
}

// The CPU is little-endian: single precision is stored as it stands.

func quantizeF32SIMD(dst []byte, src []float32) { copy(dst, bytesOf(src)) }

func dequantizeF32SIMD(dst []float32, src []byte) { copy(bytesOf(dst), src) }

func bytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}

// narrow converts with a kernel that takes 16 values at a time, and with the reference what it leaves: NaN and the rest.
func narrow(dst []byte, src []float32, kernel func(dst *byte, src *float32, n int) int, reference func([]byte, []float32)) {
	for len(src) >= 16 {
		n := kernel(&dst[0], &src[0], len(src)&^15)
		src, dst = src[n:], dst[2*n:]
		if n = min(16, len(src)); n > 0 {
			reference(dst[:2*n], src[:n])
			src, dst = src[n:], dst[2*n:]
		}
	}
	reference(dst, src)
}

func quantizeF16SIMD(dst []byte, src []float32)  { narrow(dst, src, narrowF16, quantizeF16) }
func quantizeBF16SIMD(dst []byte, src []float32) { narrow(dst, src, narrowBF16, quantizeBF16) }

func dequantizeF16SIMD(dst []float32, src []byte) {
	n := len(dst) &^ 7
	if n > 0 {
		widenF16(&dst[0], &src[0], n)
	}
	dequantizeF16(dst[n:], src[2*n:])
}

func dequantizeBF16SIMD(dst []float32, src []byte) {
	n := len(dst) &^ 7
	if n > 0 {
		widenBF16(&dst[0], &src[0], n)
	}
	dequantizeBF16(dst[n:], src[2*n:])
}

// finiteSIMD returns the number of leading values that it found finite.
func finiteSIMD(src []float32) int {
	if n := len(src) &^ 31; n > 0 {
		return finiteBlocks(&src[0], n)
	}
	return 0
}
