package kernels

// Q2_K, 84 bytes for 256 values in 16 groups of 16: x = d*sc*q - dmin*m, q in 0..3, sc and m in 0..15:
//
//	0                                   16                                80       82           84
//	| sc0 low, m0 high nibble | ... x16 | 64 bytes of four 2-bit levels   | d f16  | dmin f16   |
//
// Byte i of the first 32 bytes of levels holds values i, i+32, i+64, i+96, lowest bits first; the second 32 bytes hold
// values 128 and up in the same way.

const q2KSize = 16 + 64 + 2 + 2

// q2KGrid is the search of quantize_row_q2_K_ref.
var q2KGrid = grid{-0.5, 0.1, 15, true}

// q2KBlock is the workspace of a super-block.
type q2KBlock struct {
	levels       [256]uint8
	trial        [16]uint8
	weights      [16]float32
	scales, mins [16]float32
	groupWeights [16]float32
	scaleQ, minQ [16]uint8
}

// quantizeQ2K follows quantize_row_q2_K_ref.
func quantizeQ2K(dst []byte, src []float32) {
	var s q2KBlock
	for ; len(src) >= 256; src, dst = src[256:], dst[q2KSize:] {
		for j := range 16 {
			s.fitPlainGroup(src, j)
		}
		d := superScalePlain(s.scales[:], s.scaleQ[:])
		m := superScalePlain(s.mins[:], s.minQ[:])
		s.finish(dst[:q2KSize], src[:256], d, m)
	}
}

func (s *q2KBlock) fitPlainGroup(x []float32, j int) {
	v := x[16*j : 16*j+16]
	magnitudes(s.weights[:], v, 0)
	s.scales[j], s.mins[j] = q2KGrid.fit(3, v, s.weights[:], s.levels[16*j:16*j+16], s.trial[:])
}

// superScalePlain gives the greatest of x the level 15 and returns the scale.
func superScalePlain(x []float32, levels []uint8) float32 {
	top := greatest(x)
	if !(top > 0) {
		clear(levels)
		return 0
	}
	iscale := 15 / top
	for j, v := range x {
		levels[j] = uint8(nearestInt(iscale * v))
	}
	return top / 15
}

// quantizeQ2KWeighted follows quantize_row_q2_K_impl.
func quantizeQ2KWeighted(dst []byte, src, weights []float32) {
	var s q2KBlock
	for at := 0; len(src) >= 256; src, dst = src[256:], dst[q2KSize:] {
		w := weights[at:][:256]
		at = (at + 256) % len(weights)
		sigma2 := float32(sumSquares(src[:256]) / 256)
		for j := range 16 {
			s.fitWeightedGroup(src, w, sigma2, j)
		}
		d := superScale(15, s.scales[:], s.groupWeights[:], s.scaleQ[:])
		m := superScale(15, s.mins[:], s.groupWeights[:], s.minQ[:])
		s.finish(dst[:q2KSize], src[:256], d, m)
	}
}

func (s *q2KBlock) fitWeightedGroup(x, weights []float32, sigma2 float32, j int) {
	v := x[16*j : 16*j+16]
	importance(s.weights[:], weights[16*j:16*j+16], v, sigma2)
	s.groupWeights[j] = sum(s.weights[:])
	s.scales[j], s.mins[j] = weightedGrid.fit(3, v, s.weights[:], s.levels[16*j:16*j+16], s.trial[:])
}

// finish stores the scales, rounds x anew to what they have become, and packs the levels. A group whose scale came out
// as 0 keeps the levels of its search.
func (s *q2KBlock) finish(block []byte, x []float32, scale, low float32) {
	d, m := s.storeScales(block, scale, low)
	for j := range d {
		if d[j] == 0 {
			continue
		}
		levels := s.levels[16*j : 16*j+16]
		for i, v := range x[16*j : 16*j+16] {
			levels[i] = uint8(max(0, min(3, nearestInt((v+m[j])/d[j]))))
		}
	}
	packPairs(block[16:80], &s.levels)
}

// storeScales stores scales and mins and gives what they have become.
func (s *q2KBlock) storeScales(block []byte, scale, low float32) (d, m [16]float32) {
	storeF16(block[80:], scale)
	storeF16(block[82:], low)
	for j := range 16 {
		block[j] = s.scaleQ[j] | s.minQ[j]<<4
	}
	return q2KScales(block)
}

// q2KScales reads scales and mins.
func q2KScales(block []byte) (d, m [16]float32) {
	scale, low := loadF16(block[80:]), loadF16(block[82:])
	for j, b := range block[:16] {
		d[j], m[j] = scale*float32(b&15), float32(low*float32(b>>4))
	}
	return d, m
}

func dequantizeQ2K(dst []float32, src []byte) {
	for ; len(src) >= q2KSize; src, dst = src[q2KSize:], dst[256:] {
		scales, mins := q2KScales(src)
		for j, d := range scales {
			m := mins[j]
			q, shift := pairGroup(src[16:80], j)
			y := dst[16*j : 16*j+16]
			for i := range y {
				y[i] = float32(d*float32(q[i]>>shift&3)) - m
			}
		}
	}
}

// pairGroup finds the levels of group j of 16 values among 64 bytes of packPairs: 16 bytes and a shift.
func pairGroup(q []byte, j int) ([]byte, int) {
	at := j>>3<<5 | j&1<<4
	return q[at : at+16 : at+16], j >> 1 & 3 << 1
}
