package tui

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// begun is a wizard at its first step, with the formats and types of the service.
func begun() Wizard {
	var s jobs.Service
	return NewWizard(s.Formats(), s.GGUFTypes(), ".")
}

// at is a wizard that has come to a step with a small model and its recommended type.
func at(t *testing.T, step Step) Wizard {
	t.Helper()
	w := begun()
	w.Model = NewLine("org/model@main")
	w.Checked(w.ModelChanged(), &jobs.Inspection{Model: "org/model", Parameters: 1e9, Recommended: []string{"Q8_0", "Q6_K"}}, nil)
	w.Sized(w.AskSizes(), Sizes{Of: map[string]Size{"Q8_0": {Bytes: 1000, Bits: 8.5}, "Q6_K": {Bytes: 700, Bits: 6.6}, "Q2_K_S": {Err: errors.New("needs an importance matrix")}}})
	for w.Step < step {
		if missing := w.Next(); missing != "" {
			t.Fatalf("step %s: %s", stepNames[w.Step], missing)
		}
	}
	return w
}

func TestNoStepIsLeftWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func() Wizard
		want string
	}{
		{"no model", begun, "Type a Hub id"},
		{"a model that is being looked at", func() Wizard { w := begun(); w.Model = NewLine("a/b"); w.ModelChanged(); return w }, "still being looked at"},
		{"a model that can't be used", func() Wizard {
			w := begun()
			w.Model = NewLine("a/b")
			w.Checked(w.ModelChanged(), nil, errors.New("no such model"))
			return w
		}, "can't be used"},
		{"no type", func() Wizard { w := at(t, StepTypes); w.Toggle(); return w }, "at least one type"},
		{"a type that can't be made", func() Wizard {
			w := at(t, StepTypes)
			w.PickOnly([]string{"Q2_K_S"})
			return w
		}, "needs an imatrix"},
		{"no plan", func() Wizard { return at(t, StepReview) }, "still being made"},
		{"a plan that failed", func() Wizard {
			w := at(t, StepReview)
			w.Planned(w.AskPlan(), nil, errors.New("disk full"))
			return w
		}, "can't run"},
		{"a plan that would be refused", func() Wizard {
			w := at(t, StepReview)
			w.Planned(w.AskPlan(), &jobs.Estimate{Warnings: []string{refuses + "exists already"}}, nil)
			return w
		}, "would be refused"},
	} {
		w := c.make()
		step := w.Step
		if got := w.Next(); !strings.Contains(got, c.want) || w.Step != step {
			t.Errorf("%s: got %q at step %d, want %q at step %d", c.name, got, w.Step, c.want, step)
		}
	}
}

func TestTheWizardGoesForthAndBack(t *testing.T) {
	t.Parallel()
	w := at(t, StepReview)
	if got := w.Picked(); !slices.Equal(got, []string{"Q8_0"}) {
		t.Errorf("picked %v, want the first recommended type", got)
	}
	if w.Cursor != RowCreate {
		t.Errorf("the cursor of the review is at row %d, want it on the button", w.Cursor)
	}
	for step := StepTypes; step >= StepModel; step-- {
		if !w.Back() || w.Step != step {
			t.Fatalf("back led to step %d, want %d", w.Step, step)
		}
	}
	if w.Back() {
		t.Error("there is a step before the first one")
	}
	if got := w.Picked(); len(got) != 1 {
		t.Errorf("going back lost the choice: %v", got)
	}
}

func TestAnswersToOldQuestionsAreIgnored(t *testing.T) {
	t.Parallel()
	w := begun()
	w.Model = NewLine("a/b")
	old := w.ModelChanged()
	w.Model = NewLine("a/bc")
	now := w.ModelChanged()
	if w.Asking(old) || w.Checked(old, &jobs.Inspection{}, nil) || w.Check.Info != nil {
		t.Error("an answer about a model that was typed over was taken")
	}
	if !w.Asking(now) || !w.Checked(now, &jobs.Inspection{}, nil) {
		t.Error("the answer about the model in the field was not taken")
	}
	sizes := w.AskSizes()
	plan := w.AskPlan()
	w.ModelChanged()
	w.Sized(sizes, Sizes{Of: map[string]Size{"Q8_0": {Bytes: 1}}})
	w.Planned(plan, &jobs.Estimate{}, nil)
	if w.Plan != nil || w.Types[3].Bytes != 0 {
		t.Error("sizes and a plan of the model before were taken")
	}
}

func TestFormatsThatAreNotThereCanNotBeChosen(t *testing.T) {
	t.Parallel()
	w := at(t, StepFormats)
	for i, want := range []string{"stays chosen", "GPTQ is not available", "AWQ is not available"} {
		w.Cursor = i
		if got := w.Toggle(); !strings.Contains(got, want) {
			t.Errorf("row %d: got %q, want %q", i, got, want)
		}
	}
}

func TestTheRowOfTheServerIsPassedOverWithoutOne(t *testing.T) {
	t.Parallel()
	w := at(t, StepReview)
	w.Move(-1)
	if w.Cursor != RowReplace {
		t.Errorf("got row %d, want %d", w.Cursor, RowReplace)
	}
	w.Move(1)
	if w.Cursor != RowCreate {
		t.Errorf("got row %d, want %d", w.Cursor, RowCreate)
	}
	w.Served = true
	w.Move(-1)
	if w.Cursor != RowWhere {
		t.Errorf("with a server: got row %d, want %d", w.Cursor, RowWhere)
	}
	if w.Toggle(); !w.Server {
		t.Error("the server was not chosen")
	}
}

func TestTheCommandIsTheSameJob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Wizard)
		want   string
	}{
		{"plain", func(*Wizard) {}, "nexus-quant quantize org/model@main --types Q8_0"},
		{"a folder", func(w *Wizard) { w.Folder = NewLine("/data/out") }, "nexus-quant quantize org/model@main --types Q8_0 --output /data/out"},
		{"spaces and quotes", func(w *Wizard) { w.Model, w.Folder = NewLine("my model"), NewLine("it's here") }, `nexus-quant quantize 'my model' --types Q8_0 --output 'it'\''s here'`},
		{"a model that looks like a flag", func(w *Wizard) { w.Model = NewLine("-rf") }, "nexus-quant quantize ./-rf --types Q8_0"},
		{"a shell's own signs", func(w *Wizard) { w.Model = NewLine("$(reboot)") }, "nexus-quant quantize '$(reboot)' --types Q8_0"},
		{"all options", func(w *Wizard) {
			w.Imatrix, w.Name, w.Replace, w.Server = NewLine("i.gguf"), NewLine("mine"), true, true
			w.PickOnly([]string{"q6_k", "4"})
		}, "nexus-quant quantize org/model@main --types Q8_0,Q6_K --imatrix i.gguf --name mine --force --detach"},
	} {
		w := at(t, StepTypes)
		c.change(&w)
		if got := w.Command(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestTheBudgetCountsGiBUnlessSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"": 0, "8": 8 << 30, "0.5": 1 << 29, "24GB": 24e9, "512MiB": 512 << 20} {
		w := begun()
		w.Memory = NewLine(text)
		if got, err := w.Budget(); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"much", "-1", "0", ".", "1e400"} {
		w := begun()
		w.Memory = NewLine(text)
		if got, err := w.Budget(); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestPickOnlyNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := begun()
	if wrong := w.PickOnly([]string{"q4_k_m", " 1 "}); wrong != "" || !slices.Equal(w.Picked(), []string{"F32", "Q4_K_M"}) {
		t.Errorf("got %v, %q", w.Picked(), wrong)
	}
	if wrong := w.PickOnly([]string{"99"}); !strings.Contains(wrong, `"99"`) || len(w.Picked()) != 2 {
		t.Errorf("got %q and %v, want the wrong number named and the choice kept", wrong, w.Picked())
	}
}
