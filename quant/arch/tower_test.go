package arch

import (
	"slices"
	"testing"
)

// places lists which values of the source a view takes.
func places(v View) []int64 {
	list := []int64{v.First}
	for _, d := range slices.Concat(v.Rows, v.Cols) {
		var next []int64
		for _, at := range list {
			for i := range d.N {
				next = append(next, at+i*d.Stride)
			}
		}
		list = next
	}
	return list
}

func TestTowersTakeTheirPartsOfATensor(t *testing.T) {
	t.Parallel()
	d := dims{hidden: 2, config: &config{doc: map[string]any{breakKey: 1.0}, err: new(error)}}
	for name, tc := range map[string]struct {
		change  change
		shape   []int64
		want    []int64
		becomes []int64
	}{
		// one filter, two channels, two frames of two by two values: 0 to 3 are the first frame of the first channel
		"the first frame":  {frame(0), []int64{1, 2, 2, 2, 2}, []int64{0, 1, 2, 3, 8, 9, 10, 11}, []int64{1, 2, 2, 2}},
		"the second frame": {frame(1), []int64{1, 2, 2, 2, 2}, []int64{4, 5, 6, 7, 12, 13, 14, 15}, []int64{1, 2, 2, 2}},
		"one embedding":    {rowBreak, []int64{3, 4}, []int64{4, 5, 6, 7}, []int64{4}},
		"keys of three":    {splitQKV("", "")[1].change, []int64{6, 2}, []int64{4, 5, 6, 7}, []int64{2, 2}},
		"biases of keys":   {splitQKV("", "")[1].change, []int64{6}, []int64{2, 3}, []int64{2}},
	} {
		r := tc.change(d, tc.shape)
		if got := places(r.views[0]); len(r.views) != 1 || !slices.Equal(got, tc.want) || !slices.Equal(r.shape, tc.becomes) {
			t.Errorf("%s: takes %v of shape %v, want %v of %v", name, got, r.shape, tc.want, tc.becomes)
		}
	}
}
