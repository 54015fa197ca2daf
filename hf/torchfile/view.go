package torchfile

import (
	"io"
	"sync"
)

// view reads the values of a tensor in the order of its shape where its storage has them in another.
type view struct {
	data  io.ReaderAt
	size  int64 // bytes of a value
	first int64 // value
	dims  []dim // the first outermost
	count int64
}

type dim struct{ n, stride int64 }

// view is nil for a tensor whose values follow one another in the storage.
func (t *tensor) view() *view {
	var dims []dim
	for i, n := range t.shape {
		if n == 1 {
			continue
		}
		d := dim{n, t.strides[i]}
		if k := len(dims) - 1; k >= 0 && dims[k].stride == d.n*d.stride { // one dimension, as far as memory goes
			d.n *= dims[k].n
			dims = dims[:k]
		}
		dims = append(dims, d)
	}
	if t.count == 0 || len(dims) == 0 || len(dims) == 1 && dims[0].stride == 1 {
		return nil
	}
	if dims[len(dims)-1].stride != 1 && len(dims) == 1 {
		dims = append([]dim{{1, 0}}, dims...)
	}
	return &view{data: t.storage.data, size: t.dtype.Size(), first: t.offset, dims: dims, count: t.count}
}

// at is the place in the storage of value i; ReadAt asks for the first of a row.
func (v *view) at(i int64) int64 {
	place := v.first
	for k := len(v.dims) - 1; k >= 0; k-- {
		place += i % v.dims[k].n * v.dims[k].stride
		i /= v.dims[k].n
	}
	return place
}

func (v *view) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > v.count*v.size {
		return 0, io.EOF
	}
	var end error
	if left := v.count*v.size - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	if off%v.size != 0 || int64(len(p))%v.size != 0 { // parts of values
		from := off / v.size
		whole := make([]byte, (off+int64(len(p))+v.size-1)/v.size*v.size-from*v.size)
		if err := v.values(whole, from); err != nil {
			return 0, err
		}
		return copy(p, whole[off-from*v.size:]), end
	}
	if err := v.values(p, off/v.size); err != nil {
		return 0, err
	}
	return len(p), end
}

// values fills p with values from i on.
func (v *view) values(p []byte, i int64) error {
	row := v.dims[len(v.dims)-1]
	for len(p) > 0 {
		col := i % row.n
		rows := int64(len(p)) / v.size / row.n
		if col != 0 || rows == 0 {
			rows = 1
		}
		n := min(row.n-col, int64(len(p))/v.size) // values of each row
		if above := v.dims[max(0, len(v.dims)-2)]; rows > 1 {
			rows = min(rows, above.n-i/row.n%above.n)
		}
		var err error
		if row.stride == 1 {
			rows, err = 1, readFull(v.data, p[:n*v.size], v.at(i)*v.size)
		} else {
			err = v.columns(p[:rows*n*v.size], i, rows, n)
		}
		if err != nil {
			return err
		}
		p, i = p[rows*n*v.size:], i+rows*n
	}
	return nil
}

var lines = sync.Pool{New: func() any { return new([]byte) }}

// columns reads rows of n values each whose neighbours are apart in the storage: for each column the stretch that the rows
// have of it, where the rows' neighbours are closer.
func (v *view) columns(p []byte, i, rows, n int64) error {
	down, across := v.dims[len(v.dims)-2].stride, v.dims[len(v.dims)-1].stride
	step := int64(1)
	if down > 0 && down < across && down <= 8 {
		step = rows
	}
	pooled := lines.Get().(*[]byte)
	defer lines.Put(pooled)
	length := ((step-1)*down + 1) * v.size
	if int64(cap(*pooled)) < length {
		*pooled = make([]byte, length)
	}
	line := (*pooled)[:length]
	for r := int64(0); r < rows; r += step {
		place := v.at(i + r*n)
		for c := range n {
			if err := readFull(v.data, line, (place+c*across)*v.size); err != nil {
				return err
			}
			for k := range step {
				o := ((r+k)*n + c) * v.size
				copy(p[o:o+v.size], line[k*down*v.size:])
			}
		}
	}
	return nil
}
