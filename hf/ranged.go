package hf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// hubFile is a file of a model at a commit, read over the network.
type hubFile struct {
	remoteFile
	client *Client
	info   *listing

	mu       sync.Mutex
	location string // where the Hub's redirects ended, "" if that isn't known or no longer valid
}

// errNoRanges is a server that answers with the whole file whatever part it is asked for.
var errNoRanges = errors.New("server ignores ranges")

// address is the file's place on the Hub, pinned to the commit.
func (f *hubFile) address() string {
	parts := strings.Split(f.Name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return f.client.endpoint + "/" + f.info.Repo + "/resolve/" + f.info.Commit + "/" + strings.Join(parts, "/")
}

// open asks once for the bytes of s and gives a body of exactly as many. It waits for a free connection, which
// the body's Close gives back. Ranges after the first go straight to where the Hub redirected to, since
// the Hub counts its requests; when that place has expired, the next attempt asks the Hub again.
func (f *hubFile) open(ctx context.Context, s span) (io.ReadCloser, error) {
	select {
	case f.client.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	release := func() { <-f.client.slots }
	body, err := f.request(ctx, s)
	if err != nil {
		release()
		return nil, err
	}
	return &exactBody{body: body, left: s.end - s.begin, release: release}, nil
}

func (f *hubFile) request(ctx context.Context, s span) (io.ReadCloser, error) {
	f.mu.Lock()
	address := f.location
	f.mu.Unlock()
	direct := address != ""
	if !direct {
		address = f.address()
	}
	byteRange := ""
	if s.begin > 0 || s.end < f.Size {
		byteRange = fmt.Sprintf("bytes=%d-%d", s.begin, s.end-1)
	}
	resp, err := f.client.get(ctx, address, byteRange, f.client.downloadTimeout)
	var status *statusError
	if direct && errors.As(err, &status) && status.status >= 400 && status.status < 500 {
		f.setLocation("")
		return nil, &transientError{err: err, after: status.after}
	}
	if err != nil {
		return nil, err
	}
	if err := f.check(resp, s, byteRange != ""); err != nil {
		resp.Body.Close()
		return nil, err
	}
	f.setLocation(resp.Request.URL.String())
	return resp.Body, nil
}

func (f *hubFile) setLocation(address string) {
	f.mu.Lock()
	f.location = address
	f.mu.Unlock()
}

// check holds the answer against the question.
func (f *hubFile) check(resp *http.Response, s span, ranged bool) error {
	if resp.StatusCode == http.StatusOK {
		if n := resp.ContentLength; n >= 0 && n != f.Size {
			return fmt.Errorf("%s sent %d bytes, the Hub lists %d", resp.Request.URL.Host, n, f.Size)
		}
		if s.begin > 0 {
			return errNoRanges
		}
		return nil
	}
	var begin, end, size int64
	got := resp.Header.Get("Content-Range")
	if n, err := fmt.Sscanf(got, "bytes %d-%d/%d", &begin, &end, &size); !ranged || n != 3 || err != nil {
		return fmt.Errorf("%s answered with the range %q, want bytes %d-%d", resp.Request.URL.Host, got, s.begin, s.end-1)
	}
	if begin != s.begin || end != s.end-1 || size != f.Size {
		return fmt.Errorf("%s answered with the range %q, want bytes %d-%d/%d", resp.Request.URL.Host, got, s.begin, s.end-1, f.Size)
	}
	return nil
}

// exactBody gives left bytes, no more and, without an error, no less.
type exactBody struct {
	body    io.ReadCloser
	left    int64
	release func()
	once    sync.Once
}

func (b *exactBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = &transientError{err: fmt.Errorf("%w: %d bytes are missing", io.ErrUnexpectedEOF, b.left)}
	}
	return n, err
}

func (b *exactBody) Close() error {
	err := b.body.Close()
	b.once.Do(b.release)
	return err
}

// readAt fills p from offset off of the file, with retries.
func (f *hubFile) readAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	err = f.client.retry(ctx, maxRetries, func() (bool, error) {
		body, err := f.open(ctx, span{off + int64(n), off + int64(len(p))})
		if err != nil {
			return false, err
		}
		defer body.Close()
		got, err := io.ReadFull(body, p[n:])
		n += got
		return got > 0, err
	})
	if errors.Is(err, errNoRanges) {
		err = fmt.Errorf("%s: %w, and only a part is wanted", f.client.endpoint, err)
	}
	return n, f.client.failure(err, f.info.Repo, f.info.Revision, f.Name)
}
