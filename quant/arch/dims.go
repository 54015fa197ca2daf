package arch

import "slices"

// dims are the sizes that a family's tensors are made of.
type dims struct {
	layer   int64 // whose tensor a size is asked for
	layers  int64
	trunk   int64 // layers without those that predict further tokens
	hidden  int64
	ff      int64 // 0 if the config doesn't say
	heads   int64
	kvHeads int64
	headDim int64
	vocab   int64
	config  *config
	text    *dims // of the text model, where the family is a tower's
}

// maxLayers bounds what is made for each layer before the tensors are counted. Models have a few hundred at most.
const maxLayers = 1 << 16

// Keys that say the same thing in the configs of different families (TextModel.set_gguf_parameters).
var (
	layersKeys  = []string{"num_hidden_layers", "n_layers", "n_layer", "num_layers"}
	contextKeys = []string{"max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length", "model_max_length"}
	hiddenKeys  = []string{"hidden_size", "n_embd", "dim"}
	ffKeys      = []string{"prefix_dense_intermediate_size", "dense_intermediate_size", "intermediate_size", "n_inner", "hidden_dim"}
	headsKeys   = []string{"num_attention_heads", "n_head", "n_heads"}
	kvHeadsKeys = []string{"num_key_value_heads", "n_kv_heads"}
	expertsKeys = []string{"num_local_experts", "num_experts", "n_routed_experts"}
	stackedKeys = append(slices.Clone(expertsKeys), "moe_num_experts", "moe_num_primary_experts") // that no common key is made of
	activeKeys  = []string{"num_experts_per_tok", "num_experts_per_token", "top_k_experts"}
	normKeys    = []string{"layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"}
)

// size is a dimension of a tensor, taken from the config.
type size func(dims) int64

func vocab(d dims) int64   { return d.vocab }
func hidden(d dims) int64  { return d.hidden }
func ff(d dims) int64      { return d.ff }
func heads(d dims) int64   { return d.heads }
func kvHeads(d dims) int64 { return d.kvHeads }
func headDim(d dims) int64 { return d.headDim }
func queries(d dims) int64 { return d.heads * d.headDim }
func keys(d dims) int64    { return d.kvHeads * d.headDim }
func experts(d dims) int64 { return d.config.count(d.config.firstOf(stackedKeys)) }
func one(dims) int64       { return 1 }

// value is a size that the config states under one of the names.
func value(names ...string) size {
	return func(d dims) int64 { return d.config.count(d.config.firstOf(names)) }
}

func times(n int64, s size) size { return func(d dims) int64 { return n * s(d) } }
func product(a, b size) size     { return func(d dims) int64 { return a(d) * b(d) } }
func sum(of ...size) size {
	return func(d dims) int64 {
		n := int64(0)
		for _, s := range of {
			n += s(d)
		}
		return n
	}
}

func shape(sizes ...size) []size       { return sizes }
func matrix(rows, columns size) []size { return []size{rows, columns} }
func vector(n size) []size             { return []size{n} }

var (
	permuteQ = permute(heads)
	permuteK = permute(kvHeads)
)

// readDims reads the sizes. The defaults are those of transformers' configuration classes, which the
// converter reads the file through.
func (m *mapping) readDims() {
	c, d := m.config, &m.dims
	d.config = c
	d.layers = c.count(c.firstOf(layersKeys))
	d.trunk = d.layers
	d.hidden = c.count(c.firstOf(hiddenKeys))
	if key := c.firstOf(ffKeys); c.has(key) {
		d.ff = c.count(key)
	} else if m.family.needsFF {
		c.require("intermediate_size")
	}
	d.vocab = c.count("vocab_size")
	if m.family.noAttention {
		return
	}
	d.heads = c.count(c.firstOf(headsKeys))
	d.kvHeads = c.countOr(c.firstOf(kvHeadsKeys), d.heads)
	if *c.err != nil {
		return
	}
	if d.kvHeads > d.heads || d.heads%d.kvHeads != 0 {
		c.fail("num_attention_heads %d is no multiple of num_key_value_heads %d", d.heads, d.kvHeads)
	}
	share := m.family.defaultHeadDim
	if share == 0 {
		if share = d.hidden / d.heads; !c.has("head_dim") && d.hidden%d.heads != 0 {
			c.fail("hidden_size %d is no multiple of num_attention_heads %d, and there is no head_dim", d.hidden, d.heads)
		}
	}
	if d.headDim = c.countOr("head_dim", share); d.headDim%2 != 0 {
		c.fail("head_dim %d is odd, rotary positions need pairs", d.headDim)
	}
}
