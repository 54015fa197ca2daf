package registry

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// processStart returns the start time of a process since the epoch, sysctl kern.proc.pid.
func processStart(pid int) (string, processState) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return "", processGone
		}
		return "", processUnknown
	}
	const zombie = 5 // SZOMB of sys/proc.h
	if info.Proc.P_stat == zombie {
		return "", processGone
	}
	return fmt.Sprintf("%d.%06d", info.Proc.P_starttime.Sec, info.Proc.P_starttime.Usec), processThere
}

// bootID names this run of the kernel.
func bootID() string {
	id, _ := unix.Sysctl("kern.bootsessionuuid")
	return id
}

func pidNamespace() string { return "" }
