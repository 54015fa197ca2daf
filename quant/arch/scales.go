package arch

import (
	"fmt"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/quant/dequant"
)

// quantization says how quantization_config of config.json stores the weights.
type quantization struct {
	scaled   bool     // FP8 weights have scales beside them
	suffixes []string // that a scale's name has after the weight's
	block    [2]int64 // rows and columns that share a scale; 0 for rows or whole tensors
	unused   []string // endings of tensors that only matter at run time
	packed   bool     // MXFP4 blocks have exponents beside them

	format dequant.Format // of weights that are made float32 before anything else is done with them; nil for none
	lossy  string         // what they were quantized with, if that cost quality
}

// unusedScales are the endings of scales of activations and caches.
var unusedScales = []string{".input_scale", ".output_scale", ".k_scale", ".v_scale"}

// QuantizedError is returned for a checkpoint whose weights are quantized in a way that can't be undone well.
type QuantizedError struct{ Method string }

func (e *QuantizedError) Error() string {
	return fmt.Sprintf("the checkpoint is quantized with %s, which is not supported", e.Method)
}

// Hint says what to take instead.
func (e *QuantizedError) Hint() string {
	return "use the model that it was made from: quantizing what is quantized already loses quality"
}

// readQuantization reads quantization_config (ModelBase.dequant_model).
func readQuantization(c *config) (quantization, error) {
	if !c.has("quantization_config") {
		return quantization{}, nil
	}
	q := c.object("quantization_config")
	method := q.text("quant_method")
	switch method {
	case "fp8":
		return quantization{
			scaled:   true,
			suffixes: []string{"_scale_inv", "_scale"}, // DeepSeek's name, and vLLM's
			block:    blockOf(q, "weight_block_size"),
			unused:   []string{".activation_scale", "_activation_scale", ".input_scale", ".k_scale", ".v_scale"},
		}, *c.err
	case "fbgemm_fp8":
		return quantization{scaled: true, suffixes: []string{"_scale"}, unused: []string{".input_scale_ub"}}, *c.err
	case "compressed-tensors":
		return compressedTensors(q)
	case "modelopt":
		if algo := q.text("quant_algo"); algo != "" && algo != "FP8" {
			return quantization{}, &QuantizedError{fmt.Sprintf("modelopt (%s)", algo)}
		}
		return quantization{scaled: true, suffixes: []string{"_scale"}, unused: unusedScales}, *c.err
	case "gptq":
		return readGPTQ(q)
	case "awq":
		return readAWQ(q)
	case "bitsandbytes":
		return readBitsAndBytes(q), *c.err
	case "bitnet":
		return quantization{format: dequant.BitNet{}}, *c.err
	case "mxfp4":
		return quantization{packed: true}, *c.err
	case "":
		if len(q.doc) == 0 {
			return quantization{}, *c.err
		}
		if q.flag("load_in_8bit") || q.flag("load_in_4bit") {
			return readBitsAndBytes(q), *c.err
		}
		method = "an unnamed method"
	}
	return quantization{}, &QuantizedError{method}
}

// compressedTensors reads the settings of the format that vLLM's compressor writes.
func compressedTensors(q *config) (quantization, error) {
	format := q.text("format")
	out := quantization{scaled: true, suffixes: []string{"_scale"}, unused: unusedScales}
	groups := q.object("config_groups")
	if *q.err != nil {
		return out, *q.err
	}
	switch format {
	case "float-quantized", "naive-quantized", "int-quantized", "pack-quantized":
	default:
		return out, &QuantizedError{fmt.Sprintf("compressed-tensors (%s)", format)}
	}
	if len(groups.doc) != 1 {
		return out, &QuantizedError{fmt.Sprintf("compressed-tensors (%s, %d groups)", format, len(groups.doc))}
	}
	for name := range groups.doc {
		w := groups.object(name).object("weights")
		if format == "int-quantized" || format == "pack-quantized" || format == "naive-quantized" && w.text("type") == "int" {
			return compressedInts(format, w)
		}
		if w.text("type") != "float" || w.number("num_bits") != 8 {
			return out, &QuantizedError{fmt.Sprintf("compressed-tensors (%v bits of type %s)", w.doc["num_bits"], w.text("type"))}
		}
		switch s := w.text("strategy"); s {
		case "channel", "tensor":
		case "block":
			if out.block = blockOf(w, "block_structure"); out.block[0] == 0 {
				w.require("block_structure")
			}
		default:
			return out, &QuantizedError{fmt.Sprintf("compressed-tensors (strategy %q)", s)}
		}
	}
	return out, *q.err
}

// blockOf reads [rows, columns]; zeros if absent.
func blockOf(c *config, key string) [2]int64 {
	if !c.has(key) {
		return [2]int64{}
	}
	list, _ := c.doc[key].([]any)
	if len(list) != 2 {
		c.fail("%s%s: want [rows, columns]", c.path, key)
		return [2]int64{}
	}
	pair := &config{path: c.path + key + " ", doc: map[string]any{"rows": list[0], "columns": list[1]}, err: c.err}
	return [2]int64{pair.count("rows"), pair.count("columns")}
}

func isFP8(d safetensors.DType) bool { return d == safetensors.F8E4M3 || d == safetensors.F8E5M2 }

// separateScales takes the scales of FP8 weights out of the tensors, by the name of the weight.
func (m *mapping) separateScales(all []*safetensors.Tensor) (weights []*safetensors.Tensor, scales map[string]*safetensors.Tensor, err error) {
	if m.quant, err = readQuantization(m.config); err != nil {
		return nil, nil, err
	}
	if m.quant.packed && !m.family.knowsPacked() {
		return nil, nil, &QuantizedError{"mxfp4"}
	}
	scales = map[string]*safetensors.Tensor{}
	for _, t := range all {
		switch weight, isScale := m.quant.weightOf(t.Name); {
		case isScale && scales[weight] != nil:
			return nil, nil, fmt.Errorf("tensors %q and %q both scale %q", scales[weight].Name, t.Name, weight)
		case isScale:
			scales[weight] = t
		case hasAnySuffix(t.Name, m.quant.unused):
			m.drop(t.Name, "of use at run time only")
		default:
			weights = append(weights, t)
		}
	}
	return weights, scales, nil
}

// weightOf is the name of the weight that a tensor scales, and false for any other tensor.
func (q quantization) weightOf(name string) (weight string, ok bool) {
	if q.packed {
		return packedName(name)
	}
	for _, suffix := range q.suffixes {
		if weight, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(weight, ".weight") {
			return weight, true
		}
	}
	return "", false
}

func hasAnySuffix(s string, suffixes []string) bool {
	for _, suffix := range suffixes {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	return false
}

// scaleOf says which values of a weight each scale belongs to: a block of the config's size, else a row, else
// all. A weight is multiplied with its scale, in spite of the name "_scale_inv".
func (m *mapping) scaleOf(w, scale *safetensors.Tensor) (*Scale, error) {
	if !isFP8(w.DType) {
		return nil, fmt.Errorf("tensor %q (%s): dtype %s, but it has a scale %q", w.Name, w.File, w.DType, scale.Name)
	}
	if _, ok := outputTypes[scale.DType]; !ok || isFP8(scale.DType) {
		return nil, fmt.Errorf("tensor %q (%s): dtype %s, want floating point", scale.Name, scale.File, scale.DType)
	}
	if len(w.Shape) != 2 {
		return nil, fmt.Errorf("tensor %q (%s): shape %v, a scaled tensor has two dimensions", w.Name, w.File, w.Shape)
	}
	rows, columns := w.Shape[0], w.Shape[1]
	n, err := gguf.Elements(scale.Shape)
	if err != nil {
		return nil, fmt.Errorf("tensor %q (%s): %w", scale.Name, scale.File, err)
	}
	block, want := m.quant.block, int64(0)
	switch {
	case block[0] > 0:
		want = (rows + block[0] - 1) / block[0] * ((columns + block[1] - 1) / block[1])
	case n == rows && n != 1:
		block, want = [2]int64{1, columns}, rows
	default:
		block, want = [2]int64{rows, columns}, 1
	}
	if n != want {
		return nil, fmt.Errorf("tensor %q (%s): %d scales, %q of shape %v in blocks of %d x %d needs %d",
			scale.Name, scale.File, n, w.Name, w.Shape, block[0], block[1], want)
	}
	return &Scale{Tensor: scale, Block: block}, nil
}
