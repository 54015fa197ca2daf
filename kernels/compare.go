package kernels

import "math"

// Difference is what [Compare] finds out about the values x and what was made of them, y: sums over d = x - y.
type Difference struct {
	DD  float64 // of d^2
	XD  float64 // of x*d
	XX  float64 // of x^2
	Max float64 // the greatest |d|, NaN passed over
}

// compareLanes is how many sums run side by side: value i belongs to lane i%compareLanes. So many hide the time that an
// addition takes, with vectors of 4 doubles as with those of 8.
const compareLanes = 16

// differenceLanes are the sums of each lane. The assembly knows the fields' places.
type differenceLanes struct {
	dd, xd, xx, max [compareLanes]float64
}

// Compare computes in float64, where a difference and a product of two float32 are exact or nearly so. The order of the
// sums depends on len(x) alone: every implementation gives the same bits on every CPU. NaN and Inf go through the same
// arithmetic into the sums, where the sign and payload of a NaN are the CPU's own; Max passes over differences that are
// NaN. Compare panics if y is shorter than x.
func Compare(x, y []float32) Difference {
	if active == nil {
		return generic.Compare(x, y)
	}
	return active.Compare(x, y)
}

// Compare is the function of that name, in this implementation.
func (im *Impl) Compare(x, y []float32) Difference { return im.compare(x, y[:len(x)]) }

// compare is the reference.
func compare(x, y []float32) Difference {
	var l differenceLanes
	l.add(x, y)
	return l.fold()
}

// add takes in values of which the first belongs to lane 0.
func (l *differenceLanes) add(x, y []float32) {
	y = y[:len(x)]
	for i, f := range x {
		k := i % compareLanes
		v := float64(f)
		d := v - float64(y[i])
		l.dd[k] += float64(d * d)
		l.xd[k] += float64(v * d)
		l.xx[k] += float64(v * v)
		// Not the built-in max: it hands on NaN, and costs more than all the rest.
		if d = math.Abs(d); d > l.max[k] {
			l.max[k] = d
		}
	}
}

// fold joins the lanes.
func (l *differenceLanes) fold() (all Difference) {
	for k := range compareLanes {
		all.DD += l.dd[k]
		all.XD += l.xd[k]
		all.XX += l.xx[k]
		all.Max = max(all.Max, l.max[k])
	}
	return all
}
