package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// topics holds the events that somebody reads: one subscription to the service for each job that is watched, however
// many watch it.
type topics struct {
	service Service
	log     func(format string, args ...any)

	mu   sync.Mutex
	open map[string]*topic
}

// topic keeps the latest events of a job, or of all jobs. Readers look into the ring at their own pace, so one that is
// slow costs nothing; one that is overtaken by the ring has lost its place.
type topic struct {
	stop    context.CancelFunc
	readers int // guarded by topics.mu

	mu     sync.Mutex
	first  uint64        // the event after which the topic began
	midway bool          // it began with whatever came next, so first says nothing
	ring   []entry       // entry n lies at n modulo ringSize
	count  int           // entries that there were
	wake   chan struct{} // closed when there is something new
	ended  bool
	err    error // why it ended
}

// entry is an event as it goes over the wire.
type entry struct {
	seq  uint64
	text []byte
}

// ringSize is how many events a reader may fall behind.
const ringSize = 256

// join returns the topic of a job, begun after an event if nobody has it open. The caller leaves it again.
func (ts *topics) join(id string, after uint64) *topic {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.open[id]
	if t == nil {
		ctx, stop := context.WithCancel(context.Background())
		t = &topic{stop: stop, first: after, midway: id == "" && after == 0, wake: make(chan struct{})}
		ts.open[id] = t
		go func() { t.end(ts.follow(ctx, t, id, after)) }()
	}
	t.readers++
	return t
}

// leave ends a topic that nobody reads any more, and lets one that has ended be opened anew.
func (ts *topics) leave(id string, t *topic) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.readers--
	t.mu.Lock()
	over := t.readers == 0 || t.ended
	t.mu.Unlock()
	if over && ts.open[id] == t {
		delete(ts.open, id)
	}
	if t.readers == 0 {
		t.stop()
	}
}

func (ts *topics) follow(ctx context.Context, t *topic, id string, after uint64) (err error) {
	defer ts.recovered(&err)
	for e, err := range ts.service.Events(ctx, id, after) {
		if err != nil {
			return err
		}
		t.add(wire(e))
	}
	return nil
}

// recovered turns a panic into an error: in a goroutine of our own nobody else would catch it.
func (ts *topics) recovered(err *error) {
	if v := recover(); v != nil {
		ts.log("events: panic: %v\n%s", v, debug.Stack())
		*err = errors.New("internal error; the server's log has the cause")
	}
}

func (t *topic) add(e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count < ringSize {
		t.ring = append(t.ring, e)
	} else {
		t.ring[t.count%ringSize] = e
	}
	t.count++
	t.notify()
}

func (t *topic) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended, t.err = true, err
	t.notify()
}

func (t *topic) notify() {
	close(t.wake)
	t.wake = make(chan struct{})
}

// oldest is the place of the oldest entry that is still there.
func (t *topic) oldest() int { return max(0, t.count-ringSize) }

// now is the place of the next entry.
func (t *topic) now() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// locate returns the place behind an event, if all that came after it is still there. A topic that began with 0, at a
// job of which nothing had been told, begins with a snapshot: that is whole as well.
func (t *topic) locate(seq uint64) (place int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	whole := seq >= t.first && t.count <= ringSize && !t.midway
	if !whole && (t.count == 0 || seq < t.ring[t.oldest()%ringSize].seq) {
		return 0, false
	}
	place = t.count
	for place > t.oldest() && t.ring[(place-1)%ringSize].seq > seq {
		place--
	}
	return place, true
}

// errSlow ends the stream of a reader that takes too long.
var errSlow = errors.New("reader is too slow")

// read returns some entries from a place on, and the place behind them. Where there are none, wake tells when to look
// again, or over that there will be none.
func (t *topic) read(place int) (list []entry, next int, wake <-chan struct{}, over bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if place < t.oldest() {
		return nil, place, nil, true, errSlow
	}
	const batch = 32
	for ; place < t.count && len(list) < batch; place++ {
		list = append(list, t.ring[place%ringSize])
	}
	over = t.ended && len(list) == 0
	return list, place, t.wake, over, t.err
}

// wire writes an event as the protocol wants it. Compact JSON is one line: line breaks in texts are escaped. Events
// other than snapshots, which say it themselves, are told which job they belong to.
func wire(e jobs.Event) entry {
	var data bytes.Buffer
	if json.Compact(&data, e.Data) != nil {
		data.Reset()
		data.WriteString("{}")
	}
	line := data.Bytes()
	if e.Type != "snapshot" && len(line) >= 2 && line[0] == '{' {
		id, _ := json.Marshal(e.JobID)
		rest := string(line[1:])
		if rest != "}" {
			rest = "," + rest
		}
		line = []byte(`{"job_id":` + string(id) + rest)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Type, line)
	return entry{e.Seq, b.Bytes()}
}
