//go:build (amd64 || arm64) && !purego

package kernels

// superLanes is the workspace of superScale8 and superScale16: 8 super-blocks. The assembly knows the fields' places.
type superLanes struct {
	x, w, level [16][8]float32
	scale       [8]float32
}

// superNumerators are those of the inverse scales that superScale tries, the first guess in front.
type superNumerators [9]float32

func newSuperNumerators(nmax int32) (n superNumerators) {
	n[0] = float32(nmax)
	i := 1
	for step := int32(-4); step <= 4; step++ {
		if step != 0 {
			n[i] = float32(0.1*float32(step)) + float32(nmax)
			i++
		}
	}
	return n
}

var (
	superNums15 = newSuperNumerators(15)
	superNums63 = newSuperNumerators(63)
)

// fit8 is superScale for the scales x of 8 super-blocks of 8 groups each under the weights that stand in l.w.
// It leaves levels and scales in l; the result has a bit for each super-block that only the reference can do.
func (l *superLanes) fit8(x *[8][8]float32, nums *superNumerators) uint32 {
	transpose8Dense(&l.x[0][0], &x[0][0])
	return superScale8(l, &nums[0], nums[0])
}

// fit16 does the same for super-blocks of 16 groups.
func (l *superLanes) fit16(x *[8][16]float32, nums *superNumerators) uint32 {
	transpose16Dense(&l.x[0][0], &x[0][0])
	return superScale16(l, &nums[0], nums[0])
}

// take copies the levels of super-block b.
func (l *superLanes) take(b int, levels []uint8) float32 {
	for i := range levels {
		levels[i] = uint8(l.level[i][b])
	}
	return l.scale[b]
}
