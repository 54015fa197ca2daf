//go:build !linux

package quant

import "os"

// reserve makes f size bytes long.
func reserve(f *os.File, size int64) error { return f.Truncate(size) }

// syncData puts f's bytes on the disk.
func syncData(f *os.File) error { return f.Sync() }

// rename gives a file its new name; without force a file of that name is not replaced.
func rename(from, to string, force bool) error {
	if force {
		return os.Rename(from, to)
	}
	return renameChecked(from, to)
}
