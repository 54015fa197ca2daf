package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Event is one line of a job's log.
type Event struct {
	Seq     uint64          `json:"seq"` // strictly increasing over all attempts and processes; a gap is a line that was damaged
	Time    time.Time       `json:"time"`
	Type    string          `json:"type"` // "log", "state", or what the service calls it: small letters, digits, _ . -
	Level   string          `json:"level,omitempty"`
	Message string          `json:"msg,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// EventState is the type of events that are on the disk when Append returns, as are errors.
const EventState = "state"

// maxLine is the longest line of a log. A longer event is refused, a longer line in a file is passed over.
const maxLine = 1 << 20

// reservedLog is what the disk keeps for more lines, at least: room for the reason when the disk is full.
const reservedLog = 64 << 10

// Log is the log of one job: ID.ndjson, which processes append to, and ID.ndjson.zst with all that was compressed
// before. A Log holds no file open.
type Log struct {
	plain string
	zst   string
	wait  time.Duration
	now   func() time.Time

	mu   sync.Mutex
	size int64       // of plain when seq was its last one
	seq  uint64      // 0: not known
	arch fs.FileInfo // of zst at that time
}

// Log returns the log of a job. The job need not be there any more.
func (s *Store) Log(id string) (*Log, error) {
	if !ValidID(id) {
		return nil, errorf(ErrInvalid, "log of job %q: the ID is no UUID in lower case", id)
	}
	plain := filepath.Join(s.logs(), id+".ndjson")
	return &Log{plain: plain, zst: plain + ".zst", wait: s.wait, now: s.now}, nil
}

// Print appends a message with attributes, alternating keys and values as in [slog.Logger.Log].
func (l *Log) Print(level slog.Level, msg string, args ...any) error {
	r := slog.Record{}
	r.Add(args...)
	var data json.RawMessage
	if r.NumAttrs() > 0 {
		attrs := make(map[string]any, r.NumAttrs())
		r.Attrs(func(a slog.Attr) bool {
			attrs[a.Key] = plainValue(a.Value)
			return true
		})
		var err error
		if data, err = json.Marshal(attrs); err != nil {
			return fmt.Errorf("log %s: attributes of %q: %w", l.plain, msg, err)
		}
	}
	_, err := l.Append(Event{Type: "log", Level: strings.ToLower(level.String()), Message: msg, Data: data})
	return err
}

// plainValue turns what JSON can't say, or says badly, into text.
func plainValue(v slog.Value) any {
	switch v = v.Resolve(); v.Kind() {
	case slog.KindGroup:
		group := make(map[string]any)
		for _, a := range v.Group() {
			group[a.Key] = plainValue(a.Value)
		}
		return group
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindFloat64:
		if f := v.Float64(); finite(f) != f {
			return v.String()
		}
	}
	switch a := v.Any().(type) {
	case error:
		return a.Error()
	case json.Marshaler:
		return a
	case fmt.Stringer:
		return a.String()
	default:
		return a
	}
}

// Append writes one event and returns it with the number and time that it was given. A line that a crash has torn is
// cut off first. Events of type "state" and of level "error" are synced to the disk.
func (l *Log) Append(e Event) (Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.locked(func(f *os.File) error {
		last, end, err := l.last(f)
		if err != nil {
			return err
		}
		e.Seq, e.Time = last+1, l.now().UTC().Round(0)
		line, err := encodeEvent(e)
		if err != nil {
			return err
		}
		l.seq = 0
		if after := end + int64(len(line)); end == 0 || end/reservedLog != after/reservedLog {
			reserve(f, end, after-end+2*reservedLog)
		}
		if _, err := f.WriteAt(line, end); err != nil {
			// The disk may be full: don't leave half a line.
			return errors.Join(err, f.Truncate(end))
		}
		l.seq, l.size = e.Seq, end+int64(len(line))
		if e.Type == EventState || e.Level == "error" {
			return f.Sync()
		}
		return nil
	})
	if err != nil {
		return Event{}, fmt.Errorf("log: %w", err)
	}
	return e, nil
}

// Sync puts all that was appended on the disk.
func (l *Log) Sync() error {
	f, err := os.OpenFile(l.plain, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	return f.Sync()
}

// Compress moves what was logged so far into the compressed file. Append goes on after it; readers notice nothing.
// It is safe to call at any time, and to be killed in.
func (l *Log) Compress() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.locked(func(f *os.File) error {
		info, err := f.Stat()
		if err != nil || info.Size() == 0 {
			return err
		}
		// A crash after the rename below leaves the events in both files: those are not written again.
		done, err := l.lastCompressed()
		if err != nil {
			return err
		}
		next := l.zst + ".next"
		if err := l.writeNext(next, f, done); err != nil {
			return errors.Join(err, os.Remove(next))
		}
		if err := os.Rename(next, l.zst); err != nil {
			return errors.Join(err, os.Remove(next))
		}
		if err := syncFolder(filepath.Dir(l.zst)); err != nil {
			return err
		}
		l.seq = 0
		// The file stays, empty: it carries the lock.
		return f.Truncate(0)
	})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return nil
}

// writeNext writes the compressed file as it will be: the old one and a frame with the events of plain after done.
func (l *Log) writeNext(path string, plain io.ReaderAt, done uint64) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	old, err := os.Open(l.zst)
	switch {
	case err == nil:
		_, err = io.Copy(out, old)
		if err = errors.Join(err, old.Close()); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	err = scan(io.NewSectionReader(plain, 0, 1<<62), func(e Event, line []byte) error {
		if e.Seq <= done {
			return nil
		}
		done = e.Seq
		_, err := z.Write(append(bytes.TrimSuffix(line, []byte("\n")), '\n'))
		return err
	})
	if err = errors.Join(err, z.Close()); err != nil {
		return err
	}
	return out.Sync()
}

// remove deletes the log.
func (l *Log) remove() error {
	var errs []error
	for _, path := range []string{l.plain, l.zst, l.zst + ".next"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// locked runs fn with the plain file, created if missing, while no other process writes to the log.
func (l *Log) locked(fn func(*os.File) error) error {
	f, err := os.OpenFile(l.plain, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := lockFile(f, l.wait); err != nil { // closes f
		return fmt.Errorf("%s: %w", l.plain, err)
	}
	err = fn(f)
	return errors.Join(err, f.Close())
}

// last returns the number of the last event and where the next one is written, after cutting a torn line off.
func (l *Log) last(f *os.File) (seq uint64, end int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	arch, err := statOrNil(l.zst)
	if err != nil {
		return 0, 0, err
	}
	size := info.Size()
	if l.seq > 0 && l.size == size && sameFile(l.arch, arch) {
		return l.seq, size, nil
	}
	l.arch = arch
	if end, err = lineEnd(f, size); err != nil {
		return 0, 0, err
	}
	if end < size {
		if err := f.Truncate(end); err != nil {
			return 0, 0, err
		}
	}
	// Mostly the last lines tell; only a file whose end is damaged is read from its beginning.
	for _, from := range []int64{max(0, end-64<<10), 0} {
		scan(io.NewSectionReader(f, from, end-from), func(e Event, _ []byte) error {
			seq = max(seq, e.Seq)
			return nil
		})
		if seq > 0 {
			return seq, end, nil
		}
	}
	seq, err = l.lastCompressed()
	return seq, end, err
}

// lineEnd returns where the last whole line within size ends.
func lineEnd(r io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for size > 0 {
		from := max(0, size-int64(len(buf)))
		part := buf[:size-from]
		if n, err := r.ReadAt(part, from); n < len(part) {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		size = from
	}
	return 0, nil
}

// encodeEvent returns the event's line.
func encodeEvent(e Event) ([]byte, error) {
	if e.Type == "" || strings.Trim(e.Type, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
		return nil, errorf(ErrInvalid, "event type %q: want small letters, digits, _ . -", e.Type)
	}
	line, err := json.Marshal(e)
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Message: "event " + e.Type, Cause: err}
	}
	if len(line) >= maxLine {
		return nil, errorf(ErrInvalid, "event %s: %d bytes, at most %d", e.Type, len(line), maxLine-1)
	}
	return append(line, '\n'), nil
}
