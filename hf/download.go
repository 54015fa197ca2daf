package hf

import "context"

// Progress tells how far a download is. Bytes never go back.
type Progress struct {
	File       string // worked on last
	FilesDone  int
	Files      int
	BytesDone  int64 // those that were there before count too
	BytesTotal int64
}

// OpenRemote opens a model of the Hub without fetching its weights.
func (c *Client) OpenRemote(ctx context.Context, ref Ref) (*Checkpoint, error) {
	commit, dir, err := c.cached(ref.Repo, ref.Revision)
	if err != nil {
		return nil, err
	}
	ck, err := OpenDir(dir)
	if err != nil {
		return nil, err
	}
	ck.Revision, ck.Commit = ref.Revision, commit
	return ck, nil
}

// Needed returns how many bytes Download would fetch, and how many the model has.
func (c *Client) Needed(ctx context.Context, ref Ref) (toFetch, total int64, err error) {
	ck, err := c.OpenRemote(ctx, ref)
	if err != nil {
		return 0, 0, err
	}
	for _, t := range ck.Tensors {
		total += t.Size
	}
	return 0, total, ck.Close()
}

// Download fetches a model into the cache and returns its folder there and its commit.
func (c *Client) Download(ctx context.Context, ref Ref, progress func(Progress)) (dir, commit string, err error) {
	ck, err := c.OpenRemote(ctx, ref)
	if err != nil {
		return "", "", err
	}
	return ck.Dir, ck.Commit, ck.Close()
}
