package quant

import "math"

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

// deviationOf compares the values x of a source with the values y of an output. Four sums run side by side: float64 has
// digits enough for a slab in any order, and the order is always the same.
func deviationOf(x, y []float32) deviation {
	dev := deviation{n: int64(len(x))}
	var dd, xd, xx [4]float64
	var most float64
	for len(x) >= 4 && len(y) >= 4 {
		a, b := (*[4]float32)(x), (*[4]float32)(y)
		x0, x1, x2, x3 := float64(a[0]), float64(a[1]), float64(a[2]), float64(a[3])
		d0, d1, d2, d3 := x0-float64(b[0]), x1-float64(b[1]), x2-float64(b[2]), x3-float64(b[3])
		// not the built-in max: it minds NaN and -0, which costs more than all the rest
		if a := math.Abs(d0); a > most {
			most = a
		}
		if a := math.Abs(d1); a > most {
			most = a
		}
		if a := math.Abs(d2); a > most {
			most = a
		}
		if a := math.Abs(d3); a > most {
			most = a
		}
		dd[0] += float64(d0 * d0)
		dd[1] += float64(d1 * d1)
		dd[2] += float64(d2 * d2)
		dd[3] += float64(d3 * d3)
		xd[0] += float64(x0 * d0)
		xd[1] += float64(x1 * d1)
		xd[2] += float64(x2 * d2)
		xd[3] += float64(x3 * d3)
		xx[0] += float64(x0 * x0)
		xx[1] += float64(x1 * x1)
		xx[2] += float64(x2 * x2)
		xx[3] += float64(x3 * x3)
		x, y = x[4:], y[4:]
	}
	for i := range x {
		a, d := float64(x[i]), float64(x[i])-float64(y[i])
		most = max(most, math.Abs(d))
		dd[0] += float64(d * d)
		xd[0] += float64(a * d)
		xx[0] += float64(a * a)
	}
	dev.max = most
	for k := range 4 {
		dev.dd += dd[k]
		dev.xd += xd[k]
		dev.xx += xx[k]
	}
	return dev
}

// add joins the sums of two slabs.
func (d *deviation) add(e deviation) {
	d.n += e.n
	d.dd += e.dd
	d.xd += e.xd
	d.xx += e.xx
	d.max = max(d.max, e.max)
}

// fidelity is the comparison that the sums amount to. A tensor of zeros that stays zero is the same.
func (d deviation) fidelity() *Fidelity {
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
