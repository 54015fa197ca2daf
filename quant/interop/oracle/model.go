//go:build interop

package oracle

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"unsafe"
)

// Model is a GGUF file as libllama loaded it, with every tensor checked.
type Model struct {
	lib           *Lib
	handle, vocab uintptr
	adapter       uintptr // that contexts have; 0 for none
}

// modelParams is struct llama_model_params. The fields of the structs that mirror C's are capitalized: they are there for
// their place, whether or not they are used.
type modelParams struct {
	Devices, BufferOverrides                          uintptr
	GpuLayers, SplitMode, LoadMode, LazyMode, MainGPU int32
	TensorSplit, Progress, ProgressData, KvOverrides  uintptr
	VocabOnly, CheckTensors, ExtraBuffers             bool
	NoHost, NoAlloc, LoadMTP                          bool
}

// contextParams is struct llama_context_params.
type contextParams struct {
	Ctx, Batch, Ubatch, SeqMax, RsSeq, OutputsMax, OutputsMaxPerSeq uint32
	Threads, ThreadsBatch                                           int32
	CtxType, RopeScaling, Pooling, Attention, FlashAttention        int32
	RopeBase, RopeScale, YarnExt, YarnAttn, YarnFast, YarnSlow      float32
	YarnOrigCtx                                                     uint32
	Defrag                                                          float32
	EvalCallback, EvalData                                          uintptr
	TypeK, TypeV                                                    int32
	AbortCallback, AbortData                                        uintptr
	Embeddings, OffloadKQV, NoPerf, OpOffload, SwaFull, KvUnified   bool
	Samplers                                                        uintptr
	SamplersN                                                       uint64
	Other                                                           uintptr
}

// batch is struct llama_batch.
type batch struct {
	N                                     int32
	Token, Embd, Pos, SeqN, SeqID, Logits unsafe.Pointer
}

// Load reads a GGUF file on the CPU and checks all its values. Close the model when done.
func (l *Lib) Load(path string) (*Model, error) { return l.load(path, false) }

// LoadVocab reads the vocabulary alone, from a file with or without weights.
func (l *Lib) LoadVocab(path string) (*Model, error) { return l.load(path, true) }

func (l *Lib) load(path string, vocabOnly bool) (*Model, error) {
	takeLog()
	p := l.modelParams()
	p.GpuLayers, p.VocabOnly, p.CheckTensors = 0, vocabOnly, !vocabOnly
	h := l.loadModel(path, p)
	if h == 0 {
		return nil, fmt.Errorf("libllama does not load %s: %s", path, takeLog())
	}
	return &Model{lib: l, handle: h, vocab: l.vocab(h)}, nil
}

// Close frees the model.
func (m *Model) Close() { m.lib.freeModel(m.handle) }

// Meta returns a metadata value as text, and false if the file has no such key or its value is an array.
func (m *Model) Meta(key string) (string, bool) {
	buf := make([]byte, 1<<16)
	n := m.lib.metaValue(m.handle, key, unsafe.Pointer(&buf[0]), uint64(len(buf)))
	if n < 0 {
		return "", false
	}
	return string(buf[:min(int(n), len(buf)-1)]), true
}

// Desc is libllama's own description, such as "llama 7B Q4_K - Medium".
func (m *Model) Desc() string {
	buf := make([]byte, 256)
	n := m.lib.modelDesc(m.handle, unsafe.Pointer(&buf[0]), uint64(len(buf)))
	return string(buf[:max(0, min(int(n), len(buf)-1))])
}

// Params is the number of weights and Size the bytes of all tensors.
func (m *Model) Params() uint64 { return m.lib.modelParamsN(m.handle) }
func (m *Model) Size() uint64   { return m.lib.modelSize(m.handle) }

// VocabSize is the number of tokens.
func (m *Model) VocabSize() int { return int(m.lib.vocabSize(m.vocab)) }

// Tokenize turns text into token ids. special adds what the model wants around a text (BOS, EOS) and reads control
// tokens that are spelled out in it; without it text is plain text.
func (m *Model) Tokenize(text string, special bool) ([]int32, error) {
	buf := make([]int32, len(text)+16)
	for {
		n := m.lib.tokenize(m.vocab, text, int32(len(text)), unsafe.Pointer(&buf[0]), int32(len(buf)), special, special)
		if n >= 0 {
			return buf[:n], nil
		}
		if int(-n) <= len(buf) {
			return nil, fmt.Errorf("tokenize %d bytes: code %d", len(text), n)
		}
		buf = make([]int32, -n)
	}
}

// Piece is the text that a token stands for, control tokens spelled out.
func (m *Model) Piece(token int32) string {
	buf := make([]byte, 512)
	n := m.lib.tokenPiece(m.vocab, token, unsafe.Pointer(&buf[0]), int32(len(buf)), 0, true)
	return string(buf[:max(0, n)])
}

// Token returns what the vocabulary stores for a token: its spelling, score and the bits of enum llama_token_attr.
func (m *Model) Token(token int32) (text string, score float32, attr int32) {
	return m.lib.tokenText(m.vocab, token), m.lib.tokenScore(m.vocab, token), m.lib.tokenAttr(m.vocab, token)
}

// EndOfGeneration tells whether a token ends a text.
func (m *Model) EndOfGeneration(token int32) bool { return m.lib.isEOG(m.vocab, token) }

// Logits runs tokens through the model, all at once, and returns the logits after each of them, one row of VocabSize per
// token. Keys and values are kept in F32 and attention is computed step by step, so that nothing is rounded to F16 between.
func (m *Model) Logits(tokens []int32) ([][]float32, error) {
	return m.logitsAfter(nil, tokens)
}

// TranslationLogits are those of the decoder, after the encoder has read a text. Both may be the same tokens.
func (m *Model) TranslationLogits(read, tokens []int32) ([][]float32, error) {
	if len(read) == 0 {
		return nil, fmt.Errorf("no tokens to read")
	}
	return m.logitsAfter(read, tokens)
}

func (m *Model) logitsAfter(read, tokens []int32) ([][]float32, error) {
	if len(tokens) == 0 {
		return nil, fmt.Errorf("no tokens to run")
	}
	ctx, err := m.newContext(m.exactParams(max(len(read), len(tokens))))
	if err != nil {
		return nil, err
	}
	defer m.lib.freeContext(ctx)
	if len(read) > 0 {
		if err := m.read(ctx, read); err != nil {
			return nil, err
		}
	}
	wanted := bytes.Repeat([]byte{1}, len(tokens))
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&tokens[0])
	pin.Pin(&wanted[0])
	b := m.lib.batchGetOne(unsafe.Pointer(&tokens[0]), int32(len(tokens)))
	b.Logits = unsafe.Pointer(&wanted[0])
	if rc := m.lib.decode(ctx, b); rc != 0 {
		return nil, fmt.Errorf("llama_decode: code %d: %s", rc, takeLog())
	}
	rows := make([][]float32, len(tokens))
	for i := range rows {
		logits := m.lib.logits(ctx, int32(i))
		if logits == nil {
			return nil, fmt.Errorf("llama_decode gave no logits for token %d: %s", i, takeLog())
		}
		rows[i] = slices.Clone(unsafe.Slice((*float32)(logits), m.VocabSize()))
	}
	return rows, nil
}

// Greedy continues tokens by up to n tokens, always the most likely one, and returns the new ones.
// It stops after a token that ends the text.
func (m *Model) Greedy(tokens []int32, n int) ([]int32, error) {
	ctx, err := m.context(len(tokens) + n)
	if err != nil {
		return nil, err
	}
	defer m.lib.freeContext(ctx)
	var out []int32
	row, err := m.step(ctx, tokens)
	for ; err == nil && len(out) < n; row, err = m.step(ctx, out[len(out)-1:]) {
		next := int32(0)
		for i, v := range row {
			if v > row[next] {
				next = int32(i)
			}
		}
		if out = append(out, next); m.EndOfGeneration(next) {
			break
		}
	}
	return out, err
}

// context makes room for n tokens. One thread, so that the order of sums, and with it every logit, is the same each time.
func (m *Model) context(n int) (uintptr, error) {
	if n == 0 {
		return 0, fmt.Errorf("no tokens to run")
	}
	return m.newContext(m.contextParams(n))
}

func (m *Model) contextParams(n int) contextParams {
	p := m.lib.contextParams()
	p.Ctx, p.Batch, p.Ubatch = uint32(n)+8, uint32(n)+8, uint32(n)+8
	p.Threads, p.ThreadsBatch, p.NoPerf = 1, 1, true
	return p
}

// exactParams keep keys and values in F32 and compute attention step by step.
func (m *Model) exactParams(n int) contextParams {
	p := m.contextParams(n)
	const off, f32 = 0, 0
	p.FlashAttention, p.TypeK, p.TypeV = off, f32, f32
	return p
}

func (m *Model) newContext(p contextParams) (uintptr, error) {
	takeLog()
	ctx := m.lib.newContext(m.handle, p)
	if ctx == 0 {
		return 0, fmt.Errorf("libllama makes no context: %s", takeLog())
	}
	if m.adapter != 0 {
		adapters, scales := []uintptr{m.adapter}, []float32{1}
		var pin runtime.Pinner
		defer pin.Unpin()
		pin.Pin(&adapters[0])
		pin.Pin(&scales[0])
		if rc := m.lib.setAdapters(ctx, unsafe.Pointer(&adapters[0]), 1, unsafe.Pointer(&scales[0])); rc != 0 {
			m.lib.freeContext(ctx)
			return 0, fmt.Errorf("llama_set_adapters_lora: code %d: %s", rc, takeLog())
		}
	}
	return ctx, nil
}

// Adapt loads a LoRA adapter, which the model has from then on until it is closed.
func (m *Model) Adapt(path string) error {
	takeLog()
	h := m.lib.loadAdapter(m.handle, path)
	if h == 0 {
		return fmt.Errorf("libllama does not load adapter %s: %s", path, takeLog())
	}
	m.adapter = h
	return nil
}

// step decodes tokens and returns a copy of the logits after the last one.
func (m *Model) step(ctx uintptr, tokens []int32) ([]float32, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&tokens[0])
	if rc := m.lib.decode(ctx, m.lib.batchGetOne(unsafe.Pointer(&tokens[0]), int32(len(tokens)))); rc != 0 {
		return nil, fmt.Errorf("llama_decode: code %d: %s", rc, takeLog())
	}
	logits := m.lib.logits(ctx, -1)
	if logits == nil {
		return nil, fmt.Errorf("llama_decode gave no logits: %s", takeLog())
	}
	return append([]float32(nil), unsafe.Slice((*float32)(logits), m.VocabSize())...), nil
}
