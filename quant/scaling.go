package quant

import (
	"fmt"

	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// scaling multiplies FP8 weights with the numbers that the checkpoint keeps beside them.
type scaling struct {
	arch.Scale
	rows, cols int64
	across     int64     // blocks side by side in a row
	values     []float32 // row after row of blocks
}

// load reads the scales: one number for 16384 weights as a rule, so they are kept whole.
func (s *scaling) load() error {
	t := s.Tensor
	br, bc := s.Block[0], s.Block[1]
	if br <= 0 || bc <= 0 {
		return fmt.Errorf("scale %q: block %v", t.Name, s.Block)
	}
	down := (s.rows + br - 1) / br
	s.across = (s.cols + bc - 1) / bc
	f, ok := checkpointFormats[t.DType]
	if !ok {
		return fmt.Errorf("scale %q: dtype %s can't be converted", t.Name, t.DType)
	}
	if want := down * s.across * t.DType.Size(); t.Size != want {
		return fmt.Errorf("scale %q: %d bytes, %d x %d blocks of %s need %d", t.Name, t.Size, down, s.across, t.DType, want)
	}
	raw := make([]byte, t.Size)
	if err := readFull(t, raw, 0); err != nil {
		return fmt.Errorf("scale %q: %w", t.Name, err)
	}
	s.values = make([]float32, down*s.across)
	f.decode(s.values, raw)
	return nil
}

// count is the number of scales; 0 for blocks of no size.
func (s *scaling) count() int64 {
	br, bc := s.Block[0], s.Block[1]
	if br <= 0 || bc <= 0 {
		return 0
	}
	return (s.rows + br - 1) / br * ((s.cols + bc - 1) / bc)
}

// apply scales n whole rows of a piece, the first of which is first.
func (s *scaling) apply(dst []float32, p *piece, first, n int64) {
	p.stretches(first, n, func(to, from, n int64) error {
		for n > 0 { // within one block of one source row at a time
			r, c := from/s.cols, from%s.cols
			k := min(n, s.cols-c, s.Block[1]-c%s.Block[1])
			scale := s.values[r/s.Block[0]*s.across+c/s.Block[1]]
			line := dst[to : to+k]
			if s.Invert {
				for j := range line {
					line[j] /= scale
				}
			} else {
				for j := range line {
					line[j] *= scale
				}
			}
			to, from, n = to+k, from+k, n-k
		}
		return nil
	})
}
