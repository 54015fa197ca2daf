package tui

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// sized waits until the sizes are those of the options, as typed.
func sized(t *testing.T, m *model) {
	t.Helper()
	if !m.wizard.Sizing() {
		t.Fatal("no sizes were asked for")
	}
	answer(m, m.sizeNow(m.wizard.sizes))
}

func TestAnAdvancedOptionThatIsWrongSaysSoBesideIt(t *testing.T) {
	o := place(t)
	for _, c := range []struct {
		name string
		keys []string
		want string
	}{
		{"an expression", []string{"a(b=q8_0"}, "missing closing"},
		{"no type", []string{"attn_v"}, "want REGEX=TYPE"},
		{"a type that is none", []string{"attn_v=q4K_"}, "did you mean q4_K?"},
		{"the second rule", []string{"attn_v=q8_0", "down", "attn_k=q80_"}, "did you mean q8_0?"},
		{"type of the output", []string{"down", "q6k_"}, "did you mean q6_K?"},
		{"type of the embedding", []string{"down", "down", "bf61"}, "did you mean bf16?"},
		{"threads", []string{"down", "down", "down", "four"}, `"four": want a whole number`},
		{"memory", []string{"down", "down", "down", "down", "much"}, `"much`},
		{"priority", []string{"down", "down", "down", "down", "down", "high"}, `"high": want a whole number`},
	} {
		m := open(t, o, 80, 24)
		choose(t, m, "nexus-tiny-llama")
		press(m, "enter", "enter", "a")
		press(m, c.keys...)
		sized(t, m)
		typed := c.keys[len(c.keys)-1]
		lines := strings.Split(m.View(), "\n")
		at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, typed) })
		if at < 0 || !strings.Contains(lines[at+1], "✗") || !strings.Contains(strings.Join(lines[at+1:at+3], " "), c.want) {
			t.Errorf("%s: nothing says %q below it:\n%s", c.name, c.want, m.View())
		}
		press(m, "esc", "enter")
		if m.wizard.Step != StepTypes || !m.bad {
			t.Errorf("%s: the wizard went on", c.name)
		}
		press(m, "a")
		for range m.wizard.Advanced.options() {
			press(m, "ctrl+u", "down")
		}
		sized(t, m)
		press(m, "esc", "enter")
		if m.wizard.Step != StepReview {
			t.Errorf("%s: put right, the wizard still doesn't go on: %s", c.name, m.notice)
		}
	}
}

// The sizes, the review and the command line are those of the same job on the command line.
func TestAdvancedOptionsAreOfTheJob(t *testing.T) {
	o := place(t)
	m := open(t, o, 140, 40)
	choose(t, m, "nexus-tiny-llama")
	before := m.wizard.Types[3].Bytes
	press(m, "enter", "enter", "a", "attn_v=f16", "down", "ffn_(up|down)=q5_K", "down", "down", "q8_0", "down", "f16", "down", "2", "down", "0.5", "down", "7", "down", " ", "down", "down", " ", "down", " ")
	sized(t, m)
	w := &m.wizard
	e, err := o.Service.Estimate(t.Context(), &jobs.Request{Model: "nexus-tiny-llama", Types: []string{"Q8_0"}, Pure: true, OutputType: "q8_0", EmbeddingType: "f16", TensorTypes: []string{"attn_v=f16", "ffn_(up|down)=q5_K"}})
	if err != nil {
		t.Fatal(err)
	}
	if w.Types[3].Bytes == before || w.Types[3].Bytes != e.Outputs[0].Bytes {
		t.Errorf("Q8_0: got %d bytes, want %d, not %d", w.Types[3].Bytes, e.Outputs[0].Bytes, before)
	}
	if s := m.View(); !strings.Contains(s, jobs.Size(e.Outputs[0].Bytes)) || !strings.Contains(s, "f16 ×") {
		t.Errorf("the screen shows neither the size nor the types of tensors:\n%s", s)
	}
	press(m, "esc", "enter")
	planned(t, m)
	want := "nexus-quant quantize nexus-tiny-llama --types Q8_0 --tensor-type attn_v=f16 --tensor-type 'ffn_(up|down)=q5_K' --output-tensor-type q8_0 --token-embedding-type f16 --threads 2 --max-memory 0.5GiB --priority 7 --pure --no-verify --provenance"
	if got := w.Command(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s := m.View(); !strings.Contains(s, "With attn_v=f16, ffn_(up|down)=q5_K, output q8_0, embedding f16, threads 2, memory 0.5,") {
		t.Errorf("the review does not name the options:\n%s", s)
	}
	r := w.Request()
	if r.MaxMemory != 1<<29 || r.Threads != 2 || r.Priority != 7 || !r.Pure || !r.NoVerify || !r.Provenance || r.LeaveOutput || r.AllowRequantize {
		t.Errorf("got %+v", r)
	}
	if w.Plan.Outputs[0].Bytes != e.Outputs[0].Bytes {
		t.Errorf("the plan: got %d bytes, want %d", w.Plan.Outputs[0].Bytes, e.Outputs[0].Bytes)
	}
}

// A file of importance weights that can't be read is said once, not beside each type.
func TestAnImatrixThatIsNotThere(t *testing.T) {
	o := place(t)
	m := open(t, o, 80, 24)
	choose(t, m, "nexus-tiny-llama")
	press(m, "enter", "enter", "i", "nowhere.gguf", "enter")
	sized(t, m)
	s := m.View()
	if n := strings.Count(strings.Join(strings.Fields(s), " "), "no such file"); n != 1 {
		t.Errorf("the file is missed %d times, want once:\n%s", n, s)
	}
	if press(m, "enter"); m.wizard.Step != StepTypes {
		t.Error("the wizard went on")
	}
}

func TestARuleThatWasEmptiedIsGone(t *testing.T) {
	t.Parallel()
	var a Advanced
	a.show()
	for _, rule := range []string{"a=f16", "b=f16", "c=f16"} {
		a.at().line.insert(rule)
		a.move(1)
	}
	a.move(-2)
	a.at().line.Key(Key{Name: "ctrl+u"})
	a.hide()
	if got := a.rules(); !slices.Equal(got, []string{"a=f16", "c=f16"}) || len(a.Rules) != 2 {
		t.Errorf("got %v", got)
	}
	err := jobs.FieldErrors{{Loc: []string{"body", "config", "tensor_types", "1"}, Message: "no"}}
	if !a.judged(fmt.Errorf("estimate: %w", err)) || a.fault(fieldRules+"1") != "no" || a.fault(fieldRules+"0") != "" {
		t.Errorf("the fault is not with the second rule: %v", a.faults)
	}
	if a.judged(errors.New("something else")) || a.wrong() != "" {
		t.Error("an error of something else is taken for one of the options")
	}
}

func TestPlainQuestionsKnowTheAdvancedOptions(t *testing.T) {
	o := place(t)
	var out bytes.Buffer
	o.Out = &out
	o.In = strings.NewReader(strings.Join([]string{
		"nexus-tiny-llama", "lots", "0.005", "perhaps", "yes",
		"nowhere.gguf", "", // importance weights
		"a(b=q8_0", "attn_v=q4K_", "attn_v=f16", "", // rules
		"q6k_", "q8_0", "", "none", "2", "", "", // output, embedding, threads, memory, priority
		"no", "", "", "yes", "no", // boxes
		"Q2_K_S", "Q4_K_M", ".", "yes", "",
	}, "\n"))
	got, err := Ask(t.Context(), o)
	if err != nil || len(got.Made) != 1 {
		t.Fatalf("%v, %v\n%s", got, err, out.String())
	}
	for _, want := range []string{
		"Error: ", "lots", "no such file", "missing closing", "did you mean q4_K?", "did you mean q6_K?", `"none": want a whole number`, "needs an importance matrix",
		"too big", "fits", "With attn_v=f16, output q8_0, threads 2, origin.",
		"nexus-quant quantize nexus-tiny-llama --types Q4_K_M --tensor-type attn_v=f16 --output-tensor-type q8_0 --threads 2 --provenance",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, out.String())
		}
	}
	in, err := o.Service.Inspect(t.Context(), &jobs.Request{Model: got.Made[0].Path})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range in.Tensors {
		if want := map[string]string{"blk.0.attn_v.weight": "f16", "output.weight": "q8_0"}[x.Name]; want != "" && x.Type != want {
			t.Errorf("%s is %s, want %s", x.Name, x.Type, want)
		}
	}
	if list, _ := filepath.Glob(got.Made[0].Path + ".*"); len(list) != 1 {
		t.Errorf("beside the file are %v, want a statement of origin", list)
	}
}
