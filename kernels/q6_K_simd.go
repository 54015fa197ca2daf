//go:build (amd64 || arm64) && !purego

package kernels

import "math/bits"

func quantizeQ6KSIMD(dst []byte, src []float32, wide bool) {
	var room onLine[symmetricLanes]
	l := room.start()
	var levels [256]uint8
	for ; len(src) >= 256; src, dst = src[256:], dst[q6KSize:] {
		x := src[:256]
		l.load16(x)
		squaresLanes(&l.w[0][0][0], &l.x[0][0][0], 32)
		l.finishQ6K(dst[:q6KSize], x, nil, &levels, wide)
	}
}

func quantizeQ6KWeightedSIMD(dst []byte, src, weights []float32, wide bool) {
	var room onLine[symmetricLanes]
	l := room.start()
	var levels [256]uint8
	for at := 0; len(src) >= 256; src, dst = src[256:], dst[q6KSize:] {
		x, w := src[:256], weights[at:][:256]
		at = (at + 256) % len(weights)
		l.load16(x)
		transpose16(&l.w[0][0][0], &w[0])
		transpose16(&l.w[0][1][0], &w[128])
		l.finishQ6K(dst[:q6KSize], x, w, &levels, wide)
	}
}

// finishQ6K makes a block once x and the weights stand in the lanes. w nil stands for x[i]^2.
func (l *symmetricLanes) finishQ6K(block []byte, x, w []float32, levels *[256]uint8, wide bool) {
	group := func(j int) float32 {
		if w == nil {
			return symmetricScale(32, x[16*j:16*j+16], nil, levels[16*j:16*j+16])
		}
		return symmetricScale(32, x[16*j:16*j+16], w[16*j:16*j+16], levels[16*j:16*j+16])
	}
	bad := l.search16(&symmetricNums32, 32, wide)
	var scales, d, zero [16]float32
	copy(scales[:8], l.scale[0][:])
	copy(scales[8:], l.scale[1][:])
	for m := uint16(bad); m != 0; m &= m - 1 {
		j := bits.TrailingZeros16(m)
		scales[j] = group(j)
	}
	if !storeScalesQ6K(block, &scales, &d) {
		return
	}
	requantize16(&levels[0], &x[0], &d[0], &zero[0], 16, -32, 31)
	for j, v := range d {
		if v == 0 {
			group(j)
		}
	}
	packQ6K(block, levels)
}
