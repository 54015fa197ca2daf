package hf

import (
	"os"
	"path/filepath"
	"strings"
)

// Discard removes what downloads of a model that did not end left in the cache, and says how many bytes that freed at
// most. What another process is fetching at this moment stays; whole files stay too: they are the cache's.
func (c *Client) Discard(repo string) (freed int64, err error) {
	if err := checkRepo(repo); err != nil {
		return 0, err
	}
	found, err := filepath.Glob(filepath.Join(repoDir(c.cache, repo), "blobs", "*"+partialSuffix))
	if err != nil {
		return 0, err
	}
	for _, path := range found {
		etag := strings.TrimSuffix(filepath.Base(path), partialSuffix)
		f, err := os.OpenFile(c.lockPath(repo, etag), os.O_RDWR, 0)
		if err != nil {
			continue // nobody has ever fetched it through this cache
		}
		if ok, err := tryLock(f); ok && err == nil {
			p := partial{path: path}
			if info, err := os.Stat(path); err == nil {
				freed += fetchedBytes(path, info.Size())
			}
			os.Remove(path)
			os.Remove(p.journalPath())
		}
		f.Close()
	}
	return freed, nil
}
