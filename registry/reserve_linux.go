package registry

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserve keeps disk for the bytes of f from offset on, whether they are written yet or not; the size of the file stays
// as it is. It is an attempt: not every file system can.
func reserve(f *os.File, offset, length int64) {
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, offset, length)
}
