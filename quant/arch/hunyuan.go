package arch

import "math"

// hunyuanParams stretches positions as Hunyuan does where its config says dynamic: by a larger base, for a context of
// 256k tokens whatever the config says (HunYuanModel.set_gguf_parameters).
func hunyuanParams(m *mapping, set func(string, any)) error {
	if m.rope.kind != "dynamic" {
		return nil
	}
	c, d, p := m.config, m.dims, m.rope.params
	alpha := 50.0
	if p.has("alpha") {
		alpha = p.number("alpha")
	}
	if n := c.count("max_position_embeddings"); m.rope.theta != 10000 || n != 32<<10 && n != 256<<10 {
		c.fail("rope_theta %v and max_position_embeddings %d: llama.cpp stretches 10000, and 32768 or 262144", m.rope.theta, n)
	}
	c.require("head_dim")
	head := float64(d.headDim)
	set("rope.freq_base", float32(m.rope.theta*math.Pow(alpha, head/(head-2))))
	set("rope.scaling.type", "none")
	set("rope.scaling.factor", float32(1))
	set("rope.scaling.original_context_length", uint32(256<<10))
	set("context_length", uint32(256<<10))
	return nil
}
