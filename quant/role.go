package quant

import "strings"

// Role is what a tensor is for, as far as the choice of its type depends on it.
type Role int

// The roles that the mix rules tell apart (enum tensor_category of llama.cpp 0.5.0).
const (
	RoleOther Role = iota
	RoleTokenEmbedding
	RoleOutput
	RoleAttnQ
	RoleAttnK
	RoleAttnV
	RoleAttnQKV
	RoleAttnKVB
	RoleAttnOutput
	RoleFFNUp
	RoleFFNGate
	RoleFFNDown
)

// roleParts gives the part of a name that decides, in the order in which llama.cpp looks
// (tensor_get_category in llama-quant.cpp).
var roleParts = []struct {
	part string
	role Role
	name string
}{
	{"attn_qkv.weight", RoleAttnQKV, "attn_qkv"},
	{"attn_kv_b.weight", RoleAttnKVB, "attn_kv_b"},
	{"attn_v.weight", RoleAttnV, "attn_v"},
	{"attn_k.weight", RoleAttnK, "attn_k"},
	{"attn_q.weight", RoleAttnQ, "attn_q"},
	{"attn_output.weight", RoleAttnOutput, "attn_output"},
	{"ffn_up", RoleFFNUp, "ffn_up"},
	{"ffn_gate", RoleFFNGate, "ffn_gate"},
	{"ffn_down", RoleFFNDown, "ffn_down"},
}

// RoleOf tells a tensor's role from its name.
func RoleOf(name string) Role {
	switch name {
	case "output.weight":
		return RoleOutput
	case "token_embd.weight", "per_layer_token_embd.weight":
		return RoleTokenEmbedding
	}
	for _, p := range roleParts {
		if strings.Contains(name, p.part) {
			return p.role
		}
	}
	return RoleOther
}

// String is the role's short name.
func (r Role) String() string {
	switch r {
	case RoleTokenEmbedding:
		return "token_embd"
	case RoleOutput:
		return "output"
	}
	for _, p := range roleParts {
		if p.role == r {
			return p.name
		}
	}
	return "other"
}

// likeAttnV groups the roles that suffer as attn_v does when they lose bits. A fused attn_qkv belongs to
// them since llama.cpp 0.5.0 (category_is_attn_v).
func (r Role) likeAttnV() bool { return r == RoleAttnV || r == RoleAttnQKV || r == RoleAttnKVB }

// neverQuantized are name parts of small or delicate tensors that keep their type
// (tensor_allows_quantization in llama-quant.cpp of 0.5.0).
var neverQuantized = []string{
	"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight",
	"altup", "laurel", "per_layer_model_proj",
	"ssm_conv1d", "shortconv.conv.weight",
	"indexer.k_proj.weight", "indexer.q_proj.weight",
	"time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight",
	"time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
	"time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight",
	"time_mix_g1.weight", "time_mix_g2.weight",
	"time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight",
	"attn_rel_b.weight",
	".position_embd", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger",
	"a.rvq.codebook", "mm.a.code_embd",
}

// quantizable tells whether a tensor may change its type at all: matrices and stacks of matrices whose
// name ends in "weight", but for the exceptions above.
func quantizable(name string, shape []int64, leaveOutput bool) bool {
	if dims(shape) < 2 || !strings.HasSuffix(name, "weight") {
		return false
	}
	if leaveOutput && name == "output.weight" {
		return false
	}
	if name == "position_embd.weight" || name == "token_types.weight" {
		return false
	}
	for _, part := range neverQuantized {
		if strings.Contains(name, part) {
			return false
		}
	}
	return true
}

// dims counts dimensions as ggml_n_dims does: trailing ones don't count, and there is at least one.
func dims(shape []int64) int {
	for n := len(shape); n > 1; n-- {
		if shape[n-1] > 1 {
			return n
		}
	}
	return 1
}
