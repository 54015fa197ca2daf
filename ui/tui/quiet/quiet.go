// Package quiet keeps bubbletea from asking the terminal for its background when the program starts. Version 1 does so
// as soon as it is imported (tea_init.go), for every command, the wizard or not: it writes two escape sequences to the
// terminal and waits up to five seconds for an answer. termenv leaves that out where CI is set, so CI is set while the
// packages are initialized, and put back before main begins.
//
// That this package comes first is the language's order of initialization: of the packages whose imports are all
// initialized, the one whose path sorts first. This one needs os alone; bubbletea needs os/exec and os/signal too,
// which sort behind it. The test of the commands on a terminal fails should that ever change.
package quiet

import "os"

var before, set = os.LookupEnv(variable)

const variable = "CI"

var _ = os.Setenv(variable, "1")

// End puts the environment back. It is called once, when bubbletea is initialized.
func End() error {
	if !set {
		return os.Unsetenv(variable)
	}
	return os.Setenv(variable, before)
}
