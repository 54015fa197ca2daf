package quant

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// VerifyError is returned when an output, read back from the disk, is not what was written.
type VerifyError struct {
	Path string
	What string
}

func (e *VerifyError) Error() string { return fmt.Sprintf("%s: read back: %s", e.Path, e.What) }

// Hint says what to do.
func (e *VerifyError) Hint() string {
	return "the disk or the memory may be failing; check them and run again"
}

// verifier reads the outputs back while they are written, each behind its own last finished tensor: the header must
// parse to what the plan says, every slab must hold the bytes that were written and finite scales, and the file must end
// where the plan says. The SHA-256 of the file comes out of the same pass. It is one chain of a gigabyte a second: at the
// end of the run it would keep the other cores waiting, beside the kernels it costs them next to nothing. What is read
// is in the system's cache still, whatever the size of the file.
type verifier struct {
	rereads []*reread
	meter   *meter
	ends    sync.WaitGroup
}

// startVerifier begins to read the files back.
func startVerifier(ctx context.Context, p *Plan, files []*outfile, o RunOptions) *verifier {
	v := &verifier{meter: &meter{}}
	v.meter.Phase = Verifying
	for i, f := range files {
		r := &reread{file: f, f: f.f, out: &p.Outputs[i], tensors: p.tensors(i), hash: sha256.New(), meter: v.meter}
		v.rereads = append(v.rereads, r)
		v.meter.Tensors += len(r.tensors)
		v.meter.BytesTotal += p.Outputs[i].Bytes()
		v.ends.Go(func() {
			switch err := r.run(ctx); {
			case err == nil:
				r.sum = hex.EncodeToString(r.hash.Sum(nil))
			case !errors.Is(err, errGivenUp):
				f.fail(err)
			}
		})
	}
	return v
}

// finish waits until all files are read to their ends, and fills in the results' SHA-256. From now on progress is told.
func (v *verifier) finish(results []Result, report func(Progress)) {
	v.meter.tell(report)
	v.ends.Wait()
	for i, r := range v.rereads {
		results[i].SHA256 = r.sum
	}
}

// errGivenUp ends the reading of a file that will not be finished.
var errGivenUp = errors.New("given up")

// reread goes through one output from its first byte to its last.
type reread struct {
	file    *outfile
	f       *os.File
	out     *Output
	tensors []Tensor // that the file holds
	hash    hash.Hash
	pos     int64
	sum     string
	meter   *meter
}

func (r *reread) fail(format string, args ...any) error {
	return &VerifyError{Path: r.f.Name(), What: fmt.Sprintf(format, args...)}
}

func (r *reread) run(ctx context.Context) error {
	info, err := r.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != r.out.Bytes() {
		return r.fail("%d bytes, planned %d", info.Size(), r.out.Bytes())
	}
	if err := r.header(); err != nil {
		return err
	}
	var buf []byte
	for i := range r.tensors {
		t := &r.tensors[i]
		typ := r.out.Types[i]
		if err := r.skip(r.out.Layout.Offset(i)); err != nil {
			return err
		}
		stride, err := typ.RowSize(t.source.cols)
		if err != nil {
			return err
		}
		record, ok := r.file.await(ctx, i)
		if !ok {
			return errGivenUp
		}
		n := record.Rows
		if size := n * stride; int64(len(buf)) < size {
			buf = make([]byte, size)
		}
		for k, first := 0, int64(0); first < t.source.rows; k, first = k+1, first+n {
			if ctx.Err() != nil {
				return errGivenUp // what is done is still worth recording
			}
			b := buf[:min(n, t.source.rows-first)*stride]
			if err := r.next(b); err != nil {
				return err
			}
			if crc32.Checksum(b, castagnoli) != record.Sums[k] {
				return r.fail("tensor %q: rows from %d on differ from what was written", t.Name, first)
			}
			if typ.Quantized() && kernels.CanDequantize(typ) {
				if err := kernels.Validate(typ, b); err != nil {
					return r.fail("tensor %q: %v", t.Name, err)
				}
			}
			r.meter.bytesDone(t.Name, int64(len(b)), first+n >= t.source.rows)
		}
	}
	return r.skip(r.out.Bytes())
}

// header reads the metadata and the tensor table back through the reader that any other file goes through.
func (r *reread) header() error {
	want := r.out.Layout.Header()
	got := make([]byte, len(want))
	if err := r.next(got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return r.fail("the header differs from what was written")
	}
	file, err := gguf.Read(r.f, r.out.Bytes())
	if err != nil {
		return r.fail("%v", err)
	}
	if len(file.Tensors) != len(r.tensors) {
		return r.fail("%d tensors, planned %d", len(file.Tensors), len(r.tensors))
	}
	for i, t := range file.Tensors {
		if want := r.tensors[i].Name; t.Name != want || t.Type != r.out.Types[i] || file.DataOffset+t.Offset != r.out.Layout.Offset(i) {
			return r.fail("tensor %d is %q (%s), planned %q (%s)", i, t.Name, t.Type, want, r.out.Types[i])
		}
	}
	r.meter.bytesDone("", int64(len(want)), false)
	return nil
}

// next reads len(b) bytes and hashes them.
func (r *reread) next(b []byte) error {
	if _, err := io.ReadFull(io.NewSectionReader(r.f, r.pos, int64(len(b))), b); err != nil {
		return r.fail("at byte %d: %v", r.pos, err)
	}
	r.hash.Write(b)
	r.pos += int64(len(b))
	return nil
}

// skip reads the padding up to pos, which must be zeros.
func (r *reread) skip(pos int64) error {
	b := make([]byte, pos-r.pos) // less than the alignment
	if err := r.next(b); err != nil {
		return err
	}
	if len(bytes.Trim(b, "\x00")) != 0 {
		return r.fail("padding before byte %d is not zero", pos)
	}
	return nil
}
