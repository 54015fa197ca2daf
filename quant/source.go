package quant

import (
	"fmt"
	"io"
	"math"

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
	stride int64       // stored bytes of one row
	data   io.ReaderAt // where the rows lie there in their order
	pieces []*piece    // where they don't: what each part gives, by output row
	decode func(dst []float32, src []byte) error
	op     func(dst []float32) // after decoding and scaling; nil for nothing
	scaled bool                // some piece has scales or factors
	half   bool                // PyTorch rounds what comes of F16 values to F16
}

// stored is the number of bytes that the whole tensor takes in the source.
func (s *source) stored() int64 { return s.rows * s.stride }

// read fills dst with the n rows from first on.
func (s *source) read(dst []byte, first, n int64) error {
	dst = dst[:n*s.stride]
	if s.pieces == nil {
		return readFull(s.data, dst, first*s.stride)
	}
	return s.spread(first, n, func(p *piece, first, n, done int64) error {
		return p.read(dst[done*s.stride:(done+n)*s.stride], first, n)
	})
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
	if s.scaled {
		s.spread(first, int64(len(dst))/s.cols, func(p *piece, first, n, done int64) error {
			x := dst[done*s.cols : (done+n)*s.cols]
			if p.scale != nil {
				p.scale.apply(x, p, first, n)
			}
			for _, f := range p.factors {
				for i := range x {
					x[i] *= f
				}
				s.round(x)
			}
			return nil
		})
	}
	if s.op != nil {
		s.op(dst)
	}
	return nil
}

// prepare reads what decoding needs beforehand. It must be called once before toFloat.
func (s *source) prepare() error {
	for _, p := range s.pieces {
		if p.scale != nil {
			if err := p.scale.load(); err != nil {
				return err
			}
		}
	}
	return nil
}

// scales is the number of scales that prepare keeps in memory.
func (s *source) scales() int64 {
	n := int64(0)
	for _, p := range s.pieces {
		if p.scale != nil {
			n += p.scale.count()
		}
	}
	return n
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
	if len(t.Shape) == 0 {
		return nil, fmt.Errorf("shape %v: no dimension", t.Shape)
	}
	cols := t.Shape[0]
	n, err := gguf.Elements(t.Shape)
	if err != nil {
		return nil, err
	}
	if cols <= 0 || n <= 0 {
		return nil, fmt.Errorf("shape %v: empty", t.Shape)
	}
	if len(t.Parts) == 0 {
		if int64(len(t.Const)) != n {
			return nil, fmt.Errorf("%d values, shape %v needs %d", len(t.Const), t.Shape, n)
		}
		return &source{format: "made", typ: gguf.F32, direct: true, cols: cols, rows: n / cols, stride: 4 * cols, data: constant(t.Const),
			decode: func(dst []float32, src []byte) error { kernels.F32FromBytes(dst, src); return nil }}, nil
	}
	if len(t.Shape) == 1 && (len(t.Parts) > 1 || !t.Parts[0].View.Whole()) {
		cols = 1 // the values of a vector move as the rows of its matrix do
	}
	dtype := t.Parts[0].Source.DType
	var s *source
	if t.Parts[0].Exponents != nil {
		if s, err = packedSource(cols); err != nil {
			return nil, err
		}
	} else {
		f, ok := checkpointFormats[dtype]
		if !ok {
			return nil, fmt.Errorf("dtype %s of %q can't be converted", dtype, t.Parts[0].Source.Name)
		}
		s = &source{format: string(dtype), typ: f.typ, direct: f.direct && t.Op == arch.Keep, cols: cols, stride: cols * dtype.Size(), half: dtype == safetensors.F16}
		s.decode = func(dst []float32, src []byte) error { f.decode(dst, src); return nil }
	}
	for _, part := range t.Parts {
		if err := s.add(part, dtype); err != nil {
			return nil, fmt.Errorf("source %q: %w", part.Source.Name, err)
		}
	}
	if err := s.pad(t.Zeros, dtype.Size()); err != nil {
		return nil, err
	}
	if s.rows*cols != n {
		return nil, fmt.Errorf("source %q and what follows it give %d rows of %d values, shape %v needs %d values", t.Parts[0].Source.Name, s.rows, cols, t.Shape, n)
	}
	if s.op, err = s.valueOp(t.Op); err != nil {
		return nil, err
	}
	if p := s.pieces[0]; len(s.pieces) == 1 && t.Parts[0].View.Whole() && !s.scaled {
		s.data, s.pieces = p.data, nil
	}
	return s, nil
}

// add puts a part behind those that are there.
func (s *source) add(part arch.Part, dtype safetensors.DType) error {
	src := part.Source
	if src.DType != dtype {
		return fmt.Errorf("dtype %s, but the part before it has %s", src.DType, dtype)
	}
	values, err := gguf.Elements(src.Shape)
	if err != nil {
		return err
	}
	if part.Exponents != nil {
		p, err := newPacked(part, values, s.cols)
		if err != nil {
			return err
		}
		s.append(p)
		return nil
	}
	if values <= 0 || src.Size != values*dtype.Size() || part.View.Whole() && values%s.cols != 0 {
		return fmt.Errorf("%d bytes for shape %v of %s in rows of %d", src.Size, src.Shape, dtype, s.cols)
	}
	p, err := newPiece(src, dtype.Size(), values, s.cols, part.View)
	if err != nil {
		return err
	}
	if part.Scale != nil {
		width := src.Shape[len(src.Shape)-1]
		p.scale = &scaling{Scale: *part.Scale, rows: values / width, cols: width}
		s.direct, s.scaled = false, true
	}
	if p.factors = part.Factors; p.factors != nil {
		s.direct, s.scaled = false, true
	}
	s.append(p)
	return nil
}

func (s *source) append(p *piece) {
	p.first = s.rows
	s.rows += p.rows
	s.pieces = append(s.pieces, p)
}

// pad puts rows of zeros behind those that there are: no bit of them is set, whatever the format.
func (s *source) pad(rows, size int64) error {
	if rows == 0 {
		return nil
	}
	if rows < 0 || rows > math.MaxInt64/s.cols {
		return fmt.Errorf("%d rows of zeros", rows)
	}
	p, err := newPiece(zeros{}, size, rows*s.cols, s.cols, arch.View{})
	if err != nil {
		return err
	}
	s.append(p)
	return nil
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// valueOp is what is done to decoded values; nil for nothing.
func (s *source) valueOp(op arch.Op) (func([]float32), error) {
	var f func([]float32)
	switch op {
	case arch.Keep:
		return nil, nil
	case arch.AddOne:
		f = func(x []float32) {
			for i := range x {
				x[i]++
			}
		}
	case arch.NegExp:
		f = func(x []float32) {
			for i := range x {
				x[i] = -arch.Exp(x[i])
			}
		}
	default:
		return nil, fmt.Errorf("operation %d is unknown", op)
	}
	return func(x []float32) {
		f(x)
		s.round(x)
	}, nil
}

// round rounds results to the format that PyTorch keeps them in.
func (s *source) round(x []float32) {
	if !s.half {
		return
	}
	b := make([]byte, 2*len(x))
	if kernels.Quantize(gguf.F16, b, x, len(x), nil) == nil {
		kernels.F16ToF32(x, b)
	}
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
