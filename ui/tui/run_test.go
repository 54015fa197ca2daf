package tui

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/exp/teatest"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// wait waits until the screen shows a text.
func wait(t *testing.T, tm *teatest.TestModel, text string) {
	t.Helper()
	teatest.WaitFor(t, tm.Output(), func(b []byte) bool { return bytes.Contains(b, []byte(text)) }, teatest.WithDuration(20*time.Second), teatest.WithCheckInterval(20*time.Millisecond))
}

func keys(tm *teatest.TestModel, types ...tea.KeyType) {
	for _, k := range types {
		tm.Send(tea.KeyMsg{Type: k})
	}
}

func TestFromTheFirstKeyToTheFinishedFile(t *testing.T) {
	o := place(t)
	m := open(t, o, 80, 24)
	tm := teatest.NewTestModel(t, m, teatest.WithInitialTermSize(80, 24))
	tm.Type("nexus-tiny-llama")
	wait(t, tm, "recommended")
	keys(tm, tea.KeyEnter, tea.KeyEnter)
	wait(t, tm, "near lossless")
	keys(tm, tea.KeyEnter)
	wait(t, tm, "Writes 1 file, 7.35 MB.")
	keys(tm, tea.KeyEnter)
	wait(t, tm, "completed")
	tm.Type("q")
	tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	if len(m.outcome.Made) != 1 || len(m.outcome.Lines) != 0 {
		t.Fatalf("got %+v, want one file and nothing else to say", m.outcome)
	}
	info, err := os.Stat(filepath.Join(m.dir, "nexus-tiny-llama-Q8_0.gguf"))
	if err != nil || info.Size() != m.outcome.Made[0].Bytes {
		t.Errorf("the file: %v, %v", info, err)
	}
	w, _ := m.board.Wall()
	if w == nil || w.Done != len(w.Tiles) {
		t.Error("the wall did not fill")
	}
}

func TestQuittingKeepsTheJobForLater(t *testing.T) {
	o := place(t)
	m := open(t, o, 80, 24)
	choose(t, m, "nexus-tiny-llama")
	press(m, "enter", "enter", "enter")
	planned(t, m)
	ctx, stop := context.WithCancelCause(t.Context())
	m.ctx = ctx
	stop(jobs.ErrInterrupted) // before the first tensor
	end, ok := press(m, "enter")().(doneMsg)
	if !ok || end.err == nil {
		t.Fatalf("got %+v, want an interrupted job", end)
	}
	m.update(end)
	list, err := o.Service.Jobs(jobs.JobFilter{})
	if err != nil || len(list.Jobs) != 1 || list.Jobs[0].Status != "interrupted" || !list.Jobs[0].Resumable {
		t.Fatalf("got %+v, %v, want one job that can be resumed", list.Jobs, err)
	}
	if len(m.outcome.Lines) != 1 || !strings.Contains(m.outcome.Lines[0], "nexus-quant jobs resume "+short(list.Jobs[0].ID)) {
		t.Errorf("got %v, want how to go on", m.outcome.Lines)
	}

	// another session goes on with it
	m = open(t, o, 80, 24)
	m.screen = onBoard
	cmd := press(m, "r")
	if cmd == nil {
		t.Fatalf("r does nothing: %s", m.notice)
	}
	end, ok = cmd().(doneMsg)
	if !ok || end.err != nil {
		t.Fatalf("got %+v, want a finished job", end)
	}
	m.update(end)
	if len(m.outcome.Made) != 1 {
		t.Errorf("got %+v, want the file", m.outcome)
	}
}

func TestCancellingFromTheBoard(t *testing.T) {
	o := place(t)
	job, err := o.Service.Enqueue(t.Context(), &jobs.Request{Model: "nexus-tiny-llama", Types: []string{"Q8_0"}})
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, o, 80, 24)
	if m.screen != onBoard || m.board.Selected != job.ID {
		t.Fatal("a job is alive, but the jobs are not what is shown")
	}
	press(m, "c")
	if m.question == nil || !strings.Contains(m.question.text, short(job.ID)) {
		t.Fatal("nothing was asked before cancelling")
	}
	answer(m, press(m, "y"))
	if j := m.board.Job(); j == nil || j.Status != "cancelled" {
		t.Errorf("got %+v, want a cancelled job", j)
	}
	press(m, "c")
	if m.question != nil || !m.bad {
		t.Error("a cancelled job can be cancelled again")
	}
}

func TestSizesAreExactAndSayWhatCanNotBeMade(t *testing.T) {
	o := place(t)
	var names []string
	for _, c := range o.Service.GGUFTypes() {
		names = append(names, c.Value)
	}
	calls := 0
	ask := func(ctx context.Context, s jobs.Spec) (*jobs.Estimate, error) {
		calls++
		return o.Service.EstimateSpec(ctx, s)
	}
	s := sizesOf(t.Context(), ask, jobs.Spec{SourceModel: "nexus-tiny-llama", Formats: []string{"gguf"}, Tensors: true}, names)
	if calls != 3 {
		t.Errorf("asked %d times, want 3: all, all but the last, the last", calls)
	}
	if err := s.Of["Q2_K_S"].Err; err == nil || !strings.Contains(err.Error(), "importance matrix") {
		t.Errorf("Q2_K_S: got %v, want what it needs", err)
	}
	e, err := o.Service.Estimate(t.Context(), &jobs.Request{Model: "nexus-tiny-llama", Types: []string{"Q4_K_M"}})
	if err != nil || s.Of["Q4_K_M"].Bytes != e.Outputs[0].Bytes {
		t.Errorf("Q4_K_M: got %d bytes, want %d, %v", s.Of["Q4_K_M"].Bytes, e.Outputs[0].Bytes, err)
	}
	if len(s.Types) != len(names)-1 || len(s.Tensors) != 57 || len(s.Tensors[0].Types) != len(s.Types) {
		t.Errorf("got %d types and %d tensors, want %d and 57", len(s.Types), len(s.Tensors), len(names)-1)
	}
}

// A model of which no type can be made says so for each.
func TestSizesOfAModelThatFails(t *testing.T) {
	t.Parallel()
	why := errors.New("no")
	s := sizesOf(t.Context(), func(context.Context, jobs.Spec) (*jobs.Estimate, error) { return nil, why }, jobs.Spec{}, []string{"A", "B", "C", "D", "E"})
	for _, name := range []string{"A", "B", "C", "D", "E"} {
		if !errors.Is(s.Of[name].Err, why) {
			t.Errorf("%s: got %v", name, s.Of[name].Err)
		}
	}
}

func TestPlainQuestionsMakeTheSameFile(t *testing.T) {
	o := place(t)
	var out bytes.Buffer
	o.Out = &out
	o.In = strings.NewReader("nowhere/at all\nnexus-tiny-llama\n\n\n77\nQ4_K_M,5\n\nmaybe\nyes\n")
	got, err := Ask(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var names []string
	for _, o := range got.Made {
		names = append(names, filepath.Base(o.Path))
	}
	if want := []string{"nexus-tiny-llama-Q6_K.gguf", "nexus-tiny-llama-Q4_K_M.gguf"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	for _, want := range []string{"Error: ", `"77" is none`, "recommended", "Writes 2 files", "--types Q6_K,Q4_K_M", "quantizing, 100 percent", "Done."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("plain questions hold control codes")
	}
	out.Reset()
	if err := Follow(t.Context(), o); err != nil || !strings.Contains(out.String(), "completed, 100 percent") {
		t.Errorf("got %v and %q, want the finished job", err, out.String())
	}
}

func TestPlainQuestionsEndWithTheInput(t *testing.T) {
	o := place(t)
	o.In = strings.NewReader("nexus-tiny-llama\n")
	if _, err := Ask(t.Context(), o); !errors.Is(err, errEnd) {
		t.Errorf("got %v, want %v", err, errEnd)
	}
	o.In = strings.NewReader("nexus-tiny-llama\n\n\n\n\nno\n")
	if _, err := Ask(t.Context(), o); jobs.ClassOf(err) != jobs.Cancelled {
		t.Errorf("got %v after a no, want that nothing is done", err)
	}
}
