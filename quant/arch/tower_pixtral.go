package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// pixtralTower is Mistral's encoder, whose layers are Llama's without causality (LlavaVisionModel in conversion/llava.py).
// The embedding of the token that ends a row of patches comes with it. The converter of 0.5.0 loses that one, since it
// skips all that is of the language model before it looks for it, and llama.cpp refuses files without it.
var pixtralTower = &family{
	name:    "clip",
	classes: []string{"LlavaForConditionalGeneration", "Mistral3ForConditionalGeneration"},
	when:    encoderOf("pixtral"),
	rules: rulesOf([]rule{
		{"language_model.model.embed_tokens.weight", "v.token_embd.img_break", matrix(textVocab, textHidden), needed, rowBreak},
		{"language_model.embed_tokens.weight", "v.token_embd.img_break", matrix(textVocab, textHidden), needed, rowBreak},
		{"vision_tower.patch_conv.weight", "v.patch_embd.weight", shape(hidden, channels, patchSize, patchSize), needed, nil},
		{"vision_tower.ln_pre.weight", "v.pre_ln.weight", vector(hidden), needed, nil},
	}, pixtralLayers(), []rule{
		{"multi_modal_projector.norm.weight", "mm.input_norm.weight", vector(hidden), optional, nil},
		{"multi_modal_projector.patch_merger.merging_layer.weight", "mm.patch_merger.weight", matrix(hidden, mergedPatches), optional, nil},
	}, biased(optional, []rule{
		{"multi_modal_projector.linear_1.weight", "mm.1.weight", matrix(textHidden, hidden), needed, nil},
		{"multi_modal_projector.linear_2.weight", "mm.2.weight", matrix(textHidden, textHidden), needed, nil},
	})),
	also: []string{"language_model.model.embed_tokens.weight", "model.language_model.embed_tokens.weight"},
	defaults: map[string]any{
		"hidden_size": 1024.0, "intermediate_size": 4096.0, "num_hidden_layers": 24.0, "num_attention_heads": 16.0,
		"image_size": 1024.0, "patch_size": 16.0, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
	},
	adjust: func(m *mapping) {
		id, err := m.tokenID("[IMG_BREAK]")
		switch {
		case err != nil:
			*m.config.err = err
		case id >= m.dims.text.vocab:
			m.config.fail("vocab_size %d, but the token [IMG_BREAK] is %d", m.dims.text.vocab, id)
		}
		m.config.doc[breakKey] = float64(id)
	},
	params: func(m *mapping, set func(string, any)) error {
		set("projector_type", "pixtral")
		set("vision.attention.layer_norm_epsilon", m.config.float("layer_norm_eps"))
		m.activation(set)
		if root := m.vision.root; root.has("spatial_merge_size") {
			set("vision.spatial_merge_size", uint32(root.count("spatial_merge_size")))
		}
		return nil
	},
}

func pixtralLayers() []rule {
	const from, to = "vision_tower.transformer.layers.{i}.", "v.blk.{i}."
	return []rule{
		{from + "attention_norm.weight", to + "ln1.weight", vector(hidden), needed, nil},
		{from + "attention.q_proj.weight", to + "attn_q.weight", matrix(hidden, hidden), needed, permuteQ},
		{from + "attention.k_proj.weight", to + "attn_k.weight", matrix(hidden, hidden), needed, permuteK},
		{from + "attention.v_proj.weight", to + "attn_v.weight", matrix(hidden, hidden), needed, nil},
		{from + "attention.o_proj.weight", to + "attn_out.weight", matrix(hidden, hidden), needed, nil},
		{from + "ffn_norm.weight", to + "ln2.weight", vector(hidden), needed, nil},
		{from + "feed_forward.gate_proj.weight", to + "ffn_gate.weight", matrix(ff, hidden), needed, nil},
		{from + "feed_forward.up_proj.weight", to + "ffn_up.weight", matrix(ff, hidden), needed, nil},
		{from + "feed_forward.down_proj.weight", to + "ffn_down.weight", matrix(hidden, ff), needed, nil},
	}
}

// breakKey is where adjust leaves the token for the rules.
const breakKey = "[IMG_BREAK]"

// rowBreak is the row of a token's embedding.
func rowBreak(d dims, shape []int64) reading {
	w := shape[1]
	return reading{shape: []int64{w}, views: []View{{First: d.config.integer(breakKey) * w, Rows: []Dim{{w, 1}}, Cols: []Dim{{1, 1}}}}}
}

// mergedPatches is the width of the patches that are merged into one, as the top of the config has it.
func mergedPatches(d dims) int64 {
	n := (&config{doc: d.config.root, err: d.config.err}).count("spatial_merge_size")
	return d.hidden * n * n
}

// activation writes which function the encoder's feed-forward networks use.
func (m *mapping) activation(set func(string, any)) {
	switch a := m.config.text("hidden_act"); a {
	case "silu", "gelu":
		set("use_"+a, true)
	default:
		m.config.fail("%shidden_act: %q, want silu or gelu", m.config.path, a)
	}
}

// tokenID is the number of an added token, by tokenizer_config.json or else tokenizer.json.
func (m *mapping) tokenID(token string) (int64, error) {
	var settings struct {
		Added map[string]struct{ Content string } `json:"added_tokens_decoder"`
	}
	if err := m.readJSON("tokenizer_config.json", &settings); err != nil {
		return 0, err
	}
	for id, t := range settings.Added {
		if t.Content == token {
			n, err := strconv.ParseInt(id, 10, 32)
			if err != nil || n < 1 {
				return 0, fmt.Errorf("tokenizer_config.json: added_tokens_decoder: %q is no number of a token", id)
			}
			return n, nil
		}
	}
	var vocabulary struct {
		Added []struct {
			ID      int64
			Content string
		} `json:"added_tokens"`
	}
	if err := m.readJSON("tokenizer.json", &vocabulary); err != nil {
		return 0, err
	}
	for _, t := range vocabulary.Added {
		if t.Content == token && t.ID > 0 {
			return t.ID, nil
		}
	}
	return 0, fmt.Errorf("no added token %q, which ends a row of patches", token)
}

// readJSON reads a file that may be missing.
func (m *mapping) readJSON(name string, into any) error {
	data, err := m.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
