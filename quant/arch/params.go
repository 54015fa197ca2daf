package arch

// dims are the sizes that a family's tensors are made of.
type dims struct {
	layers  int64
	hidden  int64
	ff      int64
	heads   int64
	kvHeads int64
	headDim int64
	vocab   int64
}

// readDims reads the sizes. The defaults are those of transformers' configuration classes, which the
// converter reads the file through.
func (m *mapping) readDims() {
	c, d := m.config, &m.dims
	d.layers = c.count("num_hidden_layers")
	d.hidden = c.count("hidden_size")
	d.ff = c.count("intermediate_size")
	d.heads = c.count("num_attention_heads")
	d.kvHeads = c.countOr("num_key_value_heads", d.heads)
	d.vocab = c.count("vocab_size")
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

// params writes the keys of the architecture in the order of TextModel.set_gguf_parameters.
func (m *mapping) params() error {
	c, d, meta := m.config, m.dims, &m.model.Metadata
	set := func(key string, value any) { meta.Set(m.family.name+"."+key, value) }
	set("block_count", uint32(d.layers))
	set("context_length", uint32(c.count("max_position_embeddings")))
	set("embedding_length", uint32(d.hidden))
	set("feed_forward_length", uint32(d.ff))
	set("attention.head_count", uint32(d.heads))
	set("attention.head_count_kv", uint32(d.kvHeads))
	if c.has("is_causal") && !c.flag("is_causal") {
		set("attention.causal", false)
	}
	m.ropeParams(set)
	set("attention.layer_norm_rms_epsilon", c.float("rms_norm_eps"))
	if c.has("head_dim") || m.family.knowsHeadDim {
		set("attention.key_length", uint32(d.headDim))
		set("attention.value_length", uint32(d.headDim))
	}
	if m.family.params == nil {
		return nil
	}
	return m.family.params(m, set)
}
