package arch

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxCardNodes bounds what aliases can blow a front matter up to.
const maxCardNodes = 100_000

// readModelCard reads the front matter of README.md: the YAML between two lines of three dashes. All
// scalars are strings, since that is what they end up as; null is nil. A card without a front matter, or
// with one that is no YAML, is an empty one: it says nothing about the weights.
func readModelCard(read func(string) ([]byte, error)) (map[string]any, error) {
	data, err := read("README.md")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("README.md: %w", err)
	}
	return parseModelCard(string(data)), nil
}

func parseModelCard(text string) map[string]any {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if lines[0] != "---" {
		return nil
	}
	front := lines[1:]
	for i, line := range front {
		if line == "---" {
			front = front[:i]
			break
		}
	}
	var doc yaml.Node
	source := strings.ReplaceAll(strings.Join(front, "\n")+"\n", "\t", "  ")
	if err := yaml.Unmarshal([]byte(source), &doc); err != nil || len(doc.Content) == 0 {
		return nil
	}
	budget := maxCardNodes
	card, _ := plain(doc.Content[0], &budget).(map[string]any)
	if budget < 0 {
		return nil
	}
	return card
}

// plain turns a YAML node into strings, lists and maps. Keys that are no scalars are left out.
func plain(n *yaml.Node, budget *int) any {
	if *budget--; *budget < 0 {
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return plain(n.Alias, budget)
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil
		}
		return n.Value
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			list = append(list, plain(c, budget))
		}
		return list
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind == yaml.ScalarNode {
				m[n.Content[i].Value] = plain(n.Content[i+1], budget)
			}
		}
		return m
	}
	return nil
}
