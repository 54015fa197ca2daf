package kernels

// Q3_K, 110 bytes for 256 values in 16 groups of 16: x = d*(sc-32)*(q-4), q in 0..7, sc in 0..63:
//
//	0                     32                                  96                  108     110
//	| bit 2 of the levels | 64 bytes of four 2-bit remainders | 16 sc, 6 bits each | d f16  |
//
// Bit g of byte i at 0 is bit 2 of value 32*g+i. The two lower bits are packed as in Q2_K.
// Bytes 96..103 hold the low nibbles of sc j and j+8; byte 104+j the upper two bits of sc j, j+4, j+8 and j+12.

const q3KSize = 32 + 64 + 12 + 2

// q3KBlock is the workspace of a super-block.
type q3KBlock struct {
	levels       [256]uint8
	weights      [16]float32
	scales       [16]float32
	groupWeights [16]float32
	scaleQ       [16]uint8
}

// quantizeQ3K follows quantize_row_q3_K_ref.
func quantizeQ3K(dst []byte, src []float32) {
	var s q3KBlock
	for ; len(src) >= 256; src, dst = src[256:], dst[q3KSize:] {
		for j := range 16 {
			s.fitPlainGroup(src, j)
		}
		s.finish(dst[:q3KSize], src[:256], s.superScalePlain())
	}
}

func (s *q3KBlock) fitPlainGroup(x []float32, j int) {
	s.scales[j] = refinedScale(4, x[16*j:16*j+16], s.levels[16*j:16*j+16])
}

// superScalePlain gives the scale of greatest magnitude the level -32 and returns the scale of scales.
func (s *q3KBlock) superScalePlain() float32 {
	top := largest(s.scales[:])
	if top == 0 {
		clear(s.scaleQ[:])
		return 0
	}
	iscale := -32 / top
	for j, v := range s.scales {
		s.scaleQ[j] = uint8(max(-32, min(31, int8(nearestInt(iscale*v)))) + 32)
	}
	return 1 / iscale
}

// quantizeQ3KWeighted follows quantize_row_q3_K_impl.
func quantizeQ3KWeighted(dst []byte, src, weights []float32) {
	var s q3KBlock
	for at := 0; len(src) >= 256; src, dst = src[256:], dst[q3KSize:] {
		w := weights[at:][:256]
		at = (at + 256) % len(weights)
		sigma2 := float32(2 * sumSquares(src[:256]) / 256)
		for j := range 16 {
			s.fitWeightedGroup(src, w, sigma2, j)
		}
		d := symmetricScale(32, s.scales[:], s.groupWeights[:], s.scaleQ[:])
		s.finish(dst[:q3KSize], src[:256], d)
	}
}

func (s *q3KBlock) fitWeightedGroup(x, weights []float32, sigma2 float32, j int) {
	v := x[16*j : 16*j+16]
	importance(s.weights[:], weights[16*j:16*j+16], v, sigma2)
	s.groupWeights[j] = sum(s.weights[:])
	s.scales[j] = symmetricScale(4, v, s.weights[:], s.levels[16*j:16*j+16])
}

// finish stores the scales, rounds x anew to what they have become, and packs the levels. A group whose scale came out
// as 0 keeps the levels of its search.
func (s *q3KBlock) finish(block []byte, x []float32, scale float32) {
	for j, d := range s.storeScales(block, scale) {
		if d == 0 {
			continue
		}
		levels := s.levels[16*j : 16*j+16]
		for i, v := range x[16*j : 16*j+16] {
			levels[i] = uint8(max(-4, min(3, nearestInt(v/d))) + 4)
		}
	}
	s.pack(block)
}

// storeScales stores the scales and gives what they have become.
func (s *q3KBlock) storeScales(block []byte, scale float32) (d [16]float32) {
	packQ3KScales(block[96:108], &s.scaleQ)
	storeF16(block[108:], scale)
	return q3KScales(block)
}

func (s *q3KBlock) pack(block []byte) {
	packHigh(block[:32], &s.levels, 2)
	packPairs(block[32:96], &s.levels)
}

func packQ3KScales(b []byte, sc *[16]uint8) {
	for j := range 8 {
		b[j] = sc[j]&15 | sc[j+8]<<4
	}
	for j := range 4 {
		b[8+j] = sc[j]>>4 | sc[j+4]>>4<<2 | sc[j+8]>>4<<4 | sc[j+12]>>4<<6
	}
}

// q3KScales reads the scales.
func q3KScales(block []byte) (d [16]float32) {
	b, scale := block[96:108:108], loadF16(block[108:])
	for j := range d {
		d[j] = scale * float32(int32(b[j&7]>>(j>>3<<2)&15|b[8+j&3]>>(j>>2<<1)&3<<4)-32)
	}
	return d
}

func dequantizeQ3K(dst []float32, src []byte) {
	for ; len(src) >= q3KSize; src, dst = src[q3KSize:], dst[256:] {
		for j, d := range q3KScales(src) {
			q, shift := pairGroup(src[32:96], j)
			high := src[j&1<<4:][:16]
			y := dst[16*j : 16*j+16]
			for i := range y {
				level := q[i]>>shift&3 | high[i]>>(j>>1)&1<<2
				y[i] = d * float32(int32(level)-4)
			}
		}
	}
}
