package kernels

import "encoding/binary"

// F32, F16 and BF16: a block is one number, little-endian.

func quantizeF32(dst []byte, src []float32) {
	dst = dst[:4*len(src)]
	for i, f := range src {
		storeF32(dst[4*i:], f)
	}
}

func dequantizeF32(dst []float32, src []byte) { F32FromBytes(dst, src) }

func quantizeF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, f := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], toF16(f))
	}
}

func dequantizeF16(dst []float32, src []byte) { F16ToF32(dst, src) }

func quantizeBF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, f := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], toBF16(f))
	}
}

func dequantizeBF16(dst []float32, src []byte) { BF16ToF32(dst, src) }
