//go:build unix

package registry

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var errLocked = errors.New("locked by another process")

// lockFile takes the exclusive lock of f, which lasts until f is closed. When that takes longer than wait it returns
// errLocked, and f belongs to lockFile: it is closed as soon as the lock is given.
func lockFile(f *os.File, wait time.Duration) error {
	fd := int(f.Fd())
	err := flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return os.NewSyscallError("flock", err)
	}
	given := make(chan error, 1)
	go func() { given <- flock(fd, unix.LOCK_EX) }()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case err := <-given:
		if err != nil {
			f.Close()
		}
		return os.NewSyscallError("flock", err)
	case <-timeout.C:
		go func() {
			<-given
			f.Close()
		}()
		return errLocked
	}
}

func unlockFile(f *os.File) error { return flock(int(f.Fd()), unix.LOCK_UN) }

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
