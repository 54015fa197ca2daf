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
		var bits uint64
		for g := range 8 {
			bits |= eight(levels[32*g+i:]) >> shift & each << g
		}
		putEight(dst[i:], bits)
	}
}

// packHalves stores the low nibbles of 64 levels at a time in 32 bytes, level i beside level i+32.
func packHalves(dst []byte, levels *[256]uint8) {
	for i := 0; i < 128; i += 8 {
		at := i&^31<<1 | i&31
		putEight(dst[i:], eight(levels[at:])&(15*each)|eight(levels[at+32:])&(15*each)<<4)
	}
}

// packPairs stores the low two bits of 256 levels in 64 bytes, levels i, i+32, i+64 and i+96 of each half in one byte.
func packPairs(dst []byte, levels *[256]uint8) {
	for i := 0; i < 64; i += 8 {
		at := i&32<<2 | i&31
		var bits uint64
		for part := range 4 {
			bits |= eight(levels[at+32*part:]) & (3 * each) << (2 * part)
		}
		putEight(dst[i:], bits)
	}
}
