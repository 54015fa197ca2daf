package arch

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
)

// A model that sees or hears has a tower: an encoder and a projector that turns what it encodes into the text model's
// embeddings. llama.cpp keeps it in a file of its own, whose architecture is "clip" and which its programs take as
// --mmproj. A tower is a family like any other, in a table of its own: the class that names the text model's family
// names the tower's too (MmprojModel in conversion/base.py).

// towers is the table of towers. A new one is a file of its own and a line here.
var towers = []*family{gemma3Tower, qwen2vlTower, qwen25vlTower, qwen3vlTower, pixtralTower, idefics3Tower, internvlTower, llavaTower}

// Follow says which type a tensor of a tower gets in a file of a given type.
type Follow int

const (
	// FollowFile gives it the type of the file.
	FollowFile Follow = iota
	// FollowNone leaves it at its Type.
	FollowNone
	// FollowF16 makes it F16 in a file of type F16 and F32 in any other.
	FollowF16
)

// vision is what towers know beside the tensors of a family.
type vision struct {
	text dims    // of the text model
	root *config // config.json as it is
	pre  *config // of the image processor
}

// towerClass is the class that a tower is found by: that of vision_config, where it has one, else the model's.
func towerClass(root map[string]any) string {
	for _, doc := range []any{root["vision_config"], root} {
		m, _ := doc.(map[string]any)
		if list, _ := m["architectures"].([]any); len(list) > 0 {
			s, _ := list[0].(string)
			return s
		}
	}
	return ""
}

// towerOf is the family of a checkpoint's tower; nil if it has none that the table knows.
func towerOf(root map[string]any) *family {
	vision, sees := root["vision_config"].(map[string]any)
	_, hears := root["audio_config"].(map[string]any)
	if !sees && !hears {
		return nil
	}
	class := towerClass(root)
	i := slices.IndexFunc(towers, func(f *family) bool {
		return slices.Contains(f.classes, class) && (f.when == nil || f.when(&config{doc: vision, err: new(error)}))
	})
	if i < 0 {
		return nil
	}
	return towers[i]
}

// addTower maps the tower beside the text model, if there is one. A tower that can't be mapped is no reason to do without
// the text model.
func (m *mapping) addTower(c *hf.Checkpoint, o Options) {
	if m.others == 0 {
		return
	}
	f := m.tower
	if f == nil {
		m.model.TowerErr = &NoTowerError{Why: fmt.Sprintf("%d tensors see or hear, in a way that is not supported", m.others)}
		return
	}
	m.model.Tower, m.model.TowerErr = mapTower(c, o, f, m.dims)
	if m.model.TowerErr != nil {
		m.model.Tower = nil
	}
}

// NoTowerError says why there can be no mmproj file of a model.
type NoTowerError struct{ Why string }

func (e *NoTowerError) Error() string { return e.Why }

// mapTower is Map for the tower: what the text families leave out.
func mapTower(c *hf.Checkpoint, o Options, f *family, text dims) (*Model, error) {
	root, err := readRoot(c.ReadFile)
	if err != nil {
		return nil, err
	}
	cfg := root.object("vision_config")
	cfg.root = root.doc
	cfg.doc["quantization_config"] = root.doc["quantization_config"]
	pre, err := readPreprocessor(c.ReadFile, root.err)
	if err != nil {
		return nil, err
	}
	m := &mapping{family: f, config: cfg, read: c.ReadFile, name: c.Name, model: &Model{Arch: f.name}, vision: &vision{text: text, root: root, pre: pre}}
	for _, t := range c.Tensors {
		if notText(t.Name) || slices.Contains(f.also, t.Name) {
			m.sources = append(m.sources, t)
		}
	}
	for key, v := range f.defaults {
		cfg.or(key, v)
	}
	if f.prepare != nil {
		f.prepare(cfg)
	}
	m.readTowerDims()
	if f.adjust != nil && *cfg.err == nil {
		f.adjust(m)
	}
	if *cfg.err != nil {
		return nil, *cfg.err
	}
	m.model.Metadata.Set("general.architecture", f.name)
	if err := m.tensors(); err != nil {
		return nil, err
	}
	m.model.Metadata.Set("general.type", "mmproj")
	if err := m.general(c, o); err != nil {
		return nil, err
	}
	m.model.Metadata.Set("general.file_type", uint32(gguf.FileF16)) // its place; the plan knows the type
	if err := m.params(); err != nil {
		return nil, err
	}
	return m.model, *cfg.err
}

// readPreprocessor reads how images are prepared, of which the newer file counts (MmprojModel.__init__). What either nests
// stands at the top too.
func readPreprocessor(read func(string) ([]byte, error), failed *error) (*config, error) {
	out := &config{file: "preprocessor_config.json", doc: map[string]any{}, err: failed}
	for _, file := range []struct{ name, nested string }{{"preprocessor_config.json", "media_proc_cfg"}, {"processor_config.json", "image_processor"}} {
		data, err := read(file.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.name, err)
		}
		doc, err := parseJSONObject(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.name, err)
		}
		for key, v := range doc {
			out.doc[key] = v
		}
		if sub, ok := doc[file.nested].(map[string]any); ok {
			for key, v := range sub {
				out.doc[key] = v
			}
		}
	}
	return out, nil
}

// Keys that say the same thing in the configs of different towers (MmprojModel.n_block_keys, set_gguf_parameters).
var (
	towerLayersKeys = []string{"n_layers", "num_hidden_layers", "n_layer", "num_layers", "depth", "layers", "encoder_layers", "vt_num_hidden_layers"}
	towerHiddenKeys = []string{"hidden_size", "width", "vt_hidden_size"}
	towerFFKeys     = []string{"intermediate_size", "vt_intermediate_size"}
	towerHeadsKeys  = []string{"num_attention_heads", "num_heads", "heads", "vt_num_attention_heads"}
)

func (m *mapping) readTowerDims() {
	c, d := m.config, &m.dims
	d.config, d.text = c, &m.vision.text
	d.layers = c.count(c.firstOf(towerLayersKeys))
	d.trunk = d.layers
	d.hidden = c.count(c.firstOf(towerHiddenKeys))
	d.ff = c.count(c.firstOf(towerFFKeys))
	d.heads = c.count(c.firstOf(towerHeadsKeys))
	if *c.err != nil {
		return
	}
	d.kvHeads, d.headDim = d.heads, d.hidden/d.heads
	if d.hidden%d.heads != 0 {
		c.fail("%shidden_size %d is no multiple of num_attention_heads %d", c.path, d.hidden, d.heads)
	}
}

// Sizes that only towers have.
func textHidden(d dims) int64 { return d.text.hidden }
func textVocab(d dims) int64  { return d.text.vocab }

// patches is the number of patches of an image.
func patches(d dims) int64 {
	side := d.config.count("image_size") / max(1, d.config.count("patch_size"))
	return side * side
}

func patchSize(d dims) int64 { return d.config.count("patch_size") }
func channels(d dims) int64 {
	return d.config.countOr(d.config.firstOf([]string{"num_channels", "in_channels", "in_chans"}), 3)
}

// encoderOf tells whether a vision_config is of one of these model types.
func encoderOf(types ...string) func(*config) bool {
	return func(c *config) bool { return slices.Contains(types, c.text("model_type")) }
}

// visionParams writes the keys that all vision towers have in common (MmprojModel.set_gguf_parameters).
func (m *mapping) visionParams() {
	c, d, pre := m.config, m.dims, m.vision.pre
	set := m.set
	set("has_vision_encoder", true)
	set("vision.projection_dim", uint32(d.text.hidden))
	set("vision.image_size", uint32(c.count("image_size")))
	set("vision.patch_size", uint32(c.count("patch_size")))
	set("vision.embedding_length", uint32(d.hidden))
	set("vision.feed_forward_length", uint32(d.ff))
	set("vision.block_count", uint32(d.layers))
	set("vision.attention.head_count", uint32(d.heads))
	for _, key := range []string{"image_mean", "image_std"} {
		pre.require(key)
		list := pre.numbers(key)
		values := make([]float32, len(list))
		for i, x := range list {
			values[i] = float32(x)
		}
		set("vision."+key, values)
	}
}

// follow says which type a tensor of a tower gets, as ModelBase.prepare_tensors and MmprojModel.tensor_force_quant do.
func (m *mapping) follow(t *Tensor) {
	if m.vision == nil {
		return
	}
	typ, forced := m.family.forced[t.Name]
	switch {
	case len(t.Shape) <= 1 || strings.HasSuffix(t.Name, "_norm.weight"):
		t.Type, t.Follow = gguf.F32, FollowNone
	case forced:
		t.Type, t.Follow = typ, FollowNone
	case strings.Contains(t.Name, ".patch_embd.weight") || strings.Contains(t.Name, ".patch_merger.weight"):
		t.Type, t.Follow = gguf.F32, FollowF16
	case t.Name == "v.position_embd.weight" || t.Name == "a.position_embd.weight" || !strings.HasSuffix(t.Name, ".weight"):
		t.Type, t.Follow = gguf.F32, FollowNone
	default:
		t.Type = outputTypes[t.Parts[0].Source.DType]
	}
}

// towerName is the name of a tower's tensor as rules spell it: newer checkpoints put model. before it.
func towerName(name string) string { return strings.TrimPrefix(name, "model.") }
