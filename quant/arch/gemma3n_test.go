package arch

import (
	"math"
	"testing"
)

// The bits are those of torch.distributions.Normal(0, 1).icdf on float32.
func TestErfinvIsPyTorchs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		share float32
		want  uint32
	}{
		{0, 0xff800000},
		{0.05, 0xbfd28a8e},
		{0.1, 0xbfa409e1},
		{0.2, 0xbf57747d},
		{0.3, 0xbf063f1c},
		{0.4, 0xbe81b6b5},
		{0.5, 0x0},
		{0.6, 0x3e81b6b8},
		{0.7, 0x3f063f1c},
		{0.75, 0x3f2cab5c},
		{0.8, 0x3f57747d},
		{0.85, 0x3f84a9db},
		{0.9, 0x3fa409e0},
		{0.93, 0x3fbce6b9},
		{0.95, 0x3fd28a8e},
		{0.97, 0x3ff0bddb},
		{0.98, 0x400370a1},
		{0.99, 0x4014e2e4},
		{0.995, 0x4024da65},
		{0.999, 0x4045c66d},
		{1, 0x7f800000},
	} {
		got := math.Float32bits(erfinv(float32(2*tc.share)-1) * float32(math.Sqrt2))
		off := max(got, tc.want) - min(got, tc.want)
		if off > 2 || off > 0 && (tc.share == 0 || tc.share == 0.95) {
			t.Errorf("%v: %v, want %v", tc.share, math.Float32frombits(got), math.Float32frombits(tc.want))
		}
	}
}
