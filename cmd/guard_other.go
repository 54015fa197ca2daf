//go:build !unix

package cmd

import (
	"os"
	"syscall"

	"github.com/nexus-quant/nexus-quant/ui/tui"
)

// onScreen draws in this process.
func (a *app) onScreen(draw func() (tui.Outcome, error)) error { return a.farewell(draw()) }

// endSignals are what asks the program to end.
func endSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }
