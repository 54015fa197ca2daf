package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// streams are where a command writes. Rules: results to out; everything else to err; colour only where a person
// looks, and never as the only sign of anything.
type streams struct {
	out, err io.Writer
	errTTY   bool
	width    func() int
	getenv   func(string) string
	colored  bool
	mu       *sync.Mutex // between progress and notes
}

func standardStreams() streams {
	return streams{
		out: os.Stdout, err: os.Stderr,
		errTTY: term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb",
		width: func() int {
			w, _, err := term.GetSize(int(os.Stderr.Fd()))
			if err != nil || w <= 0 {
				return 80
			}
			return w
		},
		getenv: os.Getenv,
		mu:     &sync.Mutex{},
	}
}

// chooseColor applies --color, NO_COLOR, CLICOLOR and CLICOLOR_FORCE; the flag wins.
func (s *streams) chooseColor(flag string) error {
	switch flag {
	case "always":
		s.colored = true
	case "never":
		s.colored = false
	case "auto":
		forced := s.getenv("CLICOLOR_FORCE")
		s.colored = s.errTTY && s.getenv("CLICOLOR") != "0" || forced != "" && forced != "0"
		if s.getenv("NO_COLOR") != "" {
			s.colored = false
		}
	default:
		return &usageError{fmt.Errorf("color %q: want auto, always or never", flag)}
	}
	return nil
}

func (s *streams) red(text string) string  { return s.paint("1;31", text) }
func (s *streams) bold(text string) string { return s.paint("1", text) }

func (s *streams) paint(code, text string) string {
	if !s.colored {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// note tells the user something that is no result.
func (s *streams) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.err, format+"\n", args...)
}

// warn tells the user of something that may not be what was wanted.
func (s *streams) warn(text string) { s.note("%s %s", s.bold("warning:"), text) }

// printJSON writes a result.
func (s *streams) printJSON(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
