package registry

import (
	"errors"
	"strconv"

	"golang.org/x/sys/windows"
)

// processStart returns the creation time of a process in 100 ns since 1601.
func processStart(pid int) (string, processState) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		if errors.Is(err, windows.ERROR_INVALID_PARAMETER) { // no such process
			return "", processGone
		}
		return "", processUnknown
	}
	defer windows.CloseHandle(h)
	// A process that somebody still has a handle of can be opened after its end; its handle is then signalled.
	if ev, err := windows.WaitForSingleObject(h, 0); err == nil && ev == windows.WAIT_OBJECT_0 {
		return "", processGone
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return "", processUnknown
	}
	return strconv.FormatUint(uint64(created.HighDateTime)<<32|uint64(created.LowDateTime), 10), processThere
}

// The creation time of a process is the time of day, so it tells runs of the system apart by itself.
func bootID() string { return "" }

func pidNamespace() string { return "" }
