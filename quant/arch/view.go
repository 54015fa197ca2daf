package arch

// View says which values of a source tensor an output has, and in which order, as numpy's as_strided does: the output's
// rows are counted by Rows and the values of a row by Cols, the first dimension outermost. The zero View is the
// whole tensor in its own order.
//
// Everything that llama.cpp's converter does to the places of values is one of these: permuting the rows of heads,
// cutting a fused tensor into its parts, transposing. Joining tensors is having several parts.
type View struct {
	First int64 // index of the first value within the source
	Rows  []Dim
	Cols  []Dim
}

// Dim is a dimension of a view: N steps of Stride values.
type Dim struct{ N, Stride int64 }

// Whole tells whether the view is the tensor as it is.
func (v View) Whole() bool { return v.Rows == nil && v.Cols == nil && v.First == 0 }

// reading is how an output reads its sources. shape is that of one source, rows first, as the checkpoint has it.
type reading struct {
	shape []int64 // of the output, rows first; of what one source gives, where several are stacked
	views []View  // one after the other; none for the whole source as it is

	factors [][]float32 // of each view; nil for none
	op      Op
	zeros   int64 // rows of zeros behind those of the views
}

// change makes a reading of a source's shape.
type change func(d dims, shape []int64) reading

// rowLength is the number of values in one step of the first dimension.
func rowLength(shape []int64) int64 {
	n := int64(1)
	for _, s := range shape[1:] {
		n *= s
	}
	return n
}

// permute interleaves the two halves of each head's rows: Hugging Face stores rotary pairs as (i, i+d/2), llama.cpp
// wants (2i, 2i+1). Within a head of d rows, output row 2i+j is source row j*d/2+i.
func permute(heads func(dims) int64) change {
	return func(d dims, shape []int64) reading {
		n, w := max(1, heads(d)), rowLength(shape)
		half := shape[0] / n / 2
		return reading{shape: shape, views: []View{{Rows: []Dim{{n, 2 * half * w}, {half, w}, {2, half * w}}, Cols: []Dim{{w, 1}}}}}
	}
}

// span is a number of rows from a first one on.
type span struct{ first, n int64 }

// rows takes spans of the first dimension, one after the other.
func rows(spans func(d dims) []span) change {
	return func(d dims, shape []int64) reading {
		w := rowLength(shape)
		r := reading{shape: append([]int64{0}, shape[1:]...)}
		for _, s := range spans(d) {
			r.views = append(r.views, View{First: s.first * w, Rows: []Dim{{s.n, w}}, Cols: []Dim{{w, 1}}})
			r.shape[0] += s.n
		}
		return r
	}
}

// grouped cuts the rows into groups of equal size and takes spans of each: the first of every group, then the second of
// every group, and so on.
func grouped(groups func(d dims) int64, spans func(d dims) []span) change {
	return func(d dims, shape []int64) reading {
		w, g := rowLength(shape), max(1, groups(d))
		every := shape[0] / g
		r := reading{shape: append([]int64{0}, shape[1:]...)}
		for _, s := range spans(d) {
			r.views = append(r.views, View{First: s.first * w, Rows: []Dim{{g, every * w}, {s.n, w}}, Cols: []Dim{{w, 1}}})
			r.shape[0] += g * s.n
		}
		return r
	}
}

// within takes spans of the second dimension of three: a half of each expert's fused matrices.
func within(spans func(d dims) []span) change {
	return func(d dims, shape []int64) reading {
		w := shape[2]
		r := reading{shape: []int64{shape[0], 0, w}}
		for _, s := range spans(d) {
			r.views = append(r.views, View{First: s.first * w, Rows: []Dim{{shape[0], shape[1] * w}, {s.n, w}}, Cols: []Dim{{w, 1}}})
			r.shape[1] += s.n
		}
		return r
	}
}

// transposed swaps the last two dimensions.
func transposed(_ dims, shape []int64) reading {
	n := len(shape)
	rows, cols := shape[n-2], shape[n-1]
	out := append(append([]int64{}, shape[:n-2]...), cols, rows)
	v := View{Rows: []Dim{{cols, 1}}, Cols: []Dim{{rows, cols}}}
	if n == 3 {
		v.Rows = []Dim{{shape[0], rows * cols}, {cols, 1}}
	}
	return reading{shape: out, views: []View{v}}
}

// padded puts rows of zeros behind the rows that there are, up to n.
func padded(n size) change {
	return func(d dims, shape []int64) reading {
		r := reading{shape: append([]int64{n(d)}, shape[1:]...)}
		if r.zeros = n(d) - shape[0]; r.zeros < 0 {
			d.config.fail("%d rows, more than the %d that there can be", shape[0], n(d))
		}
		return r
	}
}

// multiplied multiplies every value by numbers of the config, one after the other.
func multiplied(by ...func(*config) float64) change {
	return func(d dims, shape []int64) reading {
		var list []float32
		for _, f := range by {
			list = append(list, float32(f(d.config)))
		}
		return reading{shape: shape, views: []View{{}}, factors: [][]float32{list}}
	}
}

// plusOne adds one to every value.
func plusOne(_ dims, shape []int64) reading { return reading{shape: shape, op: AddOne} }

// reshaped gives the values another shape.
func reshaped(sizes ...size) change {
	return func(d dims, _ []int64) reading {
		var out []int64
		for _, s := range sizes {
			out = append(out, s(d))
		}
		return reading{shape: out}
	}
}
