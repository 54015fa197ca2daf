package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// slowSteps are the pre-tokenizers of transformers' classes that keep a byte-level vocabulary in vocab.json and merges.txt
// and have no tokenizer.json: the library makes one of them by its converters (transformers/convert_slow_tokenizer.py).
// Dream's class is a copy of Qwen 2's.
var slowSteps = map[string][]any{
	"GPT2Tokenizer":    {object{"type": "ByteLevel", "use_regex": true}},
	"CodeGenTokenizer": {object{"type": "ByteLevel", "use_regex": true}},
	"Qwen2Tokenizer":   qwen2Steps,
	"DreamTokenizer":   qwen2Steps,
}

var qwen2Steps = []any{
	object{"type": "Split", "pattern": object{"Regex": qwen2Regex}, "behavior": "Isolated", "invert": false},
	object{"type": "ByteLevel", "use_regex": false},
}

// slow makes of vocab.json and merges.txt what tokenizer.json would have been, without its added tokens, which gguf-py
// looks for in that file alone; nil if there is no vocab.json.
func (l *loader) slow() (*tokenizerJSON, error) {
	data, err := optional(l.files.read, "vocab.json")
	if data == nil || err != nil {
		return nil, err
	}
	merges, err := optional(l.files.read, "merges.txt")
	if err != nil {
		return nil, err
	}
	if merges == nil {
		return nil, errors.New("vocab.json without merges.txt or tokenizer.json")
	}
	class := str(l.files.config["tokenizer_class"])
	steps, ok := slowSteps[class]
	if !ok && l.opts.Pre == "" {
		return nil, &UnknownPreTokenizerError{Steps: []string{fmt.Sprintf("that of the class %q, which has no tokenizer.json", class)}}
	}
	t := &tokenizerJSON{slow: true, PreTokenizer: object{"type": "Sequence", "pretokenizers": steps}, Decoder: object{"type": "ByteLevel"}}
	t.Model.Type = "BPE"
	if err := json.Unmarshal(data, &t.vocab); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	for text, id := range t.vocab {
		if id < 0 || id >= maxTokens {
			return nil, fmt.Errorf("vocab.json: token %q: id %d, want 0 to %d", text, id, maxTokens-1)
		}
	}
	if len(t.vocab) == 0 {
		return nil, errors.New("vocab.json: no tokens")
	}
	t.merges = parseMergesTxt(merges)
	return t, nil
}
