package arch_test

import (
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
)

const (
	down  = "model.layers.0.mlp.down_proj" // 256 x 512
	state = down + ".weight.quant_state.bitsandbytes__nf4"
)

// packed quantizes a checkpoint before it is changed.
func packed(how string, change func(c *archtest.Checkpoint)) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) { c.Pack(how); change(c) }
}

// setting changes a setting of how the weights are quantized.
func setting(key string, v any) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) {
		q := map[string]any{}
		for k, old := range c.Config["quantization_config"].(map[string]any) {
			q[k] = old
		}
		q[key] = v
		c.Config["quantization_config"] = q
	}
}

// weightSetting changes one of the weights' settings of compressed-tensors.
func weightSetting(key string, v any) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) {
		w := map[string]any{"num_bits": 4, "type": "int", "strategy": "group", "group_size": 64}
		w[key] = v
		setting("config_groups", map[string]any{"group_0": map[string]any{"weights": w}})(c)
	}
}

func reshape(name string, shape ...int64) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) { c.Tensor(name).Shape = shape }
}

func content(name, text string) func(*archtest.Checkpoint) {
	return func(c *archtest.Checkpoint) {
		t := c.Tensor(name)
		t.Data, t.Shape = []byte(text), []int64{int64(len(text))}
	}
}

func TestPackedWeightsAreChecked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, how string
		change    func(c *archtest.Checkpoint)
		want      string
	}{
		{"bits missing", "gptq-4", setting("bits", nil), "quantization_config.bits is missing"},
		{"bits unknown", "gptq-4", setting("bits", 5), "quantized with gptq (5 bits)"},
		{"layout of a kernel", "gptq-4", setting("checkpoint_format", "marlin"), `quantized with gptq (checkpoint_format "marlin")`},
		{"group of nothing", "gptq-4", setting("group_size", 0), "group_size: 0, want an integer from 1"},
		{"zeros missing", "gptq-4", drop(down + ".qzeros"), `tensor "` + down + `.qweight" (model.safetensors): "` + down + `.qzeros" is missing beside it`},
		{"scales missing", "gptq-4", drop(down + ".scales"), `.scales" is missing`},
		{"weights missing", "gptq-4", drop(down + ".qweight"), `no rule of the qwen3 architecture knows it`},
		{"weights of another format", "gptq-4", retype(down+".qweight", "U32"), "dtype U32, want one of [I32]"},
		{"zeros of another format", "gptq-4", retype(down+".qzeros", "F32"), "dtype F32, want one of [I32]"},
		{"integer scales", "gptq-4", retype(down+".scales", "I16"), "dtype I16, want one of [F32 F16 BF16]"},
		{"weights flat", "gptq-4", reshape(down+".qweight", 64*256), "want rows and columns"},
		{"weights of three bits in words left over", "gptq-4", setting("bits", 3), "hold no whole number of 3 bits"},
		{"scales of other outputs", "gptq-4", reshape(down+".scales", 16, 128), "needs some groups of 256"},
		{"zeros of other groups", "gptq-4", reshape(down+".qzeros", 16, 16), "shape [16 16], want [8 32]"},
		{"index of other inputs", "gptq-4", reshape(down+".g_idx", 256, 2), "shape [256 2], want [512]"},
		{"groups that don't fit", "gptq-4", func(c *archtest.Checkpoint) { c.Drop(".g_idx"); setting("group_size", 128)(c) }, "8 groups, 512 inputs in groups of 128 make 4"},
		{"other bits than said", "gptq-4", setting("bits", 8), "shape [512], want [256]"},

		{"awq of other bits", "awq", setting("bits", 8), "quantized with awq (8 bits)"},
		{"awq for another kernel", "awq", setting("version", "gemv"), `quantized with awq (version "gemv")`},
		{"awq groups", "awq", setting("group_size", 32), "groups of 32 make"},
		{"awq zeros", "awq", drop(down + ".qzeros"), `.qzeros" is missing`},
		{"awq shape", "awq", reshape(down+".qweight", 256, 64), "needs some groups of 512"},

		{"compressed, unknown", "compressed-4", setting("format", "marlin-24"), "quantized with compressed-tensors (marlin-24)"},
		{"compressed, two groups", "compressed-4", setting("config_groups", map[string]any{"a": map[string]any{}, "b": map[string]any{}}), "(pack-quantized, 2 groups)"},
		{"compressed, floats", "compressed-4", weightSetting("type", "float"), `compressed-tensors (pack-quantized, type "float")`},
		{"compressed, 16 bits", "compressed-4", weightSetting("num_bits", 16), `compressed-tensors (pack-quantized, 16 bits)`},
		{"compressed, 4 bits in bytes", "compressed-4", setting("format", "int-quantized"), `compressed-tensors (int-quantized, 4 bits)`},
		{"compressed, strategy", "compressed-4", weightSetting("strategy", "tensor_group"), `strategy "tensor_group"`},
		{"compressed, group missing", "compressed-4", weightSetting("group_size", nil), "group_size is missing"},
		{"compressed, other group", "compressed-4", weightSetting("group_size", 32), "words in a row"},
		{"compressed, shape missing", "compressed-4", drop("layers.0.mlp.down_proj.weight_shape"), `.weight_shape" is missing`},
		{"compressed, zeros", "compressed-4", reshape(down+".weight_zero_point", 8, 32), "shape [8 32], want [32 8]"},
		{"compressed, scales", "compressed-4", reshape(down+".weight_scale", 8, 256), "want some scales for each of 256 rows"},
		{"bytes, scales", "compressed-8", reshape(down+".weight_scale", 16, 16), "shape [16 16], want [256 1]"},
		{"bytes, weights", "compressed-8", retype(down+".weight", "U8"), "dtype U8, want one of [I8]"},
		{"bytes, zeros", "compressed-8-zeros", reshape(down+".weight_zero_point", 16, 16), "shape [16 16], want [256 1]"},

		{"state is no JSON", "nf4", content(state, "nf4"), "invalid character"},
		{"state too long", "nf4", content(state, strings.Repeat(" ", 5000)), "want a JSON text of 4096 bytes at most"},
		{"state of another type", "nf4", content(state, `{"quant_type":"fp4"}`), `quant_type "fp4"`},
		{"block of nothing", "nf4", content(state, `{"quant_type":"nf4"}`), "blocksize 0"},
		{"shape of nothing", "nf4", content(state, `{"quant_type":"nf4","blocksize":64,"shape":[0,4]}`), "shape [0 4]"},
		{"shape beyond all", "nf4", content(state, `{"quant_type":"nf4","blocksize":64,"shape":[4294967296,4294967296]}`), "shape [4294967296 4294967296]"},
		{"shape of another tensor", "nf4", content(state, `{"quant_type":"nf4","blocksize":64,"shape":[512,512]}`), "65536 bytes, shape [512 512] in 4 bits needs 131072"},
		{"scales of other blocks", "nf4", content(state, `{"quant_type":"nf4","blocksize":128,"shape":[256,512]}`), "shape [2048], want [1024]"},
		{"scales of scales", "nf4", content(state, `{"quant_type":"nf4","blocksize":64,"shape":[256,512]}`), "nested_blocksize 0"},
		{"scales of scales of other blocks", "nf4", content(state, `{"quant_type":"nf4","blocksize":64,"shape":[256,512],"nested_blocksize":64}`), "shape [8], want [32]"},
		{"levels missing", "nf4", drop(down + ".weight.quant_map"), `.weight.quant_map" is missing`},
		{"levels too few", "nf4", reshape(down+".weight.nested_quant_map", 16, 16), "shape [16 16], want [256]"},
		{"weight missing", "nf4", drop(down + ".weight"), `"` + down + `.weight" is missing beside it`},
		{"largest values of other rows", "int8", reshape(down+".SCB", 16, 16), "shape [16 16], want [256]"},
		{"int8 of bytes", "int8", retype(down+".weight", "U8"), "dtype U8, want one of [I8]"},

		{"bitnet, scale", "bitnet", retype(down+".weight_scale", "I32"), "dtype I32, want one of"},
		{"bitnet, weights", "bitnet", retype(down+".weight", "I8"), "dtype I8, want one of [U8]"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			_, err := mapChanged(t, archtest.Qwen3, arch.Options{}, packed(tc.how, tc.change))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

// TestPackedValuesAreCheckedWhenTheyAreRead breaks what no header shows.
func TestPackedValuesAreCheckedWhenTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, how string
		change    func(c *archtest.Checkpoint)
		want      string
	}{
		{"index of a group that isn't there", "gptq-4", func(c *archtest.Checkpoint) { c.Tensor(down + ".g_idx").Data[0] = 8 }, "input 0 is in group 8 of 8"},
		{"index below 0", "gptq-4", func(c *archtest.Checkpoint) { copy(c.Tensor(down+".g_idx").Data, "\xff\xff\xff\xff") }, "input 0 is in group -1 of 8"},
		{"shape written down wrong", "compressed-4", func(c *archtest.Checkpoint) { c.Tensor(down + ".weight_shape").Data[0]++ }, "dimension 0 is 257"},
		{"layout for a GPU", "int8", func(c *archtest.Checkpoint) { c.Tensor(down + ".weight_format").Data[0] = 2 }, "layout [2], want 0"},
	} {
		m, err := mapChanged(t, archtest.Qwen3, arch.Options{}, packed(tc.how, tc.change))
		if err != nil {
			t.Fatal(err)
		}
		_, err = find(t, m, "blk.0.ffn_down.weight").Parts[0].Source.ReadAt(make([]byte, 4), 0)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `tensor "`+down) {
			t.Errorf("%s: got %v\nwant %s", tc.rule, err, tc.want)
		}
	}
}
