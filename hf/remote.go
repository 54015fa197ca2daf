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
		ck, err = openDir(m.dir, m.adapter)
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
		return openDir(m.dir, m.adapter)
	}
	who := fmt.Sprintf("model %q", m.repo)
	weights, err := findWeights(who, m, m.adapter)
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

// header reads the header of a file of weights: as a rule one request for the beginning of a safetensors file, and two
// for a file of PyTorch, whose directory is at its end.
func (f *hubFile) header(ctx, life context.Context) ([]*safetensors.Tensor, error) {
	r := &rangeReader{file: f, ctx: ctx, keeps: true}
	tensors, err := readTensors(r, f.Size, f.Name)
	r.ctx, r.kept, r.keeps = life, nil, false
	return tensors, err
}

// rangeReader is a file on the Hub as an io.ReaderAt. While the header is read it asks for more than is wanted, and keeps it.
type rangeReader struct {
	file  *hubFile
	ctx   context.Context // until Close; io.ReaderAt has none of its own
	keeps bool
	kept  []stretch
}

// stretch is some bytes of a file and where they begin.
type stretch struct {
	first int64
	bytes []byte
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
	for n < len(p) {
		at := off + int64(n)
		if k := r.take(p[n:], at); k > 0 {
			n += k
			continue
		}
		if r.keeps {
			if err := r.fetch(at, int64(len(p)-n)); err != nil {
				return n, err
			}
			continue
		}
		got, err := r.file.readAt(r.ctx, p[n:], at)
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, end
}

// take copies what is kept of the bytes from off on.
func (r *rangeReader) take(p []byte, off int64) int {
	for _, s := range r.kept {
		if off >= s.first && off < s.first+int64(len(s.bytes)) {
			return copy(p, s.bytes[off-s.first:])
		}
	}
	return 0
}

// fetch asks for n bytes from off on, and for at least headSize around them.
func (r *rangeReader) fetch(off, n int64) error {
	first := min(off, max(0, r.file.Size-headSize))
	s := stretch{first, make([]byte, min(r.file.Size, max(off+n, first+headSize))-first)}
	if _, err := r.file.readAt(r.ctx, s.bytes, first); err != nil {
		return err
	}
	r.kept = append(r.kept, s)
	return nil
}
