package quant

import (
	"fmt"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// coder is what one worker computes with: a slab comes in as it is stored and goes out as each type that is wanted.
type coder struct {
	policy  FinitePolicy
	measure bool
	values  []float32 // the slab as numbers
	back    []float32 // an output of it, as numbers again
	t       *Tensor
	stored  []byte
	first   int64
	rows    int64
	decoded bool
}

func newCoder(s sizing, o RunOptions) *coder {
	c := &coder{policy: o.NonFinite, measure: o.Measure, values: make([]float32, s.values)}
	if o.Measure {
		c.back = make([]float32, s.values)
	}
	return c
}

// take begins a slab: rows rows of t from first on, as they are stored.
func (c *coder) take(t *Tensor, stored []byte, first, rows int64) error {
	c.t, c.stored, c.first, c.rows, c.decoded = t, stored, first, rows, false
	if !t.source.direct || t.source.typ.Quantized() || !kernels.CanDequantize(t.source.typ) {
		return nil
	}
	// plain numbers are decoded in any case, to find the ones that are none
	_, err := c.numbers()
	return err
}

// numbers returns the slab as float32.
func (c *coder) numbers() ([]float32, error) {
	x := c.values[:c.rows*c.t.source.cols]
	if c.decoded {
		return x, nil
	}
	if err := c.t.source.toFloat(x, c.stored, c.first); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", c.t.Name, err)
	}
	c.decoded = true
	if c.policy == RefuseNonFinite {
		if i := kernels.Finite(x); i >= 0 {
			return nil, &NonFiniteError{Tensor: c.t.Name, Row: c.first + int64(i)/c.t.source.cols, Col: int64(i) % c.t.source.cols, Value: x[i]}
		}
	}
	return x, nil
}

// make returns the slab as typ, in buf, and notes how far it is from the source.
func (c *coder) make(typ gguf.Type, buf []byte, dev *deviation) ([]byte, error) {
	if c.t.copied(typ) {
		out := buf[:len(c.stored)]
		copy(out, c.stored)
		if typ.Quantized() && kernels.CanDequantize(typ) {
			if err := kernels.Validate(typ, out); err != nil {
				return nil, &BlockError{Tensor: c.t.Name, Type: typ.String(), Row: c.first, Err: err}
			}
		}
		return out, nil // the same bytes: no deviation
	}
	x, err := c.numbers()
	if err != nil {
		return nil, err
	}
	out, err := c.encode(typ, buf, x)
	if err != nil || !c.measure {
		return out, err
	}
	y := c.back[:len(x)]
	if err := kernels.Dequantize(typ, y, out); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", c.t.Name, err)
	}
	*dev = deviationOf(x, y)
	return out, nil
}

// encode packs the slab into buf. The matrices of a stack have importance weights of their own, so it is cut where one
// ends.
func (c *coder) encode(typ gguf.Type, buf []byte, x []float32) ([]byte, error) {
	t, cols := c.t, c.t.source.cols
	stride, err := typ.RowSize(cols)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	out := buf[:c.rows*stride]
	matrix := t.source.rows
	if len(t.Shape) > 1 {
		matrix = t.Shape[1]
	}
	for done := int64(0); done < c.rows; {
		row := c.first + done
		n := min(c.rows-done, matrix-row%matrix)
		var weights []float32
		if t.weights != nil {
			at := row / matrix * cols
			weights = t.weights[at : at+cols]
		}
		if err := kernels.Quantize(typ, out[done*stride:(done+n)*stride], x[done*cols:(done+n)*cols], int(cols), weights); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		done += n
	}
	if typ.Quantized() {
		if err := kernels.Validate(typ, out); err != nil {
			return nil, &BlockError{Tensor: t.Name, Type: typ.String(), Row: c.first, Err: err}
		}
	}
	return out, nil
}
