package arch

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// llama are the models of LlamaForCausalLM: Llama 1 to 3.3, Mistral 7B to Nemo, Yi, SmolLM2, TinyLlama and the
// many that share its layers (LlamaModel in conversion/llama.py).
var llama = &family{
	name:    "llama",
	classes: []string{"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", "IQuestCoderForCausalLM", "LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration", "VLlama3ForCausalLM"},
	rules: []rule{
		{"model.embed_tokens.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
		{"model.norm.weight", "output_norm.weight", vector(hidden), needed, nil},
		{"lm_head.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},

		{"model.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", matrix(queries, hidden), needed, permuteQ},
		{"model.layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", vector(queries), optional, permuteQ},
		{"model.layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", matrix(keys, hidden), needed, permuteK},
		{"model.layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", vector(keys), optional, permuteK},
		{"model.layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", matrix(keys, hidden), needed, nil},
		{"model.layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", vector(keys), optional, nil},
		{"model.layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", matrix(hidden, queries), needed, nil},
		{"model.layers.{i}.self_attn.o_proj.bias", "blk.{i}.attn_output.bias", vector(hidden), optional, nil},

		{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
		{"model.layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.mlp.gate_proj.bias", "blk.{i}.ffn_gate.bias", vector(ff), optional, nil},
		{"model.layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
		{"model.layers.{i}.mlp.up_proj.bias", "blk.{i}.ffn_up.bias", vector(ff), optional, nil},
		{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		{"model.layers.{i}.mlp.down_proj.bias", "blk.{i}.ffn_down.bias", vector(hidden), optional, nil},
	},
	rename:       withoutTextModel,
	knowsHeadDim: true,
	needsFF:      true,
	needsRMS:     true,
	ropeFactors:  true,
	tokenizer:    tokenizer.Options{Llama: true},
	params:       llamaParams,
}

// withoutTextModel is the name of a tensor of SmolVLM's and its like as Llama has it.
func withoutTextModel(_ *mapping, name string) string {
	return strings.Replace(name, "text_model.", "", 1)
}

// llamaParams writes what LlamaModel does after the common keys.
func llamaParams(m *mapping, set func(string, any)) error {
	set("vocab_size", uint32(m.dims.vocab))
	set("rope.dimension_count", uint32(m.dims.headDim))
	return nil
}
