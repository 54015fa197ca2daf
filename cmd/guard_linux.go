package cmd

import "golang.org/x/sys/unix"

// getTermios asks a terminal for its settings.
const getTermios = unix.TCGETS

// redirect makes one file descriptor another name of what a second one is of.
func redirect(from, to int) error { return unix.Dup3(from, to, 0) }
