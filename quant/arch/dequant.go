package arch

import (
	"fmt"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/dequant"
)

// unpack puts tensors of float32 in the place of weights that were quantized for something else than llama.cpp.
func (m *mapping) unpack(c *hf.Checkpoint) (*hf.Checkpoint, error) {
	q, err := readQuantization(m.config)
	if err != nil || q.format == nil {
		return c, err
	}
	tensors, err := q.format.Unpack(c.Tensors)
	if err != nil {
		return nil, err
	}
	if q.lossy != "" && len(tensors) != len(c.Tensors) {
		m.warn("the checkpoint is quantized already, with %s: quantizing it again loses more than quantizing the model that it was made from", q.lossy)
	}
	plain := *c
	plain.Tensors = tensors
	return &plain, nil
}

// readGPTQ reads the settings of AutoGPTQ and GPTQModel.
func readGPTQ(q *config) (quantization, error) {
	f := dequant.GPTQ{Bits: q.count("bits"), Group: groupSize(q, "group_size")}
	format := q.text("checkpoint_format")
	if *q.err != nil {
		return quantization{}, *q.err
	}
	switch format {
	case "", "gptq":
	case "gptq_v2":
		f.V2 = true
	default:
		return quantization{}, &QuantizedError{fmt.Sprintf("gptq (checkpoint_format %q)", format)}
	}
	switch f.Bits {
	case 2, 3, 4, 8:
	default:
		return quantization{}, &QuantizedError{fmt.Sprintf("gptq (%d bits)", f.Bits)}
	}
	return quantization{format: f, lossy: fmt.Sprintf("gptq in %d bits", f.Bits)}, nil
}

// readAWQ reads the settings of AutoAWQ, which transformers spells in another way than AutoAWQ itself.
func readAWQ(q *config) (quantization, error) {
	bits := q.countOr(q.firstOf([]string{"bits", "w_bit"}), 4)
	f := dequant.AWQ{Group: groupSize(q, q.firstOf([]string{"group_size", "q_group_size"}))}
	version := q.text("version")
	if *q.err != nil {
		return quantization{}, *q.err
	}
	if bits != 4 {
		return quantization{}, &QuantizedError{fmt.Sprintf("awq (%d bits)", bits)}
	}
	switch version {
	case "", "gemm", "GEMM", "exllama", "ipex": // the others lay the weights out anew
	default:
		return quantization{}, &QuantizedError{fmt.Sprintf("awq (version %q)", version)}
	}
	return quantization{format: f, lossy: "awq in 4 bits"}, nil
}

// groupSize is the number of inputs that share a scale; 0 for all of them, which is written as -1.
func groupSize(q *config, key string) int64 {
	if !q.has(key) || q.number(key) == -1 {
		return 0
	}
	return q.count(key)
}

// readBitsAndBytes tells the two forms apart by the tensors alone; older configs don't even name the method.
func readBitsAndBytes(q *config) quantization {
	bits := 4
	if q.flag("load_in_8bit") || q.flag("_load_in_8bit") {
		bits = 8
	}
	return quantization{format: dequant.BitsAndBytes{}, lossy: fmt.Sprintf("bitsandbytes in %d bits", bits)}
}

// compressedInts reads the settings of weights for whole numbers, of a single group.
func compressedInts(format string, w *config) (quantization, error) {
	f := dequant.Compressed{Bits: w.count("num_bits"), Packed: format == "pack-quantized"}
	kind, strategy := w.text("type"), w.text("strategy")
	if *w.err != nil {
		return quantization{}, *w.err
	}
	refuse := func(what string, args ...any) (quantization, error) {
		return quantization{}, &QuantizedError{fmt.Sprintf("compressed-tensors (%s, %s)", format, fmt.Sprintf(what, args...))}
	}
	if kind != "int" && kind != "" {
		return refuse("type %q", kind)
	}
	if f.Bits > 8 || !f.Packed && f.Bits != 8 {
		return refuse("%d bits", f.Bits)
	}
	switch {
	case strategy == "group":
		f.Rows, f.Cols = 1, w.count("group_size")
	case strategy == "channel":
		f.Rows = 1
	case strategy == "tensor" && !f.Packed:
	case strategy == "block" && !f.Packed:
		if b := blockOf(w, "block_structure"); b[0] > 0 {
			f.Rows, f.Cols = b[0], b[1]
		} else {
			w.require("block_structure")
		}
	default:
		return refuse("strategy %q", strategy)
	}
	return quantization{format: f, unused: unusedScales, lossy: fmt.Sprintf("compressed-tensors in %d bits", f.Bits)}, *w.err
}
