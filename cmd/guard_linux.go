package cmd

import "syscall"

// dieWithParent ends a process when the one that started it is killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
