package arch

import (
	"slices"
	"testing"
)

func TestNearestAreTheElders(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]string{
		"Qwen4ForCausalLM":                 "Qwen3ForCausalLM",
		"Gemma4ForConditionalGeneration":   "Gemma3ForConditionalGeneration",
		"DeepseekV4ForCausalLM":            "DeepseekV3ForCausalLM",
		"LlamaForSequenceClassification":   "LlamaForCausalLM",
		"Glm5MoeForCausalLM":               "Glm4MoeForCausalLM",
		"GraniteMoeHybridForCausalLM":      "GraniteMoeForCausalLM",
		"Mistral4ForConditionalGeneration": "Mistral3ForConditionalGeneration",
	} {
		if got := nearest(class, 3); !slices.Contains(got, want) {
			t.Errorf("%s: got %v, want %s among them", class, got, want)
		}
	}
	for _, class := range []string{"", "X", "ZzzForCausalLM"} {
		if got := nearest(class, 3); len(got) != 0 {
			t.Errorf("%q: got %v, want none", class, got)
		}
	}
}
