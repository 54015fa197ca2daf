package api

import "github.com/nexus-quant/nexus-quant/quant/jobs"

// createBody asks for quantized files of a model.
type createBody struct {
	Name        string      `json:"name" minLength:"1" maxLength:"200" doc:"For people" example:"My Quantization Job"`
	Description *string     `json:"description,omitempty" maxLength:"10000"`
	SourceModel string      `json:"source_model" minLength:"1" maxLength:"4096" doc:"Hub id, folder or GGUF file" example:"meta-llama/Llama-2-7b-hf"`
	SourceType  string      `json:"source_type,omitempty" enum:"huggingface,local,gguf" doc:"Found from source_model where it is left out"`
	Revision    string      `json:"revision,omitempty" maxLength:"255" doc:"Branch, tag or commit of a Hub model; main where it is left out"`
	Formats     []string    `json:"output_formats" minItems:"1" maxItems:"16" enum:"gguf,gptq,awq" doc:"GET /api/v1/quantize/formats says which are available"`
	Types       []string    `json:"gguf_quant_types,omitempty" maxItems:"100" doc:"GET /api/v1/quantize/formats/gguf/types lists them" example:"[\"Q4_K_M\",\"Q5_K_M\"]"`
	GPTQBits    []int       `json:"gptq_bits,omitempty" maxItems:"16"`
	AWQBits     []int       `json:"awq_bits,omitempty" maxItems:"16"`
	Config      *configBody `json:"config,omitempty"`
	Priority    int         `json:"priority,omitempty" minimum:"-1000000" maximum:"1000000" doc:"Higher ones first, oldest first among equals"`
	OutputDir   string      `json:"output_dir,omitempty" maxLength:"4096" doc:"Below an allowed folder; the server's output folder where it is left out"`
}

// estimateBody asks what a job would make and take.
type estimateBody struct {
	Name        string      `json:"name,omitempty" maxLength:"200" doc:"Not used: so that the body of a job can be sent as it is"`
	Description *string     `json:"description,omitempty" maxLength:"10000" doc:"Not used"`
	SourceModel string      `json:"source_model" minLength:"1" maxLength:"4096" doc:"Hub id, folder or GGUF file" example:"meta-llama/Llama-2-7b-hf"`
	SourceType  string      `json:"source_type,omitempty" enum:"huggingface,local,gguf" doc:"Found from source_model where it is left out"`
	Revision    string      `json:"revision,omitempty" maxLength:"255" doc:"Branch, tag or commit of a Hub model; main where it is left out"`
	Formats     []string    `json:"output_formats" minItems:"1" maxItems:"16" enum:"gguf,gptq,awq"`
	Types       []string    `json:"gguf_quant_types,omitempty" maxItems:"100" example:"[\"Q4_K_M\"]"`
	GPTQBits    []int       `json:"gptq_bits,omitempty" maxItems:"16"`
	AWQBits     []int       `json:"awq_bits,omitempty" maxItems:"16"`
	Config      *configBody `json:"config,omitempty"`
	Priority    int         `json:"priority,omitempty" doc:"Not used"`
	OutputDir   string      `json:"output_dir,omitempty" maxLength:"4096" doc:"Where free disk is looked at"`
}

// configBody holds a job's options. What is accepted is honoured; the service refuses by name what it can't do.
type configBody struct {
	UseImatrix         bool              `json:"use_imatrix,omitempty" doc:"Use the importance matrix of imatrix_file"`
	ImatrixFile        string            `json:"imatrix_file,omitempty" maxLength:"4096" doc:"Below an allowed folder"`
	ImatrixDataset     string            `json:"imatrix_dataset,omitempty" maxLength:"4096"`
	CalibrationDataset string            `json:"calibration_dataset,omitempty" maxLength:"4096"`
	CalibrationSamples *int              `json:"calibration_samples,omitempty" doc:"128 where it is left out"`
	GroupSize          *int              `json:"group_size,omitempty" doc:"128 where it is left out"`
	DescAct            bool              `json:"desc_act,omitempty"`
	DampPercent        *float64          `json:"damp_percent,omitempty" doc:"0.01 where it is left out"`
	Threads            int               `json:"threads,omitempty" minimum:"0" maximum:"4096" doc:"0: the server's setting"`
	MaxMemory          int64             `json:"max_memory_bytes,omitempty" minimum:"0" doc:"0: the server's setting"`
	KeepIntermediate   bool              `json:"keep_intermediate,omitempty"`
	VerifyOutput       *bool             `json:"verify_output,omitempty" doc:"true where it is left out: read each file back and check it"`
	Pure               bool              `json:"pure,omitempty" doc:"Give all tensors the base type"`
	LeaveOutput        bool              `json:"leave_output_tensor,omitempty" doc:"Keep output.weight as it is"`
	OutputType         string            `json:"output_tensor_type,omitempty" maxLength:"64" doc:"Tensor type of output.weight"`
	EmbeddingType      string            `json:"token_embedding_type,omitempty" maxLength:"64" doc:"Tensor type of token_embd.weight"`
	TensorTypes        []jobs.TensorRule `json:"tensor_types,omitempty" maxItems:"1000" doc:"Types for the tensors that a regular expression matches; the first match counts"`
	Mmproj             string            `json:"mmproj,omitempty" maxLength:"64" doc:"Type of the mmproj file, which holds what a model sees or hears with: F16, BF16, F32, Q8_0, several by commas, or none; left out, F16 where the model has such a thing"`
	MergeLora          string            `json:"merge_lora,omitempty" maxLength:"4096" doc:"LoRA adapter that is added to the weights as they are read: Hub id, or a folder below an allowed one, with adapter_model.safetensors and adapter_config.json"`
	LoraBase           string            `json:"lora_base,omitempty" maxLength:"4096" doc:"Makes source_model a LoRA adapter and the output its file, for the model of this Hub id or folder, of which no weights are read"`
	AllowRequantize    bool              `json:"allow_requantize,omitempty" doc:"Quantize what is quantized already"`
	Force              bool              `json:"force,omitempty" doc:"Replace files that are there"`
	Provenance         bool              `json:"provenance,omitempty" doc:"Write a record of sources and hashes beside each file"`
}

func (b createBody) spec() jobs.Spec {
	return jobs.Spec{
		Name: b.Name, Description: b.Description, SourceModel: b.SourceModel, SourceType: b.SourceType, Revision: b.Revision,
		Formats: unique(b.Formats), Types: unique(b.Types), GPTQBits: unique(b.GPTQBits), AWQBits: unique(b.AWQBits),
		Config: b.Config.config(), Priority: b.Priority, OutputDir: b.OutputDir,
	}
}

func (b estimateBody) spec() jobs.Spec { return createBody(b).spec() }

func (b *configBody) config() jobs.Config {
	if b == nil {
		return jobs.Config{}
	}
	return jobs.Config(*b)
}

// unique removes duplicates and keeps the order.
func unique[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	var out []T
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
