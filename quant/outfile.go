package quant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// partialSuffix marks a file that is being written. Nothing ever stands under a final name that is not whole.
const partialSuffix = ".partial"

// outfile is an output while it is written: DIR/name.gguf.partial with its journal beside it, renamed to its final name
// at the end.
type outfile struct {
	final   string
	force   bool
	f       *os.File
	journal *journal
	first   int            // tensor of the plan that is the file's first
	records []tensorRecord // by tensor of the file; Rows is 0 where a tensor is not done
	resumed int            // tensors that an earlier run has done

	mu      sync.Mutex
	failure error          // what ended this output, while others go on
	pending []tensorRecord // done but not yet synced
	news    chan struct{}  // a tensor is done, or none will be any more
}

// Resume says what becomes of the partial file of an earlier run.
type Resume int

const (
	// ResumeIfSame goes on where an earlier run stopped if it was the same, and starts anew if it was not.
	ResumeIfSame Resume = iota
	// ResumeOnly refuses to start anew where an earlier run was not the same: a *ChangedError.
	ResumeOnly
	// StartAnew throws an earlier run's work away.
	StartAnew
)

// ExistsError is returned when an output's name is taken and --force was not given.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string { return fmt.Sprintf("%s: exists already", e.Path) }

// Hint says what to do.
func (e *ExistsError) Hint() string {
	return "pass --force to replace it, or -o DIR to write elsewhere"
}

// BusyError is returned when another process is writing the same output.
type BusyError struct{ Path string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s: another process is writing this file", e.Path)
}

// Hint says what to do.
func (e *BusyError) Hint() string { return "wait for it to end, or write elsewhere with -o DIR" }

// checkFree tells whether an output may take the name final.
func checkFree(final string, force bool) error {
	info, err := os.Lstat(final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s: is a folder", final)
	case !force:
		return &ExistsError{final}
	}
	return nil
}

// createOutput opens the partial file of output i, reserves its size, and finds out what an earlier run has done.
func createOutput(p *Plan, i int, o RunOptions) (*outfile, error) {
	final := o.Path(p, i)
	if err := checkFree(final, o.Force); err != nil {
		return nil, err
	}
	partial := final + partialSuffix
	f, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	out := &outfile{
		final: final, force: o.Force, f: f, first: p.Outputs[i].First, records: make([]tensorRecord, len(p.Outputs[i].Types)), news: make(chan struct{}, 1),
	}
	if err := lock(f); err != nil {
		f.Close() // it is the other process's file: leave it
		return nil, &BusyError{partial}
	}
	if err := out.begin(p, i, o.Resume); err != nil {
		var changed *ChangedError
		if errors.As(err, &changed) {
			out.keep()
		} else {
			out.abandon()
		}
		return nil, diskError(partial, err)
	}
	return out, nil
}

// begin brings the partial file and its journal to where work starts.
func (o *outfile) begin(p *Plan, i int, resume Resume) error {
	layout, head := p.Outputs[i].Layout, headOf(p, i)
	info, err := o.f.Stat()
	if err != nil {
		return err
	}
	j, records, differs, err := openJournal(o.f.Name()+journalSuffix, head, len(o.records))
	if err != nil {
		return err
	}
	o.journal = j
	if differs != "" && resume == ResumeOnly {
		return &ChangedError{o.final, differs}
	}
	if differs != "" || resume == StartAnew || info.Size() != layout.Size() {
		records = nil
		if err := j.start(head); err != nil {
			return err
		}
		if err := o.f.Truncate(0); err != nil {
			return err
		}
	}
	for _, r := range records {
		if int64(len(r.Sums)) == (p.tensors(i)[r.Tensor].source.rows+r.Rows-1)/r.Rows && o.records[r.Tensor].Rows == 0 {
			o.records[r.Tensor] = r
			o.resumed++
		}
	}
	if err := reserve(o.f, layout.Size()); err != nil {
		return err
	}
	_, err = o.f.WriteAt(layout.Header(), 0)
	return err
}

// fail ends this output and leaves the others alone. The first cause counts.
func (o *outfile) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure == nil {
		o.failure = err
	}
	o.tell()
}

// tell wakes who waits for a tensor.
func (o *outfile) tell() {
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// done tells whether tensor i of the plan, which the file holds, is done already.
func (o *outfile) done(i int) bool { return o.records[i-o.first].Rows != 0 }

// await waits until a tensor of the file is done and returns its record; false if the output has failed or ctx ends before that. Only
// one goroutine may wait.
func (o *outfile) await(ctx context.Context, tensor int) (tensorRecord, bool) {
	for {
		o.mu.Lock()
		record, failed := o.records[tensor], o.failure != nil
		o.mu.Unlock()
		if failed {
			return record, false
		}
		if record.Rows != 0 {
			return record, true
		}
		select {
		case <-o.news:
		case <-ctx.Done():
			return record, false
		}
	}
}

// failed returns what ended this output, or nil.
func (o *outfile) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failure
}

// finished notes a tensor of the plan whose bytes are all written; commit makes that last.
func (o *outfile) finished(r tensorRecord) {
	r.Tensor -= o.first
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records[r.Tensor] = r
	o.pending = append(o.pending, r)
	o.tell()
}

// commit syncs what was written and records the tensors that were finished since the last time.
func (o *outfile) commit() error {
	o.mu.Lock()
	records := o.pending
	o.pending = nil
	o.mu.Unlock()
	if len(records) == 0 {
		return nil
	}
	if err := syncData(o.f); err != nil {
		return err
	}
	return o.journal.add(records)
}

// worthKeeping tells whether any tensor is done.
func (o *outfile) worthKeeping() bool {
	for _, r := range o.records {
		if r.Rows != 0 {
			return true
		}
	}
	return false
}

// publish gives the synced file its final name.
func (o *outfile) publish() error {
	if err := rename(o.f.Name(), o.final, o.force); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &ExistsError{o.final}
		}
		return err
	}
	err := o.f.Close()
	o.journal.f.Close()
	os.Remove(o.journal.f.Name())
	o.f = nil
	return errors.Join(err, syncDir(filepath.Dir(o.final)))
}

// keep closes the partial file and its journal, for another run to go on with.
func (o *outfile) keep() {
	if o.f == nil {
		return
	}
	if o.journal != nil {
		o.journal.f.Close()
	}
	o.f.Close()
	o.f = nil
}

// abandon removes the partial file and its journal.
func (o *outfile) abandon() {
	if o.f == nil {
		return
	}
	// removed before they are closed, so that nobody else's lock can come between
	if o.journal != nil {
		os.Remove(o.journal.f.Name())
	}
	os.Remove(o.f.Name())
	o.keep()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// DiskError is returned when a disk is full or a file may not grow.
type DiskError struct {
	Path string
	Err  error
}

func (e *DiskError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }

// Unwrap returns the system's error.
func (e *DiskError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *DiskError) Hint() string { return "free some space, or write to another disk with -o DIR" }

// diskError dresses the errors of a disk that has no more room.
func diskError(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return &DiskError{Path: path, Err: bareError(err)}
	}
	return err
}

// bareError strips the operation and path that the os package puts before a system error.
func bareError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// renameChecked renames unless the name is taken, as well as that can be done without the system's help.
func renameChecked(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}
