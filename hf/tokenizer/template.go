package tokenizer

import (
	"slices"
	"strings"
)

// templates finds the chat templates, as SpecialVocab does: chat_template of tokenizer_config.json, else
// chat_template.jinja (with additional_chat_templates beside it), else chat_template.json. A model without
// tokenizer_config.json has none, and a null in it means none as well.
func (l *loader) templates(v *Vocab) error {
	if len(l.files.config) == 0 {
		return nil
	}
	value, ok := l.files.config["chat_template"]
	if !ok {
		var err error
		if value, err = l.templateFile(); err != nil {
			return err
		}
	}
	named, many := value.([]any)
	if !many {
		v.ChatTemplate = str(value)
		return nil
	}
	for _, x := range named {
		text, ok := dig(x, "template").(string)
		name := safeName(str(dig(x, "name")))
		switch {
		case !ok || name == "":
		case name == "default":
			v.ChatTemplate = text
		default:
			v.setTemplate(name, text)
		}
	}
	return nil
}

// templateFile reads the template from a file of its own: text, or a list of named ones.
func (l *loader) templateFile() (any, error) {
	jinja, err := optional(l.files.read, "chat_template.jinja")
	if err != nil {
		return nil, err
	}
	if jinja == nil {
		o, err := optionalObject(l.files.read, "chat_template.json")
		return o["chat_template"], err
	}
	templates := []any{object{"name": "default", "template": string(jinja)}}
	for _, name := range additionalNames {
		text, err := optional(l.files.read, "additional_chat_templates/"+name+".jinja")
		if err != nil {
			return nil, err
		}
		if text != nil {
			templates = append(templates, object{"name": name, "template": string(text)})
		}
	}
	return templates, nil
}

// additionalNames are the templates that models have beside the default one. The converter takes every file
// of additional_chat_templates; here files are asked for by name, which works on the Hub as well.
var additionalNames = []string{"rag", "tool_use"}

// setTemplate adds a named template; a later one of the same name takes its place.
func (v *Vocab) setTemplate(name, text string) {
	if i := slices.IndexFunc(v.Templates, func(t Template) bool { return t.Name == name }); i >= 0 {
		v.Templates[i].Text = text
		return
	}
	v.Templates = append(v.Templates, Template{name, text})
}

// safeName keeps ASCII letters and digits, which become part of a metadata key.
func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}
