package hf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// partial is a blob on its way: a file of the final size with holes, and beside it a journal of the ranges that are
// filled. A range is written to the journal only when its bytes are on the disk, so that the journal never promises
// more than there is, whatever ends the program. The caller holds the blob's lock.
//
// The journal's first line states its version and the size, each further line a range as "begin end". A last line
// that was cut off is ignored.
type partial struct {
	path        string
	size        int64
	recordEvery int64 // how many bytes may be fetched again after a power cut

	file, journal *os.File

	mu     sync.Mutex
	filled ranges
	news   ranges // those of filled that the journal lacks

	recording sync.Mutex
}

func (p *partial) journalPath() string { return p.path + ".ranges" }

func (p *partial) journalHead() string { return fmt.Sprintf("nexus-quant ranges 1 %d\n", p.size) }

// openPartial goes on with the partial at path, or begins one.
func openPartial(path string, size, recordEvery int64) (p *partial, err error) {
	p = &partial{path: path, size: size, recordEvery: recordEvery}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	}
	if p.journal, err = os.OpenFile(p.journalPath(), os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	}
	info, err := p.file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != size {
		return p, p.reset()
	}
	text, err := io.ReadAll(io.LimitReader(p.journal, 16<<20))
	if err != nil {
		return nil, err
	}
	filled, good := parseJournal(text, p.journalHead(), size)
	if good == 0 {
		return p, p.reset()
	}
	p.filled = filled
	if err := p.journal.Truncate(int64(good)); err != nil {
		return nil, err
	}
	_, err = p.journal.Seek(int64(good), io.SeekStart)
	return p, err
}

// fetchedBytes is how many bytes of the file a partial at path has.
func fetchedBytes(path string, size int64) int64 {
	p := partial{path: path, size: size}
	info, err := os.Stat(path)
	if err != nil || info.Size() != size {
		return 0
	}
	text, err := os.ReadFile(p.journalPath())
	if err != nil {
		return 0
	}
	filled, _ := parseJournal(text, p.journalHead(), size)
	return filled.size()
}

// parseJournal reads a journal as far as it is sound, and says how many bytes that are: 0 for one that isn't of this
// file.
func parseJournal(text []byte, head string, size int64) (filled ranges, good int) {
	rest, ok := bytes.CutPrefix(text, []byte(head))
	if !ok {
		return nil, 0
	}
	for {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			break
		}
		var s span
		if _, err := fmt.Sscanf(string(line), "%d %d", &s.begin, &s.end); err != nil || s.begin < 0 || s.begin >= s.end || s.end > size {
			break
		}
		if fmt.Sprintf("%d %d", s.begin, s.end) != string(line) {
			break
		}
		filled.add(s)
		rest = after
	}
	return filled, len(text) - len(rest)
}

// reset forgets all that was fetched.
func (p *partial) reset() error {
	p.filled, p.news = nil, nil
	_, err := p.journal.Seek(0, io.SeekStart)
	err = errors.Join(err, p.journal.Truncate(0), p.file.Truncate(p.size))
	if err != nil {
		return err
	}
	_, err = p.journal.WriteString(p.journalHead())
	return err
}

// missing lists what is still to be fetched, in pieces of at most most bytes.
func (p *partial) missing(most int64) []span {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.filled.missing(p.size, most)
}

// write puts fetched bytes in their place. It may be called by several goroutines at once.
func (p *partial) write(b []byte, off int64) error {
	if _, err := p.file.WriteAt(b, off); err != nil {
		return err
	}
	p.mu.Lock()
	s := span{off, off + int64(len(b))}
	p.filled.add(s)
	p.news.add(s)
	due := p.news.size() >= p.recordEvery
	p.mu.Unlock()
	if due {
		return p.record()
	}
	return nil
}

// record makes what was written so far survive whatever comes.
func (p *partial) record() error {
	p.recording.Lock()
	defer p.recording.Unlock()
	p.mu.Lock()
	news := p.news
	p.news = nil
	p.mu.Unlock()
	if len(news) == 0 {
		return nil
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, s := range news {
		fmt.Fprintf(&lines, "%d %d\n", s.begin, s.end)
	}
	_, err := p.journal.Write(lines.Bytes())
	return err
}

// finish makes the partial, which is complete and verified, the blob.
func (p *partial) finish(blob string) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.news = nil
	if err := p.close(); err != nil { // Windows doesn't rename an open file
		return err
	}
	if err := os.Rename(p.path, blob); err != nil {
		return err
	}
	return os.Remove(p.journalPath())
}

// close keeps what was fetched, for the next time.
func (p *partial) close() error {
	var err error
	if p.file != nil && p.journal != nil {
		err = p.record()
	}
	for _, f := range []*os.File{p.file, p.journal} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	p.file, p.journal = nil, nil
	return err
}

// leave keeps the partial for the next time if there is anything in it, and else removes it.
func (p *partial) leave() {
	if p.file != nil && len(p.filled) == 0 {
		_ = p.discard() // what is left over does no harm
		return
	}
	_ = p.close() // what isn't recorded is fetched again
}

// discard removes the partial.
func (p *partial) discard() error {
	p.news = nil
	err := p.close()
	for _, path := range []string{p.path, p.journalPath()} {
		if e := os.Remove(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
