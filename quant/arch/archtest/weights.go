package archtest

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
)

// Tensor is a tensor of a safetensors file.
type Tensor struct {
	Name  string
	DType string
	Shape []int64
	Data  []byte
}

// weights says which tensors a checkpoint has.
type weights struct {
	dtype    string
	headDim  int64
	head     bool     // lm_head
	headNorm bool     // q_norm and k_norm
	rotary   bool     // rotary_emb.inv_freq, which older checkpoints store
	fp8      bool     // matrices of the layers in FP8
	bias     []string // layers with a bias
}

func (w weights) tensors() []Tensor {
	var out []Tensor
	add := func(name string, scale float64, shape ...int64) {
		out = append(out, random(name, w.dtype, scale, shape...))
	}
	add("model.embed_tokens.weight", 0.05, Vocab, Hidden)
	add("model.norm.weight", 1, Hidden)
	if w.head {
		add("lm_head.weight", 0.05, Vocab, Hidden)
	}
	matrices := []struct {
		name          string
		rows, columns int64
	}{
		{"self_attn.q_proj", Heads * w.headDim, Hidden},
		{"self_attn.k_proj", KV * w.headDim, Hidden},
		{"self_attn.v_proj", KV * w.headDim, Hidden},
		{"self_attn.o_proj", Hidden, Heads * w.headDim},
		{"mlp.gate_proj", FF, Hidden},
		{"mlp.up_proj", FF, Hidden},
		{"mlp.down_proj", Hidden, FF},
	}
	for layer := range Layers {
		p := "model.layers." + strconv.Itoa(layer) + "."
		add(p+"input_layernorm.weight", 1, Hidden)
		add(p+"post_attention_layernorm.weight", 1, Hidden)
		if w.headNorm {
			add(p+"self_attn.q_norm.weight", 1, w.headDim)
			add(p+"self_attn.k_norm.weight", 1, w.headDim)
		}
		if w.rotary {
			add(p+"self_attn.rotary_emb.inv_freq", 1, w.headDim/2)
		}
		for _, m := range matrices {
			if w.fp8 {
				out = append(out, randomFP8(p+m.name+".weight", m.rows, m.columns)...)
			} else {
				add(p+m.name+".weight", 0.05, m.rows, m.columns)
			}
		}
		for _, b := range w.bias {
			for _, m := range matrices {
				if m.name == b {
					add(p+b+".bias", 0.05, m.rows)
				}
			}
		}
	}
	return out
}

// source gives the random numbers of one tensor: they depend on its name alone.
func source(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

// random makes a tensor of normal values; vectors of norms are close to 1.
func random(name, dtype string, scale float64, shape ...int64) Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	r := source(name)
	t := Tensor{Name: name, DType: dtype, Shape: shape, Data: make([]byte, 0, 4*n)}
	for range n {
		v := scale * r.NormFloat64()
		if scale == 1 {
			v = 1 + 0.05*r.NormFloat64()
		}
		bits := math.Float32bits(float32(v))
		switch dtype {
		case "F32":
			t.Data = binary.LittleEndian.AppendUint32(t.Data, bits)
		case "BF16":
			t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(bits>>16))
		case "F16":
			t.Data = binary.LittleEndian.AppendUint16(t.Data, half(bits))
		}
	}
	return t
}

// half cuts a float32 down to the bits of a float16. Values too small for a normal one become 0.
func half(bits uint32) uint16 {
	sign, exponent := uint16(bits>>16)&0x8000, int(bits>>23&0xff)-127+15
	if exponent <= 0 || exponent >= 31 {
		return sign
	}
	return sign | uint16(exponent)<<10 | uint16(bits>>13)&0x3ff
}

// randomFP8 makes a matrix in E4M3 and the scales of its blocks of 128 x 128.
func randomFP8(name string, rows, columns int64) []Tensor {
	r := source(name)
	w := Tensor{Name: name, DType: "F8_E4M3", Shape: []int64{rows, columns}, Data: make([]byte, rows*columns)}
	for i := range w.Data {
		w.Data[i] = byte(r.UintN(2)<<7 | r.UintN(0x70)) // all values but the largest and NaN
	}
	s := Tensor{Name: name + "_scale_inv", DType: "F32", Shape: []int64{(rows + 127) / 128, (columns + 127) / 128}}
	for range s.Shape[0] * s.Shape[1] {
		s.Data = binary.LittleEndian.AppendUint32(s.Data, math.Float32bits(float32(0.001+0.001*r.Float64())))
	}
	return []Tensor{w, s}
}

// randomMXFP4 makes a stack of matrices in blocks of 32 E2M1 numbers, and the exponents of the blocks.
func randomMXFP4(name string, experts, rows, columns int64) []Tensor {
	r := source(name)
	w := Tensor{Name: name + "_blocks", DType: "U8", Shape: []int64{experts, rows, columns / 32, 16}, Data: make([]byte, experts*rows*columns/2)}
	for i := range w.Data {
		w.Data[i] = byte(r.Uint32())
	}
	s := Tensor{Name: name + "_scales", DType: "U8", Shape: []int64{experts, rows, columns / 32}, Data: make([]byte, experts*rows*columns/32)}
	for i := range s.Data {
		s.Data[i] = byte(119 + r.UintN(4))
	}
	return []Tensor{w, s}
}

// encode writes a safetensors file.
func encode(tensors []Tensor) []byte {
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	offset := 0
	for _, t := range tensors {
		header[t.Name] = map[string]any{"dtype": t.DType, "shape": append([]int64{}, t.Shape...), "data_offsets": []int{offset, offset + len(t.Data)}}
		offset += len(t.Data)
	}
	h, _ := json.Marshal(header)
	for len(h)%8 != 0 {
		h = append(h, ' ')
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(h)))
	out = append(out, h...)
	for _, t := range tensors {
		out = append(out, t.Data...)
	}
	return out
}
