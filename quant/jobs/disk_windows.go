package jobs

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// freeBytes is what this user may still write to the disk that holds dir, and a number for that disk.
func freeBytes(dir string) (free int64, device uint64, err error) {
	dir = existing(dir)
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var n uint64
	if err := windows.GetDiskFreeSpaceEx(path, &n, nil, nil); err != nil {
		return 0, 0, err
	}
	if v := filepath.VolumeName(dir); v != "" {
		device = uint64(v[0])
	}
	return int64(n), device, nil
}

// diskSize is the size of the disk that holds dir, 0 if unknown.
func diskSize(dir string) int64 {
	path, err := windows.UTF16PtrFromString(existing(dir))
	var n uint64
	if err != nil || windows.GetDiskFreeSpaceEx(path, nil, &n, nil) != nil {
		return 0
	}
	return int64(n)
}

// allocated is the size of a file, 0 where it is not there.
func allocated(path string) int64 {
	info, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// lockFile claims a file for this process, at once or not at all.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
}
