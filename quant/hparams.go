package quant

import "github.com/nexus-quant/nexus-quant/gguf"

// hparams are the few facts of a model that the mix rules look at.
type hparams struct {
	arch    string
	layers  int
	gqa     int // query heads per key/value head
	experts int
	is70B   bool // llama.cpp's LLM_TYPE_70B: attn_v shared by 8 heads, worth more bits
}

func readHparams(m *gguf.Metadata) hparams {
	var h hparams
	h.arch, _ = m.String("general.architecture")
	h.layers = perLayer(m, h.arch+".block_count")
	h.experts = perLayer(m, h.arch+".expert_count")
	heads := perLayer(m, h.arch+".attention.head_count")
	kv := heads
	if _, ok := m.Get(h.arch + ".attention.head_count_kv"); ok {
		kv = perLayer(m, h.arch+".attention.head_count_kv")
	}
	if kv > 0 {
		h.gqa = heads / kv
	}
	nextn := perLayer(m, h.arch+".nextn_predict_layers")
	switch h.arch {
	case "llama":
		h.is70B = h.experts != 8 && h.layers-nextn == 80 && heads != kv
	case "qwen2", "olmo", "deci":
		h.is70B = h.layers-nextn == 80
	case "jais2":
		h.is70B = h.layers-nextn == 68
	case "nanbeige": // goes through its layers several times, and counts each time
		if loops := perLayer(m, h.arch+".num_loops"); loops > 1 && loops <= 512 {
			h.layers *= loops
		}
	}
	return h
}

// perLayer reads a number that some models state once and some for each layer: the first one counts.
func perLayer(m *gguf.Metadata, key string) int {
	if n, ok := m.Int(key); ok {
		return int(n)
	}
	v, _ := m.Get(key)
	switch a := v.(type) {
	case []int32:
		if len(a) > 0 {
			return int(a[0])
		}
	case []uint32:
		if len(a) > 0 {
			return int(a[0])
		}
	}
	return 0
}
