package hf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
	"github.com/nexus-quant/nexus-quant/hf/torchfile"
)

const (
	singleFile      = "model.safetensors"
	indexFile       = "model.safetensors.index.json"
	singleTorchFile = "pytorch_model.bin"
	torchIndexFile  = "pytorch_model.bin.index.json"

	// AdapterConfig is the file that says how an adapter is applied.
	AdapterConfig = "adapter_config.json"
)

// adapterFiles are the files that an adapter's weights can be in.
var adapterFiles = []string{"adapter_model.safetensors", "adapter_model.bin"}

// layout says where a model's weights are: the shards by name and, of a sharded model, what each must hold.
type layout struct {
	shards    []string          // sorted
	index     map[string]string // tensor to shard; nil for a single file
	indexName string            // of the index's file
}

// findWeights decides where the weights are, from the names of the model's files and its index. As in transformers,
// safetensors go before files of PyTorch, and a single file before an index. who names the model in messages.
//
// Of an adapter there is one file at most.
func findWeights(who string, files fileReader, adapter bool) (layout, error) {
	if adapter {
		for _, name := range adapterFiles {
			if files.has(name) {
				return layout{shards: []string{name}}, nil
			}
		}
		return layout{}, &Error{
			Kind: ErrNoWeights, Message: fmt.Sprintf("%s: no adapter: neither %s nor %s", who, adapterFiles[0], adapterFiles[1]),
			hint: "a LoRA adapter is a folder or a Hub id with " + adapterFiles[0] + " and " + AdapterConfig + ", as peft saves it",
		}
	}
	for _, kind := range []struct{ single, index, suffix string }{
		{singleFile, indexFile, ".safetensors"},
		{singleTorchFile, torchIndexFile, ".bin"},
	} {
		if files.has(kind.single) {
			return layout{shards: []string{kind.single}}, nil
		}
		if files.has(kind.index) {
			return readIndex(who, files, kind.index, kind.suffix)
		}
	}
	names, err := files.names()
	if err != nil {
		return layout{}, fmt.Errorf("%s: %w", who, err)
	}
	return layout{}, noWeights(who, names)
}

// readIndex reads an index and looks whether all shards are there.
func readIndex(who string, files fileReader, name, suffix string) (layout, error) {
	data, err := files.ReadFile(name)
	if err != nil {
		return layout{}, fmt.Errorf("%s: %w", who, err)
	}
	l, err := parseIndex(data, suffix)
	if err != nil {
		return layout{}, fmt.Errorf("%s: %s: %w", who, name, err)
	}
	l.indexName = name
	var missing []string
	for _, shard := range l.shards {
		if !files.has(shard) {
			missing = append(missing, shard)
		}
	}
	if len(missing) > 0 {
		return layout{}, &Error{
			Kind:    ErrIncomplete,
			Message: fmt.Sprintf("%s: %s (%d of %d present)", who, missingShards(missing), len(l.shards)-len(missing), len(l.shards)),
			hint:    "download the model again; what is there already is not fetched twice",
		}
	}
	return l, nil
}

func missingShards(missing []string) string {
	switch n := len(missing); n {
	case 1:
		return "shard " + missing[0] + " is missing"
	case 2:
		return "shards " + missing[0] + " and " + missing[1] + " are missing"
	default:
		return fmt.Sprintf("shards %s and %d others are missing", missing[0], n-1)
	}
}

// parseIndex reads an index: {"metadata": {...}, "weight_map": {tensor: shard}}.
func parseIndex(data []byte, suffix string) (layout, error) {
	var doc struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return layout{}, err
	}
	if len(doc.WeightMap) == 0 {
		return layout{}, errors.New("weight_map is missing or empty")
	}
	l := layout{index: doc.WeightMap}
	seen := map[string]bool{}
	for tensor, shard := range doc.WeightMap {
		if err := checkName(shard); err != nil {
			return layout{}, fmt.Errorf("weight_map: tensor %q: %w", tensor, err)
		}
		if !strings.HasSuffix(shard, suffix) {
			return layout{}, fmt.Errorf("weight_map: tensor %q: shard %q is not a %s file", tensor, shard, suffix)
		}
		if !seen[shard] {
			seen[shard] = true
			l.shards = append(l.shards, shard)
		}
	}
	slices.Sort(l.shards)
	return l, nil
}

// checkName refuses a file name that could leave the model's folder. Names inside a model are
// slash-separated on every system.
func checkName(name string) error {
	if name == "" || strings.ContainsAny(name, "\\:\x00") || path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("file name %q leads out of the model's folder", name)
	}
	return nil
}

// noWeights says what is there instead.
func noWeights(who string, names []string) error {
	has := func(pattern string) bool {
		return slices.ContainsFunc(names, func(n string) bool { ok, _ := path.Match(pattern, n); return ok })
	}
	e := &Error{Kind: ErrNoWeights}
	switch {
	case has("model-*-of-*.safetensors"):
		e.Kind = ErrIncomplete
		e.Message = "has shards of weights, but no " + indexFile
		e.hint = "fetch " + indexFile + " from where the shards came from"
	case has("pytorch_model-*-of-*.bin"):
		e.Kind = ErrIncomplete
		e.Message = "has shards of weights, but no " + torchIndexFile
		e.hint = "fetch " + torchIndexFile + " from where the shards came from"
	case has(adapterFiles[0]), has(AdapterConfig):
		e.Message = "is an adapter (LoRA), not a whole model"
		e.hint = "name its base model and pass --merge-lora with the adapter, or pass --base with its base model to make an adapter file"
	case has("consolidated*.safetensors"):
		e.Message = "has weights in the consolidated layout only"
		e.hint = "take the model's Hugging Face version, with " + singleFile + " or " + indexFile
	case has("*.gguf"):
		e.Message = "has GGUF files, but no " + singleFile
		e.hint = "name the .gguf file itself"
	default:
		e.Message = fmt.Sprintf("no weights: neither %s nor %s nor %s", singleFile, indexFile, singleTorchFile)
		e.hint = "a model is a folder with config.json, tokenizer files and .safetensors or .bin weights"
	}
	e.Message = who + ": " + e.Message
	return e
}

// collect puts the tensors of all shards together and holds them against the index. headers has the
// tensors of each shard.
func (l layout) collect(who string, headers map[string][]*safetensors.Tensor) ([]*safetensors.Tensor, error) {
	var all []*safetensors.Tensor
	for _, shard := range l.shards {
		for _, t := range headers[shard] {
			if l.index != nil && l.index[t.Name] != shard {
				return nil, &Error{Kind: ErrIncomplete, Message: l.extraTensor(who, t.Name, shard)}
			}
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *safetensors.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	// Every tensor is where the index has it, so a difference in number can only be an absence.
	if l.index != nil && len(all) != len(l.index) {
		for i, name := range slices.Sorted(maps.Keys(l.index)) {
			if i >= len(all) || all[i].Name != name {
				return nil, &Error{
					Kind:    ErrIncomplete,
					Message: fmt.Sprintf("%s: tensor %q is in %s, but not in shard %s", who, name, l.indexName, l.index[name]),
				}
			}
		}
	}
	if len(all) == 0 {
		return nil, &Error{Kind: ErrNoWeights, Message: who + ": weights hold no tensor"}
	}
	return all, nil
}

func (l layout) extraTensor(who, tensor, shard string) string {
	if want := l.index[tensor]; want != "" {
		return fmt.Sprintf("%s: shard %s holds tensor %q, which %s has in %s", who, shard, tensor, l.indexName, want)
	}
	return fmt.Sprintf("%s: shard %s holds tensor %q, which %s doesn't list", who, shard, tensor, l.indexName)
}

// readTensors reads the header of a file of weights, of the kind that its name says.
func readTensors(r io.ReaderAt, size int64, name string) ([]*safetensors.Tensor, error) {
	if strings.HasSuffix(name, ".bin") {
		return torchfile.ReadHeader(r, size, name)
	}
	tensors, _, err := safetensors.ReadHeader(r, size, name)
	return tensors, err
}
