package arch

// qwen2 are Qwen 1.5 to 2.5: Llama's layers with biases on queries, keys and values. llama.cpp turns rotary
// pairs as Hugging Face stores them, so no rows move (Qwen2Model in conversion/qwen.py).
var qwen2 = &family{
	name:    "qwen2",
	classes: []string{"Qwen2ForCausalLM"},
	rules: append(qwenRules(),
		rule{"model.layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", vector(queries), needed, nil},
		rule{"model.layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", vector(keys), needed, nil},
		rule{"model.layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", vector(keys), needed, nil},
	),
	needsFF:  true,
	needsRMS: true,
	params:   pooling,
}

// qwenRules are what Qwen 2 and 3 have in common.
func qwenRules() []rule {
	return []rule{
		{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"model.norm.weight", "output_norm.weight", vector(hidden), needed, nil},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},

		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", matrix(queries, hidden), needed, nil},
		{"model.layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", matrix(keys, hidden), needed, nil},
		{"model.layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", matrix(keys, hidden), needed, nil},
		{"model.layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},

		{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
	}
}
