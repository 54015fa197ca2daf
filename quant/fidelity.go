package quant

import (
	"math"

	"github.com/nexus-quant/nexus-quant/kernels"
)

// Fidelity compares a tensor of an output with its source, both as float32: what the rounding cost.
type Fidelity struct {
	RMSE   float64 `json:"rmse"`   // root of the mean square of the differences
	Max    float64 `json:"max"`    // largest difference
	Cosine float64 `json:"cosine"` // of the angle between the two, taken as vectors: 1 is the same direction
}

// deviation sums up what a Fidelity is made of, for a slab or a tensor: of the source x and the difference d = x - y from
// what was made of it. The products that a cosine needs follow from these: xy = xx - xd, yy = xx - 2xd + dd.
type deviation struct {
	n          int64
	dd, xd, xx float64
	max        float64
}

// deviationOf compares the values x of a source with the values y of an output.
func deviationOf(x, y []float32) deviation {
	d := kernels.Compare(x, y)
	return deviation{n: int64(len(x)), dd: d.DD, xd: d.XD, xx: d.XX, max: d.Max}
}

// add joins the sums of two slabs.
func (d *deviation) add(e deviation) {
	d.n += e.n
	d.dd += e.dd
	d.xd += e.xd
	d.xx += e.xx
	d.max = max(d.max, e.max)
}

// fidelity is the comparison that the sums amount to. A tensor of zeros that stays zero is the same. Weights that are NaN
// or infinite, where they are kept, can't be compared: then there is none.
func (d deviation) fidelity() *Fidelity {
	if sum := d.dd + d.xd + d.xx + d.max; math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil
	}
	f := &Fidelity{Max: d.max, Cosine: 1}
	if d.n > 0 {
		f.RMSE = math.Sqrt(d.dd / float64(d.n))
	}
	if d.dd == 0 {
		return f
	}
	xy, yy := d.xx-d.xd, d.xx-2*d.xd+d.dd
	f.Cosine = 0
	if d.xx > 0 && yy > 0 {
		f.Cosine = max(-1, min(1, xy/math.Sqrt(d.xx*yy)))
	}
	return f
}
