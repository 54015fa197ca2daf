package arch

import (
	"errors"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// FuzzAdapter reads settings of an adapter. What is taken has finite scales.
func FuzzAdapter(f *testing.F) {
	f.Add([]byte(`{"peft_type":"LORA","r":8,"lora_alpha":16,"rank_pattern":{"q_proj":4,"a|b":2},"alpha_pattern":{".*k_proj":1},"use_rslora":true}`))
	f.Add([]byte(`{"r":8,"lora_alpha":NaN,"bias":"all","modules_to_save":["lm_head"],"use_dora":true,"fan_in_fan_out":true,"init_lora_weights":"pissa"}`))
	tensor := func(name string, shape ...int64) *safetensors.Tensor {
		return safetensors.NewTensor(name, safetensors.F32, shape, "adapter_model.safetensors", nil, 0, 4*shape[0]*shape[1])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a := &Adapter{Checkpoint: &hf.Checkpoint{Name: "style", Tensors: []*safetensors.Tensor{
			tensor("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", 8, 32), tensor("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", 16, 8),
			tensor("base_model.model.model.embed_tokens.lora_embedding_A", 4, 64), tensor("base_model.model.model.embed_tokens.lora_embedding_B", 32, 4),
		}}}
		err := a.read(data)
		var known *AdapterError
		if errors.As(err, &known) && known.What == "" {
			t.Error("an error without words")
		}
		if err != nil {
			return
		}
		for _, p := range a.pairs {
			if x := float64(p.Scale); x-x != 0 || p.A == nil || p.B == nil {
				t.Errorf("%+v", p)
			}
		}
	})
}
