package cmd

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The process that draws is killed while the terminal is its own: the other one leaves the other screen and says so.
func TestAKilledScreenLeavesTheTerminalRight(t *testing.T) {
	t.Parallel()
	listen, user := terminal(t)
	c := process("jobs", "watch")
	c.Env = append(c.Env, "TERM=xterm", "NO_COLOR=1")
	c.Stdin, c.Stdout, c.Stderr = user, user, user
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(out.String(), "\x1b[?1049h") {
		n, err := listen.Read(buf)
		if err != nil {
			t.Fatalf("%v: %q", err, out.String())
		}
		out.Write(buf[:n])
	}
	id := strconv.Itoa(c.Process.Pid)
	children, err := os.ReadFile("/proc/" + id + "/task/" + id + "/children")
	for wait := time.Millisecond; err == nil && len(children) == 0 && wait < time.Minute; wait *= 2 {
		children = nil
		tasks, _ := os.ReadDir("/proc/" + id + "/task") // any thread may have started it
		for _, task := range tasks {
			more, _ := os.ReadFile("/proc/" + id + "/task/" + task.Name() + "/children")
			children = append(children, more...)
		}
		time.Sleep(wait)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Skipf("this system doesn't tell the children of a process: %v", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	user.Close()
	_, _ = io.Copy(&out, listen) // ends with an error, as terminals do
	_ = c.Wait()
	text := out.String()
	if code := c.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(text, "the screen ended unexpectedly: signal: killed") {
		t.Errorf("exit code %d, and the terminal got %q", code, text)
	}
	if strings.LastIndex(text, "\x1b[?1049l") < strings.LastIndex(text, "\x1b[?1049h") || !strings.Contains(text, "\x1b[?25h") {
		t.Errorf("the terminal was left on the other screen: %q", text)
	}
}
