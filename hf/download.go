package hf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Progress tells how far a download is. Bytes never go back.
type Progress struct {
	File       string // worked on last
	FilesDone  int
	Files      int
	BytesDone  int64 // those that were there before count too
	BytesTotal int64
}

// filesAtOnce is how many files are fetched side by side; they share the connections.
const filesAtOnce = 3

// Download brings a model into the cache: config, tokenizer and weights, as Python's huggingface_hub lays them
// out. What is there already is not fetched again; what an earlier run left unfinished is gone on with. Each
// file is checked against the size and the checksum that the Hub states. It returns the snapshot's folder
// and the commit. progress may be nil; it is called by one goroutine at a time.
//
// A cancelled ctx ends it at once and leaves what was fetched to the next run. Errors as OpenRemote's.
func (c *Client) Download(ctx context.Context, ref Ref, progress func(Progress)) (dir, commit string, err error) {
	m, err := c.find(ctx, ref)
	if err != nil {
		return "", "", err
	}
	if m.info == nil {
		return m.dir, m.commit, nil
	}
	files, err := m.files(ctx)
	if err != nil {
		return "", "", err
	}
	meter := newMeter(progress, files)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	for _, f := range files {
		g.Go(func() error {
			if !c.hasFile(m.repo, m.commit, &f.remoteFile) {
				if err := f.fetch(ctx, func(n int64) { meter.grown(f, n) }); err != nil {
					return m.explain(err)
				}
			} else {
				meter.grown(f, f.Size)
			}
			meter.finished(f)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return "", "", err
	}
	c.writeRefs(m.repo, m.commit)
	return m.dir, m.commit, nil
}

// Needed returns how many bytes Download would fetch, and how many the model has in all. It fetches the small files.
func (c *Client) Needed(ctx context.Context, ref Ref) (toFetch, total int64, err error) {
	m, err := c.find(ctx, ref)
	if err != nil {
		return 0, 0, err
	}
	if m.info == nil {
		ck, err := openDir(m.dir, m.adapter)
		if err != nil {
			return 0, 0, err
		}
		for _, t := range ck.Tensors {
			total += t.Size
		}
		return 0, total, ck.Close()
	}
	files, err := m.files(ctx)
	if err != nil {
		return 0, 0, err
	}
	seen := map[string]bool{} // two names of one content are fetched once
	for _, f := range files {
		total += f.Size
		if seen[f.etag()] || c.hasFile(m.repo, m.commit, &f.remoteFile) || c.hasBlob(m.repo, &f.remoteFile) {
			continue
		}
		seen[f.etag()] = true
		toFetch += f.Size - fetchedBytes(c.partialPath(m.repo, f.etag()), f.Size)
	}
	return toFetch, total, nil
}

// model is a model that was found: on the Hub, or, where the Hub isn't asked or can't be reached, in the cache.
type model struct {
	client *Client
	repo   string
	commit string
	dir    string   // of the snapshot
	info   *listing // nil for a model in the cache
	byName map[string]*hubFile

	adapter bool // of the files, those of a LoRA adapter count
}

// find asks the Hub for the model. Offline, or if the Hub can't be reached, a complete model in the cache will do.
func (c *Client) find(ctx context.Context, ref Ref) (*model, error) {
	if ref.Kind != Hub {
		return nil, fmt.Errorf("model %q is not on the Hub", ref)
	}
	if err := errors.Join(checkRepo(ref.Repo), checkRevision(revisionOf(ref))); err != nil {
		return nil, badRef(ref.String(), err)
	}
	if c.invalid != nil && !c.offline {
		return nil, fmt.Errorf("model %q: %w", ref.Repo, c.invalid)
	}
	commit, dir, cacheErr := c.cached(ref.Repo, revisionOf(ref), ref.Adapter)
	if c.offline {
		if cacheErr != nil {
			return nil, &Error{
				Kind: ErrOffline, Message: "HF_HUB_OFFLINE is set", Cause: cacheErr,
				hint: "unset HF_HUB_OFFLINE for the first run: nexus-quant fetches what is missing",
			}
		}
		return &model{client: c, repo: ref.Repo, commit: commit, dir: dir, adapter: ref.Adapter}, nil
	}
	retries := maxRetries
	if cacheErr == nil {
		retries = 1 // there is another way
	}
	info, err := c.resolve(ctx, ref.Repo, revisionOf(ref), retries)
	if err != nil {
		if cacheErr == nil && errors.Is(err, ErrOffline) {
			return &model{client: c, repo: ref.Repo, commit: commit, dir: dir, adapter: ref.Adapter}, nil
		}
		return nil, err
	}
	m := &model{client: c, repo: ref.Repo, commit: info.Commit, dir: c.snapshotDir(ref.Repo, info.Commit), info: info, byName: map[string]*hubFile{}, adapter: ref.Adapter}
	for _, f := range info.Files {
		m.byName[f.Name] = &hubFile{remoteFile: f, client: c, info: info}
	}
	c.remember(info)
	return m, nil
}

// remember notes in memory which commit a revision was found to be. The cache is told only when the commit is whole
// there: an older one that is whole shall not be hidden, offline, by one of which someone only saw the headers.
func (c *Client) remember(info *listing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[[2]string]string{}
	}
	c.seen[[2]string{info.Repo, info.Revision}] = info.Commit
}

// writeRefs notes in the cache all revisions that were found to be this commit, also by earlier calls: who plans with
// a branch and downloads the commit that it was means the branch. A cache that can't be written to serves all the same.
func (c *Client) writeRefs(repo, commit string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, seen := range c.seen {
		if key[0] == repo && seen == commit {
			_ = c.writeRef(repo, key[1], commit)
		}
	}
}

func revisionOf(ref Ref) string {
	if ref.Revision == "" {
		return "main"
	}
	return ref.Revision
}

// explain adds the model to an error of the file system.
func (m *model) explain(err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("model %q: %w", m.repo, err)
}

// files gives all files that a conversion needs: the small ones, which it fetches, and then the weights.
func (m *model) files(ctx context.Context) ([]*hubFile, error) {
	small, err := m.fetchSmall(ctx)
	if err != nil {
		return nil, err
	}
	weights, err := findWeights(fmt.Sprintf("model %q", m.repo), m, m.adapter)
	if err != nil {
		return nil, err
	}
	for _, shard := range weights.shards {
		small = append(small, m.byName[shard])
	}
	return small, nil
}

// besideAdapters are the small files that say something of an adapter. Tokenizers that lie beside one are the model's.
var besideAdapters = []string{AdapterConfig, "README.md", "config.json", "generation_config.json"}

// fetchSmall brings the small files into the cache.
func (m *model) fetchSmall(ctx context.Context) ([]*hubFile, error) {
	var small []*hubFile
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConnections)
	for _, f := range m.info.Files {
		if !isSmall(f.Name) || f.Size > maxSmallFile || m.adapter && !slices.Contains(besideAdapters, f.Name) {
			continue
		}
		h := m.byName[f.Name]
		small = append(small, h)
		if !m.client.hasFile(m.repo, m.commit, &f) {
			g.Go(func() error { return h.fetch(ctx, func(int64) {}) })
		}
	}
	return small, m.explain(g.Wait())
}

// has, names and ReadFile make a model a fileReader: of what the Hub lists, and with the content of small files.

func (m *model) has(name string) bool { return m.byName[name] != nil }

func (m *model) names() ([]string, error) {
	var names []string
	for name := range m.byName {
		names = append(names, name)
	}
	return names, nil
}

// ReadFile reads a small file.
func (m *model) ReadFile(name string) ([]byte, error) { return folder(m.dir).ReadFile(name) }

// meter adds up the progress of files that come side by side.
type meter struct {
	report func(Progress)

	mu    sync.Mutex
	now   Progress
	bytes int64 // can go back where a file must come again; now.BytesDone can't
}

func newMeter(report func(Progress), files []*hubFile) *meter {
	m := &meter{report: report, now: Progress{Files: len(files)}}
	for _, f := range files {
		m.now.BytesTotal += f.Size
	}
	return m
}

func (m *meter) grown(f *hubFile, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += n
	m.now.File, m.now.BytesDone = f.Name, max(m.now.BytesDone, m.bytes)
	if m.report != nil {
		m.report(m.now)
	}
}

func (m *meter) finished(f *hubFile) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.File = f.Name
	m.now.FilesDone++
	if m.report != nil {
		m.report(m.now)
	}
}
