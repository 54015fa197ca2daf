package jobs

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/quant"
)

// Estimate says what a request will write and take, from headers alone. The sizes are exact.
type Estimate struct {
	Model           string           `json:"model"`
	Kind            Kind             `json:"source_type"`
	Commit          string           `json:"commit,omitempty"`
	Architecture    string           `json:"architecture"`
	Parameters      int64            `json:"parameters"`
	SourceBytes     int64            `json:"source_bytes"`
	Outputs         []OutputEstimate `json:"outputs"`
	OutputBytes     int64            `json:"output_bytes"`
	DownloadBytes   int64            `json:"download_bytes"`
	PeakDiskBytes   int64            `json:"peak_disk_bytes"` // written at the worst moment, downloads included
	FreeDiskBytes   int64            `json:"free_disk_bytes"` // where the outputs go
	DiskBytes       int64            `json:"disk_bytes"`      // of that disk, used and free; 0 if unknown
	PeakMemoryBytes int64            `json:"peak_memory_bytes"`
	Seconds         float64          `json:"estimated_seconds"` // on this machine, without the download
	Warnings        []string         `json:"warnings"`

	// The HTTP contract's own names for the same figures; GB is 10^9 bytes.
	DiskGB    float64                       `json:"disk_space_gb"` // all that will be written
	Minutes   float64                       `json:"estimated_time_minutes"`
	Count     int                           `json:"outputs_count"`
	Breakdown map[string]map[string]float64 `json:"breakdown"` // GB by format and type

	Tensors []TensorEstimate `json:"tensors,omitempty"` // in the order in which they are worked on, if they were asked for

	disks []diskNeed
}

// OutputEstimate is one file to be.
type OutputEstimate struct {
	Type          string             `json:"type"`
	FileName      string             `json:"file_name"`
	Path          string             `json:"path"`
	Bytes         int64              `json:"bytes"`
	BitsPerWeight float64            `json:"bits_per_weight"`
	Fallbacks     []FallbackEstimate `json:"fallbacks"`
	FallbackBytes int64              `json:"fallback_bytes"` // what the fallbacks cost
}

// FallbackEstimate is a tensor that can't have the type that its recipe wants.
type FallbackEstimate struct {
	Tensor     string `json:"tensor"`
	Columns    int64  `json:"columns"`
	Want       string `json:"want"`
	Got        string `json:"got"`
	ExtraBytes int64  `json:"extra_bytes"`
}

// TensorEstimate is one tensor of all files to be.
type TensorEstimate struct {
	Name     string   `json:"name"`
	Shape    []int64  `json:"shape"` // columns first
	Role     string   `json:"role"`
	Layer    *int     `json:"layer,omitempty"` // of what belongs to one
	Format   string   `json:"format"`          // in the source
	Types    []string `json:"types"`           // in each output; "" in one that does not hold the tensor
	Fallback bool     `json:"fallback,omitempty"`
}

// diskNeed is what a job writes to one disk.
type diskNeed struct {
	dir        string
	device     uint64
	need, free int64
}

// Estimate plans a request and says what it will take, without downloading weights.
func (s *Service) Estimate(ctx context.Context, r *Request) (*Estimate, error) {
	return s.estimateOf(ctx, r, false)
}

func (s *Service) estimateOf(ctx context.Context, r *Request, tensors bool) (*Estimate, error) {
	job, err := s.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	defer job.close()
	e, err := s.estimate(ctx, job, true)
	if err != nil {
		return nil, err
	}
	if tensors {
		e.Tensors = tensorEstimates(job.plan)
	}
	if err := job.check(e); err != nil {
		e.Warnings = append(e.Warnings, "quantize would refuse: "+err.Error())
	}
	return e, nil
}

// EstimateSpec is Estimate for a body of the HTTP API.
func (s *Service) EstimateSpec(ctx context.Context, spec Spec) (*Estimate, error) {
	r, err := s.request(spec, false)
	if err != nil {
		return nil, err
	}
	return s.estimateOf(ctx, r, spec.Tensors)
}

// tensorEstimates lists the tensors of a plan with their types.
func tensorEstimates(p *quant.Plan) []TensorEstimate {
	fallen := map[string]bool{}
	for i := range p.Outputs {
		for _, f := range p.Outputs[i].Fallbacks {
			fallen[f.Tensor] = true
		}
	}
	list := make([]TensorEstimate, 0, len(p.Tensors))
	for k, t := range p.Tensors {
		te := TensorEstimate{Name: t.Name, Shape: t.Shape, Role: t.Role.String(), Layer: layerOf(t.Name), Format: t.Format, Fallback: fallen[t.Name]}
		for i := range p.Outputs {
			name := ""
			if typ, ok := p.Outputs[i].Type(k); ok {
				name = typ.String()
			}
			te.Types = append(te.Types, name)
		}
		list = append(list, te)
	}
	return list
}

// layerOf reads the number out of a name like blk.3.attn_q.weight; nil where there is none.
func layerOf(name string) *int {
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return nil
	}
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return nil
	}
	return &n
}

// estimate says what a plan will take. Timing the kernels costs a moment, so only who wants the time asks for it.
func (s *Service) estimate(ctx context.Context, job *planned, timed bool) (*Estimate, error) {
	p := job.plan
	e := &Estimate{
		Model: job.Name, Kind: job.kind, Commit: job.Commit, Architecture: job.Arch(),
		Parameters: job.Parameters(), SourceBytes: p.SourceBytes(), OutputBytes: p.OutputBytes(),
		Warnings: append([]string{}, job.Warnings...),
	}
	if job.kind == HuggingFace {
		e.Model = job.Repo
		var err error
		if e.DownloadBytes, _, err = s.hub.Needed(ctx, job.ref); err != nil {
			return nil, err
		}
	}
	if job.lora.onHub() {
		n, _, err := s.hub.Needed(ctx, job.lora.ref)
		if err != nil {
			return nil, err
		}
		e.DownloadBytes += n
	}
	for i := range p.Outputs {
		out := &p.Outputs[i]
		oe := OutputEstimate{
			Type: out.Recipe.Name(), FileName: out.FileName(job.Name), Path: job.options.Path(p, i), Bytes: out.Bytes(), BitsPerWeight: p.BitsPerWeight(out),
			Fallbacks: []FallbackEstimate{},
		}
		for _, f := range out.Fallbacks {
			oe.Fallbacks = append(oe.Fallbacks, FallbackEstimate{f.Tensor, f.Columns, f.Want.String(), f.Got.String(), f.Extra})
			oe.FallbackBytes += f.Extra
		}
		if n := len(oe.Fallbacks); n > 0 {
			e.Warnings = append(e.Warnings, fmt.Sprintf("%s: %d of %d tensors fall back to another type because of their width, which costs %s",
				oe.Type, n, len(out.Types), Size(oe.FallbackBytes)))
		}
		e.Outputs = append(e.Outputs, oe)
	}
	for _, o := range p.Unmatched() {
		e.Warnings = append(e.Warnings, fmt.Sprintf("tensor type \"%s=%s\" fits no tensor of the model", o.Pattern, o.Type))
	}
	if n := p.Unweighted(); n > 0 {
		e.Warnings = append(e.Warnings, fmt.Sprintf("the importance matrix has nothing for %d of the tensors that are quantized", n))
	}
	var err error
	if e.PeakMemoryBytes, err = p.PeakMemory(job.options); err != nil {
		e.Warnings = append(e.Warnings, err.Error())
	}
	if err := s.disks(e, job); err != nil {
		return nil, err
	}
	if timed {
		e.Seconds = p.Duration(job.options.Threads).Seconds()
	}
	gb := func(n int64) float64 { return math.Round(float64(n)/1e7) / 100 }
	e.DiskGB, e.Minutes, e.Count = gb(e.PeakDiskBytes), math.Round(e.Seconds/60*100)/100, len(e.Outputs)
	e.Breakdown = map[string]map[string]float64{formatGGUF: {}}
	for _, o := range e.Outputs {
		e.Breakdown[formatGGUF][o.Type] = gb(o.Bytes)
	}
	return e, nil
}

// disks compares what will be written with what is free, disk by disk.
func (s *Service) disks(e *Estimate, job *planned) error {
	add := func(dir string, need int64) error {
		free, device, err := freeBytes(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		for i := range e.disks {
			if e.disks[i].device == device {
				e.disks[i].need += need
				return nil
			}
		}
		e.disks = append(e.disks, diskNeed{dir, device, need, free})
		return nil
	}
	kept := int64(0) // by an earlier attempt, which this one goes on with or replaces
	for i := range job.plan.Outputs {
		kept += allocated(job.options.Path(job.plan, i) + ".partial")
	}
	if err := add(job.options.Dir, max(0, e.OutputBytes-kept)); err != nil {
		return err
	}
	e.FreeDiskBytes, e.DiskBytes = e.disks[0].free, diskSize(job.options.Dir)
	if e.DownloadBytes > 0 {
		if err := add(s.hub.CacheDir(), e.DownloadBytes); err != nil {
			return err
		}
	}
	e.PeakDiskBytes = e.OutputBytes + e.DownloadBytes
	return nil
}
