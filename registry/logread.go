package registry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// pollEvery is how often Tail looks for new lines: two stat calls.
const pollEvery = 200 * time.Millisecond

// Events returns the events after that number that are in the log now. After an error the sequence ends.
func (l *Log) Events(after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r := logReader{log: l, last: after}
		for again := true; again; {
			var ok bool
			if again, ok = r.pass(yield); !ok {
				return
			}
		}
	}
}

// Tail returns the events after that number and goes on with new ones as any process appends them, until ctx is done.
// After an error the sequence ends; the end of ctx is none.
func (l *Log) Tail(ctx context.Context, after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r := logReader{log: l, last: after}
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			again, ok := r.pass(func(e Event, err error) bool { return ctx.Err() == nil && yield(e, err) })
			if !ok {
				return
			}
			if again {
				continue
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}
}

// logReader reads a log in passes. It takes no lock, so that a reader never delays a job. The order of things keeps it
// right: Compress puts the new compressed file in place before it empties the plain one, so if the compressed file is
// the same before and after a part of the plain one was read, that part is what follows it. Events that stand in both
// are told apart by their numbers.
type logReader struct {
	log    *Log
	last   uint64      // number of the last event that was given out
	arch   fs.FileInfo // the compressed file that was read
	opened bool        // whether it was looked for at all
	offset int64       // in the plain file, the beginning of a line
}

// readAtOnce is how much of the plain file a pass keeps in memory.
const readAtOnce = 2 * maxLine

// pass gives out what is new. again says that there may be more at once, ok that the caller wants it.
func (r *logReader) pass(yield func(Event, error) bool) (again, ok bool) {
	arch, err := statOrNil(r.log.zst)
	if err != nil {
		return false, yield(Event{}, fmt.Errorf("log: %w", err)) && false
	}
	if !r.opened || !sameFile(arch, r.arch) {
		r.opened, r.arch, r.offset = true, arch, 0
		if arch != nil {
			stopped := false
			err := scanCompressed(r.log.zst, func(e Event) error {
				if e.Seq > r.last {
					r.last = e.Seq
					if stopped = !yield(e, nil); stopped {
						return io.EOF
					}
				}
				return nil
			})
			if stopped {
				return false, false
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted in between
				yield(Event{}, err)
				return false, false
			}
		}
	}
	events, next, more, err := r.read()
	if err != nil {
		yield(Event{}, fmt.Errorf("log: %w", err))
		return false, false
	}
	now, err := statOrNil(r.log.zst)
	if err == nil && !sameFile(now, r.arch) {
		return true, true // compressed meanwhile: what was read may be half of what is there now
	}
	r.offset = next
	for _, e := range events {
		if e.Seq > r.last {
			r.last = e.Seq
			if !yield(e, nil) {
				return false, false
			}
		}
	}
	return more, true
}

// read returns the events in the next whole lines of the plain file, where the line after them begins, and whether
// there may be more lines at once.
func (r *logReader) read() (events []Event, next int64, more bool, err error) {
	info, err := statOrNil(r.log.plain)
	if err != nil || info == nil {
		return nil, 0, false, err
	}
	size := info.Size()
	if size < r.offset { // emptied; the compressed file has it, and its change was seen or will be
		return nil, 0, false, nil
	}
	if size == r.offset {
		return nil, r.offset, false, nil
	}
	f, err := os.Open(r.log.plain)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	defer f.Close()
	buf := make([]byte, min(size-r.offset, readAtOnce))
	n, err := f.ReadAt(buf, r.offset)
	if err != nil && err != io.EOF {
		return nil, 0, false, err
	}
	buf = buf[:n]
	end := int64(bytes.LastIndexByte(buf, '\n') + 1)
	if end == 0 && n == readAtOnce { // damaged: no line is that long
		end, err = lineStart(f, r.offset)
		return nil, end, end > r.offset, err
	}
	err = scan(bytes.NewReader(buf[:end]), func(e Event, _ []byte) error {
		events = append(events, e)
		return nil
	})
	return events, r.offset + end, size-r.offset > readAtOnce, err
}

// lineStart returns where the next line after offset begins; offset itself while none does.
func lineStart(f io.ReaderAt, offset int64) (int64, error) {
	in := bufio.NewReader(io.NewSectionReader(f, offset, 1<<62))
	for at := offset; ; {
		part, err := in.ReadSlice('\n')
		at += int64(len(part))
		switch {
		case err == nil:
			return at, nil
		case err == io.EOF:
			return offset, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return 0, err
		}
	}
}

// scan calls fn for each whole line of r that holds an event. It passes over lines that don't, as a power cut leaves
// them; the numbers of the events show the gap. line is valid until fn returns.
func scan(r io.Reader, fn func(e Event, line []byte) error) error {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) { // skip the rest of the line
				_, err = in.ReadSlice('\n')
			}
			line = nil
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := decodeEvent(line); ok {
			if err := fn(e, line); err != nil {
				return err
			}
		}
	}
}

// maxSeq is the highest number that a reader believes: all of JSON's readers can hold it, and more follow.
const maxSeq = 1 << 53

func decodeEvent(line []byte) (Event, bool) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil || e.Seq == 0 || e.Seq >= maxSeq || e.Type == "" {
		return Event{}, false
	}
	return e, true
}

// scanCompressed calls fn for each event of a compressed log, until fn returns an error; io.EOF only stops.
func scanCompressed(path string, fn func(Event) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	err = scanZstd(f, fn)
	if err != nil && err != io.EOF {
		return &Error{
			Kind:    ErrCorrupt,
			Message: fmt.Sprintf("log %s: can't be read further", path),
			Cause:   err,
			hint:    "the job itself is not affected; move the file aside to start a new log",
		}
	}
	return nil
}

func scanZstd(r io.Reader, fn func(Event) error) error {
	// The window is all that a hostile file can make the decoder allocate; the encoder's is 8 MiB at most.
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return err
	}
	defer z.Close()
	return scan(z, func(e Event, _ []byte) error { return fn(e) })
}

// lastCompressed returns the number of the last event in the compressed file, 0 where there is none.
func (l *Log) lastCompressed() (seq uint64, err error) {
	err = scanCompressed(l.zst, func(e Event) error {
		seq = max(seq, e.Seq)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return seq, err
}

func statOrNil(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

// sameFile reports whether two stats are of the same file with the same content.
func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
