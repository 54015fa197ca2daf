package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Wall is a model as a picture: a column for each layer, with the embedding before and the output behind them, and a
// row for each role. Layers run from left to right because a terminal is wider than it is high.
type Wall struct {
	Roles  []string // of the rows, in the order in which a layer uses them
	Layers int
	Tiles  []Tile
	rows   [][][]int // tiles by role and column; column 0 is before the layers, Layers+1 behind them
	byName map[string]int
	done   []bool
	Done   int // tiles that are done
	last   int // tile that was worked on last, -1 for none
}

// Tile is a tensor of a wall.
type Tile struct {
	Name     string
	Weights  int64
	Types    []string // in each output
	Fallback bool     // an output can't give it the type that its recipe wants
}

// roleOrder is the order of the rows with the parts of names that belong to them. What fits none is among the others.
var roleOrder = []struct {
	row   string
	parts []string
}{
	{"norms", []string{"norm"}},
	{"qkv", []string{"attn_qkv", "attn_kv"}},
	{"q", []string{"attn_q"}},
	{"k", []string{"attn_k"}},
	{"v", []string{"attn_v"}},
	{"o", []string{"attn_output", "attn_o"}},
	{"router", []string{"ffn_gate_inp"}},
	{"gate", []string{"ffn_gate."}},
	{"up", []string{"ffn_up."}},
	{"down", []string{"ffn_down."}},
	{"experts gate", []string{"ffn_gate_"}},
	{"experts up", []string{"ffn_up_"}},
	{"experts down", []string{"ffn_down_"}},
	{"state", []string{"ssm_", "time_mix", "shortconv"}},
	{"other", []string{""}},
}

// NewWall arranges the tensors of a plan.
func NewWall(tensors []jobs.TensorEstimate) *Wall {
	w := &Wall{byName: map[string]int{}, last: -1}
	type place struct{ role, column int }
	places := make([]place, len(tensors))
	const behind = -1
	for i, t := range tensors {
		weights := int64(1)
		for _, n := range t.Shape {
			weights *= n
		}
		w.Tiles = append(w.Tiles, Tile{Name: t.Name, Weights: weights, Types: t.Types, Fallback: t.Fallback})
		w.byName[t.Name] = i
		switch {
		case t.Layer != nil && *t.Layer < maxLayers:
			places[i] = place{roleRow(t.Name), *t.Layer + 1}
			w.Layers = max(w.Layers, *t.Layer+1)
		case strings.HasPrefix(t.Name, "output"):
			places[i] = place{behind, behind}
		default:
			places[i] = place{behind, 0}
		}
	}
	used := make([]int, len(roleOrder))
	for _, p := range places {
		if p.role >= 0 {
			used[p.role]++
		}
	}
	rowOf := make([]int, len(roleOrder))
	for i, n := range used {
		if n > 0 {
			rowOf[i] = len(w.Roles)
			w.Roles = append(w.Roles, roleOrder[i].row)
		}
	}
	if len(w.Roles) == 0 {
		w.Roles = []string{"tensors"}
	}
	w.rows = make([][][]int, len(w.Roles))
	for r := range w.rows {
		w.rows[r] = make([][]int, w.Layers+2)
	}
	for i, p := range places {
		if p.role >= 0 {
			w.put(i, rowOf[p.role], p.column)
			continue
		}
		column := p.column
		if column == behind {
			column = w.Layers + 1
		}
		for r := range w.rows { // what belongs to no layer is as high as the wall
			w.put(i, r, column)
		}
	}
	w.done = make([]bool, len(w.Tiles))
	return w
}

// maxLayers keeps a made-up name such as blk.999999999 from making a wall that fills the memory.
const maxLayers = 4096

// asPlanned makes of the tensors of a file what a plan with one output would say of them.
func asPlanned(tensors []jobs.TensorEntry) []jobs.TensorEstimate {
	var list []jobs.TensorEstimate
	for _, t := range tensors {
		e := jobs.TensorEstimate{Name: t.Name, Shape: t.Shape, Types: []string{t.Type}}
		if rest, ok := strings.CutPrefix(t.Name, "blk."); ok {
			number, _, _ := strings.Cut(rest, ".")
			if n, err := strconv.Atoi(number); err == nil && n >= 0 {
				e.Layer = &n
			}
		}
		list = append(list, e)
	}
	return list
}

// bitsOf gives the bits per weight of the tensor types that can be written, by their names in small letters.
var bitsOf = sync.OnceValue(func() map[string]float64 {
	bits := map[string]float64{}
	for _, p := range jobs.Types() {
		bits[strings.ToLower(p.Base.String())] = p.Base.BitsPerWeight()
	}
	return bits
})

// typeOf is the type that a tile has in an output.
func (t *Tile) typeOf(output int) string {
	if output < len(t.Types) {
		return t.Types[output]
	}
	return "?"
}

func roleRow(name string) int {
	return slices.IndexFunc(roleOrder, func(r struct {
		row   string
		parts []string
	}) bool {
		return slices.ContainsFunc(r.parts, func(part string) bool { return strings.Contains(name, part) })
	})
}

func (w *Wall) put(tile, row, column int) { w.rows[row][column] = append(w.rows[row][column], tile) }

// Finish notes that a tensor is done.
func (w *Wall) Finish(name string) {
	if i, ok := w.byName[name]; ok && !w.done[i] {
		w.done[i] = true
		w.Done++
	}
}

// FinishFirst notes that n tensors are done, where it is not known which: the first ones, as they are worked on in
// the order of the file, but for a few at a time.
func (w *Wall) FinishFirst(n int) {
	for i := 0; i < len(w.Tiles) && w.Done < n; i++ {
		if !w.done[i] {
			w.done[i] = true
			w.Done++
		}
	}
}

// Working notes which tensor is worked on.
func (w *Wall) Working(name string) {
	w.last = -1
	if i, ok := w.byName[name]; ok && !w.done[i] {
		w.last = i
	}
}

// Spot is what a place of the wall shows.
type Spot struct {
	Bits  float64 // per weight, over the tensors of the place
	Share float64 // of the tensors that are done, 0 to 1
	Work  bool    // one of them is worked on
	Fell  bool    // one of them falls back to another type
	None  bool    // there is no tensor
}

// Spot returns what stands at a row, from one column up to another, in an output.
func (w *Wall) Spot(row, from, to, output int) Spot {
	var bits, weights float64
	n, done := 0, 0
	s := Spot{}
	for column := from; column < to; column++ {
		for _, i := range w.rows[row][column] {
			t := &w.Tiles[i]
			if t.typeOf(output) == "" {
				continue // of another file
			}
			bits += bitsOf()[strings.ToLower(t.typeOf(output))] * float64(t.Weights)
			weights += float64(t.Weights)
			n++
			if w.done[i] {
				done++
			}
			s.Work = s.Work || i == w.last
			s.Fell = s.Fell || t.Fallback
		}
	}
	if n == 0 {
		return Spot{None: true}
	}
	if weights > 0 {
		s.Bits = bits / weights
	}
	s.Share = float64(done) / float64(n)
	return s
}

// TypeCount is a type with how many tiles have it.
type TypeCount struct {
	Type  string
	Bits  float64
	Tiles int
}

// Counts lists the types of an output's tiles, fewest bits first.
func (w *Wall) Counts(output int) []TypeCount {
	var list []TypeCount
	for k := range w.Tiles {
		name := w.Tiles[k].typeOf(output)
		if name == "" {
			continue
		}
		i := slices.IndexFunc(list, func(c TypeCount) bool { return c.Type == name })
		if i < 0 {
			list, i = append(list, TypeCount{Type: name, Bits: bitsOf()[strings.ToLower(name)]}), len(list)
		}
		list[i].Tiles++
	}
	slices.SortFunc(list, func(a, b TypeCount) int { return cmp.Or(cmp.Compare(a.Bits, b.Bits), strings.Compare(a.Type, b.Type)) })
	return list
}

// sign is the one character that stands for so many bits per weight where there are no colours.
func sign(bits float64) string {
	switch {
	case bits <= 0:
		return "?"
	case bits < 9:
		return fmt.Sprint(int(bits))
	case bits <= 16:
		return "H"
	}
	return "F"
}

// columns says how to show the layers in so many cells: how many cells a layer is wide, or how many layers share one.
func (w *Wall) columns(width int) (cells, share int) {
	if w.Layers == 0 || width <= 0 {
		return 1, 1
	}
	if w.Layers <= width {
		return min(4, width/w.Layers), 1
	}
	return 1, (w.Layers + width - 1) / width
}
