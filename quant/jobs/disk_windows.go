package jobs

import (
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
