package dequant

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// LowRank is what a LoRA adapter adds to a weight of shape [outputs, inputs]: Scale * (B A). A has the shape
// [rank, inputs], B [outputs, rank]. What is Transposed is stored as [inputs, outputs], as embeddings are and the
// weights of GPT-2, and gets the transpose.
type LowRank struct {
	A, B       *safetensors.Tensor
	Scale      float32
	Transposed bool
}

// Rank is the number of rows of A.
func (u LowRank) Rank() int64 { return u.A.Shape[0] }

// Fit checks the shapes of A and B, one against the other and against that of the weight.
func (u LowRank) Fit(weight *safetensors.Tensor) error {
	rows, cols, err := matrix(weight)
	if err != nil {
		return err
	}
	for _, t := range []*safetensors.Tensor{u.A, u.B} {
		if err := isOf(t, floating); err != nil {
			return err
		}
		if _, _, err := matrix(t); err != nil {
			return err
		}
	}
	if u.Transposed {
		rows, cols = cols, rows
	}
	if u.A.Shape[1] != cols || u.B.Shape[0] != rows || u.B.Shape[1] != u.A.Shape[0] {
		return fmt.Errorf("tensors %q of shape %v and %q of shape %v (%s): %q of shape %v needs [rank, %d] and [%d, rank]",
			u.A.Name, u.A.Shape, u.B.Name, u.B.Shape, u.A.File, weight.Name, weight.Shape, cols, rows)
	}
	return nil
}

// Merger adds adapters to weights where they are read. It keeps the matrices of few weights in memory, since a weight is
// read in many pieces, all of which need one of its two whole.
type Merger struct {
	mu      sync.Mutex
	kept    []*keptMatrix // the one used last comes last
	largest int64         // values of a matrix that is kept whole
	used    bool
}

type keptMatrix struct {
	of     *merged
	values []float32
}

// Merging in pieces: values that are computed at once, values of a matrix that is read by rows, and the matrices that are
// kept. Two goroutines read, and either may hold on to one that was just put out.
const (
	mergeValues  = 64 << 10
	maxKept      = 2
	readersAtOne = 2
)

// Memory is what reading merged weights takes at most, in bytes.
func (m *Merger) Memory() int64 {
	if !m.used {
		return 0
	}
	return 4*m.largest*(maxKept+1) + readersAtOne*(4*mergeValues*4+8*mergeValues)
}

// Add is the weight as a tensor of float32 with u added to it. Fit must have found nothing wrong.
func (m *Merger) Add(weight *safetensors.Tensor, u LowRank) (*safetensors.Tensor, error) {
	whole, byRows := u.A, u.B
	if u.Transposed {
		whole, byRows = u.B, u.A
	}
	m.used = true
	m.largest = max(m.largest, whole.Shape[0]*whole.Shape[1])
	return m.tensor(weight, &merged{merger: m, rank: u.Rank(), scale: u.Scale, whole: whole, byRows: byRows, transposed: u.Transposed})
}

// Floats is the weight as a tensor of float32, for others to stand beside merged ones.
func (m *Merger) Floats(weight *safetensors.Tensor) (*safetensors.Tensor, error) {
	return m.tensor(weight, &merged{merger: m})
}

func (m *Merger) tensor(weight *safetensors.Tensor, d *merged) (*safetensors.Tensor, error) {
	if err := isOf(weight, floating); err != nil {
		return nil, err
	}
	n := int64(1)
	for _, s := range weight.Shape {
		n *= s // its values are in a file
	}
	d.weight, d.n, d.cols = weight, n, weight.Shape[len(weight.Shape)-1]
	return safetensors.NewTensor(weight.Name, safetensors.F32, slices.Clone(weight.Shape), weight.File, d, 0, 4*n), nil
}

// merged gives a weight with something added as the bytes of float32.
type merged struct {
	merger  *Merger
	weight  *safetensors.Tensor
	n, cols int64

	rank          int64 // 0 where nothing is added
	scale         float32
	whole, byRows *safetensors.Tensor // the matrix whose rows are the weight's columns, and that whose rows are the weight's rows
	transposed    bool                // both are stored with rows and columns swapped
}

// mergeSpace is the memory of one ReadAt.
type mergeSpace struct {
	raw             []byte
	values, sum     []float32
	coefficients, t []float32
}

var mergeSpaces = sync.Pool{New: func() any {
	return &mergeSpace{raw: make([]byte, 8*mergeValues), values: make([]float32, mergeValues), sum: make([]float32, mergeValues)}
}}

// ReadAt implements io.ReaderAt.
func (d *merged) ReadAt(p []byte, off int64) (int, error) {
	s := mergeSpaces.Get().(*mergeSpace)
	defer mergeSpaces.Put(s)
	done := 0
	for done < len(p) {
		at := (off + int64(done)) / 4
		if off < 0 || at >= d.n {
			return done, io.EOF
		}
		skip := int(off+int64(done)) - int(4*at) // bytes of the first value that aren't asked for
		n := min(int64(len(p)-done+skip+3)/4, mergeValues, d.n-at)
		x := s.values[:n]
		if err := d.compute(s, x, at); err != nil {
			return done, err
		}
		if skip > 0 || len(p)-done < 4*len(x) {
			b := make([]byte, 4*len(x))
			putFloats(b, x)
			done += copy(p[done:], b[skip:])
			continue
		}
		putFloats(p[done:], x)
		done += 4 * len(x)
	}
	return done, nil
}

// compute fills x with the values from place at on.
func (d *merged) compute(s *mergeSpace, x []float32, at int64) error {
	if err := readInto(x, s.raw, d.weight, at); err != nil {
		return err
	}
	if d.rank == 0 {
		return nil
	}
	whole, err := d.merger.matrix(d)
	if err != nil {
		return err
	}
	row, col := at/d.cols, at%d.cols
	group := max(1, mergeValues/d.rank)
	for len(x) > 0 {
		n := min(group, (col+int64(len(x))+d.cols-1)/d.cols)
		if err := d.coefficients(s, row, n); err != nil {
			return err
		}
		for r := range n {
			w := min(d.cols-col, int64(len(x)))
			sum := s.sum[:w]
			product(sum, s.coefficients[r*d.rank:][:d.rank], whole[col:], d.cols)
			for i, v := range sum {
				x[i] += float32(d.scale * v)
			}
			x, col = x[w:], 0
		}
		row += n
	}
	return nil
}

// product sums c[k] times row k of m, in the order of k. Every product is rounded before it is added, so that all CPUs
// agree; four rows at a time, so that sum stays in registers.
func product(sum, c, m []float32, stride int64) {
	clear(sum)
	k := int64(0)
	for ; k+4 <= int64(len(c)); k += 4 {
		c0, c1, c2, c3 := c[k], c[k+1], c[k+2], c[k+3]
		m0, m1 := m[k*stride:][:len(sum)], m[(k+1)*stride:][:len(sum)]
		m2, m3 := m[(k+2)*stride:][:len(sum)], m[(k+3)*stride:][:len(sum)]
		for i := range sum {
			v := sum[i] + float32(c0*m0[i])
			v += float32(c1 * m1[i])
			v += float32(c2 * m2[i])
			sum[i] = v + float32(c3*m3[i])
		}
	}
	for ; k < int64(len(c)); k++ {
		row := m[k*stride:][:len(sum)]
		for i := range sum {
			sum[i] += float32(c[k] * row[i])
		}
	}
}

// coefficients reads what n rows of the weight, from the first on, multiply the rows of the whole matrix with.
func (d *merged) coefficients(s *mergeSpace, first, n int64) error {
	if need := int(n * d.rank); len(s.coefficients) < need {
		s.coefficients = make([]float32, need)
	}
	return readMatrix(s.coefficients, s.raw, d.byRows, first, n, d.transposed, &s.t)
}

// matrix is the whole matrix of a weight, kept since it was last used or read now.
func (m *Merger) matrix(d *merged) ([]float32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, k := range m.kept {
		if k.of == d {
			copy(m.kept[i:], m.kept[i+1:])
			m.kept[len(m.kept)-1] = k
			return k.values, nil
		}
	}
	if len(m.kept) == maxKept {
		m.kept = slices.Delete(m.kept, 0, 1)
	}
	k := &keptMatrix{d, make([]float32, d.rank*d.cols)}
	raw := make([]byte, 8*mergeValues)
	var line []float32
	if !d.transposed {
		if err := readMatrix(k.values, raw, d.whole, 0, d.rank, false, &line); err != nil {
			return nil, err
		}
	} else if err := transpose(k.values, raw, d.whole, &line); err != nil {
		return nil, err
	}
	m.kept = append(m.kept, k)
	return k.values, nil
}

// readMatrix reads n rows of a matrix from the first on; of one that is stored transposed, its columns.
func readMatrix(dst []float32, raw []byte, t *safetensors.Tensor, first, n int64, transposed bool, line *[]float32) error {
	if !transposed {
		return readInto(dst[:n*t.Shape[1]], raw, t, first*t.Shape[1])
	}
	if int64(len(*line)) < n {
		*line = make([]float32, n)
	}
	rank := t.Shape[0]
	for k := range rank {
		if err := readInto((*line)[:n], raw, t, k*t.Shape[1]+first); err != nil {
			return err
		}
		for r, v := range (*line)[:n] {
			dst[int64(r)*rank+k] = v
		}
	}
	return nil
}

// transpose reads a whole matrix and gives its columns as rows.
func transpose(dst []float32, raw []byte, t *safetensors.Tensor, line *[]float32) error {
	rows, rank := t.Shape[0], t.Shape[1]
	some := max(1, mergeValues/rank)
	*line = make([]float32, some*rank)
	for first := int64(0); first < rows; first += some {
		n := min(some, rows-first)
		if err := readInto((*line)[:n*rank], raw, t, first*rank); err != nil {
			return err
		}
		for i, v := range (*line)[:n*rank] {
			dst[int64(i)%rank*rows+first+int64(i)/rank] = v
		}
	}
	return nil
}

// readInto reads numbers of t from place at on, by way of raw.
func readInto(dst []float32, raw []byte, t *safetensors.Tensor, at int64) error {
	size := t.DType.Size()
	for len(dst) > 0 {
		n := min(int64(len(dst)), int64(len(raw))/size)
		b := raw[:n*size]
		if err := readFull(t, b, at*size); err != nil {
			return err
		}
		decode(dst[:n], b, t.DType)
		dst, at = dst[n:], at+n
	}
	return nil
}
