package hf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/hf/hubtest"
)

// big is a model of one file of 4 MB, which the clients of these tests fetch in pieces of 256 KB.
func big() map[string]string {
	return map[string]string{"config.json": "{}", singleFile: weights(2_000_000, "a", "b")}
}

func pieceClient(t *testing.T, s *hubtest.Server, env ...string) *Client {
	c := newClient(t, s, env...)
	c.pieceSize, c.recordEvery = 256<<10, 1<<20
	return c
}

// checkBig demands a download that is right, and that leaves nothing behind.
func checkBig(t *testing.T, c *Client) {
	t.Helper()
	dir := download(t, c)
	for name, want := range big() {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, want %d; %v", name, len(got), len(want), err)
		}
	}
	if left := incomplete(c); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func incomplete(c *Client) []string {
	left, _ := filepath.Glob(filepath.Join(repoDir(c.CacheDir(), repo), "blobs", "*.incomplete*"))
	return left
}

func TestAFileComesInRangesSideBySide(t *testing.T) {
	s := newHub(t, big())
	checkBig(t, pieceClient(t, s))
	ranges, resolved := 0, 0
	for _, r := range s.Requests() {
		if r.Content && r.Range != "" {
			ranges++
			if r.Sent > 256<<10 {
				t.Errorf("range %s sent %d bytes", r.Range, r.Sent)
			}
		}
		if strings.HasSuffix(r.Path, singleFile) {
			resolved++
		}
	}
	if ranges != 16 { // 4 MB in pieces of 256 KB
		t.Errorf("%d ranges, want 16", ranges)
	}
	if resolved > 8 {
		t.Errorf("the Hub was asked %d times for one file", resolved)
	}
}

func TestTransientFailuresAreRepeated(t *testing.T) {
	for name, fault := range map[string]hubtest.Fault{
		"connection cut at once":      {CutAfter: -1},
		"connection cut half-way":     {CutAfter: 100_000},
		"500":                         {Status: 500},
		"502":                         {Status: 502},
		"503 with Retry-After":        {Status: 503, Header: map[string]string{"Retry-After": "0"}},
		"429 without Retry-After":     {Status: 429},
		"429 until a date":            {Status: 429, Header: map[string]string{"Retry-After": time.Now().Format(http.TimeFormat)}},
		"408":                         {Status: 408},
		"stall before the answer":     {StallAfter: -1},
		"stall half-way":              {StallAfter: 100_000},
		"403 of an expired signature": {Status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newHub(t, big())
			c := pieceClient(t, s)
			c.downloadTimeout = 200 * time.Millisecond
			s.Times(3, fault, isWeights)
			checkBig(t, c)
		})
	}
}

func TestTransientFailuresOfTheListingAreRepeated(t *testing.T) {
	for name, fault := range map[string]hubtest.Fault{
		"connection cut": {CutAfter: -1}, "cut half-way": {CutAfter: 20}, "503": {Status: 503}, "stall": {StallAfter: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newHub(t, big())
			c := pieceClient(t, s)
			c.etagTimeout = 200 * time.Millisecond
			s.Times(2, fault, func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/models/") })
			checkBig(t, c)
		})
	}
}

func TestRepetitionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			return &hubtest.Fault{Status: 503}
		}
		return nil
	})
	_, _, err := c.Download(t.Context(), hubRef(""), nil)
	if err == nil || !strings.Contains(err.Error(), "model.safetensors: gave up after 6 attempts: "+s.ContentHost()+" answered 503") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(fmt.Sprint(err), "secret-signature") {
		t.Errorf("the signed address is printed: %v", err)
	}
}

func TestAConnectionThatAlwaysBreaksGetsThereInTheEnd(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			return &hubtest.Fault{CutAfter: 20_000} // two hundred times in all, but never without a byte gained
		}
		return nil
	})
	checkBig(t, c)
}

func TestALongWaitIsRefused(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	s.Times(1, hubtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "3600"}}, isWeights)
	start := time.Now()
	_, _, err := c.Download(t.Context(), hubRef(""), nil)
	if err == nil || !strings.Contains(err.Error(), "asks to wait 1h0m0s") || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second},
		{"Retry-After", "0", 0},
		{"Retry-After", "-7", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "Thu, 01 Jan 2026 00:00:09 GMT", 9 * time.Second},
		{"Retry-After", "Wed, 31 Dec 2025 00:00:00 GMT", 0},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", "9999999999", 365 * 24 * time.Hour},
		{"RateLimit", `"api";r=0;t=55`, 55 * time.Second},
		{"RateLimit", `"api";r=0;t=x`, 0},
	} {
		if got := retryAfter(http.Header{http.CanonicalHeaderKey(test.name): {test.value}}, now); got != test.want {
			t.Errorf("%s: %s: got %v, want %v", test.name, test.value, got, test.want)
		}
	}
}

func TestTheServerIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	s.Times(1, hubtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "1"}}, isWeights)
	start := time.Now()
	checkBig(t, c)
	if d := time.Since(start); d < time.Second {
		t.Errorf("took %v, was asked to wait 1s", d)
	}
}

func TestCorruptBytes(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"large file, sha256": singleFile, "small file, git's sha1": "config.json"} {
		match := func(r *http.Request) bool {
			return file == singleFile && isWeights(r) || strings.HasPrefix(r.URL.Path, "/api/resolve-cache/") && strings.HasSuffix(r.URL.Path, file)
		}
		t.Run(name+": fetched again once", func(t *testing.T) {
			s := newHub(t, big())
			s.Times(1, hubtest.Fault{Corrupt: true}, match)
			checkBig(t, newClient(t, s))
		})
		t.Run(name+": an error the second time", func(t *testing.T) {
			s := newHub(t, big())
			c := newClient(t, s)
			s.Times(2, hubtest.Fault{Corrupt: true}, match)
			_, _, err := c.Download(t.Context(), hubRef(""), nil)
			checkError(t, err, ErrCorrupt, file+": the bytes that came have checksum", "proxy")
			if left := incomplete(c); len(left) > 0 {
				t.Errorf("corrupt bytes are kept: %v", left)
			}
			if c.hasBlob(repo, &remoteFile{SHA1: s.ETag(repo, file), Size: int64(len(big()[file]))}) {
				t.Error("corrupt bytes are in the cache")
			}
			checkBig(t, c) // and a later run is not spoiled
		})
	}
}

func TestAShortFileIsRefused(t *testing.T) {
	s := newHub(t, big())
	c := newClient(t, s)
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			return &hubtest.Fault{Truncate: 10}
		}
		return nil
	})
	_, _, err := c.Download(t.Context(), hubRef(""), nil)
	if err == nil || !strings.Contains(err.Error(), "the Hub lists") {
		t.Errorf("got %v", err)
	}
}

func TestAServerWithoutRanges(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			return &hubtest.Fault{NoRanges: true}
		}
		return nil
	})
	checkBig(t, c)
}

func TestSignedAddressesThatExpireAreRenewed(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	n := 0
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			if n++; n == 3 {
				go s.Expire() // not here: Inject's caller holds the server
			}
		}
		return nil
	})
	checkBig(t, c)
}

func TestCancelEndsAtOnceAndLeavesTheRestToTheNextRun(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			return &hubtest.Fault{Delay: 20 * time.Millisecond}
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled time.Time
	var once sync.Once
	_, _, err := c.Download(ctx, hubRef(""), func(p Progress) {
		if p.BytesDone > 600_000 {
			once.Do(func() { cancelled = time.Now(); cancel() })
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if d := time.Since(cancelled); d > time.Second {
		t.Errorf("ended %v after the cancel", d)
	}
	if len(incomplete(c)) == 0 {
		t.Fatal("nothing is left to go on with")
	}

	s.Inject(nil)
	s.Requests()
	fetch, total, err := c.Needed(t.Context(), hubRef(""))
	if err != nil || fetch > total-500_000 || fetch == 0 {
		t.Errorf("needs %d of %d bytes; %v", fetch, total, err)
	}
	checkBig(t, c)
	checkSent(t, s, fetch)
}

// checkSent holds the bytes that were sent to those that were missing. A request of the run before, given up while it
// waited in the server's queue, may be answered late and add what fits into the connection's buffers.
func checkSent(t *testing.T, s *hubtest.Server, want int64) {
	t.Helper()
	const late = 64 << 10
	if sent := bodies(s); sent < want || sent > want+late {
		t.Errorf("%d bytes were sent, want the missing %d", sent, want)
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	for name, fault := range map[string]hubtest.Fault{
		"for an answer":     {StallAfter: -1},
		"for the next byte": {StallAfter: 100},
		"to ask again":      {Status: 429, Header: map[string]string{"Retry-After": "60"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newHub(t, big())
			c := pieceClient(t, s)
			s.Inject(func(r *http.Request) *hubtest.Fault {
				if isWeights(r) {
					return &fault
				}
				return nil
			})
			ctx, cancel := context.WithCancel(t.Context())
			start := time.Now()
			time.AfterFunc(100*time.Millisecond, cancel)
			_, _, err := c.Download(ctx, hubRef(""), nil)
			if !errors.Is(err, context.Canceled) || time.Since(start) > time.Second {
				t.Errorf("got %v after %v", err, time.Since(start))
			}
		})
	}
}

// TestMain lets the test's own program be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("NEXUS_QUANT_TEST_DOWNLOAD") == "" {
		os.Exit(m.Run())
	}
	c := NewClient(os.Getenv, "test")
	c.pieceSize, c.recordEvery, c.backoff = 256<<10, 64<<10, time.Millisecond
	if _, _, err := c.Download(context.Background(), hubRef(""), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func downloadProcess(t *testing.T, s *hubtest.Server, home string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "NEXUS_QUANT_TEST_DOWNLOAD=1", "HF_ENDPOINT="+s.URL, "HF_HOME="+home, "HF_TOKEN=", "HF_HUB_CACHE=")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestAKilledProcessIsGoneOnWith(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			return &hubtest.Fault{Delay: 20 * time.Millisecond}
		}
		return nil
	})
	cmd := downloadProcess(t, s, filepath.Dir(c.CacheDir()))
	partial := c.partialPath(repo, s.ETag(repo, singleFile))
	size := int64(len(big()[singleFile]))
	deadline := time.Now().Add(10 * time.Second)
	for fetchedBytes(partial, size) < 300_000 {
		if time.Now().After(deadline) {
			t.Fatal("no bytes are recorded")
		}
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	have := fetchedBytes(partial, size)
	if have == size {
		t.Fatal("was too fast to be killed half-way")
	}

	s.Inject(nil)
	s.Requests()
	checkBig(t, c)
	checkSent(t, s, size-have)
}

func TestTwoProcessesShareOneDownload(t *testing.T) {
	t.Parallel()
	s := newHub(t, big())
	c := pieceClient(t, s)
	home := filepath.Dir(c.CacheDir())
	s.Inject(func(r *http.Request) *hubtest.Fault {
		if isWeights(r) {
			return &hubtest.Fault{Delay: 5 * time.Millisecond}
		}
		return nil
	})
	a, b := downloadProcess(t, s, home), downloadProcess(t, s, home)
	var wg sync.WaitGroup
	for range 3 { // and three goroutines of a third
		wg.Go(func() {
			if _, _, err := c.Download(t.Context(), hubRef(""), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(a.Wait(), b.Wait()); err != nil {
		t.Error(err)
	}
	if got, want := bodies(s), int64(len(big()[singleFile])+len(big()["config.json"])); got != want {
		t.Errorf("%d bytes were sent, want each of the %d once", got, want)
	}
	checkBig(t, c)
}

func TestALockIsGivenUpOnCancel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	release, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	release()
	release, err = lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestRedirects(t *testing.T) {
	request := func(address string) *http.Request {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: u}
	}
	first := request("https://huggingface.co/x")
	if err := checkRedirect(request("https://cdn.example/x"), []*http.Request{first}); err != nil {
		t.Errorf("https to https: %v", err)
	}
	if err := checkRedirect(request("http://cdn.example/x"), []*http.Request{first}); !errors.Is(err, errRedirect) {
		t.Errorf("https to http: got %v", err)
	}
	if err := checkRedirect(first, make([]*http.Request, 10)); !errors.Is(err, errRedirect) {
		t.Errorf("ten in a row: got %v", err)
	}
}

// sent is a transport that notes the token it is given.
type sent struct{ authorization string }

func (s *sent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.authorization = r.Header.Get("Authorization")
	return nil, io.EOF
}

func TestTheTokenKeepsToSchemeHostAndPort(t *testing.T) {
	endpoint, err := url.Parse("https://huggingface.co")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"https://huggingface.co/api":       true,
		"https://HuggingFace.co/api":       true,
		"http://huggingface.co/api":        false,
		"https://huggingface.co:8443/api":  false,
		"https://cdn.huggingface.co/x":     false,
		"https://huggingface.co.evil.org/": false,
		"https://hf.co/x":                  false,
	} {
		base := new(sent)
		a := &authorizer{base: base, endpoint: endpoint, token: "hf_x"}
		r, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.RoundTrip(r)
		if got := base.authorization != ""; got != want {
			t.Errorf("%s: token sent is %v, want %v", address, got, want)
		}
	}
}
