package archtest

import (
	"cmp"
	"fmt"
	"strings"
)

// Sizes of the checkpoints of the table below, which are narrower: they are many.
const (
	width  = 64
	deep   = 96 // of the feed-forward network
	expert = 32 // of an expert's
)

// kind makes one of the checkpoints.
type kind struct {
	name Kind
	make func(c *Checkpoint)
}

// kinds are the checkpoints that cover one family each. Those of Phi 3 have other names: libllama expects certain tokens
// of a model that is named so.
var kinds = []kind{
	{"tiny-mixtral", (*Checkpoint).mixtral},
	{"tiny-qwen2moe", (*Checkpoint).qwen2moe},
	{"tiny-qwen3moe", (*Checkpoint).qwen3moe},
	{"tiny-qwen3moe-fused", (*Checkpoint).qwen3moeFused},
	{"tiny-gemma", (*Checkpoint).gemma},
	{"tiny-gemma2", (*Checkpoint).gemma2},
	{"tiny-gemma3", (*Checkpoint).gemma3},
	{"tiny-gemma3-vision", (*Checkpoint).gemma3Vision},
	{"tiny-gemma3n", (*Checkpoint).gemma3n},
	{"tiny-gemma4", (*Checkpoint).gemma4},
	{"tiny-gemma4-moe", (*Checkpoint).gemma4MoE},
	{"tiny-qwen2vl", (*Checkpoint).qwen2vl},
	{"tiny-qwen2.5vl", (*Checkpoint).qwen25vl},
	{"tiny-qwen3vl", (*Checkpoint).qwen3vl},
	{"tiny-qwen3vlmoe", (*Checkpoint).qwen3vlmoe},
	{"tiny-pixtral", (*Checkpoint).pixtral},
	{"tiny-smolvlm", (*Checkpoint).smolvlm},
	{"tiny-internvl", (*Checkpoint).internvl},
	{"tiny-llava", (*Checkpoint).llava},
	{"tiny-llava-next", (*Checkpoint).llavaNext},
	{"tiny-mistral3", (*Checkpoint).mistral3},
	{"tiny-ministral3", (*Checkpoint).ministral3},
	{"tiny-tekken", (*Checkpoint).tekken},
	{"tiny-smollm3", (*Checkpoint).smollm3},
	{"tiny-phi2", (*Checkpoint).phi2},
	{"tiny-phi-mini", (*Checkpoint).phi3},
	{"tiny-phi-long", (*Checkpoint).phi3Long},
	{"tiny-granite", (*Checkpoint).granite},
	{"tiny-granitemoe", (*Checkpoint).granitemoe},
	{"tiny-olmo", (*Checkpoint).olmo},
	{"tiny-olmo2", (*Checkpoint).olmo2},
	{"tiny-olmo3", (*Checkpoint).olmo3},
	{"tiny-olmoe", (*Checkpoint).olmoe},
	{"tiny-glm4", (*Checkpoint).glm4},
	{"tiny-stablelm", (*Checkpoint).stablelm},
	{"tiny-starcoder2", (*Checkpoint).starcoder2},
	{"tiny-command-r", (*Checkpoint).commandR},
	{"tiny-cohere2", (*Checkpoint).cohere2},
	{"tiny-deepseek3", (*Checkpoint).deepseekV3},
	{"tiny-gpt-oss", (*Checkpoint).gptoss},
	{"tiny-gpt-oss-mxfp4", (*Checkpoint).gptossMXFP4},
	{"tiny-phimoe", (*Checkpoint).phimoe},
	{"tiny-lfm2moe", (*Checkpoint).lfm2moe},
	{"tiny-qwen3next", (*Checkpoint).qwen3next},
	{"tiny-qwen35", (*Checkpoint).qwen35},
	{"tiny-qwen35moe", (*Checkpoint).qwen35moe},
	{"tiny-deepseek3-fp8", (*Checkpoint).deepseekFP8},
	{"tiny-glm4moe", (*Checkpoint).glm4moe},
	{"tiny-llama4", (*Checkpoint).llama4},
	{"tiny-lfm2", (*Checkpoint).lfm2},
	{"tiny-mamba", (*Checkpoint).mamba},
	{"tiny-mamba2", (*Checkpoint).mamba2},
	{"tiny-granite4", (*Checkpoint).granite4},
	{"tiny-granite4-attention", (*Checkpoint).granite4Attention},
	{"tiny-bamba", (*Checkpoint).bamba},
	{"tiny-falcon-h1", (*Checkpoint).falconH1},
	{"tiny-jamba", (*Checkpoint).jamba},
	{"tiny-nemotron-h", (*Checkpoint).nemotronH},
	{"tiny-nemotron-h-moe", (*Checkpoint).nemotronHMoE},
	{"tiny-arcee", (*Checkpoint).arcee},
	{"tiny-seed-oss", (*Checkpoint).seedoss},
	{"tiny-exaone", (*Checkpoint).exaone},
	{"tiny-exaone4", (*Checkpoint).exaone4},
	{"tiny-ernie", (*Checkpoint).ernie},
	{"tiny-ernie-fused", (*Checkpoint).ernieFused},
	{"tiny-ernie-moe", (*Checkpoint).ernieMoE},
	{"tiny-hunyuan", (*Checkpoint).hunyuan},
	{"tiny-orion", (*Checkpoint).orion},
	{"tiny-minicpm", (*Checkpoint).minicpm},
	{"tiny-minicpm3", (*Checkpoint).minicpm3},
	{"tiny-chatglm", (*Checkpoint).chatglm},
	{"tiny-glm-hf", (*Checkpoint).glmHF},
	{"tiny-deepseek-moe", (*Checkpoint).deepseekMoE},
	{"tiny-kimi-k2", (*Checkpoint).kimiK2},
	{"tiny-deepseek2-lite", (*Checkpoint).deepseekV2Lite},
	{"tiny-glm4-lite", (*Checkpoint).glm4lite},
	{"tiny-dots1", (*Checkpoint).dots1},
	{"tiny-bailingmoe", (*Checkpoint).bailingMoE},
	{"tiny-bailingmoe2", (*Checkpoint).bailingMoE2},
	{"tiny-minimax-m2", (*Checkpoint).minimaxM2},
	{"tiny-smallthinker", (*Checkpoint).smallthinker},
	{"tiny-bloom", (*Checkpoint).bloom},
	{"tiny-mpt", (*Checkpoint).mpt},
	{"tiny-starcoder", (*Checkpoint).starcoder},
	{"tiny-qwen1", (*Checkpoint).qwen1},
	{"tiny-deepseek32", (*Checkpoint).deepseekV32},
	{"tiny-glm-dsa", (*Checkpoint).glmDSA},
	{"tiny-mistral4", (*Checkpoint).mistral4},
	{"tiny-deci", (*Checkpoint).deci},
	{"tiny-solar-open", (*Checkpoint).solarOpen},
	{"tiny-afmoe", (*Checkpoint).afmoe},
	{"tiny-exaone-moe", (*Checkpoint).exaoneMoE},
	{"tiny-internlm3", (*Checkpoint).internlm3},
	{"tiny-codeshell", (*Checkpoint).codeshell},
	{"tiny-dbrx", (*Checkpoint).dbrx},
	{"tiny-kimi-linear", (*Checkpoint).kimiLinear},
	{"tiny-grovemoe", (*Checkpoint).groveMoE},
	{"tiny-mellum", (*Checkpoint).mellum},
	{"tiny-llada-moe", (*Checkpoint).lladaMoE},
	{"tiny-cohere2moe", (*Checkpoint).cohere2MoE},
	{"tiny-nanbeige", (*Checkpoint).nanbeige},
	{"tiny-maincoder", (*Checkpoint).maincoder},
	{"tiny-pangu", (*Checkpoint).pangu},
	{"tiny-granite-swa", (*Checkpoint).graniteSWA},
	{"tiny-granite-moe-swa", (*Checkpoint).graniteMoESWA},
	{"tiny-dream", (*Checkpoint).dream},
	{"tiny-llada", (*Checkpoint).llada},
	{"tiny-hunyuan-moe", (*Checkpoint).hunyuanMoE},
	{"tiny-apertus", (*Checkpoint).apertus},
	{"tiny-gpt2", (*Checkpoint).gpt2},
	{"tiny-gptneox", (*Checkpoint).gptneox},
	{"tiny-falcon", (*Checkpoint).falcon},
	{"tiny-falcon-40b", (*Checkpoint).falcon40},
	{"tiny-baichuan", (*Checkpoint).baichuan},
	{"tiny-internlm2", (*Checkpoint).internlm2},
	{"tiny-nemotron", (*Checkpoint).nemotron},
}

// encoderKinds make embeddings, or give a text labels.
var encoderKinds = []kind{
	{"tiny-bert", (*Checkpoint).bert},
	{"tiny-xlm-roberta", (*Checkpoint).xlmRoberta},
	{"tiny-xlm-reranker", (*Checkpoint).xlmReranker},
	{"tiny-bert-reranker", (*Checkpoint).bertReranker},
	{"tiny-distilbert", (*Checkpoint).distilbert},
	{"tiny-distilbert-reranker", (*Checkpoint).distilReranker},
	{"tiny-roberta", (*Checkpoint).roberta},
	{"tiny-roberta-reranker", (*Checkpoint).robertaReranker},
	{"tiny-xlm-roberta-json", (*Checkpoint).xlmRobertaJSON},
	{"tiny-nomic-bert", (*Checkpoint).nomic},
	{"tiny-nomic-bert-moe", (*Checkpoint).nomicMoE},
	{"tiny-jina2", (*Checkpoint).jina2},
	{"tiny-jina2-code", (*Checkpoint).jina2Code},
	{"tiny-jina3", (*Checkpoint).jina3},
	{"tiny-modernbert", (*Checkpoint).modernbert},
	{"tiny-modernbert-reranker", (*Checkpoint).modernReranker},
	{"tiny-neobert", (*Checkpoint).neobert},
	{"tiny-eurobert", (*Checkpoint).eurobert},
	{"tiny-t5-encoder", (*Checkpoint).t5Encoder},
	{"tiny-embeddinggemma", (*Checkpoint).embeddingGemma},
}

// translatorKinds read a text with an encoder before a decoder writes one.
var translatorKinds = []kind{
	{"tiny-t5", (*Checkpoint).t5},
	{"tiny-t5-flan", (*Checkpoint).t5Flan},
	{"tiny-umt5", (*Checkpoint).umt5},
}

// class names the model's class and gives the config the sizes of the table.
func (c *Checkpoint) class(name string) {
	c.set("architectures", []string{name}, "hidden_size", width, "intermediate_size", deep)
	c.dtype = "BF16"
}

// set puts keys and values into the config, by turns. A nil value removes the key.
func (c *Checkpoint) set(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(c.Config, pairs[i].(string))
		} else {
			c.Config[pairs[i].(string)] = pairs[i+1]
		}
	}
}

// add makes a tensor. Vectors of norms are close to 1, all others close to 0.
func (c *Checkpoint) add(name string, shape ...int64) {
	scale := 0.05
	if strings.HasSuffix(name, "norm.weight") {
		scale = 1
	}
	c.Tensors = append(c.Tensors, random(name, c.dtype, scale, shape...))
}

// each makes a tensor for every layer and, where the name has a {e}, for each of n things in it; one tensor where the
// name has no {i}.
func (c *Checkpoint) each(n int, name string, shape ...int64) {
	if !strings.Contains(name, "{i}") {
		c.add(name, shape...)
		return
	}
	for layer := range cmp.Or(c.layers, Layers) {
		c.layer(layer, n, name, shape...)
	}
}

// layer makes a tensor of one layer, n times where the name has a {e}.
func (c *Checkpoint) layer(layer, n int, name string, shape ...int64) {
	name = strings.ReplaceAll(name, "{i}", fmt.Sprint(layer))
	if !strings.Contains(name, "{e}") {
		c.add(name, shape...)
		return
	}
	for e := range n {
		c.add(strings.ReplaceAll(name, "{e}", fmt.Sprint(e)), shape...)
	}
}

// outer makes the embedding, the last norm and, if untied, the head.
func (c *Checkpoint) outer(tied bool) {
	c.add("model.embed_tokens.weight", Vocab, width)
	c.add("model.norm.weight", width)
	if tied {
		c.set("tie_word_embeddings", true)
	} else {
		c.add("lm_head.weight", Vocab, width)
	}
}

// norms makes the two norms of a layer.
func (c *Checkpoint) norms() {
	c.each(0, "model.layers.{i}.input_layernorm.weight", width)
	c.each(0, "model.layers.{i}.post_attention_layernorm.weight", width)
}

// attention makes the four projections for heads of the given size.
func (c *Checkpoint) attention(head int64) {
	c.each(0, "model.layers.{i}.self_attn.q_proj.weight", Heads*head, width)
	c.each(0, "model.layers.{i}.self_attn.k_proj.weight", KV*head, width)
	c.each(0, "model.layers.{i}.self_attn.v_proj.weight", KV*head, width)
	c.each(0, "model.layers.{i}.self_attn.o_proj.weight", width, Heads*head)
}

func (c *Checkpoint) attentionBiases(head int64) {
	c.each(0, "model.layers.{i}.self_attn.q_proj.bias", Heads*head)
	c.each(0, "model.layers.{i}.self_attn.k_proj.bias", KV*head)
	c.each(0, "model.layers.{i}.self_attn.v_proj.bias", KV*head)
}

func (c *Checkpoint) headNorms(head int64) {
	c.each(0, "model.layers.{i}.self_attn.q_norm.weight", head)
	c.each(0, "model.layers.{i}.self_attn.k_norm.weight", head)
}

// gated makes a gated feed-forward network in each layer, n times where prefix has a {e}.
func (c *Checkpoint) gated(n int, prefix string, wide int64) {
	c.each(n, prefix+"gate_proj.weight", wide, width)
	c.each(n, prefix+"up_proj.weight", wide, width)
	c.each(n, prefix+"down_proj.weight", width, wide)
}

func (c *Checkpoint) mlp() { c.gated(0, "model.layers.{i}.mlp.", deep) }
