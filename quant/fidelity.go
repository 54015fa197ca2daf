package quant

import "math"

// Fidelity compares a tensor of an output with its source, both as float32: what the rounding cost.
type Fidelity struct {
	RMSE   float64 `json:"rmse"`   // root of the mean square of the differences
	Max    float64 `json:"max"`    // largest difference
	Cosine float64 `json:"cosine"` // of the angle between the two, taken as vectors: 1 is the same direction
}

// deviation sums up what a Fidelity is made of, for a slab or a tensor.
type deviation struct {
	n                     int64
	square, max           float64
	product, source, made float64 // of the two, of each with itself
}

// deviationOf compares the values x of a source with the values y of an output. Four sums run side by side: float64 has
// digits enough for a slab in any order, and the order is always the same.
func deviationOf(x, y []float32) deviation {
	var square, product, source, made [4]float64
	var most float32
	y = y[:len(x)]
	n := len(x) &^ 3
	for i := 0; i < n; i += 4 {
		for k := range 4 {
			a, b := x[i+k], y[i+k]
			d := a - b
			if d < 0 {
				d = -d
			}
			if d > most {
				most = d
			}
			fa, fb, fd := float64(a), float64(b), float64(d)
			square[k] += fd * fd
			product[k] += fa * fb
			source[k] += fa * fa
			made[k] += fb * fb
		}
	}
	dev := deviation{n: int64(len(x)), max: float64(most)}
	for k := range 4 {
		dev.square += square[k]
		dev.product += product[k]
		dev.source += source[k]
		dev.made += made[k]
	}
	for i := n; i < len(x); i++ {
		fa, fb := float64(x[i]), float64(y[i])
		fd := math.Abs(fa - fb)
		dev.max = max(dev.max, fd)
		dev.square += fd * fd
		dev.product += fa * fb
		dev.source += fa * fa
		dev.made += fb * fb
	}
	return dev
}

// add joins the sums of two slabs.
func (d *deviation) add(e deviation) {
	d.n += e.n
	d.square += e.square
	d.max = max(d.max, e.max)
	d.product += e.product
	d.source += e.source
	d.made += e.made
}

// fidelity is the comparison that the sums amount to. A tensor of zeros that stays zero is the same.
func (d deviation) fidelity() *Fidelity {
	f := &Fidelity{Max: d.max, Cosine: 1}
	if d.n > 0 {
		f.RMSE = math.Sqrt(d.square / float64(d.n))
	}
	if d.source > 0 && d.made > 0 {
		f.Cosine = min(1, d.product/math.Sqrt(d.source*d.made))
	} else if d.source != d.made {
		f.Cosine = 0
	}
	return f
}
