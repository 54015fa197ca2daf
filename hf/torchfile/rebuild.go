package torchfile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// CodeError is returned for a pickle that wants a class or a function that tensors don't need.
type CodeError struct{ Name string }

func (e *CodeError) Error() string {
	return fmt.Sprintf("calls for %q, which tensors don't need: nothing in a model is run", e.Name)
}

// Hint says what to do.
func (e *CodeError) Hint() string {
	return "take the model's safetensors version, or save the weights alone: torch.save(model.state_dict(), file)"
}

// storageType is a class of storages and the format of its values. That of bytes is given a format by the tensor.
type storageType struct {
	name  string
	dtype safetensors.DType
}

var storageTypes = map[global]storageType{
	"torch.DoubleStorage":          {"float64", safetensors.F64},
	"torch.FloatStorage":           {"float32", safetensors.F32},
	"torch.HalfStorage":            {"float16", safetensors.F16},
	"torch.BFloat16Storage":        {"bfloat16", safetensors.BF16},
	"torch.LongStorage":            {"int64", safetensors.I64},
	"torch.IntStorage":             {"int32", safetensors.I32},
	"torch.ShortStorage":           {"int16", safetensors.I16},
	"torch.CharStorage":            {"int8", safetensors.I8},
	"torch.ByteStorage":            {"uint8", safetensors.U8},
	"torch.BoolStorage":            {"bool", safetensors.Bool},
	"torch.UntypedStorage":         {"bytes", safetensors.U8},
	"torch.storage.UntypedStorage": {"bytes", safetensors.U8},
}

// dtypes are the formats that have no class of storages: their tensors name them.
var dtypes = map[global]safetensors.DType{
	"torch.float8_e4m3fn":  safetensors.F8E4M3,
	"torch.float8_e5m2":    safetensors.F8E5M2,
	"torch.float8_e8m0fnu": safetensors.F8E8M0,
	"torch.uint16":         safetensors.U16,
	"torch.uint32":         safetensors.U32,
	"torch.uint64":         safetensors.U64,
}

// calls are the functions that a pickle may call.
var calls = map[global]func(args tuple) (any, error){
	"collections.OrderedDict":         orderedDict,
	"torch._utils._rebuild_tensor":    rebuildTensor,
	"torch._utils._rebuild_tensor_v2": rebuildTensor,
	"torch._utils._rebuild_tensor_v3": rebuildTensorOf,
	"torch._utils._rebuild_parameter": rebuildParameter,
}

// global pushes a class or a function that is known.
func (m *machine) global(module, name string) error {
	g := global(module + "." + name)
	_, isStorage := storageTypes[g]
	_, isType := dtypes[g]
	if calls[g] == nil && !isStorage && !isType {
		return &CodeError{string(g)}
	}
	m.push(g)
	return nil
}

func call(f, args any) (any, error) {
	g, _ := f.(global)
	a, ok := args.(tuple)
	if calls[g] == nil || !ok {
		return nil, fmt.Errorf("calls %s with %s", kindOf(f), kindOf(args))
	}
	v, err := calls[g](a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g, err)
	}
	return v, nil
}

// orderedDict makes an empty dictionary, or, as Python 2 writes them, one of a list of pairs.
func orderedDict(args tuple) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*list)
	if !ok || len(args) > 1 {
		return nil, fmt.Errorf("%d arguments, the first %s", len(args), kindOf(args[0]))
	}
	for _, p := range pairs.items {
		pair, ok := p.(*list)
		if !ok || len(pair.items) != 2 {
			return nil, fmt.Errorf("%s, want a pair", kindOf(p))
		}
		d.entries = append(d.entries, entry{pair.items[0], pair.items[1]})
	}
	return d, nil
}

// persistent makes what a persistent id stands for: ("storage", class, key, location, number of values), in the old
// format with a sixth element that is None.
func (m *machine) persistent(id any) (any, error) {
	t, _ := id.(tuple)
	if len(t) != 5 && len(t) != 6 || t[0] != "storage" || m.storage == nil {
		return nil, fmt.Errorf("persistent id is %s, want that of a storage", kindOf(id))
	}
	class, _ := t[1].(global)
	typ, ok := storageTypes[class]
	key, ok1 := t[2].(string)
	values, ok2 := t[4].(int64)
	if !ok || !ok1 || !ok2 || values < 0 {
		return nil, fmt.Errorf("persistent id of a storage: %s, %s, %s", kindOf(t[1]), kindOf(t[2]), kindOf(t[4]))
	}
	if len(t) == 6 && t[5] != nil {
		return nil, fmt.Errorf("storage %q is a part of another: save the file again with a newer PyTorch", key)
	}
	return m.storage(key, typ, values)
}

// storage is a row of values that tensors share.
type storage struct {
	key    string
	typ    storageType
	values int64
	data   io.ReaderAt
}

// bytes is how many bytes the values take.
func (s *storage) bytes() (int64, error) {
	hi, lo := bits.Mul64(uint64(s.values), uint64(s.typ.dtype.Size()))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, fmt.Errorf("storage %q: %d values of %s are larger than any file", s.key, s.values, s.typ.name)
	}
	return int64(lo), nil
}

// tensor is a view of a storage.
type tensor struct {
	storage *storage
	dtype   safetensors.DType
	offset  int64 // of the first value, in values
	shape   []int64
	strides []int64 // in values
	count   int64   // of values
}

// rebuildTensor reads the arguments (storage, offset, shape, strides, ...); those that follow say nothing of the values.
func rebuildTensor(args tuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("%d arguments, want 4 or more", len(args))
	}
	s, ok := args[0].(*storage)
	if !ok {
		return nil, fmt.Errorf("%s, want a storage", kindOf(args[0]))
	}
	return newTensor(s, s.typ.dtype, s.values, args)
}

// rebuildTensorOf reads the arguments of a tensor whose storage is of bytes and whose format is the seventh of them.
func rebuildTensorOf(args tuple) (any, error) {
	if len(args) < 7 {
		return nil, fmt.Errorf("%d arguments, want 7 or more", len(args))
	}
	s, ok := args[0].(*storage)
	g, _ := args[6].(global)
	dtype, known := dtypes[g]
	if !ok || !known {
		return nil, fmt.Errorf("%s of %s, want a storage of a format", kindOf(args[0]), kindOf(args[6]))
	}
	if s.typ.name != "bytes" {
		return nil, fmt.Errorf("storage %q of %s, want one of bytes", s.key, s.typ.name)
	}
	return newTensor(s, dtype, s.values/dtype.Size(), args)
}

// newTensor checks that a tensor lies within the values of its storage.
func newTensor(s *storage, dtype safetensors.DType, values int64, args tuple) (*tensor, error) {
	t := &tensor{storage: s, dtype: dtype, count: 1}
	var ok bool
	if t.offset, ok = args[1].(int64); !ok || t.offset < 0 || t.offset > values {
		return nil, fmt.Errorf("offset is %s, storage %q has %d values", kindOf(args[1]), s.key, values)
	}
	var err error
	if t.shape, err = integers(args[2]); err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	if t.strides, err = integers(args[3]); err != nil {
		return nil, fmt.Errorf("strides: %w", err)
	}
	if len(t.shape) != len(t.strides) {
		return nil, fmt.Errorf("shape %v with strides %v", t.shape, t.strides)
	}
	if slices.Contains(t.shape, 0) {
		t.count = 0
		return t, nil
	}
	last := t.offset
	for i, n := range t.shape {
		if n > values || t.strides[i] > 0 && n-1 > values/t.strides[i] || t.count > values/n {
			return nil, fmt.Errorf("shape %v with strides %v, storage %q has %d values", t.shape, t.strides, s.key, values)
		}
		t.count *= n
		last += (n - 1) * t.strides[i]
		if last >= values {
			return nil, fmt.Errorf("shape %v with strides %v from %d on, storage %q has %d values", t.shape, t.strides, t.offset, s.key, values)
		}
	}
	if last >= values { // of no dimension
		return nil, fmt.Errorf("one value from %d on, storage %q has %d", t.offset, s.key, values)
	}
	return t, nil
}

func integers(v any) ([]int64, error) {
	t, ok := v.(tuple)
	if !ok {
		return nil, fmt.Errorf("%s, want a tuple", kindOf(v))
	}
	if len(t) > 8 {
		return nil, errors.New("more than 8 dimensions")
	}
	out := make([]int64, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 {
			return nil, fmt.Errorf("%s, want a whole number from 0 on", kindOf(x))
		}
		out[i] = n
	}
	return out, nil
}

// rebuildParameter is the tensor that the arguments begin with.
func rebuildParameter(args tuple) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("no argument")
	}
	t, ok := args[0].(*tensor)
	if !ok {
		return nil, fmt.Errorf("%s, want a tensor", kindOf(args[0]))
	}
	return t, nil
}

// named is the tensor as the rest of the program knows them.
func (t *tensor) named(name, file string) *safetensors.Tensor {
	size := t.dtype.Size()
	if v := t.view(); v != nil {
		return safetensors.NewTensor(name, t.dtype, t.shape, file, v, 0, t.count*size)
	}
	return safetensors.NewTensor(name, t.dtype, t.shape, file, t.storage.data, t.offset*size, t.count*size)
}
