package archtest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// packing is a way in which a checkpoint's matrices are quantized already.
type packing struct {
	name   string
	config map[string]any
	pack   func(r *rand.Rand, name string, rows, cols int64) (packed []Tensor, values []float32)
}

// Packings lists the names that Pack knows.
func Packings() []string {
	var list []string
	for _, p := range packings {
		list = append(list, p.name)
	}
	return list
}

// group is the number of columns that share a scale in the packings.
const group = 64

var packings = []packing{
	{"gptq-4", gptqConfig(4, nil), gptq(4, 1, false)},
	{"gptq-2", gptqConfig(2, nil), gptq(2, 1, true)},
	{"gptq-3", gptqConfig(3, nil), gptq(3, 1, true)},
	{"gptq-8-v2", gptqConfig(8, map[string]any{"checkpoint_format": "gptq_v2", "desc_act": true}), gptq(8, 0, true)},
	{"awq", map[string]any{"quant_method": "awq", "bits": 4, "group_size": group, "version": "gemm", "zero_point": true}, awq},
	{"compressed-4", compressed("pack-quantized", 4, "group"), compressedWords(4, true)},
	{"compressed-3", compressed("pack-quantized", 3, "group"), compressedWords(3, false)},
	{"compressed-8", compressed("int-quantized", 8, "channel"), compressedBytes(false)},
	{"compressed-8-zeros", compressed("int-quantized", 8, "channel"), compressedBytes(true)},
	{"nf4", map[string]any{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}, fourBits("nf4", true)},
	{"fp4", map[string]any{"load_in_4bit": true}, fourBits("fp4", false)},
	{"int8", map[string]any{"quant_method": "bitsandbytes", "load_in_8bit": true}, vectorwise},
	{"bitnet", map[string]any{"quant_method": "bitnet"}, bitnet},
}

// Pack quantizes the projections of the layers with random numbers, and returns the checkpoint that they stand for, whose
// projections are F32.
func (c *Checkpoint) Pack(name string) (plain *Checkpoint) {
	i := slices.IndexFunc(packings, func(p packing) bool { return p.name == name })
	twin := *c
	twin.Config = map[string]any{}
	for k, v := range c.Config {
		twin.Config[k] = v
	}
	c.Config["quantization_config"] = packings[i].config
	tensors := c.Tensors
	c.Tensors, twin.Tensors = nil, nil
	for _, t := range tensors {
		if !strings.HasSuffix(t.Name, "_proj.weight") {
			c.Tensors, twin.Tensors = append(c.Tensors, t), append(twin.Tensors, t)
			continue
		}
		packed, values := packings[i].pack(source(t.Name), strings.TrimSuffix(t.Name, ".weight"), t.Shape[0], t.Shape[1])
		c.Tensors = append(c.Tensors, packed...)
		twin.Tensors = append(twin.Tensors, ofFloats(t.Name, t.Shape, values))
	}
	return &twin
}

func ofFloats(name string, shape []int64, values []float32) Tensor {
	t := Tensor{Name: name, DType: "F32", Shape: shape}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}

func ofWords(name string, words []uint32, shape ...int64) Tensor {
	t := Tensor{Name: name, DType: "I32", Shape: shape}
	for _, w := range words {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, w)
	}
	return t
}

// halves makes n small positive numbers in F16.
func halves(r *rand.Rand, name string, shape ...int64) (Tensor, []float32) {
	t := Tensor{Name: name, DType: "F16", Shape: shape}
	n := int64(1)
	for _, s := range shape {
		n *= s
	}
	values := make([]float32, n)
	for i := range values {
		k := r.UintN(1024)
		values[i] = (1 + float32(k)/1024) / 256
		t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(7<<10|k))
	}
	return t, values
}

// numbers makes n numbers of so many bits.
func numbers(r *rand.Rand, n int64, bits int) []uint8 {
	list := make([]uint8, n)
	for i := range list {
		list[i] = uint8(r.UintN(1 << bits))
	}
	return list
}

// stream puts the bits of numbers behind one another, the lowest first.
func stream(list []uint8, bits int) []uint32 {
	words := make([]uint32, (len(list)*bits+31)/32)
	for i, v := range list {
		for b := range bits {
			at := i*bits + b
			words[at/32] |= uint32(v>>b&1) << (at % 32)
		}
	}
	return words
}

func gptqConfig(bits int, more map[string]any) map[string]any {
	c := map[string]any{"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": false, "sym": false}
	for k, v := range more {
		c[k] = v
	}
	return c
}

func gptq(bits int, plus int, indexed bool) func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
	return func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
		groups := cols / group
		scales, scale := halves(r, name+".scales", groups, rows)
		zeros := numbers(r, groups*rows, bits)
		of := make([]uint32, cols)
		for i, k := range r.Perm(int(cols)) {
			of[i] = uint32(i / group)
			if indexed {
				of[i] = uint32(k / group)
			}
		}
		height := cols * int64(bits) / 32
		words := make([]uint32, height*rows)
		values := make([]float32, rows*cols)
		for row := range rows {
			q := numbers(r, cols, bits)
			for k, w := range stream(q, bits) {
				words[int64(k)*rows+row] = w
			}
			for c, v := range q {
				g := int64(of[c])
				values[row*cols+int64(c)] = scale[g*rows+row] * float32(int(v)-int(zeros[g*rows+row])-plus)
			}
		}
		out := []Tensor{
			ofWords(name+".qweight", words, height, rows), scales,
			ofWords(name+".qzeros", zerosOf(zeros, rows, bits), groups, rows*int64(bits)/32),
		}
		if indexed || bits == 4 {
			out = append(out, ofWords(name+".g_idx", of, cols))
		}
		return out, values
	}
}

// zerosOf packs row after row.
func zerosOf(zeros []uint8, width int64, bits int) (words []uint32) {
	for len(zeros) > 0 {
		words = append(words, stream(zeros[:width], bits)...)
		zeros = zeros[width:]
	}
	return words
}

// awqWords packs eight numbers in each word, in the order in which AutoAWQ's kernel takes them out.
func awqWords(list []uint8) []uint32 {
	words := make([]uint32, len(list)/8)
	for i := range words {
		for k, from := range [8]int{0, 2, 4, 6, 1, 3, 5, 7} {
			words[i] |= uint32(list[8*i+from]) << (4 * k)
		}
	}
	return words
}

func awq(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
	groups := cols / group
	scales, scale := halves(r, name+".scales", groups, rows)
	zeros := numbers(r, groups*rows, 4)
	q := numbers(r, cols*rows, 4) // inputs by outputs
	values := make([]float32, rows*cols)
	for row := range rows {
		for c := range cols {
			at := c/group*rows + row
			values[row*cols+c] = scale[at] * float32(int(q[c*rows+row])-int(zeros[at]))
		}
	}
	return []Tensor{ofWords(name+".qweight", awqWords(q), cols, rows/8), scales, ofWords(name+".qzeros", awqWords(zeros), groups, rows/8)}, values
}

func compressed(format string, bits int, strategy string) map[string]any {
	w := map[string]any{"num_bits": bits, "type": "int", "strategy": strategy, "symmetric": false}
	if strategy == "group" {
		w["group_size"] = group
	}
	return map[string]any{"quant_method": "compressed-tensors", "format": format, "quantization_status": "compressed",
		"ignore": []string{"lm_head"}, "config_groups": map[string]any{"group_0": map[string]any{"targets": []string{"Linear"}, "weights": w}}}
}

// compressedWords leaves bits of a word empty where no number fits in.
func compressedWords(bits int, asymmetric bool) func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
	return func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
		groups, per := cols/group, int64(32/bits)
		scales, scale := halves(r, name+".weight_scale", rows, groups)
		zeros := make([]uint8, rows*groups)
		for i := range zeros {
			zeros[i] = 1 << (bits - 1)
			if asymmetric {
				zeros[i] = uint8(r.UintN(1 << bits))
			}
		}
		width, height := (cols+per-1)/per, (rows+per-1)/per
		words, zeroWords := make([]uint32, rows*width), make([]uint32, height*groups)
		values := make([]float32, rows*cols)
		for row := range rows {
			for c, v := range numbers(r, cols, bits) {
				c := int64(c)
				words[row*width+c/per] |= uint32(v) << (c % per * int64(bits))
				g := row*groups + c/group
				values[row*cols+c] = float32(int(v)-int(zeros[g])) * scale[g]
			}
			for g := range groups {
				zeroWords[row/per*groups+g] |= uint32(zeros[row*groups+g]) << (row % per * int64(bits))
			}
		}
		shape := Tensor{Name: name + ".weight_shape", DType: "I64", Shape: []int64{2}}
		shape.Data = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(rows)), uint64(cols))
		out := []Tensor{ofWords(name+".weight_packed", words, rows, width), scales, shape}
		if asymmetric {
			out = append(out, ofWords(name+".weight_zero_point", zeroWords, height, groups))
		}
		return out, values
	}
}

func compressedBytes(asymmetric bool) func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
	return func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
		scales, scale := halves(r, name+".weight_scale", rows, 1)
		q := Tensor{Name: name + ".weight", DType: "I8", Shape: []int64{rows, cols}, Data: numbers(r, rows*cols, 8)}
		zeros := Tensor{Name: name + ".weight_zero_point", DType: "I8", Shape: []int64{rows, 1}, Data: numbers(r, rows, 8)}
		values := make([]float32, rows*cols)
		for i, v := range q.Data {
			row := int64(i) / cols
			n := int(int8(v))
			if asymmetric {
				n -= int(int8(zeros.Data[row]))
			}
			values[i] = float32(n) * scale[row]
		}
		if asymmetric {
			return []Tensor{q, scales, zeros}, values
		}
		return []Tensor{q, scales}, values
	}
}

// fourBits packs as bitsandbytes does, where nested says that the scales are quantized too.
func fourBits(kind string, nested bool) func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
	return func(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
		const block, outer = 64, 256
		const offset = float32(0.0437)
		floats := func(n int, scale float64) []float32 {
			list := make([]float32, n)
			for i := range list {
				list[i] = float32(scale * r.NormFloat64())
			}
			return list
		}
		name += ".weight"
		levels, q := floats(16, 0.5), numbers(r, rows*cols, 4)
		blocks := len(q) / block
		state := map[string]any{"quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": []int64{rows, cols}}
		w := Tensor{Name: name, DType: "U8", Shape: []int64{rows * cols / 2, 1}}
		for i := 0; i < len(q); i += 2 {
			w.Data = append(w.Data, q[i]<<4|q[i+1])
		}
		out := []Tensor{w, ofFloats(name+".quant_map", []int64{16}, levels)}
		scales := floats(blocks, 0.05)
		if nested {
			codes, places := floats(256, 1), numbers(r, int64(blocks), 8)
			most := floats((blocks+outer-1)/outer, 0.05)
			for i, p := range places {
				scales[i] = float32(codes[p]*most[i/outer]) + offset
			}
			state["nested_blocksize"], state["nested_dtype"], state["nested_offset"] = outer, "float32", float64(offset)
			out = append(out, Tensor{name + ".absmax", "U8", []int64{int64(blocks)}, places},
				ofFloats(name+".nested_quant_map", []int64{256}, codes), ofFloats(name+".nested_absmax", []int64{int64(len(most))}, most))
		} else {
			out = append(out, ofFloats(name+".absmax", []int64{int64(blocks)}, scales))
		}
		text, _ := json.Marshal(state)
		out = append(out, Tensor{name + ".quant_state.bitsandbytes__" + kind, "U8", []int64{int64(len(text))}, text})
		values := make([]float32, len(q))
		for i, v := range q {
			values[i] = levels[v] * scales[i/block]
		}
		return out, values
	}
}

func vectorwise(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
	q := Tensor{Name: name + ".weight", DType: "I8", Shape: []int64{rows, cols}, Data: numbers(r, rows*cols, 8)}
	most := make([]float32, rows)
	for i := range most {
		most[i] = r.Float32()
	}
	values := make([]float32, rows*cols)
	for i, v := range q.Data {
		values[i] = float32(float32(int8(v))*most[int64(i)/cols]) * float32(1/127.0)
	}
	return []Tensor{q, ofFloats(name+".SCB", []int64{rows}, most), {name + ".weight_format", "U8", []int64{}, []byte{0}}}, values
}

func bitnet(r *rand.Rand, name string, rows, cols int64) ([]Tensor, []float32) {
	scale := float32(25 + r.UintN(9))
	quarter := rows / 4 * cols
	w := Tensor{Name: name + ".weight", DType: "U8", Shape: []int64{rows / 4, cols}, Data: make([]byte, quarter)}
	values := make([]float32, rows*cols)
	for i := range values {
		v := r.UintN(3)
		w.Data[int64(i)%quarter] |= byte(v << (2 * (int64(i) / quarter)))
		values[i] = (float32(v) - 1) / scale
	}
	return []Tensor{w, ofFloats(name+".weight_scale", []int64{1}, []float32{scale})}, values
}

// Tensor returns the tensor of that name, so that a test can change it.
func (c *Checkpoint) Tensor(name string) *Tensor {
	i := slices.IndexFunc(c.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("archtest: no tensor %q", name))
	}
	return &c.Tensors[i]
}
