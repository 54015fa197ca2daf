package quant

import (
	"fmt"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// mix chooses types tensor by tensor, in file order, for one output. It counts as it goes: the rules speak
// of "the third attn_v", not of "layer 3". Source: llama_tensor_get_type_impl in llama-quant.cpp of 0.5.0,
// for the file types in the table of presets.
type mix struct {
	hparams
	file       gguf.FileType
	hasImatrix bool
	tied       bool // no output.weight: the embedding is quantized as the output would be
	attnVs     int  // attn_v-like tensors in all
	attnV      int  // attn_v-like tensors so far
	ffnDown    int  // ffn_down tensors so far
	outputType *gguf.Type
}

func newMix(h hparams, file gguf.FileType, names []string) *mix {
	m := &mix{hparams: h, file: file, tied: true}
	for _, name := range names {
		switch role := RoleOf(name); {
		case role.likeAttnV():
			m.attnVs++
		case role == RoleOutput:
			m.tied = false
		}
	}
	return m
}

// moreBits picks the layers that are worth a bigger type: the first and the last eighth, and every third between.
func moreBits(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

func (m *mix) is(files ...gguf.FileType) bool {
	for _, f := range files {
		if m.file == f {
			return true
		}
	}
	return false
}

// choose returns the type of the next tensor. base is the file type's default.
func (m *mix) choose(name string, shape []int64, base gguf.Type) (gguf.Type, error) {
	role := RoleOf(name)
	switch {
	case role == RoleOutput || m.tied && role == RoleTokenEmbedding:
		return m.output(shape[0], base), nil
	case m.is(gguf.FileMXFP4MoE):
		return m.expertType(role, shape), nil
	case role.likeAttnV():
		return m.attnVType(base), nil
	case role == RoleAttnK:
		if m.experts == 8 {
			return gguf.Q8_0, nil
		}
	case role == RoleFFNDown:
		return m.ffnDownType(name, base)
	case role == RoleAttnOutput:
		return m.attnOutputType(base), nil
	}
	return base, nil
}

func (m *mix) output(cols int64, base gguf.Type) gguf.Type {
	switch {
	case m.outputType != nil:
		return *m.outputType
	case m.is(gguf.FileMXFP4MoE):
		return gguf.Q8_0
	case m.arch == "falcon" || cols%base.BlockLen() != 0:
		return gguf.Q8_0
	case base != gguf.Q8_0:
		return gguf.Q6K
	}
	return base
}

// expertType is MXFP4 for the stacks of experts, which are known by their third dimension, and Q8_0 for all else.
func (m *mix) expertType(role Role, shape []int64) gguf.Type {
	stack := len(shape) > 2 && shape[2] > 1
	if m.arch == "bailingmoe3" { // its attention has stacks too
		stack = stack && (role == RoleFFNUp || role == RoleFFNGate || role == RoleFFNDown)
	}
	if stack {
		return gguf.MXFP4
	}
	return gguf.Q8_0
}

func (m *mix) attnVType(t gguf.Type) gguf.Type {
	switch {
	case m.is(gguf.FileQ2K) && m.gqa >= 4:
		t = gguf.Q4K
	case m.is(gguf.FileQ2K):
		t = gguf.Q3K
	case m.is(gguf.FileQ2KS) && m.gqa >= 4:
		t = gguf.Q4K
	case m.is(gguf.FileQ3KM) && m.attnV < 2:
		t = gguf.Q5K
	case m.is(gguf.FileQ3KM):
		t = gguf.Q4K
	case m.is(gguf.FileQ3KL):
		t = gguf.Q5K
	case m.is(gguf.FileQ4KM, gguf.FileQ5KM) && moreBits(m.attnV, m.attnVs):
		t = gguf.Q6K
	case m.is(gguf.FileQ4KS) && m.attnV < 4:
		t = gguf.Q5K
	}
	if m.is70B && (t == gguf.Q3K || t == gguf.Q4K) {
		t = gguf.Q5K
	}
	if m.experts == 8 {
		t = gguf.Q8_0
	}
	m.attnV++
	return t
}

func (m *mix) ffnDownType(name string, t gguf.Type) (gguf.Type, error) {
	i, n := m.ffnDown, m.layers
	m.ffnDown++
	if m.experts > 1 {
		// experts don't come layer by layer: the name says which layer it is
		if _, err := fmt.Sscanf(name, "blk.%d.", &i); err != nil {
			return 0, fmt.Errorf("tensor %q: a model with experts needs the layer in its tensors' names", name)
		}
		if i < 0 || i >= n {
			return 0, fmt.Errorf("tensor %q: layer %d, the model has %d", name, i, n)
		}
	}
	falcon := m.arch == "falcon"
	switch {
	case m.is(gguf.FileQ2K):
		return gguf.Q3K, nil
	case m.is(gguf.FileQ2KS) && i < n/8:
		return gguf.Q4K, nil
	case m.is(gguf.FileQ3KM):
		switch {
		case i < n/16:
			return gguf.Q5K, nil
		case !falcon || moreBits(i, n):
			return gguf.Q4K, nil
		}
		return gguf.Q3K, nil
	case m.is(gguf.FileQ3KL) && falcon:
		return gguf.Q4K, nil
	case m.is(gguf.FileQ3KL):
		return gguf.Q5K, nil
	case m.is(gguf.FileQ4KM) && falcon:
		switch {
		case i < n/16:
			return gguf.Q6K, nil
		case moreBits(i, n):
			return gguf.Q5K, nil
		}
		return gguf.Q4K, nil
	case m.is(gguf.FileQ4KM, gguf.FileQ5KM) && moreBits(i, n):
		return gguf.Q6K, nil
	case m.is(gguf.FileQ4KS) && !falcon && i < n/8:
		return gguf.Q5K, nil
	case m.is(gguf.FileQ4_0) && m.hasImatrix && i < n/8:
		return gguf.Q4_1, nil
	case m.is(gguf.FileQ5_0) && m.hasImatrix && i < n/8:
		return gguf.Q5_1, nil
	}
	return t, nil
}

func (m *mix) attnOutputType(t gguf.Type) gguf.Type {
	switch {
	case m.arch == "falcon":
		if m.is(gguf.FileQ3KL) {
			return gguf.Q4K
		}
	case m.experts == 8:
		if m.is(gguf.FileQ2K, gguf.FileQ3KS, gguf.FileQ3KM, gguf.FileQ4KS, gguf.FileQ4KM) {
			return gguf.Q5K
		}
	case m.is(gguf.FileQ2K):
		return gguf.Q3K
	case m.is(gguf.FileQ3KM):
		return gguf.Q4K
	case m.is(gguf.FileQ3KL):
		return gguf.Q5K
	}
	return t
}
