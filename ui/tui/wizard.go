package tui

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Step is a step of the wizard.
type Step int

// The steps, in order.
const (
	StepModel Step = iota
	StepFormats
	StepTypes
	StepReview
)

// stepNames are the words for the steps; the page has the same.
var stepNames = []string{"Model", "Formats", "Types", "Review"}

// Wizard is a job in the making: what was chosen, what is known about it and what is missing. It does no I/O. What has
// to be looked up carries a number, so that an answer to a question that is no longer asked can be told.
type Wizard struct {
	Step   Step
	Cursor int // in the list of the step

	Model    Line
	Check    Check
	Formats  []jobs.FormatInfo
	Types    []Choice
	Memory   Line // figure that the files should fit in
	Imatrix  Line
	Editing  *Line // the line that keys go to in the step of types, or nil
	Advanced Advanced
	Picture  bool  // show types as size against quality, not as a list
	SizeErr  error // why no type can be sized, whichever

	Folder  Line
	Name    Line
	Replace bool
	Server  bool // leave the job to the server
	Served  bool // there is a server
	Plan    *jobs.Estimate
	PlanErr error

	Wall    *Wall    // of all types
	columns []string // types of the outputs of Wall

	asked int // number of the last question
	sizes int // number of the question about sizes that is open, 0 for none
	plan  int // and about the plan
}

// Check is what is known about the model that stands in the field.
type Check struct {
	number int // of the question
	Asked  bool
	Info   *jobs.Inspection
	Err    error
}

// Choice is a type that may be picked.
type Choice struct {
	jobs.TypeInfo
	Bytes       int64   // exact, 0 while it is not known
	PerWeight   float64 // bits, of this model
	Err         error   // why it can't be made of this model
	Recommended bool
	Picked      bool
}

// Rows of the review that can be changed, in order. RowCreate starts the job.
const (
	RowFolder = iota
	RowName
	RowReplace
	RowWhere
	RowCreate
)

// NewWizard returns a wizard at its first step.
func NewWizard(formats []jobs.FormatInfo, types []jobs.TypeInfo, folder string) Wizard {
	w := Wizard{Formats: formats, Folder: NewLine(folder)}
	for _, t := range types {
		w.Types = append(w.Types, Choice{TypeInfo: t, PerWeight: t.Bits})
	}
	return w
}

// ModelChanged forgets what was known about the model, as its name was edited. It returns the number of the question
// that is to be asked now, 0 if there is nothing to ask.
func (w *Wizard) ModelChanged() int {
	w.asked++
	w.Check = Check{number: w.asked}
	w.sizes, w.plan, w.SizeErr, w.Plan, w.PlanErr, w.Wall = 0, 0, nil, nil, nil, nil
	for i := range w.Types {
		c := &w.Types[i]
		*c = Choice{TypeInfo: c.TypeInfo, PerWeight: c.Bits}
	}
	if w.Model.Empty() {
		return 0
	}
	return w.asked
}

// Asking notes that question n, about the model, is being looked up. It is false when the question is old.
func (w *Wizard) Asking(n int) bool {
	if n != w.Check.number {
		return false
	}
	w.Check.Asked = true
	return true
}

// Checked takes the answer to question n, about the model, and tells whether it still mattered.
func (w *Wizard) Checked(n int, info *jobs.Inspection, err error) bool {
	if n != w.Check.number {
		return false
	}
	w.Check.Info, w.Check.Err = info, err
	if info == nil {
		return true
	}
	picked := false
	for i := range w.Types {
		w.Types[i].Recommended = slices.Contains(info.Recommended, w.Types[i].Value)
		picked = picked || w.Types[i].Picked
	}
	if !picked && len(info.Recommended) > 0 {
		w.pick(info.Recommended[0])
	}
	return true
}

// pick chooses a type by its name and puts the cursor of the types on it.
func (w *Wizard) pick(name string) {
	for i := range w.Types {
		if w.Types[i].Value == name {
			w.Types[i].Picked = true
		}
	}
}

// AskSizes returns the number of a new question: how big is each type?
func (w *Wizard) AskSizes() int {
	w.asked++
	w.sizes = w.asked
	return w.sizes
}

// Sized takes the answer to question n, about sizes.
func (w *Wizard) Sized(n int, sizes Sizes) {
	if n != w.sizes {
		return
	}
	w.sizes, w.SizeErr = 0, sizes.Err
	if w.Advanced.judged(sizes.Err) {
		w.SizeErr = nil // it stands beside the option
	}
	if sizes.Err != nil {
		return
	}
	w.Wall, w.columns = nil, sizes.Types
	if len(sizes.Tensors) > 0 {
		w.Wall = NewWall(sizes.Tensors)
	}
	for i := range w.Types {
		c := &w.Types[i]
		s := sizes.Of[c.Value]
		c.Bytes, c.Err = s.Bytes, s.Err
		if s.Bytes > 0 {
			c.PerWeight = s.Bits
		}
	}
}

// Column is the output of the wall that shows a type, -1 if there is none.
func (w *Wizard) Column(name string) int { return slices.Index(w.columns, name) }

// Sizing tells whether sizes are being looked up.
func (w *Wizard) Sizing() bool { return w.sizes != 0 }

// AskPlan returns the number of a new question: what will the job write and take?
func (w *Wizard) AskPlan() int {
	w.asked++
	w.plan, w.Plan, w.PlanErr = w.asked, nil, nil
	return w.plan
}

// Planned takes the answer to question n, about the plan.
func (w *Wizard) Planned(n int, e *jobs.Estimate, err error) {
	if n == w.plan {
		w.plan, w.Plan, w.PlanErr = 0, e, err
		w.Advanced.judged(err)
	}
}

// Picked lists the names of the chosen types, biggest first.
func (w *Wizard) Picked() []string {
	var names []string
	for _, c := range w.Types {
		if c.Picked {
			names = append(names, c.Value)
		}
	}
	return names
}

// PickedBytes is the size of the chosen types together, as far as it is known.
func (w *Wizard) PickedBytes() (n int64, known bool) {
	known = true
	for _, c := range w.Types {
		if c.Picked {
			n += c.Bytes
			known = known && c.Bytes > 0
		}
	}
	return n, known
}

// Budget is the figure that files should fit in, in bytes; 0 if there is none.
func (w *Wizard) Budget() (int64, error) { return bytesOf(&w.Memory) }

// Missing says why the wizard can't go on from the step that it is at, "" if it can.
func (w *Wizard) Missing() string {
	switch w.Step {
	case StepModel:
		switch {
		case w.Model.Empty():
			return "Type a Hub id, a folder or a .gguf file first."
		case w.Check.Err != nil:
			return "This model can't be used; the reason stands above."
		case w.Check.Info == nil:
			return "The model is still being looked at."
		}
	case StepFormats:
		if !slices.ContainsFunc(w.Formats, func(f jobs.FormatInfo) bool { return f.Available }) {
			return "No format is available."
		}
	case StepTypes:
		switch {
		case w.Advanced.wrong() != "":
			return "An advanced option is wrong, a shows it: " + w.Advanced.wrong()
		case w.SizeErr != nil:
			return "No file can be made like this; the reason stands above."
		case len(w.Picked()) == 0:
			return "Pick at least one type with the space bar."
		}
		for _, c := range w.Types {
			if c.Picked && c.Err != nil {
				return c.Value + " can't be made: " + reason(c.Err)
			}
		}
	case StepReview:
		switch {
		case w.PlanErr != nil:
			return "This job can't run; the reason stands above."
		case w.Plan == nil:
			return "The plan is still being made."
		}
		if why := w.Refusal(); why != "" {
			return "This job would be refused; the reason stands above."
		}
	}
	return ""
}

// refuses is how an estimate begins the warning that the job as it is would not run.
const refuses = "quantize would refuse: "

// Refusal is why the planned job would not run, "" if it would.
func (w *Wizard) Refusal() string {
	if w.Plan == nil {
		return ""
	}
	for _, text := range w.Plan.Warnings {
		if why, ok := strings.CutPrefix(text, refuses); ok {
			return why
		}
	}
	return ""
}

// Next goes one step on, or says what is missing. After the review there is none.
func (w *Wizard) Next() (missing string) {
	if missing = w.Missing(); missing == "" && w.Step < StepReview {
		w.Step++
		w.enter()
	}
	return missing
}

// Back goes one step back and tells whether there was one.
func (w *Wizard) Back() bool {
	if w.Step == StepModel {
		return false
	}
	w.Step--
	w.enter()
	return true
}

// enter puts the cursor where the step is likely to need it.
func (w *Wizard) enter() {
	w.Cursor, w.Editing = 0, nil
	w.Advanced.hide()
	switch w.Step {
	case StepTypes:
		if i := slices.IndexFunc(w.Types, func(c Choice) bool { return c.Picked }); i >= 0 {
			w.Cursor = i
		}
	case StepReview:
		w.Cursor = RowCreate
		if w.Name.Empty() {
			w.Name = NewLine(w.proposed())
		}
	}
}

// proposed is a name for the job.
func (w *Wizard) proposed() string {
	name := filepath.Base(strings.TrimRight(w.Model.String(), "/"))
	if i := strings.IndexByte(name, '@'); i > 0 {
		name = name[:i]
	}
	return name + " to " + strings.Join(w.Picked(), ", ")
}

// rows is how long the list of the step is.
func (w *Wizard) rows() int {
	switch w.Step {
	case StepFormats:
		return len(w.Formats)
	case StepTypes:
		return len(w.Types)
	case StepReview:
		return RowCreate + 1
	}
	return 0
}

// Move moves the cursor by n rows, over those that can't be chosen.
func (w *Wizard) Move(n int) {
	to := min(max(0, w.Cursor+n), max(0, w.rows()-1))
	if w.Step == StepReview && to == RowWhere && !w.Served {
		to += min(max(n, -1), 1)
	}
	w.Cursor = to
}

// Toggle changes what the cursor is on. It says why where that can't be changed.
func (w *Wizard) Toggle() (why string) {
	switch w.Step {
	case StepFormats:
		f := w.Formats[w.Cursor]
		if !f.Available {
			return f.Name + " is not available in this version."
		}
		return f.Name + " is the one format of this version, and stays chosen."
	case StepTypes:
		c := &w.Types[w.Cursor]
		if c.Err != nil && !c.Picked {
			return c.Value + " can't be made: " + reason(c.Err)
		}
		c.Picked = !c.Picked
		w.Name = Line{}
	case StepReview:
		switch w.Cursor {
		case RowReplace:
			w.Replace = !w.Replace
		case RowWhere:
			w.Server = w.Served && !w.Server
		}
	}
	return ""
}

// Field is the line that typed text goes to, nil where keys are commands.
func (w *Wizard) Field() *Line {
	switch {
	case w.Step == StepModel:
		return &w.Model
	case w.Step == StepTypes && w.Advanced.Open:
		return w.Advanced.at().line
	case w.Step == StepTypes:
		return w.Editing
	case w.Step == StepReview && w.Cursor == RowFolder:
		return &w.Folder
	case w.Step == StepReview && w.Cursor == RowName:
		return &w.Name
	}
	return nil
}
