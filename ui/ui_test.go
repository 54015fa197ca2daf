package ui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// newService is a service with a registry of its own.
func newService(t testing.TB) *jobs.Service {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{"NEXUS_QUANT_HOME": dir, "QUANTIZATION_OUTPUT_DIR": dir, "HF_HOME": dir, "HF_HUB_OFFLINE": "1"}
	s, err := jobs.Open(func(name string) string { return env[name] }, "test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listen opens a server, which serves until stop is called or the test ends.
func listen(t testing.TB, o Options) (s *Server, stop func()) {
	t.Helper()
	if o.TokenFile == "" {
		o.TokenFile = filepath.Join(t.TempDir(), "token")
	}
	s, err := Listen(newService(t), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func get(t testing.TB, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestThisMachineNeedsNoToken(t *testing.T) {
	t.Parallel()
	s, _ := listen(t, Options{Addr: "127.0.0.1:0"})
	if s.Token() != "" || s.Open() {
		t.Errorf("token %q, open %v", s.Token(), s.Open())
	}
	if status, body := get(t, s.URL()+"/api/v1/quantize/jobs", ""); status != 200 {
		t.Errorf("status %d: %s", status, body)
	}
}

func TestOtherMachinesNeedTheToken(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0"} {
		s, _ := listen(t, Options{Addr: addr})
		if len(s.Token()) < minToken {
			t.Fatalf("%s: token %q", addr, s.Token())
		}
		if status, _ := get(t, s.URL()+"/healthz", ""); status != 401 {
			t.Errorf("%s: status %d without the token", addr, status)
		}
		if status, _ := get(t, s.URL()+"/healthz", s.Token()); status != 200 {
			t.Errorf("%s: status %d with the token", addr, status)
		}
	}
	if s, _ := listen(t, Options{Addr: "0.0.0.0:0", Insecure: true}); s.Token() != "" || !s.Open() {
		t.Errorf("token %q, open %v", s.Token(), s.Open())
	}
	if s, _ := listen(t, Options{Addr: "127.0.0.1:0", NeedToken: true}); s.Token() == "" {
		t.Error("no token, though it was asked for")
	}
}

func TestATakenAddressIsExplained(t *testing.T) {
	t.Parallel()
	s, _ := listen(t, Options{Addr: "127.0.0.1:0"})
	addr := strings.TrimPrefix(s.URL(), "http://")
	_, err := Listen(newService(t), Options{Addr: addr})
	var taken *TakenError
	if !errors.As(err, &taken) || !taken.Ours || !strings.Contains(err.Error(), "another nexus-quant") {
		t.Errorf("our own server: %v", err)
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(other, http.NotFoundHandler())
	defer other.Close()
	_, err = Listen(newService(t), Options{Addr: other.Addr().String()})
	if !errors.As(err, &taken) || taken.Ours || !strings.Contains(taken.Hint(), "--addr") {
		t.Errorf("another program: %v", err)
	}
	var bad *AddrError
	for _, addr := range []string{"8700", "127.0.0.1:port", "203.0.113.1:8700"} {
		if _, err := Listen(newService(t), Options{Addr: addr}); !errors.As(err, &bad) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestStoppingDoesNotWaitForReaders(t *testing.T) {
	t.Parallel()
	s, stop := listen(t, Options{Addr: "127.0.0.1:0"})
	resp, err := http.Get(s.URL() + "/api/v1/quantize/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	start := time.Now()
	stop()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if b, _ := io.ReadAll(resp.Body); !strings.Contains(string(b), "event: reconnect") {
		t.Errorf("readers were told %q", b)
	}
}

func TestLimitsOfAConnection(t *testing.T) {
	t.Parallel()
	s, _ := listen(t, Options{Addr: "127.0.0.1:0"})
	addr := strings.TrimPrefix(s.URL(), "http://")
	send := func(text string) string {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		go io.WriteString(conn, text)
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return strings.TrimSpace(line)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"a header without end", "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", "HTTP/1.1 431"},
		{"a body that is too long", fmt.Sprintf("POST /api/v1/quantize/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n\"%s\"", maxBodySize+2, strings.Repeat("x", maxBodySize)), "HTTP/1.1 413"},
		{"a body that never ends", "POST /api/v1/quantize/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", 20), "HTTP/1.1 413"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", "HTTP/1.1 400"},
		{"a foreign host", "GET /healthz HTTP/1.1\r\nHost: attacker.example\r\n\r\n", "HTTP/1.1 403"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "HTTP/1.1 400"},
	} {
		if got := send(tt.text); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %s", tt.name, got, tt.want)
		}
	}
	if s.http.ReadHeaderTimeout == 0 || s.http.WriteTimeout == 0 || s.http.IdleTimeout == 0 {
		t.Error("a connection may last for ever")
	}
}
