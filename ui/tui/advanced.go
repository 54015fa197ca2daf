package tui

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Advanced is what few need of the step of types, shown when it is asked for. What is typed is checked by the service
// with the sizes; its answers are kept by the field that they are about.
type Advanced struct {
	Open   bool // it is what the step shows
	Cursor int

	Rules      []Line // REGEX=TYPE; where it is open, the last one is empty
	Output     Line   // type of output.weight
	Embedding  Line   // type of token_embd.weight
	Threads    Line
	Memory     Line
	Priority   Line
	Pure       bool
	LeaveOut   bool
	NoVerify   bool
	Provenance bool
	Requantize bool

	faults map[string]string // by the contract's name of the field
}

// option is a row of the advanced options: a line to type into, or a box.
type option struct {
	name  string
	about string // what an empty line means, or what the box does
	field string // the contract's name, by which the service says what is wrong
	line  *Line
	box   *bool
	upset bool // the box shows the opposite
}

// The names of the fields in the contract.
const (
	fieldRules     = "config.tensor_types."
	fieldOutput    = "config.output_tensor_type"
	fieldEmbedding = "config.token_embedding_type"
	fieldThreads   = "config.threads"
	fieldMemory    = "config.max_memory_bytes"
	fieldPriority  = "priority"
)

// options are the rows, in order.
func (a *Advanced) options() []option {
	var list []option
	n := 0
	for i := range a.Rules {
		o := option{name: "Tensors", about: "REGEX=TYPE, for example attn_v=q8_0; the first match counts", line: &a.Rules[i]}
		if !a.Rules[i].Empty() {
			o.field = fieldRules + strconv.Itoa(n)
			n++
		}
		list = append(list, o)
	}
	return append(list,
		option{name: "Output", about: "type of the output tensor; empty: as the file type says", field: fieldOutput, line: &a.Output},
		option{name: "Embedding", about: "type of the token embedding; empty: as the file type says", field: fieldEmbedding, line: &a.Embedding},
		option{name: "Threads", about: "empty: all cores", field: fieldThreads, line: &a.Threads},
		option{name: "Memory", about: "of the work, at most; empty: 1 GiB", field: fieldMemory, line: &a.Memory},
		option{name: "Priority", about: "higher ones first; empty: 0", field: fieldPriority, line: &a.Priority},
		option{name: "Pure", about: "every tensor gets the type itself, without the mix", box: &a.Pure},
		option{name: "Leave", about: "the output tensor stays as it is", box: &a.LeaveOut},
		option{name: "Verify", about: "each file is read back and checked", box: &a.NoVerify, upset: true},
		option{name: "Origin", about: "a statement of origin is written beside each file", box: &a.Provenance},
		option{name: "Requantize", about: "what is quantized already is quantized again", box: &a.Requantize},
	)
}

// show opens the options.
func (a *Advanced) show() {
	a.Open, a.Cursor = true, 0
	a.tidy()
}

// hide closes them.
func (a *Advanced) hide() {
	a.Open = false
	a.Rules = slices.DeleteFunc(a.Rules, func(l Line) bool { return l.Empty() })
}

// tidy keeps an empty rule behind the others, to type the next one into.
func (a *Advanced) tidy() {
	if n := len(a.Rules); n == 0 || !a.Rules[n-1].Empty() {
		a.Rules = append(a.Rules, Line{})
	}
}

// move moves the cursor. Rules that were emptied go when it is not on them.
func (a *Advanced) move(n int) {
	before := len(a.Rules)
	a.tidy()
	if a.Cursor >= before {
		a.Cursor += len(a.Rules) - before
	}
	a.Cursor = min(max(0, a.Cursor+n), len(a.options())-1)
	for i := len(a.Rules) - 2; i >= 0; i-- {
		if !a.Rules[i].Empty() || i == a.Cursor {
			continue
		}
		a.Rules = slices.Delete(a.Rules, i, i+1)
		if a.Cursor > i {
			a.Cursor--
		}
	}
}

// at is the row of the cursor.
func (a *Advanced) at() option {
	list := a.options()
	return list[min(a.Cursor, len(list)-1)]
}

// toggle changes the box of the cursor.
func (a *Advanced) toggle() {
	if o := a.at(); o.box != nil {
		*o.box = !*o.box
	}
}

// rules are those that aren't empty.
func (a *Advanced) rules() []string {
	var list []string
	for i := range a.Rules {
		if !a.Rules[i].Empty() {
			list = append(list, a.Rules[i].String())
		}
	}
	return list
}

// amount is an amount of memory with its unit: a plain number counts GiB, as memory is sold.
func amount(l *Line) string {
	s := l.String()
	if s != "" && strings.Trim(s, "0123456789.") == "" {
		s += "GiB"
	}
	return s
}

// bytesOf reads an amount of memory; "" is none.
func bytesOf(l *Line) (int64, error) {
	if l.Empty() {
		return 0, nil
	}
	return jobs.ParseSize(amount(l))
}

// whole reads a whole number; "" is 0.
func whole(l *Line, least int) (int, error) {
	if l.Empty() {
		return 0, nil
	}
	n, err := strconv.Atoi(l.String())
	if err != nil || n < least {
		return 0, fmt.Errorf("%q: want a whole number of %d or more", l.String(), least)
	}
	return n, nil
}

// fill puts the options into a request and says what is no number. The other fields are the service's to judge.
func (a *Advanced) fill(r *jobs.Request) map[string]string {
	wrong := map[string]string{}
	note := func(field string, err error) {
		if err != nil {
			wrong[field] = err.Error()
		}
	}
	var err error
	r.TensorTypes = a.rules()
	r.OutputType, r.EmbeddingType = a.Output.String(), a.Embedding.String()
	r.Threads, err = whole(&a.Threads, 1)
	note(fieldThreads, err)
	r.MaxMemory, err = bytesOf(&a.Memory)
	note(fieldMemory, err)
	r.Priority, err = whole(&a.Priority, math.MinInt32)
	note(fieldPriority, err)
	r.Pure, r.LeaveOutput, r.NoVerify, r.Provenance, r.AllowRequantize = a.Pure, a.LeaveOut, a.NoVerify, a.Provenance, a.Requantize
	return wrong
}

// judged takes what the service says of the options, and tells whether it was about them.
func (a *Advanced) judged(err error) bool {
	a.faults = map[string]string{}
	var fields jobs.FieldErrors
	if !errors.As(err, &fields) {
		return false
	}
	known := a.options()
	for _, f := range fields {
		name := strings.Join(f.Loc[1:], ".")
		i := slices.IndexFunc(known, func(o option) bool { return o.field == name })
		if i < 0 {
			continue
		}
		a.faults[name] = f.Message
		if l := known[i].line; l != nil { // it stands right above
			a.faults[name] = strings.TrimPrefix(f.Message, fmt.Sprintf("tensor type %q: ", l.String()))
		}
	}
	return len(a.faults) > 0
}

// fault is what is wrong with a field, "" if nothing is.
func (a *Advanced) fault(field string) string {
	if field == "" {
		return ""
	}
	if text := a.fill(&jobs.Request{})[field]; text != "" {
		return text
	}
	return a.faults[field]
}

// wrong is the first fault, "" if there is none.
func (a *Advanced) wrong() string {
	for _, o := range a.options() {
		if text := a.fault(o.field); text != "" {
			return text
		}
	}
	return ""
}

// chosen says in a few words what differs from the default.
func (a *Advanced) chosen() []string {
	list := a.rules()
	for _, o := range a.options()[len(a.Rules):] {
		switch {
		case o.line != nil && !o.line.Empty():
			list = append(list, strings.ToLower(o.name)+" "+o.line.String())
		case o.box != nil && *o.box && o.upset:
			list = append(list, "no "+strings.ToLower(o.name))
		case o.box != nil && *o.box:
			list = append(list, strings.ToLower(o.name))
		}
	}
	return list
}

// flags are the options on the command line.
func (a *Advanced) flags() []string {
	var words []string
	flag := func(name, value string) {
		if value != "" {
			words = append(words, name, quote(value))
		}
	}
	for _, rule := range a.rules() {
		flag("--tensor-type", rule)
	}
	flag("--output-tensor-type", a.Output.String())
	flag("--token-embedding-type", a.Embedding.String())
	flag("--threads", a.Threads.String())
	flag("--max-memory", amount(&a.Memory))
	flag("--priority", a.Priority.String())
	for _, f := range []struct {
		on   bool
		name string
	}{{a.Pure, "--pure"}, {a.LeaveOut, "--leave-output-tensor"}, {a.NoVerify, "--no-verify"}, {a.Provenance, "--provenance"}, {a.Requantize, "--allow-requantize"}} {
		if f.on {
			words = append(words, f.name)
		}
	}
	return words
}
