package dequant

import (
	"bytes"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

func tensor(name string, dtype safetensors.DType, data []byte, shape ...int64) *safetensors.Tensor {
	return safetensors.NewTensor(name, dtype, shape, "model.safetensors", bytes.NewReader(data), 0, int64(len(data)))
}

// bytesOf repeats data up to n bytes.
func bytesOf(data []byte, n int64) []byte {
	return bytes.Repeat(append(data, 1), int(n)/(len(data)+1)+1)[:n]
}

// TestPartsOfValuesCanBeRead reads every part of a weight of two rows.
func TestPartsOfValuesCanBeRead(t *testing.T) {
	all := []*safetensors.Tensor{
		tensor("w.weight", safetensors.I8, []byte{1, 2, 3, 0xff, 0xfe, 0xfd}, 2, 3),
		tensor("w.weight_scale", safetensors.BF16, []byte{0x80, 0x3f, 0x00, 0x40}, 2, 1),
	}
	out, err := Compressed{Bits: 8, Rows: 1}.Unpack(all)
	if err != nil || len(out) != 1 {
		t.Fatal(out, err)
	}
	want := make([]byte, 24)
	putFloats(want, []float32{1, 2, 3, -2, -4, -6})
	for from := range want {
		for to := from; to <= len(want); to++ {
			p := make([]byte, to-from)
			if _, err := out[0].ReadAt(p, int64(from)); err != nil || !bytes.Equal(p, want[from:to]) {
				t.Fatalf("bytes %d to %d: %x, want %x; %v", from, to, p, want[from:to], err)
			}
		}
	}
}

// readAll reads what a format made, if it made something small.
func readAll(t *testing.T, out []*safetensors.Tensor, err error) {
	for _, x := range out {
		if err == nil && x.Size < 1<<20 {
			x.ReadAt(make([]byte, x.Size), 0)
		}
	}
}

func FuzzColumns(f *testing.F) {
	f.Add(uint8(4), uint8(8), uint8(8), uint8(2), uint8(32), []byte{0x21, 0x43})
	f.Add(uint8(3), uint8(3), uint8(32), uint8(1), uint8(0), []byte{7})
	f.Fuzz(func(t *testing.T, bits, rows, cols, groups, group uint8, data []byte) {
		if bits%9 == 0 {
			return
		}
		r, c, g := int64(rows), int64(cols), int64(groups)
		b := int64(bits % 9)
		all := []*safetensors.Tensor{
			tensor("w.qweight", safetensors.I32, bytesOf(data, 4*r*c), r, c),
			tensor("w.scales", safetensors.F16, bytesOf(data, 2*g*c), g, c),
			tensor("w.qzeros", safetensors.I32, bytesOf(data, 4*(g*c*b/32)), g, c*b/32),
		}
		out, err := GPTQ{Bits: b, Group: int64(group)}.Unpack(all)
		readAll(t, out, err)
		indexed := append(all, tensor("w.g_idx", safetensors.I32, bytesOf(data, 4*(r*32/b)), r*32/b))
		out, err = GPTQ{Bits: b}.Unpack(indexed)
		readAll(t, out, err)
		all[1] = tensor("w.scales", safetensors.F16, bytesOf(data, 16*g*c), g, 8*c)
		all[2] = tensor("w.qzeros", safetensors.I32, bytesOf(data, 4*g*c), g, c)
		out, err = AWQ{Group: int64(group)}.Unpack(all)
		readAll(t, out, err)
	})
}

func FuzzFourBits(f *testing.F) {
	f.Add([]byte(`{"quant_type":"nf4","blocksize":64,"shape":[4,32],"nested_blocksize":256,"nested_offset":0.5}`), uint8(64), uint8(2), uint8(1))
	f.Add([]byte(`{"quant_type":"nf4","blocksize":1,"shape":[3]}`), uint8(2), uint8(3), uint8(1))
	f.Fuzz(func(t *testing.T, state []byte, n, blocks, nested uint8) {
		all := []*safetensors.Tensor{
			tensor("w.weight", safetensors.U8, bytesOf(state, int64(n)), int64(n), 1),
			tensor("w.weight.quant_state.bitsandbytes__nf4", safetensors.U8, state, int64(len(state))),
			tensor("w.weight.quant_map", safetensors.F32, make([]byte, 64), 16),
			tensor("w.weight.absmax", safetensors.U8, bytesOf(state, int64(blocks)), int64(blocks)),
			tensor("w.weight.nested_quant_map", safetensors.F32, make([]byte, 1024), 256),
			tensor("w.weight.nested_absmax", safetensors.F32, make([]byte, 4*int64(nested)), int64(nested)),
		}
		out, err := BitsAndBytes{}.Unpack(all)
		readAll(t, out, err)
	})
}
