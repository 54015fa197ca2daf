//go:build unix && !linux

package cmd

import "golang.org/x/sys/unix"

// getTermios asks a terminal for its settings.
const getTermios = unix.TIOCGETA

// redirect makes one file descriptor another name of what a second one is of.
func redirect(from, to int) error { return unix.Dup2(from, to) }
