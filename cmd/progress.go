package cmd

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// progress shows events on standard error: a bar on a terminal, a line now and then elsewhere, NDJSON with --json.
type progress struct {
	*app
	mode  string
	stage jobs.Stage
	bar   *progressbar.ProgressBar
	rate  jobs.Rate
	next  time.Time // of the next line
	share float64   // of the last line
	id    string    // of the job
}

// Planned shows the warnings before the work.
func (p *progress) Planned(e *jobs.Estimate) {
	for _, w := range e.Warnings {
		p.warn(w)
	}
}

// Started remembers which job this is.
func (p *progress) Started(id string) { p.id = id }

// Note shows a remark.
func (p *progress) Note(text string) { p.note("%s", text) }

// newProgress chooses how to show progress: mode is auto, bar, plain or none.
func newProgress(a *app, mode string) (*progress, error) {
	switch mode {
	case "auto":
		mode = "plain"
		if a.errTTY && !a.json {
			mode = "bar"
		}
	case "bar", "plain", "none":
	default:
		return nil, &usageError{fmt.Errorf("progress %q: want auto, bar, plain or none", mode)}
	}
	return &progress{app: a, mode: mode}, nil
}

// Progress shows how far a job is.
func (p *progress) Progress(e jobs.Progress) {
	if p.mode == "none" {
		return
	}
	if e.Stage != p.stage {
		p.finish()
		p.stage, p.rate, p.share = e.Stage, jobs.Rate{}, 0
		p.next = time.Now().Add(lineEvery)
	}
	perSecond, left := p.rate.Add(time.Now(), e.BytesDone, e.BytesTotal)
	if p.mode == "bar" {
		p.showBar(e, perSecond, left)
		return
	}
	p.showLine(e, perSecond, left)
}

// A line is printed every ten seconds, and sooner when much was done since the last one.
const (
	lineEvery = 10 * time.Second
	lineShare = 0.05
	lineLeast = time.Second
)

func (p *progress) showLine(e jobs.Progress, perSecond float64, left time.Duration) {
	now, share := time.Now(), 1.0
	if e.BytesTotal > 0 {
		share = float64(e.BytesDone) / float64(e.BytesTotal)
	}
	last := e.BytesDone == e.BytesTotal
	early := share-p.share >= lineShare && now.Add(lineEvery-lineLeast).After(p.next)
	if !last && !early && now.Before(p.next) {
		return
	}
	p.next, p.share = now.Add(lineEvery), share
	if p.json {
		line, _ := json.Marshal(struct {
			Type string `json:"type"`
			jobs.Progress
			Rate float64 `json:"bytes_per_second"`
			ETA  float64 `json:"eta_seconds"`
		}{"progress", e, perSecond, left.Seconds()})
		p.note("%s", line)
		return
	}
	text := fmt.Sprintf("%s %d/%d, %s of %s (%.0f%%)", e.Stage, e.ItemsDone, e.Items, jobs.Size(e.BytesDone), jobs.Size(e.BytesTotal), 100*share)
	if perSecond > 0 && !last {
		text += fmt.Sprintf(", %s/s, %s left", jobs.Size(int64(perSecond)), left.Round(time.Second))
	}
	p.note("%s", text)
}

func (p *progress) showBar(e jobs.Progress, perSecond float64, left time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(e.BytesTotal,
			progressbar.OptionSetWriter(p.err),
			progressbar.OptionShowBytes(true),
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetWidth(max(8, min(30, p.width()-66))),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: ""}),
			progressbar.OptionClearOnFinish(),
		)
	}
	p.bar.Describe(fmt.Sprintf("%s %d/%d", e.Stage, e.ItemsDone, e.Items))
	_ = p.bar.Set64(e.BytesDone)
}

// finish ends the display of a stage.
func (p *progress) finish() {
	if p.bar == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.bar.Clear()
	p.bar = nil
}
