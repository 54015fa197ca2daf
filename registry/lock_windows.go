package registry

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

var errLocked = errors.New("locked by another process")

// lockFile takes an exclusive lock of f, which lasts until f is closed. It locks one byte far behind any content,
// because a lock keeps others from reading the bytes it covers; bbolt locks another byte. When that takes longer than
// wait it returns errLocked and f is closed.
func lockFile(f *os.File, wait time.Duration) error {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		at := &windows.Overlapped{OffsetHigh: 1 << 30}
		err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, at)
		if err == nil {
			return nil
		}
		if !errors.Is(err, windows.ERROR_LOCK_VIOLATION) && !errors.Is(err, windows.ERROR_IO_PENDING) {
			f.Close()
			return os.NewSyscallError("LockFileEx", err)
		}
		if time.Since(start) > wait {
			f.Close()
			return errLocked
		}
	}
}

// unlockFile does nothing: closing the file is enough.
func unlockFile(*os.File) error { return nil }
