package quant

import (
	"fmt"
	"io"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/kernels"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// source gives a tensor's rows as they are stored, in the order of the output, and turns them into float32.
// Reading and decoding are apart so that they can run on different goroutines. Both are safe for concurrent use.
type source struct {
	format string    // as the user knows it: "BF16", "q8_0"
	typ    gguf.Type // what the stored bytes are in GGUF's terms, where direct
	direct bool      // an output of type typ takes the stored bytes as they are
	cols   int64
	rows   int64
	stride int64 // stored bytes of one row
	data   io.ReaderAt
	row    func(out int64) int64 // stored row of an output row; nil where the order is the same
	decode func(dst []float32, src []byte) error
	scale  *scaling
}

// stored is the number of bytes that the whole tensor takes in the source.
func (s *source) stored() int64 { return s.rows * s.stride }

// read fills dst with the n rows from first on.
func (s *source) read(dst []byte, first, n int64) error {
	dst = dst[:n*s.stride]
	if s.row == nil {
		return readFull(s.data, dst, first*s.stride)
	}
	for i := int64(0); i < n; {
		// rows that follow one another in the source are read at once
		start, run := s.row(first+i), int64(1)
		for i+run < n && s.row(first+i+run) == start+run {
			run++
		}
		if err := readFull(s.data, dst[i*s.stride:(i+run)*s.stride], start*s.stride); err != nil {
			return err
		}
		i += run
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// toFloat decodes rows that read delivered; first is the output row of the first one.
func (s *source) toFloat(dst []float32, src []byte, first int64) error {
	if err := s.decode(dst, src); err != nil {
		return err
	}
	if s.scale != nil {
		s.scale.apply(dst, first, s.cols, s.row)
	}
	return nil
}

// prepare reads what decoding needs beforehand. It must be called once before toFloat.
func (s *source) prepare() error {
	if s.scale != nil {
		return s.scale.load()
	}
	return nil
}

// fromGGUF is the source of tensor i of a GGUF file.
func fromGGUF(r *gguf.Reader, i int) (*source, error) {
	t := r.Tensors[i]
	cols := t.Shape[0]
	n, err := gguf.Elements(t.Shape)
	if err != nil {
		return nil, err
	}
	stride, err := t.Type.RowSize(cols)
	if err != nil {
		return nil, err
	}
	s := &source{format: t.Type.String(), typ: t.Type, direct: true, cols: cols, stride: stride, data: tensorReader{r, i}}
	if cols > 0 {
		s.rows = n / cols
	}
	if kernels.CanDequantize(t.Type) {
		s.decode = func(dst []float32, src []byte) error { return kernels.Dequantize(t.Type, dst, src) }
	}
	return s, nil
}

// tensorReader makes one tensor of a GGUF file an io.ReaderAt.
type tensorReader struct {
	r *gguf.Reader
	i int
}

func (t tensorReader) ReadAt(p []byte, off int64) (int, error) { return t.r.ReadTensorAt(t.i, p, off) }

// checkpointFormats says how the number formats of a checkpoint are decoded.
var checkpointFormats = map[safetensors.DType]struct {
	typ    gguf.Type
	direct bool
	decode func(dst []float32, src []byte)
}{
	safetensors.F32:    {gguf.F32, true, kernels.F32FromBytes},
	safetensors.F16:    {gguf.F16, true, kernels.F16ToF32},
	safetensors.BF16:   {gguf.BF16, true, kernels.BF16ToF32},
	safetensors.F64:    {decode: kernels.F64ToF32},
	safetensors.F8E4M3: {decode: kernels.F8E4M3ToF32},
	safetensors.F8E5M2: {decode: kernels.F8E5M2ToF32},
}

// fromCheckpoint is the source of a tensor that the architecture's rules made of a checkpoint's.
func fromCheckpoint(t arch.Tensor) (*source, error) {
	cols := t.Shape[0]
	n, err := gguf.Elements(t.Shape)
	if err != nil {
		return nil, err
	}
	if cols <= 0 || n <= 0 {
		return nil, fmt.Errorf("shape %v: empty", t.Shape)
	}
	if t.Op.Kind == arch.Permute && len(t.Shape) == 1 {
		cols = 1 // a bias: its values move as the rows of its matrix do
	}
	s := &source{cols: cols, rows: n / cols}
	if len(t.Parts) == 0 {
		if int64(len(t.Const)) != n {
			return nil, fmt.Errorf("%d values, shape %v needs %d", len(t.Const), t.Shape, n)
		}
		s.format, s.typ, s.direct, s.stride = "made", gguf.F32, true, 4*cols
		s.data, s.decode = constant(t.Const), func(dst []float32, src []byte) error { kernels.F32FromBytes(dst, src); return nil }
		return s, nil
	}
	if len(t.Parts) != 1 {
		return nil, fmt.Errorf("%d parts, want 1", len(t.Parts))
	}
	part := t.Parts[0]
	f, ok := checkpointFormats[part.DType]
	if !ok {
		return nil, fmt.Errorf("dtype %s of %q can't be converted", part.DType, part.Name)
	}
	s.format, s.typ, s.direct, s.data = string(part.DType), f.typ, f.direct && t.Scale == nil, part
	s.stride = cols * part.DType.Size()
	if part.Size != s.rows*s.stride {
		return nil, fmt.Errorf("source %q has %d bytes, shape %v of %s needs %d", part.Name, part.Size, t.Shape, part.DType, s.rows*s.stride)
	}
	s.decode = func(dst []float32, src []byte) error { f.decode(dst, src); return nil }
	if t.Op.Kind == arch.Permute {
		if s.row, err = permuted(s.rows, t.Op.Heads); err != nil {
			return nil, err
		}
	}
	if t.Scale != nil {
		s.scale = &scaling{Scale: *t.Scale, rows: s.rows, cols: s.cols}
	}
	return s, nil
}

// permuted returns the stored row of an output row under arch.Permute.
func permuted(rows, heads int64) (func(int64) int64, error) {
	if heads <= 0 || rows%heads != 0 || rows/heads%2 != 0 {
		return nil, fmt.Errorf("%d rows can't be split into the halves of %d heads", rows, heads)
	}
	d := rows / heads
	return func(out int64) int64 {
		head, k := out/d, out%d
		return head*d + k%2*(d/2) + k/2
	}, nil
}

// constant holds values that are made, not read, as the bytes that a source stores.
type constant []float32

func (c constant) ReadAt(p []byte, off int64) (int, error) {
	b := make([]byte, 4*len(c))
	if err := kernels.Quantize(gguf.F32, b, c, len(c), nil); err != nil {
		return 0, err
	}
	if off < 0 || off > int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
