package tui

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// screen is what is shown.
type screen int

const (
	onWizard screen = iota
	onBoard
)

// model is the one bubbletea model. Update changes plain values and returns commands; only commands do I/O.
type model struct {
	ctx     context.Context
	o       Options
	service *jobs.Service
	theme   theme
	dir     string // that relative paths are of

	width, height int
	screen        screen
	help          bool
	notice        string // of the last key, gone with the next one
	bad           bool   // the notice is about something that went wrong
	question      *question
	now           time.Time

	wizard Wizard
	check  context.CancelFunc // of the look-ups for the wizard
	board  Board
	feed   *feed

	run      *runner // the job of this process, or the last one
	running  bool
	starting bool // a job was started whose number is not known yet
	quitting bool
	hurried  bool // left without waiting
	outcome  Outcome
}

// question is asked before something that can't be undone.
type question struct {
	text string
	yes  func() tea.Cmd
}

// How often the screen moves while something runs, how often jobs are looked at, how long after the last key a model
// is looked up, and how many jobs are listed.
const (
	frameEvery = 120 * time.Millisecond
	listEvery  = time.Second
	idleList   = 3 * time.Second
	typeDelay  = 300 * time.Millisecond
	listed     = 200
)

type (
	frameMsg  time.Time
	listMsg   struct{}
	listedMsg struct {
		jobs  []jobs.Job
		err   error
		clock bool // asked for by the clock, which goes on
	}
	typedMsg   int
	resizeMsg  int
	servedMsg  bool
	checkedMsg struct {
		number int
		info   *jobs.Inspection
		err    error
	}
	sizedMsg struct {
		number int
		sizes  Sizes
	}
	plannedMsg struct {
		number int
		plan   *jobs.Estimate
		err    error
	}
	arrangedMsg struct {
		id      string
		tensors []jobs.TensorEstimate
	}
	queuedMsg struct {
		job jobs.Job
		err error
	}
	doneMsg struct {
		run    *runner
		result *jobs.Result
		err    error
	}
	saidMsg struct {
		text string
		err  error
	}
)

// newWizard begins a new job.
func (m *model) newWizard() {
	folder := m.service.Settings().OutputDir
	if folder == m.dir {
		folder = "."
	}
	memory, served := m.wizard.Memory, m.wizard.Served
	m.wizard = NewWizard(m.service.Formats(), m.service.GGUFTypes(), folder)
	m.wizard.Memory, m.wizard.Served, m.wizard.Server = memory, served, served
}

// Init starts the clocks.
func (m *model) Init() tea.Cmd {
	return tea.Batch(m.askServed(), m.listLater(0), m.frame(), m.detail())
}

// Update takes a message.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) { return m, m.update(msg) }

func (m *model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		if msg.Type == tea.KeyRunes && len(msg.Runes) > 1 && !msg.Paste && m.field() == nil {
			return m.keysOf(msg) // keys that came quicker than they were read
		}
		k := Key{Name: msg.String()}
		if (msg.Type == tea.KeyRunes || msg.Type == tea.KeySpace) && !msg.Alt {
			k.Text = string(msg.Runes)
		}
		return m.key(k)
	case frameMsg:
		m.now = time.Time(msg)
		m.observe()
		return tea.Batch(m.frame(), m.detail())
	case listMsg:
		return m.list(true)
	case listedMsg:
		m.board.List(msg.jobs, msg.err)
		if !msg.clock {
			return m.detail()
		}
		wait := idleList
		if m.board.AnyActive() {
			wait = listEvery
		}
		return tea.Batch(m.listLater(wait), m.detail())
	case servedMsg:
		m.wizard.Served = bool(msg)
		m.wizard.Server = m.wizard.Server || bool(msg)
	case typedMsg:
		if m.wizard.Asking(int(msg)) {
			return m.lookUp(int(msg))
		}
	case checkedMsg:
		if m.wizard.Checked(msg.number, msg.info, msg.err) && msg.info != nil {
			return m.size()
		}
	case resizeMsg:
		if m.wizard.sizes == int(msg) {
			return m.sizeNow(int(msg))
		}
	case sizedMsg:
		m.wizard.Sized(msg.number, msg.sizes)
	case plannedMsg:
		m.wizard.Planned(msg.number, msg.plan, msg.err)
	case arrangedMsg:
		m.board.Arranged(msg.id, msg.tensors)
	case fedMsg:
		return m.fed(msg)
	case queuedMsg:
		if msg.err != nil {
			m.say(msg.err.Error(), true)
			return nil
		}
		m.toBoard(msg.job.ID)
		m.newWizard()
		return tea.Batch(m.list(false), m.detail())
	case doneMsg:
		return m.done(msg)
	case saidMsg:
		if msg.err != nil {
			msg.text = msg.err.Error()
		}
		m.say(msg.text, msg.err != nil)
		return m.list(false)
	}
	return nil
}

// keysOf takes several keys that came at once, one by one.
func (m *model) keysOf(msg tea.KeyMsg) tea.Cmd {
	var commands []tea.Cmd
	for _, r := range msg.Runes {
		commands = append(commands, m.update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: msg.Alt}))
	}
	return tea.Batch(commands...)
}

func (m *model) say(text string, bad bool) { m.notice, m.bad = clean(text), bad }

// toBoard shows a job.
func (m *model) toBoard(id string) {
	m.screen = onBoard
	m.board.Select(id)
}

// observe takes what the job of this process has come to since the last frame.
func (m *model) observe() {
	if m.run == nil {
		return
	}
	live, finished := m.run.look()
	if live.Job == "" {
		return
	}
	if m.starting {
		m.starting = false
		if m.wizard.Plan != nil {
			m.board.Arranged(live.Job, m.wizard.Plan.Tensors)
		}
		m.newWizard()
		m.toBoard(live.Job)
	}
	if m.running || len(finished) > 0 {
		m.board.Running(live, finished)
	}
}

// done takes the end of the job of this process.
func (m *model) done(msg doneMsg) tea.Cmd {
	m.observe()
	m.running, m.starting = false, false
	m.outcome.ended(msg.run, msg.result, msg.err)
	if m.quitting {
		return tea.Quit
	}
	switch {
	case msg.err == nil:
		m.say("Done.", false)
	case jobs.ClassOf(msg.err) != jobs.Cancelled:
		m.say(msg.err.Error(), true)
	}
	return m.list(false)
}

// detail looks up what the job in detail needs and does not have: its log, its wall.
func (m *model) detail() tea.Cmd {
	j := m.board.Job()
	if j == nil || m.screen != onBoard {
		return nil
	}
	var commands []tea.Cmd
	if m.feed == nil || m.feed.id != j.ID {
		if m.feed != nil {
			m.feed.stop()
		}
		m.feed = newFeed(m.ctx, j.ID)
		commands = append(commands, m.feed.open(m.service))
	}
	if _, sought := m.board.Wall(); !sought && !m.starting {
		m.board.Walls[j.ID] = nil
		commands = append(commands, m.arrange(*j))
	}
	return tea.Batch(commands...)
}
