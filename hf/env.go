package hf

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const defaultEndpoint = "https://huggingface.co"

// settings is what the environment says, by the names and defaults of huggingface_hub's constants.py, so that
// one setting serves this program and Python alike.
type settings struct {
	endpoint        string // without a slash at its end
	token           string // "" for none; never printed
	cache           string // the folder of models--org--name
	offline         bool
	symlinks        bool          // whether snapshots may be made of links
	etagTimeout     time.Duration // for an answer of the API
	downloadTimeout time.Duration // for the next bytes of a file
}

func readSettings(getenv func(string) string) settings {
	env := environment{getenv}
	home := env.path("HF_HOME", filepath.Join(env.path("XDG_CACHE_HOME", env.expand("~/.cache")), "huggingface"))
	s := settings{
		endpoint:        defaultEndpoint,
		cache:           env.path("HF_HUB_CACHE", env.path("HUGGINGFACE_HUB_CACHE", filepath.Join(home, "hub"))),
		token:           env.token(home),
		offline:         env.isTrue("HF_HUB_OFFLINE") || env.isTrue("TRANSFORMERS_OFFLINE"),
		symlinks:        !env.isTrue("HF_HUB_DISABLE_SYMLINKS"),
		etagTimeout:     env.seconds("HF_HUB_ETAG_TIMEOUT"),
		downloadTimeout: env.seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
	}
	if text := strings.TrimRight(getenv("HF_ENDPOINT"), "/"); text != "" {
		s.endpoint = text
	}
	return s
}

type environment struct{ getenv func(string) string }

func (e environment) isTrue(name string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(e.getenv(name)))
}

// path is the variable's value with ~ and $NAME replaced, or otherwise where it is not set.
func (e environment) path(name, otherwise string) string {
	value := e.getenv(name)
	if value == "" {
		return otherwise
	}
	return e.expand(value)
}

func (e environment) expand(path string) string {
	path = os.Expand(path, e.getenv)
	if path != "~" && !strings.HasPrefix(path, "~/") {
		return path
	}
	home := e.getenv("HOME")
	if home == "" {
		home, _ = os.UserHomeDir() // no home: the path stays relative, as in a container without users
	}
	return filepath.Join(home, path[1:])
}

// seconds is a timeout. What is no whole number of seconds is as if it were not set.
func (e environment) seconds(name string) time.Duration {
	n, err := strconv.Atoi(e.getenv(name))
	if err != nil || n < 1 || n > 86400 {
		n = 10
	}
	return time.Duration(n) * time.Second
}

// token finds the token in the variables or in the file that `hf auth login` writes.
func (e environment) token(home string) string {
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN"} {
		if token := strings.TrimSpace(e.getenv(name)); token != "" {
			return token
		}
	}
	if e.isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
		return ""
	}
	path := e.path("HF_TOKEN_PATH", filepath.Join(home, "token"))
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 4096 {
		return "" // as in huggingface_hub, a file that isn't there or can't be read is no token
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
