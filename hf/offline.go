package hf

import (
	"errors"
	"fmt"
	"io/fs"
)

// openCached opens the model from the cache alone. cause is why the Hub isn't asked, or couldn't be.
func (c *Client) openCached(ref Ref, cause error) (*Checkpoint, error) {
	ck, err := c.model(ref).open(ref.Revision)
	if err == nil {
		return ck, nil
	}
	e := &Error{Kind: ErrOffline, Cause: cause}
	if c.offline {
		e.hint = "unset HF_HUB_OFFLINE to download it"
	} else {
		e.hint = "check the connection to " + c.endpoint + "; what was downloaded already is kept"
	}
	if errors.Is(err, fs.ErrNotExist) {
		e.Message = fmt.Sprintf("model %q isn't in the cache %s at revision %s, and the Hub can't be asked", ref.Repo, c.cache, ref.Revision)
	} else {
		e.Message = fmt.Sprintf("model %q isn't whole in the cache %s (%v), and the Hub can't be asked", ref.Repo, c.cache, err)
	}
	return nil, e
}

var errOffline = errors.New("HF_HUB_OFFLINE is set")
