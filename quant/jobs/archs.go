package jobs

import "github.com/nexus-quant/nexus-quant/quant/arch"

// Architecture is a family of models that can be converted.
type Architecture struct {
	Name    string   `json:"name"`           // general.architecture of its GGUF files
	Classes []string `json:"classes"`        // of config.json's architectures
	Note    string   `json:"note,omitempty"` // what the output is of these models, where that isn't all of them
}

// Architectures lists the families of models that can be converted from Hugging Face's layout. A GGUF file of any
// architecture can be quantized.
func Architectures() []Architecture {
	var list []Architecture
	for _, info := range arch.Supported() {
		list = append(list, Architecture{info.Arch, info.Classes, info.Note})
	}
	return list
}
