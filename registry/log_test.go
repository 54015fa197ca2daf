package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// read returns the events after that number, as lines "seq msg".
func read(tb testing.TB, log *Log, after uint64) string {
	tb.Helper()
	var b strings.Builder
	for e, err := range log.Events(after) {
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&b, "%d %s\n", e.Seq, e.Message)
	}
	return b.String()
}

func say(tb testing.TB, log *Log, msgs ...string) {
	tb.Helper()
	for _, m := range msgs {
		if err := log.Print(slog.LevelInfo, m); err != nil {
			tb.Fatal(err)
		}
	}
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "%d m%d\n", i, i)
	}
	return b.String()
}

func TestALogIsReadAsItWasWritten(t *testing.T) {
	s := open(t)
	now := clock(s)
	log := newLog(t, s)
	if got := read(t, log, 0); got != "" {
		t.Errorf("an empty log reads %q", got)
	}
	if err := log.Compress(); err != nil { // nothing to do
		t.Error(err)
	}
	e, err := log.Append(Event{Type: EventState, Data: json.RawMessage(`{"state": "quantizing"}`)})
	if err != nil || e.Seq != 1 || !e.Time.Equal(*now) {
		t.Errorf("appended %+v, %v", e, err)
	}
	err = log.Print(slog.LevelWarn, "two\nlines", "n", 7, "err", errors.New("the cause"), "took", 1500*time.Millisecond,
		"rmse", math.NaN(), slog.Group("g", "x", "y"), "at", now.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log.plain)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"seq":1,"time":"2026-01-02T03:04:05.000000006Z","type":"state","data":{"state":"quantizing"}}
{"seq":2,"time":"2026-01-02T03:04:05.000000006Z","type":"log","level":"warn","msg":"two\nlines","data":{"at":"2026-01-02T03:04:06.000000006Z","err":"the cause","g":{"x":"y"},"n":7,"rmse":"NaN","took":"1.5s"}}
`
	if string(data) != want {
		t.Errorf("got\n%s want\n%s", data, want)
	}
	for name, bad := range map[string]Event{
		"no type":        {},
		"type with sign": {Type: "a\nb"},
		"data no JSON":   {Type: "a", Data: json.RawMessage("{")},
		"data too long":  {Type: "a", Message: strings.Repeat("x", maxLine)},
	} {
		if _, err := log.Append(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := read(t, log, 1); got != "2 two\nlines\n" {
		t.Errorf("after the refusals it reads %q", got)
	}
}

func TestNumbersGoOnOverAttemptsProcessesAndCompression(t *testing.T) {
	s := open(t)
	first := newLog(t, s)
	second := &Log{plain: first.plain, zst: first.zst, wait: first.wait, now: first.now} // as another process has it
	n := 0
	next := func(log *Log) {
		n++
		say(t, log, fmt.Sprintf("m%d", n))
	}
	for _, compress := range []bool{false, true, true, false, true} {
		next(first)
		next(second)
		next(second)
		next(first)
		if compress {
			if err := second.Compress(); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(first.plain); err != nil || info.Size() != 0 {
				t.Fatalf("the plain file still has %d bytes, %v", info.Size(), err)
			}
		}
		if got := read(t, first, 0); got != numbered(1, n) {
			t.Fatalf("compressed %v: got\n%s want 1 to %d", compress, got, n)
		}
		if got := read(t, second, 2); got != numbered(3, n) {
			t.Fatalf("after 2: got\n%s", got)
		}
	}
}

func TestATornLineIsCutOff(t *testing.T) {
	for _, test := range []struct{ name, tail string }{
		{"half a line", `{"seq":3,"time":"2026-01-0`},
		{"half a line, longer than a line may be", `{"seq":3,"msg":"` + strings.Repeat("x", maxLine+70_000)},
		{"zeros, as a power cut leaves them", strings.Repeat("\x00", 5000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := newLog(t, open(t))
			say(t, log, "m1", "m2")
			f, err := os.OpenFile(log.plain, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(test.tail); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if got := read(t, log, 0); got != numbered(1, 2) {
				t.Errorf("torn, it reads %q", got)
			}
			say(t, log, "m3")
			if got := read(t, log, 0); got != numbered(1, 3) {
				t.Errorf("then it reads %q", got)
			}
			if data, err := os.ReadFile(log.plain); err != nil || bytes.Count(data, []byte("\n")) != 3 || bytes.Contains(data, []byte("xx")) {
				t.Errorf("the torn line is still there, %v", err)
			}
		})
	}
}

func TestDamagedLinesArePassedOver(t *testing.T) {
	log := newLog(t, open(t))
	say(t, log, "m1", "m2")
	data, err := os.ReadFile(log.plain)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	for _, test := range []struct{ name, middle, end string }{
		{"zeros in the middle", strings.Repeat("\x00", 4096) + "\n", ""},
		{"a line that is no event", "[1,2]\nnull\n{}\n\n", ""},
		{"a line longer than any", strings.Repeat("x", 3*maxLine) + "\n", ""},
		{"nothing readable for long at the end", "", strings.Repeat("?\n", 50_000)},
	} {
		bad := string(lines[0]) + test.middle + string(lines[1]) + test.end
		if err := os.WriteFile(log.plain, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, log, 0); got != numbered(1, 2) {
			t.Errorf("%s: it reads %q", test.name, got)
		}
		log.seq = 0
		say(t, log, "m3")
		if got := read(t, log, 0); got != numbered(1, 3) {
			t.Errorf("%s: then it reads %q", test.name, got)
		}
	}
	if err := log.Compress(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, log, 0); got != numbered(1, 3) {
		t.Errorf("compressed it reads %q", got)
	}
}

func TestACrashInCompressLosesAndDoublesNothing(t *testing.T) {
	log := newLog(t, open(t))
	say(t, log, "m1", "m2", "m3")
	plain, err := os.ReadFile(log.plain)
	if err != nil {
		t.Fatal(err)
	}
	// Killed while the next file was written.
	if err := os.WriteFile(log.zst+".next", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := log.Compress(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(log.zst + ".next"); !os.IsNotExist(err) {
		t.Errorf("the half file is still there: %v", err)
	}
	// Killed after the rename, before the plain file was emptied.
	if err := os.WriteFile(log.plain, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read(t, log, 0); got != numbered(1, 3) {
		t.Errorf("it reads %q", got)
	}
	say(t, log, "m4")
	for range 2 {
		if got := read(t, log, 0); got != numbered(1, 4) {
			t.Errorf("then it reads %q", got)
		}
		if err := log.Compress(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedCompressedLogIsAnErrorThatNamesTheFile(t *testing.T) {
	log := newLog(t, open(t))
	for i := range 2000 {
		say(t, log, fmt.Sprintf("message %d", i))
	}
	if err := log.Compress(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(log.zst)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"cut":     good[:len(good)/2],
		"garbage": []byte(strings.Repeat("garbage", 100)),
		"flipped": append(append(bytes.Clone(good[:len(good)/2]), good[len(good)/2]^0x55), good[len(good)/2+1:]...),
	} {
		if err := os.WriteFile(log.zst, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range log.Events(0) {
			last = err
		}
		if !errors.Is(last, ErrCorrupt) || !strings.Contains(last.Error(), log.zst) {
			t.Errorf("%s: %v", name, last)
		}
		// Nothing is compressed on top of it, and nothing is lost.
		log.seq = 0
		if err := os.WriteFile(log.plain, []byte(`{"seq":2001,"type":"log","msg":"kept"}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := log.Compress(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: compressed: %v", name, err)
		}
		if data, err := os.ReadFile(log.plain); err != nil || !bytes.Contains(data, []byte("kept")) {
			t.Errorf("%s: the plain file reads %q, %v", name, data, err)
		}
	}
}

func TestTailFollowsAppendCompressAndTornLines(t *testing.T) {
	log := newLog(t, open(t))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	const total = 400
	done := make(chan string, 2)
	for _, after := range []uint64{0, 100} {
		reader := &Log{plain: log.plain, zst: log.zst, wait: log.wait, now: log.now}
		go func() {
			want := after
			for e, err := range reader.Tail(ctx, after) {
				if err != nil {
					done <- err.Error()
					return
				}
				if want++; e.Seq != want || e.Message != fmt.Sprintf("m%d", want) {
					done <- fmt.Sprintf("event %d %q, want %d", e.Seq, e.Message, want)
					return
				}
				if want == total {
					done <- ""
					return
				}
			}
			done <- fmt.Sprintf("ended at %d", want)
		}()
	}
	for i := 1; i <= total; i++ {
		say(t, log, fmt.Sprintf("m%d", i))
		switch {
		case i%37 == 0:
			if err := log.Compress(); err != nil {
				t.Fatal(err)
			}
		case i%50 == 0: // a crash
			f, err := os.OpenFile(log.plain, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString(`{"seq":`)
			f.Close()
		case i%90 == 0:
			time.Sleep(pollEvery)
		}
	}
	for range 2 {
		if msg := <-done; msg != "" {
			t.Error(msg)
		}
	}
}

func TestTailEndsWithItsContextAndItsReader(t *testing.T) {
	log := newLog(t, open(t))
	say(t, log, "m1", "m2")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for _, err := range log.Tail(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			time.AfterFunc(10*time.Millisecond, cancel)
		}
	}
	if n != 2 {
		t.Errorf("%d events", n)
	}
	for range log.Tail(context.Background(), 0) {
		break
	}
	for range log.Events(0) {
		break
	}
	if err := log.Compress(); err != nil {
		t.Fatal(err)
	}
	for range log.Events(0) {
		break
	}
}

func TestDeleteRemovesTheLog(t *testing.T) {
	s := open(t)
	job := into(t, s, Completed)
	log, err := s.Log(job.ID)
	if err != nil {
		t.Fatal(err)
	}
	say(t, log, "m1")
	if err := log.Compress(); err != nil {
		t.Fatal(err)
	}
	say(t, log, "m2")
	if _, err := s.Delete(job.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := os.ReadDir(s.logs()); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2026-01-02T03:04:05Z","type":"log","level":"info","msg":"m"}` + "\n"))
	f.Add([]byte("{\"seq\":2,\"type\":\"a\"}\n{\"seq\":1,\"type\":\"a\"}\n\x00\x00\n{\"seq\":3,\"ty"))
	f.Add([]byte("\n\n{}\nnull\n"))
	s, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	log := newLog(f, s)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, path := range []string{log.plain, log.zst} {
			if err := log.remove(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			log.seq = 0
			var last uint64
			for e, err := range log.Events(0) {
				if err != nil {
					break
				}
				if e.Seq <= last {
					t.Fatalf("event %d follows %d", e.Seq, last)
				}
				last = e.Seq
			}
			if e, err := log.Append(Event{Type: "log"}); err == nil && e.Seq <= last {
				t.Fatalf("appended %d after %d", e.Seq, last)
			}
		}
	})
}

func FuzzCompressedLog(f *testing.F) {
	s, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	log := newLog(f, s)
	say(f, log, "m1", "m2")
	if err := log.Compress(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(log.zst)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(good, good...))
	f.Add(good[:len(good)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		scanZstd(bytes.NewReader(data), func(e Event) error {
			if n++; n > 10_000 {
				return io.EOF
			}
			return nil
		})
	})
}
