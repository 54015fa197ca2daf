package quant

import (
	"testing"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// Layers count as often as a text goes through them, as libllama's n_layer_all does.
func TestLayersThatAreGoneThroughSeveralTimesCountEachTime(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		arch  string
		loops uint32
		want  int
	}{{"nanbeige", 3, 12}, {"nanbeige", 1, 4}, {"nanbeige", 1 << 30, 4}, {"llama", 3, 4}} {
		var m gguf.Metadata
		m.Set("general.architecture", tc.arch)
		m.Set(tc.arch+".block_count", uint32(4))
		m.Set(tc.arch+".num_loops", tc.loops)
		if h := readHparams(&m); h.layers != tc.want {
			t.Errorf("%s, %d times: %d layers, want %d", tc.arch, tc.loops, h.layers, tc.want)
		}
	}
}
