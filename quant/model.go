package quant

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// Model is what a plan is made from: the tensors of a checkpoint or of a GGUF file in GGUF's terms, in the
// order in which llama-quantize writes them, and the metadata that does not depend on the file type.
type Model struct {
	Name     string // names the outputs
	Repo     string // of a Hub model
	Revision string
	Commit   string
	Metadata gguf.Metadata
	Dropped  []string // source tensors that GGUF has no place for
	Warnings []string // what of the source could not be taken over, in words
	Files    []SourceFile
	Tower    *Model // what sees or hears, for a file of its own; nil for none

	adapter  bool  // a LoRA adapter
	memory   int64 // bytes that reading the tensors takes, beside the buffers of a run
	towerErr error // why there is none, although some tensors see or hear
	tensors  []modelTensor
}

type modelTensor struct {
	shaped
	source *source
	follow arch.Follow
}

func (t *modelTensor) tensor() Tensor {
	return Tensor{
		Name: t.name, Role: RoleOf(t.name), Shape: t.shape, Format: t.source.format, Type: t.typ,
		Elements: t.source.rows * t.source.cols, SourceBytes: t.source.stored(), source: t.source,
	}
}

// The keys that record which commit of which Hub model an output was made from.
const (
	keySourceRepo   = "general.source.huggingface.repository"
	KeySourceCommit = "general.source.huggingface.commit"
)

// FromCheckpoint maps a checkpoint in Hugging Face layout.
func FromCheckpoint(c *hf.Checkpoint, o arch.Options) (*Model, error) {
	mapped, err := arch.Map(c, o)
	if err != nil {
		return nil, err
	}
	m := &Model{Name: c.Name, Repo: c.Repo, Revision: c.Revision, Commit: c.Commit, Metadata: mapped.Metadata, Dropped: mapped.Dropped, Warnings: mapped.Warnings}
	if err := m.take(mapped); err != nil {
		return nil, err
	}
	m.order()
	if m.towerErr = mapped.TowerErr; mapped.Tower != nil {
		// in the order of llama.cpp's converter, which nothing quantizes again
		m.Tower = &Model{Name: m.Name, Repo: m.Repo, Commit: m.Commit, Metadata: mapped.Tower.Metadata, Dropped: mapped.Tower.Dropped}
		if err := m.Tower.take(mapped.Tower); err != nil {
			m.Tower, m.towerErr = nil, err
		}
	}
	if m.Files, err = checkpointFiles(c); err != nil || o.Merge == nil {
		return m, err
	}
	m.Name += "-" + o.Merge.Checkpoint.Name
	m.memory = mapped.Memory
	files, err := checkpointFiles(o.Merge.Checkpoint)
	m.Files = append(m.Files, files...)
	return m, err
}

// FromAdapter maps a LoRA adapter, whose tensors are named and ordered after those of its base model. Of the base no
// weights are read.
func FromAdapter(a *arch.Adapter, base *hf.Checkpoint, o arch.Options) (*Model, error) {
	mapped, err := arch.MapAdapter(a, base, o)
	if err != nil {
		return nil, err
	}
	c := a.Checkpoint
	m := &Model{Name: c.Name, Repo: c.Repo, Revision: c.Revision, Commit: c.Commit, Metadata: mapped.Metadata, Warnings: mapped.Warnings, adapter: true}
	if err := m.take(mapped); err != nil {
		return nil, err
	}
	m.Files, err = checkpointFiles(c)
	return m, err
}

// take takes over the tensors of a mapped checkpoint.
func (m *Model) take(mapped *arch.Model) error {
	if m.Repo != "" {
		m.Metadata.Set(keySourceRepo, m.Repo)
	}
	if m.Commit != "" {
		m.Metadata.Set(KeySourceCommit, m.Commit)
	}
	for _, t := range mapped.Tensors {
		s, err := fromCheckpoint(t)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		m.tensors = append(m.tensors, modelTensor{shaped{t.Name, t.Shape, t.Type, t.Type.Quantized()}, s, t.Follow})
	}
	return nil
}

// FromGGUF takes the tensors and the metadata of a GGUF file as they are.
func FromGGUF(r *gguf.Reader, name string) (*Model, error) {
	m := &Model{Name: name, Metadata: r.Metadata.Clone()}
	m.Repo, _ = m.Metadata.String(keySourceRepo)
	m.Commit, _ = m.Metadata.String(KeySourceCommit)
	for i, t := range r.Tensors {
		s, err := fromGGUF(r, i)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		m.tensors = append(m.tensors, modelTensor{shaped: shaped{name: t.Name, shape: t.Shape, typ: t.Type}, source: s})
	}
	m.order()
	for _, path := range r.Paths {
		f, err := identify(filepath.Base(path), path)
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, f)
	}
	return m, nil
}

// checkpointFiles identifies the files of a checkpoint's weights; none where only headers were fetched.
func checkpointFiles(c *hf.Checkpoint) ([]SourceFile, error) {
	if c.Dir == "" {
		return nil, nil
	}
	var names []string
	for _, t := range c.Tensors {
		names = append(names, t.File)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, hf.AdapterConfig)); err == nil {
		names = append(names, hf.AdapterConfig) // says how strong an adapter is
	}
	slices.Sort(names)
	var files []SourceFile
	for _, name := range slices.Compact(names) {
		f, err := identify(name, filepath.Join(c.Dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// identify takes a file's size and either the name of the blob that it links to, which in the Hub's cache is its hash,
// or the time of its last change.
func identify(name, path string) (SourceFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return SourceFile{}, err
	}
	f := SourceFile{Name: name, Bytes: info.Size(), Version: info.ModTime().UTC().Format(time.RFC3339Nano), Path: path}
	if target, err := os.Readlink(path); err == nil && filepath.Base(filepath.Dir(target)) == "blobs" {
		f.Version = filepath.Base(target)
	}
	return f, nil
}

func (m *Model) order() {
	slices.SortFunc(m.tensors, func(a, b modelTensor) int { return byLayer(a.name, b.name) })
}

// Tensors lists the model's tensors in file order.
func (m *Model) Tensors() []Tensor {
	list := make([]Tensor, len(m.tensors))
	for i := range m.tensors {
		list[i] = m.tensors[i].tensor()
	}
	return list
}

// Arch is general.architecture.
func (m *Model) Arch() string { s, _ := m.Metadata.String("general.architecture"); return s }

// Parameters is the number of weights in the model's matrices and vectors.
func (m *Model) Parameters() int64 {
	var n int64
	for _, t := range m.tensors {
		n += t.source.rows * t.source.cols
	}
	return n
}

// SourceBytes is what the tensors take in the source.
func (m *Model) SourceBytes() int64 {
	var n int64
	for _, t := range m.tensors {
		n += t.source.stored()
	}
	return n
}

// byLayer orders tensors as llama-quantize writes them: what belongs to no layer first, then layer by layer,
// each by name (weight_name_comparer in llama-model-loader.h).
func byLayer(a, b string) int {
	if c := cmp.Compare(layerOf(a), layerOf(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// layerOf is the number in "blk.7.…", -1 for any other name.
func layerOf(name string) int {
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return -1
	}
	n, digits := 0, 0
	for _, c := range rest {
		if c < '0' || c > '9' || digits > 8 {
			break
		}
		n, digits = n*10+int(c-'0'), digits+1
	}
	if digits == 0 {
		return -1
	}
	return n
}
