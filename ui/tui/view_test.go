package tui

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"
	"github.com/muesli/termenv"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// source is the folder of these tests.
var source string

func TestMain(m *testing.M) {
	source, _ = os.Getwd()
	time.Local = time.UTC // screens show the time of day
	os.Exit(m.Run())
}

// place makes a folder with the small model in it the working directory, with a registry of its own, and returns
// what the screen is opened with.
func place(t *testing.T) Options {
	t.Helper()
	model, err := filepath.Abs(filepath.Join("..", "..", "testdata", "nexus-tiny-llama"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "nexus-tiny-llama"), os.DirFS(model)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	env := map[string]string{"NEXUS_QUANT_HOME": filepath.Join(dir, ".home"), "HF_HOME": filepath.Join(dir, ".hf"), "HF_HUB_OFFLINE": "1"}
	getenv := func(name string) string { return env[name] }
	s, err := jobs.Open(getenv, "test")
	if err != nil {
		t.Fatal(err)
	}
	s.Settings().AllowPaths = []string{dir}
	return Options{Service: s, In: strings.NewReader(""), Out: &bytes.Buffer{}, Color: "never", Getenv: getenv}
}

// open returns the screen at a size, with the clock at a fixed time.
func open(t *testing.T, o Options, width, height int) *model {
	t.Helper()
	m, err := newModel(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	m.update(tea.WindowSizeMsg{Width: width, Height: height})
	m.now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return m
}

// answer lets a command work and gives its answer to the screen, and so on.
func answer(m *model, cmd tea.Cmd) {
	for cmd != nil {
		cmd = m.update(cmd())
	}
}

// press presses keys and lets nothing else happen.
func press(m *model, keys ...string) (last tea.Cmd) {
	names := map[string]tea.KeyMsg{"enter": {Type: tea.KeyEnter}, "esc": {Type: tea.KeyEsc}, "down": {Type: tea.KeyDown}, "up": {Type: tea.KeyUp}, "right": {Type: tea.KeyRight}, "ctrl+u": {Type: tea.KeyCtrlU}, " ": {Type: tea.KeySpace, Runes: []rune(" ")}}
	for _, k := range keys {
		msg, ok := names[k]
		if !ok {
			msg = tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		}
		last = m.update(msg)
	}
	return last
}

// choose types a model and waits for what is known about it.
func choose(t *testing.T, m *model, name string) {
	t.Helper()
	press(m, name)
	n := m.wizard.Check.number
	m.wizard.Asking(n)
	answer(m, m.lookUp(n))
}

// planned waits for the plan and replaces what differs between machines.
func planned(t *testing.T, m *model) {
	t.Helper()
	msg, ok := m.planJob()().(plannedMsg)
	if !ok || msg.err != nil {
		t.Fatalf("the plan: %v", msg.err)
	}
	msg.plan.FreeDiskBytes, msg.plan.PeakMemoryBytes, msg.plan.Seconds = 40e9, 57<<20, 3
	m.update(msg)
}

// compare holds what is shown to the golden file, and to the size of the screen.
func compare(t *testing.T, m *model) {
	t.Helper()
	lines := strings.Split(m.View(), "\n")
	if len(lines) != m.height {
		t.Errorf("got %d lines, want %d", len(lines), m.height)
	}
	for i, line := range lines {
		if n := ansi.StringWidth(line); n > m.width {
			t.Errorf("line %d is %d wide, want at most %d", i, n, m.width)
		}
		lines[i] = strings.TrimRight(ansi.Strip(line), " ")
	}
	t.Chdir(source) // the golden files are here
	golden.RequireEqual(t, []byte(strings.Join(lines, "\n")+"\n"))
}

// The screens, as they stand at 80x24 and at 140x40.
func TestScreens(t *testing.T) {
	o := place(t)
	for _, size := range []struct {
		name          string
		width, height int
	}{{"80x24", 80, 24}, {"140x40", 140, 40}} {
		t.Run(size.name, func(t *testing.T) {
			m := open(t, o, size.width, size.height)
			show := func(name string) { t.Run(name, func(t *testing.T) { compare(t, m) }) }
			show("empty")
			press(m, "./nowhere")
			answer(m, m.lookUp(m.wizard.Check.number))
			m.wizard.Check.Err = errors.New(strings.ReplaceAll(m.wizard.Check.Err.Error(), m.dir, "/home/me"))
			show("wrong-model")
			m.newWizard()
			choose(t, m, "nexus-tiny-llama")
			show("model")
			press(m, "enter")
			show("formats")
			press(m, "enter", "down", " ", "m", "1", "enter")
			show("types")
			press(m, "p", "m", "ctrl+u", "5MB", "enter", "down", "down")
			show("picture")
			press(m, "p", "m", "ctrl+u", "1", "enter", "up", "up")
			press(m, "a", "attn_v=q8", "down", "a(b=q8_0", "down", "down", "q6_K")
			sized(t, m)
			show("advanced-wrong")
			press(m, "up", "up", "ctrl+u", "up", "ctrl+u", "attn_v=f16")
			sized(t, m)
			show("advanced")
			m.wizard.Advanced = Advanced{}
			answer(m, m.size())
			press(m, "G", " ")
			show("type-that-needs-more")
			press(m, "enter")
			planned(t, m)
			show("review")
			press(m, "?")
			show("keys")
			press(m, "?", "esc", "esc", "esc", "esc")
			show("no-jobs")
			m.board.List(someJobs(), nil)
			m.board.Arranged(m.board.Selected, m.wizard.Plan.Tensors)
			m.running, m.run = true, &runner{live: Live{Job: m.board.Selected}}
			m.board.Running(Live{Job: m.board.Selected, Progress: jobs.Progress{Stage: jobs.Quantizing, Item: "blk.2.ffn_up.weight", ItemsDone: 30, Items: 57, BytesDone: 7e6, BytesTotal: 13.6e6}, Rate: 91e6, Left: 72 * time.Second}, []string{"blk.0.attn_v.weight"})
			m.board.Follow(m.board.Selected, []Event{{Seq: 1, Time: m.now, Type: "log", Level: "WARN", Message: "a tensor named \x1b[2Jevil"}, {Seq: 2, Time: m.now, Type: "state", Data: []byte(`{"status":"quantizing"}`)}}, true)
			show("running")
			press(m, "q")
			show("quit")
			press(m, "n", "c")
			show("cancel")
			press(m, "n", "down", "down")
			show("failed")
		})
	}
}

// someJobs are a job in each of the states that look different.
func someJobs() []jobs.Job {
	at := time.Date(2026, 11, 24, 11, 58, 0, 0, time.UTC)
	end := at.Add(95 * time.Second)
	text := func(s string) *string { return &s }
	size, bits := int64(7350784), 8.51
	job := func(id, status string, progress float64) jobs.Job {
		return jobs.Job{ID: id + "-0000", Name: "nexus-tiny-llama to Q8_0, Q6_K", SourceModel: "nexus-tiny-llama", Architecture: text("llama"), Types: []string{"Q8_0", "Q6_K"}, Status: status, Progress: progress, Created: at, Started: &at,
			Outputs: []jobs.Output{{Type: "Q8_0", Status: "running", Progress: progress, Size: &size, BitsPerWeight: &bits}, {Type: "Q6_K", Status: "running", Progress: progress, Size: &size, BitsPerWeight: &bits}}}
	}
	running, done, failed, stopped := job("11111111", "quantizing", 31), job("22222222", "completed", 100), job("33333333", "failed", 40), job("44444444", "interrupted", 55)
	done.Ended = &end
	failed.Ended, failed.Resumable = &end, true
	failed.Error, failed.Hint = text("the disk filled up at 3.2 GB"), text("free 1.4 GB and resume")
	failed.Outputs[0].Status, failed.Outputs[0].Error = "failed", text("no space left on device")
	stopped.Resumable = true
	return []jobs.Job{running, done, failed, stopped}
}

// No size of the screen makes a line too long, a line too many, or a panic.
func TestScreensFitEverySize(t *testing.T) {
	o := place(t)
	m := open(t, o, 80, 24)
	check := func(name string) {
		for _, width := range []int{1, 7, 20, 40, 79, 80, 111, 112, 200, 400} {
			for _, height := range []int{1, 2, 5, 10, 23, 24, 25, 60} {
				for _, profile := range []termenv.Profile{termenv.Ascii, termenv.ANSI, termenv.TrueColor} {
					m.theme = newTheme(profile, width%2 == 0)
					m.update(tea.WindowSizeMsg{Width: width, Height: height})
					lines := strings.Split(m.View(), "\n")
					if len(lines) > height {
						t.Errorf("%s at %dx%d: %d lines", name, width, height, len(lines))
					}
					for _, line := range lines {
						if n := ansi.StringWidth(line); n > width {
							t.Errorf("%s at %dx%d: a line of %d: %q", name, width, height, n, line)
						}
					}
				}
			}
		}
	}
	choose(t, m, "nexus-tiny-llama")
	check("model")
	press(m, "enter", "enter", "m", "1", "enter")
	check("types")
	press(m, "p")
	check("picture")
	press(m, "p", "a", "attn_v=f16", "down", "a(b")
	sized(t, m)
	check("advanced")
	m.wizard.Advanced = Advanced{}
	answer(m, m.size())
	press(m, "enter")
	planned(t, m)
	check("review")
	plan := m.wizard.Plan.Tensors
	m.screen = onBoard
	m.board.List(someJobs(), nil)
	m.board.Arranged(m.board.Selected, plan)
	check("board")
	press(m, "?")
	check("keys")
	if got := m.wizard.Model.String(); got != "nexus-tiny-llama" || len(m.wizard.Picked()) != 1 || m.wizard.Plan == nil {
		t.Error("resizing lost what was chosen")
	}
}

// Bytes from outside can't reach the terminal as commands.
func TestNothingFromOutsideCommandsTheTerminal(t *testing.T) {
	t.Parallel()
	if got, want := clean("a\x1b[31mb\u009bc\nd\u202ee\x07"), "a·[31mb·c d·e·"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// boom panics when it is drawn for the second time.
type boom struct{ drawn *int }

func (b boom) Init() tea.Cmd                       { return func() tea.Msg { return frameMsg{} } }
func (b boom) Update(tea.Msg) (tea.Model, tea.Cmd) { return b, nil }
func (b boom) View() string {
	if *b.drawn++; *b.drawn > 1 {
		panic("drawing failed")
	}
	return "fine so far"
}

func TestAPanicRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, err := program(context.Background(), boom{new(int)}, Options{In: strings.NewReader(""), Out: &out}).Run()
	if !errors.Is(err, tea.ErrProgramPanic) {
		t.Errorf("got %v, want %v", err, tea.ErrProgramPanic)
	}
	for name, code := range map[string]string{"enter the other screen": "\x1b[?1049h", "leave it": "\x1b[?1049l", "show the cursor": "\x1b[?25h"} {
		if !strings.Contains(out.String(), code) {
			t.Errorf("the terminal was not told to %s", name)
		}
	}
}

func TestACommandIsBrokenWhereAShellGoesOn(t *testing.T) {
	t.Parallel()
	const command = `nexus-quant quantize 'my model' --types Q8_0,Q6_K --tensor-type 'ffn_(up|down)=q5_K' --name 'it'\''s one'`
	for width := 30; width < 130; width++ {
		lines := wrapCommand(command, width)
		for i, line := range lines {
			if n := ansi.StringWidth(line); n > width {
				t.Errorf("width %d: a line of %d: %q", width, n, line)
			}
			if last := i == len(lines)-1; last == strings.HasSuffix(line, ` \`) {
				t.Errorf("width %d: line %d of %d is %q", width, i+1, len(lines), line)
			}
		}
		if got := strings.ReplaceAll(strings.Join(lines, "\n"), " \\\n", " "); got != command {
			t.Errorf("width %d: a shell reads %s", width, got)
		}
	}
}
