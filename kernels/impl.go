package kernels

import (
	"fmt"
	"math"
	"os"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Env names the environment variable that chooses an implementation by its name: "generic" for pure Go, "avx2",
// "avx512" or "neon". The fastest that the CPU can run is taken where it is not set.
const Env = "NEXUS_QUANT_KERNELS"

// Impl is an implementation of the kernels. All give the same bytes; they differ in speed.
type Impl struct {
	name    string
	codecs  [len(reference)]codec
	finite  func([]float32) int // of how many leading values it is sure that they are finite
	compare func(x, y []float32) Difference
}

var generic = &Impl{"generic", reference, func([]float32) int { return 0 }, compare}

// impls are those that this CPU can run, the fastest last.
var impls = append([]*Impl{generic}, accelerated()...)

var active, errActive = choose(os.Getenv(Env))

// Impls returns the implementations that this CPU can run. The first is the reference, the last the fastest.
func Impls() []*Impl { return append([]*Impl(nil), impls...) }

// Active returns the implementation that Quantize and Dequantize use. It is an error if the environment variable Env asks
// for one that is not there.
func Active() (*Impl, error) { return active, errActive }

func choose(name string) (*Impl, error) {
	if name == "" {
		return impls[len(impls)-1], nil
	}
	var names []string
	for _, im := range impls {
		if im.name == name {
			return im, nil
		}
		names = append(names, im.name)
	}
	return nil, fmt.Errorf("%s=%s: this machine has the kernels %v", Env, name, names)
}

// faster is the reference with other functions for the types in rows, where a row has one.
func faster(name string, rows []codec) *Impl {
	im := &Impl{name, reference, generic.finite, generic.compare}
	for _, row := range rows {
		c := im.find(row.typ)
		if row.quantize != nil {
			c.quantize = row.quantize
		}
		if row.quantizeWeighted != nil {
			c.quantizeWeighted = row.quantizeWeighted
		}
		if row.dequantize != nil {
			c.dequantize = row.dequantize
		}
	}
	return im
}

// convert is dequantize for callers that can't be told of a wrong Env: they get the reference.
func convert(t gguf.Type, dst []float32, src []byte) {
	im := active
	if im == nil {
		im = generic
	}
	im.find(t).dequantize(dst, src)
}

func (im *Impl) find(t gguf.Type) *codec {
	for i := range im.codecs {
		if im.codecs[i].typ == t {
			return &im.codecs[i]
		}
	}
	return nil
}

// Name is the one by which Env chooses the implementation.
func (im *Impl) Name() string { return im.name }

// Quantize is the function of that name, in this implementation.
func (im *Impl) Quantize(t gguf.Type, dst []byte, src []float32, cols int, weights []float32) error {
	c := im.find(t)
	if c == nil || c.quantize == nil {
		return fmt.Errorf("type %s: no quantizer", t)
	}
	if cols <= 0 || len(src)%cols != 0 {
		return fmt.Errorf("%d values of %s are no whole rows of %d", len(src), t, cols)
	}
	rowSize, err := t.RowSize(int64(cols))
	if err != nil {
		return err
	}
	rows := len(src) / cols
	if len(dst)%int(rowSize) != 0 || len(dst)/int(rowSize) != rows {
		return fmt.Errorf("%d rows of %d values make %d bytes of %s each, room for %d in all", rows, cols, rowSize, t, len(dst))
	}
	if weights == nil || c.quantizeWeighted == nil {
		c.quantize(dst, src)
		return nil
	}
	if len(weights) != cols {
		return fmt.Errorf("%d importance weights for rows of %d values", len(weights), cols)
	}
	c.quantizeWeighted(dst, src, weights)
	return nil
}

// Finite is the function of that name, in this implementation.
func (im *Impl) Finite(src []float32) int {
	n := im.finite(src)
	for i, f := range src[n:] {
		if math.Float32bits(f)&expF32 == expF32 {
			return n + i
		}
	}
	return -1
}

// Dequantize is the function of that name, in this implementation.
func (im *Impl) Dequantize(t gguf.Type, dst []float32, src []byte) error {
	c := im.find(t)
	if c == nil || c.dequantize == nil {
		return fmt.Errorf("type %s: no dequantizer", t)
	}
	size, err := t.RowSize(int64(len(dst)))
	if err != nil {
		return err
	}
	if size != int64(len(src)) {
		return fmt.Errorf("%d values of %s take %d bytes, got %d", len(dst), t, size, len(src))
	}
	c.dequantize(dst, src)
	return nil
}
