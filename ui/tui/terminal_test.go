//go:build tui && unix

package tui_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// terminal is the program in a real terminal, driven as by a user. Run with: make tui.
type terminal struct {
	t      *testing.T
	socket string
	dir    string
}

// program is the program to drive: the one that NEXUS_QUANT_BINARY names, else one that is built.
func program(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("NEXUS_QUANT_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "nexus-quant")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/nexus-quant/nexus-quant").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// start opens a terminal of a size with the program in it.
func start(t *testing.T, width, height int, args string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("tmux is not installed: this test drives a real terminal with it. make tui installs it on Debian, as root")
	}
	dir := t.TempDir()
	if err := os.Symlink(program(t), filepath.Join(dir, "nexus-quant")); err != nil {
		t.Fatal(err)
	}
	model, err := filepath.Abs(filepath.Join("..", "..", "testdata", "nexus-tiny-llama"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "nexus-tiny-llama"), os.DirFS(model)); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, socket: fmt.Sprintf("nexus-quant-test-%d-%d", os.Getpid(), time.Now().UnixNano()), dir: dir}
	t.Cleanup(func() { _ = x.command("kill-server").Run() })
	c := x.command("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "-c", dir, "sh")
	c.Env = append(os.Environ(), "HOME="+dir, "NEXUS_QUANT_HOME="+filepath.Join(dir, ".home"), "HF_HUB_OFFLINE=1", "PS1=$ ", "LC_ALL=C.UTF-8", "NO_COLOR=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	x.run(args)
	return x
}

func (x *terminal) command(args ...string) *exec.Cmd {
	return exec.Command("tmux", append([]string{"-L", x.socket}, args...)...)
}

// run types a command line of the shell, which leaves the number of the program's process in a file.
func (x *terminal) run(args string) {
	x.keys("clear; sh -c 'echo $$ >pid; exec ./nexus-quant \"$@\"' sh "+args+"; echo exit=$?", "Enter")
}

// signal sends a signal to the program.
func (x *terminal) signal(s syscall.Signal) {
	x.t.Helper()
	text, err := os.ReadFile(filepath.Join(x.dir, "pid"))
	if err != nil {
		x.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		x.t.Fatal(err)
	}
	if err := syscall.Kill(pid, s); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := x.command(args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	x.tmux(append([]string{"send-keys", "-t", "t", "--"}, keys...)...)
}

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p", "-t", "t") }

// patience is how long a screen is waited for: no measure of speed, but the end of a test that hangs.
const patience = 2 * time.Minute

// see waits until the screen shows what a regular expression says.
func (x *terminal) see(pattern string) []string {
	x.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		screen := x.screen()
		if found := re.FindStringSubmatch(screen); found != nil {
			return found
		}
		if time.Now().After(end) {
			x.t.Fatalf("the screen never showed %q:\n%s", pattern, screen)
		}
	}
}

// clean checks that the terminal is the shell's again: what is typed shows, and the screen of before is back.
func (x *terminal) clean() {
	x.t.Helper()
	x.keys("echo al''l well", "Enter")
	x.see(`(?m)all well$`)
	if s := x.screen(); strings.Contains(s, "────") {
		x.t.Errorf("something of the program stayed on the screen:\n%s", s)
	}
}

// bigModel makes a model out of a hole, which takes hardly any disk, that takes some seconds to quantize.
func (x *terminal) bigModel() {
	x.t.Helper()
	if err := os.CopyFS(filepath.Join(x.dir, "big"), os.DirFS(filepath.Join(x.dir, "nexus-tiny-llama"))); err != nil {
		x.t.Fatal(err)
	}
	writeHoles(x.t, filepath.Join(x.dir, "big"), 40)
}

// pickFour chooses four types, so that the job lasts some seconds, and goes on to the review.
func (x *terminal) pickFour() {
	x.t.Helper()
	x.see(`Q6_K +\d`)
	for range 3 {
		x.keys("j", "Space")
	}
	x.see("4 files: Q8_0, Q6_K, Q5_K_M, Q5_K_S")
	x.keys("Enter")
	x.see("Writes 4 files")
}

func TestWizardToTheFinishedFileOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "")
	x.see("A Hub id")
	x.keys("./nexus-tiny")
	x.see("no such file")
	x.keys("-llama")
	x.see("recommended +Q8_0")
	x.tmux("resize-window", "-t", "t", "-x", "130", "-y", "36")
	x.see("This job")
	if s := x.screen(); !strings.Contains(s, "> ./nexus-tiny-llama") || !strings.Contains(s, "supported") {
		t.Errorf("resizing lost the model:\n%s", s)
	}
	x.tmux("resize-window", "-t", "t", "-x", "80", "-y", "24")
	x.keys("Enter", "Enter")
	x.see(`\[x\] +Q8_0 +7\.35 MB`)
	x.keys("j", "Space")
	x.see("2 files: Q8_0, Q6_K, 13.05 MB")
	x.keys("Enter")
	x.see("Writes 2 files, 13.05 MB")
	x.keys("Enter")
	x.see("completed +100 %")
	x.keys("q")
	x.see("(?s)nexus-tiny-llama-Q8_0.gguf\nnexus-tiny-llama-Q6_K.gguf\nexit=0")
	x.clean()
	x.run("inspect nexus-tiny-llama-Q6_K.gguf | grep types")
	x.see("exit=0")
}

// The advanced options on a real terminal: an error beside its row, live sizes, and the file that they say.
func TestAdvancedOptionsOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "")
	x.see("A Hub id")
	x.keys("./nexus-tiny-llama")
	x.see("recommended +Q8_0")
	x.keys("Enter", "Enter")
	x.see(`\[x\] +Q8_0 +7\.35 MB`)
	x.keys("a")
	x.see("Requantize")
	x.keys("attn_v=q8")
	x.see("did you mean q8_0")
	x.keys("C-u")
	x.keys("attn_v=f16")
	x.see("1 file: Q8_0, 7.54 MB")
	x.keys("Down", "Down")
	x.keys("q6_K")
	x.see("1 file: Q8_0, 7.28 MB")
	x.keys("Escape")
	x.see("Advanced: attn_v=f16, output q6_K")
	x.keys("Enter")
	x.see("Writes 1 file, 7.28 MB")
	x.see("(?s)--tensor-type attn_v=f16.*--output-tensor-type q6_K")
	x.keys("Enter")
	x.see("completed +100 %")
	x.keys("q")
	x.see("exit=0")
	x.run("inspect nexus-tiny-llama-Q8_0.gguf | grep -cE 'attn_v.weight +f16|output.weight +q6_K'")
	x.see(`(?m)^7$`)
}

// Types are picked in the picture of size against quality as in the list.
func TestPictureOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "")
	x.see("A Hub id")
	x.keys("./nexus-tiny-llama")
	x.see("recommended +Q8_0")
	x.keys("Enter", "Enter")
	x.see(`\[x\] +Q8_0 +7\.35 MB`)
	x.keys("p")
	x.see(`(?s)▸ Q8_0 +7\.35 MB.*deviation 0\.54 %.*●.▸Q8_0.*○.Q2_K.*size →`)
	x.keys("j", "j", "Space")
	x.see(`(?s)▸ Q5_K_M +5\.00 MB.*2 files: Q8_0, Q5_K_M`)
	x.keys("m", "C-u", "4MiB", "Enter")
	x.see(`(?s)▸ Q5_K_M.*too big.*│.*too big`)
	x.tmux("resize-window", "-t", "t", "-x", "140", "-y", "40")
	x.see(`(?s)This job.*▸Q5_K_M`)
	x.keys("p")
	x.see(`▸ +\[x\] +Q5_K_M`)
	x.keys("q")
	x.see("exit=0")
}

func TestQuitAndResumeOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "version")
	x.see("exit=0")
	x.bigModel()
	x.run("wizard")
	x.see("A Hub id")
	x.keys("./big")
	x.see("recommended")
	x.keys("Enter", "Enter")
	x.pickFour()
	x.keys("Enter")
	x.see(`quantizing [1-9]\d* of`)
	x.keys("q")
	x.see("Quit\\?")
	x.keys("y")
	id := x.see(`jobs\s+resume\s+([0-9a-f]{8})`)[1]
	x.see("exit=0")
	x.clean()
	x.run("jobs watch " + id)
	x.see("interrupted")
	x.keys("r")
	x.see("completed +100 %")
	x.keys("q")
	x.see("exit=0")
	x.clean()
}

func TestCancelOnATerminal(t *testing.T) {
	x := start(t, 100, 30, "version")
	x.see("exit=0")
	x.bigModel()
	x.run("")
	x.see("A Hub id")
	x.keys("./big")
	x.see("recommended")
	x.keys("Enter", "Enter")
	x.pickFour()
	x.keys("Enter")
	x.see(`quantizing [1-9]\d* of`)
	x.keys("c")
	x.see("Cancel job")
	x.keys("y")
	x.see("cancelled")
	x.keys("q")
	x.see("exit=0")
	x.clean()
	left, _ := filepath.Glob(filepath.Join(x.dir, "*.gguf*"))
	if len(left) > 0 {
		t.Errorf("cancelling left %v", left)
	}
}

// A signal ends the program as a key does: the job can be resumed and the terminal is put right.
func TestTerminationOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "version")
	x.see("exit=0")
	x.bigModel()
	x.run("")
	x.see("A Hub id")
	x.keys("./big")
	x.see("recommended")
	x.keys("Enter", "Enter")
	x.pickFour()
	x.keys("Enter")
	x.see(`quantizing [1-9]\d* of`)
	x.signal(syscall.SIGTERM)
	x.see("exit=130")
	x.clean()
	x.run("jobs list")
	x.see("interrupted")
}

// The process that was started is killed, which it can't notice: the one that draws leaves the terminal to the shell
// without a word, and the job can be resumed.
func TestKillOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "version")
	x.see("exit=0")
	x.bigModel()
	x.run("")
	x.see("A Hub id")
	x.keys("./big")
	x.see("recommended")
	x.keys("Enter", "Enter")
	x.pickFour()
	x.keys("Enter")
	x.see(`quantizing [1-9]\d* of`)
	x.signal(syscall.SIGKILL)
	for end := time.Now().Add(patience); strings.TrimSpace(x.tmux("display-message", "-p", "-t", "t", "#{alternate_on}")) != "0"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the other screen was never left:\n%s", x.screen())
		}
	}
	x.clean()
	// the process that draws ends by itself, and records that
	x.keys("clear; until ./nexus-quant jobs list | grep interrupt''ed; do sleep 0.1; done; echo found=$?", "Enter")
	x.see("(?s)interrupted.*found=0")
	if s := x.screen(); strings.Contains(s, "what is done is kept") || strings.Contains(s, "──") {
		t.Errorf("the process that draws said something after its end:\n%s", s)
	}
}

// A crash in any goroutine, which nothing in the program can catch, leaves the terminal to the shell as it was. A SIGQUIT
// is such a crash.
func TestCrashOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "")
	x.see("A Hub id")
	x.signal(syscall.SIGQUIT)
	x.see("(?s)the screen ended unexpectedly.*exit=1")
	x.keys("clear", "Enter")
	x.clean()
}

// So does the end of the terminal's line, as far as there is still something to put right.
func TestHangupOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "jobs watch")
	x.see("No jobs yet")
	x.signal(syscall.SIGHUP)
	x.see("exit=130")
	x.clean()
}

func TestPlainLinesOnATerminal(t *testing.T) {
	x := start(t, 80, 24, "version")
	x.see("exit=0")
	x.keys("export ACCESSIBLE=1", "Enter")
	x.run("")
	x.see("Hub id, folder")
	x.keys("nexus-tiny-llama", "Enter")
	x.see("Memory to fit in")
	x.keys("Enter")
	x.see("Advanced options")
	x.keys("Enter")
	x.see("Numbers or names")
	x.keys("Q4_K_M", "Enter")
	x.see("Folder for the files")
	x.keys("Enter")
	x.see("Create the job")
	x.keys("yes", "Enter")
	x.see("(?s)Done.*exit=0")
}
