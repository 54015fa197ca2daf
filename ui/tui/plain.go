package tui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// asker asks questions line by line, for screen readers, braille displays and terminals that know no more.
type asker struct {
	Options
	lines chan string // what was typed; closed at the end of the input
	w     Wizard
}

// errEnd is returned when the input ends before the questions.
var errEnd = errors.New("the input ended before the last question was answered")

// Ask is Run without a screen: the same steps as questions, one line each, and progress as lines.
func Ask(ctx context.Context, o Options) (Outcome, error) {
	a := &asker{Options: o, lines: make(chan string)}
	go a.read()
	folder := o.Service.Settings().OutputDir
	if dir, err := os.Getwd(); err == nil && dir == folder {
		folder = "."
	}
	a.w = NewWizard(o.Service.Formats(), o.Service.GGUFTypes(), folder)
	for _, step := range []func(context.Context) error{a.askModel, a.askMemory, a.askAdvanced, a.askTypes, a.askReview} {
		if err := step(ctx); err != nil {
			return Outcome{}, err
		}
	}
	return a.work(ctx)
}

func (a *asker) read() {
	defer close(a.lines)
	in := bufio.NewScanner(a.In)
	in.Buffer(nil, 1<<16)
	for in.Scan() {
		a.lines <- strings.TrimSpace(in.Text())
	}
}

func (a *asker) say(format string, args ...any) { fmt.Fprintf(a.Out, format+"\n", args...) }

// ask returns what is typed after a question.
func (a *asker) ask(ctx context.Context, text string) (string, error) {
	fmt.Fprint(a.Out, text+" ")
	select {
	case line, ok := <-a.lines:
		if !ok {
			return "", errEnd
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (a *asker) askModel(ctx context.Context) error {
	a.say("Step 1 of 3: the model.")
	for {
		line, err := a.ask(ctx, "Hub id, folder or .gguf file:")
		if err != nil {
			return err
		}
		a.w.Model = NewLine(line)
		n := a.w.ModelChanged()
		if n == 0 {
			continue
		}
		r := a.w.Request()
		info, err := a.Service.Inspect(ctx, &jobs.Request{Model: r.Model})
		a.w.Checked(n, info, err)
		if err != nil {
			a.fault(err)
			continue
		}
		a.say("Supported: %s, %s, %s weights, %s.", clean(info.Model), clean(info.Architecture), count(info.Parameters), jobs.Size(info.Bytes))
		return nil
	}
}

func (a *asker) fault(err error) {
	a.say("Error: %s", clean(err.Error()))
	if hint := jobs.HintOf(err); hint != "" {
		a.say("%s", clean(hint))
	}
}

// askMemory asks for the figure that the files should fit in.
func (a *asker) askMemory(ctx context.Context) error {
	a.say("Step 2 of 3: the types. GGUF is the one format of this version.")
	a.w.Step = StepTypes
	return a.askLine(ctx, "Memory to fit in, RAM or VRAM, in GiB (empty for any):", &a.w.Memory, func() string {
		if _, err := a.w.Budget(); err != nil {
			return err.Error()
		}
		return ""
	})
}

// askLine asks for a line until nothing is wrong with it. An empty one changes nothing and is right.
func (a *asker) askLine(ctx context.Context, question string, l *Line, wrong func() string) error {
	for {
		line, err := a.ask(ctx, question)
		if err != nil {
			return err
		}
		*l = NewLine(line)
		if line == "" {
			return nil
		}
		text := wrong()
		if text == "" {
			return nil
		}
		a.say("Error: %s", clean(text))
	}
}

// askYes asks a question that an empty line says no to.
func (a *asker) askYes(ctx context.Context, question string) (bool, error) {
	for {
		line, err := a.ask(ctx, question+" yes or no (empty for no):")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(line) {
		case "y", "yes":
			return true, nil
		case "", "n", "no":
			return false, nil
		}
	}
}

// size asks the service for the sizes of all types with the options as they are.
func (a *asker) size(ctx context.Context) {
	spec := a.w.Spec()
	spec.Config.Force = true
	var names []string
	for _, c := range a.w.Types {
		names = append(names, c.Value)
	}
	a.w.Sized(a.w.AskSizes(), sizesOf(ctx, a.Service.EstimateSpec, spec, names))
}

func (a *asker) askTypes(ctx context.Context) error {
	a.size(ctx)
	budget, _ := a.w.Budget()
	for i, c := range a.w.Types {
		text := fmt.Sprintf("%d: %s, %s, %.2f bits per weight, %s", i+1, c.Value, jobs.Size(c.Bytes), c.PerWeight, c.Quality)
		if c.Err != nil {
			text = fmt.Sprintf("%d: %s, can't be made: %s", i+1, c.Value, clean(c.Err.Error()))
		}
		switch {
		case budget == 0 || c.Err != nil:
		case c.Bytes <= budget:
			text += ", fits"
		default:
			text += ", too big"
		}
		if c.Recommended {
			text += ", recommended"
		}
		a.say("%s", text)
	}
	proposed := strings.Join(a.w.Picked(), ",")
	for {
		line, err := a.ask(ctx, fmt.Sprintf("Numbers or names, with commas (empty for %s):", proposed))
		if err != nil {
			return err
		}
		if line == "" {
			line = proposed
		}
		if wrong := a.w.PickOnly(strings.Split(line, ",")); wrong != "" {
			a.say("%s", clean(wrong))
			continue
		}
		if i := slices.IndexFunc(a.w.Types, func(c Choice) bool { return c.Picked && c.Err != nil }); i >= 0 {
			a.fault(a.w.Types[i].Err)
			continue
		}
		if missing := a.w.Missing(); missing != "" {
			a.say("%s", clean(missing))
			continue
		}
		return nil
	}
}

// PickOnly picks the types of the given names or numbers, counted from 1, and no others. It says which one is wrong.
func (w *Wizard) PickOnly(names []string) (wrong string) {
	picked := make([]bool, len(w.Types))
	for _, name := range names {
		name = strings.TrimSpace(name)
		found := false
		for i, c := range w.Types {
			if n, err := strconv.Atoi(name); err == nil && n == i+1 || strings.EqualFold(name, c.Value) {
				picked[i], found = true, true
			}
		}
		if !found && name != "" {
			return fmt.Sprintf("%q is none of the types above.", name)
		}
	}
	for i := range w.Types {
		w.Types[i].Picked = picked[i]
	}
	return ""
}

func (a *asker) askReview(ctx context.Context) error {
	a.say("Step 3 of 3: review.")
	a.w.Step = StepReview
	for {
		line, err := a.ask(ctx, fmt.Sprintf("Folder for the files (empty for %s):", a.w.Folder.String()))
		if err != nil {
			return err
		}
		if line != "" {
			a.w.Folder = NewLine(line)
		}
		ready, err := a.planned(ctx)
		if err == nil && !ready && !a.w.Replace {
			if a.w.Replace, err = a.askYes(ctx, "Replace files of these names that are there already?"); a.w.Replace {
				ready, err = a.planned(ctx)
			}
		}
		switch {
		case err != nil:
			return err
		case ready:
			return a.confirm(ctx)
		}
	}
}

// planned says what the job will do, or why it can't.
func (a *asker) planned(ctx context.Context) (ready bool, err error) {
	e, err := a.Service.EstimateSpec(ctx, a.w.Spec())
	if err != nil {
		a.fault(err)
		return false, context.Cause(ctx)
	}
	a.w.Planned(a.w.AskPlan(), e, nil)
	for _, o := range e.Outputs {
		a.say("%s, %s bytes, %.2f bits per weight.", clean(o.Path), exact(o.Bytes), o.BitsPerWeight)
	}
	if chosen := a.w.Advanced.chosen(); len(chosen) > 0 {
		a.say("With %s.", clean(strings.Join(chosen, ", ")))
	}
	for _, text := range e.Warnings {
		if !strings.HasPrefix(text, refuses) {
			a.say("Warning: %s", clean(text))
		}
	}
	if why := a.w.Refusal(); why != "" {
		a.say("Can't run like this: %s", clean(why))
		return false, nil
	}
	a.say("Writes %s, %s. %s stay free. About %s.", plural(len(e.Outputs), "file", "files"), jobs.Size(e.OutputBytes), jobs.Size(e.FreeDiskBytes-e.PeakDiskBytes), lasting(time.Duration(e.Seconds*float64(time.Second))))
	return true, nil
}

// confirm asks whether to begin, and where.
func (a *asker) confirm(ctx context.Context) (err error) {
	if a.Service.Served() {
		if a.w.Server, err = a.askYes(ctx, "Leave the job to the server that is running?"); err != nil {
			return err
		}
	}
	a.say("The same on the command line: %s", clean(a.w.Command()))
	for {
		line, err := a.ask(ctx, "Create the job? yes or no:")
		if err != nil {
			return err
		}
		switch strings.ToLower(line) {
		case "y", "yes":
			return nil
		case "n", "no":
			return context.Canceled
		}
	}
}

// work runs the job and says how far it is, a line for each tenth.
func (a *asker) work(ctx context.Context) (Outcome, error) {
	r := a.w.Request()
	if a.w.Server {
		if r.Base, _ = os.Getwd(); r.Base == "" {
			return Outcome{}, errors.New("the working directory is gone")
		}
		j, err := a.Service.Enqueue(ctx, r)
		if err == nil {
			a.say("The server runs job %s. Watch it with: nexus-quant jobs watch %[1]s", short(j.ID))
		}
		return Outcome{}, err
	}
	run, ctx := newRunner(ctx)
	watch := &teller{runner: run, out: a.Out}
	result, err := run.run(ctx, r.MemoryLimit(), func(ctx context.Context, _ jobs.Observer) (*jobs.Result, error) {
		return a.Service.Quantize(ctx, r, watch)
	})
	var out Outcome
	out.ended(run, result, err)
	if err == nil {
		a.say("Done.")
		return out, nil
	}
	return Outcome{Made: out.Made, Lines: nil}, err
}

// teller says how far a job is.
type teller struct {
	*runner
	out   io.Writer
	stage jobs.Stage
	tenth int64
}

// Started says which job it is.
func (t *teller) Started(id string) {
	t.runner.Started(id)
	fmt.Fprintf(t.out, "Job %s runs. Ctrl-C interrupts it; what is done is kept.\n", short(id))
}

// Progress says so for each tenth of a stage.
func (t *teller) Progress(p jobs.Progress) {
	t.runner.Progress(p)
	if p.Stage != t.stage {
		t.stage, t.tenth = p.Stage, 0
	}
	if p.BytesTotal <= 0 {
		return
	}
	if tenth := 10 * p.BytesDone / p.BytesTotal; tenth > t.tenth {
		t.tenth = tenth
		fmt.Fprintf(t.out, "%s, %d percent\n", p.Stage, 10*tenth)
	}
}

// Follow is the dashboard as lines: each change of a job's state, until no job is waiting or running, or of one job
// until that is over.
func Follow(ctx context.Context, o Options) error {
	id := ""
	if o.Job != "" {
		j, err := o.Service.Job(o.Job)
		if err != nil {
			return err
		}
		id = j.ID
	}
	last := map[string]string{}
	tell := func(j *jobs.Job) {
		text := fmt.Sprintf("job %s, %s: %s, %d percent", short(j.ID), clean(j.Name), j.Status, int(j.Progress/10)*10)
		if last[j.ID] != text {
			last[j.ID] = text
			fmt.Fprintln(o.Out, text)
		}
	}
	for {
		list, err := o.Service.Jobs(jobs.JobFilter{Limit: listed})
		if err != nil {
			return err
		}
		alive := false
		for i := range list.Jobs {
			if j := &list.Jobs[i]; id == "" || j.ID == id {
				tell(j)
				alive = alive || Active(j)
			}
		}
		if !alive {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(listEvery):
		}
	}
}
