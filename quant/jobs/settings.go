package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/quant"
)

// Settings are what holds for all jobs. Flags win over the environment, the environment over the file, the file over
// the defaults.
type Settings struct {
	Home        string   // folder of the registry and its logs
	File        string   // the file of settings, which need not be there
	OutputDir   string   // where outputs go when a job does not say
	ModelsDir   string   // where local models lie that the server may read; "" for none
	Threads     int      // 0: all cores
	MaxMemory   int64    // bytes
	Concurrency int      // jobs at once on a server
	Addr        string   // of the server
	AllowPaths  []string // further folders that requests to the server may name

	origins map[string]string
}

// Setting is one setting, with where it comes from.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "default", "environment NAME", "file PATH"
}

// settingsFile is the form of the file.
type settingsFile struct {
	OutputDir   string   `json:"output_dir"`
	ModelsDir   string   `json:"models_dir"`
	Threads     int      `json:"threads"`
	MaxMemory   string   `json:"max_memory"`
	Concurrency int      `json:"concurrency"`
	Addr        string   `json:"addr"`
	AllowPaths  []string `json:"allow_paths"`
}

// DefaultAddr is where the server listens when nothing else is said.
const DefaultAddr = "127.0.0.1:8700"

// LoadSettings reads the environment and the file of settings.
func LoadSettings(getenv func(string) string) (Settings, error) {
	s := Settings{MaxMemory: quant.DefaultMaxMemory, Concurrency: 1, Addr: DefaultAddr, origins: map[string]string{}}
	state, config, err := homes(getenv)
	if err != nil {
		return s, err
	}
	s.Home, s.File = state, filepath.Join(config, "config.json")
	if s.OutputDir, err = os.Getwd(); err != nil {
		s.OutputDir = "."
	}
	if err := s.readFile(); err != nil {
		return s, err
	}
	env := func(name, setting string, set func(string) error) error {
		v := getenv(name)
		if v == "" {
			return nil
		}
		s.origins[setting] = "environment " + name
		if err := set(v); err != nil {
			return &UsageError{Err: fmt.Errorf("%s=%s: %w", name, v, err)}
		}
		return nil
	}
	return s, errors.Join(
		env("QUANTIZATION_OUTPUT_DIR", "output_dir", func(v string) error { s.OutputDir = v; return nil }),
		env("MODELS_DIR", "models_dir", func(v string) error { s.ModelsDir = v; return nil }),
		env("NEXUS_QUANT_THREADS", "threads", func(v string) (err error) { s.Threads, err = positive(v); return }),
		env("NEXUS_QUANT_MAX_MEMORY", "max_memory", func(v string) (err error) { s.MaxMemory, err = ParseSize(v); return }),
		env("NEXUS_QUANT_CONCURRENCY", "concurrency", func(v string) (err error) { s.Concurrency, err = positive(v); return }),
		env("NEXUS_QUANT_ADDR", "addr", func(v string) error { s.Addr = v; return nil }),
	)
}

// homes are the folders of state and of settings: XDG's, or both below NEXUS_QUANT_HOME.
func homes(getenv func(string) string) (state, config string, err error) {
	if home := getenv("NEXUS_QUANT_HOME"); home != "" {
		abs, err := filepath.Abs(home)
		return abs, abs, err
	}
	home := getenv("HOME")
	if home == "" {
		if home, err = os.UserHomeDir(); err != nil {
			return "", "", fmt.Errorf("no home folder for the registry: %w", err)
		}
	}
	dir := func(name, fallback string) string {
		if v := getenv(name); filepath.IsAbs(v) {
			return filepath.Join(v, "nexus-quant")
		}
		return filepath.Join(home, fallback, "nexus-quant")
	}
	return dir("XDG_STATE_HOME", ".local/state"), dir("XDG_CONFIG_HOME", ".config"), nil
}

func (s *Settings) readFile() error {
	b, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var f settingsFile
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return &UsageError{Err: fmt.Errorf("%s: %w", s.File, err), hint: "nexus-quant config shows the settings and their names"}
	}
	origin := "file " + s.File
	text := func(name, v string, to *string) {
		if v != "" {
			*to, s.origins[name] = v, origin
		}
	}
	text("output_dir", f.OutputDir, &s.OutputDir)
	text("models_dir", f.ModelsDir, &s.ModelsDir)
	text("addr", f.Addr, &s.Addr)
	if f.Threads > 0 {
		s.Threads, s.origins["threads"] = f.Threads, origin
	}
	if f.Concurrency > 0 {
		s.Concurrency, s.origins["concurrency"] = f.Concurrency, origin
	}
	if f.MaxMemory != "" {
		if s.MaxMemory, err = ParseSize(f.MaxMemory); err != nil {
			return &UsageError{Err: fmt.Errorf("%s: max_memory: %w", s.File, err)}
		}
		s.origins["max_memory"] = origin
	}
	if len(f.AllowPaths) > 0 {
		s.AllowPaths, s.origins["allow_paths"] = f.AllowPaths, origin
	}
	return nil
}

func positive(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("want a whole number, 1 or more")
	}
	return n, nil
}

// Explain lists the settings with where each comes from.
func (s *Settings) Explain() []Setting {
	threads := "all cores"
	if s.Threads > 0 {
		threads = strconv.Itoa(s.Threads)
	}
	list := []Setting{
		{"home", s.Home, "environment"}, {"file", s.File, "environment"},
		{"output_dir", s.OutputDir, ""}, {"models_dir", s.ModelsDir, ""}, {"threads", threads, ""},
		{"max_memory", strconv.FormatInt(s.MaxMemory, 10), ""}, {"concurrency", strconv.Itoa(s.Concurrency), ""},
		{"addr", s.Addr, ""}, {"allow_paths", strings.Join(s.AllowPaths, ", "), ""},
	}
	for i := range list {
		if list[i].Origin == "" {
			list[i].Origin = "default"
			if o := s.origins[list[i].Name]; o != "" {
				list[i].Origin = o
			}
		}
	}
	return list
}

// folders lists the folders that requests to the server may name.
func (s *Settings) folders() []string {
	list := []string{s.OutputDir}
	if s.ModelsDir != "" {
		list = append(list, s.ModelsDir)
	}
	return append(list, s.AllowPaths...)
}

// within tells whether a path, links resolved, lies below one of the allowed folders. Of a path that is not there yet
// the nearest folder that is counts.
func (s *Settings) within(path string) bool {
	real := realPath(path)
	for _, dir := range s.folders() {
		abs, err := filepath.Abs(dir)
		if err != nil {
			continue
		}
		rel, err := filepath.Rel(realPath(abs), real)
		if err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// realPath resolves the links of the part of a path that exists.
func realPath(path string) string {
	path = filepath.Clean(path)
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, rest)
		}
		parent := filepath.Dir(path)
		if parent == path {
			return filepath.Join(path, rest)
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = parent
	}
}
