package hf

import (
	"fmt"
)

// Client reads models from the Hub and from the cache that Python's huggingface_hub shares. It may be used by
// several goroutines at once.
type Client struct {
	settings
	agent string
}

// NewClient returns a client set up by the environment (HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE,
// HF_HUB_OFFLINE, ...; see settings). It calls the Hub under the name nexus-quant/version.
func NewClient(getenv func(string) string, version string) *Client {
	return &Client{settings: readSettings(getenv), agent: "nexus-quant/" + version}
}

// CacheDir returns the folder of the hub cache. It may not exist yet.
func (c *Client) CacheDir() string { return c.cache }

// check says whether the client can be asked for the model, and completes its reference.
func (c *Client) check(ref Ref) (Ref, error) {
	if ref.Kind != Hub {
		return ref, fmt.Errorf("model %q is not on the Hub", ref)
	}
	if ref.Revision == "" {
		ref.Revision = "main" // every repository has it
	}
	if err := checkRepo(ref.Repo); err != nil {
		return ref, badRef(ref.String(), err)
	}
	if err := checkRevision(ref.Revision); err != nil {
		return ref, badRef(ref.String(), err)
	}
	return ref, nil
}

func (c *Client) model(ref Ref) modelCache {
	return modelCache{root: c.cache, repo: ref.Repo, symlinks: c.symlinks}
}
