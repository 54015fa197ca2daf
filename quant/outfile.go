package quant

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// partialSuffix marks a file that is being written. Nothing ever stands under a final name that is not whole.
const partialSuffix = ".partial"

// outfile is an output while it is written: DIR/name.gguf.partial, renamed to its final name at the end.
type outfile struct {
	final string
	force bool
	f     *os.File
}

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

// createOutput opens the partial file of an output and reserves size bytes for it.
func createOutput(final string, size int64, force bool) (*outfile, error) {
	if err := checkFree(final, force); err != nil {
		return nil, err
	}
	partial := final + partialSuffix
	f, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	o := &outfile{final: final, force: force, f: f}
	if err := lock(f); err != nil {
		f.Close() // it is the other process's file: leave it
		return nil, &BusyError{partial}
	}
	if err = f.Truncate(0); err == nil {
		err = reserve(f, size)
	}
	if err != nil {
		o.abandon()
		return nil, diskError(partial, err)
	}
	return o, nil
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
	o.f = nil
	return errors.Join(err, syncDir(filepath.Dir(o.final)))
}

// abandon removes the partial file.
func (o *outfile) abandon() {
	if o.f == nil {
		return
	}
	// removed before it is closed, so that nobody else's lock can come between
	os.Remove(o.f.Name())
	o.f.Close()
	o.f = nil
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
