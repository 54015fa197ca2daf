package forward

import (
	"fmt"
	"math"
)

// Families that came before Llama, each with names of its own.

// positions adds a learned vector for each position to the embedding, that in the row first of the table to the first.
func (m *model) positions(name string, first int) {
	table, embed := m.weights.matrix(name+".weight"), m.embed
	m.embed = func(tokens []int32) []vec {
		x := embed(tokens)
		for i := range x {
			x[i] = sum(x[i], table.row(first+i))
		}
		return x
	}
}

func gpt2(m *model) {
	prefix := ""
	if m.weights.has("transformer.wte.weight") {
		prefix = "transformer."
	}
	for i := range m.layerCount() {
		p := fmt.Sprintf("%sh.%d.", prefix, i)
		a := &attention{o: m.conv1D(p + "attn.c_proj"), heads: m.heads(), kv: m.heads(), dim: m.headDim()}
		a.q, a.k, a.v = fusedQKV(m.conv1D(p+"attn.c_attn"), a.heads, a.kv, a.dim)
		m.block(m.layerNorm(p+"ln_1"), a.mix, m.layerNorm(p+"ln_2"), plain(m.conv1D(p+"mlp.c_fc"), m.geluTanh, m.conv1D(p+"mlp.c_proj")))
	}
	m.ends(prefix+"wte", m.layerNorm(prefix+"ln_f"), "lm_head")
	m.positions(prefix+"wpe", 0)
}

// gptneox has query, key and value of a head next to each other, and both parts side by side.
func gptneox(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("gpt_neox.layers.%d.", i)
		a := &attention{o: m.linear(p + "attention.dense"), heads: m.heads(), kv: m.heads(), dim: m.headDim()}
		a.q, a.k, a.v = groupedQKV(m.linear(p+"attention.query_key_value"), a.heads, a.kv, a.dim)
		a.rope = plainRope(int(float64(a.dim)*m.num("rotary_pct")), m.num("rotary_emb_base"))
		one := branch{pre: m.layerNorm(p + "input_layernorm"), inner: a.mix}
		two := branch{pre: m.layerNorm(p + "post_attention_layernorm"), inner: each(plain(m.linear(p+"mlp.dense_h_to_4h"), m.gelu, m.linear(p+"mlp.dense_4h_to_h")))}
		if m.flag("use_parallel_residual", true) {
			m.add(residual(one, two))
		} else {
			m.add(residual(one), residual(two))
		}
	}
	m.ends("gpt_neox.embed_in", m.layerNorm("gpt_neox.final_layer_norm"), "embed_out")
}

// falcon has both parts side by side, in its larger kind behind a norm each.
func falcon(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("transformer.h.%d.", i)
		kv := 1
		if m.flag("new_decoder_architecture", false) {
			kv = m.int("num_kv_heads")
		}
		a := &attention{o: m.linear(p + "self_attention.dense"), heads: m.heads(), kv: kv, dim: m.headDim(), rope: m.rope(m.headDim())}
		a.q, a.k, a.v = groupedQKV(m.linear(p+"self_attention.query_key_value"), a.heads, a.kv, a.dim)
		ff := each(plain(m.linear(p+"mlp.dense_h_to_4h"), m.gelu, m.linear(p+"mlp.dense_4h_to_h")))
		if m.weights.has(p + "ln_attn.weight") {
			m.add(residual(branch{pre: m.layerNorm(p + "ln_attn"), inner: a.mix}, branch{pre: m.layerNorm(p + "ln_mlp"), inner: ff}))
		} else {
			norm := m.layerNorm(p + "input_layernorm")
			m.add(residual(branch{pre: norm, inner: a.mix}, branch{pre: norm, inner: ff}))
		}
	}
	m.ends("transformer.word_embeddings", m.layerNorm("transformer.ln_f"), "lm_head")
}

func bloom(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("transformer.h.%d.", i)
		a := &attention{o: m.linear(p + "self_attention.dense"), heads: m.heads(), kv: m.heads(), dim: m.headDim(), alibi: alibi(m.heads(), 8)}
		a.q, a.k, a.v = groupedQKV(m.linear(p+"self_attention.query_key_value"), a.heads, a.kv, a.dim)
		m.block(m.layerNorm(p+"input_layernorm"), a.mix, m.layerNorm(p+"post_attention_layernorm"), plain(m.linear(p+"mlp.dense_h_to_4h"), m.geluTanh, m.linear(p+"mlp.dense_4h_to_h")))
	}
	m.ends("transformer.word_embeddings", m.layerNorm("transformer.ln_f"), "lm_head")
	embed, norm := m.embed, m.layerNorm("transformer.word_embeddings_layernorm")
	m.embed = func(tokens []int32) []vec { return each(norm)(embed(tokens)) }
}

func mpt(m *model) {
	m.eps = 1e-5
	settings := m.table("attn_config")
	for i := range m.layerCount() {
		p := fmt.Sprintf("transformer.blocks.%d.", i)
		a := &attention{o: m.linear(p + "attn.out_proj"), heads: m.heads(), kv: m.heads(), dim: m.headDim(), alibi: alibi(m.heads(), settings.numOr("alibi_bias_max", 8))}
		limit := settings.numOr("clip_qkv", math.Inf(1))
		a.q, a.k, a.v = fusedQKV(then(m.linear(p+"attn.Wqkv"), func(x vec) vec { return clipped(x, limit) }), a.heads, a.kv, a.dim)
		m.block(m.layerNorm(p+"norm_1"), a.mix, m.layerNorm(p+"norm_2"), plain(m.linear(p+"ffn.up_proj"), m.gelu, m.linear(p+"ffn.down_proj")))
	}
	m.ends("transformer.wte", m.layerNorm("transformer.norm_f"), "lm_head")
}

// starcoder has one key for all heads.
func starcoder(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("transformer.h.%d.", i)
		a := &attention{o: m.linear(p + "attn.c_proj"), heads: m.heads(), kv: 1, dim: m.headDim()}
		a.q, a.k, a.v = fusedQKV(m.linear(p+"attn.c_attn"), a.heads, a.kv, a.dim)
		m.block(m.layerNorm(p+"ln_1"), a.mix, m.layerNorm(p+"ln_2"), plain(m.linear(p+"mlp.c_fc"), m.geluTanh, m.linear(p+"mlp.c_proj")))
	}
	m.ends("transformer.wte", m.layerNorm("transformer.ln_f"), "lm_head")
	m.positions("transformer.wpe", 0)
}

func codeshell(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("transformer.h.%d.", i)
		a := &attention{o: m.linear(p + "attn.c_proj"), heads: m.heads(), kv: m.int("num_query_groups"), dim: m.headDim(), rope: m.rope(m.headDim())}
		a.q, a.k, a.v = fusedQKV(m.linear(p+"attn.c_attn"), a.heads, a.kv, a.dim)
		m.block(m.layerNorm(p+"ln_1"), a.mix, m.layerNorm(p+"ln_2"), plain(m.linear(p+"mlp.c_fc"), m.geluTanh, m.linear(p+"mlp.c_proj")))
	}
	m.ends("transformer.wte", m.layerNorm("transformer.ln_f"), "lm_head")
}

// qwen1's gate is its second matrix.
func qwen1(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("transformer.h.%d.", i)
		a := &attention{o: m.linear(p + "attn.c_proj"), heads: m.heads(), kv: m.heads(), dim: m.headDim(), rope: plainRope(m.headDim(), m.num("rotary_emb_base"))}
		a.q, a.k, a.v = fusedQKV(m.linear(p+"attn.c_attn"), a.heads, a.kv, a.dim)
		m.block(m.rms(p+"ln_1"), a.mix, m.rms(p+"ln_2"), gated(m.linear(p+"mlp.w2"), silu, m.linear(p+"mlp.w1"), m.linear(p+"mlp.c_proj")))
	}
	m.ends("transformer.wte", m.rms("transformer.ln_f"), "lm_head")
}

// chatglm turns neighbours in the first half of each head.
func chatglm(m *model) {
	for i := range m.int("num_layers") {
		p := fmt.Sprintf("transformer.encoder.layers.%d.", i)
		a := &attention{o: m.linear(p + "self_attention.dense"), heads: m.heads(), kv: m.int("multi_query_group_num"), dim: m.int("kv_channels")}
		a.q, a.k, a.v = fusedQKV(m.linear(p+"self_attention.query_key_value"), a.heads, a.kv, a.dim)
		a.rope = plainRope(a.dim/2, 10000*m.numOr("rope_ratio", 1))
		a.rope.interleaved = true
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.fusedMLP(p+"mlp.dense_h_to_4h", p+"mlp.dense_4h_to_h", silu))
	}
	m.ends("transformer.embedding.word_embeddings", m.rms("transformer.encoder.final_layernorm"), "transformer.output_layer")
}

// exaone is Llama under other names.
func exaone(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("transformer.h.%d.", i)
		m.block(m.rms(p+"ln_1"), m.usualBut(p+"attn.attention.", "out_proj").mix, m.rms(p+"ln_2"),
			gated(m.linear(p+"mlp.c_fc_0"), silu, m.linear(p+"mlp.c_fc_1"), m.linear(p+"mlp.c_proj")))
	}
	m.ends("transformer.wte", m.rms("transformer.ln_f"), "lm_head")
}

func baichuan(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := &attention{o: m.linear(p + "self_attn.o_proj"), heads: m.heads(), kv: m.heads(), dim: m.headDim(), rope: m.rope(m.headDim())}
		a.q, a.k, a.v = fusedQKV(m.linear(p+"self_attn.W_pack"), a.heads, a.kv, a.dim)
		m.block(m.rms(p+"input_layernorm"), a.mix, m.rms(p+"post_attention_layernorm"), m.mlp(p+"mlp.", silu))
	}
	m.outer(m.rms(m.prefix + "norm"))
}

func internlm2(m *model) {
	for i := range m.layerCount() {
		p := m.layer(i)
		a := &attention{o: m.linear(p + "attention.wo"), heads: m.heads(), kv: m.keyHeads(), dim: m.headDim(), rope: m.rope(m.headDim())}
		a.q, a.k, a.v = groupedQKV(m.linear(p+"attention.wqkv"), a.heads, a.kv, a.dim)
		f := p + "feed_forward."
		m.block(m.rms(p+"attention_norm"), a.mix, m.rms(p+"ffn_norm"), gated(m.linear(f+"w1"), silu, m.linear(f+"w3"), m.linear(f+"w2")))
	}
	m.ends("model.tok_embeddings", m.rms("model.norm"), "output")
}

func llada(m *model) {
	for i := range m.layerCount() {
		p := fmt.Sprintf("model.transformer.blocks.%d.", i)
		m.block(m.rms(p+"attn_norm"), m.attentionOf(p+"q_proj", p+"k_proj", p+"v_proj", p+"attn_out").mix, m.rms(p+"ff_norm"),
			gated(m.linear(p+"ff_proj"), silu, m.linear(p+"up_proj"), m.linear(p+"ff_out")))
	}
	m.ends("model.transformer.wte", m.rms("model.transformer.ln_f"), "model.transformer.ff_out")
}
