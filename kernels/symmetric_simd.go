//go:build (amd64 || arm64) && !purego

package kernels

// symmetricLanes is the workspace of symmetric32 and symmetric16: two sets of 8 groups. The assembly knows the fields'
// places.
type symmetricLanes struct {
	x, w     [32][2][8]float32
	_        [32][2][8]float32 // products of x and w
	scale    [2][8]float32
	wonScale [2][8]float32 // the inverse scale that led to the best levels
}

// symmetricNumerators are those of the inverse scales that symmetricScale tries.
type symmetricNumerators [19]float32

func newSymmetricNumerators(nmax int32) (n symmetricNumerators) {
	n[0] = float32(-nmax)
	i := 1
	for step := int32(-9); step <= 9; step++ {
		if step != 0 {
			n[i] = -(float32(nmax) + float32(0.1*float32(step)))
			i++
		}
	}
	return n
}

var (
	symmetricNums4  = newSymmetricNumerators(4)
	symmetricNums8  = newSymmetricNumerators(8)
	symmetricNums16 = newSymmetricNumerators(16)
	symmetricNums32 = newSymmetricNumerators(32)
)

func (l *symmetricLanes) load16(x []float32) {
	transpose16(&l.x[0][0][0], &x[0])
	transpose16(&l.x[0][1][0], &x[128])
}
