//go:build interop

package oracle

import (
	"strings"
	"sync"
	"unsafe"
)

// logged keeps the warnings and errors that the libraries write, for the errors that this package returns.
var logged struct {
	sync.Mutex
	text strings.Builder
}

// keepLog is a ggml_log_callback.
func keepLog(level int32, text unsafe.Pointer, _ uintptr) uintptr {
	const warn, fail = 3, 4
	if level == warn || level == fail {
		logged.Lock()
		defer logged.Unlock()
		if logged.text.Len() < 1<<16 {
			logged.text.WriteString(cString(text))
		}
	}
	return 0
}

// takeLog returns what was logged since the last call.
func takeLog() string {
	logged.Lock()
	defer logged.Unlock()
	s := strings.TrimSpace(logged.text.String())
	logged.text.Reset()
	return s
}

func cString(p unsafe.Pointer) string {
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
