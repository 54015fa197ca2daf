//go:build unix

package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/nexus-quant/nexus-quant/ui/tui"
)

// crashVariable names, in the process that draws the screen, the file that Go writes to when it crashes.
const crashVariable = "NEXUS_QUANT_CRASH_FD"

// crashFD is the first file that a process is given beside the three standard ones.
const crashFD = 3

// maxCrash is as much of a crash as is kept.
const maxCrash = 256 << 10

// leaveScreen undoes what a screen may have asked of the terminal: mouse, pasting in brackets, the other screen, no
// cursor, colours.
const leaveScreen = "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l\x1b[?25h\x1b[0m\r"

// onScreen draws in a process of its own, and waits for it: it may die without putting the terminal right, of a panic
// in any goroutine, of a signal, or when the system runs out of memory. Then this process does.
func (a *app) onScreen(draw func() (tui.Outcome, error)) error {
	self, err := os.Executable()
	if err != nil {
		return a.farewell(draw())
	}
	if a.getenv(crashVariable) != "" {
		os.Unsetenv(crashVariable)
		f := os.NewFile(crashFD, "crash")
		_ = debug.SetCrashOutput(f, debug.CrashOptions{}) // it has a copy
		f.Close()
		return a.farewell(draw())
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	before, err := term.GetState(int(os.Stdin.Fd()))
	if err != nil {
		return err
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", crashVariable, crashFD))
	c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{write}
	c.SysProcAttr = dieWithParent()
	runtime.LockOSThread() // the system counts the thread that starts a process as its parent
	defer runtime.UnlockOSThread()

	a.release()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn()...)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		write.Close()
		return err
	}
	write.Close()
	go func() {
		for s := range signals {
			_ = c.Process.Signal(s)
		}
	}()
	crash, _ := io.ReadAll(io.LimitReader(read, maxCrash)) // ends with the process
	err = c.Wait()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && len(crash) == 0 && exit.Exited() {
		return exitOf(c.ProcessState.ExitCode())
	}
	_ = term.Restore(int(os.Stdin.Fd()), before)
	fmt.Fprint(os.Stdout, leaveScreen)
	if len(crash) > 0 {
		a.note("%s", strings.TrimSpace(string(crash)))
	}
	return &hinted{fmt.Errorf("the screen ended unexpectedly: %w", err), "nexus-quant jobs list shows whether a job can be resumed"}
}

// passedOn are the signals that the process that draws gets too. One that is ignored, as nohup does, stays so.
func passedOn() []os.Signal {
	return append(endSignals(), syscall.SIGQUIT)
}

// endSignals are what asks the program to end.
func endSignals() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}
