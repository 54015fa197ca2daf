//go:build unix && !linux

package cmd

import "syscall"

// dieWithParent is for systems that can't tell a process of its parent's end.
func dieWithParent() *syscall.SysProcAttr { return nil }
