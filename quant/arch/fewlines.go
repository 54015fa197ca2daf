package arch

import (
	"slices"

	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
)

// Families of dense models that differ in a few lines from Llama, Qwen 2 or OLMo 2.
var (
	// arcee has Llama's attention and a feed-forward network without gates (ArceeModel in conversion/llama.py).
	arcee = &family{
		name:    "arcee",
		classes: []string{"ArceeForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), []rule{
			{"model.layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"model.layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		}),
		needsFF:      true,
		needsRMS:     true,
		knowsHeadDim: true,
		ropeFactors:  true,
		tokenizer:    tokenizer.Options{Llama: true},
		params: func(m *mapping, set func(string, any)) error {
			if err := llamaParams(m, set); err != nil {
				return err
			}
			return pooling(m, set)
		},
	}
	// seedoss is ByteDance's, with biases on queries, keys and values (SeedOssModel in conversion/olmo.py).
	seedoss = &family{
		name:    "seed_oss",
		classes: []string{"SeedOssForCausalLM"},
		rules: rulesOf(outer(), norms(nil)[:1], []rule{
			{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, nil},
		}, attention("{i}", nil, nil), attentionBiases("{i}", optional, nil, nil), mlp("{i}")),
		defaults:     map[string]any{"head_dim": 128.0},
		needsFF:      true,
		needsRMS:     true,
		knowsHeadDim: true,
		tokenizer:    bpeOnly,
	}
	// exaone is LG's EXAONE 3, Llama under names of its own (ExaoneModel in conversion/exaone.py).
	exaone = &family{
		name:    "exaone",
		classes: []string{"ExaoneForCausalLM"},
		rules: rulesOf([]rule{
			{"transformer.wte.weight", "token_embd.weight", matrix(vocab, hidden), needed, nil},
			{"transformer.ln_f.weight", "output_norm.weight", vector(hidden), needed, nil},
			{"lm_head.weight", "output.weight", matrix(vocab, hidden), unlessTied, nil},
			{"transformer.h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight", vector(hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_fc_0.weight", "blk.{i}.ffn_gate.weight", matrix(ff, hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_fc_1.weight", "blk.{i}.ffn_up.weight", matrix(ff, hidden), needed, nil},
			{"transformer.h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight", matrix(hidden, ff), needed, nil},
		}, named(attention("{i}", nil, nil), "model.layers.", "transformer.h.", "self_attn", "attn.attention", "o_proj", "out_proj")),
		needsFF:     true,
		ropeFactors: true,
		tokenizer:   bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			if act := c.text("activation_function"); act != "silu" {
				c.fail("activation_function: %q, llama.cpp knows silu", act)
			}
			set("rope.dimension_count", uint32(m.rope.shareOr(1)*float64(d.hidden/d.heads)))
			m.epsilonTwice()
			return nil
		},
	}
	// exaone4 has its norms behind attention and feed-forward network, and norms on heads (Exaone4Model in
	// conversion/exaone.py).
	exaone4 = &family{
		name:    "exaone4",
		classes: []string{"Exaone4ForCausalLM"},
		rules: rulesOf(outer(), attention("{i}", nil, nil), headNorms("{i}", nil), mlp("{i}"), []rule{
			{"model.layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", vector(hidden), needed, nil},
			{"model.layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight", vector(hidden), needed, nil},
		}),
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			c := m.config
			set("vocab_size", uint32(m.dims.vocab))
			if !c.has("sliding_window") {
				return nil
			}
			set("attention.sliding_window", uint32(c.integer("sliding_window")))
			switch pattern := c.doc["sliding_window_pattern"].(type) {
			case string: // LLLG
				if c.has("layer_types") || pattern == "" {
					break
				}
				window := make([]bool, m.dims.trunk)
				for i := range window {
					window[i] = pattern[i%len(pattern)] == 'L'
				}
				set("attention.sliding_window_pattern", window)
				return nil
			case nil:
				if !c.has("layer_types") {
					return nil
				}
			}
			every := 0
			if !c.has("layer_types") {
				every = int(c.count("sliding_window_pattern"))
			}
			set("attention.sliding_window_pattern", m.slidingLayers(max(1, every)))
			return nil
		},
	}
	// ernie is Baidu's ERNIE 4.5, some of whose checkpoints fuse queries, keys and values (Ernie4_5Model in
	// conversion/ernie.py).
	ernie = &family{
		name:      "ernie4_5",
		classes:   []string{"Ernie4_5_ForCausalLM", "Ernie4_5ForCausalLM"},
		rules:     rulesOf(outer(), norms(nil), attention("{i}", nil, nil), mlp("{i}"), ernieFused()),
		rename:    ernieName,
		needsFF:   true,
		needsRMS:  true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly, LateSpacePrefix: true},
	}
	// hunyuan is Tencent's dense Hunyuan, with norms on heads (HunYuanModel in conversion/hunyuan.py).
	hunyuan = &family{
		name:    "hunyuan-dense",
		classes: []string{"HunYuanDenseV1ForCausalLM"},
		rules: rulesOf(outer(), norms(nil), attention("{i}", nil, nil), mlp("{i}"),
			named(headNorms("{i}", nil), "q_norm", "query_layernorm", "k_norm", "key_layernorm")),
		filter:    dropHeadIfTied,
		prepare:   func(c *config) { delete(c.doc, "num_experts") }, // 1 in models without
		needsFF:   true,
		needsRMS:  true,
		tokenizer: tokenizer.Options{Kind: tokenizer.BPEOnly, Hunyuan: true},
		params:    hunyuanParams,
	}
	// internlm3 is Llama with biases, and its own end of texts (InternLM3Model in conversion/internlm.py).
	internlm3 = &family{
		name:      "llama",
		classes:   []string{"InternLM3ForCausalLM"},
		rules:     llama.rules,
		needsFF:   true,
		needsRMS:  true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly, InternLM3: true},
		params:    llamaParams,
	}
	// orion is Llama with LayerNorms, whose epsilon the config calls another norm's (OrionModel in conversion/orion.py).
	orion = &family{
		name:      "orion",
		classes:   []string{"OrionForCausalLM"},
		rules:     rulesOf(layerNormed(outer(), needed), biased(needed, norms(nil)), attention("{i}", nil, nil), mlp("{i}")),
		needsFF:   true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly},
		ownParams: true,
		params: func(m *mapping, set func(string, any)) error {
			c, d := m.config, m.dims
			set("tensor_data_layout", "Meta AI original pth")
			set("context_length", uint32(c.count(c.firstOf([]string{"max_sequence_length", "max_position_embeddings", "model_max_length"}))))
			set("embedding_length", uint32(d.hidden))
			set("block_count", uint32(d.layers))
			set("feed_forward_length", uint32(d.ff))
			set("attention.head_count", uint32(d.heads))
			set("attention.head_count_kv", uint32(d.kvHeads))
			set("attention.layer_norm_epsilon", c.float("rms_norm_eps"))
			return nil
		},
	}
)

// epsilonTwice writes the epsilon of a model's norms under the name that libllama asks for. The converter writes it under
// another's, the config's word for it, and libllama refuses such a file.
func (m *mapping) epsilonTwice() {
	if !m.config.has("rms_norm_eps") {
		m.setFloat("attention.layer_norm_rms_epsilon", normKeys...)
	}
}

// More of the same.
var (
	// nanbeige is Llama that may go through its layers several times (NanbeigeModel in conversion/nanbeige.py).
	nanbeige = &family{
		name:        "nanbeige",
		classes:     []string{"NanbeigeForCausalLM"},
		rules:       rulesOf(outer(), norms(nil), attention("{i}", permuteQ, permuteK), mlp("{i}")),
		needsFF:     true,
		needsRMS:    true,
		ropeFactors: true,
		tokenizer:   tokenizer.Options{Llama: true},
		params: func(m *mapping, set func(string, any)) error {
			if err := llamaParams(m, set); err != nil {
				return err
			}
			set("num_loops", uint32(max(1, m.config.integer("num_loops"))))
			set("skip_loop_final_norm", m.config.flag("skip_loop_final_norm"))
			return nil
		},
	}
	// maincoder has norms on heads (MaincoderModel in conversion/maincoder.py).
	maincoder = &family{
		name:      "maincoder",
		classes:   []string{"MaincoderForCausalLM"},
		rules:     rulesOf(outer(), norms(nil), attention("{i}", nil, nil), headNorms("{i}", nil), mlp("{i}")),
		needsFF:   true,
		needsRMS:  true,
		tokenizer: bpeOnly,
		params: func(m *mapping, set func(string, any)) error {
			m.setCount("rope.dimension_count", "head_dim")
			return nil
		},
	}
	// pangu is Huawei's openPangu Embedded, with biases on all of attention (PanguEmbeddedModel in conversion/pangu.py).
	pangu = &family{
		name:      "pangu-embedded",
		classes:   []string{"PanguEmbeddedForCausalLM"},
		rules:     rulesOf(outer(), norms(nil), biased(needed, attention("{i}", nil, nil)), mlp("{i}")),
		filter:    dropHeadIfTied,
		needsFF:   true,
		needsRMS:  true,
		tokenizer: tokenizer.Options{Kind: tokenizer.SentencePieceOnly, LateSpacePrefix: true},
		params: func(m *mapping, set func(string, any)) error {
			set("vocab_size", uint32(m.dims.vocab))
			set("rope.dimension_count", uint32(m.dims.headDim))
			set("attention.key_length", uint32(m.dims.headDim))
			set("attention.value_length", uint32(m.dims.headDim))
			return nil
		},
	}
)

// The trunks of families, for embeddings: the head is missing, whatever the config says of it, and mostly the prefix of
// names, too.
var (
	llamaTrunk = headless(llama, "LlamaModel")
	qwen2Trunk = headless(qwen2, "Qwen2Model")
	qwen3Trunk = headless(qwen3, "Qwen3Model")
)

func headless(f *family, class string) *family {
	trunk := *f
	trunk.classes = []string{class}
	trunk.rules = slices.Clone(f.rules)
	for i, r := range trunk.rules {
		if r.to == "output.weight" {
			trunk.rules[i].presence = optional
		}
	}
	return &trunk
}

// dropHeadIfTied leaves a head out that is the embedding.
func dropHeadIfTied(m *mapping, name string) string {
	if m.config.flag("tie_word_embeddings") {
		return dropHead(m, name)
	}
	return ""
}

// ernieFused are the same matrices in fewer tensors.
func ernieFused() []rule {
	var out []rule
	first := none
	for _, x := range []struct {
		to string
		n  size
	}{{"q", queries}, {"k", keys}, {"v", keys}} {
		from, n := first, x.n
		out = append(out, rule{"model.layers.{i}.self_attn.qkv_proj.weight", "blk.{i}.attn_" + x.to + ".weight", matrix(sum(queries, times(2, keys)), hidden), perLayer,
			rows(func(d dims) []span { return []span{{from(d), n(d)}} })})
		first = sum(from, n)
	}
	return append(out,
		rule{"model.layers.{i}.mlp.up_gate_proj.weight", "blk.{i}.ffn_gate.weight", matrix(times(2, ff), hidden), perLayer, rows(firstHalf(ff))},
		rule{"model.layers.{i}.mlp.up_gate_proj.weight", "blk.{i}.ffn_up.weight", matrix(times(2, ff), hidden), perLayer, rows(secondHalf(ff))})
}

// ernieName calls what Baidu calls ernie a model.
func ernieName(_ *mapping, name string) string {
	if len(name) > 6 && name[:6] == "ernie." {
		return "model." + name[6:]
	}
	return name
}
