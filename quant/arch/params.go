package arch

import "fmt"

// params writes the keys of the architecture: those that all have in common, unless the family writes all of its own.
func (m *mapping) params() error {
	if m.family.lead != nil {
		m.family.lead(m, m.set)
	}
	switch {
	case m.vision != nil:
		m.visionParams()
	case !m.family.ownParams:
		if err := m.commonParams(); err != nil {
			return err
		}
	}
	if m.family.params == nil {
		return nil
	}
	return m.family.params(m, m.set)
}

// set sets a key of the architecture.
func (m *mapping) set(key string, value any) { m.model.Metadata.Set(m.family.name+"."+key, value) }

// setCount and the like copy a value of the config, if it is there.
func (m *mapping) setCount(key string, names ...string) {
	if name := m.config.firstOf(names); m.config.has(name) {
		m.set(key, uint32(m.config.integer(name)))
	}
}

func (m *mapping) setFloat(key string, names ...string) {
	if name := m.config.firstOf(names); m.config.has(name) {
		m.set(key, m.config.float(name))
	}
}

func (m *mapping) setFlag(key string, names ...string) {
	if name := m.config.firstOf(names); m.config.has(name) {
		m.set(key, m.config.flag(name))
	}
}

// commonParams writes the keys of TextModel.set_gguf_parameters in its order.
func (m *mapping) commonParams() error {
	c, d, set := m.config, m.dims, m.set
	set("block_count", uint32(d.layers))
	set("context_length", uint32(c.count(c.firstOf(contextKeys))))
	set("embedding_length", uint32(d.hidden))
	if d.ff != 0 {
		set("feed_forward_length", uint32(d.ff))
	}
	if !m.family.noAttention {
		set("attention.head_count", uint32(d.heads))
		if !m.family.kvUnknown || c.has(c.firstOf(kvHeadsKeys)) {
			set("attention.head_count_kv", uint32(d.kvHeads))
		}
	}
	if c.has("is_causal") && !c.flag("is_causal") {
		set("attention.causal", false)
	}
	m.ropeParams(set)
	if m.family.needsRMS {
		c.require("rms_norm_eps")
	}
	m.setFloat("attention.layer_norm_rms_epsilon", "rms_norm_eps", "norm_eps")
	m.setFloat("attention.layer_norm_epsilon", normKeys...)
	m.setCount("expert_count", expertsKeys...)
	m.setCount("expert_used_count", activeKeys...)
	m.setCount("expert_group_count", "n_group")
	m.setCount("expert_group_used_count", "topk_group")
	if err := m.gating(); err != nil {
		return err
	}
	if c.has("head_dim") || m.family.knowsHeadDim {
		set("attention.key_length", uint32(d.headDim))
		set("attention.value_length", uint32(d.headDim))
	}
	return *c.err
}

// Gating functions of llama.cpp (llama_expert_gating_func_type).
var gatingFuncs = map[string]uint32{"softmax": 1, "sigmoid": 2, "sqrtsoftplus": 4}

// gating writes how routers weigh their experts.
func (m *mapping) gating() error {
	name := m.config.firstOf([]string{"score_function", "scoring_func", "score_func", "moe_router_activation", "moe_router_activation_func", "expert_selection_fn"})
	if !m.config.has(name) {
		return nil
	}
	f, ok := gatingFuncs[m.config.text(name)]
	if !ok {
		return fmt.Errorf("config.json: %s: %v, want softmax, sigmoid or sqrtsoftplus", name, m.config.doc[name])
	}
	m.set("expert_gating_func", f)
	return nil
}
