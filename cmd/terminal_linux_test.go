package cmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a terminal: what is written to user goes to who listens at the other end.
func terminal(t *testing.T) (listen, user *os.File) {
	t.Helper()
	listen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { listen.Close() })
	if err := unix.IoctlSetPointerInt(int(listen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	n, err := unix.IoctlGetInt(int(listen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	user, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { user.Close() })
	return listen, user
}

// Commands leave a terminal alone that they print a line to: no library asks it for its colours and waits for an answer
// that may never come.
func TestCommandsDoNotQuestionTheTerminal(t *testing.T) {
	t.Parallel()
	listen, user := terminal(t)
	c := process("version")
	c.Env = slices.DeleteFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, "CI=") })
	c.Env = append(c.Env, "TERM=xterm-256color")
	c.Stdin, c.Stdout, c.Stderr = user, user, user
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	start := time.Now()
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	user.Close()
	var out bytes.Buffer
	_, _ = io.Copy(&out, listen) // ends with an error, as terminals do
	if !strings.HasPrefix(out.String(), "nexus-quant ") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("the terminal got %q, want the version alone", out.String())
	}
	if took > 4*time.Second {
		t.Errorf("it took %s: something waited for the terminal", took)
	}
}
