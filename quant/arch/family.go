package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/hf/tokenizer"
	"github.com/nexus-quant/nexus-quant/quant/dequant"
)

// all is the table of model families. A new one is a file of its own and a line here.
var all = []*family{
	llama, llamaTrunk, internlm3, mixtral, mistral4, mistral3, smollm3,
	qwen2vl, qwen3vl, qwen3vlmoe,
	qwen2, qwen2Trunk, qwen2moe, qwen3, qwen3Trunk, qwen3moe, qwen3next, qwen35, qwen35moe,
	gemma, gemma2, gemma3, gemma3n, gemma4, embeddinggemma,
	phi2, phi3, phimoe, gptoss,
	granite, granitemoe, graniteAttention, graniteExperts, granitehybrid, graniteswa, granitemoeswa,
	olmo, olmo2, olmoe, seedoss, arcee, apertus, exaone, exaone4, ernie, erniemoe, hunyuan, hunyuanmoe, orion, minicpm, minicpm3, nanbeige, maincoder, pangu,
	glm4, chatglm, glmhf, stablelm, starcoder2, commandr, cohere2,
	deepseek, deepseek2, deepseek32, glm4lite, glm4moe, solar, glmdsa, afmoe, exaonemoe, deci, dots1, bailingmoe, bailingmoe2, minimaxm2, smallthinker, mellum, dream, llada, lladamoe, cohere2moe, grovemoe, kimilinear, llama4, lfm2, lfm2moe, mamba, mamba2, falconh1, jamba, nemotronhExperts, nemotronh,
	bert, distilbert, roberta, jinabert3, xlmroberta, nomicbertmoe, nomicbert, modernbert, neobert, eurobert, jinabert2,
	t5, t5encoder,
	gpt2, gptneox, bloom, mpt, starcoder, codeshell, qwen, dbrx, falcon, baichuan, internlm2, nemotron,
}

// Notes of more than one family.
const (
	textPart       = "the text part; towers that clip lists go to an mmproj file"
	keptPredictors = "layers that predict further tokens are kept"
)

// family is what llama.cpp's converter knows of the models that share an architecture.
type family struct {
	name    string               // general.architecture
	classes []string             // of transformers, as config.json names them
	when    func(c *config) bool // tells it from other families with the same classes, which come after it; nil for always
	note    string               // what the output is of these models, where that isn't all of them
	rules   []rule

	// layers are sets of layers whose tensors differ, by the name that stands for them in rules.
	layers map[string]func(m *mapping, layer int) bool
	rename func(m *mapping, name string) string // a source's name as the rules have it; nil for none
	filter func(m *mapping, name string) string // why a source is left out, "" if it isn't; nil for none

	// What transformers' configuration class makes of a config without a key.
	defaults       map[string]any
	defaultHeadDim int64 // 0: hidden_size divided among the heads
	knowsHeadDim   bool  // head_dim has a value then, so that its keys are written
	needsFF        bool  // intermediate_size has no default that would do
	needsRMS       bool  // nor has rms_norm_eps
	noAttention    bool  // there are no heads
	kvUnknown      bool  // num_key_value_heads has no default
	noTheta        bool  // nor has rope_theta
	keepsTypes     bool  // no matrix becomes F32 by its name

	also   []string             // of a tower: tensors of the text model that it needs too
	forced map[string]gguf.Type // of a tower: types of tensors whatever the file's, by their names in the output

	ropeFactors bool                    // rope scaling of type llama3 becomes rope_freqs.weight
	made        func(*mapping) []Tensor // tensors that no source has; nil for none
	tokenizer   tokenizer.Options       // what the family asks of the tokenizer's reader
	tokenTypes  bool                    // the number of token types is written with the vocabulary

	// prepare changes the config before anything is read of it, adjust the sizes after that; nil for nothing.
	prepare func(c *config)
	adjust  func(m *mapping)
	// ownParams leaves the common keys to params.
	ownParams bool
	// lead writes keys that come before the common ones, params those after them; nil for none.
	lead   func(m *mapping, set func(key string, value any))
	params func(m *mapping, set func(key string, value any)) error
}

// Info is a family for listings.
type Info struct {
	Arch    string   // general.architecture
	Classes []string // of transformers
	Note    string   // what the output is of these models, "" for all of them
}

// Supported lists the families that Map knows, in the order of the table; those of one architecture together, and last
// the towers.
func Supported() []Info {
	var out []Info
	for _, f := range slices.Concat(all, towers) {
		if i := slices.IndexFunc(out, func(o Info) bool { return o.Arch == f.name }); i >= 0 {
			out[i].Classes = append(out[i].Classes, f.classes...)
			if out[i].Note == "" {
				out[i].Note = f.note
			}
			continue
		}
		out = append(out, Info{f.name, slices.Clone(f.classes), f.note})
	}
	return out
}

func classes() []string {
	var out []string
	for _, f := range all {
		for _, c := range f.classes {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// UnsupportedError is returned by Map for a model of a class that no family has.
type UnsupportedError struct{ Class string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("architecture %q is not supported", e.Class)
}

// Hint names the nearest that are.
func (e *UnsupportedError) Hint() string {
	hint := "nexus-quant archs lists what is supported"
	if like := nearest(e.Class, 3); len(like) > 0 {
		hint = "the nearest that are supported: " + strings.Join(like, ", ") + "; " + hint
	}
	return hint
}

// Options change what Map writes.
type Options struct {
	Name string // general.name; "" finds it
	Pre  string // name of the pre-tokenizer, for a tokenizer.json that isn't recognised

	Merge *Adapter // is added to the weights; nil for none
}

// mapping is one run of Map.
type mapping struct {
	family  *family
	tower   *family // of the same checkpoint; nil for none
	vision  *vision // while a tower is mapped
	others  int     // tensors that see or hear
	config  *config
	dims    dims
	rope    rope
	read    func(name string) ([]byte, error)
	quant   quantization
	name    string // of the checkpoint
	sources []*safetensors.Tensor
	model   *Model
	merger  *dequant.Merger // of an adapter; nil for none
}

// Map turns a checkpoint into the tensors and the metadata that llama.cpp's converter would write, from
// config, tokenizer files and headers alone (and of Apertus the numbers that are metadata there).
//
// Every tensor of the checkpoint matches exactly one rule of the family and has the shape that the
// config says, and every tensor that the family needs is there. Whatever isn't so is an error that names it.
func Map(c *hf.Checkpoint, o Options) (*Model, error) {
	m, c, err := begin(c, o)
	if err != nil {
		return nil, err
	}
	m.model.Metadata.Set("general.type", "model")
	if err := m.general(c, o); err != nil {
		return nil, err
	}
	if err := m.params(); err != nil {
		return nil, err
	}
	if *m.config.err != nil {
		return nil, *m.config.err
	}
	if err := m.vocabulary(o); err != nil {
		return nil, err
	}
	m.addTower(c, o)
	return m.model, nil
}

// begin maps the tensors of a checkpoint, which it returns unpacked and merged.
func begin(c *hf.Checkpoint, o Options) (*mapping, *hf.Checkpoint, error) {
	cfg, err := readConfig(c.ReadFile)
	if err != nil {
		return nil, nil, err
	}
	class, err := cfg.class()
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(all, func(f *family) bool { return slices.Contains(f.classes, class) && (f.when == nil || f.when(cfg)) })
	if i < 0 {
		return nil, nil, &UnsupportedError{class}
	}
	f := all[i]
	m := &mapping{family: f, tower: towerOf(cfg.root), config: cfg, read: c.ReadFile, name: c.Name, model: &Model{Arch: f.name}}
	if c, err = m.unpack(c); err != nil {
		return nil, nil, err
	}
	if o.Merge != nil {
		if c, err = m.merge(c, o.Merge); err != nil {
			return nil, nil, err
		}
	}
	m.sources = c.Tensors
	for key, v := range f.defaults {
		cfg.or(key, v)
	}
	if f.prepare != nil {
		f.prepare(cfg)
	}
	m.readDims()
	m.rope = readRope(cfg)
	if f.adjust != nil && *cfg.err == nil {
		f.adjust(m)
	}
	if *cfg.err != nil {
		return nil, nil, *cfg.err
	}
	m.model.Metadata.Set("general.architecture", f.name)
	if err := m.tensors(); err != nil {
		return nil, nil, err
	}
	return m, c, nil
}

// parameters counts the values of all tensors, and tells how big a model is in a name: models with experts by how many
// there are and by the size of what one of them and all the rest make (get_total_parameter_count in
// gguf-py/gguf/gguf_writer.py and size_label in gguf-py/gguf/utility.py).
func (m *mapping) parameters() (total int64, label string) {
	var shared, expert, stacked, stacks int64
	for _, t := range m.model.Tensors {
		n, err := gguf.Elements(t.Shape)
		if err != nil {
			continue
		}
		total += n
		dim := 2
		if strings.Contains(t.Name, ".bias") {
			dim = 1
		}
		if !strings.Contains(t.Name, "_exps.") || len(t.Shape) < 3 {
			shared += n
			continue
		}
		expert += n / t.Shape[dim]
		stacked += t.Shape[dim]
		stacks++
	}
	switch {
	case total == 0:
		return 0, ""
	case stacks > 0:
		return total, fmt.Sprintf("%dx%s", stacked/stacks, roundedCount(float64(shared+expert)))
	}
	return total, roundedCount(float64(total))
}
