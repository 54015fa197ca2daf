package jobs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/registry"
)

// Recommendation is a file that fits, with what it needs.
type Recommendation struct {
	ID         string  `json:"id"`
	Variant    Variant `json:"variant"`
	NeedBytes  int64   `json:"required_bytes"`
	Fits       string  `json:"fits" enum:"vram,ram"`
	Context    int64   `json:"context"`
	Parameters int64   `json:"parameters"`
}

// hyper reads what the KV cache's size follows from.
func hyper(meta *gguf.Metadata, arch string) registry.Hyper {
	key := func(name string) int64 { n, _ := meta.Int(arch + "." + name); return n }
	h := registry.Hyper{Layers: key("block_count"), Embedding: key("embedding_length"), KVHeads: key("attention.head_count_kv"), HeadDimK: key("attention.key_length"), HeadDimV: key("attention.value_length")}
	heads := key("attention.head_count")
	if v, ok := meta.Get(arch + ".attention.head_count_kv"); ok {
		if list, ok := v.([]int32); ok {
			for _, n := range list {
				h.KVHeadsTotal += int64(n)
			}
		}
	} else {
		h.KVHeads = heads
	}
	if h.HeadDimK == 0 && heads > 0 {
		h.HeadDimK = h.Embedding / heads
	}
	if h.HeadDimV == 0 {
		h.HeadDimV = h.HeadDimK
	}
	if h.KVHeadsTotal == 0 {
		h.KVHeadsTotal = h.KVHeads * h.Layers
	}
	return h
}

// defaultContext is the context that memory is stated for when nothing else is said.
const defaultContext = 8192

// need is the memory that a file takes in use: its weights, the KV cache in F16 at the given context, and what a
// program needs besides: a batch of 512 positions through the widest layers, and 256 MiB.
func need(m registry.Model, context int64) int64 {
	if context == 0 {
		context = defaultContext
		if m.ContextLength > 0 {
			context = min(context, m.ContextLength)
		}
	}
	const f16, batch = 2, 512
	kv := m.Hyper.KVHeadsTotal * (m.Hyper.HeadDimK + m.Hyper.HeadDimV) * f16 * context
	return m.Bytes + kv + batch*m.Hyper.Embedding*4*8 + 256<<20
}

// Recommendations lists the registered files that fit into memory, those for the GPU first, then by quality: bits per
// weight among files of one model, parameters among models.
func (s *Service) Recommendations(vram, ram, context int64) ([]Recommendation, error) {
	store, err := s.registry()
	if err != nil {
		return nil, err
	}
	files, _, err := store.Models(registry.ModelFilter{})
	if err != nil {
		return nil, err
	}
	list := []Recommendation{}
	for _, m := range files {
		n := need(m, context)
		r := Recommendation{ID: m.ID, Variant: variantOf(m), NeedBytes: n, Parameters: m.Parameters, Context: cmp.Or(context, min(defaultContext, cmp.Or(m.ContextLength, defaultContext)))}
		switch {
		case r.Variant.Missing, isTower(m), isAdapter(m):
			continue
		case vram > 0 && n <= vram:
			r.Fits = "vram"
		case ram > 0 && n <= ram:
			r.Fits = "ram"
		default:
			continue
		}
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b Recommendation) int {
		return cmp.Or(strings.Compare(b.Fits, a.Fits), cmp.Compare(b.Parameters, a.Parameters), cmp.Compare(b.Variant.BitsPerWeight, a.Variant.BitsPerWeight))
	})
	return list, nil
}
