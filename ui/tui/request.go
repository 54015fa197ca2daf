package tui

import (
	"strings"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Request is the job as the service takes it.
func (w *Wizard) Request() *jobs.Request {
	r := &jobs.Request{Model: w.Model.String(), Types: w.Picked(), Name: w.Name.String(), Dir: w.Folder.String(), Imatrix: w.Imatrix.String(), Force: w.Replace}
	if r.Dir == "." {
		r.Dir = ""
	}
	if r.Name == w.proposed() {
		r.Name = "" // the service makes the same
	}
	w.Advanced.fill(r)
	return r
}

// Spec asks for estimates of the job, with its tensors.
func (w *Wizard) Spec() jobs.Spec {
	r := w.Request()
	dir := r.Dir
	if dir == "" {
		dir = "."
	}
	verify := !r.NoVerify
	spec := jobs.Spec{
		SourceModel: r.Model, Formats: []string{"gguf"}, Types: r.Types, OutputDir: dir, Priority: r.Priority, Tensors: true,
		Config: jobs.Config{
			UseImatrix: r.Imatrix != "", ImatrixFile: r.Imatrix, Force: r.Force, Pure: r.Pure, LeaveOutput: r.LeaveOutput, OutputType: r.OutputType,
			EmbeddingType: r.EmbeddingType, AllowRequantize: r.AllowRequantize, Provenance: r.Provenance, VerifyOutput: &verify, Threads: r.Threads, MaxMemory: r.MaxMemory,
		},
	}
	for _, rule := range r.TensorTypes {
		i := max(0, strings.LastIndexByte(rule, '='))
		spec.Config.TensorTypes = append(spec.Config.TensorTypes, jobs.TensorRule{Pattern: rule[:i], Type: strings.TrimPrefix(rule[i:], "=")})
	}
	return spec
}

// Command is the command line that does the same.
func (w *Wizard) Command() string {
	r := w.Request()
	words := []string{"nexus-quant", "quantize", quote(r.Model)}
	if strings.HasPrefix(r.Model, "-") {
		words[2] = quote("./" + r.Model)
	}
	words = append(words, "--types", strings.Join(r.Types, ","))
	option := func(name, value string) {
		if value != "" {
			words = append(words, name, quote(value))
		}
	}
	option("--output", r.Dir)
	option("--imatrix", r.Imatrix)
	words = append(words, w.Advanced.flags()...)
	option("--name", r.Name)
	if r.Force {
		words = append(words, "--force")
	}
	if w.Server {
		words = append(words, "--detach")
	}
	return strings.Join(words, " ")
}

// quote makes a word that a POSIX shell takes as it is.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./@:,+=%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
