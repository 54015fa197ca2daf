package kernels

// affineBlock is the workspace of a super-block of Q4_K or Q5_K: 8 groups of 32 values with scale and minimum.
type affineBlock struct {
	levels       [256]uint8
	trial        [32]uint8
	weights      [32]float32
	scales, mins [8]float32
	groupWeights [8]float32
	scaleQ, minQ [8]uint8
}

// fitPlain finds levels, scale and min of each group, every value weighing as much as the group's root mean square plus
// its own magnitude.
func (s *affineBlock) fitPlain(g *grid, nmax int32, x []float32) {
	for j := range 8 {
		s.fitPlainGroup(g, nmax, x, j)
	}
}

func (s *affineBlock) fitPlainGroup(g *grid, nmax int32, x []float32, j int) {
	v := x[32*j : 32*j+32]
	magnitudes(s.weights[:], v, sqrt(sumSquares(v)/32))
	s.scales[j], s.mins[j] = g.fit(nmax, v, s.weights[:], s.levels[32*j:32*j+32], s.trial[:])
}

// fitWeighted is fitPlain under importance weights.
func (s *affineBlock) fitWeighted(nmax int32, x, weights []float32) {
	sigma2 := float32(2 * sumSquares(x) / 256)
	for j := range 8 {
		s.fitWeightedGroup(nmax, x, weights, sigma2, j)
	}
}

func (s *affineBlock) fitWeightedGroup(nmax int32, x, weights []float32, sigma2 float32, j int) {
	v := x[32*j : 32*j+32]
	importance(s.weights[:], weights[32*j:32*j+32], v, sigma2)
	s.groupWeights[j] = sum(s.weights[:])
	s.scales[j], s.mins[j] = weightedGrid.fit(nmax, v, s.weights[:], s.levels[32*j:32*j+32], s.trial[:])
}

// storeScalesPlain writes the first 16 bytes of a block: the largest scale and min are given the level 63.
func (s *affineBlock) storeScalesPlain(block []byte) {
	topScale, topMin := greatest(s.scales[:]), greatest(s.mins[:])
	var invScale, invMin float32
	if topScale > 0 {
		invScale = 63 / topScale
	}
	if topMin > 0 {
		invMin = 63 / topMin
	}
	for j := range 8 {
		// Cut to a byte before it is clamped, as in ggml.
		s.scaleQ[j] = min(63, uint8(nearestInt(invScale*s.scales[j])))
		s.minQ[j] = min(63, uint8(nearestInt(invMin*s.mins[j])))
	}
	s.storeScales(block, topScale/63, topMin/63)
}

// storeScalesWeighted writes the first 16 bytes of a block with a search for the best scale of scales and of mins.
// Levels above top, which come of negative scales, are clamped to it.
func (s *affineBlock) storeScalesWeighted(block []byte, top uint8) {
	d := superScale(63, s.scales[:], s.groupWeights[:], s.scaleQ[:])
	m := superScale(63, s.mins[:], s.groupWeights[:], s.minQ[:])
	for j := range 8 {
		s.scaleQ[j], s.minQ[j] = min(top, s.scaleQ[j]), min(top, s.minQ[j])
	}
	s.storeScales(block, d, m)
}

// storeScales writes the first 16 bytes of a block.
func (s *affineBlock) storeScales(block []byte, d, m float32) {
	storeF16(block, d)
	storeF16(block[2:], m)
	packScales(block[4:16], &s.scaleQ, &s.minQ)
}

// requantize rounds x anew to the scales that the block now holds. A group whose scale came out as 0 keeps the levels
// of its search.
func (s *affineBlock) requantize(nmax int32, x []float32, block []byte) {
	scales, mins := groupScales(block)
	for j, d := range scales {
		if d == 0 {
			continue
		}
		levels := s.levels[32*j : 32*j+32]
		for i, v := range x[32*j : 32*j+32] {
			levels[i] = uint8(max(0, min(nmax, nearestInt((v+mins[j])/d))))
		}
	}
}

// greatest is the largest of x and 0.
func greatest(x []float32) float32 {
	var top float32
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

// packScales packs 8 scales and 8 mins of 6 bits into 12 bytes. Byte j < 4 holds scale j and in its top bits the upper
// two of scale j+4; byte 4+j the same of the mins; byte 8+j the lower nibbles of scale and min j+4:
//
//	0..3  | sc[j+4]>>4, 2 bits | sc[j], 6 bits |
//	4..7  | m[j+4]>>4, 2 bits  | m[j], 6 bits  |
//	8..11 | m[j+4]&15          | sc[j+4]&15    |
func packScales(b []byte, sc, m *[8]uint8) {
	for j := range 4 {
		b[j] = sc[j] | sc[j+4]>>4<<6
		b[j+4] = m[j] | m[j+4]>>4<<6
		b[j+8] = sc[j+4]&15 | m[j+4]<<4
	}
}

// groupScales reads scales and mins from the first 16 bytes of a Q4_K or Q5_K block (get_scale_min_k4).
func groupScales(block []byte) (scale, low [8]float32) {
	b := block[4:16:16]
	d, m := loadF16(block), loadF16(block[2:])
	for j := range 4 {
		scale[j], scale[j+4] = d*float32(b[j]&63), d*float32(b[j+8]&15|b[j]>>6<<4)
		low[j], low[j+4] = float32(m*float32(b[j+4]&63)), float32(m*float32(b[j+8]>>4|b[j+4]>>6<<4))
	}
	return scale, low
}
