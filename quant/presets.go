package quant

import (
	"fmt"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Preset is a file type that can be made: the type that most tensors get, and what it is good for.
type Preset struct {
	FileType gguf.FileType
	Name     string    // as llama-quantize spells it
	Base     gguf.Type // before the mix rules
	Mixed    bool      // some tensors get a bigger type
	Bits     float64   // bits per weight to expect of a whole model of 7 to 8 billion weights
	Quality  string    // one word for lists: "lossless" ... "poor"
	// Deviation is how far weights end up from the source, as a share of their spread: sqrt(1-cosine²) over all weights of the
	// project's own small model, without an importance matrix. Other models differ a little, the order does not. Negative
	// where that says nothing: the type needs a matrix, or is for models with experts.
	Deviation float64
	About     string // what it is good for
}

// presets is the one place where a file type is declared. Biggest first, the order in which people choose.
var presets = []Preset{
	{gguf.FileF32, "F32", gguf.F32, false, 32, "lossless", 0, "full precision; for tests and as a source for other tools"},
	{gguf.FileBF16, "BF16", gguf.BF16, false, 16, "lossless", 0, "what most models are trained and published in; the best source to quantize again"},
	{gguf.FileF16, "F16", gguf.F16, false, 16, "lossless", 0, "half precision; for hardware without BF16"},
	{gguf.FileQ8_0, "Q8_0", gguf.Q8_0, false, 8.5, "near lossless", 0.0054, "small models, and whenever memory is no concern"},
	{gguf.FileQ6K, "Q6_K", gguf.Q6K, false, 6.56, "excellent", 0.0179, "hardly told from the original; small models that must shrink"},
	{gguf.FileQ5KM, "Q5_K_M", gguf.Q5K, true, 5.7, "very good", 0.0332, "the careful choice for 7 to 14 billion weights"},
	{gguf.FileQ5KS, "Q5_K_S", gguf.Q5K, true, 5.57, "very good", 0.0343, "a little smaller than Q5_K_M"},
	{gguf.FileQ5_1, "Q5_1", gguf.Q5_1, false, 6.0, "good", 0.0358, "older format, for programs without K types"},
	{gguf.FileQ5_0, "Q5_0", gguf.Q5_0, false, 5.54, "good", 0.0405, "older format, for programs without K types"},
	{gguf.FileQ4KM, "Q4_K_M", gguf.Q4K, true, 4.89, "good", 0.0639, "the usual choice: best balance of size, speed and quality"},
	{gguf.FileQ4KS, "Q4_K_S", gguf.Q4K, true, 4.67, "good", 0.0661, "a little smaller than Q4_K_M"},
	{gguf.FileMXFP4MoE, "MXFP4_MOE", gguf.MXFP4, true, 4.9, "good", -1, "experts in MXFP4, all else Q8_0; GPT-OSS is published so and loses nothing"},
	{gguf.FileQ4_1, "Q4_1", gguf.Q4_1, false, 5.15, "fair", 0.0727, "older format, for programs without K types"},
	{gguf.FileQ4_0, "Q4_0", gguf.Q4_0, false, 4.66, "fair", 0.0804, "older format; fast on ARM and phones"},
	{gguf.FileQ3KL, "Q3_K_L", gguf.Q3K, true, 4.3, "fair", 0.117, "large models that don't fit at four bits"},
	{gguf.FileQ3KM, "Q3_K_M", gguf.Q3K, true, 4.0, "fair", 0.1212, "30 billion weights and more in little memory"},
	{gguf.FileQ3KS, "Q3_K_S", gguf.Q3K, true, 3.66, "low", 0.1397, "very large models in little memory"},
	{gguf.FileQ2K, "Q2_K", gguf.Q2K, true, 3.18, "low", 0.2357, "70 billion weights and more, when nothing else fits"},
	{gguf.FileQ2KS, "Q2_K_S", gguf.Q2K, true, 2.97, "poor", -1, "smallest of the K types; needs an importance matrix"},
}

// Presets returns the table of file types that can be made, biggest first.
func Presets() []Preset { return append([]Preset(nil), presets...) }

// ParsePreset finds a file type by name, in any case and with llama-quantize's aliases ("q4_k" for Q4_K_M).
// The error of a wrong name suggests the nearest right one.
func ParsePreset(name string) (Preset, error) {
	ft, err := gguf.ParseFileType(strings.TrimSpace(name))
	if err != nil {
		return Preset{}, err
	}
	for _, p := range presets {
		if p.FileType == ft {
			return p, nil
		}
	}
	return Preset{}, &PresetError{Name: ft.String()}
}

// PresetError is returned for a file type of llama.cpp's that can't be made here.
type PresetError struct{ Name string }

func (e *PresetError) Error() string {
	return fmt.Sprintf("type %q: llama.cpp has it, nexus-quant does not write it", e.Name)
}

// Hint says where to go on.
func (e *PresetError) Hint() string { return "nexus-quant types lists what can be written" }

// Recommend names the presets to offer first for a model of so many weights, best first.
func Recommend(weights int64) []string {
	const billion = 1_000_000_000
	switch {
	case weights < 3*billion:
		return []string{"Q8_0", "Q6_K"}
	case weights < 11*billion:
		return []string{"Q4_K_M", "Q5_K_M"}
	case weights < 50*billion:
		return []string{"Q4_K_M"}
	}
	return []string{"Q4_K_M", "Q3_K_M"}
}
