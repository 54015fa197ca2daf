//go:build unix

package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/nexus-quant/nexus-quant/ui/tui"
)

// crashVariable names, in the process that draws the screen, the file that Go writes to when it crashes.
const crashVariable = "NEXUS_QUANT_CRASH_FD"

// The files that the process that draws is given beside the three standard ones: where it writes a crash, and one that
// ends when the process that started it does.
const (
	crashFD = 3
	aliveFD = 4
)

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
		go leaveWhenAlone(os.NewFile(aliveFD, "alive"))
		return a.farewell(draw())
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	alive, held, err := os.Pipe()
	if err != nil {
		write.Close()
		return err
	}
	defer held.Close()
	before, err := term.GetState(int(os.Stdin.Fd()))
	if err != nil {
		return err
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", crashVariable, crashFD))
	c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{write, alive}

	a.release()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn()...)
	defer signal.Stop(signals)
	err = c.Start()
	write.Close()
	alive.Close()
	if err != nil {
		return err
	}
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

// leaveWhenAlone waits in the process that draws until the one that started it is gone before it, which nothing but its
// being killed brings about. The terminal is the shell's by then: it is put right, nothing more is drawn, said or read,
// and the program ends as by a signal, so that a job can be resumed.
func leaveWhenAlone(alive *os.File) {
	before, err := term.GetState(int(os.Stdin.Fd()))
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, alive); err != nil {
		return
	}
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTTIN) // sent to who touches a terminal that isn't theirs
	fd, err := unix.Dup(int(os.Stdout.Fd()))
	null, nullErr := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err == nil && nullErr == nil {
		for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
			if n := int(f.Fd()); term.IsTerminal(n) {
				_ = redirect(int(null.Fd()), n)
			}
		}
		// a shell may have set the terminal to its liking already
		if t, err := unix.IoctlGetTermios(fd, getTermios); err == nil && t.Oflag&unix.OPOST == 0 {
			_ = term.Restore(fd, before)
		}
		_, _ = unix.Write(fd, []byte(leaveScreen))
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
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
