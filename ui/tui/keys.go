package tui

import (
	"fmt"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// binding is a key with what it does, for the line at the bottom and the page of all keys.
type binding struct{ key, does string }

// key takes a key.
func (m *model) key(k Key) tea.Cmd {
	m.notice = ""
	if k.Name == "ctrl+c" {
		return m.quit()
	}
	if m.question != nil {
		q := m.question
		switch k.Name {
		case "y", "enter":
			m.question = nil
			return q.yes()
		case "n", "esc", "q":
			m.question = nil
		}
		return nil
	}
	if m.help {
		m.help = false
		return nil
	}
	if m.quitting {
		return nil
	}
	field := m.field()
	if k.Name == "f1" || k.Name == "?" && (field == nil || field.Empty()) {
		m.help = true
		return nil
	}
	if m.screen == onBoard {
		return m.boardKey(k)
	}
	return m.wizardKey(k, field)
}

// field is the line that keys go to, nil if they are commands.
func (m *model) field() *Line {
	if m.screen == onWizard {
		return m.wizard.Field()
	}
	return nil
}

// quit leaves, after a question if a job runs here. Pressed again while the job is stopping, it leaves at once.
func (m *model) quit() tea.Cmd {
	switch {
	case m.quitting:
		m.hurried = true
		m.outcome.interrupted(m.run.job())
		return tea.Quit
	case !m.running:
		return tea.Quit
	case m.question != nil:
		return m.question.yes()
	}
	m.question = &question{
		text: fmt.Sprintf("Quit? Job %s stops, and what is done is kept: nexus-quant jobs resume %[1]s goes on with it.", short(m.run.job())),
		yes: func() tea.Cmd {
			m.quitting, m.question = true, nil
			m.run.stop(jobs.ErrInterrupted)
			m.say("Stopping; what is done is kept.", false)
			return nil
		},
	}
	return nil
}

// move is how far a key moves a cursor.
func move(k Key, page int) (n int, ok bool) {
	switch k.Name {
	case "up", "k":
		return -1, true
	case "down", "j":
		return 1, true
	case "pgup", "ctrl+u":
		return -page, true
	case "pgdown", "ctrl+d":
		return page, true
	case "home", "g":
		return -1 << 20, true
	case "end", "G":
		return 1 << 20, true
	}
	return 0, false
}

func (m *model) wizardKey(k Key, field *Line) tea.Cmd {
	w := &m.wizard
	switch {
	case w.Editing != nil:
		return m.editKey(k)
	case w.Advanced.Open:
		return m.optionKey(k, field)
	}
	switch k.Name {
	case "enter":
		if w.Step == StepReview && w.Cursor != RowCreate {
			if field == nil {
				return m.toggle()
			}
			w.Move(1)
			return m.planJob()
		}
		return m.next()
	case "esc":
		if !w.Back() {
			m.screen = onBoard
			return m.detail()
		}
		return nil
	case "tab":
		if w.Step == StepReview {
			w.Move(1)
			return m.planJob()
		}
		return m.next()
	case "shift+tab":
		if w.Step == StepReview && w.Cursor > 0 {
			w.Move(-1)
			return m.planJob()
		}
		w.Back()
		return nil
	}
	if field != nil {
		if k.Name == "up" || k.Name == "down" {
			n, _ := move(k, 1)
			w.Move(n)
			return m.planIfReview()
		}
		before := field.String()
		field.Key(k)
		if field.String() != before && w.Step == StepModel {
			return m.lookLater(w.ModelChanged())
		}
		return nil
	}
	if n, ok := move(k, 10); ok {
		w.Move(n)
		return nil
	}
	switch k.Name {
	case "q":
		return m.quit()
	case " ", "x":
		return m.toggle()
	case "l", "right":
		return m.next()
	case "h", "left":
		w.Back()
	case "m":
		if w.Step == StepTypes {
			w.Editing = &w.Memory
		}
	case "i":
		if w.Step == StepTypes {
			w.Editing = &w.Imatrix
		}
	case "p":
		if w.Step == StepTypes {
			w.Picture = !w.Picture
		}
	case "a":
		if w.Step == StepTypes {
			w.Advanced.show()
		}
	}
	return nil
}

// optionKey takes a key while the advanced options are shown.
func (m *model) optionKey(k Key, field *Line) tea.Cmd {
	a := &m.wizard.Advanced
	switch k.Name {
	case "esc":
		a.hide()
		return nil
	case "enter":
		if a.Cursor == len(a.options())-1 {
			a.hide()
			return nil
		}
		a.move(1)
		return nil
	case "tab", "down":
		a.move(1)
		return nil
	case "shift+tab", "up":
		a.move(-1)
		return nil
	}
	if field != nil {
		before := field.String()
		if field.Key(k); field.String() != before {
			return m.sizeLater()
		}
		return nil
	}
	if n, ok := move(k, 5); ok {
		a.move(n)
		return nil
	}
	switch k.Name {
	case " ", "x":
		a.toggle()
		return m.size()
	case "q":
		return m.quit()
	}
	return nil
}

func (m *model) planIfReview() tea.Cmd {
	if m.wizard.Step == StepReview {
		return m.planJob()
	}
	return nil
}

// editKey takes a key while a figure of the step of types is edited.
func (m *model) editKey(k Key) tea.Cmd {
	w := &m.wizard
	switch k.Name {
	case "enter", "esc", "tab":
		line := w.Editing
		if line == &w.Memory {
			if _, err := w.Budget(); err != nil {
				m.say(err.Error(), true)
				return nil
			}
			w.Editing = nil
			return nil
		}
		w.Editing = nil
		return m.size()
	}
	w.Editing.Key(k)
	return nil
}

// toggle changes what the cursor is on.
func (m *model) toggle() tea.Cmd {
	if why := m.wizard.Toggle(); why != "" {
		m.say(why, true)
		return nil
	}
	return m.planIfReview()
}

// next goes one step on, or starts the job after the last one.
func (m *model) next() tea.Cmd {
	w := &m.wizard
	last := w.Step == StepReview
	if missing := w.Next(); missing != "" {
		m.say(missing, true)
		return nil
	}
	switch {
	case last && m.running && !w.Server:
		m.say("One job at a time runs here. Wait for it, or leave jobs to nexus-quant serve.", true)
		return nil
	case last && m.starting:
		return nil
	case last:
		return m.start()
	}
	return m.planIfReview()
}

func (m *model) boardKey(k Key) tea.Cmd {
	b := &m.board
	if n, ok := move(k, 5); ok {
		if b.Move(n) {
			return m.detail()
		}
		return nil
	}
	switch k.Name {
	case "q":
		return m.quit()
	case "n", "esc":
		m.screen = onWizard
		return m.askServed()
	case "left", "h":
		b.MoveOutput(-1)
	case "right", "l":
		b.MoveOutput(1)
	case "c":
		return m.askCancel(b.Job())
	case "r":
		return m.resume(b.Job())
	}
	return nil
}

func (m *model) askCancel(j *jobs.Job) tea.Cmd {
	if j == nil {
		return nil
	}
	if !Active(j) && j.Status != "interrupted" {
		m.say(fmt.Sprintf("Job %s is %s already.", short(j.ID), j.Status), true)
		return nil
	}
	id := j.ID
	m.question = &question{
		text: fmt.Sprintf("Cancel job %s, %s? It can't be resumed then; its unfinished files are removed.", short(id), clean(j.Name)),
		yes:  func() tea.Cmd { return m.cancel(id) },
	}
	return nil
}

func (m *model) resume(j *jobs.Job) tea.Cmd {
	switch {
	case j == nil:
		return nil
	case !j.Resumable:
		m.say(fmt.Sprintf("Job %s is %s; there is nothing to resume.", short(j.ID), j.Status), true)
		return nil
	case m.wizard.Served:
		return m.queue(j.ID)
	case m.running:
		m.say("One job at a time runs here. Resume this one when it is done.", true)
		return nil
	}
	id := j.ID
	r := jobs.Request{MaxMemory: j.Config.MaxMemory}
	cmd := m.begin(r.MemoryLimit(), m.resumeWork(id))
	m.starting = false
	return cmd
}

// bindings are the keys of the screen that is shown, the most needed first.
func (m *model) bindings() []binding {
	if m.question != nil {
		return []binding{{"y", "yes"}, {"n", "no"}}
	}
	if m.screen == onBoard {
		list := []binding{{"↑↓", "job"}}
		if j := m.board.Job(); j != nil {
			if len(j.Outputs) > 1 {
				list = append(list, binding{"←→", "output"})
			}
			if Active(j) || j.Status == "interrupted" {
				list = append(list, binding{"c", "cancel"})
			}
			if j.Resumable {
				list = append(list, binding{"r", "resume"})
			}
		}
		return append(list, binding{"n", "new job"}, binding{"q", "quit"}, binding{"?", "keys"})
	}
	w := &m.wizard
	switch {
	case w.Editing != nil:
		return []binding{{"enter", "take"}, {"ctrl+u", "empty"}}
	case w.Advanced.Open && w.Field() == nil:
		return []binding{{"space", "change"}, {"↑↓", "row"}, {"esc", "done"}, {"q", "quit"}, {"?", "keys"}}
	case w.Advanced.Open:
		return []binding{{"↑↓", "row"}, {"ctrl+u", "empty"}, {"esc", "done"}, {"f1", "keys"}}
	case w.Step == StepModel:
		return []binding{{"enter", "next"}, {"esc", "jobs"}, {"ctrl+c", "quit"}, {"f1", "keys"}}
	case w.Step == StepFormats:
		return []binding{{"enter", "next"}, {"esc", "back"}, {"q", "quit"}, {"?", "keys"}}
	case w.Step == StepTypes:
		other := "picture"
		if w.Picture {
			other = "list"
		}
		return []binding{{"space", "pick"}, {"enter", "next"}, {"esc", "back"}, {"p", other}, {"m", "memory"}, {"a", "advanced"}, {"?", "keys"}}
	case w.Cursor == RowCreate:
		return []binding{{"enter", "create"}, {"↑↓", "change"}, {"esc", "back"}, {"q", "quit"}, {"?", "keys"}}
	case w.Field() != nil:
		return []binding{{"↑↓", "row"}, {"enter", "take"}, {"esc", "back"}, {"f1", "keys"}}
	}
	return []binding{{"space", "change"}, {"↑↓", "row"}, {"esc", "back"}, {"?", "keys"}}
}

// allKeys is the page of keys.
var allKeys = []struct {
	title string
	keys  []binding
}{
	{"Everywhere", []binding{{"?  f1", "these keys"}, {"ctrl+c", "quit"}, {"↑ ↓  k j", "move"}, {"g G  home end", "first, last"}}},
	{"New job", []binding{{"enter", "next step; create in the last one"}, {"esc", "step back; from the first one to the jobs"}, {"space  x", "pick, change"}, {"p", "types as a picture, size against quality, or as a list"}, {"m  i", "memory that the file should fit in; file of importance weights (imatrix)"}, {"a", "types of single tensors, threads and other options"}, {"h l  ← →", "step back, on"}, {"ctrl+w ctrl+u", "in a field: delete the word, the line"}}},
	{"Jobs", []binding{{"← →  h l", "another output of the job"}, {"n  esc", "new job"}, {"c", "cancel"}, {"r", "resume, on the server if one runs"}, {"q", "quit; a job that runs here can be resumed"}}},
}
