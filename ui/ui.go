// Package ui is the server that a browser, a script or a phone talks to: it puts the HTTP interface behind guards,
// listens, and stops without losing anything.
package ui

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/nexus-quant/nexus-quant/ui/api"
	"github.com/nexus-quant/nexus-quant/ui/web"
)

// Options say where and for whom to listen.
type Options struct {
	Addr       string // "127.0.0.1:8700"; port 0 takes any free one
	TokenFile  string // holds the token of the server; made where it is missing
	NeedToken  bool   // ask for the token on this machine too
	Insecure   bool   // let everybody who reaches the address do everything
	AllowHosts []string
	Version    string
	Log        func(format string, args ...any) // for who runs the server; nil drops it
}

// Server listens. Serve answers.
type Server struct {
	listener net.Listener
	http     *http.Server
	api      *api.API
	token    string
	host     string // as the user named it
}

// The limits of a connection. Event streams and downloads have their own, which move as they go on.
const (
	headerTime  = 10 * time.Second
	bodyTime    = 30 * time.Second
	answerTime  = 5 * time.Minute // a Hub may be slow while a model is looked at
	idleTime    = 2 * time.Minute
	stopTime    = 5 * time.Second
	maxHeader   = 32 << 10
	maxBodySize = 1 << 20
)

// Listen opens the address. Addresses that other machines reach need the token, unless insecure.
//
// Errors: *TakenError when something else listens there, *TokenError when the token's file can't be used.
func Listen(service api.Service, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, &AddrError{o.Addr, err}
	}
	listener, err := net.Listen("tcp", o.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &TakenError{Addr: o.Addr, Ours: ours(o.Addr)}
	}
	if err != nil {
		return nil, &AddrError{o.Addr, err}
	}
	s := &Server{listener: listener, host: host, api: api.New(service, api.Options{Version: o.Version, Log: o.Log})}
	if o.NeedToken || !s.loopback() && !o.Insecure {
		if s.token, err = Token(o.TokenFile); err != nil {
			listener.Close()
			return nil, err
		}
	}
	s.http = &http.Server{
		Handler:           newGuard(withPage(s.api, web.Handler(o.Version, s.access())), s.token, allowedHosts(s.loopback(), host, o.AllowHosts)),
		ReadHeaderTimeout: headerTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(logWriter(o.Log), "", 0),
	}
	s.http.RegisterOnShutdown(s.api.Close)
	return s, nil
}

// withPage puts the page beside the interface, which answers all that is not the page's.
func withPage(rest, page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", rest)
	for _, route := range web.Routes {
		mux.Handle(route, page)
	}
	return mux
}

// access says who is let in, for the page to show.
func (s *Server) access() web.Access {
	switch {
	case s.token != "":
		return web.NeedsToken
	case s.loopback():
		return web.ThisMachine
	}
	return web.Everybody
}

// loopback tells whether only this machine reaches the server. What the listener says counts, not the name.
func (s *Server) loopback() bool {
	addr, ok := s.listener.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// URL is where a browser on this machine finds the server.
func (s *Server) URL() string {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	host := s.host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Token is what clients must show; "" if they need not.
func (s *Server) Token() string { return s.token }

// Open tells whether everybody who reaches the address may do everything.
func (s *Server) Open() bool { return s.token == "" && !s.loopback() }

// Serve answers until ctx ends. Then event streams are closed, and requests under way get a few seconds.
func (s *Server) Serve(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(s.listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := s.http.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) { // a download; its client goes on with a range
		err = s.http.Close()
	}
	<-done
	return err
}

// logWriter hands the lines of the HTTP server on. Clients that break off are no news.
type logWriter func(format string, args ...any)

func (log logWriter) Write(b []byte) (int, error) {
	if line := strings.TrimSpace(string(b)); !strings.HasPrefix(line, "http: TLS handshake error") {
		log("%s", line)
	}
	return len(b), nil
}

// AddrError is returned for an address that can't be listened on.
type AddrError struct {
	Addr string
	Err  error
}

func (e *AddrError) Error() string {
	return fmt.Sprintf("address %q: %v", e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *AddrError) Unwrap() error { return e.Err }

// Hint shows the form.
func (e *AddrError) Hint() string { return "pass --addr HOST:PORT, for example 127.0.0.1:8700" }

// TakenError is returned when something listens at the address already.
type TakenError struct {
	Addr string
	Ours bool // it is a server of this program
}

func (e *TakenError) Error() string {
	if e.Ours {
		return fmt.Sprintf("address %s: another nexus-quant serve listens there", e.Addr)
	}
	return fmt.Sprintf("address %s: another program listens there", e.Addr)
}

// Hint says what to do.
func (e *TakenError) Hint() string {
	if e.Ours {
		return "use that one: it shares all jobs with this machine's command line; or choose another port with --addr"
	}
	return "choose another port with --addr, for example --addr 127.0.0.1:8701"
}

// ours asks who listens at an address.
func ours(addr string) bool {
	client := &http.Client{Timeout: time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	host, port, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	r, err := client.Get("http://" + net.JoinHostPort(host, port) + "/healthz")
	if err != nil {
		return false
	}
	defer r.Body.Close()
	return r.Header.Get("Server") == serverName
}
