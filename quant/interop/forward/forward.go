// Package forward computes the logits of a checkpoint in Hugging Face layout, or an encoder's vectors, in float64 and without
// haste: the measure that the interop tests hold what llama.cpp makes of our GGUF files against. It is written from the
// definitions of the architectures in transformers (or in the code that a model is published with) and knows neither
// quant/arch nor GGUF, so that a name, a permutation, an offset or a key of the metadata that is wrong there shows here.
//
// A family is a function that puts layers together out of the pieces in this package. For tests only.
package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf"
)

// Deviations are places where llama.cpp or its converter is known not to compute what a definition says. Each is a choice of
// theirs that our files can't change; to follow them leaves only float rounding between both passes.
type Deviations struct {
	// HalfGELU: GELU's approximation by tanh is looked up in a table with F16 arguments and results.
	HalfGELU bool
	// TanhGELU: models whose definition has the exact GELU get the approximation.
	TanhGELU bool
	// HalfNorms: where one is added to norms of a checkpoint in F16, the sum is rounded to F16.
	HalfNorms bool
	// KeptBF16: matrices that stay in BF16 in a file of F32 have what meets them rounded to BF16.
	KeptBF16 bool
	// PlainRouting: experts are chosen by a softmax where the definition has sparsemixer.
	PlainRouting bool
	// MeanKept: norms that take the mean away leave it where it is, and so divide by the root of the mean square.
	MeanKept bool
	// NoEpsilon: norms add nothing to the mean square.
	NoEpsilon bool
	// NoGrowth: queries don't grow with the position.
	NoGrowth bool
	// WholeHeads: rotary order is undone for whole heads, of which only a part is turned: other values make up the pairs.
	WholeHeads bool
	// TruncatedYarn: the bounds of YaRN's blend are rounded where the config says that they are not.
	TruncatedYarn bool
	// NoPooler: a classifier after BERT reads the first vector itself, not what the pooler makes of it.
	NoPooler bool
	// TanhHead: DistilBERT's head for classes has tanh where the definition has ReLU.
	TanhHead bool
	// NoExpertBias: the bias that all experts share is missing.
	NoExpertBias bool
	// GateFirst: of a fused network the first half goes through GELU where the definition has the second.
	GateFirst bool
	// Thirds: queries, keys and values are the thirds of a matrix where the definition has the three of each head together.
	Thirds bool
	// Unscaled: the head that is the embedding gets what the decoder gives as it is, not divided by the root of the width.
	Unscaled bool
	// SecondHand: the small experts of groups read what the large ones gave, with the weights of those whose numbers are theirs.
	SecondHand bool
	// AllSparse: the gates of all layers keep a twentieth, whatever the config says.
	AllSparse bool
	// SampleDeviation: the deviation that such gates are held against is that of a sample, divided by one less.
	SampleDeviation bool
	// NoWindow: what the config says of a window of all layers is not used.
	NoWindow bool
}

// Pass is what came of a checkpoint.
type Pass struct {
	Logits [][]float64 // after each token; of a model without a decoder the vectors that it makes of them
	// Pooled is the vector of the whole text, or a number for each label: nil where the checkpoint doesn't say how to make it.
	Pooled []float64
	// Encoded are the vectors that an encoder before the decoder made of the tokens, which both get.
	Encoded [][]float64
	Read    []string // names of the tensors that it took
	Unread  []string // those that it had no use for, but should have had
}

// Run reads a checkpoint and passes tokens through it.
func Run(c *hf.Checkpoint, tokens []int32, d Deviations) (p Pass, err error) {
	defer func() {
		if r := recover(); r != nil {
			known, ok := r.(problem)
			if !ok {
				panic(r)
			}
			err = known
		}
	}()
	m := open(c, len(tokens))
	if m.deviations = d; d.NoEpsilon {
		m.eps = 0
	}
	class := m.class()
	build, ok := families[class]
	if !ok {
		return Pass{}, fmt.Errorf("class %s: no forward pass", class)
	}
	build(m)
	p.Logits = m.run(tokens)
	if m.pool != nil {
		p.Pooled = m.pool(p.Logits)
	}
	if m.decoder != nil {
		p.Encoded, m.encoded = p.Logits, p.Logits
		p.Logits = m.decoder.run(tokens)
	}
	p.Read, p.Unread = slices.Sorted(maps.Keys(m.weights.read)), m.unread()
	return p, nil
}

// problem is what makes a checkpoint unfit for its family's function: it is thrown as a panic and returned by Run.
type problem struct{ error }

func fail(format string, args ...any) { panic(problem{fmt.Errorf(format, args...)}) }

type (
	vec   = []float64
	fn    func(x vec) vec     // of one position
	mixer func(x []vec) []vec // of all positions: attention, a convolution, a recurrence
)

// model is a checkpoint on its way to become a row of layers.
type model struct {
	config
	weights    *weights
	count      int // of tokens that will be run: some rotary frequencies depend on it
	deviations Deviations

	prefix string // of the names of the tensors in layers
	eps    float64
	both   bool // positions see those behind them

	embed      func(tokens []int32) []vec
	layers     []mixer
	norm, head fn

	pool    func([]vec) vec // of the vectors of all tokens, of a model that makes embeddings
	decoder *model          // that writes what this one reads
	encoded []vec           // what this one made of the tokens, for the decoder
}

func open(c *hf.Checkpoint, count int) *model {
	data, err := c.ReadFile("config.json")
	if err != nil {
		fail("config.json: %w", err)
	}
	m := &model{weights: newWeights(c), count: count, prefix: "model."}
	if err := json.Unmarshal(data, &m.config); err != nil {
		fail("config.json: %w", err)
	}
	// Models that also see keep the text model's config in one of its own, and its tensors under longer names.
	for _, key := range []string{"text_config", "llm_config"} {
		if text := m.table(key); text != nil {
			if outer, _ := m.list("architectures")[0].(string); !slices.Contains(anyText, outer) {
				text["architectures"] = m.config["architectures"]
			}
			if tied, ok := m.config["tie_word_embeddings"]; ok {
				text["tie_word_embeddings"] = tied
			}
			m.config = text
		}
	}
	for _, t := range c.Tensors {
		if p, ok := strings.CutSuffix(t.Name, "model.embed_tokens.weight"); ok {
			m.prefix = p + "model."
		}
		if p, ok := strings.CutSuffix(t.Name, "model.language_model.embed_tokens.weight"); ok {
			m.prefix = p + "model.language_model."
		}
		if t.Name == "model.text_model.embed_tokens.weight" {
			m.prefix = "model.text_model."
		}
	}
	for _, key := range []string{"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps", "layernorm_epsilon"} {
		if v, ok := m.config[key].(float64); ok {
			m.eps = v
		}
	}
	return m
}

// poolingConfig says how sentence-transformers makes one vector of all; nil where the checkpoint doesn't.
func (m *model) poolingConfig() (c config) {
	data, err := m.weights.from.ReadFile("1_Pooling/config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		fail("1_Pooling/config.json: %w", err)
	}
	return c
}

// class names the model's class. Of a text model that only has a type it is Llama's.
func (m *model) class() string {
	class := "LlamaForCausalLM"
	if l := m.list("architectures"); len(l) > 0 && l[0] != "VLlama3ForCausalLM" {
		class, _ = l[0].(string)
	}
	return class
}

// layer is the start of the names of a layer's tensors.
func (m *model) layer(i int) string { return fmt.Sprintf("%slayers.%d.", m.prefix, i) }

// add appends layers.
func (m *model) add(layers ...mixer) { m.layers = append(m.layers, layers...) }

// outer makes the embedding and the head under their usual names. Without a head the embedding is the head.
func (m *model) outer(norm fn) {
	m.ends(m.prefix+"embed_tokens", norm, strings.TrimSuffix(m.prefix, "model.")+"lm_head", "lm_head")
}

// ends makes embedding and head. The head is the first of the names that the checkpoint has, if it isn't tied.
func (m *model) ends(embedding string, norm fn, heads ...string) {
	table := m.embedding(embedding)
	m.norm = norm
	m.head = table.times
	if m.flag("tie_word_embeddings", false) {
		return
	}
	for _, name := range heads {
		if m.weights.has(name + ".weight") {
			m.head = m.linear(name)
			return
		}
	}
}

// embedding makes a row of a table of each token.
func (m *model) embedding(name string) *matrix {
	table := m.weights.matrix(name + ".weight")
	m.embed = func(tokens []int32) []vec {
		out := make([]vec, len(tokens))
		for i, t := range tokens {
			out[i] = slices.Clone(table.row(int(t)))
		}
		return out
	}
	return table
}

func (m *model) run(tokens []int32) []vec {
	x := m.embed(tokens)
	for _, layer := range m.layers {
		x = layer(x)
	}
	return each(then(m.norm, m.head))(x)
}
