//go:build interop

package oracle

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// ModelFacts are what llama.cpp's choice of types looks at, besides the tensors (struct llama_quant_model_desc).
type ModelFacts struct {
	Arch                        string
	Layers, Heads, KVHeads, FFN uint32
	Experts                     uint32
	Embedding                   uint32
}

// Tensor is a tensor as far as its type depends on it. Shape has columns first.
type Tensor struct {
	Name  string
	Shape [4]int64
}

// recipeCalls are the functions of llama-ext.h, by their C++ names, and those of ggml that make tensors without data.
type recipeCalls struct {
	modelFromFacts func(desc unsafe.Pointer) uintptr
	init           func(model uintptr, params unsafe.Pointer) uintptr
	free           func(state uintptr)
	types          func(state uintptr, ftype int32, tensors, result unsafe.Pointer, n uint64)
	newContext     func(p contextInit) uintptr
	freeContext    func(ctx uintptr)
	newTensor      func(ctx uintptr, typ int32, ne0, ne1, ne2, ne3 int64) uintptr
	setName        func(tensor uintptr, name string) uintptr
}

// contextInit is struct ggml_init_params.
type contextInit struct {
	size    uint64
	_       uintptr // memory of the caller's: none
	noAlloc bool
}

var bindRecipe = sync.OnceValues(func() (*recipeCalls, error) {
	lib, err := Default()
	if err != nil {
		return nil, err
	}
	c := new(recipeCalls)
	open := func(name string) (uintptr, error) {
		return purego.Dlopen(filepath.Join(lib.dir, name), purego.RTLD_NOW|purego.RTLD_GLOBAL)
	}
	base, err := open("libggml-base.so")
	if err != nil {
		return nil, err
	}
	llama, err := open("libllama.v0.5.0.so")
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		lib    uintptr
		symbol string
		fn     any
	}{
		{llama, "_Z31llama_quant_model_from_metadataPK22llama_quant_model_desc", &c.modelFromFacts},
		{llama, "_Z16llama_quant_initPK11llama_modelPK27llama_model_quantize_params", &c.init},
		{llama, "_Z16llama_quant_freeP19quantize_state_impl", &c.free},
		{llama, "_Z25llama_quant_compute_typesP19quantize_state_impl11llama_ftypePP11ggml_tensorP9ggml_typem", &c.types},
		{base, "ggml_init", &c.newContext},
		{base, "ggml_free", &c.freeContext},
		{base, "ggml_new_tensor_4d", &c.newTensor},
		{base, "ggml_set_name", &c.setName},
	} {
		if _, err := purego.Dlsym(f.lib, f.symbol); err != nil {
			return nil, err
		}
		purego.RegisterLibFunc(f.fn, f.lib, f.symbol)
	}
	return c, nil
})

// Types asks llama.cpp which type each tensor gets, without a file. A tensor that it never quantizes gets F32.
func (l *Lib) Types(facts ModelFacts, tensors []Tensor, ftype uint32, o Options) ([]gguf.Type, error) {
	c, err := bindRecipe()
	if err != nil {
		return nil, err
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	desc := struct {
		arch                                                        *byte
		embedding, ffn, layers, heads, kvHeads, experts, keyD, valD uint32
	}{pinString(&pin, facts.Arch), facts.Embedding, facts.FFN, facts.Layers, facts.Heads, facts.KVHeads, facts.Experts, 128, 128}
	pin.Pin(&desc)
	model := c.modelFromFacts(unsafe.Pointer(&desc))
	if model == 0 {
		return nil, fmt.Errorf("no model of architecture %q", facts.Arch)
	}
	defer l.freeModel(model)
	params, err := l.params(&pin, ftype, o)
	if err != nil {
		return nil, err
	}
	state := c.init(model, unsafe.Pointer(params))
	defer c.free(state)
	ctx := c.newContext(contextInit{size: uint64(len(tensors)+8) * 512, noAlloc: true})
	defer c.freeContext(ctx)

	// the types of all tensors at once: those that are never quantized count too, where output.weight shows that the
	// embedding is not tied
	ask := make([]uintptr, len(tensors))
	for i, t := range tensors {
		ask[i] = c.newTensor(ctx, 0, t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3])
		c.setName(ask[i], t.Name)
	}
	result := make([]int32, len(ask))
	c.types(state, int32(ftype), unsafe.Pointer(&ask[0]), unsafe.Pointer(&result[0]), uint64(len(ask)))
	types := make([]gguf.Type, len(tensors))
	for i, t := range result {
		types[i] = gguf.Type(t)
	}
	return types, nil
}
