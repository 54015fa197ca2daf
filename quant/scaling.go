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

// apply scales whole rows; first is the output row of the first one, row the stored row of an output row.
func (s *scaling) apply(dst []float32, first, cols int64, row func(int64) int64) {
	for i := int64(0); (i+1)*cols <= int64(len(dst)); i++ {
		r := first + i
		if row != nil {
			r = row(r)
		}
		scales := s.values[r/s.Block[0]*s.across:]
		line := dst[i*cols : (i+1)*cols]
		for b := int64(0); b*s.Block[1] < cols; b++ {
			block := line[b*s.Block[1] : min((b+1)*s.Block[1], cols)]
			if s.Invert {
				for j := range block {
					block[j] /= scales[b]
				}
				continue
			}
			for j := range block {
				block[j] *= scales[b]
			}
		}
	}
}
