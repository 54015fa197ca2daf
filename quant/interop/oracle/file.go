//go:build interop

package oracle

import (
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Options are those of llama-quantize. The zero value quantizes F32, F16 and BF16 files on all cores.
type Options struct {
	Threads         int
	OutputType      *gguf.Type // of output.weight
	EmbeddingType   *gguf.Type // of token_embd.weight
	AllowRequantize bool
	LeaveOutput     bool
	OnlyCopy        bool
	Pure            bool
	KeepSplit       bool
	DryRun          bool
	Imatrix         []Importance
	Overrides       []KV
	TensorTypes     []TensorType
	PruneLayers     []int32
	MaxBuffer       uint64 // bytes of rows in memory at once, 0 for llama.cpp's default
}

// Importance is the importance weights of one tensor: one value per column, for each of its matrices.
type Importance struct {
	Name   string
	Values []float32
}

// KV replaces or adds a metadata entry. Value is an int64, float64, bool or string of up to 127 bytes.
type KV struct {
	Key   string
	Value any
}

// TensorType asks for a type for all tensors whose name the regular expression Pattern matches.
type TensorType struct {
	Pattern string
	Type    gguf.Type
}

// quantizeParams is struct llama_model_quantize_params.
type quantizeParams struct {
	threads, ftype            int32
	outputType, embeddingType int32
	allowRequantize           bool
	quantizeOutput            bool
	onlyCopy                  bool
	pure                      bool
	keepSplit                 bool
	dryRun                    bool
	imatrix                   *imatrixEntry
	overrides                 *kvOverride
	tensorTypes               *tensorType
	pruneLayers               *int32
	maxBuffer                 uint64
}

type imatrixEntry struct {
	name *byte
	data *float32
	size uint64
}

type tensorType struct {
	pattern *byte
	typ     int32
}

// kvOverride is struct llama_model_kv_override; value is its union.
type kvOverride struct {
	tag   int32
	key   [128]byte
	_     [4]byte
	value [128]byte
}

// QuantizeFile runs llama_model_quantize. ftype is a number of enum llama_ftype, Q4_K_M for instance is 15.
func (l *Lib) QuantizeFile(in, out string, ftype uint32, o Options) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	p, err := l.params(&pin, ftype, o)
	if err != nil {
		return err
	}
	takeLog()
	if rc := l.quantizeFile(in, out, unsafe.Pointer(p)); rc != 0 {
		return fmt.Errorf("llama_model_quantize %s: code %d: %s", in, rc, takeLog())
	}
	return nil
}

// params builds llama.cpp's parameters in memory that pin keeps where it is.
func (l *Lib) params(pin *runtime.Pinner, ftype uint32, o Options) (*quantizeParams, error) {
	p := l.quantizeParams()
	p.threads, p.ftype = int32(o.Threads), int32(ftype)
	if o.OutputType != nil {
		p.outputType = int32(*o.OutputType)
	}
	if o.EmbeddingType != nil {
		p.embeddingType = int32(*o.EmbeddingType)
	}
	p.allowRequantize, p.quantizeOutput, p.onlyCopy = o.AllowRequantize, !o.LeaveOutput, o.OnlyCopy
	p.pure, p.keepSplit, p.dryRun = o.Pure, o.KeepSplit, o.DryRun
	if o.MaxBuffer != 0 {
		p.maxBuffer = o.MaxBuffer
	}
	// The lists end with an entry of zeros; of the tensor types the last one is GGML_TYPE_COUNT without a pattern.
	if o.Imatrix != nil {
		list := make([]imatrixEntry, len(o.Imatrix)+1)
		for i, e := range o.Imatrix {
			if len(e.Values) == 0 {
				return nil, fmt.Errorf("importance of %q: no values", e.Name)
			}
			list[i] = imatrixEntry{pinString(pin, e.Name), &e.Values[0], uint64(len(e.Values))}
			pin.Pin(&e.Values[0])
		}
		pin.Pin(&list[0])
		p.imatrix = &list[0]
	}
	if o.TensorTypes != nil {
		const typeCount = 43
		list := make([]tensorType, len(o.TensorTypes)+1)
		for i, e := range o.TensorTypes {
			list[i] = tensorType{pinString(pin, e.Pattern), int32(e.Type)}
		}
		list[len(list)-1].typ = typeCount
		pin.Pin(&list[0])
		p.tensorTypes = &list[0]
	}
	if o.PruneLayers != nil {
		list := append(append([]int32(nil), o.PruneLayers...), -1)
		pin.Pin(&list[0])
		p.pruneLayers = &list[0]
	}
	if o.Overrides != nil {
		list := make([]kvOverride, len(o.Overrides)+1)
		for i, kv := range o.Overrides {
			if err := list[i].set(kv); err != nil {
				return nil, err
			}
		}
		pin.Pin(&list[0])
		p.overrides = &list[0]
	}
	pin.Pin(&p)
	return &p, nil
}

func (o *kvOverride) set(kv KV) error {
	if len(kv.Key) >= len(o.key) {
		return fmt.Errorf("metadata override %q: key is too long", kv.Key)
	}
	copy(o.key[:], kv.Key)
	var bits uint64
	switch v := kv.Value.(type) {
	case int64:
		o.tag, bits = 0, uint64(v)
	case float64:
		o.tag, bits = 1, math.Float64bits(v)
	case bool:
		o.tag = 2
		if v {
			bits = 1
		}
	case string:
		if len(v) >= len(o.value) {
			return fmt.Errorf("metadata override %q: value is too long", kv.Key)
		}
		o.tag = 3
		copy(o.value[:], v)
		return nil
	default:
		return fmt.Errorf("metadata override %q: %T is no int64, float64, bool or string", kv.Key, v)
	}
	*(*uint64)(unsafe.Pointer(&o.value)) = bits
	return nil
}

func pinString(pin *runtime.Pinner, s string) *byte {
	b := append([]byte(s), 0)
	pin.Pin(&b[0])
	return &b[0]
}
