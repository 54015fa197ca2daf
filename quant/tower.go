package quant

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// The tower of a model, which sees or hears, becomes a file of its own beside those of the text model. Its types are chosen
// as llama.cpp's converter does, not as llama-quantize: all tensors have the file's type but those that the converter
// keeps.

// towerPrefix stands before the name of the file and of its type, as the programs that look for one expect.
const towerPrefix = "mmproj-"

// CutTower takes the name of an output apart: the name of its file type, and whether it is the file of a tower.
func CutTower(name string) (typ string, tower bool) { return strings.CutPrefix(name, towerPrefix) }

// adapterPrefix stands before the type of a file of an adapter, so that nobody takes it for a model.
const adapterPrefix = "lora-"

// CutAdapter takes the name of an output apart: the name of its file type, and whether it is the file of an adapter.
func CutAdapter(name string) (typ string, adapter bool) {
	return strings.CutPrefix(name, adapterPrefix)
}

// TowerPresets are the file types that llama.cpp's converter makes of towers, biggest first.
func TowerPresets() []Preset {
	var list []Preset
	for _, p := range presets {
		switch p.FileType {
		case gguf.FileF32, gguf.FileBF16, gguf.FileF16, gguf.FileQ8_0:
			list = append(list, p)
		}
	}
	return list
}

// ParseTowerPreset finds one of TowerPresets by name, in any case.
func ParseTowerPreset(name string) (Preset, error) { return converterPreset(name, false) }

// converterPreset finds one of the file types that the converter makes, for a tower or an adapter.
func converterPreset(name string, adapter bool) (Preset, error) {
	p, err := ParsePreset(name)
	if err != nil {
		return p, err
	}
	for _, q := range TowerPresets() {
		if q.FileType == p.FileType {
			return q, nil
		}
	}
	return Preset{}, &TowerPresetError{Name: p.Name, Adapter: adapter}
}

// TowerPresetError is returned for a file type that an mmproj file or that of an adapter can't have.
type TowerPresetError struct {
	Name    string
	Adapter bool
}

func (e *TowerPresetError) Error() string {
	if e.Adapter {
		return fmt.Sprintf("type %s is not for files of adapters", e.Name)
	}
	return fmt.Sprintf("type %s is not for mmproj files", e.Name)
}

// Hint says which ones are.
func (e *TowerPresetError) Hint() string { return "want F16, BF16, F32 or Q8_0" }

// NoTowerError is returned where an mmproj file is asked for and there can be none.
type NoTowerError struct {
	Model string
	Err   error // why, although some tensors see or hear; nil if none does
}

func (e *NoTowerError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("model %q: no mmproj file: it takes text alone", e.Model)
	}
	return fmt.Sprintf("model %q: no mmproj file: %v", e.Model, e.Err)
}

// Unwrap returns the reason.
func (e *NoTowerError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *NoTowerError) Hint() string { return "--mmproj none makes the text model's files alone" }

// noTower says why the model has no tower.
func (m *Model) noTower() error { return &NoTowerError{Model: m.Name, Err: m.towerErr} }

// Textual says what the model's files will not do because it has no tower, in words; "" where nothing is lost.
func (m *Model) Textual() string {
	var none *arch.NoTowerError
	switch {
	case m.towerErr == nil:
		return ""
	case errors.As(m.towerErr, &none):
		return fmt.Sprintf("no mmproj file: %v: the output takes text alone", none)
	}
	return fmt.Sprintf("no mmproj file: %v", m.towerErr)
}

// assignTower chooses the type of each tensor of a tower (ModelBase.prepare_tensors in conversion/base.py).
func (r *Recipe) assignTower(tensors []modelTensor) ([]gguf.Type, []Fallback) {
	types := make([]gguf.Type, len(tensors))
	var fallbacks []Fallback
	for i, t := range tensors {
		switch t.follow {
		case arch.FollowNone:
			types[i] = t.typ
		case arch.FollowF16:
			types[i] = gguf.F32
			if r.Preset.FileType == gguf.FileF16 {
				types[i] = gguf.F16
			}
		default:
			if types[i] = r.Preset.Base; t.shape[0]%types[i].BlockLen() != 0 {
				fallbacks = append(fallbacks, fallenBack(t.shaped, types[i], gguf.F16))
				types[i] = gguf.F16
			}
		}
	}
	return types, fallbacks
}
