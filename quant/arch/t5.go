package arch

import (
	"slices"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// The T5 family: an encoder, and a decoder that attends to what it made (conversion/t5.py). Positions are a bias of
// attention, which only the first layer of each has; in UMT5 all layers have one.
var (
	t5 = &family{
		name:    "t5",
		classes: []string{"T5ForConditionalGeneration", "T5WithLMHeadModel", "MT5ForConditionalGeneration", "UMT5ForConditionalGeneration", "UMT5Model"},
		rules: rulesOf(t5Outer(), t5Attention("encoder", "{enc}", 0, "SelfAttention", "attn"), t5Network("encoder", "{enc}", 1), []rule{
			{"decoder.final_layer_norm.weight", "dec.output_norm.weight", vector(hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), optional, nil},
		}, t5Attention("decoder", "{dec}", 0, "SelfAttention", "attn"), t5Attention("decoder", "{dec}", 1, "EncDecAttention", "cross_attn"), t5Network("decoder", "{dec}", 2)),
		layers: map[string]func(*mapping, int) bool{
			"enc": func(m *mapping, layer int) bool { return int64(layer) < m.dims.trunk },
			"dec": func(m *mapping, layer int) bool { return int64(layer) < m.config.count("num_decoder_layers") },
		},
		rename:  t5Name,
		filter:  t5Filter,
		prepare: t5Prepare,
		adjust: func(m *mapping) { // rules count the layers of both
			m.config.or("num_decoder_layers", float64(m.dims.layers))
			m.dims.layers = max(m.dims.layers, m.config.count("num_decoder_layers"))
		},
		ownParams: true,
		tokenizer: tokenizer.Options{Kind: tokenizer.T5},
		params: func(m *mapping, set func(string, any)) error {
			t5Params(m, set)
			set("decoder_start_token_id", uint32(m.config.integer("decoder_start_token_id")))
			return *m.config.err
		},
	}
	t5encoder = &family{
		name:      "t5encoder",
		classes:   []string{"T5EncoderModel"},
		rules:     rulesOf(t5Outer(), t5Attention("encoder", "{i}", 0, "SelfAttention", "attn"), t5Network("encoder", "{i}", 1)),
		rename:    t5Name,
		filter:    t5Filter,
		prepare:   t5Prepare,
		ownParams: true,
		tokenizer: tokenizer.Options{Kind: tokenizer.T5},
		params: func(m *mapping, set func(string, any)) error {
			t5Params(m, set)
			return *m.config.err
		},
	}
)

func t5Outer() []rule {
	return []rule{
		{"shared.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"encoder.final_layer_norm.weight", "enc.output_norm.weight", vector(hidden), needed, nil},
	}
}

// t5Attention is a part of a layer that attends; the part's place within the layer is in its name.
func t5Attention(side, set string, place int, from, to string) []rule {
	layer := side + ".block." + set + ".layer." + string(rune('0'+place)) + "."
	from, to = layer+from+".", side[:3]+".blk."+set+"."+to
	return []rule{
		{layer + "layer_norm.weight", to + "_norm.weight", vector(hidden), needed, nil},
		{from + "q.weight", to + "_q.weight", matrix(queries, hidden), needed, nil},
		{from + "k.weight", to + "_k.weight", matrix(queries, hidden), needed, nil},
		{from + "v.weight", to + "_v.weight", matrix(queries, hidden), needed, nil},
		{from + "o.weight", to + "_o.weight", matrix(hidden, queries), needed, nil},
		{from + "relative_attention_bias.weight", to + "_rel_b.weight", matrix(value("relative_attention_num_buckets"), heads), perLayer, nil},
	}
}

// t5Network is the feed-forward network: of two matrices in the first T5, gated since version 1.1.
func t5Network(side, set string, place int) []rule {
	layer := side + ".block." + set + ".layer." + string(rune('0'+place)) + "."
	to := side[:3] + ".blk." + set + ".ffn"
	return []rule{
		{layer + "layer_norm.weight", to + "_norm.weight", vector(hidden), needed, nil},
		{layer + "DenseReluDense.wi_1.weight", to + "_up.weight", matrix(ff, hidden), needed, nil},
		{layer + "DenseReluDense.wi.weight", to + "_up.weight", matrix(ff, hidden), optional, nil},
		{layer + "DenseReluDense.wi_0.weight", to + "_gate.weight", matrix(ff, hidden), optional, nil},
		{layer + "DenseReluDense.wo.weight", to + "_down.weight", matrix(hidden, ff), needed, nil},
	}
}

// t5Embeddings are the names of the one embedding of both sides, in the order in which the converter meets them.
var t5Embeddings = []string{"decoder.embed_tokens.weight", "encoder.embed_tokens.weight", "shared.weight"}

// t5Name calls the first of the embeddings that the checkpoint has "shared.weight".
func t5Name(_ *mapping, name string) string {
	if slices.Contains(t5Embeddings, name) {
		return "shared.weight"
	}
	return name
}

func t5Filter(m *mapping, name string) string {
	if !slices.Contains(t5Embeddings, name) {
		return ""
	}
	for _, t := range m.sources {
		if slices.Contains(t5Embeddings, t.Name) {
			if t.Name == name {
				return ""
			}
			return "the same as " + t.Name
		}
	}
	return ""
}

// t5Prepare gives the sizes the names that other families have for them, and transformers' defaults.
func t5Prepare(c *config) {
	for key, v := range map[string]float64{
		"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "vocab_size": 32128,
		"relative_attention_num_buckets": 32, "layer_norm_epsilon": 1e-6, "decoder_start_token_id": 0,
	} {
		c.or(key, v)
	}
	for name, key := range map[string]string{"hidden_size": "d_model", "intermediate_size": "d_ff", "head_dim": "d_kv",
		"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"} {
		c.doc[name] = c.doc[key]
	}
}

// t5Params writes what both kinds have (T5Model.set_gguf_parameters).
func t5Params(m *mapping, set func(string, any)) {
	c, d := m.config, m.dims
	set("context_length", uint32(c.countOr("n_positions", 512)))
	set("embedding_length", uint32(d.hidden))
	set("feed_forward_length", uint32(d.ff))
	set("block_count", uint32(d.trunk))
	if m.family.name == "t5" {
		set("decoder_block_count", uint32(c.count("num_decoder_layers")))
	}
	set("attention.head_count", uint32(d.heads))
	set("attention.key_length", uint32(d.headDim))
	set("attention.value_length", uint32(d.headDim))
	set("attention.layer_norm_epsilon", c.float("layer_norm_epsilon"))
	set("attention.relative_buckets_count", uint32(c.count("relative_attention_num_buckets")))
	set("attention.layer_norm_rms_epsilon", c.float("layer_norm_epsilon"))
}
