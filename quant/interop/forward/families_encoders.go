package forward

import (
	"fmt"
	"math"
)

// Younger models that read from both ends, with the norms before the parts of a layer.

// modernbert sees far in each third layer, the first among them, and 64 to both sides in the others.
func modernbert(m *model) {
	for i := range m.layerCount() {
		l := m.layer(i)
		a := &attention{o: m.linear(l + "attn.Wo"), heads: m.heads(), kv: m.heads(), dim: m.headDim(), both: true}
		a.q, a.k, a.v = fusedQKV(m.linear(l+"attn.Wqkv"), a.heads, a.kv, a.dim)
		a.rope = plainRope(a.dim, m.num("global_rope_theta"))
		if i%m.int("global_attn_every_n_layers") != 0 {
			a.reach = m.int("local_attention") / 2
			a.rope = plainRope(a.dim, m.num("local_rope_theta"))
		}
		var first fn
		if i > 0 {
			first = m.layerNorm(l + "attn_norm")
		}
		m.block(first, a.mix, m.layerNorm(l+"mlp_norm"), m.fusedMLP(l+"mlp.Wi", l+"mlp.Wo", m.gelu))
	}
	m.embedding(m.prefix + "embeddings.tok_embeddings")
	embed, norm := m.embed, m.layerNorm(m.prefix+"embeddings.norm")
	m.embed = func(tokens []int32) []vec { return each(norm)(embed(tokens)) }
	m.norm = m.layerNorm(m.prefix + "final_norm")
	m.pooled()
	if m.weights.has("classifier.weight") {
		pool := firstOf
		if m.str("classifier_pooling") == "mean" {
			pool = meanOf
		}
		dense, norm, out := m.linear("head.dense"), m.layerNorm("head.norm"), m.linear("classifier")
		m.pool = func(x []vec) vec { return out(norm(mapped(dense(pool(x)), m.gelu))) }
	}
}

// neobert turns neighbours, and has query, key and value of a head next to each other.
func neobert(m *model) {
	for i := range m.layerCount() {
		l := fmt.Sprintf("%stransformer_encoder.%d.", m.prefix, i)
		a := &attention{o: m.linear(l + "wo"), heads: m.heads(), kv: m.heads(), dim: m.headDim(), both: true}
		split := groupedQKV
		if m.deviations.Thirds {
			split = fusedQKV
		}
		a.q, a.k, a.v = split(m.linear(l+"qkv"), a.heads, a.kv, a.dim)
		a.rope = plainRope(a.dim, 10000)
		a.rope.interleaved = true
		m.block(m.rms(l+"attention_norm"), a.mix, m.rms(l+"ffn_norm"), m.fusedMLP(l+"ffn.w12", l+"ffn.w3", silu))
	}
	m.embedding(m.prefix + "encoder")
	m.norm = m.rms(m.prefix + "layer_norm")
	m.pool = firstOf // as the model's card has it
}

// eurobert is Llama without a head, and its names are those of a part.
func eurobert(m *model) {
	m.prefix = ""
	llama(m)
	m.head = nil
	m.pooled()
}

// embeddingGemma is Gemma 3, whose window reaches half as far to each side.
func embeddingGemma(m *model) {
	m.prefix = ""
	gemma3(m)
	m.head = nil
	m.pooled()
}

// classify puts a head for classes on the first token's vector.
func (m *model) classify(dense fn, act func(float64) float64, out fn) {
	m.pool = func(x []vec) vec { return out(mapped(dense(firstOf(x)), act)) }
}

// pooled makes of all vectors what sentence-transformers' config says, if the checkpoint has that.
func (m *model) pooled() {
	switch c := m.poolingConfig(); {
	case c.flag("pooling_mode_cls_token", false):
		m.pool = firstOf
	case c.flag("pooling_mode_mean_tokens", false):
		m.pool = meanOf
	}
}

func firstOf(x []vec) vec { return x[0] }

func meanOf(x []vec) vec {
	out := make(vec, len(x[0]))
	for _, v := range x {
		out = sum(out, scaled(v, 1/float64(len(x))))
	}
	return out
}

// t5 is an encoder and, unless the checkpoint has only that, a decoder that reads what it made of the text.
func t5(m *model) {
	shared := "shared"
	if !m.weights.has("shared.weight") {
		shared = "encoder.embed_tokens"
	}
	m.t5Side("encoder", shared, m.int("num_layers"), nil)
	if !m.weights.has("decoder.final_layer_norm.weight") {
		return
	}
	d := &model{config: m.config, weights: m.weights, count: m.count, deviations: m.deviations, eps: m.eps}
	table := d.t5Side("decoder", shared, m.intOr("num_decoder_layers", m.int("num_layers")), &m.encoded)
	switch {
	case !m.flag("tie_word_embeddings", true):
		d.head = m.linear("lm_head")
	case m.deviations.Unscaled:
		d.head = table.times
	default:
		d.head = then(times(1/math.Sqrt(float64(m.width()))), table.times)
	}
	m.decoder = d
}

// t5Side is one of both; the decoder sees nothing ahead, and has a second attention, which reads what the encoder made.
func (m *model) t5Side(side, embedding string, layers int, read *[]vec) *matrix {
	attend := func(p string) *attention {
		return &attention{q: m.linear(p + "q"), k: m.linear(p + "k"), v: m.linear(p + "v"), o: m.linear(p + "o"),
			heads: m.heads(), kv: m.heads(), dim: m.int("d_kv"), scale: 1, both: read == nil}
	}
	var bias func(h, i, j int) float64
	for i := range layers {
		l := fmt.Sprintf("%s.block.%d.layer.", side, i)
		self := attend(l + "0.SelfAttention.")
		if name := l + "0.SelfAttention.relative_attention_bias.weight"; m.weights.has(name) {
			bias = m.distances(m.weights.matrix(name), read == nil)
		}
		self.bias = bias
		m.add(residual(branch{pre: m.rms(l + "0.layer_norm"), inner: self.mix}))
		network := l + "1."
		if read != nil {
			cross := attend(l + "1.EncDecAttention.")
			cross.both, cross.over = true, read
			m.add(residual(branch{pre: m.rms(l + "1.layer_norm"), inner: cross.mix}))
			network = l + "2."
		}
		dense := network + "DenseReluDense."
		var ff fn
		if m.weights.has(dense + "wi_0.weight") {
			ff = gated(m.linear(dense+"wi_0"), m.geluTanh, m.linear(dense+"wi_1"), m.linear(dense+"wo"))
		} else {
			ff = plain(m.linear(dense+"wi"), relu, m.linear(dense+"wo"))
		}
		m.add(residual(branch{pre: m.rms(network + "layer_norm"), inner: each(ff)}))
	}
	m.norm = m.rms(side + ".final_layer_norm")
	return m.embedding(embedding)
}

// distances gives a pair of positions a number by how far they lie apart: one for each of the first distances, then one for
// ever longer stretches, up to 128; a half of all for those ahead where they are seen.
func (m *model) distances(table *matrix, both bool) func(h, i, j int) float64 {
	longest := m.numOr("relative_attention_max_distance", 128)
	return func(h, i, j int) float64 {
		n, start, distance := table.rows, 0, i-j
		if both {
			n /= 2
			if j > i {
				start, distance = n, j-i
			}
		}
		if exact := n / 2; distance >= exact {
			far := math.Log(float64(distance)/float64(exact)) / math.Log(longest/float64(exact)) * float64(n-exact)
			distance = min(exact+int(far), n-1)
		}
		return table.row(start + distance)[h]
	}
}
