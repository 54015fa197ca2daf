package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/registry"
)

// Runner is a program on this machine that can run a GGUF file, with its arguments.
type Runner struct {
	Program string   `json:"program"`
	Args    []string `json:"args"`
	Path    string   `json:"path"` // of the program; "" if it is not there
}

// String is the command as a shell takes it.
func (r Runner) String() string {
	list := []string{r.Program}
	for _, a := range r.Args {
		if strings.ContainsAny(a, " \t'\"$&;()<>|*?[]#~\\`!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		list = append(list, a)
	}
	return strings.Join(list, " ")
}

// RunnersFor names the programs that can run a registered file, those that are there first.
func (s *Service) RunnersFor(ref string, context int64) ([]Runner, error) {
	m, v, err := s.used(ref)
	if err != nil {
		return nil, err
	}
	server := []string{"-m", v.Path}
	if context > 0 {
		server = append(server, "-c", fmt.Sprint(context))
	}
	cli := "llama-cli"
	if tower := towerBeside(m, v); tower != "" {
		server, cli = append(server, "--mmproj", tower), "llama-mtmd-cli"
	}
	all := []Runner{{Program: "llama-server", Args: server}, {Program: cli, Args: server}}
	var there, absent []Runner
	for _, r := range all {
		if path, err := exec.LookPath(r.Program); err == nil {
			r.Path = path
			there = append(there, r)
		} else {
			absent = append(absent, r)
		}
	}
	if path, err := exec.LookPath("ollama"); err == nil {
		name := ollamaName(v)
		there = append(there, Runner{Program: "ollama", Args: []string{"run", name}, Path: path})
	}
	return append(there, absent...), nil
}

// ollamaName is a name that ollama accepts for a file.
func ollamaName(v Variant) string {
	base := strings.TrimSuffix(v.FileName, ".gguf")
	base = strings.TrimSuffix(base, "-"+v.Type)
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		}
		return '-'
	}, base)
	return clean + ":" + strings.ToLower(v.Type)
}

// Exported is what was written for another program, and what to do next.
type Exported struct {
	Path string `json:"path"`
	Next string `json:"next"` // command to run
}

// ExportOllama writes a Modelfile for a registered file into dir.
func (s *Service) ExportOllama(ref, dir string) (Exported, error) {
	m, v, err := s.used(ref)
	if err != nil {
		return Exported{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Exported{}, err
	}
	path := filepath.Join(dir, strings.TrimSuffix(v.FileName, ".gguf")+".Modelfile")
	if err := checkAbsent(path); err != nil {
		return Exported{}, err
	}
	// the chat template and the parameters are in the file's own metadata
	text := "FROM " + v.Path + "\n"
	if tower := towerBeside(m, v); tower != "" {
		text += "FROM " + tower + "\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return Exported{}, err
	}
	create := Runner{Program: "ollama", Args: []string{"create", ollamaName(v), "-f", path}}
	return Exported{Path: path, Next: create.String()}, nil
}

// ExportLMStudio puts a registered file where LM Studio looks for models: a link, so that it takes no room.
func (s *Service) ExportLMStudio(ref, root string) (Exported, error) {
	m, v, err := s.used(ref)
	if err != nil {
		return Exported{}, err
	}
	if root == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return Exported{}, err
		}
		root = filepath.Join(home, ".lmstudio", "models")
	}
	publisher, name, ok := strings.Cut(m.ID, "/")
	if !ok {
		publisher, name = "local", m.ID
	}
	dir := filepath.Join(root, filepath.Base(publisher), filepath.Base(name)+"-GGUF")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Exported{}, err
	}
	path := filepath.Join(dir, v.FileName)
	if err := checkAbsent(path); err != nil {
		return Exported{}, err
	}
	if err := link(v.Path, path); err != nil {
		return Exported{}, err
	}
	if tower := towerBeside(m, v); tower != "" { // LM Studio finds it there by its name
		if err := link(tower, filepath.Join(dir, filepath.Base(tower))); err != nil && !errors.Is(err, fs.ErrExist) {
			return Exported{}, err
		}
	}
	load := Runner{Program: "lms", Args: []string{"load", filepath.Base(name)}}
	return Exported{Path: path, Next: load.String()}, nil
}

func link(from, to string) error {
	err := os.Link(from, to)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Symlink(from, to)
	}
	return err
}

// used is a registered file that a program is to run, with its model and all files of that.
func (s *Service) used(ref string) (Model, Variant, error) {
	m, v, err := s.Variant(ref)
	if errors.Is(err, registry.ErrAmbiguous) { // a model's one file and what it sees with are no choice
		if whole, e := s.Model(ref); e == nil {
			text := slices.DeleteFunc(whole.Variants, func(v Variant) bool { _, tower := quant.CutTower(v.Type); return tower })
			if len(text) == 1 {
				m, v, err = whole, text[0], nil
			}
		}
	}
	if err != nil {
		return m, v, err
	}
	if v.Missing {
		return m, v, fmt.Errorf("%s: the file was moved or deleted: %w", v.Path, fs.ErrNotExist)
	}
	if _, tower := quant.CutTower(v.Type); tower {
		return m, v, &UsageError{Err: fmt.Errorf("%s: is what a model sees or hears with, and runs beside one", v.Path), hint: "name one of the model's other files"}
	}
	if _, adapter := quant.CutAdapter(v.Type); adapter {
		return m, v, &UsageError{Err: fmt.Errorf("%s: is an adapter, and runs beside a model", v.Path), hint: "name the model, and pass --lora with this file to llama.cpp's programs"}
	}
	m, err = s.Model(m.ID)
	return m, v, err
}

// towerBeside is the mmproj file of a model that lies in the folder of one of its others, the biggest of several; "" for
// none.
func towerBeside(m Model, v Variant) string {
	for _, other := range m.Variants {
		if _, tower := quant.CutTower(other.Type); tower && !other.Missing && filepath.Dir(other.Path) == filepath.Dir(v.Path) {
			return other.Path
		}
	}
	return ""
}

func checkAbsent(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return err
		}
		return &UsageError{Err: fmt.Errorf("%s: exists already", path), hint: "delete it, or choose another folder with --dir"}
	}
	return nil
}
