package tui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// plural is a number with a word for one and one for many.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// count is a number of weights as people say it: 6.74B.
func count(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2fB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", float64(n)/1e6)
	}
	return strconv.FormatInt(n, 10)
}

// exact is a number with its thousands apart.
func exact(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// memory is an amount of memory, in units of 1024.
func memory(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20)
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}

// lasting is a duration no more exactly than people need it.
func lasting(d time.Duration) string {
	switch {
	case d < time.Second:
		return "a second"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Round(time.Second).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// reason is the short form of why a type can't be made of a model.
func reason(err error) string {
	text := err.Error()
	if strings.HasSuffix(text, "needs an importance matrix") {
		return "needs an imatrix (i)"
	}
	if strings.HasSuffix(text, "loses quality twice") {
		return "is quantized already (a)"
	}
	return text
}
