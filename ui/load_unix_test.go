//go:build unix

package ui

import (
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the CPU time that this process took so far.
func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
