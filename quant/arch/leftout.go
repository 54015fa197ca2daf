package arch

import (
	"slices"
	"strings"
)

// drop notes a source tensor that the output goes without.
func (m *mapping) drop(name, why string) {
	m.model.Dropped = append(m.model.Dropped, name+" ("+why+")")
}

// droppedSuffixes are tensors that older checkpoints store though they can be computed
// (ModelBase.prepare_tensors).
var droppedSuffixes = []string{".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"}

// knownName is the name of a source tensor as rules spell it, or why it is left out (ModelBase.filter_tensors,
// TextModel.filter_tensors).
func (m *mapping) knownName(name string) (known, why string) {
	if hasAnySuffix(name, droppedSuffixes) {
		return "", "computed, not needed"
	}
	if m.family.filter != nil {
		if why := m.family.filter(m, name); why != "" {
			return "", why
		}
	}
	switch {
	case m.vision != nil:
		name = towerName(name)
		if m.family.rename != nil {
			name = m.family.rename(m, name)
		}
		return name, ""
	case notText(name) && m.tower != nil:
		return "", ofTheTower
	case notText(name):
		return "", seesOrHears
	}
	name = strings.ReplaceAll(name, "language_model.", "")
	if s, ok := strings.CutSuffix(name, "e_score_correction_bias"); ok {
		name = s + "e_score_correction.bias"
	}
	if m.family.rename != nil {
		name = m.family.rename(m, name)
	}
	return name, ""
}

const (
	seesOrHears = "sees or hears, which is not for the text model"
	ofTheTower  = "sees or hears: goes to the mmproj file"
)

// Parts of the names of tensors that see, hear and speak.
var (
	otherPrefixes = []string{"mlp", "vit.", "vpm.", "siglip2.", "conformer.", "merger.", "resampler.", "sound_encoder.", "sound_projection.", "speech_embeddings."}
	otherParts    = []string{"visual.", "vision.", "audio.", "talker.", "vision_", "audio_", "token2wav.", "code2wav.", "projector.", "pre_mm_projector_norm",
		"image_newline", "view_seperator", "patch_embed", "patch_merger.", "patch_merge_mlp.", "model.connector."}
)

func notText(name string) bool {
	return slices.ContainsFunc(otherPrefixes, func(s string) bool { return strings.HasPrefix(name, s) }) ||
		slices.ContainsFunc(otherParts, func(s string) bool { return strings.Contains(name, s) })
}
