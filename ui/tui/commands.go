package tui

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

func (m *model) frame() tea.Cmd {
	return tea.Tick(frameEvery, func(t time.Time) tea.Msg { return frameMsg(t) })
}

func (m *model) listLater(after time.Duration) tea.Cmd {
	return tea.Tick(after, func(time.Time) tea.Msg { return listMsg{} })
}

// list looks at the jobs.
func (m *model) list(clock bool) tea.Cmd {
	return func() tea.Msg {
		l, err := m.service.Jobs(jobs.JobFilter{Limit: listed})
		return listedMsg{l.Jobs, err, clock}
	}
}

func (m *model) askServed() tea.Cmd {
	return func() tea.Msg { return servedMsg(m.service.Served()) }
}

// lookLater asks for a look at the model once typing has stopped.
func (m *model) lookLater(n int) tea.Cmd {
	if m.check != nil {
		m.check()
		m.check = nil
	}
	if n == 0 {
		return nil
	}
	return tea.Tick(typeDelay, func(time.Time) tea.Msg { return typedMsg(n) })
}

// lookUp reads the headers of the model that was typed.
func (m *model) lookUp(n int) tea.Cmd {
	ctx, cancel := context.WithCancel(m.ctx)
	m.check = cancel
	r := jobs.Request{Model: m.wizard.Model.String(), Base: m.dir}
	return func() tea.Msg {
		info, err := m.service.Inspect(ctx, &r)
		return checkedMsg{n, info, err}
	}
}

// size asks how big each type is.
func (m *model) size() tea.Cmd { return m.sizeNow(m.wizard.AskSizes()) }

// sizeLater asks so once typing has stopped.
func (m *model) sizeLater() tea.Cmd {
	n := m.wizard.AskSizes()
	return tea.Tick(typeDelay, func(time.Time) tea.Msg { return resizeMsg(n) })
}

func (m *model) sizeNow(n int) tea.Cmd {
	spec := m.wizard.Spec()
	spec.Config.Force = true // sizes are asked for, not leave to write
	var types []string
	for _, t := range m.wizard.Types {
		types = append(types, t.Value)
	}
	return func() tea.Msg { return sizedMsg{n, sizesOf(m.ctx, m.service.EstimateSpec, spec, types)} }
}

// planJob asks what the job will write and take.
func (m *model) planJob() tea.Cmd {
	n := m.wizard.AskPlan()
	spec := m.wizard.Spec()
	return func() tea.Msg {
		e, err := m.service.EstimateSpec(m.ctx, spec)
		return plannedMsg{n, e, err}
	}
}

// arrange reads the tensors of a job: from its plan made again, or from a file that it made.
func (m *model) arrange(j jobs.Job) tea.Cmd {
	return func() tea.Msg {
		spec := jobs.Spec{SourceModel: j.SourceModel, Formats: []string{"gguf"}, Types: j.Types, Config: j.Config, Tensors: true, OutputDir: m.dir}
		if j.SourceType == string(jobs.HuggingFace) {
			for _, revision := range []*string{j.Revision, j.Commit} {
				if revision != nil {
					spec.Revision = *revision
				}
			}
		}
		if e, err := m.service.EstimateSpec(m.ctx, spec); err == nil {
			return arrangedMsg{j.ID, e.Tensors}
		}
		for _, o := range j.Outputs {
			if o.Status != "completed" || o.Path == nil {
				continue
			}
			if in, err := m.service.Inspect(m.ctx, &jobs.Request{Model: *o.Path}); err == nil {
				return arrangedMsg{j.ID, asPlanned(in.Tensors)}
			}
		}
		return arrangedMsg{j.ID, nil}
	}
}

// start runs the wizard's job, here or on the server.
func (m *model) start() tea.Cmd {
	r := m.wizard.Request()
	r.Base = m.dir
	if m.wizard.Server {
		return func() tea.Msg {
			j, err := m.service.Enqueue(m.ctx, r)
			return queuedMsg{j, err}
		}
	}
	return m.begin(r.MemoryLimit(), func(ctx context.Context, o jobs.Observer) (*jobs.Result, error) {
		return m.service.Quantize(ctx, r, o)
	})
}

// begin runs a job in this process.
func (m *model) begin(limit int64, do work) tea.Cmd {
	run, ctx := newRunner(m.ctx)
	m.run, m.running, m.starting = run, true, true
	return func() tea.Msg {
		result, err := run.run(ctx, limit, do)
		return doneMsg{run, result, err}
	}
}

// cancel ends a job for good, whichever process runs it.
func (m *model) cancel(id string) tea.Cmd {
	return func() tea.Msg {
		_, err := m.service.Cancel(m.ctx, id)
		return saidMsg{fmt.Sprintf("Cancelling job %s.", short(id)), err}
	}
}

// queue leaves a job to the server, to go on with.
func (m *model) queue(id string) tea.Cmd {
	return func() tea.Msg {
		_, err := m.service.Resume(m.ctx, id)
		return saidMsg{fmt.Sprintf("The server goes on with job %s.", short(id)), err}
	}
}

// feed is the log of a job as it grows.
type feed struct {
	id     string
	ctx    context.Context
	stop   context.CancelFunc
	events chan Event
}

// fedMsg is what a feed brought.
type fedMsg struct {
	feed   *feed
	events []Event
	ended  bool
}

func newFeed(ctx context.Context, id string) *feed {
	f := &feed{id: id, events: make(chan Event, maxLog)}
	f.ctx, f.stop = context.WithCancel(ctx)
	return f
}

// open reads the end of the log and then what is added to it.
func (f *feed) open(s *jobs.Service) tea.Cmd {
	return func() tea.Msg {
		lines, err := s.Log(f.id, maxLog)
		if err != nil {
			return fedMsg{feed: f, ended: true}
		}
		var events []Event
		last := uint64(0)
		for _, line := range lines {
			var e Event
			if json.Unmarshal(line, &e) == nil {
				events = append(events, e)
				last = e.Seq
			}
		}
		go f.tail(s, max(1, last))
		return fedMsg{feed: f, events: events}
	}
}

func (f *feed) tail(s *jobs.Service, after uint64) {
	defer close(f.events)
	for e, err := range s.Events(f.ctx, f.id, after) {
		if err != nil {
			return
		}
		select {
		case f.events <- Event{Seq: e.Seq, Time: time.Now(), Type: e.Type, Data: e.Data}:
		case <-f.ctx.Done():
			return
		}
	}
}

// next waits for more, and takes all that is there then.
func (f *feed) next() tea.Msg {
	e, ok := <-f.events
	if !ok {
		return fedMsg{feed: f, ended: true}
	}
	events := []Event{e}
	for len(events) < maxLog {
		select {
		case e, ok := <-f.events:
			if !ok {
				return fedMsg{feed: f, events: events, ended: true}
			}
			events = append(events, e)
			continue
		default:
		}
		break
	}
	return fedMsg{feed: f, events: events}
}

// fed takes what a feed brought and waits for more.
func (m *model) fed(msg fedMsg) tea.Cmd {
	if msg.feed != m.feed {
		return nil
	}
	m.board.Follow(msg.feed.id, msg.events, m.here(msg.feed.id))
	if msg.ended {
		return nil
	}
	return msg.feed.next
}

// here tells whether this process runs a job.
func (m *model) here(id string) bool { return m.running && m.run.job() == id }

// resumeWork goes on with a job in this process.
func (m *model) resumeWork(id string) work {
	return func(ctx context.Context, o jobs.Observer) (*jobs.Result, error) {
		return m.service.ResumeHere(ctx, id, o)
	}
}
