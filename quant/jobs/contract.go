package jobs

import (
	"encoding/json"
	"time"

	"github.com/nexus-quant/nexus-quant/registry"
)

// The records below are what the HTTP API, --json and the page show; field names and values are the HTTP contract's.

// Job is one job.
type Job struct {
	ID              string          `json:"id"`
	Name            string          `json:"name"`
	Description     *string         `json:"description"`
	SourceModel     string          `json:"source_model"`
	SourceType      string          `json:"source_type"`
	Revision        *string         `json:"revision"`
	Commit          *string         `json:"commit"`
	Architecture    *string         `json:"model_architecture"`
	Formats         []string        `json:"output_formats"`
	Types           []string        `json:"gguf_quant_types"`
	GPTQBits        []int           `json:"gptq_bits"`
	AWQBits         []int           `json:"awq_bits"`
	Config          Config          `json:"config"`
	Priority        int             `json:"priority"`
	Status          string          `json:"status" enum:"queued,downloading,preparing,quantizing,completed,failed,cancelled,interrupted"`
	Progress        float64         `json:"progress"`
	Step            *string         `json:"current_step"`
	TotalOutputs    int             `json:"total_outputs"`
	Completed       int             `json:"completed_outputs"`
	Outputs         []Output        `json:"outputs"`
	Created         time.Time       `json:"created_at"`
	Started         *time.Time      `json:"started_at"`
	Ended           *time.Time      `json:"completed_at"`
	Error           *string         `json:"error"`
	Hint            *string         `json:"hint"`
	Resumable       bool            `json:"resumable"`
	MissingBytes    int64           `json:"missing_bytes,omitempty"`
	DiskGB          *float64        `json:"estimated_disk_gb"`
	Minutes         *float64        `json:"estimated_time_minutes"`
	BytesDone       int64           `json:"bytes_done"`
	BytesTotal      int64           `json:"bytes_total"`
	BytesPerSecond  float64         `json:"bytes_per_second"`
	ETASeconds      float64         `json:"eta_seconds"`
	Attempts        int             `json:"attempts"`
	CancelRequested bool            `json:"cancel_requested"`
	Owner           *string         `json:"owner"`
	Estimate        json.RawMessage `json:"estimate"`
}

// Output is one file of a job.
type Output struct {
	ID            string     `json:"id"`
	Format        string     `json:"format"`
	Type          string     `json:"quant_type"`
	Path          *string    `json:"file_path"`
	Size          *int64     `json:"file_size"`
	Status        string     `json:"status" enum:"pending,running,completed,failed,cancelled"`
	Progress      float64    `json:"progress"`
	Error         *string    `json:"error"`
	Created       time.Time  `json:"created_at"`
	Ended         *time.Time `json:"completed_at"`
	SHA256        *string    `json:"sha256"`
	BitsPerWeight *float64   `json:"bits_per_weight"`
	RMSE          *float64   `json:"rmse"`
	Perplexity    *float64   `json:"perplexity"`
}

// JobList is a page of jobs, newest first.
type JobList struct {
	Jobs   []Job `json:"jobs"`
	Total  int   `json:"total"` // of all pages
	Limit  int   `json:"limit"`
	Offset int   `json:"offset"`
}

// JobFilter picks jobs. Its zero value picks all.
type JobFilter struct {
	Status []string
	Search string
	Limit  int // 0: all
	Offset int
}

// Spec is the body that creates a job or asks for an estimate.
type Spec struct {
	Name        string   `json:"name"`
	Description *string  `json:"description,omitempty"`
	SourceModel string   `json:"source_model"`
	SourceType  string   `json:"source_type,omitempty"`
	Revision    string   `json:"revision,omitempty"`
	Formats     []string `json:"output_formats"`
	Types       []string `json:"gguf_quant_types,omitempty"`
	GPTQBits    []int    `json:"gptq_bits,omitempty"`
	AWQBits     []int    `json:"awq_bits,omitempty"`
	Config      Config   `json:"config,omitzero"`
	Priority    int      `json:"priority,omitempty"`
	OutputDir   string   `json:"output_dir,omitempty"`

	Tensors bool `json:"-"` // an estimate lists the tensors too
}

// Config holds a job's options. A nil pointer is the default.
type Config struct {
	UseImatrix         bool         `json:"use_imatrix"`
	ImatrixFile        string       `json:"imatrix_file,omitempty"`
	ImatrixDataset     string       `json:"imatrix_dataset,omitempty"`
	CalibrationDataset string       `json:"calibration_dataset,omitempty"`
	CalibrationSamples *int         `json:"calibration_samples,omitempty"`
	GroupSize          *int         `json:"group_size,omitempty"`
	DescAct            bool         `json:"desc_act"`
	DampPercent        *float64     `json:"damp_percent,omitempty"`
	Threads            int          `json:"threads,omitempty"`
	MaxMemory          int64        `json:"max_memory_bytes,omitempty"`
	KeepIntermediate   bool         `json:"keep_intermediate"`
	VerifyOutput       *bool        `json:"verify_output,omitempty"`
	Pure               bool         `json:"pure"`
	LeaveOutput        bool         `json:"leave_output_tensor"`
	OutputType         string       `json:"output_tensor_type,omitempty"`
	EmbeddingType      string       `json:"token_embedding_type,omitempty"`
	TensorTypes        []TensorRule `json:"tensor_types,omitempty"`
	Mmproj             string       `json:"mmproj,omitempty"`
	MergeLora          string       `json:"merge_lora,omitempty"`
	LoraBase           string       `json:"lora_base,omitempty"`
	AllowRequantize    bool         `json:"allow_requantize"`
	Force              bool         `json:"force"`
	Provenance         bool         `json:"provenance"`
}

// TensorRule gives the tensors that a regular expression matches a type of their own.
type TensorRule struct {
	Pattern string `json:"pattern"`
	Type    string `json:"type"`
}

// FieldError is a field of a request that is wrong.
type FieldError struct {
	Loc     []string `json:"loc"`
	Message string   `json:"msg"`
	Type    string   `json:"type"`
}

// FormatInfo is an output format.
type FormatInfo struct {
	Format      string   `json:"format"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Types       []string `json:"supported_types"`
	Available   bool     `json:"available"`
}

// TypeInfo is a GGUF file type.
type TypeInfo struct {
	Value       string  `json:"value"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	SizeFactor  float64 `json:"size_factor"` // of the size in 16 bits
	Bits        float64 `json:"bits_per_weight"`
	Quality     string  `json:"quality"`

	// As a share of the spread of the weights, measured on the project's own small model; nil where that says nothing.
	Deviation *float64 `json:"expected_deviation" doc:"How far weights end up from the source, as a share of their spread: measured on a small model without an importance matrix; null where that says nothing"`
}

// TensorTypeInfo is a type that a tensor of a GGUF file may have.
type TensorTypeInfo struct {
	Value    string  `json:"value"`
	Bits     float64 `json:"bits_per_weight"`
	Writable bool    `json:"writable"` // it may be asked for
}

// jobOf turns a record of the registry into the contract's.
func jobOf(r registry.Job) Job {
	j := Job{
		ID: r.ID, Name: r.Name, Description: optional(r.Description), SourceModel: r.SourceModel, SourceType: r.SourceType,
		Revision: optional(r.Revision), Commit: optional(r.Commit), Architecture: optional(r.Architecture),
		Formats: r.Formats, Types: r.Types, Priority: r.Priority, Status: string(r.State), Progress: r.Progress, Step: optional(r.Step),
		TotalOutputs: len(r.Outputs), Created: r.Created, Started: r.Started, Ended: r.Ended,
		Error: optional(r.Error), Hint: optional(r.Hint), Resumable: r.Resumable || r.State == registry.Interrupted, MissingBytes: r.Missing,
		BytesDone: r.BytesDone, BytesTotal: r.BytesTotal, BytesPerSecond: r.BytesPerSecond, ETASeconds: r.ETASeconds,
		Attempts: r.Attempts, CancelRequested: r.CancelRequested, Estimate: r.Estimate, Outputs: []Output{},
		GPTQBits: []int{}, AWQBits: []int{},
	}
	if r.Owner != nil {
		j.Owner = optional(r.Owner.String())
	}
	for _, o := range r.Outputs {
		out := outputOf(o)
		if o.State == registry.OutputCompleted {
			j.Completed++
		}
		j.Outputs = append(j.Outputs, out)
	}
	var req Request
	if json.Unmarshal(r.Request, &req) == nil {
		j.Config = req.config()
	}
	var e Estimate
	if json.Unmarshal(r.Estimate, &e) == nil && len(r.Estimate) > 0 {
		j.DiskGB, j.Minutes = &e.DiskGB, &e.Minutes
	}
	return j
}

func outputOf(o registry.Output) Output {
	out := Output{
		ID: o.ID, Format: o.Format, Type: o.Type, Path: optional(o.Path), Status: string(o.State), Progress: o.Progress,
		Error: optional(o.Error), Created: o.Created, Ended: o.Ended, SHA256: optional(o.SHA256),
	}
	if o.Bytes > 0 {
		out.Size = &o.Bytes
	}
	if o.BitsPerWeight > 0 {
		out.BitsPerWeight = &o.BitsPerWeight
	}
	if o.State == registry.OutputCompleted && o.RMSE > 0 {
		out.RMSE = &o.RMSE
	}
	return out
}

// optional is nil for an empty text, which JSON shows as null.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
