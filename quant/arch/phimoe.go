package arch

import "github.com/nexus-quant/nexus-quant/hf/tokenizer"

// phimoe is Phi 3.5 MoE: Mixtral's experts and Phi 3's positions, with LayerNorms and biases (PhiMoeModel in
// conversion/phi.py).
var phimoe = &family{
	name:    "phimoe",
	classes: []string{"PhiMoEForCausalLM", "PhimoeForCausalLM"},
	rules: rulesOf(outer()[:1], biased(optional, outer()[1:]), biased(needed, norms(nil)), biased(optional, attention("{i}", nil, nil)),
		[]rule{router("{i}", "block_sparse_moe.gate")}, mixtralExperts()),
	defaults:  phi3.defaults,
	needsFF:   true,
	made:      longRope,
	tokenizer: tokenizer.Options{Phi: true},
	ownParams: true,
	params: func(m *mapping, set func(string, any)) error {
		if err := phi3.params(m, set); err != nil {
			return err
		}
		m.setCount("expert_used_count", activeKeys...)
		m.setCount("expert_count", expertsKeys...)
		return nil
	},
}
