package hf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	stored := filepath.Join(home, "stored")
	if err := os.WriteFile(stored, []byte(" hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hub := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	for name, test := range map[string]struct {
		env  map[string]string
		want func(*settings)
	}{
		"defaults":                    {nil, func(*settings) {}},
		"XDG_CACHE_HOME":              {map[string]string{"XDG_CACHE_HOME": hub("xdg")}, func(s *settings) { s.cache = hub("xdg", "huggingface", "hub") }},
		"HF_HOME":                     {map[string]string{"HF_HOME": hub("hf"), "XDG_CACHE_HOME": "/x"}, func(s *settings) { s.cache = hub("hf", "hub") }},
		"HF_HOME below ~":             {map[string]string{"HF_HOME": "~/hf"}, func(s *settings) { s.cache = hub("hf", "hub") }},
		"HF_HOME with a variable":     {map[string]string{"HF_HOME": "$DISK/hf", "DISK": hub("d")}, func(s *settings) { s.cache = hub("d", "hf", "hub") }},
		"HUGGINGFACE_HUB_CACHE":       {map[string]string{"HUGGINGFACE_HUB_CACHE": hub("old"), "HF_HOME": "/x"}, func(s *settings) { s.cache = hub("old") }},
		"HF_HUB_CACHE goes first":     {map[string]string{"HF_HUB_CACHE": hub("new"), "HUGGINGFACE_HUB_CACHE": "/x"}, func(s *settings) { s.cache = hub("new") }},
		"HF_ENDPOINT":                 {map[string]string{"HF_ENDPOINT": "https://mirror.example/hf//"}, func(s *settings) { s.endpoint = "https://mirror.example/hf" }},
		"HF_TOKEN":                    {map[string]string{"HF_TOKEN": "hf_a\n", "HUGGING_FACE_HUB_TOKEN": "hf_b"}, func(s *settings) { s.token = "hf_a" }},
		"HUGGING_FACE_HUB_TOKEN":      {map[string]string{"HUGGING_FACE_HUB_TOKEN": "hf_b", "HUGGINGFACE_TOKEN": "hf_c"}, func(s *settings) { s.token = "hf_b" }},
		"HUGGINGFACE_TOKEN":           {map[string]string{"HUGGINGFACE_TOKEN": "hf_c", "HF_TOKEN_PATH": stored}, func(s *settings) { s.token = "hf_c" }},
		"HF_TOKEN_PATH":               {map[string]string{"HF_TOKEN_PATH": stored}, func(s *settings) { s.token = "hf_file" }},
		"no implicit token":           {map[string]string{"HF_TOKEN_PATH": stored, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "yes"}, func(*settings) {}},
		"explicit token is not":       {map[string]string{"HF_TOKEN": "hf_a", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, func(s *settings) { s.token = "hf_a" }},
		"offline":                     {map[string]string{"HF_HUB_OFFLINE": "on"}, func(s *settings) { s.offline = true }},
		"offline by transformers":     {map[string]string{"TRANSFORMERS_OFFLINE": "True"}, func(s *settings) { s.offline = true }},
		"offline switched off":        {map[string]string{"HF_HUB_OFFLINE": "0"}, func(*settings) {}},
		"no symlinks":                 {map[string]string{"HF_HUB_DISABLE_SYMLINKS": "1"}, func(s *settings) { s.symlinks = false }},
		"timeouts":                    {map[string]string{"HF_HUB_DOWNLOAD_TIMEOUT": "30", "HF_HUB_ETAG_TIMEOUT": "3"}, func(s *settings) { s.downloadTimeout, s.etagTimeout = 30*time.Second, 3*time.Second }},
		"timeouts that are no number": {map[string]string{"HF_HUB_DOWNLOAD_TIMEOUT": "-1", "HF_HUB_ETAG_TIMEOUT": "soon"}, func(*settings) {}},
	} {
		t.Run(name, func(t *testing.T) {
			want := settings{
				endpoint: "https://huggingface.co", cache: hub(".cache", "huggingface", "hub"), symlinks: true,
				downloadTimeout: 10 * time.Second, etagTimeout: 10 * time.Second,
			}
			test.want(&want)
			got := readSettings(func(name string) string {
				if name == "HOME" {
					return home
				}
				return test.env[name]
			})
			if d := cmp.Diff(want, got, cmp.AllowUnexported(settings{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTokenFileInHFHome(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("hf_home"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := readSettings(func(name string) string { return map[string]string{"HF_HOME": dir}[name] })
	if got.token != "hf_home" {
		t.Errorf("got token %q", got.token)
	}
}

func TestSettingsThatCantBeUsedAreRefusedWithoutBeingShown(t *testing.T) {
	for _, env := range []map[string]string{
		{"HF_ENDPOINT": "huggingface.co"},
		{"HF_ENDPOINT": "ftp://mirror.example"},
		{"HF_ENDPOINT": "https://user:secret@mirror.example"},
		{"HF_ENDPOINT": "https://mirror.example?key=secret"},
		{"HF_ENDPOINT": "://secret"},
		{"HF_TOKEN": "hf_secret\nInjected: 1"},
		{"HF_TOKEN": "my secret"},
	} {
		env["HF_HOME"] = t.TempDir()
		c := NewClient(func(name string) string { return env[name] }, "test")
		_, err := c.OpenRemote(t.Context(), hubRef(""))
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "HF_") {
			t.Errorf("%v: got %v", env, err)
		}
	}
}
