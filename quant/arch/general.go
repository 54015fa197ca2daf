package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/hf"
)

// author is what is known of a model's origin: gguf-py's Metadata without what only an override file can set.
// A nil pointer or slice is a thing not known.
type author struct {
	name, creator, version, organization, finetune, basename, description, sizeLabel *string
	license, licenseName, licenseLink                                                *string
	sourceURL, sourceDOI, sourceUUID, sourceRepoURL                                  *string
	baseModels, datasets                                                             []origin // nil: not stated
	tags, languages                                                                  []string
}

// origin is a model or a data set that a model was made from, by the names of its metadata keys.
type origin map[string]string

// originKeys are the keys of an origin, in the order in which they are written.
var originKeys = []string{"name", "author", "version", "organization", "description", "url", "doi", "uuid", "repo_url"}

// general writes the general.* keys that tell where the model comes from and how its makers would sample
// from it (Metadata.load and set_gguf_meta_model in gguf-py/gguf/metadata.py). The tensors must be known
// already: their number of values helps to read names.
func (m *mapping) general(c *hf.Checkpoint, o Options) error {
	var nameOrPath *string
	if s, ok := m.config.root["_name_or_path"].(string); ok {
		nameOrPath = &s
	}
	total, label := m.parameters()
	return generalFrom(&m.model.Metadata, c, m.read, nameOrPath, o, total, label)
}

func generalFrom(m *gguf.Metadata, c *hf.Checkpoint, read func(string) ([]byte, error), configName *string, o Options, parameters int64, label string) error {
	card, err := readModelCard(read)
	if err != nil {
		return err
	}
	var a author
	a.fromCard(card, parameters)
	a.fromConfigName(configName, parameters)
	id := c.Name
	if c.Repo != "" {
		id = c.Repo
	}
	a.fromID(id, parameters)
	switch {
	case o.Name != "":
		a.name = &o.Name
	case c.Repo != "":
		a.name = &c.Repo
	case a.name == nil:
		a.name = &c.Name
	}
	if a.sizeLabel == nil && label != "" {
		a.sizeLabel = &label
	}
	if err := sampling(m, read); err != nil {
		return err
	}
	a.write(m)
	return nil
}

// write sets the keys in the order of set_gguf_meta_model. Empty strings and lists are left out, as
// GGUFWriter.add_string and add_array do.
func (a *author) write(m *gguf.Metadata) {
	text := func(key string, s *string) {
		if s != nil && *s != "" {
			m.Set(key, *s)
		}
	}
	text("general.name", a.name)
	text("general.author", a.creator)
	text("general.version", a.version)
	text("general.organization", a.organization)
	text("general.finetune", a.finetune)
	text("general.basename", a.basename)
	text("general.description", a.description)
	text("general.size_label", a.sizeLabel)
	text("general.license", a.license)
	text("general.license.name", a.licenseName)
	text("general.license.link", a.licenseLink)
	text("general.source.url", a.sourceURL)
	text("general.source.doi", a.sourceDOI)
	text("general.source.uuid", a.sourceUUID)
	text("general.source.repo_url", a.sourceRepoURL)
	origins := func(kind string, list []origin) {
		if list == nil {
			return
		}
		m.Set("general."+kind+".count", uint32(len(list)))
		for i, o := range list {
			for _, key := range originKeys {
				if s := o[key]; s != "" {
					m.Set(fmt.Sprintf("general.%s.%d.%s", kind, i, key), s)
				}
			}
		}
	}
	origins("base_model", a.baseModels)
	origins("dataset", a.datasets)
	if len(a.tags) > 0 {
		m.Set("general.tags", a.tags)
	}
	if len(a.languages) > 0 {
		m.Set("general.languages", a.languages)
	}
}

// fromCard takes what the model card's front matter says. Of two spellings of a thing the first counts.
func (a *author) fromCard(card map[string]any, parameters int64) {
	first := func(dst **string, keys ...string) {
		for _, k := range keys {
			if s, ok := card[k].(string); ok && *dst == nil {
				*dst = &s
			}
		}
	}
	first(&a.name, "name", "model_name")
	first(&a.creator, "author", "model_author", "model_creator")
	first(&a.version, "version", "model_version")
	first(&a.organization, "organization", "model_organization")
	first(&a.description, "description", "model_description")
	first(&a.finetune, "finetune", "model_finetune")
	first(&a.basename, "basename", "model_basename", "model_type")
	first(&a.sizeLabel, "size_label", "model_size_label")
	first(&a.sourceURL, "url", "model_url")
	first(&a.sourceDOI, "doi", "model_doi")
	first(&a.sourceUUID, "uuid", "model_uuid")
	first(&a.sourceRepoURL, "repo_url", "model_repo_url")

	a.baseModels = origins(card, parameters, "base_model", "base_models", "base_model_sources")
	a.datasets = origins(card, parameters, "datasets", "dataset", "dataset_sources")

	if licenses := texts(card["license"]); len(licenses) > 0 {
		all := strings.Join(licenses, ",")
		a.license = &all
	}
	first(&a.licenseName, "license_name")
	first(&a.licenseLink, "license_link")
	a.tags = append(texts(card["tags"]), texts(card["pipeline_tag"])...)
	a.languages = append(texts(card["languages"]), texts(card["language"])...)
}

// texts is a value that may be one string or a list of them.
func texts(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	var out []string
	list, _ := v.([]any)
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// origins reads what the first of the keys that the card has says; nil if it has none of them. An entry is
// an address, a Hub id, or a mapping that is taken as it is.
func origins(card map[string]any, parameters int64, keys ...string) []origin {
	for _, key := range keys {
		v, ok := card[key]
		if !ok {
			continue
		}
		entries, isList := v.([]any)
		if s, ok := v.(string); ok {
			entries, isList = []any{s}, true
		}
		out := []origin{}
		if !isList {
			return out
		}
		for _, e := range entries {
			out = append(out, originOf(e, parameters))
		}
		return out
	}
	return nil
}

func originOf(entry any, parameters int64) origin {
	o := origin{}
	switch e := entry.(type) {
	case map[string]any:
		for _, key := range originKeys {
			if s, ok := e[key].(string); ok {
				o[key] = s
			}
		}
	case string:
		id := e
		if isAddress(e) {
			o["repo_url"] = e
			if id = hubAddress(e); id == "" {
				return o
			}
		}
		n := splitID(id, parameters)
		o["name"] = titled(n.name)
		if n.organization != "" {
			o["organization"] = titled(n.organization)
			if !isAddress(e) {
				o["repo_url"] = "https://huggingface.co/" + n.organization + "/" + n.name
			}
		}
		if n.version != "" {
			o["version"] = n.version
		}
	}
	return o
}

func isAddress(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "ssh://")
}

// hubAddress is the id in the address of a Hub model, else "".
func hubAddress(s string) string {
	rest, ok := strings.CutPrefix(s, "https://huggingface.co/")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://huggingface.co/")
	}
	if org, name, two := strings.Cut(rest, "/"); !ok || !two || org == "" || name == "" || strings.Contains(name, "/") {
		return ""
	}
	return rest
}

// fromConfigName uses _name_or_path of config.json, where it is a name and not the path on someone's disk.
func (a *author) fromConfigName(name *string, parameters int64) {
	if name != nil && strings.Count(*name, "/") <= 1 {
		a.fromID(*name, parameters)
	}
}

// fromID fills what is not known yet from the parts of a Hub id or of a folder's name.
func (a *author) fromID(id string, parameters int64) {
	n := splitID(id, parameters)
	if a.name == nil {
		title := titled(n.name)
		a.name = &title
	}
	fill := func(dst **string, s string) {
		if *dst == nil && s != "" {
			*dst = &s
		}
	}
	fill(&a.organization, titled(n.organization))
	fill(&a.basename, n.basename)
	fill(&a.finetune, n.finetune)
	fill(&a.version, n.version)
	fill(&a.sizeLabel, n.sizeLabel)
}

// samplingKeys are the values of generation_config.json that become metadata, in the order of writing.
var samplingKeys = []struct {
	key     string
	names   []string // the first that is there counts
	integer bool
}{
	{"top_k", []string{"top_k"}, true},
	{"top_p", []string{"top_p"}, false},
	{"min_p", []string{"min_p"}, false},
	{"xtc_probability", []string{"xtc_probability"}, false},
	{"xtc_threshold", []string{"xtc_threshold"}, false},
	{"temp", []string{"temperature"}, false},
	{"penalty_last_n", []string{"penalty_last_n"}, true},
	{"penalty_repeat", []string{"penalty_repeat", "repetition_penalty"}, false},
	{"mirostat", []string{"mirostat"}, true},
	{"mirostat_tau", []string{"mirostat_tau"}, false},
	{"mirostat_eta", []string{"mirostat_eta"}, false},
}

// sampling writes the sampler settings that the model's makers recommend. A generation_config.json that is
// no JSON is passed over, as there are such; so is a value that is no number.
func sampling(m *gguf.Metadata, read func(string) ([]byte, error)) error {
	data, err := read("generation_config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("generation_config.json: %w", err)
	}
	doc, err := parseJSONObject(data)
	if err != nil {
		return nil
	}
	if s, ok := doc["sequence"].(string); ok && s != "" {
		m.Set("general.sampling.sequence", s)
	}
	for _, k := range samplingKeys {
		for _, name := range k.names {
			v, ok := doc[name]
			if !ok {
				continue
			}
			if n, ok := v.(json.Number); ok {
				setSampling(m, "general.sampling."+k.key, n.String(), k.integer)
			}
			break
		}
	}
	return nil
}

func setSampling(m *gguf.Metadata, key, number string, integer bool) {
	x, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return
	}
	if !integer {
		m.Set(key, float32(x))
	} else if x == math.Trunc(x) && math.Abs(x) <= math.MaxInt32 {
		m.Set(key, int32(x))
	}
}
