//go:build interop

package oracle

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Pooling types of llama.cpp that Embed takes.
const (
	PoolModel int32 = -1 // as the file says
	PoolNone  int32 = 0  // a vector for each token
	PoolMean  int32 = 1
	PoolRank  int32 = 4 // what the classifier says
)

// Embed runs a text through a model that makes embeddings and returns one vector, or those of all tokens in a row where
// there is no pooling, or a number for each label where a classifier ranks.
func (m *Model) Embed(tokens []int32, pooling int32) ([]float32, error) {
	if len(tokens) == 0 {
		return nil, fmt.Errorf("no tokens to embed")
	}
	p := m.exactParams(len(tokens))
	p.Embeddings, p.Pooling = true, pooling
	ctx, err := m.newContext(p)
	if err != nil {
		return nil, err
	}
	defer m.lib.freeContext(ctx)
	if err := m.read(ctx, tokens); err != nil {
		return nil, err
	}
	width := int(m.lib.modelWidth(m.handle))
	var out []float32
	take := func(v unsafe.Pointer, n int) error {
		if v == nil {
			return fmt.Errorf("llama_encode gave no embeddings: %s", takeLog())
		}
		out = append(out, unsafe.Slice((*float32)(v), n)...)
		return nil
	}
	switch m.lib.poolingType(ctx) {
	case PoolNone:
		for i := range tokens {
			if err := take(m.lib.embedding(ctx, int32(i)), width); err != nil {
				return nil, err
			}
		}
		return out, nil
	case PoolRank:
		width = int(m.lib.modelLabels(m.handle))
	}
	return out, take(m.lib.pooled(ctx, 0), width)
}

// read passes tokens through the encoder.
func (m *Model) read(ctx uintptr, tokens []int32) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&tokens[0])
	if rc := m.lib.encode(ctx, m.lib.batchGetOne(unsafe.Pointer(&tokens[0]), int32(len(tokens)))); rc != 0 {
		return fmt.Errorf("llama_encode: code %d: %s", rc, takeLog())
	}
	return nil
}

// Translate reads tokens with the encoder and writes up to n with the decoder, always the most likely one. It returns what
// it wrote, and the logits after the start token.
func (m *Model) Translate(tokens []int32, n int) ([]int32, []float32, error) {
	ctx, err := m.context(len(tokens) + n)
	if err != nil {
		return nil, nil, err
	}
	defer m.lib.freeContext(ctx)
	if err := m.read(ctx, tokens); err != nil {
		return nil, nil, err
	}
	start := m.lib.startToken(m.handle)
	if start < 0 {
		return nil, nil, fmt.Errorf("the model names no token to start with")
	}
	first, err := m.step(ctx, []int32{start})
	out := []int32{}
	for row := first; err == nil && len(out) < n; row, err = m.step(ctx, out[len(out)-1:]) {
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
	return out, first, err
}
