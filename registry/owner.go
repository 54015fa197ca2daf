package registry

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"time"
)

// Owner is a process that works on a job. Claim fills in Token and Heartbeat: an owner is one claim, not only one
// process, so a worker that was overtaken by another one of its own process is refused as well.
type Owner struct {
	Host string `json:"host"`
	PID  int    `json:"pid"`
	// BootID and Namespace say in which run of which machine's kernel, and in which container, PID means this process.
	BootID    string `json:"boot_id,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// ProcessStart is the kernel's start time of the process, in the kernel's own unit: it tells a reused PID apart.
	ProcessStart string    `json:"process_start,omitempty"`
	Token        string    `json:"token,omitempty"`
	Heartbeat    time.Time `json:"heartbeat"`
}

// How long an owner may be silent that can't be looked up in this system's process table.
const (
	silentReboot = 10 * time.Second // same host, other boot: a reboot, or a clone under the same name
	silentHost   = 2 * time.Minute  // another host or container, whose clock may differ
)

// beatEvery is how fresh the heartbeat in the store is kept.
const beatEvery = time.Second

// Self describes the calling process. Claim makes it the owner of a job.
func Self() (Owner, error) {
	host, err := os.Hostname()
	if err != nil {
		return Owner{}, fmt.Errorf("registry owner: %w", err)
	}
	o := Owner{Host: host, PID: os.Getpid(), BootID: bootID(), Namespace: pidNamespace()}
	o.ProcessStart, _ = processStart(o.PID)
	return o, nil
}

func (o Owner) String() string { return fmt.Sprintf("process %d on %s", o.PID, o.Host) }

// is reports whether o and p are the same claim of the same process.
func (o Owner) is(p Owner) bool {
	o.Heartbeat, p.Heartbeat = time.Time{}, time.Time{}
	return o == p && o.Token != ""
}

// aliveFor reports whether the owner still lives, as seen by self at now. A process of this very system is looked up:
// one that is slow, or stopped, or slept with the laptop, is alive however old its heartbeat is. Of others the
// heartbeat is all that is known.
func (o Owner) aliveFor(self Owner, now time.Time) bool {
	silent := now.Sub(o.Heartbeat)
	if o.Host != self.Host || o.Namespace != self.Namespace {
		return silent < silentHost
	}
	if o.BootID != self.BootID {
		return silent < silentReboot
	}
	start, state := processStart(o.PID)
	switch state {
	case processGone:
		return false
	case processUnknown:
		return silent < silentHost
	}
	return start == o.ProcessStart
}

// processState is what the system says about a process.
type processState int

const (
	processUnknown processState = iota // it can't be looked up
	processGone
	processThere
)

// newToken returns 128 random bits.
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// NewID returns a new job ID, a random UUID (RFC 9562, version 4).
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ValidID reports whether id has the form of a job ID: a UUID in lower case. Nothing else becomes a file name.
func ValidID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range []byte(id) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}
