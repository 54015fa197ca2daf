package jobs

import (
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/registry"
)

// noMmproj is the word for no mmproj file at all.
const noMmproj = "none"

// towerRecipes turns what the request says of mmproj files into recipes. Nothing said, nothing asked for: whether there is
// one to make depends on the model.
func (r *Request) towerRecipes() ([]quant.Recipe, error) {
	var list []quant.Recipe
	if strings.EqualFold(strings.TrimSpace(r.Mmproj), noMmproj) {
		return nil, nil
	}
	for _, name := range strings.Split(r.Mmproj, ",") {
		if strings.TrimSpace(name) == "" {
			continue
		}
		preset, err := quant.ParseTowerPreset(name)
		if err != nil {
			return nil, &UsageError{Err: err, hint: "want F16, BF16, F32, Q8_0 or none"}
		}
		if !slices.ContainsFunc(list, func(r quant.Recipe) bool { return r.Preset.FileType == preset.FileType }) {
			list = append(list, quant.Recipe{Preset: preset, Tower: true})
		}
	}
	return list, nil
}

// withTower adds an mmproj file of type F16 to what is asked for where the request leaves that to the model and the model
// sees or hears: without it, it would not.
func (r *Request) withTower(o quant.PlanOptions, m *quant.Model) quant.PlanOptions {
	if r.Mmproj != "" || m.Tower == nil {
		return o
	}
	f16 := slices.IndexFunc(quant.TowerPresets(), func(p quant.Preset) bool { return p.FileType == gguf.FileF16 })
	o.Recipes = append(slices.Clip(o.Recipes), quant.Recipe{Preset: quant.TowerPresets()[f16], Tower: true})
	return o
}

// textual warns where a model loses what it sees or hears with and the request did not say so.
func (r *Request) textual(m *quant.Model) []string {
	if text := m.Textual(); text != "" && r.Mmproj == "" {
		return []string{text}
	}
	return nil
}

// outputNames are the names of the outputs that a request speaks of, in the order of the plan.
func (r *Request) outputNames() ([]string, error) {
	text, err := r.recipes(quant.Recipe{})
	if err != nil {
		return nil, err
	}
	towers, err := r.towerRecipes()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, recipe := range append(text, towers...) {
		names = append(names, recipe.Name())
	}
	return names, nil
}

// without is the request less the outputs that an earlier attempt finished.
func (r Request) without(outputs []registry.Output) Request {
	var towers []string
	planned := false
	r.Types = nil
	for _, o := range outputs {
		typ, tower := quant.CutTower(o.Type)
		planned = planned || tower
		switch {
		case o.State == registry.OutputCompleted:
		case tower:
			towers = append(towers, typ)
		default:
			typ, _ = quant.CutAdapter(typ)
			r.Types = append(r.Types, typ)
		}
	}
	if planned { // else what the model has decides still
		if r.Mmproj = strings.Join(towers, ","); r.Mmproj == "" {
			r.Mmproj = noMmproj
		}
	}
	return r
}

// isTower tells whether a registered file is what a model sees or hears with.
func isTower(m registry.Model) bool {
	_, tower := quant.CutTower(m.FileType)
	return tower
}
