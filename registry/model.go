package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Model is one file that a job made. Its key is the absolute path; whether the file is still there is not known here.
type Model struct {
	ID            string    `json:"id"` // repository or name: what the variants of one model share
	Path          string    `json:"path"`
	FileType      string    `json:"file_type"` // Q4_K_M
	Architecture  string    `json:"architecture"`
	SourceModel   string    `json:"source_model,omitempty"`
	Commit        string    `json:"commit,omitempty"`
	Parameters    int64     `json:"parameters"`
	ContextLength int64     `json:"context_length"`
	Bytes         int64     `json:"bytes"`
	BitsPerWeight float64   `json:"bits_per_weight"`
	SHA256        string    `json:"sha256"`
	JobID         string    `json:"job_id,omitempty"`
	Created       time.Time `json:"created"`
	// The error against the source over all weights that were quantized.
	RMSE   float64 `json:"rmse"`
	Max    float64 `json:"max"`
	Cosine float64 `json:"cosine"`
	// What was measured on text, nil until it is.
	Perplexity *float64 `json:"perplexity,omitempty"`
	KLD        *float64 `json:"kld,omitempty"`

	Verified *Verified `json:"verified,omitempty"` // nil: never since it was made

	Hyper   Hyper         `json:"hyper"`
	Tensors []TensorError `json:"-"` // a record of its own: lists don't read it
}

// Hyper is what the size of a model in use follows from, the KV cache first of all.
type Hyper struct {
	Layers    int64 `json:"layers"`
	Embedding int64 `json:"embedding"`
	// Heads of keys and values, and their widths; where layers differ, see KVHeadsTotal.
	KVHeads  int64 `json:"kv_heads"`
	HeadDimK int64 `json:"head_dim_k"`
	HeadDimV int64 `json:"head_dim_v"`
	// KVHeadsTotal is the sum of the heads over all layers, so that K values per position are KVHeadsTotal*HeadDimK.
	KVHeadsTotal int64 `json:"kv_heads_total"`
}

// TensorError is how far a quantized tensor is from its source.
type TensorError struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	RMSE   float64 `json:"rmse"`
	Max    float64 `json:"max"`
	Cosine float64 `json:"cosine"`
}

type modelRecord struct {
	Record int `json:"v"`
	Model
}

// PutModel registers a model, in place of what was registered at its path before.
func (s *Store) PutModel(m Model) error {
	if m.Created.IsZero() {
		m.Created = s.now()
	}
	m.Created = m.Created.UTC().Round(0)
	m.Path = filepath.Clean(m.Path)
	if err := m.check(); err != nil {
		return err
	}
	record, err := json.Marshal(modelRecord{recordVersion, m})
	if err != nil {
		return &Error{Kind: ErrInvalid, Message: "model " + m.Path, Cause: err}
	}
	tensors := slices.Clone(m.Tensors)
	for i := range tensors {
		for _, f := range []*float64{&tensors[i].RMSE, &tensors[i].Max, &tensors[i].Cosine} {
			*f = finite(*f)
		}
	}
	list, err := json.Marshal(tensors)
	if err != nil {
		return &Error{Kind: ErrInvalid, Message: "model " + m.Path, Cause: err}
	}
	return s.update(func(t *tx) error {
		if err := t.models.Put([]byte(m.Path), record); err != nil {
			return err
		}
		return t.tensors.Put([]byte(m.Path), list)
	})
}

func (m *Model) check() error {
	for _, f := range []*float64{&m.BitsPerWeight, &m.RMSE, &m.Max, &m.Cosine} {
		*f = finite(*f)
	}
	for _, f := range []**float64{&m.Perplexity, &m.KLD} {
		if *f != nil && finite(**f) != **f {
			*f = nil
		}
	}
	switch {
	case !filepath.IsAbs(m.Path) || len(m.Path) > 8<<10 || !utf8.ValidString(m.Path):
		return errorf(ErrInvalid, "model %q: the path is not absolute, not UTF-8 or too long", m.Path)
	case m.ID == "" || len(m.ID) > maxName || strings.ContainsRune(m.ID, 0) || !utf8.ValidString(m.ID):
		return errorf(ErrInvalid, "model %s: the ID %q is empty, too long or not text", m.Path, m.ID)
	case m.Bytes < 0 || m.Parameters < 0 || m.ContextLength < 0:
		return errorf(ErrInvalid, "model %s: a negative count", m.Path)
	}
	return nil
}

func decodeModel(data []byte) (Model, error) {
	var r modelRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return Model{}, fmt.Errorf("model record: %w", err)
	}
	if r.Record != recordVersion {
		return Model{}, fmt.Errorf("model record: version %d, want %d", r.Record, recordVersion)
	}
	return r.Model, r.Model.check()
}

func (s *Store) modelAt(path, data []byte) (Model, error) {
	m, err := decodeModel(data)
	if err == nil && m.Path != string(path) {
		err = fmt.Errorf("record of model %s", m.Path)
	}
	if err != nil {
		e := s.corrupt(err).(*Error)
		e.Message = fmt.Sprintf("registry %s: model %s can't be read", s.path, path)
		return Model{}, e
	}
	return m, nil
}

// Model returns one model with its tensors. ref is, in this order, an absolute path, a file name with or without
// ".gguf", an ID, ID:FILETYPE, a SHA-256, or the beginning of one of these.
//
// Errors: ErrNotFound, ErrAmbiguous with the paths of the candidates.
func (s *Store) Model(ref string) (m Model, err error) {
	err = s.view(func(t *tx) error {
		if m, err = s.findModel(t, ref); err != nil {
			return err
		}
		if list := t.tensors.Get([]byte(m.Path)); list != nil {
			if err := json.Unmarshal(list, &m.Tensors); err != nil {
				return s.corrupt(fmt.Errorf("tensors of model %s: %w", m.Path, err))
			}
		}
		return nil
	})
	return m, err
}

func (s *Store) findModel(t *tx, ref string) (Model, error) {
	if ref == "" {
		return Model{}, errorf(ErrNotFound, "model: no name given")
	}
	if filepath.IsAbs(ref) {
		path := []byte(filepath.Clean(ref))
		if data := t.models.Get(path); data != nil {
			return s.modelAt(path, data)
		}
	}
	// The first kind of name that fits anything decides: an exact name never loses to a prefix.
	exact := func(name string) bool { return strings.EqualFold(name, ref) }
	prefix := func(name string) bool {
		return len(name) >= len(ref) && strings.EqualFold(name[:len(ref)], ref)
	}
	var fits [2][]Model
	err := t.models.ForEach(func(path, data []byte) error {
		m, err := s.modelAt(path, data)
		if err != nil {
			return err
		}
		switch names := m.names(); {
		case slices.ContainsFunc(names, exact):
			fits[0] = append(fits[0], m)
		case slices.ContainsFunc(names, prefix):
			fits[1] = append(fits[1], m)
		}
		return nil
	})
	if err != nil {
		return Model{}, err
	}
	for _, found := range fits {
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			e := &Error{Kind: ErrAmbiguous, hint: "give the path, or ID:TYPE"}
			for _, m := range found[:min(len(found), maxCandidates)] {
				e.Candidates = append(e.Candidates, m.Path)
			}
			e.Message = fmt.Sprintf("model %q: ambiguous: %s", ref, strings.Join(e.Candidates, ", "))
			return Model{}, e
		}
	}
	return Model{}, errorf(ErrNotFound, "model %q: not found", ref)
}

// names are what a model answers to besides its path.
func (m *Model) names() []string {
	file := filepath.Base(m.Path)
	return []string{file, strings.TrimSuffix(file, ".gguf"), m.ID, m.ID + ":" + m.FileType, m.SHA256}
}

// ModelFilter picks models. Its zero value picks all.
type ModelFilter struct {
	ID           string // exactly: the variants of one model
	Search       string // in ID, path, source and architecture, any case
	Architecture string // exactly
	Limit        int    // 0: all
	Offset       int
}

// Models lists the models that fit, newest first, without their tensors, and says how many there are without limit
// and offset.
func (s *Store) Models(f ModelFilter) (models []Model, total int, err error) {
	search := strings.ToLower(f.Search)
	err = s.view(func(t *tx) error {
		return t.models.ForEach(func(path, data []byte) error {
			m, err := s.modelAt(path, data)
			if err != nil {
				return err
			}
			text := strings.ToLower(strings.Join([]string{m.ID, m.Path, m.SourceModel, m.Architecture}, "\n"))
			if (f.ID == "" || m.ID == f.ID) && (f.Architecture == "" || m.Architecture == f.Architecture) &&
				strings.Contains(text, search) {
				models = append(models, m)
			}
			return nil
		})
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(models, func(a, b Model) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	total = len(models)
	models = models[min(max(f.Offset, 0), total):]
	if f.Limit > 0 {
		models = models[:min(f.Limit, len(models))]
	}
	return slices.Clip(models), total, nil
}

// DeleteModel takes a model off the register, not its file, and returns what it was. Ratings stay: they are of the
// model, not of the file.
func (s *Store) DeleteModel(ref string) (m Model, err error) {
	err = s.update(func(t *tx) error {
		if m, err = s.findModel(t, ref); err != nil {
			return err
		}
		if err := t.models.Delete([]byte(m.Path)); err != nil {
			return err
		}
		return t.tensors.Delete([]byte(m.Path))
	})
	return m, err
}

// Rating is what somebody thinks of a variant of a model.
type Rating struct {
	ID      string    `json:"id"`                // of the model
	Variant string    `json:"variant,omitempty"` // file type, "" for the model as such
	Rating  int       `json:"rating"`            // 1 to 5
	Notes   string    `json:"notes,omitempty"`
	Tags    []string  `json:"tags,omitempty"`
	Updated time.Time `json:"updated"`
}

// PutRating stores a rating in place of the one that the variant had. The model need not be registered any more.
func (s *Store) PutRating(r Rating) (Rating, error) {
	r.Updated = s.utc()
	switch {
	case r.ID == "" || len(r.ID)+len(r.Variant) > maxName || strings.ContainsRune(r.ID+r.Variant, 0):
		return Rating{}, errorf(ErrInvalid, "rating: model %q, variant %q: empty or too long", r.ID, r.Variant)
	case r.Rating < 1 || r.Rating > 5:
		return Rating{}, errorf(ErrInvalid, "rating of %s: %d, want 1 to 5", r.ID, r.Rating)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return Rating{}, err
	}
	if len(data) > 64<<10 {
		return Rating{}, errorf(ErrInvalid, "rating of %s: %d bytes, at most %d", r.ID, len(data), 64<<10)
	}
	return r, s.update(func(t *tx) error { return t.ratings.Put(ratingKey(r.ID, r.Variant), data) })
}

func ratingKey(id, variant string) []byte { return []byte(id + "\x00" + variant) }

// Ratings returns the ratings of all variants of a model, by variant; those of all models where id is "". There may be
// none.
func (s *Store) Ratings(id string) (ratings []Rating, err error) {
	var prefix []byte
	if id != "" {
		prefix = ratingKey(id, "")
	}
	err = s.view(func(t *tx) error {
		c := t.ratings.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			var r Rating
			if err := json.Unmarshal(v, &r); err != nil {
				return s.corrupt(fmt.Errorf("rating of %q: %w", k, err))
			}
			ratings = append(ratings, r)
		}
		return nil
	})
	return ratings, err
}

// Rating returns the rating of one variant.
//
// Errors: ErrNotFound.
func (s *Store) Rating(id, variant string) (Rating, error) {
	ratings, err := s.Ratings(id)
	if err != nil {
		return Rating{}, err
	}
	for _, r := range ratings {
		if r.Variant == variant {
			return r, nil
		}
	}
	return Rating{}, errorf(ErrNotFound, "rating of %s: none for %q", id, variant)
}
