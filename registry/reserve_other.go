//go:build !linux

package registry

import "os"

// reserve does nothing: only Linux can keep disk for a file without making it longer.
func reserve(*os.File, int64, int64) {}
