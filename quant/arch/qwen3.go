package arch

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// qwen3 are the dense Qwen 3 models: Qwen 2 without its biases, with a norm on each head's queries and keys
// (Qwen3Model in conversion/qwen.py).
var qwen3 = &family{
	name:    "qwen3",
	classes: []string{"Qwen3ForCausalLM"},
	rules: append(qwenRules(),
		rule{"model.layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", vector(headDim), needed, nil},
		rule{"model.layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", vector(headDim), needed, nil},
		rule{"model.layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", vector(queries), optional, nil},
		rule{"model.layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", vector(keys), optional, nil},
		rule{"model.layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", vector(keys), optional, nil},
	),
	defaultHeadDim: 128,
	knowsHeadDim:   true,
	needsFF:        true,
	needsRMS:       true,
	params: func(m *mapping, set func(string, any)) error {
		if err := m.refuseReranker(); err != nil {
			return err
		}
		return pooling(m, set)
	},
}

// refuseReranker stops at models that need a head of their own, cut from lm_head, to be of use.
func (m *mapping) refuseReranker() error {
	readme, err := m.read("README.md")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("README.md: %w", err)
	}
	for _, s := range []string{m.name, m.config.text("_name_or_path")} {
		if strings.Contains(strings.ToLower(s), "qwen3-reranker") {
			return errReranker
		}
	}
	if strings.Contains(strings.ToLower(string(readme)), "# qwen3-reranker") {
		return errReranker
	}
	return nil
}

var errReranker = errors.New("a Qwen3 reranker: its classification head is not supported")
