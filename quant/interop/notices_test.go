//go:build interop

package interop

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch/archtest"
	"github.com/nexus-quant/nexus-quant/quant/interop/forward"
)

// silentTensors may be changed without a change of the logits.
var silentTensors = regexp.MustCompile(`e_score_correction_bias$|\.expert_bias$` + // they choose experts, and that only where two are close
	`|\.(key|k_lin|layer_norm_k)\.bias$`) // keys that aren't turned: all scores of a query grow by the same, which softmax takes away

// TestOurForwardPassNoticesEveryTensor changes the signs of a third of the values of one sort of tensor after the other. Each
// must move the logits by much more than what TestLogitsEqualOurForwardPass lets pass: a pass that gave the same logits could
// not tell whether libllama reads that tensor rightly.
func TestOurForwardPassNoticesEveryTensor(t *testing.T) {
	number := regexp.MustCompile(`\d+`)
	for _, k := range slices.Concat(archtest.Kinds(), archtest.Encoders(), archtest.Translators()) {
		if _, skipped := notCompared[k]; skipped || k == "tiny-baichuan" || k == "tiny-deepseek2-lite" {
			continue // or deep, and like others
		}
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			const tokens = 12
			c := sharpened(k)
			want, read := logitsOf(t, c, tokens, deviationsOf(k))
			var sorts []string
			for _, name := range read {
				if s := number.ReplaceAllString(name, "#"); !slices.Contains(sorts, s) && !silentTensors.MatchString(name) {
					sorts = append(sorts, s)
				}
			}
			for _, sort := range sorts {
				flip := func() {
					for i := range c.Tensors {
						if number.ReplaceAllString(c.Tensors[i].Name, "#") == sort {
							flipSigns(&c.Tensors[i])
						}
					}
				}
				flip()
				got, _ := logitsOf(t, c, tokens, deviationsOf(k))
				flip()
				if d := difference(want, narrowed(got)); !(d > 10*toleranceOf(k)) {
					t.Errorf("%s: other values of %s move the logits by only %.2g of their spread", k, sort, d)
				}
			}
		})
	}
}

// TestOurForwardPassNoticesSettings changes one number of a config after the other.
func TestOurForwardPassNoticesSettings(t *testing.T) {
	for _, c := range []struct {
		kind  archtest.Kind
		key   string // of the config; a dot leads into a table
		value any
	}{
		{"tiny-llama2", "rope_theta", 10500.0},
		{"tiny-llama2", "rms_norm_eps", 1e-3},
		{"tiny-llama3", "rope_scaling.factor", 7.0},
		{"tiny-qwen2", "rope_scaling.factor", 3.0},
		{"tiny-phi-long", "original_max_position_embeddings", 128},
		{"tiny-gemma3", "rope_scaling.factor", 7.0},
		{"tiny-gemma3n", "text_config.sliding_window", 63},
		{"tiny-gemma3n", "text_config.final_logit_softcapping", 20.0},
		{"tiny-kimi-linear", "routed_scaling_factor", 2.3},
		{"tiny-kimi-linear", "rms_norm_eps", 1e-3},
		{"tiny-gemma2", "sliding_window", 63},
		{"tiny-gemma2", "attn_logit_softcapping", 20.0},
		{"tiny-gemma2", "final_logit_softcapping", 20.0},
		{"tiny-gemma2", "query_pre_attn_scalar", 30},
		{"tiny-smollm3", "no_rope_layers", []int{1, 0}},
		{"tiny-glm4", "partial_rotary_factor", 0.75},
		{"tiny-granite", "attention_multiplier", 0.24},
		{"tiny-granite", "residual_multiplier", 0.21},
		{"tiny-command-r", "logit_scale", 0.06},
		{"tiny-cohere2", "sliding_window", 63},
		{"tiny-gpt-oss", "sliding_window", 63},
		{"tiny-qwen3moe", "num_experts_per_tok", 1},
		{"tiny-qwen3moe", "norm_topk_prob", false},
		{"tiny-deepseek3", "routed_scaling_factor", 2.4},
		{"tiny-deepseek3", "n_group", 1},
		{"tiny-bloom", "n_head", 2},
		{"tiny-xlm-roberta", "pad_token_id", 2},
		{"tiny-xlm-roberta", "layer_norm_eps", 1e-2},
		{"tiny-distilbert", "n_heads", 2},
		{"tiny-nomic-bert", "rotary_emb_base", 1050},
		{"tiny-nomic-bert-moe", "moe_top_k", 1},
		{"tiny-jina2", "num_attention_heads", 2},
		{"tiny-jina3", "rotary_emb_base", 21000.0},
		{"tiny-modernbert", "local_attention", 126},
		{"tiny-modernbert", "local_rope_theta", 10500.0},
		{"tiny-modernbert", "global_rope_theta", 168000.0},
		{"tiny-modernbert-reranker", "classifier_pooling", "cls"},
		{"tiny-neobert", "norm_eps", 1e-2},
		{"tiny-eurobert", "rope_theta", 10500.0},
		{"tiny-embeddinggemma", "sliding_window", 62},
		{"tiny-t5-encoder", "relative_attention_max_distance", 64},
		{"tiny-t5", "relative_attention_max_distance", 64},
		{"tiny-t5", "layer_norm_epsilon", 1e-2},
		{"tiny-ministral3", "text_config.rope_parameters.llama_4_scaling_beta", 0.0},
	} {
		t.Run(string(c.kind)+" "+c.key, func(t *testing.T) {
			t.Parallel()
			want, _ := logitsOf(t, sharpened(c.kind), forwardTokens, deviationsOf(c.kind))
			changed := sharpened(c.kind)
			table, path := changed.Config, strings.Split(c.key, ".")
			for _, name := range path[:len(path)-1] {
				table = table[name].(map[string]any)
			}
			table[path[len(path)-1]] = c.value
			got, _ := logitsOf(t, changed, forwardTokens, deviationsOf(c.kind))
			if d := difference(want, narrowed(got)); !(d > 2*toleranceOf(c.kind)) {
				t.Errorf("%s = %v moves the logits by only %.2g of their spread", c.key, c.value, d)
			}
		})
	}
}

// logitsOf runs the first tokens through a checkpoint: their logits, the vectors of an encoder, and the names of the tensors that
// were read.
func logitsOf(t *testing.T, c *archtest.Checkpoint, tokens int, d forward.Deviations) ([][]float64, []string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x")
	c.Write(t, dir)
	opened, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	pass, err := forward.Run(opened, sequence()[:tokens], d)
	if err != nil {
		t.Fatal(err)
	}
	rows := slices.Concat(pass.Logits, pass.Encoded)
	if pass.Pooled != nil {
		rows = append(rows, pass.Pooled)
	}
	return rows, pass.Read
}

func narrowed(rows [][]float64) [][]float32 {
	out := make([][]float32, len(rows))
	for i, row := range rows {
		for _, v := range row {
			out[i] = append(out[i], float32(v))
		}
	}
	return out
}

// flipSigns changes the signs of every third value, whatever their format; twice is not at all. Both numbers of a byte of MXFP4
// are changed, and exponents without a sign change by one.
func flipSigns(t *archtest.Tensor) {
	size := map[string]int{"F32": 4, "F16": 2, "BF16": 2}[t.DType]
	if size == 0 {
		size = 1
	}
	for i := size - 1; i < len(t.Data); i += 3 * size {
		switch {
		case strings.HasSuffix(t.Name, "_scales"):
			t.Data[i] ^= 1
		case t.DType == "U8":
			t.Data[i] ^= 0x88
		default:
			t.Data[i] ^= 0x80
		}
	}
}
