package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Pooling types of llama.cpp (llama_pooling_type).
const (
	poolMean uint32 = 1
	poolCLS  uint32 = 2
	poolLast uint32 = 3
)

// pooling writes how an embedding model makes one vector of all tokens, as sentence-transformers' modules.json
// says (TextModel._try_set_pooling_type). Other models have no such file.
func pooling(m *mapping, set func(string, any)) error {
	modules, err := m.modules()
	if err != nil {
		return err
	}
	for _, module := range modules {
		if strings.HasSuffix(module.Type, "Pooling") {
			typ, err := m.poolingType(module.Path + "/config.json")
			if err != nil {
				return err
			}
			set("pooling_type", typ)
			return nil
		}
	}
	return nil
}

// module is a step that sentence-transformers takes with a text.
type module struct{ Type, Path string }

// modules lists the steps of modules.json; nil if there is none.
func (m *mapping) modules() ([]module, error) {
	data, err := m.read("modules.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("modules.json: %w", err)
	}
	var list []module
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("modules.json: %w", err)
	}
	return list, nil
}

// warnOfDense names the dense layers behind an embedding model, which the output goes without.
func (m *mapping) warnOfDense() error {
	list, err := m.modules()
	if err != nil {
		return err
	}
	var paths []string
	for _, one := range list {
		if strings.HasSuffix(one.Type, "Dense") {
			paths = append(paths, one.Path)
		}
	}
	if len(paths) > 0 {
		m.warn("the dense layers in %s are left out, as llama.cpp's converter does by default: embeddings come as the model gives them", strings.Join(paths, ", "))
	}
	return nil
}

func (m *mapping) poolingType(name string) (uint32, error) {
	data, err := m.read(name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	doc, err := parseJSONObject(data)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	for _, p := range []struct {
		flag, mode string
		typ        uint32
	}{
		{"pooling_mode_mean_tokens", "mean", poolMean},
		{"pooling_mode_cls_token", "cls", poolCLS},
		{"pooling_mode_lasttoken", "lasttoken", poolLast},
	} {
		if on, _ := doc[p.flag].(bool); on || doc["pooling_mode"] == p.mode {
			return p.typ, nil
		}
	}
	return 0, fmt.Errorf("%s: pooling of an unknown kind, want mean, cls or lasttoken", name)
}
