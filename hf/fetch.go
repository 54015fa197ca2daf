package hf

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// fetch brings a file into the cache, whole and with the right checksum. While it works it holds the lock of the
// blob, so that two processes don't fetch the same bytes. grown is told of every byte gained, and of
// bytes lost with a negative number.
func (f *hubFile) fetch(ctx context.Context, grown func(int64)) error {
	c, repo := f.client, f.info.Repo
	if err := c.makeCache(repo); err != nil {
		return err
	}
	release, err := lock(ctx, c.lockPath(repo, f.etag()))
	if err != nil {
		return err
	}
	defer release()
	if c.hasBlob(repo, &f.remoteFile) { // another process, or another file with the same content
		grown(f.Size)
		return c.linkFile(repo, f.info.Commit, &f.remoteFile)
	}
	err = f.fill(ctx, grown)
	if errors.Is(err, ErrCorrupt) {
		grown(-f.Size)
		err = f.fill(ctx, grown)
	}
	if err != nil {
		return err
	}
	return c.linkFile(repo, f.info.Commit, &f.remoteFile)
}

// fill fetches what is missing of the blob, in pieces side by side, and checks the whole. Of bytes with a wrong
// checksum nothing is kept.
func (f *hubFile) fill(ctx context.Context, grown func(int64)) error {
	c, repo := f.client, f.info.Repo
	p, err := openPartial(c.partialPath(repo, f.etag()), f.Size, c.recordEvery)
	if err != nil {
		return err
	}
	defer p.leave()
	grown(p.filled.size())
	err = f.pieces(ctx, p, c.pieceSize, grown)
	if errors.Is(err, errNoRanges) {
		// One piece over the whole file is asked for without a range.
		grown(-p.filled.size())
		if err := p.reset(); err != nil {
			return err
		}
		err = f.pieces(ctx, p, max(f.Size, 1), grown)
	}
	if err != nil {
		return c.failure(err, repo, f.info.Revision, f.Name)
	}
	if err := f.verify(ctx, p.file); err != nil {
		if errors.Is(err, ErrCorrupt) {
			err = errors.Join(err, p.discard())
		}
		return err
	}
	blob := c.blobPath(repo, f.etag())
	if err := p.finish(blob); err != nil {
		return err
	}
	syncDir(filepath.Dir(blob))
	return nil
}

func (f *hubFile) pieces(ctx context.Context, p *partial, most int64, grown func(int64)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConnections)
	for _, s := range p.missing(most) {
		g.Go(func() error { return f.piece(ctx, p, s, grown) })
	}
	return g.Wait()
}

// piece fetches one range, going on after a failure where it broke off.
func (f *hubFile) piece(ctx context.Context, p *partial, s span, grown func(int64)) error {
	buf := make([]byte, 256<<10)
	return f.client.retry(ctx, maxRetries, func() (progress bool, err error) {
		body, err := f.open(ctx, s)
		if err != nil {
			return false, err
		}
		defer body.Close()
		for s.begin < s.end {
			n, err := io.ReadFull(body, buf[:min(int64(len(buf)), s.end-s.begin)])
			if n > 0 {
				if err := p.write(buf[:n], s.begin); err != nil {
					return false, err
				}
				s.begin += int64(n)
				grown(int64(n))
				progress = true
			}
			if err != nil && s.begin < s.end {
				return progress, err
			}
		}
		return true, nil
	})
}

// verify compares the content with the checksum that the Hub states: sha256 of large files, else git's sha1.
func (f *hubFile) verify(ctx context.Context, data *os.File) error {
	var h hash.Hash
	if f.SHA256 != "" {
		h = sha256.New()
	} else {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", f.Size)
	}
	r := io.NewSectionReader(data, 0, f.Size)
	buf := make([]byte, 1<<20)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.etag() {
		return &Error{
			Kind:    ErrCorrupt,
			Message: fmt.Sprintf("model %q: %s: the bytes that came have checksum %s, the Hub states %s", f.info.Repo, f.Name, got, f.etag()),
			hint:    "a proxy or a mirror (HF_ENDPOINT) may change what it passes on; nothing of the file was kept",
		}
	}
	return nil
}

// syncDir makes a rename last through a power cut, on systems where a folder can be synced.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
