//go:build (amd64 || arm64) && !purego

package kernels

// expandKernel unpacks n blocks.
type expandKernel func(dst *float32, src *byte, n int)

func expand(dst []float32, src []byte, size int, kernel expandKernel) {
	if n := len(src) / size; n > 0 {
		kernel(&dst[0], &src[0], n)
	}
}

func dequantizeQ4_0SIMD(dst []float32, src []byte)  { expand(dst, src, q4_0Size, q4_0Expand) }
func dequantizeQ4_1SIMD(dst []float32, src []byte)  { expand(dst, src, q4_1Size, q4_1Expand) }
func dequantizeQ5_0SIMD(dst []float32, src []byte)  { expand(dst, src, q5_0Size, q5_0Expand) }
func dequantizeQ5_1SIMD(dst []float32, src []byte)  { expand(dst, src, q5_1Size, q5_1Expand) }
func dequantizeQ8_0SIMD(dst []float32, src []byte)  { expand(dst, src, q8_0Size, q8_0Expand) }
func dequantizeMXFP4SIMD(dst []float32, src []byte) { expand(dst, src, mxfp4Size, mxfp4Expand) }
func dequantizeQ4KSIMD(dst []float32, src []byte)   { expand(dst, src, q4KSize, q4KExpand) }
func dequantizeQ5KSIMD(dst []float32, src []byte)   { expand(dst, src, q5KSize, q5KExpand) }

func dequantizeQ2KSIMD(dst []float32, src []byte) {
	for ; len(src) >= q2KSize; src, dst = src[q2KSize:], dst[256:] {
		d, m := q2KScales(src)
		q2KExpand(&dst[0], &src[0], &d[0], &m[0])
	}
}

func dequantizeQ3KSIMD(dst []float32, src []byte) {
	for ; len(src) >= q3KSize; src, dst = src[q3KSize:], dst[256:] {
		d := q3KScales(src)
		q3KExpand(&dst[0], &src[0], &d[0], nil)
	}
}

func dequantizeQ6KSIMD(dst []float32, src []byte) {
	for ; len(src) >= q6KSize; src, dst = src[q6KSize:], dst[256:] {
		d := q6KScales(src)
		q6KExpand(&dst[0], &src[0], &d[0], nil)
	}
}
