//go:build unix

package jobs

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeBytes is what an ordinary user may still write to the disk that holds dir, and that disk's number.
func freeBytes(dir string) (free int64, device uint64, err error) {
	dir = existing(dir)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, err
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), uint64(st.Dev), nil
}

// diskSize is the size of the disk that holds dir, 0 if unknown.
func diskSize(dir string) int64 {
	var fs unix.Statfs_t
	if unix.Statfs(existing(dir), &fs) != nil {
		return 0
	}
	return int64(fs.Blocks) * int64(fs.Bsize)
}

// allocated is the disk that a file takes, 0 where it is not there.
func allocated(path string) int64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return 0
	}
	return int64(st.Blocks) * 512
}

// lockFile claims a file for this process, at once or not at all.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
