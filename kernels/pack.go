package kernels

import "encoding/binary"

// Levels are packed eight at a time, a byte each in a uint64.

// each has 1 in every byte.
const each = 0x0101010101010101

func eight(levels []uint8) uint64       { return binary.LittleEndian.Uint64(levels) }
func putEight(dst []byte, bytes uint64) { binary.LittleEndian.PutUint64(dst, bytes) }

// packHigh stores bit shift of 256 levels in 32 bytes: bit g of byte i is that of level 32*g+i.
func packHigh(dst []byte, levels *[256]uint8, shift int) {
	for i := 0; i < 32; i += 8 {
		l := levels[i : i+232]
		putEight(dst[i:], eight(l)>>shift&each|eight(l[32:])>>shift&each<<1|eight(l[64:])>>shift&each<<2|
			eight(l[96:])>>shift&each<<3|eight(l[128:])>>shift&each<<4|eight(l[160:])>>shift&each<<5|
			eight(l[192:])>>shift&each<<6|eight(l[224:])>>shift&each<<7)
	}
}

// packHalves stores the low nibbles of 64 levels at a time in 32 bytes, level i beside level i+32.
func packHalves(dst []byte, levels *[256]uint8) {
	const low = 15 * each
	for j := range 4 {
		l, q := levels[64*j:64*j+64], dst[32*j:32*j+32]
		for i := 0; i < 32; i += 8 {
			putEight(q[i:], eight(l[i:])&low|eight(l[i+32:])&low<<4)
		}
	}
}

// packPairs stores the low two bits of 256 levels in 64 bytes, levels i, i+32, i+64 and i+96 of each half in one byte.
func packPairs(dst []byte, levels *[256]uint8) {
	const low = 3 * each
	for half := range 2 {
		q := dst[32*half : 32*half+32]
		for i := 0; i < 32; i += 8 {
			l := levels[128*half+i:][:104]
			putEight(q[i:], eight(l)&low|eight(l[32:])&low<<2|eight(l[64:])&low<<4|eight(l[96:])&low<<6)
		}
	}
}
