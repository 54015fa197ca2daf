package forward

import (
	"fmt"
	"math"
	"strings"
)

// BERT and its relatives, whose norms come behind the sums. They read a text from both ends and make a vector of each token.

// bertPrefix is what stands before the names of a whole model's tensors when it is a part of another.
func (m *model) bertPrefix() string {
	for _, p := range []string{"bert.", "roberta.", "distilbert."} {
		if m.weights.has(p + "embeddings.word_embeddings.weight") {
			return p
		}
	}
	return ""
}

// bertEmbeddings adds up what the checkpoint has of tokens, positions and the type of the first part of a text.
func (m *model) bertEmbeddings(p, norm string) {
	m.embedding(p + "word_embeddings")
	if m.weights.has(p + "position_embeddings.weight") {
		first := 0
		if strings.Contains(m.class(), "Roberta") {
			first = m.int("pad_token_id") + 1
		}
		m.positions(p+"position_embeddings", first)
	}
	last := m.layerNorm(norm)
	if name := p + "token_type_embeddings"; m.weights.has(name + ".weight") {
		kind := m.weights.matrix(name + ".weight").row(0)
		last = then(func(x vec) vec { return sum(x, kind) }, last)
	}
	embed := m.embed
	m.embed = func(tokens []int32) []vec { return each(last)(embed(tokens)) }
}

func bert(m *model) {
	p := m.bertPrefix()
	if m.weights.has(p + "emb_ln.weight") { // Jina's third, which has the class of XLM-RoBERTa
		rotaryBert(m)
		return
	}
	for i := range m.layerCount() {
		l := fmt.Sprintf("%sencoder.layer.%d.", p, i)
		m.add(normed(m.bertAttention(l).mix, m.layerNorm(l+"attention.output.LayerNorm")),
			normed(each(plain(m.linear(l+"intermediate.dense"), m.gelu, m.linear(l+"output.dense"))), m.layerNorm(l+"output.LayerNorm")))
	}
	m.bertEmbeddings(p+"embeddings.", p+"embeddings.LayerNorm")
	m.pooled()
	if !strings.HasSuffix(m.class(), "ForSequenceClassification") {
		return
	}
	switch {
	case m.weights.has("classifier.dense.weight"):
		m.classify(m.linear("classifier.dense"), math.Tanh, m.linear("classifier.out_proj"))
	case m.deviations.NoPooler:
		out := m.linear("classifier")
		m.pool = func(x []vec) vec { return out(firstOf(x)) }
	default:
		m.classify(m.linear(p+"pooler.dense"), math.Tanh, m.linear("classifier"))
	}
}

// bertAttention has no rope.
func (m *model) bertAttention(l string) *attention {
	a := m.attentionOf(l+"attention.self.query", l+"attention.self.key", l+"attention.self.value", l+"attention.output.dense")
	a.rope = nil
	return a
}

func distilbert(m *model) {
	m.eps = 1e-12
	p := m.bertPrefix()
	for i := range m.layerCount() {
		l := fmt.Sprintf("%stransformer.layer.%d.", p, i)
		a := m.attentionOf(l+"attention.q_lin", l+"attention.k_lin", l+"attention.v_lin", l+"attention.out_lin")
		a.rope = nil
		m.add(normed(a.mix, m.layerNorm(l+"sa_layer_norm")),
			normed(each(plain(m.linear(l+"ffn.lin1"), m.gelu, m.linear(l+"ffn.lin2"))), m.layerNorm(l+"output_layer_norm")))
	}
	m.bertEmbeddings(p+"embeddings.", p+"embeddings.LayerNorm")
	m.pooled()
	if m.weights.has("pre_classifier.weight") {
		act := relu
		if m.deviations.TanhHead {
			act = math.Tanh
		}
		m.classify(m.linear("pre_classifier"), act, m.linear("classifier"))
	}
}

// rotaryBert is Nomic's and, under other names, Jina's third: BERT with turned queries and keys. Nomic's has gates, or
// experts in every other layer.
func rotaryBert(m *model) {
	p := m.bertPrefix()
	for i := range m.layerCount() {
		l := fmt.Sprintf("%sencoder.layers.%d.", p, i)
		mixer := l + "attn."
		if m.weights.has(l + "mixer.out_proj.weight") {
			mixer = l + "mixer."
		}
		a := &attention{o: m.linear(mixer + "out_proj"), heads: m.heads(), kv: m.heads(), dim: m.headDim(), both: true}
		a.q, a.k, a.v = fusedQKV(m.linear(mixer+"Wqkv"), a.heads, a.kv, a.dim)
		a.rope = plainRope(a.dim, m.num("rotary_emb_base"))
		var ff fn
		switch mlp := l + "mlp."; {
		case m.weights.has(mlp + "fc11.weight"):
			ff = gated(m.linear(mlp+"fc12"), silu, m.linear(mlp+"fc11"), m.linear(mlp+"fc2"))
		case m.weights.has(mlp + "router.layer.weight"):
			ff = m.nomicExperts(mlp)
		default:
			ff = plain(m.linear(mlp+"fc1"), m.gelu, m.linear(mlp+"fc2"))
		}
		m.add(normed(a.mix, m.layerNorm(l+"norm1")), normed(each(ff), m.layerNorm(l+"norm2")))
	}
	m.bertEmbeddings(p+"embeddings.", p+"emb_ln")
	m.pooled()
}

// nomicExperts have two matrices each, stacked to two tall ones, and one bias for the sum of all.
func (m *model) nomicExperts(p string) fn {
	n := m.int("num_experts")
	up, down := m.weights.matrix(p+"experts.mlp.w1"), m.weights.matrix(p+"experts.mlp.w2")
	of := make([]fn, n)
	for e := range of {
		rows := up.rows / n
		of[e] = plain(up.cut(e*rows, rows).times, m.gelu, down.cut(e*rows, rows).transposed().times)
	}
	all := experts(&routing{router: m.linear(p + "router.layer"), top: m.int("moe_top_k"), score: softmax}, of, nil)
	if m.deviations.NoExpertBias {
		return all
	}
	bias := m.weights.vector(p + "experts.bias")
	return then(all, func(x vec) vec { return sum(x, bias) })
}

// jinaBert is Jina's second, whose scores fall with the distance and whose networks have gates. The one for code has
// norms for queries and keys, and one more behind the attention.
func jinaBert(m *model) {
	p := m.bertPrefix()
	for i := range m.layerCount() {
		l := fmt.Sprintf("%sencoder.layer.%d.", p, i)
		a := m.bertAttention(l)
		a.alibi = alibi(a.heads, 8)
		attend := normed(a.mix, m.layerNorm(l+"attention.output.LayerNorm"))
		if !m.weights.has(l + "mlp.up_gated_layer.weight") {
			m.add(attend, normed(each(m.fusedMLP(l+"mlp.gated_layers", l+"mlp.wo", m.gelu)), m.layerNorm(l+"mlp.layernorm")))
			continue
		}
		a.qNorm, a.kNorm = m.layerNorm(l+"attention.self.layer_norm_q"), m.layerNorm(l+"attention.self.layer_norm_k")
		up := m.linear(l + "mlp.up_gated_layer")
		n := m.int("intermediate_size")
		first, second := part(up, 0, n), part(up, n, n)
		if m.deviations.GateFirst {
			first, second = second, first
		}
		m.add(normed(attend, m.layerNorm(l+"layer_norm_1")),
			normed(each(gated(second, m.gelu, first, m.linear(l+"mlp.down_layer"))), m.layerNorm(l+"layer_norm_2")))
	}
	m.bertEmbeddings(p+"embeddings.", p+"embeddings.LayerNorm")
	m.pooled()
}
