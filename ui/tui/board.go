package tui

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Board is the state of the dashboard: all jobs, and one of them in detail. It does no I/O.
type Board struct {
	Jobs     []jobs.Job
	Listed   bool // the jobs were listed at least once
	Err      error
	Selected string // ID of the job in detail
	Output   int    // of the job in detail, whose wall is shown

	Walls map[string]*Wall // by job; nil where the model can't be read

	Log   []LogLine
	seq   uint64 // of the last line
	Live  Live
	Rates []float64 // bytes per second, oldest first
}

// Live is how far the job in detail is, fresher than its record.
type Live struct {
	Job      string
	Progress jobs.Progress
	Rate     float64 // bytes per second
	Left     time.Duration
}

// LogLine is a line of a job's log.
type LogLine struct {
	Time  time.Time
	Level string
	Text  string
}

// The most that is kept of a log and of the rates.
const (
	maxLog   = 500
	maxRates = 240
)

// NewBoard returns an empty dashboard.
func NewBoard() Board { return Board{Walls: map[string]*Wall{}} }

// List takes the jobs as they are now. The selection stays on its job, wherever that stands.
func (b *Board) List(list []jobs.Job, err error) {
	b.Err = err
	if err != nil {
		return
	}
	b.Jobs, b.Listed = list, true
	if b.index() < 0 && len(list) > 0 {
		b.Select(list[0].ID)
	}
}

func (b *Board) index() int {
	return slices.IndexFunc(b.Jobs, func(j jobs.Job) bool { return j.ID == b.Selected })
}

// Job returns the job in detail, nil if there is none.
func (b *Board) Job() *jobs.Job {
	if i := b.index(); i >= 0 {
		return &b.Jobs[i]
	}
	return nil
}

// Select puts another job in detail and forgets what was known about the one before.
func (b *Board) Select(id string) {
	if id == b.Selected {
		return
	}
	b.Selected, b.Output, b.Log, b.seq, b.Rates, b.Live = id, 0, nil, 0, nil, Live{}
}

// Move selects the job n places further down and tells whether it is another one.
func (b *Board) Move(n int) bool {
	if len(b.Jobs) == 0 {
		return false
	}
	before := b.Selected
	b.Select(b.Jobs[min(max(0, b.index()+n), len(b.Jobs)-1)].ID)
	return b.Selected != before
}

// MoveOutput chooses another output of the job in detail.
func (b *Board) MoveOutput(n int) {
	if j := b.Job(); j != nil && len(j.Outputs) > 0 {
		b.Output = min(max(0, b.Output+n), len(j.Outputs)-1)
	}
}

// Active tells whether a job is waiting or running.
func Active(j *jobs.Job) bool {
	switch j.Status {
	case "queued", "downloading", "preparing", "quantizing":
		return true
	}
	return false
}

// AnyActive tells whether any job is waiting or running.
func (b *Board) AnyActive() bool {
	return slices.ContainsFunc(b.Jobs, func(j jobs.Job) bool { return Active(&j) })
}

// Running is how far the job that this process runs has come.
func (b *Board) Running(l Live, finished []string) {
	if w := b.Walls[l.Job]; w != nil {
		for _, name := range finished {
			w.Finish(name)
		}
		switch l.Progress.Stage {
		case jobs.Quantizing:
			w.FinishFirst(l.Progress.ItemsDone) // those that an earlier attempt finished
			w.Working(l.Progress.Item)
		case jobs.Verifying:
			w.FinishFirst(len(w.Tiles))
			w.Working("")
		}
	}
	if l.Job == b.Selected {
		b.live(l)
	}
}

func (b *Board) live(l Live) {
	b.Live = l
	if l.Rate > 0 {
		b.Rates = append(b.Rates, l.Rate)
		b.Rates = b.Rates[max(0, len(b.Rates)-maxRates):]
	}
}

// Event is a line of a job's log, as it is kept or as it is told.
type Event struct {
	Seq     uint64          `json:"seq"`
	Time    time.Time       `json:"time"`
	Type    string          `json:"type"`
	Level   string          `json:"level"`
	Message string          `json:"msg"`
	Data    json.RawMessage `json:"data"`
}

// Follow takes events of a job. here says that this process runs the job and knows more than its log.
func (b *Board) Follow(id string, events []Event, here bool) {
	if id != b.Selected {
		return
	}
	for _, e := range events {
		if e.Seq <= b.seq {
			continue
		}
		b.seq = e.Seq
		if e.Message == "" && e.Type == "log" {
			_ = json.Unmarshal(e.Data, &e)
		}
		switch e.Type {
		case "progress":
			if !here {
				b.followProgress(id, e.Data)
			}
			continue
		case "state":
			var d struct{ Status string }
			_ = json.Unmarshal(e.Data, &d)
			e.Message = d.Status
		case "output":
			var o jobs.Output
			_ = json.Unmarshal(e.Data, &o)
			e.Message = outputText(o)
			if o.Error != nil {
				e.Level = "ERROR"
			}
		}
		if e.Message != "" {
			b.Log = append(b.Log, LogLine{e.Time, e.Level, e.Message})
		}
	}
	b.Log = b.Log[max(0, len(b.Log)-maxLog):]
}

func (b *Board) followProgress(id string, data json.RawMessage) {
	var p struct {
		jobs.Progress
		Rate float64 `json:"bytes_per_second"`
		ETA  float64 `json:"eta_seconds"`
	}
	if json.Unmarshal(data, &p) != nil {
		return
	}
	b.live(Live{id, p.Progress, p.Rate, time.Duration(p.ETA * float64(time.Second))})
	w := b.Walls[id]
	if w == nil {
		return
	}
	switch p.Stage {
	case jobs.Quantizing:
		w.FinishFirst(p.ItemsDone)
		w.Working(p.Item)
	case jobs.Verifying:
		w.FinishFirst(len(w.Tiles))
		w.Working("")
	}
}

func outputText(o jobs.Output) string {
	text := fmt.Sprintf("%s %s", o.Type, o.Status)
	if o.Error != nil {
		return text + ": " + *o.Error
	}
	if o.Size != nil {
		text += ", " + jobs.Size(*o.Size)
	}
	if o.SHA256 != nil {
		text += ", sha256 " + *o.SHA256
	}
	return text
}

// Wall is the picture of the job in detail, nil if there is none, and whether it was looked for.
func (b *Board) Wall() (w *Wall, sought bool) {
	w, sought = b.Walls[b.Selected]
	if j := b.Job(); w != nil && j != nil && j.Status == "completed" {
		w.FinishFirst(len(w.Tiles))
	}
	return w, sought
}

// Arranged takes the tensors of a job for its wall; there are none if its model can't be read.
func (b *Board) Arranged(id string, tensors []jobs.TensorEstimate) {
	if b.Walls[id] != nil {
		return
	}
	if len(tensors) == 0 {
		b.Walls[id] = nil
		return
	}
	b.Walls[id] = NewWall(tensors)
}
