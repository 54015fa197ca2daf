//go:build interop

// Package oracle calls llama.cpp 0.5.0's own libraries from Go, without cgo, so that tests can ask them what the right
// bytes are. install.sh in the folder above fetches the libraries; the environment variable NEXUS_QUANT_ORACLE names the
// folder that holds them. Linux on x86-64 only, and for tests only.
//
// The libraries keep process-wide state and abort the process on misuse of their API: lengths are checked here, the
// contents of files are theirs to check.
package oracle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Env names the environment variable with the folder of the libraries.
const Env = "NEXUS_QUANT_ORACLE"

// ErrMissing is returned by Default when Env is not set.
var ErrMissing = errors.New(Env + " is not set: run `make interop`, which installs llama.cpp's libraries and sets it")

// Lib is llama.cpp's three libraries, opened and bound.
type Lib struct {
	dir   string
	bound sync.Map // of gguf.Type to unpack

	quantizeInit   func(typ int32)
	quantizeChunk  func(typ int32, src, dst unsafe.Pointer, start, rows, cols int64, weights unsafe.Pointer) uint64
	rowSize        func(typ int32, n int64) uint64
	validate       func(typ int32, data unsafe.Pointer, size uint64) bool
	traits         func(typ int32) *typeTraits
	loadBackends   func(dir string)
	backendInit    func()
	logSet         func(callback, user uintptr)
	quantizeParams func() quantizeParams
	quantizeFile   func(in, out string, params unsafe.Pointer) uint32
	modelParams    func() modelParams
	loadModel      func(path string, params modelParams) uintptr
	freeModel      func(model uintptr)
	metaValue      func(model uintptr, key string, buf unsafe.Pointer, size uint64) int32
	modelDesc      func(model uintptr, buf unsafe.Pointer, size uint64) int32
	modelParamsN   func(model uintptr) uint64
	modelSize      func(model uintptr) uint64
	vocab          func(model uintptr) uintptr
	vocabSize      func(vocab uintptr) int32
	tokenize       func(vocab uintptr, text string, length int32, tokens unsafe.Pointer, room int32, add, parse bool) int32
	tokenPiece     func(vocab uintptr, token int32, buf unsafe.Pointer, size, lstrip int32, special bool) int32
	tokenText      func(vocab uintptr, token int32) string
	tokenScore     func(vocab uintptr, token int32) float32
	tokenAttr      func(vocab uintptr, token int32) int32
	isEOG          func(vocab uintptr, token int32) bool
	contextParams  func() contextParams
	newContext     func(model uintptr, params contextParams) uintptr
	freeContext    func(ctx uintptr)
	batchGetOne    func(tokens unsafe.Pointer, n int32) batch
	decode         func(ctx uintptr, b batch) int32
	logits         func(ctx uintptr, i int32) unsafe.Pointer
	encode         func(ctx uintptr, b batch) int32
	poolingType    func(ctx uintptr) int32
	embedding      func(ctx uintptr, i int32) unsafe.Pointer
	pooled         func(ctx uintptr, sequence int32) unsafe.Pointer
	modelWidth     func(model uintptr) int32
	modelLabels    func(model uintptr) uint32
	startToken     func(model uintptr) int32
	loadAdapter    func(model uintptr, path string) uintptr
	setAdapters    func(ctx uintptr, adapters unsafe.Pointer, n uint64, scales unsafe.Pointer) int32
}

// typeTraits is the head of struct ggml_type_traits.
type typeTraits struct {
	Name               unsafe.Pointer
	BlockLen, Inter    int64
	BlockSize          uint64
	Quantized          bool
	ToFloat, FromFloat uintptr
}

var open = sync.OnceValues(func() (*Lib, error) {
	dir := os.Getenv(Env)
	if dir == "" {
		return nil, ErrMissing
	}
	return Open(dir)
})

// Default opens the libraries in the folder that NEXUS_QUANT_ORACLE names, once per process.
func Default() (*Lib, error) { return open() }

// Open loads libggml-base.so, libggml.v0.5.0.so and libllama.v0.5.0.so from dir. Libraries stay loaded until the process
// ends, so open them once.
func Open(dir string) (*Lib, error) {
	l := &Lib{dir: dir}
	var handles [3]uintptr
	for i, name := range []string{"libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"} {
		h, err := purego.Dlopen(filepath.Join(dir, name), purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, err)
		}
		handles[i] = h
	}
	base, ggml, llama := handles[0], handles[1], handles[2]
	for _, f := range []struct {
		lib    uintptr
		symbol string
		fn     any
	}{
		{base, "ggml_quantize_init", &l.quantizeInit},
		{base, "ggml_quantize_chunk", &l.quantizeChunk},
		{base, "ggml_row_size", &l.rowSize},
		{base, "ggml_validate_row_data", &l.validate},
		{base, "ggml_get_type_traits", &l.traits},
		{ggml, "ggml_backend_load_all_from_path", &l.loadBackends},
		{llama, "llama_backend_init", &l.backendInit},
		{llama, "llama_log_set", &l.logSet},
		{llama, "llama_model_quantize_default_params", &l.quantizeParams},
		{llama, "llama_model_quantize", &l.quantizeFile},
		{llama, "llama_model_default_params", &l.modelParams},
		{llama, "llama_model_load_from_file", &l.loadModel},
		{llama, "llama_model_free", &l.freeModel},
		{llama, "llama_model_meta_val_str", &l.metaValue},
		{llama, "llama_model_desc", &l.modelDesc},
		{llama, "llama_model_n_params", &l.modelParamsN},
		{llama, "llama_model_size", &l.modelSize},
		{llama, "llama_model_get_vocab", &l.vocab},
		{llama, "llama_vocab_n_tokens", &l.vocabSize},
		{llama, "llama_tokenize", &l.tokenize},
		{llama, "llama_token_to_piece", &l.tokenPiece},
		{llama, "llama_vocab_get_text", &l.tokenText},
		{llama, "llama_vocab_get_score", &l.tokenScore},
		{llama, "llama_vocab_get_attr", &l.tokenAttr},
		{llama, "llama_vocab_is_eog", &l.isEOG},
		{llama, "llama_context_default_params", &l.contextParams},
		{llama, "llama_init_from_model", &l.newContext},
		{llama, "llama_free", &l.freeContext},
		{llama, "llama_batch_get_one", &l.batchGetOne},
		{llama, "llama_decode", &l.decode},
		{llama, "llama_get_logits_ith", &l.logits},
		{llama, "llama_encode", &l.encode},
		{llama, "llama_pooling_type", &l.poolingType},
		{llama, "llama_get_embeddings_ith", &l.embedding},
		{llama, "llama_get_embeddings_seq", &l.pooled},
		{llama, "llama_model_n_embd_out", &l.modelWidth},
		{llama, "llama_model_n_cls_out", &l.modelLabels},
		{llama, "llama_model_decoder_start_token", &l.startToken},
		{llama, "llama_adapter_lora_init", &l.loadAdapter},
		{llama, "llama_set_adapters_lora", &l.setAdapters},
	} {
		if _, err := purego.Dlsym(f.lib, f.symbol); err != nil {
			return nil, fmt.Errorf("libraries in %s: %w", dir, err)
		}
		purego.RegisterLibFunc(f.fn, f.lib, f.symbol)
	}
	l.logSet(purego.NewCallback(keepLog), 0)
	l.loadBackends(dir)
	l.backendInit()
	return l, nil
}

// Quantize packs rows of cols values with ggml_quantize_chunk. weights is nil or cols values.
func (l *Lib) Quantize(t gguf.Type, src []float32, rows, cols int, weights []float32) ([]byte, error) {
	size, err := gguf.TensorSize(t, []int64{int64(cols), int64(rows)})
	if err != nil {
		return nil, err
	}
	dst := make([]byte, size)
	return dst, l.QuantizeInto(t, dst, src, rows, cols, weights)
}

// QuantizeInto is Quantize into dst, which must have the rows' size.
func (l *Lib) QuantizeInto(t gguf.Type, dst []byte, src []float32, rows, cols int, weights []float32) error {
	if rows <= 0 || cols <= 0 || len(src) != rows*cols || weights != nil && len(weights) != cols {
		return fmt.Errorf("quantize %s: %d values and %d weights for %d rows of %d", t, len(src), len(weights), rows, cols)
	}
	if want := rows * int(l.rowSize(int32(t), int64(cols))); len(dst) != want {
		return fmt.Errorf("quantize %s: room for %d bytes, %d rows of %d take %d", t, len(dst), rows, cols, want)
	}
	l.quantizeInit(int32(t))
	n := l.quantizeChunk(int32(t), unsafe.Pointer(&src[0]), unsafe.Pointer(&dst[0]), 0, int64(rows), int64(cols), unsafe.Pointer(unsafe.SliceData(weights)))
	if n != uint64(len(dst)) {
		return fmt.Errorf("quantize %s: %d bytes, want %d", t, n, len(dst))
	}
	return nil
}

// Dequantize unpacks n values with the type's own to_float.
func (l *Lib) Dequantize(t gguf.Type, src []byte, n int) ([]float32, error) {
	dst := make([]float32, n)
	return dst, l.DequantizeInto(t, dst, src)
}

// DequantizeInto is Dequantize into dst.
func (l *Lib) DequantizeInto(t gguf.Type, dst []float32, src []byte) error {
	if size, err := t.RowSize(int64(len(dst))); err != nil || len(dst) == 0 || size != int64(len(src)) {
		return fmt.Errorf("dequantize %s: %d bytes for %d values", t, len(src), len(dst))
	}
	if t == gguf.F32 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), len(src)), src)
		return nil
	}
	call, err := l.toFloat(t)
	if err != nil {
		return err
	}
	call(unsafe.Pointer(&src[0]), unsafe.Pointer(&dst[0]), int64(len(dst)))
	return nil
}

// unpack is the type of ggml's to_float functions.
type unpack = func(src, dst unsafe.Pointer, n int64)

// toFloat binds a type's to_float, once.
func (l *Lib) toFloat(t gguf.Type) (unpack, error) {
	if f, ok := l.bound.Load(t); ok {
		return f.(unpack), nil
	}
	address := l.traits(int32(t)).ToFloat
	if address == 0 {
		return nil, fmt.Errorf("dequantize %s: ggml has no to_float", t)
	}
	var call unpack
	purego.RegisterFunc(&call, address)
	l.bound.Store(t, call)
	return call, nil
}

// Valid is ggml_validate_row_data. It prints what it finds to the standard error stream.
func (l *Lib) Valid(t gguf.Type, data []byte) bool {
	return len(data) == 0 || l.validate(int32(t), unsafe.Pointer(&data[0]), uint64(len(data)))
}
