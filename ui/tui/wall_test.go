package tui

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// tensor is one tensor of a plan with one output.
func tensor(name string, layer int, typ string) jobs.TensorEstimate {
	t := jobs.TensorEstimate{Name: name, Shape: []int64{256, 4}, Types: []string{typ}}
	if layer >= 0 {
		t.Layer = &layer
	}
	return t
}

func someWall() *Wall {
	return NewWall([]jobs.TensorEstimate{
		tensor("output.weight", -1, "q6_K"), tensor("token_embd.weight", -1, "q4_K"),
		tensor("blk.0.attn_norm.weight", 0, "f32"), tensor("blk.0.attn_v.weight", 0, "q6_K"), tensor("blk.0.ffn_down.weight", 0, "q4_K"),
		tensor("blk.1.attn_norm.weight", 1, "f32"), tensor("blk.1.attn_v.weight", 1, "q4_K"),
	})
}

func TestTheWallHasARowForEachRoleAndAColumnForEachLayer(t *testing.T) {
	t.Parallel()
	w := someWall()
	if want := []string{"norms", "v", "down"}; !slices.Equal(w.Roles, want) || w.Layers != 2 {
		t.Errorf("got %v and %d layers, want %v and 2", w.Roles, w.Layers, want)
	}
	for _, c := range []struct {
		name     string
		row, col int
		bits     float64
		none     bool
	}{
		{"embedding", 0, 0, 4.5, false}, {"embedding, all rows", 2, 0, 4.5, false},
		{"norm", 0, 1, 32, false}, {"v", 1, 1, 6.5625, false}, {"v of the other layer", 1, 2, 4.5, false},
		{"down, which the other layer lacks", 2, 2, 0, true}, {"output", 1, 3, 6.5625, false},
	} {
		s := w.Spot(c.row, c.col, c.col+1, 0)
		if s.Bits != c.bits || s.None != c.none {
			t.Errorf("%s: got %+v, want %v bits, none %v", c.name, s, c.bits, c.none)
		}
	}
	if s := w.Spot(1, 1, 3, 0); s.Bits != (6.5625+4.5)/2 {
		t.Errorf("two layers in one place: got %v bits, want the mean", s.Bits)
	}
}

func TestRolesAreToldByTheNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"blk.0.attn_q.weight": "q", "blk.0.attn_qkv.weight": "qkv", "blk.0.attn_q_norm.weight": "norms", "blk.0.attn_output.weight": "o",
		"blk.0.ffn_gate.weight": "gate", "blk.0.ffn_gate_inp.weight": "router", "blk.0.ffn_gate_exps.weight": "experts gate",
		"blk.0.ffn_down_exps.weight": "experts down", "blk.0.ssm_conv1d.weight": "state", "blk.0.unheard_of": "other",
	} {
		if got := roleOrder[roleRow(name)].row; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestTheWallFillsAsTensorsAreDone(t *testing.T) {
	t.Parallel()
	w := someWall()
	w.Working("blk.0.attn_v.weight")
	if s := w.Spot(1, 1, 2, 0); !s.Work || s.Share != 0 {
		t.Errorf("worked on: got %+v", s)
	}
	w.Finish("blk.0.attn_v.weight")
	w.Finish("blk.0.attn_v.weight")
	w.Finish("no such tensor")
	w.Working("blk.0.attn_v.weight")
	if s := w.Spot(1, 1, 2, 0); s.Work || s.Share != 1 || w.Done != 1 {
		t.Errorf("done: got %+v, %d done", s, w.Done)
	}
	if s := w.Spot(1, 1, 3, 0); s.Share != 0.5 {
		t.Errorf("one of two: got %+v", s)
	}
	w.FinishFirst(3)
	if w.Done != 3 {
		t.Errorf("got %d done, want 3 with the one that was known", w.Done)
	}
	w.FinishFirst(1000)
	if w.Done != len(w.Tiles) {
		t.Errorf("got %d done, want all", w.Done)
	}
}

func TestAWallOfHostileNamesStaysSmall(t *testing.T) {
	t.Parallel()
	w := NewWall([]jobs.TensorEstimate{tensor("blk.999999999.attn_q.weight", 999999999, "q4_K"), tensor("", -1, "?")})
	if w.Layers != 0 || len(w.Tiles) != 2 {
		t.Errorf("got %d layers, want none", w.Layers)
	}
	if s := w.Spot(0, 0, 1, 7); s.Bits != 0 || s.None {
		t.Errorf("an output that is not there: got %+v", s)
	}
}

func TestLayersShareCellsOnlyWhereTheyMust(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ layers, width, cells, share int }{
		{6, 64, 4, 1}, {32, 64, 2, 1}, {64, 64, 1, 1}, {65, 64, 1, 2}, {126, 64, 1, 2}, {0, 64, 1, 1}, {5, 0, 1, 1},
	} {
		w := &Wall{Layers: c.layers}
		if cells, share := w.columns(c.width); cells != c.cells || share != c.share {
			t.Errorf("%d layers in %d cells: got %d and %d, want %d and %d", c.layers, c.width, cells, share, c.cells, c.share)
		}
	}
}

func TestSignsTellBitsApartWithoutColours(t *testing.T) {
	t.Parallel()
	got := ""
	for _, bits := range []float64{0, 2.6, 3.4, 4.5, 5.5, 6.6, 8.5, 16, 32} {
		got += sign(bits)
	}
	if want := "?234568HF"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func ExampleWall() {
	w := someWall()
	for row, role := range w.Roles {
		line := ""
		for column := range w.Layers + 2 {
			line += plainCell(w.Spot(row, column, column+1, 0))
		}
		fmt.Printf("%-5s %s\n", role, line)
	}
	// Output:
	// norms ····
	// v     ····
	// down  ·· ·
}
