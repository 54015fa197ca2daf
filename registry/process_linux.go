package registry

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// processStart returns the start time of a process in clock ticks since boot: field 22 of /proc/PID/stat, proc(5).
// A zombie is gone: nothing of it runs any more.
func processStart(pid int) (string, processState) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		// The file may be hidden (mount option hidepid) or /proc missing, so ask again in another way.
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)) && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return "", processGone
		}
		return "", processUnknown
	}
	// The second field is the name in parentheses, which may itself hold blanks and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", processUnknown
	}
	if s := fields[0][0]; s == 'Z' || s == 'X' || s == 'x' {
		return "", processGone
	}
	return string(fields[19]), processThere
}

// bootID names this run of the kernel, random(4).
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// pidNamespace names the container in which a PID has its meaning, pid_namespaces(7).
func pidNamespace() string {
	ns, _ := os.Readlink("/proc/self/ns/pid")
	return ns
}
