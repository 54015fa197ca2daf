package hf

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nexus-quant/nexus-quant/hf/safetensors"
)

// headSize is what the first request for a file of weights asks for. The header of a shard with 300 tensors has 40 KB.
const headSize = 128 << 10

// OpenRemote opens a model of the Hub without its weights: the small files come into the cache, and of the weights
// the headers alone are read. Its tensors can be read all the same, by range requests, with retries. A model
// that the cache holds whole is opened there. Close the checkpoint after use; ctx counts until then.
//
// The error is an *Error of kind ErrNotFound, ErrRevision, ErrUnauthorized, ErrGated, ErrOffline, ErrCorrupt,
// ErrNoWeights or ErrIncomplete where one fits.
func (c *Client) OpenRemote(ctx context.Context, ref Ref) (*Checkpoint, error) {
	m, err := c.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	var ck *Checkpoint
	if m.info == nil {
		ck, err = OpenDir(m.dir)
	} else {
		ck, err = m.open(ctx)
	}
	if err != nil {
		return nil, err
	}
	ck.Name = ref.Repo[strings.LastIndexByte(ref.Repo, '/')+1:]
	ck.Repo, ck.Revision, ck.Commit = ref.Repo, revisionOf(ref), m.commit
	return ck, nil
}

func (m *model) open(ctx context.Context) (*Checkpoint, error) {
	files, err := m.files(ctx)
	if err != nil {
		return nil, err
	}
	whole := true
	for _, f := range files {
		whole = whole && m.client.hasFile(m.repo, m.commit, &f.remoteFile)
	}
	if whole {
		return OpenDir(m.dir)
	}
	who := fmt.Sprintf("model %q", m.repo)
	weights, err := findWeights(who, m)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancelCause(ctx)
	headers := make([][]*safetensors.Tensor, len(weights.shards))
	g, gctx := errgroup.WithContext(ctx)
	for i, shard := range weights.shards {
		g.Go(func() (err error) {
			headers[i], err = m.byName[shard].header(gctx, life)
			return err
		})
	}
	err = g.Wait()
	byShard := map[string][]*safetensors.Tensor{}
	for i, shard := range weights.shards {
		byShard[shard] = headers[i]
	}
	ck := &Checkpoint{files: m, closers: []io.Closer{closer(end)}}
	if err == nil {
		ck.Tensors, err = weights.collect(who, byShard)
	}
	if err != nil {
		end(err)
		return nil, m.explain(err)
	}
	return ck, nil
}

// closer ends the requests of a checkpoint's tensors.
type closer context.CancelCauseFunc

func (c closer) Close() error { c(fs.ErrClosed); return nil }

// header reads the header of a file of weights: one request for its beginning, and a second for the rest of a long one.
func (f *hubFile) header(ctx, life context.Context) ([]*safetensors.Tensor, error) {
	r := &rangeReader{file: f, ctx: ctx, head: make([]byte, min(f.Size, headSize))}
	if len(r.head) > 0 {
		if _, err := f.readAt(ctx, r.head, 0); err != nil {
			return nil, err
		}
	}
	tensors, _, err := safetensors.ReadHeader(r, f.Size, f.Name)
	r.ctx, r.head = life, nil
	return tensors, err
}

// rangeReader is a file on the Hub as an io.ReaderAt, with its beginning kept while the header is read.
type rangeReader struct {
	file *hubFile
	ctx  context.Context // until Close; io.ReaderAt has none of its own
	head []byte
}

func (r *rangeReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > r.file.Size {
		return 0, fmt.Errorf("%s: read at offset %d of %d", r.file.Name, off, r.file.Size)
	}
	var end error
	if left := r.file.Size - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	n := 0
	if off < int64(len(r.head)) {
		n = copy(p, r.head[off:])
	}
	if n < len(p) {
		got, err := r.file.readAt(r.ctx, p[n:], off+int64(n))
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, end
}
