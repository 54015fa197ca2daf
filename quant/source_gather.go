package quant

import (
	"encoding/binary"
	"sync"
)

// Views that take a few bytes here and a few there are read in long stretches and gathered in memory: experts whose
// matrices are stored columns first, and those whose gates and ups alternate. A read of some bytes costs as much as one of
// some thousand.

const (
	// A stretch at least as long is read by itself.
	longStretch = 4 << 10
	// Scattered rows are read with what lies between them, up to so many bytes at a time, if that is at most thrice as much
	// as they are.
	maxSpan      = 1 << 20
	maxBetween   = 3
	lineBytes    = 64 // of a cache line: what is gathered of a row at a time
	maxTransform = 8  // values between neighbours in a column of the output, at most
)

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// borrow gives n bytes until giveBack is called.
func borrow(n int64) (b []byte, giveBack func()) {
	pooled := scratch.Get().(*[]byte)
	if int64(cap(*pooled)) < n {
		*pooled = make([]byte, n)
	}
	return (*pooled)[:n], func() { scratch.Put(pooled) }
}

// transposed tells whether neighbours in a column of the output are closer in the source than neighbours in a row.
func (p *piece) transposed() bool {
	r, c := p.view.Rows, p.view.Cols
	if len(r) == 0 || len(c) == 0 {
		return false
	}
	down, across := r[len(r)-1].Stride, c[len(c)-1].Stride
	return down > 0 && down <= maxTransform && across > down && r[len(r)-1].N > 1
}

// scattered tells whether the stretches of a view are short.
func (p *piece) scattered() bool {
	cols := p.view.Cols
	width, k := int64(1), len(cols)-1
	if k >= 0 && cols[k].Stride == 1 {
		width, k = cols[k].N, k-1
	}
	if k < 0 { // whole rows, which may follow one another
		if r := p.view.Rows; len(r) > 0 && r[len(r)-1].Stride == width {
			width *= r[len(r)-1].N
		}
	}
	return width*p.size < longStretch
}

// panelSlabs is the number of slabs of so many rows that are read at once into a panel: transposed rows come in stretches
// as long as there are rows.
func (s *source) panelSlabs(rows, panel int64) int64 {
	for _, p := range s.pieces {
		if p.transposed() {
			return max(1, min(panel/max(1, rows*s.stride), (s.rows+rows-1)/rows))
		}
	}
	return 1
}

// gathering is the memory that reading takes beside the slab's own, in bytes: the panel, if there is one, and what is
// borrowed.
func (s *source) gathering(rows, panel int64) (panels, lines int64) {
	n := s.panelSlabs(rows, panel)
	if n > 1 {
		panels = n * rows * s.stride
	}
	for _, p := range s.pieces {
		switch {
		case p.transposed():
			columns, length, step := p.band(min(n*rows, p.view.Rows[len(p.view.Rows)-1].N))
			lines = max(lines, (columns-1)*step+length+beyond)
		case p.scattered():
			lines = max(lines, maxSpan+maxSpan/packedBlock)
		}
	}
	return panels, lines
}

// band is the number of the output's columns that are gathered together, and the bytes that they take in the source for
// n rows: columns that almost touch are read with what lies between them.
func (p *piece) band(n int64) (columns, length, step int64) {
	inner, across := p.view.Rows[len(p.view.Rows)-1], p.view.Cols[len(p.view.Cols)-1].Stride
	length = ((n-1)*inner.Stride + 1) * p.size
	if step = across * p.size; step-length > length/4 {
		step = length
	}
	return min(p.view.Cols[len(p.view.Cols)-1].N, max(1, lineBytes/p.size)), length, step
}

// readColumns reads a transposed view: for some columns of the output at a time the stretches that its rows have in the
// source.
func (p *piece) readColumns(dst []byte, first, rows int64) error {
	inner, cols := p.view.Rows[len(p.view.Rows)-1], p.view.Cols
	innermost := cols[len(cols)-1]
	for done := int64(0); done < rows; {
		n := min(rows-done, inner.N-(first+done)%inner.N)
		most, length, step := p.band(n)
		lines, giveBack := borrow((most-1)*step + length + beyond)
		start := p.view.First + at(p.view.Rows, first+done)
		for c := int64(0); c < p.cols; {
			k := min(most, innermost.N-c%innermost.N)
			from := (start + at(cols, c)) * p.size
			var err error
			if step == innermost.Stride*p.size {
				err = readFull(p.data, lines[:(k-1)*step+length], from)
			} else {
				for j := int64(0); j < k && err == nil; j++ {
					err = readFull(p.data, lines[j*step:j*step+length], from+j*innermost.Stride*p.size)
				}
			}
			if err != nil {
				giveBack()
				return err
			}
			turn(dst[(done*p.cols+c)*p.size:], lines, p.size, n, k, p.cols*p.size, inner.Stride*p.size, step)
			c += k
		}
		giveBack()
		done += n
	}
	return nil
}

// turn writes k values of size bytes side by side for each of n rows: value j of row r is at j*step + r*down in lines.
// Lines have beyond bytes more than that.
func turn(dst, lines []byte, size, n, k, stride, down, step int64) {
	if size == 2 && (down == 2 || down == 4) {
		turnHalves(dst, lines, n, k, stride, down, step)
		return
	}
	for r := range n {
		turnRest(dst[r*stride:], lines[r*down:], size, 0, k, step)
	}
}

// turnRest does it for values first to k of a row.
func turnRest(row, from []byte, size, first, k, step int64) {
	if size == 4 {
		for j := first; j < k; j++ {
			binary.LittleEndian.PutUint32(row[4*j:], binary.LittleEndian.Uint32(from[j*step:]))
		}
		return
	}
	for j := first; j < k; j++ {
		copy(row[j*size:(j+1)*size], from[j*step:])
	}
}

// beyond is what may be read behind the last value.
const beyond = 8

// next4 is four values of two bytes, other4 every other one of eight.
func next4(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func other4(line []byte) uint64 {
	a, b := binary.LittleEndian.Uint64(line), binary.LittleEndian.Uint64(line[8:])
	return a&0xffff | a>>16&0xffff0000 | b&0xffff<<32 | b<<16&0xffff000000000000
}

// turnHalves does it for values of two bytes, 4 x 4 of them at a time, whose rows are 2 or 4 bytes apart.
func turnHalves(dst, lines []byte, n, k, stride, down, step int64) {
	const even, low = 0x0000ffff0000ffff, 0x00000000ffffffff
	r := int64(0)
	for ; r+4 <= n; r += 4 {
		j := int64(0)
		for ; j+4 <= k; j += 4 {
			at := j*step + r*down
			var a, b, c, d uint64
			if down == 2 {
				a, b, c, d = next4(lines[at:]), next4(lines[at+step:]), next4(lines[at+2*step:]), next4(lines[at+3*step:])
			} else {
				a, b, c, d = other4(lines[at:]), other4(lines[at+step:]), other4(lines[at+2*step:]), other4(lines[at+3*step:])
			}
			ab, cd := a&even|b&even<<16, c&even|d&even<<16
			to := dst[r*stride+2*j:]
			binary.LittleEndian.PutUint64(to, ab&low|cd<<32)
			binary.LittleEndian.PutUint64(to[2*stride:], ab>>32|cd&^low)
			ab, cd = a>>16&even|b&^even, c>>16&even|d&^even
			binary.LittleEndian.PutUint64(to[stride:], ab&low|cd<<32)
			binary.LittleEndian.PutUint64(to[3*stride:], ab>>32|cd&^low)
		}
		for i := r; j < k && i < r+4; i++ {
			turnRest(dst[i*stride:], lines[i*down:], 2, j, k, step)
		}
	}
	for ; r < n; r++ {
		turnRest(dst[r*stride:], lines[r*down:], 2, 0, k, step)
	}
}

// readSpans reads rows whose stretches are short together with what lies between them.
func (p *piece) readSpans(dst []byte, first, rows int64) error {
	extent := int64(1)
	for _, d := range p.view.Cols {
		extent += (d.N - 1) * d.Stride
	}
	for done := int64(0); done < rows; {
		low := p.view.First + at(p.view.Rows, first+done)
		high, n := low+extent, int64(1)
		for done+n < rows {
			place := p.view.First + at(p.view.Rows, first+done+n)
			l, h := min(low, place), max(high, place+extent)
			if (h-l)*p.size > maxSpan || h-l > maxBetween*(n+1)*p.cols {
				break
			}
			low, high, n = l, h, n+1
		}
		to := dst[done*p.cols*p.size:]
		if (high-low)*p.size > maxSpan || high-low > maxBetween*n*p.cols {
			if err := p.readStretches(to, first+done, n); err != nil {
				return err
			}
			done += n
			continue
		}
		span, giveBack := borrow((high - low) * p.size)
		err := readFull(p.data, span, low*p.size)
		if err == nil {
			err = p.stretches(first+done, n, func(at, from, n int64) error {
				copy(to[at*p.size:(at+n)*p.size], span[(from-low)*p.size:])
				return nil
			})
		}
		giveBack()
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}
