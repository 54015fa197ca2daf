package archtest

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Adapter is a LoRA adapter before it is written, so that a test can break it.
type Adapter struct {
	Config  map[string]any
	Tensors []Tensor
}

// NewAdapter makes an adapter for the matrices of a checkpoint whose names contain one of targets. Its file is as peft
// writes it, lora_alpha is twice the rank.
func NewAdapter(c *Checkpoint, rank int64, targets ...string) *Adapter {
	a := &Adapter{Config: map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "test-org/Tiny-Base-2M", "r": rank, "lora_alpha": 2 * rank,
		"bias": "none", "fan_in_fan_out": false, "use_rslora": false, "use_dora": false, "modules_to_save": nil,
		"rank_pattern": map[string]any{}, "alpha_pattern": map[string]any{}, "target_modules": targets, "init_lora_weights": true,
	}}
	for _, t := range c.Tensors {
		if len(t.Shape) != 2 || strings.HasSuffix(t.Name, "_scale_inv") || !slices.ContainsFunc(targets, func(s string) bool { return strings.Contains(t.Name, s) }) {
			continue
		}
		name := "base_model.model." + strings.TrimSuffix(t.Name, ".weight")
		if strings.Contains(t.Name, "embed_tokens") {
			a.Tensors = append(a.Tensors, random(name+".lora_embedding_A", "F32", 0.05, rank, t.Shape[0]), random(name+".lora_embedding_B", "F32", 0.05, t.Shape[1], rank))
			continue
		}
		a.Tensors = append(a.Tensors, random(name+".lora_A.weight", "F32", 0.05, rank, t.Shape[1]), random(name+".lora_B.weight", "F32", 0.05, t.Shape[0], rank))
	}
	slices.SortFunc(a.Tensors, func(x, y Tensor) int { return strings.Compare(x.Name, y.Name) })
	return a
}

// Swap makes it an adapter for weights that are stored with rows and columns swapped, as those of GPT-2.
func (a *Adapter) Swap() {
	a.Config["fan_in_fan_out"] = true
	for i := 0; i+1 < len(a.Tensors); i += 2 {
		x, y := a.Tensors[i], a.Tensors[i+1]
		r := x.Shape[0]
		a.Tensors[i] = random(x.Name, "F32", 0.05, r, y.Shape[0])
		a.Tensors[i+1] = random(y.Name, "F32", 0.05, x.Shape[1], r)
	}
}

// Write writes the adapter into dir, which is created.
func (a *Adapter) Write(t testing.TB, dir string) {
	t.Helper()
	config, err := json.MarshalIndent(a.Config, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"adapter_config.json": config, "adapter_model.safetensors": encode(a.Tensors)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Merged is the checkpoint with scale times the adapter's products added, value by value, in float32. Its matrices are all
// of F32.
func (a *Adapter) Merged(c *Checkpoint, scale float32) *Checkpoint {
	factors := map[string]Tensor{}
	for _, t := range a.Tensors {
		factors[strings.TrimPrefix(t.Name, "base_model.model.")] = t
	}
	swapped := a.Config["fan_in_fan_out"] == true
	twin := *c
	twin.Tensors = nil
	scales := map[string][]float32{} // of FP8 weights
	for _, t := range c.Tensors {
		if name, ok := strings.CutSuffix(t.Name, "_scale_inv"); ok {
			scales[name] = floats(t)
		}
	}
	if len(scales) > 0 {
		twin.Config = maps.Clone(c.Config)
		delete(twin.Config, "quantization_config")
	}
	for _, t := range c.Tensors {
		if strings.HasSuffix(t.Name, "_scale_inv") {
			continue
		}
		if len(t.Shape) < 2 || t.DType[0] != 'F' && t.DType[0] != 'B' {
			twin.Tensors = append(twin.Tensors, t)
			continue
		}
		w := floats(t)
		if s := scales[t.Name]; s != nil {
			for i := range w {
				cols := t.Shape[1]
				w[i] *= s[int64(i)/cols/128*((cols+127)/128)+int64(i)%cols/128]
			}
		}
		name := strings.TrimSuffix(t.Name, ".weight")
		x, ok := factors[name+".lora_A.weight"]
		y, flip := factors[name+".lora_B.weight"], swapped
		if !ok {
			x, ok = factors[name+".lora_embedding_A"]
			y, flip = factors[name+".lora_embedding_B"], true
		}
		if ok {
			rank, cols := x.Shape[0], t.Shape[1]
			av, bv := floats(x), floats(y)
			for i := range w {
				in, out := int64(i)%cols, int64(i)/cols
				if flip {
					in, out = out, in
				}
				sum := float32(0)
				for k := range rank {
					sum += float32(bv[out*rank+k] * av[k*x.Shape[1]+in])
				}
				w[i] += float32(scale * sum)
			}
		}
		twin.Tensors = append(twin.Tensors, ofFloats(t.Name, t.Shape, w))
	}
	return &twin
}

// floats are the values of a tensor of F32, F16, BF16 or F8_E4M3.
func floats(t Tensor) []float32 {
	var out []float32
	switch t.DType {
	case "F32":
		for i := 0; i < len(t.Data); i += 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(t.Data[i:])))
		}
	case "BF16":
		for i := 0; i < len(t.Data); i += 2 {
			out = append(out, math.Float32frombits(uint32(binary.LittleEndian.Uint16(t.Data[i:]))<<16))
		}
	case "F8_E4M3": // no NaN
		for _, b := range t.Data {
			v := float32(b&7) / 512
			if e := b >> 3 & 15; e > 0 {
				v = float32(math.Ldexp(1+float64(b&7)/8, int(e)-7))
			}
			if b > 127 {
				v = -v
			}
			out = append(out, v)
		}
	case "F16": // as half makes them: normal or 0
		for i := 0; i < len(t.Data); i += 2 {
			b := uint32(binary.LittleEndian.Uint16(t.Data[i:]))
			bits := b & 0x8000 << 16
			if b&0x7fff != 0 {
				bits |= (b>>10&31+127-15)<<23 | b&0x3ff<<13
			}
			out = append(out, math.Float32frombits(bits))
		}
	}
	return out
}
