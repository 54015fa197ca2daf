package kernels

import "encoding/binary"

// F32, F16 and BF16: a block is one number, little-endian.

func quantizeF32(dst []byte, src []float32) {
	dst = dst[:4*len(src)]
	for i, f := range src {
		storeF32(dst[4*i:], f)
	}
}

func dequantizeF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = loadF32(src[4*i:])
	}
}

func quantizeF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, f := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], toF16(f))
	}
}

func dequantizeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = loadF16(src[2*i:])
	}
}

func quantizeBF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, f := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], toBF16(f))
	}
}

func dequantizeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = fromBF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}
