package hf

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRangesAgainstABitmap adds random spans, and compares with one bit for each byte.
func TestRangesAgainstABitmap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		const size = 64
		var set ranges
		var bitmap [size]bool
		for range rng.IntN(12) + 1 {
			begin := rng.Int64N(size)
			end := begin + 1 + rng.Int64N(size-begin)
			set.add(span{begin, end})
			for i := begin; i < end; i++ {
				bitmap[i] = true
			}
		}
		var got [size]bool
		for i, s := range set {
			if i > 0 && s.begin <= set[i-1].end {
				t.Fatalf("%v: spans touch or are out of order", set)
			}
			for j := s.begin; j < s.end; j++ {
				got[j] = true
			}
		}
		most := 1 + rng.Int64N(size)
		var count int64
		for _, s := range set.missing(size, most) {
			if s.begin >= s.end || s.end-s.begin > most {
				t.Fatalf("missing(%d) gives %v", most, s)
			}
			for j := s.begin; j < s.end; j++ {
				if got[j] {
					t.Fatalf("%v: byte %d is there or missing twice", set, j)
				}
				got[j] = true
				count++
			}
		}
		if slices.Contains(got[:], false) || count != size-set.size() {
			t.Fatalf("%v and %v are not the whole", set, set.missing(size, most))
		}
		for i := range bitmap {
			if bitmap[i] != slices.ContainsFunc(set, func(s span) bool { return s.begin <= int64(i) && int64(i) < s.end }) {
				t.Fatalf("%v: byte %d is wrong", set, i)
			}
		}
	}
}

const testRecordEvery = 100_000

func newPartial(t *testing.T, path string, size int64) *partial {
	t.Helper()
	p, err := openPartial(path, size, testRecordEvery)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.close() })
	return p
}

func TestPartialGoesOnWhereItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etag.incomplete")
	p := newPartial(t, path, 100)
	for _, s := range []span{{10, 30}, {30, 40}, {90, 100}} {
		if err := p.write(bytes.Repeat([]byte{7}, int(s.end-s.begin)), s.begin); err != nil {
			t.Fatal(err)
		}
	}
	if n := fetchedBytes(path, 100); n != 0 {
		t.Errorf("%d bytes are promised before they are synced", n)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if n := fetchedBytes(path, 100); n != 40 {
		t.Errorf("got %d bytes, want 40", n)
	}
	p = newPartial(t, path, 100)
	if d := cmp.Diff([]span{{0, 10}, {40, 80}, {80, 90}}, p.missing(40), cmp.AllowUnexported(span{})); d != "" {
		t.Errorf("missing (-want +got):\n%s", d)
	}
	if err := p.write(make([]byte, 10), 0); err != nil {
		t.Fatal(err)
	}
	p.close()
	if p = newPartial(t, path, 100); p.filled.size() != 50 {
		t.Errorf("the third time: got %v", p.filled)
	}
	if err := p.discard(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("discard leaves %v", left)
	}
}

func TestPartialRecordsAsItGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etag.incomplete")
	const size = testRecordEvery + 30_000
	p := newPartial(t, path, size)
	b := make([]byte, 10_000)
	for off := int64(0); off < size; off += int64(len(b)) {
		if err := p.write(b, off); err != nil {
			t.Fatal(err)
		}
	}
	if n := fetchedBytes(path, size); n != testRecordEvery {
		t.Errorf("without close, %d bytes are recorded, want %d", n, testRecordEvery)
	}
}

// TestPartialBelievesOnlyASoundJournal has one journal for each way to be wrong.
func TestPartialBelievesOnlyASoundJournal(t *testing.T) {
	head := (&partial{size: 100}).journalHead()
	for name, test := range map[string]struct {
		journal string
		size    int64 // of the file with the content
		want    int64 // bytes believed
	}{
		"sound":                    {head + "0 10\n20 30\n", 100, 20},
		"last line cut":            {head + "0 10\n20 3", 100, 10},
		"last line of zero bytes":  {head + "0 10\n\x00\x00\x00\x00\n", 100, 10},
		"range beyond the file":    {head + "0 10\n20 101\n30 40\n", 100, 10},
		"range negative":           {head + "-1 10\n", 100, 0},
		"range backwards":          {head + "10 5\n", 100, 0},
		"range overflows":          {head + "0 99999999999999999999\n", 100, 0},
		"text behind the range":    {head + "0 10 20\n", 100, 0},
		"of another size":          {strings.Replace(head, "100", "200", 1) + "0 10\n", 100, 0},
		"of another version":       {strings.Replace(head, " 1 ", " 2 ", 1) + "0 10\n", 100, 0},
		"empty":                    {"", 100, 0},
		"head cut":                 {head[:5], 100, 0},
		"content of another size":  {head + "0 10\n", 99, 0},
		"content missing":          {head + "0 10\n", -1, 0},
		"overlaps count once only": {head + "0 10\n5 20\n0 1\n", 100, 20},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "etag.incomplete")
			if test.size >= 0 {
				if err := os.WriteFile(path, make([]byte, test.size), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(path+".ranges", []byte(test.journal), 0o666); err != nil {
				t.Fatal(err)
			}
			if n := fetchedBytes(path, 100); n != test.want {
				t.Errorf("fetchedBytes: got %d, want %d", n, test.want)
			}
			p := newPartial(t, path, 100)
			if n := p.filled.size(); n != test.want {
				t.Errorf("got %d bytes, want %d", n, test.want)
			}
			// What comes behind a broken line must be readable again.
			if err := p.write([]byte("x"), 99); err != nil {
				t.Fatal(err)
			}
			p.close()
			if n := fetchedBytes(path, 100); n != test.want+1 {
				t.Errorf("after one more byte: got %d, want %d", n, test.want+1)
			}
		})
	}
}

func FuzzParseJournal(f *testing.F) {
	const size = 1000
	head := (&partial{size: size}).journalHead()
	f.Add("0 10\n20 30\n")
	f.Add("0 10\n20 3")
	f.Add("-1 5\n")
	f.Add("0 1001\n")
	f.Fuzz(func(t *testing.T, lines string) {
		filled, good := parseJournal([]byte(head+lines), head, size)
		if good < len(head) || good > len(head)+len(lines) {
			t.Fatalf("%d bytes are sound of %d", good, len(head)+len(lines))
		}
		for i, s := range filled {
			if s.begin < 0 || s.begin >= s.end || s.end > size || (i > 0 && filled[i-1].end >= s.begin) {
				t.Errorf("%v", filled)
			}
		}
		if again, n := parseJournal([]byte((head + lines)[:good]), head, size); n != good || again.size() != filled.size() {
			t.Errorf("the sound part reads as %v, %d; want %v, %d", again, n, filled, good)
		}
	})
}
