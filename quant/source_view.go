package quant

import (
	"fmt"
	"io"
	"sort"

	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// piece is what one part of a checkpoint's tensor gives to an output: a view of a source, cut into output rows.
type piece struct {
	data  io.ReaderAt
	size  int64 // bytes of one value
	first int64 // output row of its first row
	rows  int64
	cols  int64
	view  arch.View
	scale *scaling

	factors []float32
}

// newPiece checks a view against the number of values that its source has.
func newPiece(data io.ReaderAt, size, values, cols int64, v arch.View) (*piece, error) {
	if v.Whole() {
		v = arch.View{Rows: []arch.Dim{{N: values / cols, Stride: cols}}, Cols: []arch.Dim{{N: cols, Stride: 1}}}
	}
	p := &piece{data: data, size: size, rows: 1, cols: 1, view: v}
	last := v.First
	for i, dims := range [][]arch.Dim{v.Rows, v.Cols} {
		for _, d := range dims {
			if d.N <= 0 || d.Stride < 0 || d.N > values || d.Stride > 0 && (d.N-1) > values/d.Stride {
				return nil, fmt.Errorf("view %v of %d values", v, values)
			}
			last += (d.N - 1) * d.Stride
			if last >= values || p.rows > values/d.N || p.cols > values/d.N {
				return nil, fmt.Errorf("view %v of %d values", v, values)
			}
			if i == 0 {
				p.rows *= d.N
			} else {
				p.cols *= d.N
			}
		}
	}
	if v.First < 0 || last >= values || p.cols != cols {
		return nil, fmt.Errorf("view %v of %d values in rows of %d", v, values, cols)
	}
	return p, nil
}

// at is the place of index i within dims, the first outermost.
func at(dims []arch.Dim, i int64) int64 {
	off := int64(0)
	for k := len(dims) - 1; k >= 0; k-- {
		off += i % dims[k].N * dims[k].Stride
		i /= dims[k].N
	}
	return off
}

// stretches calls f for each stretch of values that lie one behind the other in the source: n values from place from
// on, which are those of the output from to on. Rows are counted within the piece, to from the first of them.
func (p *piece) stretches(first, rows int64, f func(to, from, n int64) error) error {
	width, cols := int64(1), p.view.Cols
	if k := len(cols) - 1; k >= 0 && cols[k].Stride == 1 {
		width = cols[k].N
	}
	to, from, n := int64(0), int64(0), int64(0)
	for r := range rows {
		row := p.view.First + at(p.view.Rows, first+r)
		for c := int64(0); c < p.cols; c += width {
			place := row + at(cols, c)
			if n > 0 && place == from+n {
				n += width
				continue
			}
			if n > 0 {
				if err := f(to, from, n); err != nil {
					return err
				}
			}
			to, from, n = r*p.cols+c, place, width
		}
	}
	if n > 0 {
		return f(to, from, n)
	}
	return nil
}

// read fills dst with rows of the piece.
func (p *piece) read(dst []byte, first, rows int64) error {
	switch {
	case p.transposed():
		return p.readColumns(dst, first, rows)
	case p.scattered():
		return p.readSpans(dst, first, rows)
	}
	return p.readStretches(dst, first, rows)
}

// readStretches reads each stretch by itself.
func (p *piece) readStretches(dst []byte, first, rows int64) error {
	return p.stretches(first, rows, func(to, from, n int64) error {
		return readFull(p.data, dst[to*p.size:(to+n)*p.size], from*p.size)
	})
}

// spread calls f for each piece that has some of n output rows: rows from first on, within the piece, which are the
// output's from done on, counted from the first asked for.
func (s *source) spread(first, n int64, f func(p *piece, first, n, done int64) error) error {
	i := sort.Search(len(s.pieces), func(i int) bool { return s.pieces[i].first+s.pieces[i].rows > first })
	for done := int64(0); done < n; i++ {
		p := s.pieces[i]
		from := first + done - p.first
		k := min(n-done, p.rows-from)
		if err := f(p, from, k, done); err != nil {
			return err
		}
		done += k
	}
	return nil
}
