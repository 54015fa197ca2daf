//go:build tui

package tui_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// writeHoles gives a copy of the small model so many layers, with weights that are a hole in the file.
func writeHoles(t *testing.T, dir string, layers int) {
	t.Helper()
	const hidden, inner, kv, vocab = 1024, 4096, 256, 4096
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": hidden / 64, "num_key_value_heads": kv / 64, "head_dim": 64} {
		config[name] = n
	}
	if raw, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	header := map[string]any{}
	at := 0
	add := func(name string, shape ...int) {
		size := 2
		for _, n := range shape {
			size *= n
		}
		header[name+".weight"] = map[string]any{"dtype": "BF16", "shape": shape, "data_offsets": []int{at, at + size}}
		at += size
	}
	add("model.embed_tokens", vocab, hidden)
	add("lm_head", vocab, hidden)
	add("model.norm", hidden)
	for i := range layers {
		layer := func(name string, shape ...int) { add("model.layers."+strconv.Itoa(i)+"."+name, shape...) }
		layer("input_layernorm", hidden)
		layer("post_attention_layernorm", hidden)
		layer("self_attn.q_proj", hidden, hidden)
		layer("self_attn.k_proj", kv, hidden)
		layer("self_attn.v_proj", kv, hidden)
		layer("self_attn.o_proj", hidden, hidden)
		layer("mlp.gate_proj", inner, hidden)
		layer("mlp.up_proj", inner, hidden)
		layer("mlp.down_proj", hidden, inner)
	}
	if raw, err = json.Marshal(header); err != nil {
		t.Fatal(err)
	}
	raw = append(raw, strings.Repeat(" ", (8-len(raw)%8)%8)...)
	old, _ := filepath.Glob(filepath.Join(dir, "model*.safetensors*"))
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	weights := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(weights, append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(weights, int64(8+len(raw)+at)); err != nil {
		t.Fatal(err)
	}
}
