package jobs

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/registry"
)

// Model is a source model with the files that were made of it.
type Model struct {
	ID            string    `json:"id"`
	Architecture  string    `json:"architecture"`
	SourceModel   string    `json:"source_model"`
	Commit        *string   `json:"commit"`
	Parameters    int64     `json:"parameters"`
	ContextLength int64     `json:"context_length"`
	Bytes         int64     `json:"total_bytes"`
	Created       time.Time `json:"created_at"`
	Variants      []Variant `json:"variants"`
	Rating        *Rating   `json:"rating,omitempty"`
}

// Variant is one file that was made of a model.
type Variant struct {
	FileName      string    `json:"filename"`
	Path          string    `json:"path"`
	Type          string    `json:"quantization"`
	Bytes         int64     `json:"size_bytes"`
	BitsPerWeight float64   `json:"bits_per_weight"`
	SHA256        string    `json:"sha256"`
	VRAMMB        int64     `json:"vram_required_mb"` // MiB for weights, KV cache at the model's context or 8192, and overhead
	RMSE          *float64  `json:"rmse"`
	Cosine        *float64  `json:"cosine"`
	Perplexity    *float64  `json:"perplexity"`
	KLD           *float64  `json:"kld"`
	Created       time.Time `json:"created_at"`
	JobID         string    `json:"job_id"`
	Missing       bool      `json:"missing"`  // the file was moved, deleted or changed its size
	Verified      *Verified `json:"verified"` // nil: never since it was made

	Tensors []TensorFidelity `json:"tensors,omitempty"` // of one variant, not in lists
}

// Verified is when a file was last read again, and what that came to.
type Verified struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error *string   `json:"error"`
}

// TensorFidelity is how far a tensor of a file is from its source.
type TensorFidelity struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	RMSE   float64 `json:"rmse"`
	Max    float64 `json:"max"`
	Cosine float64 `json:"cosine"`
}

// ModelFilter picks models. Its zero value picks all.
type ModelFilter struct {
	Search       string
	Architecture string
	FitsBytes    int64 // only variants that need no more memory; 0: all
	Context      int64 // for FitsBytes; 0: 8192 or the model's own, whichever is less
	Limit        int   // 0: all
	Offset       int
}

// ModelList is a page of models, newest first.
type ModelList struct {
	Models  []Model `json:"models"`
	Total   int     `json:"total"`
	Limit   int     `json:"limit"`
	Offset  int     `json:"offset"`
	HasMore bool    `json:"has_more"`
}

// Rating is what a user thinks of a model or of one variant of it.
type Rating struct {
	Rating  int       `json:"rating"`
	Variant string    `json:"variant,omitempty"`
	Notes   string    `json:"notes,omitempty"`
	Tags    []string  `json:"tags,omitempty"`
	Updated time.Time `json:"updated_at,omitzero"`
}

// Stats counts what the registry holds.
type Stats struct {
	Models        int            `json:"total_models"`
	Variants      int            `json:"total_variants"`
	Bytes         int64          `json:"total_bytes"`
	Missing       int            `json:"missing"`
	Types         map[string]int `json:"quantizations"`
	Architectures map[string]int `json:"architectures"`
	Jobs          map[string]int `json:"jobs"`
}

// publish registers the outputs that a job made.
func (s *Service) publish(x *executed, r *Request, job string, log *registry.Log) {
	store, err := s.registry()
	if err != nil {
		return
	}
	for _, o := range x.outputs {
		if o.Err != nil {
			continue
		}
		m := x.registered(o, r, job)
		if err := store.PutModel(m); err != nil {
			_ = log.Print(levelError, "the output could not be registered", "path", o.Path, "error", err.Error())
		}
		if r.Provenance {
			if err := s.writeProvenance(x, r, o); err != nil {
				_ = log.Print(levelError, "no statement of origin was written", "path", o.Path, "error", err.Error())
			}
		}
	}
}

// registered is the record of an output.
func (x *executed) registered(o quant.Result, r *Request, job string) registry.Model {
	meta := &x.Metadata
	arch := x.Arch()
	key := func(name string) int64 { n, _ := meta.Int(arch + "." + name); return n }
	id := cmp.Or(x.Repo, x.Name)
	if x.lora != nil { // not the model that the Hub has
		id = x.Name
	}
	m := registry.Model{
		ID: id, Path: o.Path, FileType: o.Type, Architecture: arch, SourceModel: r.Model, Commit: x.Commit,
		Parameters: x.Parameters(), ContextLength: key("context_length"), Bytes: o.Bytes, BitsPerWeight: o.BitsPerWeight, SHA256: o.SHA256, JobID: job,
		Hyper: hyper(meta, arch),
	}
	if isTower(m) { // it has no cache, and comes beside a file that has
		m.Hyper = registry.Hyper{}
	}
	whole := o.Overall()
	m.RMSE, m.Max, m.Cosine = whole.RMSE, whole.Max, whole.Cosine
	for k, f := range o.Fidelity {
		if f != nil {
			m.Tensors = append(m.Tensors, registry.TensorError{Name: o.Tensors[k].Name, Type: o.Types[k].String(), RMSE: f.RMSE, Max: f.Max, Cosine: f.Cosine})
		}
	}
	return m
}

func variantOf(m registry.Model) Variant {
	v := Variant{
		FileName: filepath.Base(m.Path), Path: m.Path, Type: m.FileType, Bytes: m.Bytes, BitsPerWeight: m.BitsPerWeight, SHA256: m.SHA256,
		VRAMMB: need(m, 0) >> 20, Perplexity: m.Perplexity, KLD: m.KLD, Created: m.Created, JobID: m.JobID,
	}
	if m.Verified != nil {
		v.Verified = &Verified{At: m.Verified.At, OK: m.Verified.OK, Error: optional(m.Verified.Error)}
	}
	if m.RMSE > 0 {
		v.RMSE, v.Cosine = &m.RMSE, &m.Cosine
	}
	info, err := os.Stat(m.Path)
	v.Missing = err != nil || info.Size() != m.Bytes
	for _, t := range m.Tensors {
		v.Tensors = append(v.Tensors, TensorFidelity{t.Name, t.Type, t.RMSE, t.Max, t.Cosine})
	}
	return v
}

// Models lists models with their variants, newest first.
func (s *Service) Models(f ModelFilter) (ModelList, error) {
	list := ModelList{Models: []Model{}, Limit: f.Limit, Offset: f.Offset}
	store, err := s.registry()
	if err != nil {
		return list, err
	}
	files, _, err := store.Models(registry.ModelFilter{Search: f.Search, Architecture: f.Architecture})
	if err != nil {
		return list, err
	}
	all := group(slices.DeleteFunc(files, func(m registry.Model) bool { return f.FitsBytes > 0 && need(m, f.Context) > f.FitsBytes }))
	list.Total = len(all)
	all = all[min(max(f.Offset, 0), len(all)):]
	if f.Limit > 0 && len(all) > f.Limit {
		all, list.HasMore = all[:f.Limit], true
	}
	list.Models = append(list.Models, all...)
	ratings, err := store.Ratings("")
	if err != nil {
		return list, err
	}
	of := map[string][]registry.Rating{}
	for _, r := range ratings {
		of[r.ID] = append(of[r.ID], r)
	}
	for i := range list.Models {
		list.Models[i].rate(of[list.Models[i].ID])
	}
	return list, nil
}

// group puts the files of one model together, in the order in which models first appear, best variant first, and what it
// sees or hears with last.
func group(files []registry.Model) []Model {
	var list []Model
	at := map[string]int{}
	for _, f := range files {
		i, ok := at[f.ID]
		if !ok {
			i = len(list)
			at[f.ID] = i
			list = append(list, Model{ID: f.ID, Architecture: f.Architecture, SourceModel: f.SourceModel, Commit: optional(f.Commit),
				Parameters: f.Parameters, ContextLength: f.ContextLength, Created: f.Created})
		}
		list[i].Bytes += f.Bytes
		list[i].Variants = append(list[i].Variants, variantOf(f))
	}
	for i := range list {
		slices.SortStableFunc(list[i].Variants, func(a, b Variant) int {
			_, x := quant.CutTower(a.Type)
			_, y := quant.CutTower(b.Type)
			if x != y {
				if x {
					return 1
				}
				return -1
			}
			return cmp.Compare(b.BitsPerWeight, a.BitsPerWeight)
		})
	}
	return list
}

// Model returns one model with its variants. The name is its ID or the beginning of it, or one of its files.
func (s *Service) Model(id string) (Model, error) {
	store, err := s.registry()
	if err != nil {
		return Model{}, err
	}
	files, _, err := store.Models(registry.ModelFilter{ID: id})
	if err != nil {
		return Model{}, err
	}
	if len(files) == 0 {
		one, err := store.Model(id)
		if err != nil {
			return Model{}, err
		}
		if files, _, err = store.Models(registry.ModelFilter{ID: one.ID}); err != nil {
			return Model{}, err
		}
	}
	m := group(files)[0]
	ratings, err := store.Ratings(m.ID)
	m.rate(ratings)
	return m, err
}

// Variants lists the files of a model.
func (s *Service) Variants(id string) ([]Variant, error) {
	m, err := s.Model(id)
	return m.Variants, err
}

// Variant returns one file with the comparison of its tensors. The name is a path, a file name, ID:TYPE or the
// beginning of one of these.
func (s *Service) Variant(ref string) (Model, Variant, error) {
	store, err := s.registry()
	if err != nil {
		return Model{}, Variant{}, err
	}
	if _, err := os.Stat(ref); err == nil {
		if abs, err := filepath.Abs(ref); err == nil {
			ref = abs
		}
	}
	m, err := store.Model(ref)
	if err != nil {
		return Model{}, Variant{}, err
	}
	v := variantOf(m)
	return group([]registry.Model{m})[0], v, nil
}

// filesOf lists the files that a name stands for: all of a model's, or the one that it names.
func filesOf(store *registry.Store, name string) ([]registry.Model, error) {
	files, _, err := store.Models(registry.ModelFilter{ID: name})
	if err != nil || len(files) > 0 {
		return files, err
	}
	one, err := store.Model(name)
	if err != nil {
		return nil, err
	}
	return []registry.Model{one}, nil
}

// DeleteModel takes a model or one of its files off the registry, and with files deletes what it registered. A source is
// never touched.
func (s *Service) DeleteModel(_ context.Context, id string, files bool) error {
	store, err := s.registry()
	if err != nil {
		return err
	}
	list, err := filesOf(store, id)
	if err != nil {
		return err
	}
	for _, m := range list {
		if files {
			if _, err := remove(m.Path, provenancePath(m.Path)); err != nil {
				return err
			}
		}
		if _, err := store.DeleteModel(m.Path); err != nil {
			return err
		}
	}
	return nil
}

// Rate stores what a user thinks of a model or of one variant.
func (s *Service) Rate(id string, r Rating) (Rating, error) {
	store, err := s.registry()
	if err != nil {
		return Rating{}, err
	}
	m, err := s.Model(id)
	if err != nil {
		return Rating{}, err
	}
	if r.Rating < 1 || r.Rating > 5 {
		var bad FieldErrors
		bad.add("rating", "value_error", "%d, want 1 to 5", r.Rating)
		return Rating{}, bad
	}
	out, err := store.PutRating(registry.Rating{ID: m.ID, Variant: r.Variant, Rating: r.Rating, Notes: r.Notes, Tags: r.Tags})
	return ratingOf(out), err
}

// Rating returns what a user thinks of a model, or of its best rated variant if only variants were rated.
func (s *Service) Rating(id string) (Rating, error) {
	store, err := s.registry()
	if err != nil {
		return Rating{}, err
	}
	m, err := s.Model(id)
	if err != nil {
		return Rating{}, err
	}
	ratings, err := store.Ratings(m.ID)
	if err != nil {
		return Rating{}, err
	}
	if len(ratings) == 0 {
		return Rating{}, fmt.Errorf("model %q has no rating: %w", m.ID, fs.ErrNotExist)
	}
	return bestRating(ratings), nil
}

// rate shows what was thought of a model, if anything was.
func (m *Model) rate(ratings []registry.Rating) {
	if len(ratings) > 0 {
		best := bestRating(ratings)
		m.Rating = &best
	}
}

// bestRating is that of the model itself if there is one, else the best one of its variants.
func bestRating(ratings []registry.Rating) Rating {
	return ratingOf(slices.MaxFunc(ratings, func(a, b registry.Rating) int {
		if (a.Variant == "") != (b.Variant == "") {
			if a.Variant == "" {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Rating, b.Rating)
	}))
}

func ratingOf(r registry.Rating) Rating {
	return Rating{Rating: r.Rating, Variant: r.Variant, Notes: r.Notes, Tags: r.Tags, Updated: r.Updated}
}

// Stats counts what the registry holds.
func (s *Service) Stats() (Stats, error) {
	st := Stats{Types: map[string]int{}, Architectures: map[string]int{}, Jobs: map[string]int{}}
	store, err := s.registry()
	if err != nil {
		return st, err
	}
	files, _, err := store.Models(registry.ModelFilter{})
	if err != nil {
		return st, err
	}
	for _, m := range group(files) {
		st.Models++
		st.Architectures[m.Architecture]++
		for _, v := range m.Variants {
			st.Variants++
			st.Types[v.Type]++
			if v.Missing {
				st.Missing++
				continue
			}
			st.Bytes += v.Bytes
		}
	}
	records, _, err := store.Jobs(registry.Filter{})
	if err != nil {
		return st, err
	}
	for _, j := range records {
		st.Jobs[string(j.State)]++
	}
	return st, nil
}
